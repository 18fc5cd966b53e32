# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 1 Vanishing and exploding gradients, from scratch
#
# A recurrent network is a map that is iterated: $h_n = \Phi(h_{n-1}, x_n)$. How strongly the last state
# depends on the first is the product of the Jacobians of all steps,
#
# $$\frac{\partial h_N}{\partial h_0} = J_N J_{N-1} \cdots J_1 .$$
#
# If the product shrinks, the network cannot learn from what it saw long ago; if it grows, training is
# unstable. This notebook looks at the product itself. Everything is computed by `integrators` and
# `sensitivity`; set `LEAPGRAD_FAST=1` for a shorter run.

# %%
# %matplotlib inline
import os

import numpy as np

from integrators import NeuralField
from sensitivity import gradient_profile, jacobian_norm, log_jacobian_norm, singular_values
from sensitivity.figures.plots import plot_curves
from sensitivity.recurrences.cell import unroll
from sensitivity.recurrences.cells.gated import lstm
from sensitivity.recurrences.cells.vanilla import VANILLA

FAST = os.environ.get("LEAPGRAD_FAST") == "1"
d, N = 16, 100 if FAST else 400
rng = np.random.default_rng(0)
W = rng.normal(size=(d, d)) / np.sqrt(d)  # eigenvalues inside a disc of radius about 1

# %% [markdown]
# ## The scale of the weights
#
# The vanilla network $h_n = \tanh(W h_{n-1} + b)$ has $J_n = D_n W$ with $D_n =
# \mathrm{diag}(\tanh'(a_n))$. We multiply $W$ by a factor and plot the logarithm of $\|\partial
# h_N/\partial h_0\|_2$. The norm itself is soon too large or too small for floating-point numbers;
# `log_jacobian_norm` never overflows. Small weights make the product shrink. Large weights make it grow, but
# they also drive tanh into saturation, where its slope is small. Without inputs the state then settles on
# some orbit, and the product depends on the slopes along that orbit. This is why the right half of the curve
# is irregular.

# %%
scales = np.linspace(0.5, 3.0, 9 if FAST else 41)
networks = [unroll(VANILLA(d, W=s * W, b=0.1 * np.ones(d)), N) for s in scales]
logs = [float(log_jacobian_norm(network)) for network in networks]
plot_curves(
    scales,
    [(f"vanilla, d = {d}, N = {N}", logs)],
    xlabel="scale of W",
    ylabel=r"$\ln\|\partial h_N/\partial h_0\|_2$",
    title="Vanishing on the left; on the right it depends on the orbit",
)

# %% [markdown]
# ## Where along the sequence the gradient is lost
#
# The *profile* $\|\partial h_N/\partial h_i\|$ over $i$ is a straight line on logarithmic axes, because every
# step back multiplies the norm by about the same factor. An LSTM whose forget gate is nearly 1 loses much
# less. (The full state of an LSTM is $(h, c)$. Its Jacobian includes the cell state, which holds the memory.)

# %%
open_gate = lstm(d)
bias = open_gate.parameters["b"].copy()
bias[d : 2 * d] = 4.0  # rows i, f, g, o: the forget gate
remembering = open_gate.kind(d, W=open_gate.parameters["W"], b=bias)
profiles = {
    "vanilla, scale 0.8": gradient_profile(unroll(VANILLA(d, W=0.8 * W), N)),
    "vanilla, scale 1.6": gradient_profile(unroll(VANILLA(d, W=1.6 * W), N)),
    "LSTM, default biases": gradient_profile(unroll(open_gate, N), block="state"),
    "LSTM, forget bias 4": gradient_profile(unroll(remembering, N), block="state"),
}
plot_curves(
    np.arange(N + 1),
    [(name, profile.log_norms) for name, profile in profiles.items()],
    xlabel="index $i$",
    ylabel=r"$\ln\|\partial s_N/\partial s_i\|_2$",
    title="How much each earlier state still matters",
)

# %% [markdown]
# ## All singular values
#
# The norm is the largest singular value only. If the others are small, most directions of $h_0$ are forgotten
# although the norm is one. The singular values show how many directions are kept.

# %%
for name, network in {
    "vanilla, scale 1.6": unroll(VANILLA(d, W=1.6 * W), N),
    "LSTM": unroll(remembering, N),
}.items():
    values = singular_values(network, k=5)
    print(f"{name:20s} ln σ_1 … ln σ_5 = {np.array2string(values.log, precision=2)}")

# %% [markdown]
# ## A network whose gradient is proved not to vanish
#
# Rusch, Pearson and Zygalakis (2019) take Störmer–Verlet steps of $\ddot y = \sigma(Wy + b)$ as the
# recursion. The step size ε can then be chosen, and with $\varepsilon = c/N$ the gradient stays of order one
# for *every* N. leapgrad prints the norm with the bound that is proved for it (theorem B) and with the
# bound from below on the smallest singular value (theorem C).

# %%
from sensitivity import bounds

field = NeuralField.random(d, rng=0)
for n in (10, 100, 1000) if FAST else (10, 100, 1000, 10_000):
    norm = jacobian_norm(field, "leapfrog", 1.0 / n, n)
    upper, lower = bounds.chebyshev(field, 1.0 / n, n), bounds.no_vanishing(field, 1.0 / n, n)
    smallest = float(np.asarray(singular_values(field, "leapfrog", 1.0 / n, n, k=1, smallest=True))[0])
    print(f"N = {n:6d}: {lower:.4f} ≤ σ_min = {smallest:.4f}, ‖∂y_N/∂y_0‖ = {norm:.4f} ≤ {upper:.4f}")

# %% [markdown]
# Next: [2 Integrators](02_integrators.ipynb) shows how such recursions are made.
