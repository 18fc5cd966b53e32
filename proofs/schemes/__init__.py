"""Statements about schemes: order, symmetry, symplecticity, stability."""
