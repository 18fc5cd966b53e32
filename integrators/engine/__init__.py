"""The engine: programs, the two compiled loops that run them, scaling, and batches on threads."""
