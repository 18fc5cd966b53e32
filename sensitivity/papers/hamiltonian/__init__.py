"""Rusch, Pearson, Zygalakis (2019): its figures, its claims and the experiments on its step size."""
