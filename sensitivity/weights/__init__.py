"""Weights of trained networks: the layouts of other libraries, and files."""
