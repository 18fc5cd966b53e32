"""A recurrent cell run on lanes: every lane its own initial state, inputs and step size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.cells.cell import Cell
from integrators.cells.kind_check import check_kind
from integrators.codegen.simd import WIDTH
from integrators.engine.drivers import NOTHING, Block, Run, Taps
from integrators.engine.program import Program
from integrators.schemes.scheme import Scheme
from integrators.validation import as_array, as_count, as_steps

from .problem import CACHE_BYTES, ONE_LANE_DIM, Problem

__all__ = ["MAP", "CellProblem"]

Float = NDArray[np.float64]

MAP = Scheme("map", 1, (0,), (1,), "s' = Φ(s, x): the step of a recurrent cell", form="first_order")
"""How the schedule sees a cell: one evaluation a step. The step itself is the cell's."""


def _common_shape(step: tuple[int, ...], start: tuple[int, ...], drive: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of the batch that step sizes, initial states and inputs have in common."""
    try:
        return np.broadcast_shapes(step, start, drive)
    except ValueError:
        raise ValueError(
            f"s0 has a batch of shape {start}, inputs of {drive} and step of {step}; they must be equal, or "
            "1 or missing where one value is for all."
        ) from None


class CellProblem(Problem):
    """A cell, how often it is applied, and to what; checked once.

    Parameters
    ----------
    cell : Cell
    n_steps : int
        N ≥ 0.
    s0 : array_like, shape (*lanes, D) or (D,), optional
        Initial states; zero by default.
    inputs : array_like, shape (*lanes, N, n_inputs) or (N, n_inputs), optional
        Row i is x_{i+1}; zero by default.
    step : array_like, shape lanes or (), optional
        Step sizes, for cells that have one; the cell's own by default.

    The shapes of the lanes broadcast.
    """

    def __init__(
        self,
        cell: Cell,
        n_steps: int,
        s0: ArrayLike | None = None,
        inputs: ArrayLike | None = None,
        step: ArrayLike | None = None,
    ) -> None:
        check_kind(cell)
        self.cell = cell
        self.field: Any = cell
        self.dtype = np.dtype(np.float64)
        self.theta = cell.packed
        self.scheme = MAP
        self.n_steps = as_count(n_steps, "n_steps")
        any_rank = tuple(range(1, 33))
        start = np.zeros(cell.dim) if s0 is None else as_array(s0, "s0", any_rank)
        if start.shape[-1] != cell.dim:
            raise ValueError(f"s0 has shape {start.shape}; the state of {cell!r} has {cell.dim} entries.")
        drive = self._check_drive(inputs)
        if step is not None and cell.kind.step is None:
            raise ValueError(f"step was given, but {cell.name} has no step size.")
        h = as_steps(cell.step_size if step is None else step)
        self.shape = _common_shape(h.shape, start.shape[:-1], drive.shape[:-2])
        lanes = int(np.prod(self.shape))
        self.steps = np.broadcast_to(h, self.shape).reshape(-1).copy()
        self.y0 = np.broadcast_to(start, (*self.shape, cell.dim)).reshape(lanes, cell.dim)
        self.p0 = np.zeros(cell.dim)
        clock = cell.clock(self.n_steps)
        if drive.ndim > 2:
            drive = np.broadcast_to(drive, (*self.shape, *drive.shape[-2:])).reshape(lanes, *drive.shape[-2:])
            clock = np.broadcast_to(clock, (lanes, *clock.shape))
        else:
            drive, clock = drive[None], clock[None]
        # (n_steps, rows, 1 or lanes): what a step reads lies together.
        self.drive = np.ascontiguousarray(np.concatenate([drive, clock], axis=2).transpose(1, 2, 0))

    def _check_drive(self, inputs: ArrayLike | None) -> Float:
        n_inputs = self.cell.n_inputs
        if inputs is None:
            return np.zeros((self.n_steps, n_inputs))
        if n_inputs == 0:
            raise ValueError("inputs were given, but the cell takes none; make it with n_inputs.")
        array = as_array(inputs, "inputs", tuple(range(1, 33)))
        if array.ndim == 1 and n_inputs == 1:
            array = array[:, None]
        if array.shape[-2:] != (self.n_steps, n_inputs):
            raise ValueError(
                f"inputs has shape {array.shape}; n_steps = {self.n_steps} and the cell's {n_inputs} inputs "
                f"ask for (…, {self.n_steps}, {n_inputs})."
            )
        return array

    def select(self, lanes: slice | NDArray[np.bool_]) -> CellProblem:
        """The same problem with some of its lanes, flattened."""
        part = copy(self)
        part.steps, part.y0 = self.steps[lanes], self.y0[lanes]
        part.shape = part.steps.shape
        if self.drive.shape[2] > 1:
            part.drive = np.ascontiguousarray(self.drive[:, :, lanes])
        return part

    def program(self, close: bool = True) -> Program:
        return Program.of_map(self.n_steps)

    @property
    def dim(self) -> int:
        return self.cell.dim

    @property
    def entry_rows(self) -> int:
        return self.cell.dim

    # ---------------------------------------------------------------------------- one block of members

    def start(self, members: NDArray[np.intp]) -> NDArray:
        return np.ascontiguousarray(self.y0[members].T)

    def run(
        self,
        members: NDArray[np.intp],
        program: Program,
        check_every: int | None = None,
        tick: Callable[[int], object] = lambda amount: None,
    ) -> Run:
        inputs, rows = self.drive, program.rows
        if inputs.shape[1] == 0 or self.n_steps == 0:
            inputs, rows = np.zeros((1, inputs.shape[1], 1)), np.zeros(self.n_steps, np.int64)
        elif inputs.shape[2] > 1:
            inputs = np.ascontiguousarray(inputs[:, :, members])
        # Growth and shrinking of one step are not known for every cell, so the range is looked at after
        # every step: one pass over the columns beside a product with W.
        return Run(program.form, program.body, program.first, 0.0, self.n_steps, 0,
                   self.steps[members].copy(), inputs, rows, check_every or 1, NOTHING)  # fmt: skip

    def range_bits(self, program: Program, h: Float) -> tuple[Float, Float]:
        """log₂ of what columns can grow and shrink by in one step; not known here."""
        return np.full(h.shape, np.inf), np.full(h.shape, np.inf)

    def advance(self, run: Run, block: Block, tape: Float, nodes: Float, start: int, stop: int) -> None:
        self.cell.forward(self.theta, run, block, tape, nodes, start, stop)

    def retreat(
        self,
        run: Run,
        tape: Float,
        cotangents: Sequence[NDArray],
        gradient: Float,
        start: int,
        stop: int,
        taps: Taps | None = None,
    ) -> None:
        taps = Taps.none() if taps is None else taps
        self.cell.backward(self.theta, run, tape, *cotangents, gradient, taps, start, stop)

    def column_padding(self, k: int, lanes: int) -> int:
        # One column of one lane goes by matrix–vector products, which need no padding.
        return WIDTH if lanes == 1 and k > 1 else 1

    def block_shape(self, k: int, threads: int) -> tuple[int, int, int]:
        d, m, cell = self.cell.d, self.n_lanes, self.cell
        if m < WIDTH or (d >= ONE_LANE_DIM and k >= WIDTH):
            return 1, 1, self.column_padding(k, 1) if k else 1
        rows = (cell.plan.first + cell.plan.second) * d + cell.dim
        width = max(2 * WIDTH, CACHE_BYTES // (8 * rows * (k + 1)) // (2 * WIDTH) * (2 * WIDTH))
        share = max(1, -(-m // threads))
        return min(width, -(-share // WIDTH) * WIDTH), WIDTH, 1

    def seconds(self, k: int) -> float:
        """A rough estimate of the time of one step of one lane."""
        return 2.0 * self.theta.size * (k + 1) / 2e10 + 2e-8 * self.cell.dim + 1e-7
