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
# # 6 Exercises
#
# Each exercise has a hidden solution: click on the collapsed cell below it. The solutions are executed
# with the notebook.

# %%
# %matplotlib inline
import numpy as np

from integrators import NeuralField, Scheme, get_scheme, henon_heiles, integrate, pendulum
from proofs import check
from sensitivity import bounds, growth_exponents, jacobian, jacobian_norm, recommend_step, singular_values
from sensitivity.analysis.convergence import convergence
from sensitivity.papers.hamiltonian.funnel import funnel_in_step
from sensitivity.papers.hamiltonian.portraits import phase_area, sensitivity_ellipses

# %% [markdown]
# ## 1 A case in which the bound is an equality
#
# Theorem B holds with equality for σ = identity, d = 1, W > 0. Show it for ε = 0.1, N = 50, W = 2. What
# is bound F in this case?

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
line = NeuralField([[2.0]], [0.0], activation="identity")
print("norm   ", jacobian_norm(line, "leapfrog", 0.1, 50))
print("bound B", bounds.chebyshev(line, 0.1, 50))
print("bound F", bounds.aposteriori(line, "leapfrog", 0.1, 50))

# %% [markdown]
# ## 2 Step and weights are one parameter
#
# Theorem G: from rest, the recursion (11) with (ε, W) and with (ε/2, 4W), b being the same, has the same
# $\partial y_N/\partial y_0$. Check it to the last bit for a random field.

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
field = NeuralField.random(6, rng=3)
scaled = NeuralField(4.0 * field.W, field.b)
same = jacobian(field, "leapfrog", 0.1, 200) == jacobian(scaled, "leapfrog", 0.05, 200)
print("equal to the last bit:", bool(same.all()))
print("theorem G:", check("theorem_g").headline)

# %% [markdown]
# ## 3 A scheme of your own
#
# Ruth's scheme of 1983 has drifts 1, −2/3, 2/3 and kicks −1/24, 3/4, 7/24. What is its order? Does it
# preserve areas? Is it symmetric?

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
ruth = Scheme("ruth3", 3, a=("1", "-2/3", "2/3"), b=("-1/24", "3/4", "7/24"))
print(convergence(henon_heiles(), [ruth], [0.1, 0.2], [0.3, 0.1], 10.0, (50, 100, 200, 400)))
print(phase_area(pendulum(), ruth, 0.12, 60, (1.0, 0.0), 0.5), "symmetric:", ruth.is_symmetric)

# %% [markdown]
# ## 4 The other Euler
#
# `euler` (the network of equation 12) and `explicit_euler` are two different schemes. Which of them has a
# phase plane, and what happens to the area of the other one's sensitivity ellipse after 100 steps of 0.1
# on the harmonic oscillator ($\det = (1 + \varepsilon^2)^N$)?

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
from integrators import harmonic

print(get_scheme("euler").form, "·", get_scheme("explicit_euler").form)
ellipses = sensitivity_ellipses(harmonic(), "explicit_euler", 0.1, 100, [1.0], [0.0], frames=[100])
print("area ×", ellipses.areas[-1], " (1 + ε²)^N =", 1.01**100)

# %% [markdown]
# ## 5 A step with a guarantee
#
# For a random network with d = 20 and N = 500: which step is *proved* to keep all singular values in [1/2,
# 2], and up to which step do they stay there in fact?

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
network = NeuralField.random(20, rng=1)
safe = recommend_step(network, 500)
print(safe)
values = np.asarray(singular_values(network, "leapfrog", safe.guaranteed, 500))
print(f"at the guaranteed step: {values.min():.3f} … {values.max():.3f}")

# %% [markdown]
# ## 6 Is it chaotic?
#
# The largest growth exponent per step of a random network with large weights, with its standard error: is
# it positive? And what is the sum of *all* exponents of a leapfrog network, for any weights?

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
rng = np.random.default_rng(5)
wild = NeuralField(6.0 * rng.normal(size=(4, 4)), np.zeros(4), activation="sin")
found = growth_exponents(wild, "leapfrog", 0.2, 4000, y0=rng.normal(size=4))
print(found)
print("sum of all:", np.sum(found.exponents), "– volume is preserved, so it is zero up to round-off")

# %% [markdown]
# ## 7 Where does the bound become loose?
#
# Find the step at which bound B exceeds the norm of `NeuralField.random(10)`, N = 1000, by a factor of two;
# then do the same for bound F.

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
funnel = funnel_in_step(NeuralField.random(10), "leapfrog", np.geomspace(1e-3, 1e-1, 41), 1000)
norm = funnel.values[:, 0]
for name, bound in (("B", funnel.upper), ("F", funnel.met)):
    loose = funnel.x[bound > 2.0 * norm]
    print(
        f"bound {name}: factor two from ε = {loose[0]:.4f} on"
        if loose.size
        else f"bound {name}: never on this range"
    )

# %% [markdown]
# ## 8 Forwards and backwards
#
# Leapfrog is reversible. Run a network 300 steps, turn the velocity round, run it back: how far from the
# start does it end?

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
net = NeuralField.random(5, rng=2)
there = integrate(net, "leapfrog", np.ones(5), np.zeros(5), 0.01, 300)
back = integrate(net, "leapfrog", there.y[-1], -there.p[-1], 0.01, 300)
print("distance:", np.abs(back.y[-1] - 1.0).max())
