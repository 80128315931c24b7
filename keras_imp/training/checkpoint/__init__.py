"""Saving and resuming the whole state of a run."""
