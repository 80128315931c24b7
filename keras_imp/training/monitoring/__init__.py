"""What a run tells: progress, logs, steps that are not finite."""
