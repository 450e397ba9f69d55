"""From labelled planes to crops with their targets: drawn, turned, altered, put into batches."""
