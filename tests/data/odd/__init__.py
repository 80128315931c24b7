"""Odd and damaged files, by kind; `tests.data.odd_files` makes all of them."""
