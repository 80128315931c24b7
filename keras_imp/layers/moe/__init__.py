"""Routed feed-forward layers: who computes what, and how tokens get there."""
