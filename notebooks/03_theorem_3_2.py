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
# # 3 Theorem 3.2 under the microscope
#
# *Difficulty: medium. Time: 35 minutes, and 25 more for the exercises. You need: calculus and lesson 1.*
#
# **What you will learn**
#
# - how a printed proof is checked line by line by a computer algebra system, and what keeps such a check
#   honest;
# - which hypothesis of the theorem is necessary, and which network it excludes;
# - which bounds hold for every start, and how close they are to the norm.
#
# The paper's central estimate, for $d = 1$ and $\ddot y = \sigma(Wy + b)$: if $\dot y(0) > T$, then
# $\left|\partial y(t)/\partial y(0)\right| = O(t)$ on $[0, T]$. From it the paper concludes that the
# gradient of its network grows linearly for all weights.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

import leapgrad as lg

FAST = os.environ.get("LEAPGRAD_FAST") == "1"
plt.rcParams.update({"figure.figsize": (7.2, 3.8), "figure.constrained_layout.use": True, "axes.grid": True})

# %% [markdown]
# ## The proof, step by step
#
# Each line is an identity or an inequality in SymPy. A function decides whether it holds, and may find that
# it does not.
#
# > **Question.** A program that prints "proved" proves nothing by that. What would you ask of it before you
# > believe it?

# %%
report = lg.check("theorem_3_2")
for step in report.steps:
    role = "" if str(step.step.role) == "argument" else f" [{step.step.role}]"
    print(f"{step.decision.outcome}{role}: {step.step.claim}\n    {step.decision.note}")
print("\nVerdict:", report.headline)

# %% [markdown]
# Would these functions notice a mistake? This is tested with *mutants*, which are copies of the proof with
# one sign, constant or hypothesis changed. Each of them must be refuted.

# %%
for mutant in lg.CATALOGUE["theorem_3_2"].mutants:
    print(f"{mutant.name}: {mutant.description}")
print(lg.check_mutants("theorem_3_2"))

# %% [markdown]
# ## What the bound says: O(1), not O(T)
#
# > **Question.** The theorem needs $\dot y(0) > T$. Let $\dot y(0) = \kappa T$ with $\kappa = 2$, and let T
# > grow from 1 to 100. Does the bound at $t = T$ grow?

# %%
kappa = 2.0
for T in (1.0, 10.0, 100.0):
    field = lg.NeuralField([[0.5]], [0.3])
    value = lg.bounds.theorem_3_2(field, T / 1000, 1000, y0=[0.0], p0=[kappa * T])
    for N in (1000, 100_000):
        norm = lg.jacobian_norm(field, "leapfrog", T / N, N, p0=[kappa * T])
        print(f"T = {T:5.0f}: bound {value:.4f}; norm {norm:.4f} with N = {N} steps")

# %% [markdown]
# The bound does not contain T at all. In the line with T = 100 and N = 1000, the norm lies *above* the bound.
# This does not contradict theorem 3.2, which is about the differential equation: a network that moves by
# $\varepsilon\dot y = 20$ in one step does not approximate it. With N = 100 000 the recursion follows the
# flow, and the bound holds. The theorems A to F below are about the recursion itself, for every step.
#
# ## The hypothesis excludes the paper's own network
#
# > **Question.** That network starts from rest, $\dot y(0) = 0$. For which T does the theorem say anything
# > about it?

# %%
field = lg.NeuralField([[1.0]], [0.0])  # σ = tanh, W = 1, b = 0
try:
    lg.bounds.theorem_3_2(field, 0.01, 1000)
except ValueError as error:
    print(error)

# %% [markdown]
# ## The counterexample, run
#
# > **Question.** Let σ = tanh, W = 1, b = 0, y(0) = ẏ(0) = 0. Then y ≡ 0 for all times. Which equation does
# > $S(t) = \partial y(t)/\partial y(0)$ satisfy, and how fast does it grow?

# %%
print(report.counterexample)
T = np.linspace(0.5, 12.0, 24)
plt.semilogy(T, lg.jacobian_norm(field, "leapfrog", T / 2000, 2000), "o", label="leapfrog, N = 2000")
plt.semilogy(T, np.cosh(T), "-", label=r"$\cosh T$")
plt.semilogy(T, 1.0 + T, "--", label=r"$1 + T$")
plt.xlabel(r"final time $T = N\varepsilon$ (dimensionless)")
plt.ylabel(r"$|\partial y_N/\partial y_0|$")
plt.title("From rest the gradient is cosh, not linear")
plt.legend()
plt.show()

# %% [markdown]
# $\ddot S = \sigma'(0)\,S = S$ with $S(0) = 1$, $\dot S(0) = 0$: the gradient is $\cosh t$, which grows
# exponentially and not linearly.
#
# ## Theorems A to G, which hold for every start
#
# For every d, W, initial value and input, $\|\partial y_N/\partial y_0\| \le C_N(1 + \tfrac12\varepsilon^2
# L\|W\|) \le \cosh(N\varepsilon\sqrt{L\|W\|})$ with the Chebyshev polynomial $C_N$ (theorem B), and every
# singular value is at least $2 - C_N$ (theorem C). Here $L = \sup|\sigma'|$.

