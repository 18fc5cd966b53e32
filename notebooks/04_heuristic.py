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
# *Difficulty: hard. Time: 35 minutes, and 35 more for the exercises. You need: lesson 3, and what a standard
# error is.*
#
# **What you will learn**
#
# - to ask what there is to be learnt before you train;
# - to look at all step sizes that are as good as the best one, and at an interval for an exponent;
# - what a control is: a network in which the reason that is claimed for an effect is missing;
# - which part of ε ∝ 1/N holds.
#
# The paper recommends a step $\varepsilon = O(1/N)$ (equation 14) and shows it in Figure 4: the best ε of
# a network that decides the sign of the mean of N numbers decreases like 1/N.
#
# ## What a read-out can know without training
#
# Near rest the network is linear in its inputs, and its read-out sees them through kernels
# $\sinh(\sqrt\lambda\,u)/\sqrt\lambda$, where u is the time left to the end and λ an eigenvalue of W. Theorem
# G says that only $c\sqrt\lambda$ with $c = N\varepsilon$ matters. How well can a combination of these
# kernels imitate the constant weights of a mean?
#
# > **Question.** The weights of a mean are constant. A network with W = 0 weighs the input i by the time that
# > is left, $u = (N - i)\varepsilon$. How often is the sign right, and does ε matter?

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

import leapgrad as lg

FAST = os.environ.get("LEAPGRAD_FAST") == "1"
plt.rcParams.update({"figure.figsize": (7.2, 3.8), "figure.constrained_layout.use": True, "axes.grid": True})
N = 100
c = np.geomspace(0.1, 30.0, 31)
free = lg.NeuralField([[0.0]], [0.0], [[1.0]])
found = lg.readout_ceiling(lg.unroll(free, scheme="leapfrog", step=c / N, n_steps=N), np.ones(N))
print(f"W = 0: between {found.accuracy.min():.4f} and {found.accuracy.max():.4f} (5/6 = {5 / 6:.4f})")

# %% [markdown]
# - W = 0 has one kernel, u. It gives 5/6 of right answers in the limit of long sequences, for *every* ε, and
#   its gradient is I.
# - m kernels give, for small c, $\rho^2 = \sum_{j<m}(4j+3)\left(\int_0^1 P_{2j+1}\right)^2$: more than
#   5/6, and again for every small ε.
# - For large c only the first inputs are left:
#   $\rho^2 \simeq \frac{2}{c}\sum \mathrm{Re}\,\lambda^{-1/2}$.
#
# The computer algebra system has checked this (proposition `readout_ceiling`).
#
# > **Question.** Which shape has the ceiling of a network of several units over $c = N\varepsilon$? Is there
# > a lower limit to a good ε?

# %%
print("proposition readout_ceiling:", lg.check("readout_ceiling").headline)
for d, line in ((1, ":"), (2, "-."), (5, "--"), (10, "-")):
    field = lg.NeuralField.random(d, 0, 1)
    found = lg.readout_ceiling(lg.unroll(field, scheme="leapfrog", step=c / N, n_steps=N), np.ones(N))
    plt.semilogx(c, found.accuracy, line, label=f"{d} unit{'s' if d > 1 else ''}")
plt.axhline(5 / 6, color="black", linewidth=0.8)
plt.xlabel(r"$c = N\varepsilon$ (dimensionless)")
plt.ylabel("largest fraction of right answers")
plt.title(f"What a linear read-out can reach without training, N = {N}")
plt.legend()
plt.show()

# %% [markdown]
# The plateau reaches down to every small ε. So there is no lower limit to a good ε in what the state knows;
# a lower limit found by training is one of the read-out, whose weights would have to be large. The kept
# results of `leapgrad heuristic --full` also have read-outs fitted to untrained networks with tanh. There the
# upper limit, near $c \approx 7$, is seen without training too, but only with tanh: it is a limit of the
# dynamics, and it is the same c for every N. That is the part of ε ∝ 1/N that holds.
#
# **Try it.** Multiply W by s. Where does the ceiling fall, as a function of c?

# %%
small = lg.NeuralField.random(5, 0, 1)
lg.explore(
    lambda s, n_steps: (
        plt.semilogx(
            c,
            lg.readout_ceiling(
                lg.unroll(
                    lg.NeuralField(s * small.W, small.b, small.V),
                    scheme="leapfrog",
                    step=c / n_steps,
                    n_steps=n_steps,
                ),
                np.ones(n_steps),
            ).accuracy,
        ),
        plt.xlabel(r"$c = N\varepsilon$ (dimensionless)"),
        plt.ylabel("largest fraction of right answers"),
        plt.title(f"s = {s:g}, N = {n_steps}"),
        plt.ylim(0.5, 1.0),
    ),
    s=[1 / 16, 1 / 4, 1.0, 4.0, 16.0],
    n_steps=[20, 50, 100],
)

# %% [markdown]
# ## The experiment
#
# We train a small network with every ε of a grid and several seeds, and count the right answers on sequences
# that it has not seen.
#
# > **Question.** Plot the accuracy over ε for N = 10, 20, 40 and 80. If ε ∝ 1/N is right, what happens to the
# > curves when they are plotted over $c = N\varepsilon$ instead?

# %%
lengths = (10, 20, 40) if FAST else (10, 20, 40, 80)
grid = np.geomspace(0.3, 20.0, 7 if FAST else 13)  # c = Nε
seeds = range(2 if FAST else 4)
accuracy = {"hamiltonian": {}, "antisymmetric": {}}
for model in accuracy:
    for N in lengths:
        X = np.random.default_rng(N).normal(size=(3000, N))
        y = X.mean(axis=1) > 0.0
        accuracy[model][N] = np.array(
            [
                [
                    lg.SequenceClassifier(
                        model, 10, value / N, epochs=8, seed=seed, validation=0.0, progress=False
                    )
                    .fit(X[:1000], y[:1000])
                    .score(X[1000:], y[1000:])
                    for value in grid
                ]
                for seed in seeds
            ]
        )
