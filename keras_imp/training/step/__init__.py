"""The training step: a program of any backend, and an engine for each."""
