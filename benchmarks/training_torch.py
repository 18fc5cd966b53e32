"""A gradient step by PyTorch, eagerly: a loop over time and backward.

Inputs are unbound before the loop: indexing them adds a slice, and its gradient, to every step.
"""

# pyright: reportMissingImports=false
# The libraries compared with are not part of the development set-up.

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from .training import Batch, Run
from .worker import Timing, timed_round

__all__ = ["names", "prepare", "time"]

_RUNS: dict[str, Run] = {}


def names() -> list[str]:
    return ["eager, unbind"]


def prepare(name: str, batch: Batch, cores: int) -> NDArray[np.float64]:
    """Make the call that is timed; what it returns."""
    torch.set_num_threads(cores)
    values, classes = batch.data()
    inputs, labels = torch.tensor(values[:, 0, :, None]), torch.tensor(classes)
    parts = {key: torch.tensor(part, requires_grad=True) for key, part in batch.parts().items()}
    W, V, b, R, r = parts.values()
    h = batch.step

    def run() -> list[torch.Tensor]:
        for part in parts.values():
            part.grad = None
        rows = inputs.unbind(0)
        y = torch.zeros(batch.size, batch.d, dtype=torch.float64)
        Wt, Vt = W.mT, V.mT
        p = 0.5 * h * torch.tanh(torch.addmm(b, rows[0], Vt))
        y = y + h * p
        for x in rows[1:]:
            p = p + h * torch.tanh(torch.addmm(torch.addmm(b, x, Vt), y, Wt))
            y = y + h * p
        torch.nn.functional.cross_entropy(torch.addmm(r, y, R.mT), labels).backward()
        return [part.grad for part in parts.values() if part.grad is not None]

    _RUNS[name] = run
    return np.concatenate([part.numpy().ravel() for part in run()])


def time(name: str) -> Timing:
    return timed_round(_RUNS[name])
