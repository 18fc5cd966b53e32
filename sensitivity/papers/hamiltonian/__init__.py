"""Rusch, Pearson, Zygalakis (2019): its figures, its claims and the experiments on its step size."""

RULE, RULE_FREE = "Hamiltonian, εN = 1", "Hamiltonian, wε² fixed"
"""The columns of the tables that are the paper's network with ε = 1/N: W begins of order one, or
1/ε². The latter is, by theorem G, a network with a constant ε and W of order one."""

MNIST = {"hamiltonian": 0.94, "antisymmetric": 0.87, "lstm": 0.66}
"""Model → test accuracy on sequential MNIST that the paper prints."""
