"""``python -m benchmarks.check_cells``: our RNN, LSTM and GRU against PyTorch's, from its own state dicts.

Weights go from a network of ``torch.nn`` to a cell, through a file and back. Compared are the last state, the
Jacobian ∂s_N/∂s_0 that PyTorch differentiates by itself, and the gradients by all weights.
"""

# pyright: reportMissingImports=false
# The libraries compared with are not part of the development set-up.

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from integrators.fields.activations import ACTIVATIONS
from integrators.run.recurrence import Recurrence
from sensitivity import jacobian
from sensitivity.recurrences.cell import unroll
from sensitivity.weights.weight_files import load_weights, save_weights
from sensitivity.weights.weights import from_torch, to_torch

from .check import Difference, relative
from .table import markdown

__all__ = ["TOLERANCE", "cases", "compare"]

Float = NDArray[np.float64]
TOLERANCE = 1e-13
NETWORKS = {"vanilla": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}


def compare(
    model: str, d: int, layers: int, n_inputs: int = 3, n_steps: int = 40, **options: Any
) -> Difference:
    """One network as PyTorch starts it, on random inputs from a random state."""
    torch.manual_seed(d + layers)
    network = NETWORKS[model](n_inputs, d, layers, dtype=torch.float64, **options)
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    cell = from_torch(weights, activation=options.get("nonlinearity", "tanh"))
    rng = np.random.default_rng(d)
    inputs, lam = rng.normal(size=(n_steps, n_inputs)), rng.normal(size=cell.dim)
    s0 = 0.5 * rng.normal(size=cell.dim)
    drive, start = torch.tensor(inputs)[:, None], torch.tensor(s0)

    def last_state(s: torch.Tensor) -> torch.Tensor:
        blocks = s.reshape(layers, -1, 1, d)
        state = [blocks[:, i].contiguous() for i in range(blocks.shape[1])]
        _, end = network(drive, tuple(state) if len(state) > 1 else state[0])
        parts = end if isinstance(end, tuple) else (end,)
        return torch.stack([part[:, 0] for part in parts], dim=1).reshape(-1)

    run = unroll(cell, s0=s0, inputs=inputs)
    (last_state(start) @ torch.tensor(lam)).backward()
    theirs = {name: value.grad.numpy() for name, value in network.named_parameters()}
    expected = torch.autograd.functional.jacobian(last_state, start).numpy()
    parts = {
        "state": relative(run.run(), last_state(start).detach().numpy()),
        "Jacobian": relative(jacobian(run, block="state"), expected),
        "weights": _weights_difference(run, lam, theirs),
    }
    network.load_state_dict({name: torch.tensor(value) for name, value in to_torch(cell).items()})
    parts["back"] = relative(_through_a_file(run), last_state(start).detach().numpy())
    return Difference(
        f"{' '.join([model, *options.values()])}, d = {d}, layers = {layers}, N = {n_steps}", parts
    )


def _weights_difference(run: Recurrence, lam: Float, theirs: dict[str, Float]) -> float:
    """Largest difference of the gradients; the gradient of a sum of two biases is that of either."""
    gradient = run.cell.with_free(run.parameter_gradient(lam) * run.cell.free_trainable)
    ours = to_torch(gradient)
    names = [name for name in theirs if not name.startswith("bias_hh")]
    return max(relative(ours[name], theirs[name]) for name in names)


def _through_a_file(run: Recurrence) -> Float:
    """s_N of the cell that was written and read again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.npz"
        save_weights(path, run.cell)
        again = load_weights(path, activation=_activation(run))
    return unroll(again, s0=run.start[0], inputs=run.drive()[0]).run()


def _activation(run: Recurrence) -> str:
    code = run.cell.parameters.get("activation", np.array(ACTIVATIONS["tanh"].code))
    return next(name for name, record in ACTIVATIONS.items() if record.code == int(code))


def cases() -> list[Difference]:
    """Every network with one and two layers; one wide; relu; without biases."""
    found = [compare(model, 6, layers) for model in NETWORKS for layers in (1, 2)]
    found += [compare(model, 48, 1) for model in NETWORKS]
    return [*found, compare("vanilla", 6, 2, nonlinearity="relu")]


def main(given: list[str] | None = None) -> int:
    """Print all differences; 1 if one is above the tolerance."""
    argparse.ArgumentParser(prog="python -m benchmarks.check_cells", description=__doc__).parse_args(given)
    found = cases()
    rows = [[case.case, *(f"{value:.1e}" for value in case.parts.values())] for case in found]
    print(markdown(["network", "s_N", "∂s_N/∂s_0", "∂/∂ weights", "exported, s_N"], rows))
    largest = max(case.worst for case in found)
    print(f"\nlargest relative difference {largest:.1e}; asked: at most {TOLERANCE:g}")
    return 0 if largest <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
