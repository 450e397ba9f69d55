"""Many blocks, one labelling: pieces of objects are added up by the block that owns the sink, then numbered 1..N."""
