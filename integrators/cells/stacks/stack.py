"""A stack of cells with operations between them, as one cell whose state is that of all of them."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.cells.cell import Cell
from integrators.cells.kind import Kind
from integrators.cells.kind_check import check_kind
from integrators.cells.layout import no_middle
from integrators.engine.column_scale import bits_from_one
from integrators.validation import as_array, as_vector

from .stage import stacks_backward, stacks_forward
from .wiring import AFFINE, LAYER_NORM, RMS_NORM, Stacked, Wiring

__all__ = ["CellStack"]

Float = NDArray[np.float64]


class CellStack(Cell):
    """Cells of one kind with operations between them; `sensitivity.stack` makes one.

    Parameters
    ----------
    name : str
    cells : sequence of Cell
        Of one kind and one number of neurons, with one layer each.
    wiring : Wiring
        The operations of a step, which name each cell once.
    reference : str
        Where the stack was published.
    details : mapping
        What the stack is made of, in words.

    Attributes
    ----------
    cells : tuple of Cell
    blocks : mapping
        The blocks of every cell, with its number where there are several; "layer0", "layer1", … for the whole
        states of the cells; "cells" for all of them; and "out" for the output, where it is kept.

    Raises
    ------
    ValueError, TypeError
        If the cells do not go together.
    """

    condenses = False
    compiled = False

    def __init__(
        self,
        name: str,
        cells: Sequence[Cell],
        wiring: Wiring,
        reference: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> None:
        _check(cells)
        first = cells[0]
        self.name, self.cells, self.details = name, tuple(cells), dict(details or {})
        self.d, self.n_inputs, self.step_size = first.d, wiring.n_inputs, first.step_size
        self.decoupled = False
        self.kind = Kind(
            name=name, state=("state",), rows=(), point=no_middle, depends={"state": ""}, recurrent=0,
            step=first.kind.step, clock_rows=int(wiring.mean), reference=reference,
        )  # fmt: skip
        self.layout = self.kind.layout()
        self._operations = tuple(wiring.parameters)
        own = np.concatenate([np.zeros(0), *(start.ravel() for start in wiring.starts)])
        self.packed = np.concatenate([*(cell.packed for cell in cells), own])
        self._free = np.concatenate([*(cell.free for cell in cells), own])
        self.dim = sum(cell.dim for cell in cells) + wiring.kept
        self.default_block = "cells" if wiring.kept else "state"
        self.blocks = _blocks(cells, wiring.kept)
        self._table, self._kept = _table(cells, wiring), wiring.kept

    # ------------------------------------------------------------------------------------ parameters

    def unpack(self, flat: Float) -> list[dict[str, Float]]:
        """Named views of a vector packed as theta: one mapping, with ``layer0.V`` for V of the first cell."""
        self._check_size(flat, self.packed.size, "theta", "unpack_free")
        return [self._named(flat, [cell.packed.size for cell in self.cells], Cell.unpack)]

    def unpack_free(self, flat: Float) -> list[dict[str, Float]]:
        """Named views of a vector packed as `free`, such as a gradient."""
        self._check_size(flat, self.free.size, "free", "unpack")
        return [self._named(flat, [cell.free.size for cell in self.cells], Cell.unpack_free)]

    def _named(self, flat: Float, sizes: list[int], unpack: Any) -> dict[str, Float]:
        found, start = {}, 0
        for number, (cell, size) in enumerate(zip(self.cells, sizes, strict=True)):
            parts = unpack(cell, flat[..., start : start + size])[0]
            found |= {f"layer{number}.{name}": value for name, value in parts.items()}
            start += size
        for parameter in self._operations:
            part = flat[..., start : start + parameter.size]
            found[parameter.name] = part.reshape(*flat.shape[:-1], *parameter.shape)
            start += parameter.size
        return found

    @property
    def between(self) -> tuple[str, ...]:
        """Names of the parameters of the operations between the cells."""
        return tuple(parameter.name for parameter in self._operations)

    def _split(self, flat: Float, sizes: list[int]) -> tuple[list[Float], Float]:
        """The parts of the cells, and that of the operations."""
        ends = np.cumsum([0, *sizes])
        parts = [flat[..., a:b] for a, b in pairwise(ends)]
        return parts, flat[..., ends[-1] :]

    def _of(self, cells: Sequence[Cell], own: Float) -> CellStack:
        other = copy.copy(self)
        for name in ("trainable", "free_trainable", "factor_bits"):
            other.__dict__.pop(name, None)
        other.cells = tuple(cells)
        other.packed = np.concatenate([*(cell.packed for cell in cells), own])
        other._free = np.concatenate([*(cell.free for cell in cells), own])
        return other

    def with_theta(self, theta: ArrayLike) -> Cell:
        """The same stack with other parameters, as compiled code reads them; see `Cell.with_theta`."""
        flat = as_vector(theta, "theta", self.packed.size)
        parts, own = self._split(flat, [cell.packed.size for cell in self.cells])
        return self._of([cell.with_theta(part) for cell, part in zip(self.cells, parts, strict=True)], own)

    def with_free(self, free: ArrayLike) -> Cell:
        """The same stack with other free parameters, packed as `free`."""
        flat = as_vector(free, "free", self.free.size)
        parts, own = self._split(flat, [cell.free.size for cell in self.cells])
        return self._of([cell.with_free(part) for cell, part in zip(self.cells, parts, strict=True)], own)

    def with_parameters(self, **given: ArrayLike) -> Cell:
        """The same stack with some parameters replaced by name, such as ``layer0.V`` or ``encoder.W``.

        Raises
        ------
        ValueError, TypeError
            If there is no such parameter, or it has another shape.
        """
        known = {**self.parameters, **self.free_parameters}
        of_cells: list[dict[str, ArrayLike]] = [{} for _ in self.cells]
        own = self._split(self.packed, [cell.packed.size for cell in self.cells])[1].copy()
        places = {parameter.name: parameter for parameter in self._operations}
        for name, value in given.items():
            if name not in known:
                raise ValueError(f"{self.name} has no parameter {name!r}; it has {', '.join(known)}.")
            array = as_array(value, name, known[name].ndim)
            if array.shape != known[name].shape:
                raise ValueError(f"{name} has shape {array.shape}; {self.name} asks for {known[name].shape}.")
            if name in places:
                before = self._operations[: self._operations.index(places[name])]
                start = sum(parameter.size for parameter in before)
                own[start : start + array.size] = array.ravel()
            else:
                layer, _, key = name.partition(".")
                of_cells[int(layer.removeprefix("layer"))][key] = array
        pairs = zip(self.cells, of_cells, strict=True)
        return self._of([cell.with_parameters(**new) if new else cell for cell, new in pairs], own)

    def gradient_by_free(self, gradient: Float) -> Float:
        """∂C/∂(free) from ∂C/∂θ at these parameters, shape (…, P) → (…, F)."""
        parts, own = self._split(gradient, [cell.packed.size for cell in self.cells])
        pairs = zip(self.cells, parts, strict=True)
        return np.concatenate([*(cell.gradient_by_free(part) for cell, part in pairs), own], axis=-1)

    @cached_property
    def trainable(self) -> NDArray[np.bool_]:
        """Which entries of theta are parameters, not constants."""
        return np.concatenate([*(cell.trainable for cell in self.cells), self._trained()])

    @cached_property
    def free_trainable(self) -> NDArray[np.bool_]:
        """Which entries of `free` are trained."""
        return np.concatenate([*(cell.free_trainable for cell in self.cells), self._trained()])

    def _trained(self) -> NDArray[np.bool_]:
        marks = [np.full(parameter.size, parameter.trained) for parameter in self._operations]
        return np.concatenate([np.zeros(0, bool), *marks])

    def structured(self, structure: Any, **free: ArrayLike) -> Cell:
        """Refused: a structure belongs to the cells, before they are stacked."""
        raise ValueError(
            f"{self!r} takes the structures of its cells; give them to these before they are stacked."
        )

    def unstructured(self) -> Cell:
        """The same stack of cells without structures: every entry of theta is a parameter of its own."""
        own = self._split(self.packed, [cell.packed.size for cell in self.cells])[1]
        return self._of([cell.unstructured() for cell in self.cells], own)

    def clock(self, n_steps: int) -> Float:
        """The weight 1/N of every step, where the output is a mean."""
        return np.full((n_steps, self.kind.clock_rows), 1.0 / max(n_steps, 1))

    @property
    def readout(self) -> str:
        """The output where it is kept, else the whole state."""
        return "out" if self._kept else "state"

    def log_bound_of(self, block: str, step: ArrayLike, n_steps: int, s0: ArrayLike | None = None) -> Float:
        """The bound of a cell for its own block, which the cells below it reach as inputs alone.

        ∂s_N/∂s_0 is block lower triangular, and its diagonal blocks are the Jacobians of single cells.
        """
        wanted = self.blocks.get(block, slice(0, 0))
        for number, cell in enumerate(self.cells):
            part = cell.blocks.get(cell.default_block, slice(0, cell.dim))
            start = number * cell.dim
            if wanted == slice(start + part.start, start + part.stop):
                own = None if s0 is None else np.asarray(s0)[..., start : start + cell.dim]
                return cell.log_bound(step, n_steps, own)
        return super().log_bound_of(block, step, n_steps, s0)

    @property
    def summand(self) -> float:
        """As of a cell, times the most that a normalisation can enlarge what it is given."""
        rows = zip(self._table.operations, self._table.numbers, strict=True)
        factors = [
            float(np.abs(self.packed[row[6] : row[6] + row[2]]).max()) / float(np.sqrt(epsilon))
            for row, epsilon in rows
            if row[0] in (LAYER_NORM, RMS_NORM)
        ]
        return 2.0 * (1.0 + max(factors, default=0.0))

    @property
    def depth(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """All operations of a step, each with sums of as many terms as its source has rows."""
        return int(self._table.operations[:, 5].sum())

    # --------------------------------------------------------------------------------------- drivers

    @cached_property
    def factor_bits(self) -> int:
        """By how many powers of two the weights that columns are multiplied by differ from one."""
        own = max((bits_from_one(p) for p in self.parameters.values() if p.ndim == 2 and p.size), default=0)
        return max([own, *(cell.factor_bits for cell in self.cells)])

    @property
    def cached_rows(self) -> int:
        """Rows of a column that one step reads and writes."""
        return self._table.rows + 2 * self.dim

    @property
    def condensed_rows(self) -> int:
        """Rows of a tape entry."""
        return self.dim

    def seconds(self, k: int) -> float:
        """A rough estimate of the time of one step with k columns, for one batch member."""
        terms = sum(int(row[2] * row[5]) for row in self._table.operations if row[0] == AFFINE)
        terms += sum(cell.packed.size for cell in self.cells)
        return 2.0 * terms * (k + 1) / 2e10 + 2e-8 * self._table.rows * (k + 1) + 1e-6

    def forward(self, theta: Float, *rest: Any) -> None:
        """`sweep_forward` with this stack's stage: run, block, tape, nodes, and steps [start, stop)."""
        kind = self.cells[0].kind
        stacks_forward(kind.point, kind.middle, self._table, theta, *rest)

    def backward(self, theta: Float, *rest: Any) -> None:
        """`sweep_backward` with this stack's stage: run, tape, columns, exponent, gradient, taps, steps."""
        kind = self.cells[0].kind
        stacks_backward(kind.point, kind.middle, self._table, theta, *rest)

    def __repr__(self) -> str:
        driven = f", n_inputs={self.n_inputs}" if self.n_inputs else ""
        return f"CellStack({self.name}, {len(self.cells)} × {self.cells[0].kind.name}, d={self.d}{driven})"


