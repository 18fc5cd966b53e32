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
# *Difficulty: medium. Time: 35 minutes, and 35 more for the exercises. You need: lesson 1.*
#
# **What you will learn:** which ideas change the rate, which only the constant in front of it, and what the
# price of each is. **Before you run a cell, draw the picture that you expect.**

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

import leapgrad as lg

FAST = os.environ.get("LEAPGRAD_FAST") == "1"
plt.rcParams.update({"figure.figsize": (7.2, 3.8), "figure.constrained_layout.use": True, "axes.grid": True})
N, d, m = (60 if FAST else 400), 16, 2
inputs = np.random.default_rng(0).normal(size=(3, N, m))
distance = N - np.arange(N + 1)

# %% [markdown]
# ## 1 The plain network: $h' = \tanh(Wh + Vx + b)$
#
# Every step multiplies by $D\,W$ with slopes $D \le 1$.
#
# > **Question.** What does a product of four hundred such factors do?

# %%
plain = lg.gradient_profile(lg.unroll(lg.cell("vanilla", d, m, rng=0), inputs=inputs), block="state")
for q, line in enumerate(("-", "--", ":")):
    plt.plot(distance, plain.log_norms[q], line, label=f"sequence {q}")
plt.xlabel("distance $N - i$")
plt.ylabel(r"$\ln\|\partial h_N/\partial h_i\|_2$")
plt.title(f"Plain network, d = {d}, N = {N}")
plt.legend()
plt.show()

# %% [markdown]
# The gradient vanishes exponentially, at about the same rate for all sequences.

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
for name, line in zip(cells, ("-", "--"), strict=True):
    for q in (0, 1):
        plt.plot(distance, profiles[name].log_norms[q], line, label=f"{name}, sequence {q}")
plt.xlabel("distance $N - i$")
plt.ylabel(r"$\ln\|\partial s_N/\partial s_i\|_2$")
plt.title(f"LSTM, d = {d}, N = {N}")
plt.legend()
plt.show()

# %% [markdown]
# The rate is that of the forget gate: the gate turns the rate into a parameter. It does not remove it: with
# $f < 1$ the memory of the start is lost, only more slowly. With forget gates near one the norm even grows a
# little, by the products with $W$ inside the gates.
#
# ## 3 An orthogonal matrix: expRNN
#
# $W = \exp(A)$ with an antisymmetric $A$ is a rotation.
#
# > **Question.** What is left to shrink the product?

# %%
orthogonal = lg.gradient_profile(lg.unroll(lg.cell("exprnn", d, m, rng=0), inputs=inputs), block="state")
for q, line in enumerate(("-", "--", ":")):
    plt.plot(distance, orthogonal.log_norms[q], line, label=f"sequence {q}")
plt.xlabel("distance $N - i$")
plt.ylabel(r"$\ln\|\partial h_N/\partial h_i\|_2$")
plt.title(f"expRNN, d = {d}, N = {N}")
plt.ylim(-1.0, 1.0)
plt.legend()
plt.show()

# %% [markdown]
# Nothing: modReLU has the slopes 0 and 1, a rotation keeps every length, and at this start no slope is 0. The
# logarithm of the norm is zero up to round-off, some $10^{-15}$.

# %% [markdown]
# ## 4 Oscillators: coRNN and UnICORNN
#
# A second-order equation has no first-order decay unless it is damped. coRNN is damped; UnICORNN is
# not, and its step has determinant one: it can neither contract nor expand volume.
#
# > **Question.** Which of the two keeps the norm?

# %%
oscillators = {
    name: lg.gradient_profile(lg.unroll(lg.cell(name, d, m, rng=0), inputs=inputs), block="state")
    for name in ("cornn", "unicornn")
}
for name, line in zip(oscillators, ("-", "--"), strict=True):
    for q in (0, 1):
        plt.plot(distance, oscillators[name].log_norms[q], line, label=f"{name}, sequence {q}")
plt.xlabel("distance $N - i$")
plt.ylabel(r"$\ln\|\partial s_N/\partial s_i\|_2$")
plt.title(f"coRNN and UnICORNN, d = {d}, N = {N}")
plt.legend()
plt.show()

# %% [markdown]
# coRNN forgets at the rate of its damping, UnICORNN does not forget.
#
# **Try it.** Move the damping γ of coRNN. At which γ is the memory longest, and what is the price?

