"""From a source of each task to checked batches."""
