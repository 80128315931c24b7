"""Presets for keras-imp: each subfolder is one. There is no code."""
