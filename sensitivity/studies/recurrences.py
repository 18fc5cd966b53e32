"""Recurrent cells as models of a study: one row for every name of the registry."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.run.recurrence import Recurrence
from sensitivity.analysis.cost import ITERATIONS, SWEEPS_OF_A_CELL, USUAL
from sensitivity.analysis.graded import log_singular_values
from sensitivity.analysis.growth import GrowthExponents, growth_exponents
from sensitivity.analysis.jacobians import norm_and_exponent
from sensitivity.analysis.profile import gradient_profile
from sensitivity.recurrences.cell import unroll
from sensitivity.recurrences.registry import MODELS, drawn_inputs, make

__all__ = ["AXES_OF_CELLS", "MODELS", "CellCase", "build", "size"]

Float = NDArray[np.float64]
AXES_OF_CELLS = "d", "n_steps", "seed", "inputs", "step"


@dataclass(frozen=True)
class CellCase:
    """A cell at its published start, unrolled from the zero state; the step axis is its own step size.

    Cells without a step size have the same numbers in every lane.
    """

    run: Recurrence
    steps: Float

    def _lanes(self, values: Any) -> Any:
        """The one lane of a cell without a step size, for all that were asked for."""
        return np.broadcast_to(values, (self.steps.size, *np.shape(values)[1:]))

    @cached_property
    def _norm(self) -> tuple[Float, NDArray[np.int64]]:
        norm, exponent = norm_and_exponent(self.run, None)
        return self._lanes(norm), self._lanes(exponent)

    def norm(self) -> tuple[Float, NDArray[np.int64]]:
        return self._norm

    def log_singular_values(self) -> Float:
        return self._lanes(log_singular_values(self.run))

    def exponents(self) -> GrowthExponents:
        found = growth_exponents(self.run)
        if len(found.exponents) == self.steps.size:
            return found
        lanes = {name: self._lanes(getattr(found, name)) for name in ("exponents", "standard_error")}
        return GrowthExponents(**(vars(found) | lanes))

    def log_profile(self) -> Float:
        return self._lanes(gradient_profile(self.run).log_norms)

    def log_bound(self, steps_left: int | None = None) -> Float:
        n_steps = self.run.n_steps if steps_left is None else steps_left
        return self._lanes(self.run.cell.log_bound(self.run.step, n_steps))

    def least_singular_value(self) -> Float:
        return np.full(self.steps.shape, np.nan)


def build(name: str, parameters: Mapping[str, Any], steps: Sequence[float]) -> CellCase:
    """The case of a cell of the registry."""
    n_steps, n_inputs, seed = (parameters[axis] for axis in ("n_steps", "inputs", "seed"))
    cell = make(name, parameters["d"], n_inputs, seed)
    # One lane for cells that have no step size.
    s0 = np.zeros((1, cell.dim))
    inputs = drawn_inputs(n_steps, n_inputs, seed) if n_inputs else None
    lanes = None if cell.kind.step is None else np.array(steps)
    run = unroll(cell, n_steps, s0, inputs, lanes, threads=1, progress=False)
    return CellCase(run, np.array(steps))


def size(name: str, parameters: Mapping[str, Any]) -> dict[str, int]:
    """What `Size` holds: the rows of W stand for as many right-hand sides of a field of the same d."""
    cell = make(name, 2)
    kind, d, n_steps, inputs = cell.kind, *(parameters[axis] for axis in ("d", "n_steps", "inputs"))
    states, gates = len(kind.state), max(1, cell.plan.recurrent * cell.plan.source + cell.plan.second)
    whole = cell.default_block == "state"
    return {
        "d": states * d if whole else d,
        "state": states * d,
        "n_steps": n_steps,
        "kicks": gates * n_steps,
        "inputs": inputs,
        "parameters": sum(math.prod(shape) for shape in kind.shapes(d, inputs).values()),
        "sweeps": SWEEPS_OF_A_CELL,
        "iterations": ITERATIONS.get(kind.name, USUAL),
    }
