"""Statements about state-space models, gated linear recurrences and Hamiltonian layers."""
