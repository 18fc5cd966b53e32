"""What the toolkit costs, side by side with what else computes the same numbers: ``python -m benchmarks``."""
