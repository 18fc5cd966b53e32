"""Stacks of cells with pointwise layers between them: normalisation, activations, gates, skips."""