# %%
for name in ("theorem_a", "theorem_b", "theorem_c", "theorem_d", "theorem_e", "theorem_f", "theorem_g"):
    one = lg.check(name)
    title, statement = lg.CATALOGUE[name].title, lg.CATALOGUE[name].statement
    print(f"{one.headline}  {title} ({len(one.steps)} steps)\n    {statement}")

# %% [markdown]
# ### How close are the bounds?
#
# > **Question.** All singular values of $\partial y_N/\partial y_0$ lie between the bounds. Where do the
# > bounds meet the norm: for small ε or for large ε?

# %%
network = lg.NeuralField.random(10)
step = np.geomspace(1e-4, 4e-3, 15 if FAST else 60)
values = lg.singular_values(network, "leapfrog", step, 1000).unscaled()
upper = lg.bounds.chebyshev(network, step, 1000)
lower = np.maximum(lg.bounds.no_vanishing(network, step, 1000), 0.0)
met = lg.bounds.aposteriori(network, "leapfrog", step, 1000)
plt.fill_between(step, lower, upper, color="tab:blue", alpha=0.15, label="between bounds C and B")
plt.plot(step, values, color="black", linewidth=0.8, label=["singular values"] + [""] * 9)
plt.plot(step, met, "--", color="tab:red", label="bound F")
plt.xscale("log")
plt.ylim(0.0, 1.6 * values.max())
plt.xlabel(r"step $\varepsilon$ (dimensionless)")
plt.ylabel(r"singular values of $\partial y_N/\partial y_0$")
plt.title("Leapfrog, d = 10, N = 1000")
plt.legend(loc="upper left")
plt.show()

# %% [markdown]
# For ε → 0 the bounds approach the norm. Theorem F uses the slopes along the trajectory and stays close to
# the norm for larger ε.
#
# **Try it.** Take $\varepsilon = c/N$ and move c. How does the picture change with N, and how with c?

# %%
lengths = [1, 2, 3, 5, 10, 30, 100, 300, 1000]
lg.explore(
    lambda c: (
        plt.semilogx(lengths, [lg.bounds.chebyshev(network, c / n, n) for n in lengths], "--",
                     label="bound B"),
        plt.semilogx(lengths, [lg.jacobian_norm(network, "leapfrog", c / n, n) for n in lengths], "o-",
                     label=r"$\|\partial y_N/\partial y_0\|_2$"),
        plt.semilogx(lengths, [lg.bounds.no_vanishing(network, c / n, n) for n in lengths], ":",
                     label="bound C"),
        plt.xlabel("length $N$"),
        plt.ylabel("norm and bounds"),
        plt.title(rf"$\varepsilon = c/N$ with $c = {c:g}$"),
        plt.legend(),
    ),
    c=[0.1, 0.3, 1.0, 2.0, 3.0],
)  # fmt: skip

# %% [markdown]
# With $\varepsilon = c/N$ these bounds do not depend on N, once N is larger than a few. So the heuristic (14)
# of the paper holds, with an explicit constant, without theorem 3.2:
#
# $$\left\|\frac{\partial y_N}{\partial y_0}\right\| \le \cosh\!\left(N\varepsilon\sqrt{L\|W\|}\right) =
# \cosh\!\left(c\sqrt{L\|W\|}\right).$$
#
# The paper says "independent of the parameters". This does not hold, since the constant contains
# $\sqrt{L\|W\|}$. Theorem G states the dependence exactly.
#
# ## Exercises
#
# ### Exercise 1 · easy, 5 minutes
#
# Take $W = -1$ in the counterexample. Solve $\ddot S = -S$ and compare with the network. Does the gradient
# explode?

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
oscillator = lg.NeuralField([[-1.0]], [0.0])
norm = lg.jacobian_norm(oscillator, "leapfrog", T / 2000, 2000)
print("S = cos t; largest difference from |cos T|:", f"{np.abs(norm - np.abs(np.cos(T))).max():.1e}")

# %% [markdown]
# ### Exercise 2 · medium, 10 minutes
#
# From theorem C: for which c is every singular value proved to be at least 1/2, for every N with
# $\varepsilon = c/N$? Write c as a formula of $\sqrt{L\|W\|}$ and compare with `lg.recommend_step`, which
# asks for all singular values in [1/2, 2].

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
c = np.arccosh(1.5) / np.sqrt(network.lipschitz)
print(f"2 − cosh(c √(L‖W‖)) = 1/2 for c = {c:.4f}, that is ε = {c / 1000:.6f} at N = 1000")
print(lg.recommend_step(network, 1000))

# %% [markdown]
# ### Exercise 3 · hard, 10 minutes
#
# Theorem B is attained for σ = identity, d = 1 and $W > 0$. One of its mutants, "attracting", says the same
# of $W < 0$. Find ε, N and W for which the mutant is wrong, and check your answer with two numbers.

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
for w in (2.0, -2.0):
    line = lg.NeuralField([[w]], [0.0], activation="identity")
    norm, bound = lg.jacobian_norm(line, "leapfrog", 0.1, 50), lg.bounds.chebyshev(line, 0.1, 50)
    print(f"W = {w:g}, ε = 0.1, N = 50: norm {norm:.4f}, bound B {bound:.4f}")
print("the step of the proof that refutes the mutant:", *lg.check_mutants("theorem_b")["attracting"])

# %% [markdown]
# Next: [4 The heuristic ε ∝ 1/N](04_heuristic.ipynb).
