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
# *Difficulty: easy. Time: 25 minutes, and 25 more for the exercises. You need: matrices and their norms.*
#
# **What you will learn**
#
# - why the gradient of a recurrent network is a product of matrices, and why its size is usually exponential
#   in the length of the sequence;
# - how to read a gradient profile, which shows where along the sequence the gradient is lost;
# - what the singular values say that the norm does not say;
# - which network has a gradient that is proved not to vanish.
#
# A recurrent network is a map that is iterated: $h_n = \Phi(h_{n-1}, x_n)$. How strongly the last state
# depends on the first is the product of the Jacobians of all steps,
#
# $$\frac{\partial h_N}{\partial h_0} = J_N J_{N-1} \cdots J_1 .$$
#
# If the product shrinks, the network cannot learn from what it saw long ago. If it grows, training is
# unstable. This lesson looks at the product itself.
#
# Write down your answer to each **question** before you run the cell below it. The environment variable
# `LEAPGRAD_FAST=1` makes the runs shorter.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

import leapgrad as lg

FAST = os.environ.get("LEAPGRAD_FAST") == "1"
plt.rcParams.update({"figure.figsize": (7.2, 3.8), "figure.constrained_layout.use": True, "axes.grid": True})
d, N = 16, 100 if FAST else 400
rng = np.random.default_rng(0)
W = rng.normal(size=(d, d)) / np.sqrt(d)  # eigenvalues inside a disc of radius about 1
vanilla = lg.cell("vanilla", d)

# %% [markdown]
# ## The scale of the weights
#
# The vanilla network $h_n = \tanh(W h_{n-1} + b)$ has $J_n = D_n W$ with $D_n =
# \mathrm{diag}(\tanh'(a_n))$, and no slope of tanh is larger than 1.
#
# > **Question.** Multiply $W$ by a factor $s$ between 0.5 and 3. How does $\ln\|\partial h_N/\partial
# > h_0\|_2$ change for small $s$? Does it grow without limit for large $s$?
#
# The norm itself is soon too large or too small for floating-point numbers; `log_jacobian_norm` never
# overflows.

# %%
scales = np.linspace(0.5, 3.0, 9 if FAST else 41)
networks = [lg.unroll(vanilla.with_parameters(W=s * W, b=0.1 * np.ones(d)), N) for s in scales]
logs = [float(lg.log_jacobian_norm(network)) for network in networks]
plt.plot(scales, logs, "o-", markersize=3)
plt.axhline(0.0, color="black", linewidth=0.8)
plt.xlabel("scale $s$ of the weights (dimensionless)")
plt.ylabel(r"$\ln\|\partial h_N/\partial h_0\|_2$")
plt.title(f"Vanilla network, d = {d}, N = {N}")
plt.show()

# %% [markdown]
# Small weights make the product shrink: on the left the curve is close to $N \ln s$ plus a constant. Large
# weights make it grow, but they also drive tanh into saturation, where its slope is small. Without inputs the
# state then settles on some orbit, and the product depends on the slopes along that orbit. This is why the
# right half of the curve is irregular.
#
# ## Where along the sequence the gradient is lost
#
# The *profile* is $\|\partial h_N/\partial h_i\|_2$ over $i$: how much the last state still depends on the
# state after step $i$.
#
# > **Question.** On a logarithmic axis, which shape has the profile if each step multiplies the norm by about
# > the same factor? And what changes for an LSTM, whose cell state is multiplied by its forget gate?
#
# (The full state of an LSTM is $s = (h, c)$. Its Jacobian includes the cell state, which holds the memory.)

# %%
default = lg.cell("lstm", d, rng=0)
remembering = default.with_parameters(b=default.parameters["b"] + 4.0 * np.repeat([0, 1, 0, 0], d))
runs = {
    "vanilla, s = 0.8": lg.unroll(vanilla.with_parameters(W=0.8 * W), N),
    "vanilla, s = 1.6": lg.unroll(vanilla.with_parameters(W=1.6 * W), N),
    "LSTM, forget bias near 0": lg.unroll(default, N),
    "LSTM, forget bias near 4": lg.unroll(remembering, N),
}
for (name, run), line in zip(runs.items(), ("-", "--", "-.", ":"), strict=True):
    plt.plot(lg.gradient_profile(run, block="state").log_norms, line, label=name)
plt.xlabel("index $i$ of the earlier state")
plt.ylabel(r"$\ln\|\partial s_N/\partial s_i\|_2$")
plt.title("How much each earlier state still matters")
plt.legend()
plt.show()

