"""A recurrent cell (LSTM, vanilla, any other of `sensitivity.recurrences`) as a classifier of sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from integrators.cells import Cell
from integrators.compiled import kernel
from integrators.flow import Lanes, Record, Run
from integrators.schedule import FIRST_ORDER
from integrators.threads import thread_count
from integrators.validation import as_count

from .network import BatchGradient, Blocks, Float, Network
from .readout import read_out

__all__ = ["CellNetwork"]

_VECTOR, _MATRIX = (types.Array(types.float64, n, "C") for n in (1, 2))
_COUNTS = types.Array(types.int64, 1, "C")
_I = types.int64


@kernel(types.void(_VECTOR, _COUNTS, _I, _I, types.float64, _MATRIX, _MATRIX, _MATRIX, _VECTOR, _VECTOR))
def readout_gradient(readout, labels, first, lanes, weight, y, scores, lam_y, gradient, result):
    """`read_out` for Python."""
    read_out(readout, 0, labels, first, lanes, weight, y, scores, lam_y, gradient, result)


class CellNetwork(Network):
    """The first state block h_N of a cell run from zero, with a softmax readout R h_N + r.

    Parameters
    ----------
    cell : Cell
        Of one layer; its parameters are the start of `initial_theta`, and their names those of `shapes`.
    n_steps, n_classes : int
    threads : int, optional
        No result depends on it.

    Notes
    -----
    All steps of a block of lanes run in one compiled call each way (`Cell.advance`, `Cell.retreat`).
    """

    def __init__(self, cell: Cell, n_steps: int, *, n_classes: int = 2, threads: int | None = None) -> None:
        self.cell, self.d, self.n_inputs = cell, cell.d, cell.n_inputs
        self.n_steps = as_count(n_steps, "n_steps", least=1)
        self.n_classes = as_count(n_classes, "n_classes", least=2)
        constants = cell.kind.constants or {}
        own = {
            name: shape
            for name, shape in cell.kind.shapes(cell.d, cell.n_inputs).items()
            if name not in constants
        }
        self.shapes = {**own, "R_out": (n_classes, self.d), "r_out": (n_classes,)}
        self.threads = thread_count(threads)
        self._clock = cell.clock(self.n_steps)

    def weights(self, theta: Float) -> Float:
        return self.named(theta)["W"]

    def with_theta(self, theta: Float) -> Cell:
        """The cell with these parameters, for Jacobians."""
        return self.cell.with_theta(self._packed(theta)[0])

    def _packed(self, theta: Float) -> tuple[Float, Float]:
        """The cell's parameters with its constants, and the readout [R r] row by row."""
        parts = self.named(theta)
        cell = self.cell.packed.copy()
        cell[self.cell.trainable] = theta[: int(self.cell.trainable.sum())]
        return cell, np.concatenate([parts["R_out"], parts["r_out"][:, None]], axis=1).ravel()

    def _block(self, inputs: Float, first: int, lanes: int, width: int) -> tuple[Run, Lanes]:
        """The drivers' view of a block of lanes, padded with lanes that see zeros."""
        drive = np.zeros((self.n_steps, self.n_inputs + self._clock.shape[1], width))
        drive[:, : self.n_inputs, :lanes] = inputs[:, :, first : first + lanes]
        drive[:, self.n_inputs :] = self._clock[:, :, None]
        one, none = np.ones(1), np.zeros(1)
        # Whether the state is finite shows in the loss: it need not be looked at on the way.
        run = Run(FIRST_ORDER, none, one, 0.0, self.n_steps, True, 1, 1, np.full(width, self.cell.step_size),
                  drive, np.arange(self.n_steps), self.n_steps + 1, False)  # fmt: skip
        state, columns = np.zeros((self.cell.dim, width)), np.zeros((self.cell.dim, 0, width))
        counts = np.zeros(width, np.int64)
        return run, Lanes(state, np.zeros_like(state), columns, columns, counts, counts - 1)

    def _record(self, kept: int, width: int) -> Record:
        nothing = np.empty((0, self.cell.dim, width))
        return Record(np.empty((kept, self.cell.dim, width)), nothing, nothing)

    def gradient(self, theta: Float, inputs: Float, labels: NDArray[np.int64]) -> BatchGradient:
        cell, readout = self._packed(theta)
        n, blocks = labels.size, Blocks.of(labels.size)
        members = blocks.members()
        gradients = np.zeros((len(members), cell.size + readout.size))
        results = np.empty((len(members), 2))

        def work(thread: int, share: list[int]) -> None:
            for b in share:
                first, lanes = members[b]
                run, state = self._block(inputs, first, lanes, blocks.widths[b])
                record = self._record(self.n_steps, blocks.widths[b])
                self.cell.advance(cell, run, state, record, 0, self.n_steps)
                lam = np.zeros((self.cell.dim, 1, blocks.widths[b]))
                hidden, pulled = state.y[: self.d], np.empty((self.d, blocks.widths[b]))
                scores = np.empty((self.n_classes, blocks.widths[b]))
                own, out = gradients[b, : cell.size], gradients[b, cell.size :]
                readout_gradient(
                    readout, labels, first, lanes, 1.0 / n, hidden, scores, pulled, out, results[b]
                )
                lam[: self.d, 0] = pulled
                self.cell.retreat(cell, run, record.stations, lam, state.exponent, own, 0, self.n_steps)

        blocks.run(work, self.threads)
        loss, right = results.sum(axis=0)
        total = gradients.sum(axis=0)
        R = total[cell.size :].reshape(self.n_classes, self.d + 1)
        own = total[: cell.size][self.cell.trainable]
        return BatchGradient(float(loss), int(right), np.concatenate([own, R[:, :-1].ravel(), R[:, -1]]))

    def scores(self, theta: Float, inputs: Float) -> Float:
        cell, _ = self._packed(theta)
        parts, n = self.named(theta), inputs.shape[2]
        blocks, hidden = Blocks.of(n), np.empty((self.d, n))
        members = blocks.members()

        def work(thread: int, share: list[int]) -> None:
            for b in share:
                first, lanes = members[b]
                run, state = self._block(inputs, first, lanes, blocks.widths[b])
                record = self._record(0, blocks.widths[b])
                self.cell.advance(cell, run, state, record, 0, self.n_steps)
                hidden[:, first : first + lanes] = state.y[: self.d, :lanes]

        blocks.run(work, self.threads)
        # Not a matrix product: its bits may depend on the number of sequences.
        return (parts["R_out"][:, :, None] * hidden[None]).sum(axis=1) + parts["r_out"][:, None]

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "cell": self.cell.name}
