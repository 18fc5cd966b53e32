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
# # 4 The heuristic ε ∝ 1/N, as an experiment
#
# The paper recommends a step $\varepsilon = O(1/N)$ (equation 14) and shows it in Figure 4: the best ε of
# a network that decides the sign of the mean of N numbers decreases like 1/N. We run a small version of
# this experiment, with every ε of a grid and several seeds. It finds the whole *set* of ε within one
# standard error of the best, an interval for the exponent, and two controls.

# %%
# %matplotlib inline
import os

from sensitivity.papers.hamiltonian.heuristic.experiment import run_experiment
from sensitivity.papers.hamiltonian.heuristic.figure import figure_4
from sensitivity.papers.hamiltonian.heuristic.plan import ScanPlan
from sensitivity.papers.hamiltonian.heuristic.report import findings

FAST = os.environ.get("LEAPGRAD_FAST") == "1"
small = ScanPlan(
    lengths=(10, 20, 40),
    control_lengths=(20, 40),
    seeds=2,
    a_decade=3,
    window=(0.3, 10.0),
    epochs=4,
    scales=(1 / 4, 1.0, 4.0),
    collapse_length=20,
    trace_length=20,
)
usual = ScanPlan(
    lengths=(10, 20, 40, 80),
    control_lengths=(20, 80),
    seeds=2,
    a_decade=4,
    window=(0.25, 20.0),
    epochs=8,
    scales=(1 / 16, 1.0, 16.0),
    collapse_length=20,
    trace_length=40,
)
found = run_experiment("gaussian_mean", small if FAST else usual, progress=False)

# %% [markdown]
# ## What came out
#
# This run is small, so the intervals matter more than the exponents themselves. `leapgrad heuristic --full`
# is the experiment at full size.

# %%
for label, value in findings(found).items():
    print(f"{label}: {value}")

# %%
figure_4(found, "A small run; see above for its numbers.")

# %% [markdown]
# ## What theory says
#
# Theorem C: with ε = c/N every singular value of $\partial y_N/\partial y_0$ lies within $2 -
# \cosh(c\sqrt{L\|W\|})$ and $\cosh(c\sqrt{L\|W\|})$ for every N, so with this heuristic gradients stay of
# order one. The same holds for the Euler network (theorem D). At $T = N\varepsilon = O(1)$ the heuristic
# therefore gives no reason to prefer one of the two.
#
# Theorem G: ε and the scale of W act as one parameter. If the dynamics determine the best ε, it must
# change as $s^{-1/2}$ when W is multiplied by s. The panels with rescaled axes test this.

# %%
from proofs import check

for name in ("theorem_c", "theorem_d", "theorem_g"):
    print(check(name).proposition.title, "–", check(name).headline)

# %% [markdown]
# Next: [5 Your own network](05_your_network.ipynb).
