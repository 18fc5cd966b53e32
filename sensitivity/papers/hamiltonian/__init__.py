"""Rusch, Pearson, Zygalakis (2019): its figures, its claims and the experiments on its step size."""

RULE, RULE_FREE = "Hamiltonian, εN = 1", "Hamiltonian, wε² fixed"
"""The columns of the tables that are the paper's network with ε = 1/N: W begins of order one, or
1/ε². The latter is, by theorem G, a network with a constant ε and W of order one."""

MNIST = {"hamiltonian": 0.94, "antisymmetric": 0.87, "lstm": 0.66}
"""Model → test accuracy on sequential MNIST that the paper prints."""

SHOCK_LENGTHS, XOR_LENGTHS = (100, 500, 2000, 5000), (50, 100, 200, 500)
"""N of shock preservation in Table 1, and of disturbed XOR in the text and in Figure 7."""
