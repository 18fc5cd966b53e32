"""Jacobians, their norms and singular values, growth exponents, gradient profiles."""
