"""What lies between the cells of a stack, as data: a list of operations on signals.

A *signal* is a vector that has a value at every step and no memory: the input, the state of a cell after its
step, and what operations make of these. An operation is a row of a table of numbers, whose columns are
`COLUMNS_OF_A_ROW`. The compiled step, its tangents and its cotangents all read that table. A gated linear
unit is two affine maps, a logistic function and a product; there is no operation of that name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from integrators.cells.layout import LAYOUT, Layout
from integrators.codegen.array_types import TABLE, VECTOR

__all__ = [
    "ACTIVATE",
    "ADD",
    "AFFINE",
    "BATCH_NORM",
    "CELL",
    "LAYER_NORM",
    "OUTPUT",
    "PRODUCT",
    "RMS_NORM",
    "SCALE",
    "STACKED",
    "Parameter",
    "Signal",
    "Stacked",
    "Wiring",
]

CELL, AFFINE, SCALE, ADD, PRODUCT, ACTIVATE, LAYER_NORM, RMS_NORM, BATCH_NORM, OUTPUT = range(10)
"""Codes of the operations: a step of a cell; M s + b; w ∘ s; s + t; s ∘ t; σ(s); the normalisations
w ∘ (s − mean s)/√(var s + ε) + b, w ∘ s/√(mean s² + ε) and w ∘ (s − μ)/√(v + ε) + b with fixed μ and v; and
what is kept of a signal in the state."""

COLUMNS_OF_A_ROW = ("code", "target", "size", "first", "second", "inner", "at", "extra", "moves")
"""Of the table. `target`, `first` and `second` are the first rows of signals, `size` is the number of rows of
the target and `inner` that of the first source; parameters begin at `at`. `extra` is the place of the bias of
an affine map or −1, the number of a cell, the code of an activation, or whether an output is a mean. `moves`
says whether the target depends on the state before the step."""


class Signal(NamedTuple):
    """Rows of the table of signals."""

    start: int
    size: int


class Parameter(NamedTuple):
    """Parameters of an operation."""

    name: str
    shape: tuple[int, ...]
    trained: bool

    @property
    def size(self) -> int:
        """How many numbers they are."""
        return math.prod(self.shape)


class Stacked(NamedTuple):
    """What compiled code is told about a stack."""

    layout: Layout  # of one cell
    every: Layout  # the same with as many layers as there are cells, by which the workspace is made
    d: int  # neurons of a cell
    longest: int  # the largest number of inputs of a cell
    rows: int  # of all signals
    kept: int  # rows of the output at the end of the state
    clock: int  # trailing rows of x that are the weight of a mean
    cells: NDArray[np.int64]  # (cells, 3): the number of inputs, the place in theta, the size there
    operations: NDArray[np.int64]
    numbers: NDArray[np.float64]  # ε of the normalisations


STACKED = types.NamedTuple((LAYOUT, LAYOUT, *(types.int64,) * 5, TABLE, TABLE, VECTOR), Stacked)


@dataclass
class Wiring:
    """Collects the operations of a step in their order.

    Parameters
    ----------
    n_inputs : int
        Rows of the input, which is the first signal.
    first : int
        Where the parameters of the operations begin in theta, after those of the cells.

    Examples
    --------
    >>> from integrators.cells.stacks.wiring import Wiring
    >>> wiring = Wiring(3, 0)
    >>> wiring.affine("encoder", wiring.input, np.ones((4, 3)), np.zeros(4))
    Signal(start=3, size=4)
    >>> [parameter.name for parameter in wiring.parameters]
    ['encoder.W', 'encoder.b']
    """

    n_inputs: int
    first: int
    parameters: list[Parameter] = field(default_factory=list)
    starts: list[NDArray[np.float64]] = field(default_factory=list)
    table: list[tuple[int, ...]] = field(default_factory=list)
    numbers: list[float] = field(default_factory=list)
    rows: int = 0
    kept: int = 0
    mean: bool = False
    moving: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.rows = self.n_inputs

    @property
    def input(self) -> Signal:
        """The input of the stack."""
        return Signal(0, self.n_inputs)

    def cell(self, layer: int, source: Signal, size: int) -> Signal:
        """The state of a cell after its step with this input."""
        return self._add(CELL, (source,), size, extra=layer, moves=True)

    def affine(
        self, name: str, source: Signal, W: NDArray[np.float64], b: NDArray[np.float64] | None = None
    ) -> Signal:
        """W s + b."""
        at = self._parameter(f"{name}.W" if b is not None else name, W)
        bias = -1 if b is None else self._parameter(f"{name}.b", b)
        return self._add(AFFINE, (source,), len(W), at=at, extra=bias)

    def scale(self, name: str, source: Signal, w: NDArray[np.float64]) -> Signal:
        """w ∘ s."""
        return self._add(SCALE, (source,), source.size, at=self._parameter(name, w))

    def add(self, first: Signal, second: Signal) -> Signal:
        """s + t."""
        return self._add(ADD, (first, second), first.size)

    def product(self, first: Signal, second: Signal) -> Signal:
        """s ∘ t."""
        return self._add(PRODUCT, (first, second), first.size)

    def activate(self, code: int, source: Signal) -> Signal:
        """σ(s) by the code of an activation."""
        return self._add(ACTIVATE, (source,), source.size, extra=code)

    def normalise(self, code: int, name: str, source: Signal, epsilon: float, affine: bool = True) -> Signal:
        """One of the normalisations; the weights are trained if `affine`, else they are one and zero."""
        n = source.size
        given = {"w": np.ones(n), "b": np.zeros(n)} if code != RMS_NORM else {"w": np.ones(n)}
        places = [self._parameter(f"{name}.{key}", value, affine) for key, value in given.items()]
        if code == BATCH_NORM:
            self._parameter(f"{name}.mean", np.zeros(n), False)
            self._parameter(f"{name}.var", np.ones(n), False)
        return self._add(code, (source,), n, at=places[0], number=epsilon)

    def output(self, source: Signal, mean: bool) -> None:
        """Keep a signal in the last rows of the state: that of the last step, or the mean over all."""
        self.kept, self.mean = source.size, mean
        self._add(OUTPUT, (source,), source.size, extra=int(mean), moves=True)

    def _parameter(self, name: str, start: NDArray[np.float64], trained: bool = True) -> int:
        place = self.first + sum(parameter.size for parameter in self.parameters)
        self.starts.append(np.asarray(start, np.float64))
        self.parameters.append(Parameter(name, self.starts[-1].shape, trained))
        return place

    def _add(
        self, code: int, sources: tuple[Signal, ...], size: int, *, at: int = 0, extra: int = 0,
        moves: bool = False, number: float = 0.0,
    ) -> Signal:  # fmt: skip
        target = Signal(self.rows, size)
        second = sources[-1].start
        read = [row for source in sources for row in range(source.start, source.start + source.size)]
        moves = moves or not self.moving.isdisjoint(read)
        if moves:
            self.moving.update(range(target.start, target.start + size))
        self.table.append(
            (code, target.start, size, sources[0].start, second, sources[0].size, at, extra, int(moves))
        )
        self.numbers.append(number)
        self.rows += size
        return target
