"""What was done, well enough to do it again: fingerprints, the journal of finished tasks, the run record."""
