"""Builders of the bundled playground: one module per kind of data."""
