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
# # 5 A Jacobian-norm study of your own network
#
# *Difficulty: medium. Time: 25 minutes, and 30 more for the exercises. You need: lesson 1, and what an LSTM
# is.*
#
# **What you will learn**
#
# - how to bring the weights of a trained network, and run it on your own sequences;
# - how far its gradients reach, and which inputs its answer depends on;
# - how much a truncated gradient leaves out.
#
# You have trained an LSTM and want to know how far its gradients reach. Bring its weights: a PyTorch module
# or state dict, an `.npz` or `.safetensors` file, or the list that Keras' `layer.get_weights()` gives. Here
# we first train a small LSTM, so that there is a file to import; with a file of your own, skip the next two
# cells and set `path`.

# %%
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import leapgrad as lg

FAST = os.environ.get("LEAPGRAD_FAST") == "1"
plt.rcParams.update({"figure.figsize": (7.2, 3.8), "figure.constrained_layout.use": True, "axes.grid": True})
N = 30
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "lstm.npz"

# %% [markdown]
# The task: decide the sign of the mean of N normal random numbers.

# %%
rng = np.random.default_rng(0)
X = rng.normal(size=(500 if FAST else 1500, N))
y = X.mean(axis=1) > 0.0
classifier = lg.SequenceClassifier("lstm", d=12, epochs=3 if FAST else 15, progress=False).fit(
    X[:-200], y[:-200]
)
print(f"{100 * classifier.score(X[-200:], y[-200:]):.0f} % of 200 new sequences are answered correctly")
lg.save_weights(path, classifier.trained_)

# %% [markdown]
# In PyTorch the file comes from `numpy.savez("lstm.npz", **{name: value.numpy() for name, value in
# model.lstm.state_dict().items()})`. In the same process, `lg.from_torch(model.lstm)` needs no file.

# %%
cell = lg.load_weights(path)
print(cell, {name: value.shape for name, value in cell.parameters.items()})

# %% [markdown]
# ## How large is the gradient, on real inputs?
#
# One batch member for each of 32 new sequences. The state of an LSTM is $(h, c)$; `block="h"` gives $\partial
# h_N/\partial h_0$ at fixed $c_0$, and `block="state"` the Jacobian of the whole state, which includes the
# memory in $c$.
#
# > **Question.** The answer is the sign of a mean: all inputs count alike. Should training make
# > $\|\partial s_N/\partial s_0\|$ larger or smaller? Which of the two blocks changes more?

# %%
inputs = X[-32:, :, None]  # (sequences, N, n_inputs)
runs = {
    "before training": lg.unroll(lg.cell("lstm", cell.d, cell.n_inputs, rng=0), inputs=inputs),
    "after training": lg.unroll(cell, inputs=inputs),
}
for name, run in runs.items():
    whole, hidden = (np.median(lg.jacobian_norm(run, block=block)) for block in ("state", "h"))
    print(f"{name:16s} median of ‖∂s_N/∂s_0‖ {whole:.3g}, of ‖∂h_N/∂h_0‖ {hidden:.3g}")

# %%
for (name, run), line in zip(runs.items(), ("--", "-"), strict=True):
    profile = lg.gradient_profile(run, block="state")
    for q in (0, 1):
        plt.plot(profile.log_norms[q], line, label=f"{name}, sequence {q}")
plt.xlabel("index $i$ of the earlier state")
plt.ylabel(r"$\ln\|\partial s_N/\partial s_i\|_2$")
plt.title(f"LSTM, d = {cell.d}, N = {N}")
plt.legend()
plt.show()

# %% [markdown]
# ## Which inputs does the answer depend on?
#
# > **Question.** A perfect network weighs all inputs alike. Which shape has $\|\partial h_N/\partial x_i\|$
# > over i then? Which shape do you expect of this one?

# %%
reach = lg.gradient_profile(runs["after training"], of="inputs", block="h")
for q, line in enumerate(("-", "--", ":")):
    plt.plot(reach.index, reach.norms[q], line, label=f"sequence {q}")
plt.xlabel("index $i$ of the input")
plt.ylabel(r"$\|\partial h_N/\partial x_i\|_2$")
plt.title("Reach of the inputs after training")
plt.ylim(bottom=0.0)
plt.legend()
plt.show()

# %% [markdown]
# ## Singular values and growth exponents
#
# > **Question.** Without inputs, does the trained network remember its start for 2000 steps?

# %%
values = lg.singular_values(runs["after training"], block="state", k=4)
print("median of the four largest ln σ:", np.median(values.log, axis=0).round(2))
long = lg.unroll(cell, 200 if FAST else 2000)
print(lg.growth_exponents(long, k=3))
print("ln of the norm after that many steps:", lg.log_jacobian_norm(long, block="state").round(2))

# %% [markdown]
# ## How much truncated backpropagation leaves out
#
# Exact and truncated gradient of $\sum_j h_{N,j}$ of the first sequence: the angle between them, and how
# long the truncated one is.
#
# > **Question.** A window of how many steps gives the gradient within one degree?

# %%
one = lg.unroll(cell, inputs=inputs[0])
cotangent = np.zeros((N + 1, cell.dim))
cotangent[-1, cell.blocks["h"]] = 1.0
exact = one.backpropagate(cotangent).theta
for window in (1, 3, 10, 30):
    print(f"window {window:2d}: {lg.agreement(lg.truncated_gradient(one, cotangent, window), exact)}")

# %% [markdown]
# ## Exercises
#
# ### Exercise 1 · easy, 5 minutes
#
# Add 3 to the forget biases of the trained LSTM (rows $d$ to $2d$ of `b`; the gates are i, f, g, o). How does
# the median of $\|\partial s_N/\partial s_0\|$ change?

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
open_gate = cell.with_parameters(b=cell.parameters["b"] + 3.0 * np.repeat([0, 1, 0, 0], cell.d))
for name, one_cell in {"trained": cell, "opened": open_gate}.items():
    norm = np.median(lg.jacobian_norm(lg.unroll(one_cell, inputs=inputs), block="state"))
    print(f"{name}: {norm:.3g}")

# %% [markdown]
# ### Exercise 2 · medium, 10 minutes
#
# Does the gradient depend on the answer? Compare $\|\partial h_N/\partial x_1\|$ of sequences whose mean is
# close to zero with that of sequences whose mean is large.

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
size = np.abs(inputs[:, :, 0].mean(axis=1))
close, far = size < np.median(size), size >= np.median(size)
print(f"close to zero: {np.median(reach.norms[close, 0]):.3g}; large: {np.median(reach.norms[far, 0]):.3g}")

# %% [markdown]
# ### Exercise 3 · medium, 15 minutes
#
# Train a GRU, `lg.SequenceClassifier("gru", …)`, on the same sequences and compare it with the LSTM by
# `lg.compare` without inputs over 200 steps. Which of the two keeps its state longer?

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
gru = lg.SequenceClassifier("gru", d=12, epochs=3 if FAST else 15, progress=False).fit(X[:-200], y[:-200])
axes = lg.compare({"LSTM": lg.unroll(cell, 200), "GRU": lg.unroll(gru.trained_, 200)}).plot()

# %%
folder.cleanup()

# %% [markdown]
# Next: [6 Exercises](06_exercises.ipynb). On the command line, `leapgrad norm --weights FILE.npz` does the
# same for W, b, V of a field.
