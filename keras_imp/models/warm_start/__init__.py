"""From a backbone of keras-hub to an encoder with the same outputs."""
