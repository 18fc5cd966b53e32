"""Recurrent cells unrolled over a sequence, as recurrences."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.backpropagation import Gradients, backpropagate, trajectory
from integrators.cell_problem import CellProblem
from integrators.cells import Cell
from integrators.validation import as_array, as_count

from .ode import OdeRecurrence

__all__ = ["CellRecurrence", "unroll"]

Float = NDArray[np.float64]


class CellRecurrence(OdeRecurrence):
    """s_{i+1} = Φ(s_i, x_{i+1}) for i = 0 … N − 1: a cell unrolled over a sequence, with a batch of lanes.

    Parameters
    ----------
    cell, n_steps, s0, inputs, step
        As for `integrators.cell_problem.CellProblem`; made by ``unroll(cell, n_steps, …)``.
    threads, progress
        As for `OdeRecurrence`.
    """

    problem: CellProblem

    def __init__(
        self,
        cell: Cell,
        n_steps: int,
        s0: ArrayLike | None = None,
        inputs: ArrayLike | None = None,
        step: ArrayLike | None = None,
        *,
        threads: int | None = None,
        progress: bool | None = None,
    ) -> None:
        self.problem = CellProblem(cell, n_steps, s0, inputs, step)
        self.threads, self.progress = threads, progress

    @property
    def cell(self) -> Cell:
        return self.problem.cell

    @property
    def blocks(self) -> Mapping[str, slice]:
        return self.cell.blocks

    @property
    def default_block(self) -> str:
        return self.cell.default_block

    def drive(self) -> Float:
        """The inputs, shape (lanes or 1, N, n_inputs)."""
        return self.problem.drive.transpose(2, 0, 1)[:, :, : self.cell.n_inputs]

    def piece(self, s0: ArrayLike, start: int, stop: int) -> CellRecurrence:
        """Steps [start, stop) from other initial states, (*lanes, D)."""
        drive = self.drive()[:, start:stop]
        own = drive.reshape(*self.shape, *drive.shape[1:]) if len(drive) == self.problem.n_lanes else drive[0]
        return CellRecurrence(
            self.cell,
            stop - start,
            s0,
            own if self.cell.n_inputs else None,
            self.step if self.cell.kind.step is not None else None,
            threads=self.threads,
            progress=self.progress,
        )

    def states(self) -> Float:
        """s_0 … s_N, shape (*lanes, N + 1, D)."""
        kept = trajectory(self.problem, threads=self.threads, progress=self.progress)
        return kept.transpose(2, 0, 1).reshape(*self.shape, *kept.shape[:2])

    def backpropagate(self, cotangents: ArrayLike, *, inputs: bool = False) -> Gradients:
        """Gradients of a scalar loss C of the states, by one sweep back: for training.

        Parameters
        ----------
        cotangents : array_like, shape (*lanes, N + 1, D) or (*lanes, D)
            ∂C/∂s_i, i = 0 … N, of every lane; or ∂C/∂s_N of a loss of the last state alone.
        inputs : bool
            Also the gradients by the inputs.

        Returns
        -------
        Gradients
            theta (P,), summed over the lanes; s0 (*lanes, D); inputs (*lanes, N, n_inputs). The same bits for
            every number of threads. Constants of a cell have entries too, all zero.
        """
        given = as_array(cotangents, "cotangents", (len(self.shape) + 1, len(self.shape) + 2))
        flat = given.reshape(self.problem.n_lanes, *given.shape[len(self.shape) :])
        found = backpropagate(
            self.problem,
            np.moveaxis(flat, 0, -1),
            inputs=inputs,
            threads=self.threads,
            progress=self.progress,
        )
        s0, by_input = (part.reshape(*self.shape, *part.shape[1:]) for part in (found.s0, found.inputs))
        return Gradients(found.theta, s0, by_input)

    def __repr__(self) -> str:
        return f"CellRecurrence({self.cell!r}, n_steps={self.problem.n_steps}, lanes={self.shape})"


def unroll(
    cell: Cell,
    n_steps: int | None = None,
    s0: ArrayLike | None = None,
    inputs: ArrayLike | None = None,
    step: ArrayLike | None = None,
    *,
    threads: int | None = None,
    progress: bool | None = None,
) -> CellRecurrence:
    """A cell unrolled over N steps: what `jacobian_norm` and its like take in place of a field and a scheme.

    Parameters
    ----------
    cell : Cell
    n_steps : int, optional
        N; the length of `inputs` where they are given.
    s0 : array_like, shape (*lanes, D) or (D,), optional
        Initial states; zero by default.
    inputs : array_like, shape (*lanes, N, n_inputs) or (N, n_inputs), optional
        Row i is x_{i+1}; zero by default.
    step : array_like, shape lanes, optional
        Step sizes, for cells that have one; the cell's own by default.
    threads : int, optional
        Worker threads; no result depends on it.
    progress : bool, optional
        Force or forbid the progress bar.

    Examples
    --------
    >>> jacobian_norm(unroll(lstm(64), 1000))
    >>> jacobian_norm(unroll(gru(64, 3), inputs=np.zeros((16, 200, 3)))).shape
    (16,)
    """
    if n_steps is None:
        if inputs is None:
            raise TypeError("n_steps is needed where there are no inputs to tell the length.")
        given = np.asarray(inputs)
        n_steps = given.shape[max(given.ndim - 2, 0)] if given.ndim else 0
    return CellRecurrence(
        cell, as_count(n_steps, "n_steps"), s0, inputs, step, threads=threads, progress=progress
    )
