"""What `scripts/fetch_real_data.py` makes of its packages."""
