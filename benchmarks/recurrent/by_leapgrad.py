"""Recurrent cells by this package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.worker import Timing, timed_round
from sensitivity import cell, jacobian, jacobian_norm, unroll
from sensitivity.training.networks.cell_network import CellNetwork

from .task import Task

__all__ = ["names", "prepare", "time"]

CALLS = {"jacobian": jacobian, "jacobian_norm": jacobian_norm}
_RUNS: dict[str, Callable[[], Any]] = {}


def names(task: Task) -> list[str]:
    return [{"jacobian": "jacobian", "norm": "jacobian_norm", "gradient": "CellNetwork.gradient"}[task.what]]


def prepare(name: str, task: Task, cores: int) -> NDArray[np.float64]:
    """Make the call that is timed; what it returns."""
    made = cell(task.model, task.d, task.inputs.shape[2], rng=0)
    if task.what == "gradient":
        network = CellNetwork(made, task.inputs.shape[1], n_classes=10, threads=cores)
        theta = np.concatenate([np.ravel(task.weights[key]) for key in ("W", "V", "b", "R", "r")])
        inputs = np.ascontiguousarray(task.inputs.transpose(1, 2, 0))
        _RUNS[name] = lambda: network.gradient(theta, inputs, task.labels).gradient
    else:
        run, call = unroll(made, inputs=task.inputs, threads=cores), CALLS[name]
        _RUNS[name] = lambda: call(run)
    return _RUNS[name]()


def time(name: str) -> Timing:
    return timed_round(_RUNS[name])
