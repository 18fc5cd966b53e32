"""Statements about products of the Jacobians of steps along a trajectory."""
