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
# *Difficulty: from easy to hard, as it stands at each exercise. Time: 95 minutes in all. You need: lessons 1
# to 3.*
#
# **What you will learn:** to find an equality case of a bound, to make a scheme and to examine it, to choose
# a step with a guarantee, and to tell chaos from growth.
#
# Write down what you expect before you compute it. Each exercise has a hidden solution: click on the
# collapsed cell below it. (A copy made with `leapgrad notebooks DIR --no-solutions` has an empty cell there.)

# %%
import matplotlib.pyplot as plt
import numpy as np

import leapgrad as lg

plt.rcParams.update({"figure.figsize": (7.2, 3.8), "figure.constrained_layout.use": True, "axes.grid": True})

# %% [markdown]
# ## 1 A case in which the bound is an equality
#
# *easy, 5 minutes*
#
# Theorem B holds with equality for σ = identity, d = 1, W > 0. Show it for ε = 0.1, N = 50, W = 2. What
# is bound F in this case?

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
line = lg.NeuralField([[2.0]], [0.0], activation="identity")
print("norm   ", lg.jacobian_norm(line, "leapfrog", 0.1, 50))
print("bound B", lg.bounds.chebyshev(line, 0.1, 50))
print("bound F", lg.bounds.aposteriori(line, "leapfrog", 0.1, 50))

# %% [markdown]
# ## 2 Step and weights are one parameter
#
# *easy, 10 minutes*
#
# Theorem G: from rest, the recursion (11) with (ε, W) and with (ε/2, 4W), b being the same, has the same
# $\partial y_N/\partial y_0$. Check it to the last bit for a random field.

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
field = lg.NeuralField.random(6, rng=3)
scaled = lg.NeuralField(4.0 * field.W, field.b)
same = lg.jacobian(field, "leapfrog", 0.1, 200) == lg.jacobian(scaled, "leapfrog", 0.05, 200)
print("equal to the last bit:", bool(same.all()))
print("theorem G:", lg.check("theorem_g").headline)

# %% [markdown]
# ## 3 A scheme of your own
#
# *medium, 15 minutes*
#
# Ruth's scheme of 1983 has drifts 1, −2/3, 2/3 and kicks −1/24, 3/4, 7/24. What is its order? Does it
# preserve areas? Is it symmetric?

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
ruth = lg.Scheme("ruth3", 3, a=("1", "-2/3", "2/3"), b=("-1/24", "3/4", "7/24"))
print(lg.convergence(lg.henon_heiles(), [ruth], [0.1, 0.2], [0.3, 0.1], 10.0, (50, 100, 200, 400)))
values = lg.singular_values(lg.pendulum(), ruth, 0.12, 60, [1.5], [0.0], block="phase").unscaled()
print(f"area × {values[0] * values[1]:.9f}; symmetric: {ruth.is_symmetric}")

# %% [markdown]
# ## 4 The other Euler
#
# *medium, 10 minutes*
#
# `euler` (the network of equation 12) and `explicit_euler` are two different schemes. Which of them has a
# phase plane, and what happens to the area of the other one's sensitivity ellipse after 100 steps of 0.1
# on the harmonic oscillator ($\det = (1 + \varepsilon^2)^N$)?

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
print(lg.get_scheme("euler").form, "·", lg.get_scheme("explicit_euler").form)
values = lg.singular_values(lg.harmonic(), "explicit_euler", 0.1, 100, [1.0], block="phase").unscaled()
print(f"area × {values[0] * values[1]:.6f}, (1 + ε²)^N = {1.01**100:.6f}")

# %% [markdown]
# ## 5 A step with a guarantee
#
# *easy, 10 minutes*
#
# For a random network with d = 20 and N = 500: which step is *proved* to keep all singular values in [1/2,
# 2], and up to which step do they stay there in fact?

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
network = lg.NeuralField.random(20, rng=1)
safe = lg.recommend_step(network, 500)
print(safe)
values = np.asarray(lg.singular_values(network, "leapfrog", safe.guaranteed, 500))
print(f"at the guaranteed step: {values.min():.3f} … {values.max():.3f}")

# %% [markdown]
# ## 6 Is it chaotic?
#
# *hard, 20 minutes*
#
# The largest growth exponent per step of a random network with large weights, with its standard error: is
# it positive? And what is the sum of *all* exponents of a leapfrog network, for any weights?

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
rng = np.random.default_rng(5)
wild = lg.NeuralField(6.0 * rng.normal(size=(4, 4)), np.zeros(4), activation="sin")
found = lg.growth_exponents(wild, "leapfrog", 0.2, 4000, y0=rng.normal(size=4))
print(found)
print("sum of all:", np.sum(found.exponents), "– volume is preserved, so it is zero up to round-off")

# %% [markdown]
# ## 7 Where does the bound become loose?
#
# *medium, 15 minutes*
#
# Find the step at which bound B exceeds the norm of `lg.NeuralField.random(10)`, N = 1000, by a
# factor of two; then do the same for bound F.

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
network, step = lg.NeuralField.random(10), np.geomspace(1e-3, 1e-1, 41)
norm = lg.jacobian_norm(network, "leapfrog", step, 1000)
ratios = {
    "B": lg.bounds.chebyshev(network, step, 1000) / norm,
    "F": lg.bounds.aposteriori(network, "leapfrog", step, 1000) / norm,
}
for (name, ratio), line in zip(ratios.items(), ("-", "--"), strict=True):
    plt.loglog(step, ratio, line, label=f"bound {name} ÷ norm")
    loose = step[ratio > 2.0]
    print(f"bound {name}:", f"factor two from ε = {loose[0]:.4f} on" if loose.size else "never on this range")
plt.axhline(2.0, color="black", linewidth=0.8)
plt.xlabel(r"step $\varepsilon$ (dimensionless)")
plt.ylabel("bound ÷ norm")
plt.ylim(0.8, 1e6)
plt.legend()
plt.show()

# %% [markdown]
# ## 8 Forwards and backwards
#
# *easy, 10 minutes*
#
# Leapfrog is reversible. Run a network 300 steps, turn the velocity round, run it back: how far from the
# start does it end?

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
net = lg.NeuralField.random(5, rng=2)
there = lg.integrate(net, "leapfrog", np.ones(5), np.zeros(5), 0.01, 300)
back = lg.integrate(net, "leapfrog", there.y[-1], -there.p[-1], 0.01, 300)
print("distance:", np.abs(back.y[-1] - 1.0).max())
