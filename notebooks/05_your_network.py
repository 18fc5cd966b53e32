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
# You have trained an LSTM and want to know how far its gradients reach. Bring its weights: a PyTorch state
# dict, an `.npz` or `.safetensors` file, or the list that Keras' `layer.get_weights()` gives. Here we first
# train a small LSTM, so that there is a file to import; with a file of your own, skip the next cell and set
# `path`.

# %%
# %matplotlib inline
import os
import tempfile
from pathlib import Path

import numpy as np

from sensitivity import gradient_profile, growth_exponents, jacobian_norm, log_jacobian_norm, singular_values
from sensitivity.analysis.approximate import agreement, truncated_gradient
from sensitivity.figures.plots import plot_curves
from sensitivity.papers.hamiltonian.heuristic.plan import TaskSetting
from sensitivity.recurrences.cell import unroll
from sensitivity.recurrences.cells.gated import lstm
from sensitivity.training.models import Shape, make_network
from sensitivity.training.start import Start
from sensitivity.training.trainer import Recipe, train
from sensitivity.weights.weight_files import load_weights
from sensitivity.weights.weights import to_torch

FAST = os.environ.get("LEAPGRAD_FAST") == "1"
N = 30
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "lstm.npz"

# %%
setting = TaskSetting("gaussian_mean", train=400 if FAST else 1000, test=500)
data = setting.split(N, seed=0)
network = make_network("lstm", Shape(d=12, n_steps=N))
recipe = Recipe(rate=0.01, epochs=3 if FAST else 15, clip=None)
run = train(network, data, recipe, Start().draw(network, 0), progress=False)
print(f"accuracy {run.trace.accuracy[0]:.2f} → {run.trace.accuracy[-1]:.2f}")
np.savez(path, **to_torch(network.with_theta(run.theta)))

# %% [markdown]
# In PyTorch the file comes from `numpy.savez("lstm.npz", **{name: value.numpy() for name, value in
# model.lstm.state_dict().items()})`.

# %%
cell = load_weights(path)
print(cell, {name: value.shape for name, value in cell.parameters.items()})

# %% [markdown]
# ## How large is the gradient, on real inputs?
#
# One batch member for each test sequence. The state of an LSTM is $(h, c)$; `block="h"` gives $\partial
# h_N/\partial h_0$ at fixed $c_0$, and `block="state"` the Jacobian of the whole state, which includes the
# memory in $c$.

# %%
inputs = data.test.values.transpose(2, 0, 1)[:32]  # (sequences, N, n_inputs)
trained = unroll(cell, inputs=inputs)
fresh = unroll(lstm(cell.d, cell.n_inputs), inputs=inputs)
for name, network_ in {"before training": fresh, "after training": trained}.items():
    whole, hidden = (jacobian_norm(network_, block=block) for block in ("state", "h"))
    print(f"{name:16s} ‖∂s_N/∂s_0‖ median {np.median(whole):.3g}, ‖∂h_N/∂h_0‖ median {np.median(hidden):.3g}")

# %%
profiles = {
    name: gradient_profile(one, block="state") for name, one in (("before", fresh), ("after", trained))
}
plot_curves(
    np.arange(N + 1),
    [(f"{name} training, sequence {q}", profiles[name].log_norms[q]) for name in profiles for q in (0, 1)],
    xlabel="index $i$",
    ylabel=r"$\ln\|\partial s_N/\partial s_i\|_2$",
    title="How much each earlier state still matters",
)

# %% [markdown]
# ## Which inputs does the answer depend on?

# %%
by_input = gradient_profile(trained, of="inputs", block="h")
plot_curves(
    by_input.index,
    [(f"sequence {q}", by_input.norms[q]) for q in range(3)],
    xlabel="input $i$",
    ylabel=r"$\|\partial h_N/\partial x_i\|_2$",
    title="Reach of the inputs after training",
)

# %% [markdown]
# ## Singular values and growth exponents

# %%
values = singular_values(trained, block="state", k=4)
print("median of the four largest ln σ:", np.median(values.log, axis=0).round(2))
long = unroll(cell, 200 if FAST else 2000)
print(growth_exponents(long, k=3))
print("ln of the norm after that many steps:", log_jacobian_norm(long, block="state").round(2))

# %% [markdown]
# ## How much truncated backpropagation leaves out
#
# Exact and truncated gradient of $\sum_j h_{N,j}$ of the first sequence: the angle between them, and how
# long the truncated one is.

# %%
one = unroll(cell, inputs=inputs[0])
cotangent = np.zeros((N + 1, cell.dim))
cotangent[-1, cell.blocks["h"]] = 1.0
exact = one.backpropagate(cotangent).theta
for window in (1, 3, 10, 30):
    print(f"window {window:2d}: {agreement(truncated_gradient(one, cotangent, window), exact)}")

# %%
folder.cleanup()

# %% [markdown]
# Next: [6 Exercises](06_exercises.ipynb). On the command line, `leapgrad norm --weights FILE.npz` does the
# same for W, b, V of a field.