def _check(cells: Sequence[Cell]) -> None:
    """Raise unless the cells go together."""
    if not cells or not all(isinstance(cell, Cell) and cell.compiled for cell in cells):
        raise TypeError("cells must be a sequence of at least one cell with a rule, such as lru(8, 4).")
    first = cells[0]
    for number, cell in enumerate(cells):
        same = cell.kind.name == first.kind.name and cell.kind.point is first.kind.point
        if not same or cell.d != first.d or cell.step_size != first.step_size:
            raise ValueError(
                f"cell {number} of the stack is {cell!r}, the first is {first!r}; all cells of a stack have "
                "one kind, one number of neurons and one step size."
            )
        if cell.layout.layers > 1 or cell.kind.clock_rows:
            raise ValueError(
                f"cell {number} of the stack is {cell!r}; a stack takes cells of one layer and without a "
                "clock."
            )
        check_kind(cell)


def _blocks(cells: Sequence[Cell], kept: int) -> dict[str, slice]:
    """Names of the parts of the state."""
    found: dict[str, slice] = {}
    start = 0
    for number, cell in enumerate(cells):
        end = str(number) if len(cells) > 1 else ""
        for name, part in cell.blocks.items():
            found[name + end] = slice(start + part.start, start + part.stop)
        start += cell.dim
    for number in range(len(cells)):
        found[f"layer{number}"] = slice(number * cells[0].dim, (number + 1) * cells[0].dim)
    if kept:
        found["cells"], found["out"] = slice(0, start), slice(start, start + kept)
    return found


def _table(cells: Sequence[Cell], wiring: Wiring) -> Stacked:
    """What compiled code is told."""
    start, rows = 0, []
    for cell in cells:
        rows.append((cell.n_inputs, start, cell.packed.size))
        start += cell.packed.size
    return Stacked(
        cells[0].kind.layout(),
        cells[0].kind.layout(len(cells)),
        cells[0].d,
        max(cell.n_inputs for cell in cells),
        wiring.rows,
        wiring.kept,
        int(wiring.mean),
        np.array(rows, np.int64),
        np.array(wiring.table, np.int64).reshape(len(wiring.table), -1),
        np.array(wiring.numbers),
    )