# %%
lg.explore(
    lambda gamma, step: lg.gradient_profile(
        lg.unroll(lg.cell("cornn", d, m, rng=0, gamma=gamma, step=step), inputs=inputs[0]), block="state"
    ).plot(title=rf"coRNN, $\gamma = {gamma:g}$, step {step:g}"),
    gamma=[0.0, 0.3, 1.0, 2.7, 6.0, 12.0],
    step=[0.005, 0.01, 0.02, 0.042, 0.1],
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
for name, line in zip(steps, ("-", "--"), strict=True):
    plt.plot(distance, hamiltonian[name].log_norms, line, label=name)
plt.xlabel("distance $N - i$")
plt.ylabel(r"$\ln\|\partial y_N/\partial y_i\|_2$")
plt.title(f"Hamiltonian network, d = {d}, N = {N}")
plt.legend()
plt.show()

# %% [markdown]
# The final time decides, not the number of steps.

# %% [markdown]
# ## 6 Linear recurrences: the LRU
#
# If the recurrence is linear, $\partial h_N/\partial h_i$ does not depend on the inputs at all. The
# LRU puts its eigenvalues on a ring just inside the unit circle.
#
# > **Question.** Three sequences, how many curves?

# %%
lru = lg.gradient_profile(lg.unroll(lg.cell("lru", d, m, rng=0), inputs=inputs), block="state")
for q, line in enumerate(("-", "--", ":")):
    plt.plot(distance, lru.log_norms[q], line, label=f"sequence {q}")
plt.xlabel("distance $N - i$")
plt.ylabel(r"$\ln\|\partial h_N/\partial h_i\|_2$")
plt.title(f"LRU, d = {d}, N = {N}")
plt.legend()
plt.show()

# %% [markdown]
# One curve, the same for all inputs. For large distances it is a straight line of slope $\ln\max|\lambda|$.

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
for name, line in zip(gated, ("-", "--"), strict=True):
    for q in (0, 1):
        plt.plot(distance, gated[name].log_norms[q], line, label=f"{name}, sequence {q}")
plt.xlabel("distance $N - i$")
plt.ylabel(r"$\ln\|\partial h_N/\partial h_i\|_2$")
plt.title(f"minGRU and S6, d = {d}, N = {N}")
plt.legend()
plt.show()

# %% [markdown]
# A product of gates between zero and one can only decrease. At its published start S6 forgets so slowly that
# its line looks horizontal here; minGRU starts with gates near one half.

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
for name, line in zip(linear, ("-", "--", ":"), strict=True):
    plt.plot(distance, linear[name].log_norms, line, label=name)
plt.xlabel("distance $N - i$")
plt.ylabel(r"$\ln\|\partial s_N/\partial s_i\|_2$")
plt.title(f"LinOSS and D-LinOSS, d = {d}, N = {N}")
plt.legend()
plt.show()

# %% [markdown]
# The discretisation decides whether the past is kept.
#
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
# ### Exercise 1 · easy, 5 minutes
#
# Give the LSTM of section 2 forget biases near 2 and near 8. Up to which distance does the norm stay above
# $10^{-3}$ for the first sequence?

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
for bias in (2.0, 8.0):
    gate = lstm.parameters["b"] + bias * np.repeat([0.0, 1.0, 0.0, 0.0], d)
    run = lg.unroll(lstm.with_parameters(b=gate), inputs=inputs[0])
    log_norms = lg.gradient_profile(run, block="state").log_norms
    print(
        f"forget bias near {bias:g}: above 1e-3 up to the distance {distance[log_norms > np.log(1e-3)].max()}"
    )

# %% [markdown]
# ### Exercise 2 · medium, 10 minutes
#
# Set $\Delta t$ of `linoss_imex` so that $\Delta t^2 A$ is 3.9 and then 4.1 for $A = 1$. Explain both norms
# with the trace of a step, $2 - \Delta t^2 A$.

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
for product in (3.9, 4.1):
    run = lg.unroll(lg.cell("linoss_imex", 1, A=1.0, dt=np.sqrt(product)), 200)
    log = float(lg.log_jacobian_norm(run, block="state"))
    print(f"Δt²A = {product}: trace {2 - product:.1f}, ln of the norm after 200 steps {log:.2f}")
print("With determinant 1 the eigenvalues lie on the unit circle while |trace| < 2.")

# %% [markdown]
# ### Exercise 3 · hard, 20 minutes
#
# Alternate two steps of LinOSS-IMEX with $A = 0.5$ and $A = 3.5$ at $\Delta t = 1$. Each is stable. Is their
# product? Multiply the two Jacobians, and compare with `leapgrad claims --paper linoss time_varying`.

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
first, second = (
    lg.jacobian(lg.unroll(lg.cell("linoss_imex", 1, A=A, dt=1.0), 1), block="state") for A in (0.5, 3.5)
)
both = first @ second
for name, matrix in {"A = 0.5": first, "A = 3.5": second, "both": both}.items():
    print(f"{name}: trace {np.trace(matrix):.3f},", "stable" if abs(np.trace(matrix)) < 2.0 else "unstable")
