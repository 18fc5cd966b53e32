"""Runs: what users pass, checked once, and the forward and backward sweeps over it."""
