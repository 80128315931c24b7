"""Training on a person's own files: recipe, scan, run and report."""
