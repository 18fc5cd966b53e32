"""Cells to try their bounds on: drawn at random, or moved by an optimiser."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.cells.cell import Cell
from integrators.run.recurrence import Recurrence
from integrators.values import ByValue
from sensitivity.analysis.singular import block_of
from sensitivity.recurrences.cell import unroll
from sensitivity.recurrences.registry import MODELS, make

from .cases import MEMBERS
from .duals import extended_cell_jacobians
from .extended import largest

__all__ = ["CellTrial", "draw_cell"]

Float = NDArray[np.float64]
MOST_D, MOST_STEPS, INPUTS = 3, 20, 2
SMALLEST_STEP, LARGEST_STEP = 1e-3, 5.0
FARTHEST = 10.0


@dataclass(frozen=True, eq=False)
class CellTrial(ByValue):
    """A cell from several initial states, with as many step sizes; each is a case of its own.

    Attributes
    ----------
    model : str
    cell : Cell
    steps : ndarray, shape (m,)
        Ignored by cells without a step size.
    s0 : ndarray, shape (m, D)
    inputs : ndarray, shape (n_steps, n_inputs)
    """

    model: str
    cell: Cell
    steps: Float
    s0: Float
    inputs: Float

    @property
    def n_steps(self) -> int:
        return len(self.inputs)

    @cached_property
    def run(self) -> Recurrence:
        step = self.steps if self.cell.kind.step is not None else None
        return unroll(self.cell, s0=self.s0, inputs=self.inputs, step=step, progress=False)

    @cached_property
    def log_norm(self) -> Float:
        """ln ‖∂s_N/∂s_0‖₂ of the default block in extended precision, NaN where the state left float64."""
        part = block_of(self.run, None)[0]
        return largest(extended_cell_jacobians(self.run)[:, part, part])

    def only(self, member: int) -> CellTrial:
        """The case of one initial state."""
        chosen = slice(member, member + 1)
        return replace(self, steps=self.steps[chosen], s0=self.s0[chosen])

    @property
    def vector(self) -> Float:
        """What an optimiser moves, of a case of one state: log ε, trained parameters, s_0."""
        return np.concatenate([np.log(self.steps[:1]), self._parameters, self.s0[0]])

    @property
    def _parameters(self) -> Float:
        return self.cell.free[self.cell.free_trainable] if self.cell.kind.structure is None else np.zeros(0)

    def moved(self, vector: Float) -> CellTrial:
        """The case with these numbers in place of its own, brought back into range."""
        step, own, s0 = np.split(vector, np.cumsum([1, self._parameters.size]))
        cell = self.cell
        if own.size:
            free = cell.free.copy()
            free[cell.free_trainable] = np.clip(own, -FARTHEST, FARTHEST)
            cell = cell.with_free(free)
        steps = np.clip(np.exp(step), SMALLEST_STEP, LARGEST_STEP)
        return replace(self, cell=cell, steps=steps, s0=np.clip(s0, -FARTHEST, FARTHEST)[None])

    def to_dict(self) -> dict[str, Any]:
        """Everything that is needed to build it again, in plain numbers."""
        arrays = {"theta": self.cell.theta, "steps": self.steps, "s0": self.s0, "inputs": self.inputs}
        return {"model": self.model, "d": self.cell.d} | {k: v.tolist() for k, v in arrays.items()}

    def __str__(self) -> str:
        return f"{self.model}, d = {self.cell.d}, N = {self.n_steps}"


def draw_cell(rng: np.random.Generator) -> CellTrial:
    """A random case: any cell that has a name, d ≤ 3, N ≤ 20, weights of a tenth to five times its start."""
    model = str(rng.choice(sorted(MODELS)))
    d, n = int(rng.integers(1, MOST_D + 1)), int(np.exp(rng.uniform(0.0, np.log(MOST_STEPS + 1))))
    cell = make(model, d, INPUTS, int(rng.integers(1 << 30)))
    if cell.kind.structure is None:
        free, marks = cell.free.copy(), cell.free_trainable
        free[marks] *= 10.0 ** rng.uniform(-1.0, 0.7)
        cell = cell.with_free(free)
    size = rng.choice([0.0, 0.5, 3.0])
    return CellTrial(
        model,
        cell,
        np.exp(rng.uniform(np.log(SMALLEST_STEP), np.log(LARGEST_STEP), MEMBERS)),
        size * rng.normal(size=(MEMBERS, cell.dim)),
        2.0 * rng.normal(size=(n, INPUTS)),
    )
