"""One step of learning and all that goes round it: loss, optimiser, state, ranks, validation."""
