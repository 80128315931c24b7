"""One or several devices: where batches and weights are."""
