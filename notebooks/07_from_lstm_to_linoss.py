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
# # 7 From LSTM to LinOSS: one idea, one picture
#
# Thirty years of recurrent cells are thirty years of ideas on one matrix, $\partial s_N/\partial
# s_i$: how much the last state still depends on an earlier one. Here each idea gets a picture:
# $\ln\|\partial s_N/\partial s_i\|_2$ against the distance $N - i$, for three random input sequences,
# at the start that its authors published. A straight line is exponential growth or decay, and its
# slope is the rate for a step.
#
# **What you will learn:** which ideas change the rate, which only the constant in front of it, and
# what the price of each is. **Before you run a cell, guess the picture.**

# %%
# %matplotlib inline
import os

import numpy as np

import leapgrad as lg
from sensitivity.figures.plots import plot_curves

FAST = os.environ.get("LEAPGRAD_FAST") == "1"
N, d, m = (60 if FAST else 400), 16, 2
inputs = np.random.default_rng(0).normal(size=(3, N, m))
distance = N - np.arange(N + 1)

# %% [markdown]
# ## 1 The plain network: $h' = \tanh(Wh + Vx + b)$
#
# Every step multiplies by $D\,W$ with slopes $D \le 1$. What does a product of four hundred such
# factors do?

# %%
plain = lg.gradient_profile(lg.unroll(lg.cell("vanilla", d, m, rng=0), inputs=inputs), block="state")
plot_curves(
    distance,
    [(f"sequence {q}", plain.log_norms[q]) for q in range(3)],
    xlabel="distance $N - i$",
    ylabel=r"$\ln\|\partial h_N/\partial h_i\|_2$",
    title="Plain network: the gradient vanishes exponentially",
)

# %% [markdown]
# ## 2 The LSTM: a memory that is added to
#
# $c' = f\circ c + i\circ g$: the path from $c$ to $c'$ has the factor $f$ and no matrix. At PyTorch's
# start $f \approx \tfrac12$. The second picture has forget biases of $5$, so $f \approx 0.993$.

# %%
lstm = lg.cell("lstm", d, m, rng=0)
open_gate = lstm.parameters["b"] + 5.0 * np.repeat([0.0, 1.0, 0.0, 0.0], d)
cells = {"forget bias near 0": lstm, "forget bias near 5": lstm.with_parameters(b=open_gate)}
profiles = {
    name: lg.gradient_profile(lg.unroll(one, inputs=inputs), block="state") for name, one in cells.items()
}
plot_curves(
    distance,
    [(f"{name}, sequence {q}", profiles[name].log_norms[q]) for name in cells for q in (0, 1)],
    xlabel="distance $N - i$",
    ylabel=r"$\ln\|\partial s_N/\partial s_i\|_2$",
    title="LSTM: the rate is that of the forget gate",
)

# %% [markdown]
# The gate turns the rate into a parameter. It does not remove it: with $f < 1$ the memory of the
# start is lost, only more slowly. With forget gates near one the norm even grows a little, by the
# products with $W$ inside the gates.
#
# ## 3 An orthogonal matrix: expRNN
#
# $W = \exp(A)$ with an antisymmetric $A$ is a rotation. What is left to shrink the product?

# %%
orthogonal = lg.gradient_profile(lg.unroll(lg.cell("exprnn", d, m, rng=0), inputs=inputs), block="state")
plot_curves(
    distance,
    [(f"sequence {q}", orthogonal.log_norms[q]) for q in range(3)],
    xlabel="distance $N - i$",
    ylabel=r"$\ln\|\partial h_N/\partial h_i\|_2$",
    title="expRNN: the norm is one, and what is left is round-off",
)

# %% [markdown]
# ## 4 Oscillators: coRNN and UnICORNN
#
# A second-order equation has no first-order decay unless it is damped. coRNN is damped; UnICORNN is
# not, and its step has determinant one: it can neither contract nor expand volume. Which of the two
# keeps the norm?

# %%
oscillators = {
    name: lg.gradient_profile(lg.unroll(lg.cell(name, d, m, rng=0), inputs=inputs), block="state")
    for name in ("cornn", "unicornn")
}
plot_curves(
    distance,
    [(f"{name}, sequence {q}", oscillators[name].log_norms[q]) for name in oscillators for q in (0, 1)],
    xlabel="distance $N - i$",
    ylabel=r"$\ln\|\partial s_N/\partial s_i\|_2$",
    title="coRNN forgets at the rate of its damping, UnICORNN does not forget",
)

# %% [markdown]
# ## 5 The Hamiltonian network of 2019
#
# $\ddot y = \sigma(Wy + b)$ by leapfrog, with the step as the knob. The bound on the norm grows like
# $\cosh(N\varepsilon\sqrt{\|W\|})$: what matters is the final time $N\varepsilon$.

