"""The experiments on the step size ε ∝ 1/N, and on the tables of the paper."""