figure, panels = plt.subplots(1, 2, figsize=(9.6, 4.0), sharey=True)
for N, line in zip(lengths, ("o-", "s--", "^-.", "v:"), strict=False):
    mean = accuracy["hamiltonian"][N].mean(axis=0)
    panels[0].semilogx(grid / N, mean, line, label=f"N = {N}")
    panels[1].semilogx(grid, mean, line, label=f"N = {N}")
panels[0].set(xlabel=r"step $\varepsilon$ (dimensionless)", ylabel="fraction of right answers")
panels[1].set(xlabel=r"$c = N\varepsilon$ (dimensionless)")
panels[1].legend()
plt.show()

# %% [markdown]
# ## What came out
#
# The single best ε of a flat curve is nearly arbitrary. We therefore look at the whole *set* of ε within one
# standard error of the best, take its centre as the best ε, and fit $\varepsilon^* \propto N^\alpha$.
#
# > **Question.** The *control* is the antisymmetric network by Euler's method. It does not have the structure
# > with which the paper explains ε ∝ 1/N. If the explanation is right, which exponent do you expect of it?

# %%
for model, by_length in accuracy.items():
    centres = []
    for N, values in by_length.items():
        mean, error = values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values))
        good = grid[mean >= mean.max() - error[mean.argmax()]] / N
        centres.append(np.sqrt(good.min() * good.max()))
        print(
            f"{model:13s} N = {N:3d}: accuracy {mean.max():.3f}, ε from {good.min():.4f} to {good.max():.4f}"
        )
    single = [np.polyfit(np.log(lengths), np.log([grid[by_length[N][s].argmax()] / N for N in lengths]), 1)[0]
              for s in seeds]  # fmt: skip
    alpha = np.polyfit(np.log(lengths), np.log(centres), 1)[0]
    print(f"{model:13s} α = {alpha:.2f}; the best ε of each seed: {min(single):.2f} … {max(single):.2f}")

# %% [markdown]
# A control whose exponent is near that of the network shows that the exponent does not need the structure
# which the control lacks. This run is small, so the intervals matter more than the exponents themselves.
# `leapgrad heuristic --full` is the experiment at full size, which also has other networks and other tasks.
# There the exponent of the best ε is −0.95 on the Gaussian mean, but −0.57 on shock preservation; on both
# shock preservation and XOR the smallest ε that learns does not move with N.
#
# ## What theory says
#
# Theorem C: with ε = c/N every singular value of $\partial y_N/\partial y_0$ lies within $2 -
# \cosh(c\sqrt{L\|W\|})$ and $\cosh(c\sqrt{L\|W\|})$ for every N, so with this heuristic gradients stay of
# order one. The same holds for the Euler network (theorem D). At $T = N\varepsilon = O(1)$ the heuristic
# therefore gives no reason to prefer one of the two.
#
# Theorem G: ε and the scale of W act as one parameter. If the dynamics determine the best ε, it must
# change as $s^{-1/2}$ when W is multiplied by s.

# %%
for name in ("theorem_c", "theorem_d", "theorem_g"):
    print(lg.check(name).proposition.title, "–", lg.check(name).headline)

# %% [markdown]
# ## Exercises
#
# ### Exercise 1 · easy, 5 minutes
#
# W is multiplied by 16. By theorem G, by which factor must ε change so that the ceiling stays the same? Check
# it for the network `small` and N = 100.

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
N = 100
for s, factor in ((1.0, 1.0), (16.0, 0.25)):
    field = lg.NeuralField(s * small.W, small.b, small.V)
    run = lg.unroll(field, scheme="leapfrog", step=factor * 0.05, n_steps=N)
    print(f"{s:g} W, {factor:g} ε: accuracy {float(lg.readout_ceiling(run, np.ones(N)).accuracy):.10f}")

# %% [markdown]
# ### Exercise 2 · medium, 10 minutes
#
# One oscillator, $W = -1$. At which c does it reach the highest ceiling, and which accuracy is that? Draw its
# kernel $\sin u$ over $0 \le u \le c$ and explain why this c is good.

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
oscillator = lg.NeuralField([[-1.0]], [0.0], [[1.0]])
turns = np.linspace(1.0, 5.0, 81)
run = lg.unroll(oscillator, scheme="leapfrog", step=turns / 500, n_steps=500)
found = lg.readout_ceiling(run, np.ones(500))
print(f"c = {500 * found.best_step:.2f}, accuracy {found.accuracy.max():.4f}")
print("sin u is positive and nearly constant on most of [0, 2.6]: close to the weights of a mean.")

# %% [markdown]
# ### Exercise 3 · hard, 20 minutes
#
# Change the task: the answer is the sign of $\sum_i g_i x_i$ with weights $g_i$ that grow from 0 for the
# first input to 1 for the last one. How does the best ε of the ceiling of `small` change with N = 20, 40, 80?

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
for N in (20, 40, 80):
    run = lg.unroll(small, scheme="leapfrog", step=c / N, n_steps=N)
    found = lg.readout_ceiling(run, np.linspace(0.0, 1.0, N))
    print(f"N = {N}: best c = Nε = {N * found.best_step:.2f}, accuracy {found.accuracy.max():.3f}")
print("A target that is a function of i/N has a best c, so ε ∝ 1/N; one that names a fixed input need not.")

# %% [markdown]
# Next: [5 Your own network](05_your_network.ipynb).