# %%
field = lg.NeuralField.random(d, 0, m)
steps = {"$\\varepsilon = 1/N$": 1.0 / N, "$\\varepsilon = 10/N$": 10.0 / N}
hamiltonian = {
    name: lg.gradient_profile(lg.unroll(field, inputs=inputs[0], scheme="leapfrog", step=step, n_steps=N))
    for name, step in steps.items()
}
plot_curves(
    distance,
    [(name, hamiltonian[name].log_norms) for name in steps],
    xlabel="distance $N - i$",
    ylabel=r"$\ln\|\partial y_N/\partial y_i\|_2$",
    title="Hamiltonian network: the final time decides",
)

# %% [markdown]
# ## 6 Linear recurrences: the LRU
#
# If the recurrence is linear, $\partial h_N/\partial h_i$ does not depend on the inputs at all. The
# LRU puts its eigenvalues on a ring just inside the unit circle. Three sequences, how many curves?

# %%
lru = lg.gradient_profile(lg.unroll(lg.cell("lru", d, m, rng=0), inputs=inputs), block="state")
plot_curves(
    distance,
    [(f"sequence {q}", lru.log_norms[q]) for q in range(3)],
    xlabel="distance $N - i$",
    ylabel=r"$\ln\|\partial h_N/\partial h_i\|_2$",
    title=r"LRU: a straight line of slope $\ln\max|\lambda|$, the same for all inputs",
)

# %% [markdown]
# ## 7 Gates of the input alone: minGRU and S6, the core of Mamba
#
# Linear in the state, with gates that see the input only: the product of the gates is the Jacobian,
# exactly. The line is no longer straight, since the input decides how much is forgotten.

# %%
gated = {
    name: lg.gradient_profile(lg.unroll(lg.cell(name, d, m, rng=0), inputs=inputs), block="state")
    for name in ("mingru", "s6")
}
plot_curves(
    distance,
    [(f"{name}, sequence {q}", gated[name].log_norms[q]) for name in gated for q in (0, 1)],
    xlabel="distance $N - i$",
    ylabel=r"$\ln\|\partial h_N/\partial h_i\|_2$",
    title="minGRU and S6: a product of gates between zero and one",
)

# %% [markdown]
# ## 8 LinOSS: a linear oscillator, discretised twice
#
# The implicit step IM dissipates, $|\lambda|^2 = 1/(1 + \Delta t^2 A)$; the symplectic step IMEX does
# not, $|\lambda| = 1$. D-LinOSS adds a damping that is learnt. The ideas of sections 4, 5 and 6 meet
# here.

# %%
linear = {
    name: lg.gradient_profile(lg.unroll(lg.cell(name, d, m, rng=0), N), block="state")
    for name in ("linoss_im", "linoss_imex", "dlinoss")
}
plot_curves(
    distance,
    [(name, linear[name].log_norms) for name in linear],
    xlabel="distance $N - i$",
    ylabel=r"$\ln\|\partial s_N/\partial s_i\|_2$",
    title="LinOSS: the discretisation decides whether the past is kept",
)

# %% [markdown]
# "No eigenvalue is larger than one" is not yet "the norm stays small": where $A$ is small a step is
# nearly a shear, and the norm first grows like $N\Delta t$. The ledger of the paper has the bounds,
# and says where its sentences need another hypothesis: `leapgrad claims --paper linoss`.

# %%
for A in (0.0, 1e-4, 1.0):
    norms = [lg.jacobian_norm(lg.unroll(lg.cell("linoss_im", 1, A=A, dt=1.0), n)) for n in (10, 157, 1000)]
    print(f"A = {A:g}: ‖M^N‖ = {norms[0]:.4g}, {norms[1]:.4g}, {norms[2]:.4g} for N = 10, 157, 1000")

# %% [markdown]
# ## 9 What the pictures do not say
#
# A tame $\partial h_N/\partial h_0$ does not mean a tame gradient by the *parameters*. For $h' =
# \lambda h + x$ the norm is $\lambda^N \le 1$, and yet $E(\partial h/\partial\lambda)^2 = (1 +
# \lambda^2)/(1 - \lambda^2)^3$ explodes as $\lambda \to 1$. That is the curse of memory: `leapgrad
# claims --paper memory`.

# %%
for rate in (0.9, 0.99, 0.999):
    print(f"λ = {rate}: E h² = {1 / (1 - rate**2):.4g}, E(∂h/∂λ)² = {(1 + rate**2) / (1 - rate**2) ** 3:.4g}")

# %% [markdown]
# ## Exercises
#
# 1. Give the LSTM of section 2 forget biases of 2 and of 8. Which length of sequence does each reach
#    before the norm falls below $10^{-3}$? *(easy, 5 minutes)*
# 2. Set $\Delta t$ of `linoss_imex` so that $\Delta t^2 A$ is 3.9 and then 4.1 for $A = 1$. Explain
#    both pictures with the trace of the step. *(medium, 10 minutes)*
# 3. Alternate two steps of LinOSS-IMEX with $A = 0.5$ and $A = 3.5$ at $\Delta t = 1$. Each is
#    stable. Is their product? Compare with `leapgrad claims --paper linoss time_varying`. *(hard, 20
#    minutes)*
