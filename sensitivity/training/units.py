"""A network whose parameters are measured in units of one's choice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.run.recurrence import Recurrence

from .networks.network import BatchGradient, Float, Network

__all__ = ["InUnits", "step_units"]

WEIGHT, READOUT = 0.1, 3.0
"""Units of Wε² and of R(Nε)² where the scale of W is chosen: Adam's rate is for numbers of order one."""


def step_units(step: float, n_steps: int) -> dict[str, float]:
    """Units of W and R in which a network and its training do not depend on ε (theorem G).

    A lone unit that is pushed to one side all along ends at y_N = ±(Nε)²/2.
    """
    return {"W": WEIGHT / step**2, "R": READOUT / (n_steps * step) ** 2}


class InUnits(Network):
    """The same function of its inputs, with φ = θ/unit as its parameters.

    Adam moves every parameter by about its rate, and a clip compares all with one number: both depend on the
    units. By theorem G, (ε, W, R) and (ε/κ, κ²W, κ²R) are one network; with units ∝ 1/ε² for W and R they are
    one training run too, to round-off, and bit for bit where κ is a power of two (but for the 1e-8 in Adam,
    which sees the same gradients either way).

    Parameters
    ----------
    network : Network
    units : mapping
        Name of a parameter → its unit; 1 for those that are not named.

    Raises
    ------
    ValueError
        If the network has no parameter of that name, or a unit is not positive.
    """

    def __init__(self, network: Network, units: Mapping[str, float]) -> None:
        self.network = network
        self.n_steps, self.n_inputs, self.n_classes = network.n_steps, network.n_inputs, network.n_classes
        self.d, self.step, self.shapes = network.d, network.step, network.shapes
        self.readout = network.readout
        self.given = dict(units)
        self.units: Float = self.spread(units)
        for name, unit in units.items():
            if not 0.0 < unit < np.inf:
                raise ValueError(f"the unit of {name} must be positive and finite, got {unit}.")

    def gradient(
        self, theta: Float, inputs: Float, labels: NDArray[np.int64], weights: Float | None = None
    ) -> BatchGradient:
        found = self.network.gradient(theta * self.units, inputs, labels, weights)
        return BatchGradient(found.loss, found.right, found.gradient * self.units)

    def scores(self, theta: Float, inputs: Float) -> Float:
        return self.network.scores(theta * self.units, inputs)

    def weights(self, theta: Float) -> Float:
        return self.network.weights(theta * self.units)

    def recurrence(self, theta: Float, inputs: Float) -> Recurrence:
        return self.network.recurrence(theta * self.units, inputs)

    def from_named(self, theta: Float, gradient: Mapping[str, Float]) -> Float:
        return self.network.from_named(theta * self.units, gradient) * self.units

    def describe(self) -> dict[str, Any]:
        return {**self.network.describe(), "units": self.given}
