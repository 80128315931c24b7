"""What a sparse encoder adds: placement, metrics, upcycling."""
