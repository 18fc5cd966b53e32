"""Gradients of log norms, singular values and growth exponents by the parameters: second derivatives."""
