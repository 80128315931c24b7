"""Taking one step: the same program, an engine for each backend."""