# %% [markdown]
# The profiles are nearly straight lines: exponential decay or growth. An LSTM whose forget gate is nearly 1
# loses much less, because $\sigma(4) = 0.98$ is the factor of a step.
#
# **Try it.** Move the scale of the weights and the length. At which scale does the profile change its slope?

# %%
lg.explore(
    lambda scale, length: lg.gradient_profile(
        lg.unroll(vanilla.with_parameters(W=scale * W, b=0.1 * np.ones(d)), length)
    ).plot(title=f"vanilla, s = {scale:g}, N = {length}"),
    scale=[0.5, 0.8, 0.9, 1.0, 1.1, 1.3, 1.6, 2.0, 3.0],
    length=[20, 50, 100, 200, 400],
)

# %% [markdown]
# ## All singular values
#
# The norm is the largest singular value only.
#
# > **Question.** In one network all singular values of $\partial h_N/\partial h_0$ are 1; in another the
# > first is 30 and the second is 0.1. The norm of the second network is larger. Which of them remembers more
# > of $h_0$?

# %%
for name in ("vanilla, s = 1.6", "LSTM, forget bias near 4"):
    values = lg.singular_values(runs[name], k=5)
    print(f"{name:25s} ln σ_1 … ln σ_5 = {np.array2string(values.log, precision=2)}")

# %% [markdown]
# In the full run, of 400 steps, the LSTM with open gates amplifies one direction of its state and damps all
# others. If the other singular values are small, most directions of the start are forgotten, whatever the
# norm is.
#
# ## A network whose gradient is proved not to vanish
#
# Rusch, Pearson and Zygalakis (2019) take Störmer–Verlet steps of $\ddot y = \sigma(Wy + b)$ as the
# recursion. Here the step size ε can be chosen.
#
# > **Question.** With $\varepsilon = 1/N$ each step is closer to the identity the longer the sequence is.
# > What happens to the norm when N goes from 10 to 1000?
#
# leapgrad prints the norm with the bound that is proved for it (theorem B) and with the bound from below on
# the smallest singular value (theorem C).

# %%
field = lg.NeuralField.random(d, rng=0)
for n in (10, 100, 1000) if FAST else (10, 100, 1000, 10_000):
    norm = lg.jacobian_norm(field, "leapfrog", 1.0 / n, n)
    upper, lower = lg.bounds.chebyshev(field, 1.0 / n, n), lg.bounds.no_vanishing(field, 1.0 / n, n)
    smallest = float(lg.singular_values(field, "leapfrog", 1.0 / n, n, k=1, smallest=True).unscaled()[0])
    print(f"N = {n:6d}: {lower:.4f} ≤ σ_min = {smallest:.4f}, ‖∂y_N/∂y_0‖ = {norm:.4f} ≤ {upper:.4f}")

# %% [markdown]
# The norm stays of order one for *every* N, and both bounds are proved.
#
# ## Exercises
#
# ### Exercise 1 · easy, 5 minutes
#
# The vanilla network with $s = 0.8$ multiplies the norm by about the same factor in each step. Read the
# factor from the profile. After how many steps is the norm below $10^{-16}$, the accuracy of float64?

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
profile = lg.gradient_profile(runs["vanilla, s = 0.8"])
slope = (profile.log_norms[-1] - profile.log_norms[0]) / N
print(f"factor of a step {np.exp(-slope):.3f}, so {np.log(1e-16) / -slope:.0f} steps")

# %% [markdown]
# ### Exercise 2 · medium, 10 minutes
#
# Replace $W$ by an orthogonal matrix: `lg.cell("exprnn", d, rng=0)` has one. Which slope has its profile
# without inputs and with the start at zero? Which property of the cell explains it?

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
orthogonal = lg.gradient_profile(lg.unroll(lg.cell("exprnn", d, rng=0), N))
print(f"ln of the norms between {orthogonal.log_norms.min():.2g} and {orthogonal.log_norms.max():.2g}")
print("The matrix is a rotation and modReLU has the slopes 0 and 1: the norm cannot grow.")

# %% [markdown]
# ### Exercise 3 · medium, 10 minutes
#
# Theorem B bounds the norm by $\cosh(N\varepsilon\sqrt{\|W\|})$ (σ = tanh). Choose $\varepsilon = c/N$ with
# $c = 0.1, 1, 5$ and $N = 1000$. For which c does theorem C still prove that no singular value vanishes?

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
for c in (0.1, 1.0, 5.0):
    lower = lg.bounds.no_vanishing(field, c / 1000, 1000)
    print(f"c = {c:g}: every σ ≥ {lower:.4g}", "" if lower > 0.0 else "(says nothing)")

# %% [markdown]
# Next: [2 Integrators](02_integrators.ipynb) shows how such recursions are made.
