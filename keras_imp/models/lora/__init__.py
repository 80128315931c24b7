"""Low-rank adaptation (LoRA) of an encoder: enable, merge, save, load."""
