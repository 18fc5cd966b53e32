"""A recurrent cell (LSTM, vanilla, any other of `sensitivity.recurrences`) as a classifier of sequences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from integrators.cells.cell import Cell
from integrators.cells.kind_check import check_kind
from integrators.codegen.compiled import kernel
from integrators.codegen.threads import thread_count
from integrators.engine.drivers import KEEP, NOTHING, Block, Run, Taps
from integrators.engine.program import Program
from integrators.naming import nearest
from integrators.validation import as_count

from .network import BatchGradient, Blocks, Float, Network, equal_shares
from .readout import read_out

__all__ = ["CellNetwork"]

_VECTOR, _MATRIX = (types.Array(types.float64, n, "C") for n in (1, 2))
_COUNTS = types.Array(types.int64, 1, "C")
_I = types.int64


@kernel(types.void(_VECTOR, _COUNTS, _I, _I, _VECTOR, _MATRIX, _MATRIX, _MATRIX, _VECTOR, _VECTOR))
def readout_gradient(readout, labels, first, lanes, weights, y, scores, lam_y, gradient, result):
    """`read_out` for Python."""
    read_out(readout, 0, labels, first, lanes, weights, y, scores, lam_y, gradient, result)


class CellNetwork(Network):
    """A block h_N of the state of a cell run from zero, with a softmax readout R h_N + r.

    Parameters
    ----------
    cell : Cell
        Any cell: with layers, of your own, or structured. What is trained are its free parameters, but for
        the fixed ones: of an orthogonal cell not the entries of W but those of A, so that W stays orthogonal.
        Their names are those of `Cell.free_parameters`, with the layer's number at the end where there are
        several, and "R_out" and "r_out" of the readout.
    n_steps, n_classes : int
    block : str, optional
        What is read out: a name of ``cell.blocks``, or "state" for the whole state, which cells of your own
        may want, whose blocks are single numbers. By default the first block of the last layer.
    published : callable, optional
        ``published(rng)`` → such a cell at a start drawn anew, for `Start`; by default a network starts from
        the parameters of `cell`.
    threads : int, optional
        No result depends on it.

    Raises
    ------
    ValueError, TypeError
        If an argument makes no sense.

    Notes
    -----
    All steps of a block of lanes run in one compiled call each way (`Cell.forward`, `Cell.backward`).
    """

    readout = ("R_out", "r_out")

    def __init__(
        self,
        cell: Cell,
        n_steps: int,
        *,
        n_classes: int = 2,
        block: str | None = None,
        published: Callable[[np.random.Generator], Cell] | None = None,
        threads: int | None = None,
    ) -> None:
        if not isinstance(cell, Cell):
            raise TypeError(
                f"cell must be a Cell, as sensitivity.cell and own_cell make it, got {type(cell).__name__}."
            )
        self.cell, self.d, self.n_inputs = cell, cell.d, cell.n_inputs
        self.n_steps = as_count(n_steps, "n_steps", least=1)
        self.n_classes = as_count(n_classes, "n_classes", least=2)
        self.block = list(cell.blocks)[-len(cell.kind.state)] if block is None else block
        if block is None and cell.plan.layers == 1:
            self.block = cell.kind.state[0]
        blocks = {**cell.blocks, "state": slice(0, cell.dim)}
        if self.block not in blocks:
            raise nearest("block", self.block, blocks)
        self._read = blocks[self.block]
        size = self._read.stop - self._read.start
        self.shapes = {**_trained(cell), "R_out": (self.n_classes, size), "r_out": (self.n_classes,)}
        self.published = published
        self.threads = thread_count(threads)
        check_kind(cell)
        self._clock = cell.clock(self.n_steps)

    @property
    def recurrent_parameters(self) -> int:
        """Free parameters of the cell but for V and b."""
        outside = ("V", "b", *self.readout)
        return sum(int(np.prod(s)) for name, s in self.shapes.items() if self.plain(name) not in outside)

    def plain(self, name: str) -> str:
        return name.rstrip("0123456789") if self.cell.plan.layers > 1 else name

    def weights(self, theta: Float) -> Float:
        own = self.with_theta(theta).parameters
        name = next((name for name in ("W", "R") if name in own), None)
        if name is None:
            raise ValueError(f"{self.cell!r} has no matrix on its state; it has {', '.join(own)}.")
        return own[name]

    def with_theta(self, theta: Float) -> Cell:
        """The cell with these parameters, for Jacobians; its structure is that of `cell`.

        Raises
        ------
        ValueError
            If θ has another length, or holds or makes what is not finite.
        """
        if np.shape(theta) != (self.n_parameters,):
            raise ValueError(
                f"theta has shape {np.shape(theta)}; this network asks for ({self.n_parameters},)."
            )
        free = self.cell.free.copy()
        free[self.cell.free_trainable] = theta[: int(self.cell.free_trainable.sum())]
        return self.cell.with_free(free)

    def start(self, rng: np.random.Generator) -> Float:
        """The part of θ that is the cell's, at its published start or as the cell was given."""
        cell = self.cell if self.published is None else self.published(rng)
        return cell.free[cell.free_trainable]

    def _readout(self, theta: Float) -> Float:
        """The readout [R r] row by row."""
        parts = self.named(theta)
        return np.concatenate([parts["R_out"], parts["r_out"][:, None]], axis=1).ravel()

    def _block(self, inputs: Float, first: int, lanes: int, width: int, tape: int) -> tuple[Run, Block]:
        """The drivers' view of a block of lanes, padded with lanes that see zeros."""
        drive = np.zeros((self.n_steps, self.n_inputs + self._clock.shape[1], width))
        drive[:, : self.n_inputs, :lanes] = inputs[:, :, first : first + lanes]
        drive[:, self.n_inputs :] = self._clock[:, :, None]
        program = Program.of_map(self.n_steps)
        # Whether the state is finite shows in the loss: it need not be looked at on the way.
        run = Run(program.form, program.body, 1.0, 0.0, self.n_steps, 0, np.full(width, self.cell.step_size),
                  drive, program.rows, self.n_steps + 1, tape)  # fmt: skip
        state, columns = np.zeros((self.cell.dim, width)), np.zeros((self.cell.dim, 0, width))
        counts = np.zeros(width, np.int64)
        return run, Block(state, columns, counts, counts - 1)

    def _tape(self, kept: int, width: int) -> Float:
        return np.empty((kept, self.cell.dim, width))

    def gradient(
        self, theta: Float, inputs: Float, labels: NDArray[np.int64], weights: Float | None = None
    ) -> BatchGradient:
        at, readout = self.with_theta(theta), self._readout(theta)
        cell, rows = at.packed, self._read
        shares = equal_shares(labels.size) if weights is None else weights
        blocks = Blocks.of(labels.size)
        members = blocks.members()
        gradients = np.zeros((len(members), cell.size + readout.size))
        results = np.empty((len(members), 2))

        def work(thread: int, share: list[int]) -> None:
            for b in share:
                first, lanes = members[b]
                run, block = self._block(inputs, first, lanes, blocks.widths[b], KEEP)
                tape, none = (self._tape(kept, blocks.widths[b]) for kept in (self.n_steps, 0))
                self.cell.forward(cell, run, block, tape, none, 0, self.n_steps)
                lam = np.zeros((self.cell.dim, 1, blocks.widths[b]))
                hidden, pulled = block.state[rows], np.empty((rows.stop - rows.start, blocks.widths[b]))
                scores = np.empty((self.n_classes, blocks.widths[b]))
                own, out = gradients[b, : cell.size], gradients[b, cell.size :]
                readout_gradient(
                    readout, labels, first, lanes, shares, hidden, scores, pulled, out, results[b]
                )
                lam[rows, 0] = pulled
                taps, end = Taps.none(), self.n_steps
                self.cell.backward(cell, run, tape, lam, block.exponent, own, taps, 0, end)

        blocks.run(work, self.threads)
        loss, right = results.sum(axis=0)
        total = gradients.sum(axis=0)
        R = total[cell.size :].reshape(self.n_classes, -1)
        own = at.gradient_by_free(total[: cell.size])[at.free_trainable]
        return BatchGradient(float(loss), int(right), np.concatenate([own, R[:, :-1].ravel(), R[:, -1]]))

    def scores(self, theta: Float, inputs: Float) -> Float:
        cell, rows = self.with_theta(theta).packed, self._read
        parts, n = self.named(theta), inputs.shape[2]
        blocks, hidden = Blocks.of(n), np.empty((rows.stop - rows.start, n))
        members = blocks.members()

        def work(thread: int, share: list[int]) -> None:
            for b in share:
                first, lanes = members[b]
                run, block = self._block(inputs, first, lanes, blocks.widths[b], NOTHING)
                none = self._tape(0, blocks.widths[b])
                self.cell.forward(cell, run, block, none, none, 0, self.n_steps)
                hidden[:, first : first + lanes] = block.state[rows, :lanes]

        blocks.run(work, self.threads)
        # Not a matrix product: its bits may depend on the number of sequences.
        return (parts["R_out"][:, :, None] * hidden[None]).sum(axis=1) + parts["r_out"][:, None]

    def describe(self) -> dict[str, Any]:
        parts = self.cell.parameters
        settings = {name: np.asarray(parts[name]).tolist() for name in self.cell.kind.constants or {}}
        step = {} if self.cell.step_size == 1.0 else {"step_size": self.cell.step_size}
        own = {**super().describe(), "cell": self.cell.name, **settings, **step}
        if self.cell.plan.layers > 1:
            own["layers"] = self.cell.plan.layers
        structure = self.cell.kind.structure
        if structure is not None:
            # What is fixed (γ, signs, a permutation) is no part of θ, by which checkpoints know a run.
            layers = self.cell.unpack_free(self.cell.free)
            fixed = {name: [np.asarray(layer[name]).tolist() for layer in layers] for name in structure.fixed}
            own["structure"] = {"kind": type(structure).__name__, **fixed}
        return own if self._read.start == 0 and self._read.stop == self.d else {**own, "block": self.block}


def _trained(cell: Cell) -> dict[str, tuple[int, ...]]:
    """Names and shapes of what is trained, in the order of ``cell.free[cell.free_trainable]``."""
    marks = cell.unpack_free(cell.free_trainable)  # pyright: ignore[reportArgumentType]
    shapes = {
        name + (str(layer) if len(marks) > 1 else ""): own.shape
        for layer, parts in enumerate(marks)
        for name, own in parts.items()
        if own.all()
    }
    for name in CellNetwork.readout:
        if name in shapes:
            raise ValueError(
                f"{cell.name} has a parameter {name}, which is what the readout is called; rename it."
            )
    return shapes
