"""Recurrent cells beside PyTorch and JAX: Jacobians, their norms, and gradient steps of classifiers."""
