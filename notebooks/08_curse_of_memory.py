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
# # 8 The curse of memory
#
# *Difficulty: medium. Time: 30 minutes, and 30 more for the exercises. You need: lesson 1, and what a
# variance is.*
#
# **What you will learn**
#
# - that a tame $\partial s_N/\partial s_0$ does not make a tame $\partial s_N/\partial\theta$;
# - the exact formula for one neuron, and which steps its gradient comes from;
# - what the normalisation γ and the parametrisation of the LRU repair, and what they leave;
# - how to ask the same of any network.
#
# The longer a network remembers, the more a small change of its parameters changes what it remembers: a
# parameter acts at every step, and its effects add up. N. Zucchet and A. Orvieto (*Recurrent neural
# networks: vanishing and exploding gradients are not the end of the story*, NeurIPS 2024) call this the
# curse of memory.
#
# ## One neuron
#
# $h_{i+1} = \lambda h_i + x_{i+1}$ with $0 < \lambda < 1$. Here $\partial h_N/\partial h_0 = \lambda^N$
# never exceeds one, whatever N is.
#
# > **Question.** How large is $\partial h_N/\partial\lambda$ for constant inputs $x_i = 1$ and a long run?
# > Think of the limit of $h_N$ first.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

import leapgrad as lg

FAST = os.environ.get("LEAPGRAD_FAST") == "1"
plt.rcParams.update({"figure.figsize": (7.2, 3.8), "figure.constrained_layout.use": True, "axes.grid": True})
rates = (0.9, 0.99, 0.999)
neuron = lg.cell("vanilla", 1, 1, activation="identity")
neurons = {rate: neuron.with_parameters(W=[[rate]], V=[[1.0]], b=[0.0]) for rate in rates}
for rate, cell in neurons.items():
    run = lg.unroll(cell, inputs=np.ones((20_000, 1)))
    sensitivity = lg.parameter_sensitivity(run)["W"].spectral
    print(f"λ = {rate}: ‖∂h_N/∂h_0‖ = {lg.jacobian_norm(run):.1g}, ‖∂h_N/∂λ‖ = {sensitivity:.6g}")

# %% [markdown]
# $h_N \to 1/(1-\lambda)$, and its derivative is $1/(1-\lambda)^2$: 100, 10 000 and 1 000 000. The
# gradient by the initial state has vanished completely, and that by the parameter has exploded, in one
# and the same run.
#
# ## Random inputs, and an exact formula
#
# For independent inputs with mean 0 and variance 1, $h_N = \sum_k \lambda^k x_{N-k}$ and $\partial
# h_N/\partial\lambda = \sum_k k \lambda^{k-1} x_{N-k}$, so that
#
# $$E\,h^2 = \frac{1}{1-\lambda^2}, \qquad
#   E\left(\frac{\partial h}{\partial\lambda}\right)^2 = \frac{1+\lambda^2}{(1-\lambda^2)^3}.$$
#
# The computer algebra system sums these series in `leapgrad claims --paper memory`.
#
# > **Question.** Dividing h by its own standard deviation takes one factor $1/(1-\lambda^2)$ out. Is what
# > remains tame?

# %%
grid = 1.0 - np.geomspace(0.3, 0.01, 6 if FAST else 10)
sequences, N = (100, 500) if FAST else (600, 1500)
drawn = np.random.default_rng(0).normal(size=(sequences, N, 1))
squares = np.array(
    [
        lg.parameter_sensitivity(
            lg.unroll(neuron.with_parameters(W=[[r]], V=[[1.0]], b=[0.0]), inputs=drawn)
        )["W"].spectral
        ** 2
        for r in grid
    ]
)
exact = (1.0 + grid**2) / (1.0 - grid**2) ** 3
error = squares.std(axis=1) / np.sqrt(sequences)
print("measured ÷ exact:", (squares.mean(axis=1) / exact).round(3))
print("standard error ÷ exact:", (error / exact).round(3))
plt.loglog(1.0 - grid, exact, "-", label="$(1+λ^2)/(1-λ^2)^3$")
plt.errorbar(1.0 - grid, squares.mean(axis=1), 2.0 * error, fmt="o", capsize=2, label="measured")
plt.loglog(1.0 - grid, 1.0 / (1.0 - grid**2), "--", label="$E\\,h^2$")
plt.gca().invert_xaxis()
plt.xlabel("$1 - λ$ (dimensionless), longer memory to the right")
plt.ylabel(r"$E\,(\partial h/\partial\lambda)^2$")
plt.title(f"{sequences} random sequences of length {N}; bars are two standard errors")
plt.legend()
plt.show()

