"""What layers need to run on each backend; not for users."""
