"""A recurrent cell (LSTM, vanilla, any other of `sensitivity.recurrences`) as a classifier of sequences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from integrators.cells.cell import Cell
from integrators.cells.kind_check import check_kind
from integrators.codegen.simd import WIDTH
from integrators.engine.drivers import CONDENSE
from integrators.engine.program import Program
from integrators.naming import nearest
from integrators.run.recurrence import Recurrence

from .network import MOST_VECTORS, Float, RecurrentNetwork, Weights

__all__ = ["CellNetwork"]

# Where the slopes of a block of sequences fit into this on each thread, they are kept for the way back: a
# gradient of an LSTM with d = 75 and 500 steps takes X as long as one that evaluates every step once more.
CONDENSED_BYTES = 1 << 28


class CellNetwork(RecurrentNetwork):
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
        super().__init__(n_steps, cell.n_inputs, n_classes, threads)
        self.cell, self.d = cell, cell.d
        self.block = cell.readout if block is None else block
        blocks = {**cell.blocks, "state": slice(0, cell.dim)}
        if self.block not in blocks:
            raise nearest("block", self.block, blocks)
        self.read = blocks[self.block]
        size = self.read.stop - self.read.start
        self.shapes = {**_trained(cell), "R_out": (self.n_classes, size), "r_out": (self.n_classes,)}
        self.published = published
        check_kind(cell)
        self.program, self.clock = Program.of_map(self.n_steps), cell.clock(self.n_steps)
        self.dim = self.entry_rows = cell.dim
        if 8 * cell.condensed_rows * self.n_steps * MOST_VECTORS * WIDTH <= CONDENSED_BYTES:
            self.entry_rows, self.kept = cell.condensed_rows, CONDENSE
        self.step_size = cell.step_size

    @property
    def recurrent_parameters(self) -> int:
        """Free parameters of the cell but for V and b."""
        outside = ("V", "b", *self.readout)
        return sum(int(np.prod(s)) for name, s in self.shapes.items() if self.plain(name) not in outside)

    def plain(self, name: str) -> str:
        return name.rstrip("0123456789") if self.cell.layout.layers > 1 else name

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

    def recurrence(self, theta: Float, inputs: Float) -> Recurrence:
        given = inputs.transpose(2, 0, 1) if self.n_inputs else np.zeros((inputs.shape[2], self.n_steps, 0))
        return Recurrence(self.with_theta(theta), self.n_steps, inputs=given, threads=1, progress=False)

    def from_named(self, theta: Float, gradient: Mapping[str, Float]) -> Float:
        free = np.zeros(self.cell.free.size)
        several = self.cell.layout.layers > 1
        for number, layer in enumerate(self.cell.unpack_free(free)):  # views
            for name, view in layer.items():
                view[...] = gradient[f"{name}{number}" if several else name]
        found = np.zeros(self.n_parameters)
        found[: int(self.cell.free_trainable.sum())] = free[self.cell.free_trainable]
        return found

    def start(self, rng: np.random.Generator) -> Float:
        """The part of θ that is the cell's, at its published start or as the cell was given."""
        cell = self.cell if self.published is None else self.published(rng)
        return cell.free[cell.free_trainable]

    def packed(self, theta: Float) -> Weights:
        at = self.with_theta(theta)
        return Weights(at.packed, lambda gradient: at.gradient_by_free(gradient)[at.free_trainable])

    def forward(self, packed: Float, *rest: Any) -> None:
        self.cell.forward(packed, *rest)

    def backward(self, packed: Float, *rest: Any) -> None:
        self.cell.backward(packed, *rest)

    def describe(self) -> dict[str, Any]:
        parts = self.cell.parameters
        settings = {name: np.asarray(parts[name]).tolist() for name in self.cell.kind.constants or {}}
        step = {} if self.cell.step_size == 1.0 else {"step_size": self.cell.step_size}
        own = {**super().describe(), "cell": self.cell.name, **settings, **self.cell.details, **step}
        if self.cell.layout.layers > 1:
            own["layers"] = self.cell.layout.layers
        structure = self.cell.kind.structure
        if structure is not None:
            # What is fixed (γ, signs, a permutation) is no part of θ, by which checkpoints know a run.
            layers = self.cell.unpack_free(self.cell.free)
            fixed = {name: [np.asarray(layer[name]).tolist() for layer in layers] for name in structure.fixed}
            own["structure"] = {"kind": type(structure).__name__, **fixed}
        return own if self.read.start == 0 and self.read.stop == self.d else {**own, "block": self.block}


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
