"""A gradient step by this package."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sensitivity.training.networks.ode_network import OdeNetwork

from .training import Batch, Run
from .worker import Timing, timed_round

__all__ = ["names", "prepare", "time"]

_RUNS: dict[str, Run] = {}


def names() -> list[str]:
    return ["OdeNetwork.gradient"]


def prepare(name: str, batch: Batch, cores: int) -> NDArray[np.float64]:
    """Make the call that is timed; what it returns."""
    network = OdeNetwork(batch.d, batch.n_steps, batch.step, n_classes=batch.n_classes, threads=cores)
    theta = np.concatenate([part.ravel() for part in batch.parts().values()])
    inputs, labels = batch.data()

    def run() -> NDArray[np.float64]:
        return network.gradient(theta, inputs, labels).gradient

    _RUNS[name] = run
    return run()


def time(name: str) -> Timing:
    return timed_round(_RUNS[name])