# %% [markdown]
# No: $E(\partial h/\partial\lambda)^2/E\,h^2 = (1+\lambda^2)/(1-\lambda^2)^2$ still grows without limit.
#
# ## Which steps does it come from?
#
# The sum has a term for each input. Backpropagation adds it up in another order, step by step: the k-th last
# step contributes $\lambda^{k-1}h_{N-k}$, and this is what the picture shows.
#
# > **Question.** Truncated backpropagation keeps the last w steps. How does the w that loses only 1 % of
# > the gradient depend on λ?

# %%
for rate, line in zip(rates[:2], ("-", "--"), strict=True):
    run = lg.unroll(neurons[rate], inputs=drawn[0])
    found = lg.gradient_in_time(run, [1.0])
    print(f"λ = {rate}: 99 % of the gradient in the last {found.window(0.01)} steps")
    plt.plot(np.arange(N, 0, -1), found.norms, line, label=f"λ = {rate}")
plt.xscale("log")
plt.xlabel("$k$, counted from the last step")
plt.ylabel(r"$|\lambda^{k-1} h_{N-k}|$")
plt.title("Parts of ∂h_N/∂λ by step, for one random sequence")
plt.legend()
plt.show()

# %% [markdown]
# Like $1/(1-\lambda)$ times a number near five: a network that remembers a hundred times longer needs a
# window a hundred times longer. The same with sliders:

# %%
lg.explore(
    lambda rate, n_steps: (
        plt.plot(
            np.arange(1, n_steps + 1),
            lg.gradient_in_time(
                lg.unroll(neuron.with_parameters(W=[[rate]], V=[[1.0]], b=[0.0]), inputs=drawn[1, :n_steps]),
                [1.0],
            ).norms,
        ),
        plt.xlabel("step $i$"),
        plt.ylabel(r"part of step $i$ in $\partial h_N/\partial\lambda$"),
        plt.title(f"λ = {rate:g}, N = {n_steps}"),
    ),
    rate=[0.5, 0.9, 0.97, 0.99],
    n_steps=[50, 200, 500],
)

# %% [markdown]
# ## What the LRU does about it
#
# A neuron of the linear recurrent unit (A. Orvieto et al., ICML 2023) is $h_{i+1} = \lambda h_i +
# \gamma\,x_{i+1}$ with the complex $\lambda = \exp(-e^\nu + i\,e^\theta)$ and $\gamma =
# \sqrt{1-|\lambda|^2}$. The normalisation makes $E|h|^2 = 1$. With $r = |\lambda|$ and $\varphi =
# e^\theta$ the sums are again geometric:
#
# $$E\left|\frac{\partial h}{\partial\nu}\right|^2 = \frac{r^2 \ln^2 r}{(1-r^2)^2}
#   \;\longrightarrow\; \frac14 \quad (r \to 1), \qquad
#   E\left|\frac{\partial h}{\partial\theta}\right|^2 = \frac{\varphi^2 r^2 (1+r^2)}{(1-r^2)^2}.$$
#
# > **Question.** Which of the two parameters is cured, the decay ν or the angle θ? Why does a small φ help?

# %%
unit = lg.cell("lru", 1, 1, rng=0)
angle = 0.5
units = {r: unit.with_free(np.array([np.log(-np.log(r)), np.log(angle), 1.0, 0.0])) for r in grid}
lru = {r: lg.parameter_sensitivity(lg.unroll(cell, inputs=drawn[:100])) for r, cell in units.items()}
by_decay = grid**2 * np.log(grid) ** 2 / (1.0 - grid**2) ** 2
by_angle = angle**2 * grid**2 * (1.0 + grid**2) / (1.0 - grid**2) ** 2
for name, values, marker, color in (("nu", by_decay, "o", "C0"), ("theta", by_angle, "s", "C1")):
    means = [(norms[name].spectral ** 2).mean() for norms in lru.values()]
    plt.loglog(1.0 - grid, values, "-", color=color)
    plt.loglog(1.0 - grid, means, marker, color=color, fillstyle="none", label=f"by {name}")
plt.loglog(1.0 - grid, exact, "--", color="C2", label="by λ, without γ")
plt.gca().invert_xaxis()
plt.xlabel("$1 - |λ|$ (dimensionless), longer memory to the right")
plt.ylabel("mean square of the sensitivity")
plt.title("One neuron of an LRU: formulas (lines) and measured (marks)")
plt.legend()
plt.show()

# %% [markdown]
# The decay is cured: its sensitivity stays below 1/2, however long the memory. The angle is not: it has
# lost one power of $1/(1-r^2)$ to γ, and the rest is φ²/(1 − r)², large unless the angle is small.
#
# ## Any network
#
# `lg.parameter_sensitivity` gives the norm by every parameter of every network. Below, N grows, and each
# network keeps $\partial s_N/\partial s_0$ within reach of one or below: an orthogonal network (expRNN),
# an LRU, an LSTM, and the Hamiltonian network with $\varepsilon = 1/N$ and thus the time $N\varepsilon =
# 1$.
#
# > **Question.** Which of the four has a gradient by its recurrent parameters that grows with N?

