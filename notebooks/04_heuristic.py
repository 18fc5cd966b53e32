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
# this experiment, with every ε of a grid and several seeds. The best ε is chosen on validation sequences. We
# look at the whole *set* of ε within one standard error of the best, at an interval for the exponent, and at
# two controls. Before we train anything, we ask what there is to be learned.

# %% [markdown]
# ## What a read-out can know without training
#
# Near rest the network is linear in its inputs, and its read-out sees them through kernels
# $\sinh(\sqrt\lambda\,u)/\sqrt\lambda$, where u is the time left to the end and λ an eigenvalue of W. Theorem
# G says that only $c\sqrt\lambda$ with $c = N\varepsilon$ matters. How well can a combination of these
# kernels imitate the constant weights of a mean?
#
# - W = 0 has one kernel, u. It gives 5/6 of right answers, for *every* ε, and its gradient is I.
# - m kernels give, for small c, $\rho^2 = \sum_{j<m}(4j+3)\left(\int_0^1 P_{2j+1}\right)^2$: more than
#   5/6, and again for every small ε.
# - For large c only the first inputs are left:
#   $\rho^2 \simeq \frac{2}{c}\sum \mathrm{Re}\,\lambda^{-1/2}$.

# %%
from proofs import check
from sensitivity.papers.hamiltonian.heuristic.ceiling import plateau, sign_accuracy, without_training

print(check("readout_ceiling").headline)
for m in (1, 2, 3, 5, 10):
    print(f"{m:2d} kernels: {100 * sign_accuracy(plateau(m)):.1f} %")

# %% [markdown]
# A read-out fitted by least squares to an untrained network of ten units (`tanh`), to the same without tanh
# (`identity`), and the ceiling of the latter:

# %%
untrained = without_training((20,), (1.0, 2.5, 5.0, 8.0, 14.0, 20.0), 10, (0, 1))
print("   c  ceiling  identity   tanh")
rows = zip(untrained["c"], untrained["ceiling"], untrained["identity"], untrained["tanh"]["20"], strict=True)
for c, linear, identity, tanh in rows:
    print(f"{c:4g}   {linear:.3f}    {identity:.3f}    {tanh:.3f}")

# %% [markdown]
# The plateau reaches down to every small ε. So there is no lower limit to a good ε in what the state knows;
# a lower limit found by training is one of the read-out, whose weights would have to be large. The upper
# limit, near $c \approx 7$, is there without training too, but only with tanh: it is a limit of the dynamics,
# and it is the same c for every N. That is the part of ε ∝ 1/N that holds.

# %% [markdown]
# ## The experiment

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
# This run is small, so the intervals matter more than the exponents themselves; a line compares it with
# `leapgrad heuristic --full`, the experiment at full size, which also has other networks and other tasks.
# There the exponent of the best ε is −0.95 on the Gaussian mean, but −0.5 on shock preservation; on both
# shock preservation and XOR the smallest ε that learns does not move with N.

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
for name in ("theorem_c", "theorem_d", "theorem_g"):
    print(check(name).proposition.title, "–", check(name).headline)

# %% [markdown]
# Next: [5 Your own network](05_your_network.ipynb).
