"""Weights are saved by name, and loading says what fitted."""
