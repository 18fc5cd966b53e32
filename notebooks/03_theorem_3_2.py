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
# The paper's central estimate, for $d = 1$ and $\ddot y = \sigma(Wy + b)$: if $\dot y(0) > T$, then
# $\left|\partial y(t)/\partial y(0)\right| = O(t)$ on $[0, T]$. From it the paper concludes that the
# gradient of its network grows linearly for all weights. We check the printed proof line by line, show which
# hypothesis is necessary, and prove theorems that hold without it.

# %%
# %matplotlib inline
import os

import numpy as np
from IPython.display import Math

from integrators import NeuralField
from proofs import CATALOGUE, check, check_mutants
from sensitivity import bounds, jacobian_norm
from sensitivity.figures.analysis import plot_funnel
from sensitivity.figures.plots import plot_curves
from sensitivity.papers.hamiltonian.funnel import funnel_in_length, funnel_in_step

FAST = os.environ.get("LEAPGRAD_FAST") == "1"

# %% [markdown]
# ## The proof, step by step
#
# Each line is an identity or an inequality in SymPy. A function decides whether it holds, and may find that
# it does not.

# %%
report = check("theorem_3_2")
for step in report.steps:
    role = "" if str(step.step.role) == "argument" else f" [{step.step.role}]"
    print(f"{step.decision.outcome}{role}: {step.step.claim}\n    {step.decision.note}")
print("\nVerdict:", report.headline)

# %% [markdown]
# Would these functions notice a mistake? This is tested with *mutants*, which are copies of the proof with
# one sign, constant or hypothesis changed. Each of them must be refuted.

# %%
for mutant in CATALOGUE["theorem_3_2"].mutants:
    print(f"{mutant.name}: {mutant.description}")
print(check_mutants("theorem_3_2"))

# %% [markdown]
# ## What the bound says: O(1), not O(T)
#
# With $\dot y(0) = \kappa T$ the bound at $t = T$ does not contain T at all.

# %%
kappa = 2.0
for T in (1.0, 10.0, 100.0):
    field = NeuralField([[0.5]], [0.3])
    value = bounds.theorem_3_2(field, T / 1000, 1000, y0=[0.0], p0=[kappa * T])
    for N in (1000, 100_000):
        norm = jacobian_norm(field, "leapfrog", T / N, N, p0=[kappa * T])
        print(f"T = {T:5.0f}: bound {value:.4f}; norm {norm:.4f} with N = {N} steps")

# %% [markdown]
# In the last two lines, with T = 100 and N = 1000, the norm lies *above* the bound. This does not contradict
# theorem 3.2, which is about the differential equation: a network that moves by $\varepsilon\dot y = 20$ in
# one step does not approximate it. With N = 100 000 the recursion follows the flow, and the bound holds. The
# theorems A to F below are about the recursion itself, for every step.

# %% [markdown]
# ## The hypothesis excludes the paper's own network
#
# That network starts from rest, $\dot y(0) = 0$. For this start the function raises an error that names the
# hypothesis:

# %%
field = NeuralField([[1.0]], [0.0])  # σ = tanh, W = 1, b = 0
try:
    bounds.theorem_3_2(field, 0.01, 1000)
except ValueError as error:
    print(error)

# %% [markdown]
# ## The counterexample, run
#
# σ = tanh, W = 1, b = 0, y(0) = ẏ(0) = 0. Then y ≡ 0 and $S(t) = \cosh t$, which grows
# exponentially and not linearly.

# %%
print(report.counterexample)
T = np.linspace(0.5, 12.0, 24)
norm = jacobian_norm(field, "leapfrog", T / 2000, 2000)
plot_curves(
    T,
    [("leapfrog, N = 2000", norm), ("cosh t", np.cosh(T)), ("1 + t", 1.0 + T)],
    xlabel="final time $T = N\\varepsilon$",
    ylabel=r"$|\partial y_N/\partial y_0|$",
    yscale="log",
    title="From rest the gradient is cosh, not linear",
)

# %% [markdown]
# ## Theorems A to F, which hold for every start
#
# For every d, W, initial value and input, $\|\partial y_N/\partial y_0\| \le C_N(1 + \tfrac12\varepsilon^2
# L\|W\|) \le \cosh(N\varepsilon\sqrt{L\|W\|})$ with the Chebyshev polynomial $C_N$ (theorem B), and every
# singular value is at least $2 - C_N$ (theorem C).

# %%
for name in ("theorem_a", "theorem_b", "theorem_c", "theorem_d", "theorem_e", "theorem_f", "theorem_g"):
    one = check(name)
    print(
        f"{one.headline}  {CATALOGUE[name].title} ({len(one.steps)} steps)\n    {CATALOGUE[name].statement}"
    )

# %% [markdown]
# ### The bounds approach the norm
#
# All singular values of $\partial y_N/\partial y_0$ lie in the shaded region between the bounds. For ε → 0
# the bounds approach the norm. Theorem F uses the slopes along the trajectory and stays close to the norm for
# larger ε.

# %%
network = NeuralField.random(10)
plot_funnel(funnel_in_step(network, "leapfrog", np.geomspace(1e-4, 4e-3, 15 if FAST else 60), 1000))

# %% [markdown]
# With ε = 1/N these bounds do not depend on N. So the heuristic (14) of the paper holds, with an explicit
# constant, without theorem 3.2.

# %%
lengths = (
    (1, 3, 10, 30, 100, 300, 1000) if FAST else (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
)
plot_funnel(funnel_in_length(network, "leapfrog", 1.0, lengths))

# %%
Math(r"\left\|\frac{\partial y_N}{\partial y_0}\right\| \le \cosh\!\left(N\varepsilon\sqrt{L\|W\|}\right)")

# %% [markdown]
# The paper says "independent of the parameters". This does not hold, since the constant contains
# $\sqrt{L\|W\|}$. Theorem G states the dependence exactly.
# Next: [4 The heuristic ε ∝ 1/N](04_heuristic.ipynb).
