"""Weights of the first implementation in an encoder of this package."""