# %%
lengths = (10, 30, 100, 300) if FAST else (10, 30, 100, 300, 1000)
series = np.random.default_rng(1).normal(size=(lengths[-1], 1))
cells = {name: lg.cell(name, 8, 1, rng=0) for name in ("exprnn", "lru", "lstm")}
runs = {name: [lg.unroll(cell, inputs=series[:N]) for N in lengths] for name, cell in cells.items()}
field = lg.NeuralField.random(8, 0, 1)
runs["hamiltonian"] = [
    lg.unroll(field, scheme="leapfrog", step=1.0 / N, n_steps=N, inputs=series[:N]) for N in lengths
]
figure, panels = plt.subplots(1, 2, figsize=(9.6, 4.0))
for (name, own), line in zip(runs.items(), ("o-", "s--", "^-.", "v:"), strict=True):
    parameter = {"exprnn": "A", "lru": "nu"}.get(name, "W")
    norms = [lg.parameter_sensitivity(run)[parameter].spectral for run in own]
    panels[0].loglog(lengths, [np.maximum(lg.jacobian_norm(run), 1e-16) for run in own], line, label=name)
    panels[1].loglog(lengths, norms, line, label=f"{name}, by {parameter}")
panels[0].set(xlabel="$N$", ylabel=r"$\|\partial s_N/\partial s_0\|_2$", title="by the state: tame")
panels[1].set(xlabel="$N$", ylabel=r"$\|\partial s_N/\partial\theta\|_2$", title="by the parameters")
panels[0].legend()
panels[1].legend()
plt.show()

# %% [markdown]
# The orthogonal network, whose gradient by the state is 1 exactly, is the one that grows most: nothing is
# forgotten, so all effects of W add up. Those of the LSTM and the LRU settle once N is longer than their
# memory. In the Hamiltonian network each step changes the state by ε = 1/N only, so that the sum of N
# effects does not grow. A short memory, a parametrisation, or a small step: that is what tames the
# gradient by the parameters, and not the norm by the state.
#
# ## Exercises
#
# ### Exercise 1 · easy, 5 minutes
#
# For which λ is $E(\partial h/\partial\lambda)^2$ a million?

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
candidates = 1.0 - np.geomspace(1e-3, 1e-1, 10_000)
squared = (1.0 + candidates**2) / (1.0 - candidates**2) ** 3
print("λ =", candidates[np.argmin(np.abs(squared - 1e6))].round(4))
print("by hand: 1 − λ² ≈ (2/10⁶)^(1/3), so λ ≈", np.sqrt(1.0 - 2e-6 ** (1 / 3)).round(4))

# %% [markdown]
# ### Exercise 2 · medium, 10 minutes
#
# How long is the window of 1 % for λ = 0.9, 0.95 and 0.99, as a median over 50 random sequences? Compare
# it with $1/(1-\lambda)$.

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
for rate in (0.9, 0.95, 0.99):
    cell = neuron.with_parameters(W=[[rate]], V=[[1.0]], b=[0.0])
    windows = lg.gradient_in_time(lg.unroll(cell, inputs=drawn[: 10 if FAST else 50]), [1.0]).window(0.01)
    print(f"λ = {rate}: median {np.median(windows):.0f}, times 1 − λ: {np.median(windows) * (1 - rate):.1f}")

# %% [markdown]
# ### Exercise 3 · hard, 15 minutes
#
# Real inputs are correlated in time. Let $x_i = 0.9\,x_{i-1} + \sqrt{1 - 0.81}\,\xi_i$, which also has
# the variance 1; its samples are the states of a neuron. How much larger is $E(\partial
# h/\partial\lambda)^2$ for λ = 0.9? Does γ of the LRU, which is made for independent inputs, still give
# $E|h|^2 = 1$?

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
source = neuron.with_parameters(W=[[0.9]], V=[[np.sqrt(1.0 - 0.81)]], b=[0.0])
correlated = lg.unroll(source, inputs=drawn).states()[:, 1:]
for name, given in (("independent", drawn), ("correlated", correlated)):
    run = lg.unroll(neurons[0.9], inputs=given)
    square = (lg.parameter_sensitivity(run)["W"].spectral ** 2).mean()
    print(f"{name}: E(∂h/∂λ)² = {square:.4g}, γ² E h² = {0.19 * (run.states()[:, -1] ** 2).mean():.3g}")
print("Correlated inputs make it worse: neighbouring terms of both sums have the same sign.")

# %% [markdown]
# Back to [5 Your own network](05_your_network.ipynb): `lg.parameter_sensitivity` and
# `lg.gradient_in_time` take its runs, too. On the command line: `leapgrad parameters`.
