"""Recurrent cells by PyTorch: vmap(jacfwd) of `torch.func`, and ``torch.nn.LSTM`` and ``GRU``, backwards."""

# pyright: reportMissingImports=false
# The libraries compared with are not part of the development set-up.

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.worker import Timing, timed_round

from .steps import step_of
from .task import Task

__all__ = ["names", "prepare", "time"]

OPS = SimpleNamespace(
    tanh=torch.tanh, sigmoid=torch.sigmoid, relu=torch.relu, abs=torch.abs, sign=torch.sign, cat=torch.cat
)
TYPES = {"torch.nn, float64": torch.float64, "torch.nn, float32": torch.float32}
_RUNS: dict[str, Callable[[], Any]] = {}


def names(task: Task) -> list[str]:
    return list(TYPES) if task.what == "gradient" else ["vmap(jacfwd)"]


def _prepare_jacobian(task: Task) -> Callable[[], NDArray[np.float64]]:
    weights = {key: torch.tensor(value) for key, value in task.weights.items()}
    step, (first, last), inputs = step_of(task, OPS, weights), task.part, torch.tensor(task.inputs)
    before, after = (torch.zeros(n, dtype=torch.float64) for n in (first, task.size - last))

    def end(block: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        s = torch.cat([before, block, after])
        for x in rows.unbind(0):
            s = step(s, x)
        return s[first:last]

    call = torch.func.vmap(torch.func.jacfwd(end), in_dims=(None, 0))
    block = torch.zeros(last - first, dtype=torch.float64)

    def run() -> NDArray[np.float64]:
        J = call(block, inputs)
        return (torch.linalg.eigvalsh(J @ J.mT)[:, -1].sqrt() if task.what == "norm" else J).numpy()

    return run


def _prepare_gradient(name: str, task: Task) -> Callable[[], NDArray[np.float64]]:
    kind, d, gated = TYPES[name], task.d, task.model == "gru"
    W, V, b = (task.weights[key] for key in ("W", "V", "b"))
    network = (torch.nn.GRU if gated else torch.nn.LSTM)(task.inputs.shape[2], d).to(kind)
    read = torch.nn.Linear(d, 10).to(kind)
    rows = np.r_[d : 3 * d, 0:d] if gated else np.arange(4 * d)  # theirs are r, z, n
    hidden = np.concatenate([np.zeros(2 * d), b[:d]]) if gated else np.zeros(4 * d)
    values = (W[rows], V, b[d:] if gated else b, hidden, task.weights["R"], task.weights["r"])
    targets = (network.weight_hh_l0, network.weight_ih_l0, network.bias_ih_l0, network.bias_hh_l0,
               read.weight, read.bias)  # fmt: skip
    with torch.no_grad():
        for target, value in zip(targets, values, strict=True):
            target.copy_(torch.tensor(value))
    inputs = torch.tensor(task.inputs.transpose(1, 0, 2)).to(kind).contiguous()
    labels = torch.tensor(task.labels)

    def run() -> NDArray[np.float64]:
        for target in targets:
            target.grad = None
        torch.nn.functional.cross_entropy(read(network(inputs)[0][-1]), labels).backward()
        by_W, by_V, by_b, by_hidden, *rest = (target.grad.numpy() for target in targets)
        if gated:
            by_W, by_b = by_W[np.argsort(rows)], np.concatenate([by_hidden[2 * d :], by_b])
        return np.concatenate([part.ravel() for part in (by_W, by_V, by_b, *rest)])

    return run


def prepare(name: str, task: Task, cores: int) -> NDArray[np.float64]:
    """Make the call that is timed; what it returns."""
    torch.set_num_threads(cores)
    _RUNS[name] = _prepare_gradient(name, task) if task.what == "gradient" else _prepare_jacobian(task)
    return _RUNS[name]()


def time(name: str) -> Timing:
    return timed_round(_RUNS[name])
