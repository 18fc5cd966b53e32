"""Jacobians of time-invariant linear maps: powers of one matrix, by repeated squaring.

Where the Jacobian of a step is the same at every state and input, ∂s_N/∂s_0 = C B^{N−1} A with the first step
A, a later step B and the closing kick C (`Program`). B^{N−1} takes at most 2 log₂ N products.

Rounding. In a loop over steps every step rounds anew, so that errors partly cancel. Squaring repeats what it
once rounded: an error in B^k counts N/k times, and always the same. In float64 squaring would be off by some
N · 2^-53, where the loop is off by some √N · 2^-53. So all is computed in twice the precision
(`double_product`), the matrix of a step too, from the numbers that the loop multiplies with; the result is
rounded once. Matrices whose powers grow before they shrink, non-normal ones, lose no digits that the loop
would keep. Against 60 digits, relative to the largest entry, N = 10^5: loop 2e-15 … 6e-14, powers 1e-16,
for Gaussian, orthogonal, growing, shrinking, strongly non-normal matrices, and a Jordan block.

Every column carries a power of two of its own, as in the loop.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from integrators.codegen.product import SECONDS_PER_DOUBLE_TERM, double_product
from integrators.engine.blocks import Ticker, run_blocks
from integrators.engine.column_scale import FURTHEST, ZERO, Scaled, bits_of_shift
from integrators.engine.program import Operation, Program
from integrators.run.recurrence import Recurrence
from integrators.scaled_matrix import two_sum

__all__ = ["Power", "power_cotangents", "power_jacobian", "powers_pay"]

Float = NDArray[np.float64]
Counts = NDArray[np.int64]

# Shorter runs go step by step, whatever it costs: their results keep their bits.
LEAST_STEPS = 256


class Power(NamedTuple):
    """A matrix (high + low) · 2^exponent, with an exponent for each column, whose entries are at most one."""

    high: Float
    low: Float
    exponent: Counts

    @classmethod
    def of(cls, high: Float, low: Float | None = None, exponent: Counts | None = None) -> Power:
        """The same with the size of every column in its exponent."""
        size = np.frexp(np.abs(high).max(axis=0, initial=0.0))[1].astype(np.int64)
        zero = ~high.any(axis=0)
        low = np.zeros_like(high) if low is None else low
        counted = size if exponent is None else exponent + size
        moved = (-size).astype(np.int32)
        return cls(np.ldexp(high, moved), np.ldexp(low, moved), np.where(zero, ZERO, counted))

    def __matmul__(self, right: Power) -> Power:
        """The product; what falls 2^-1000 below the largest term of a column may become zero."""
        size = np.frexp(right.high)[1]
        place = np.where(right.high != 0.0, self.exponent[:, None] + size, ZERO)
        top = place.max(axis=0, initial=ZERO)
        moved = bits_of_shift(self.exponent[:, None] - top)
        moved = np.where(right.high != 0.0, moved, 0)
        factors = [np.ascontiguousarray(np.ldexp(part, moved)) for part in (right.high, right.low)]
        shape = self.high.shape[0], right.high.shape[1]
        high, low = np.empty(shape), np.empty(shape)
        double_product(self.high, self.low, *factors, high, low)
        return Power.of(high, low, right.exponent + top)

    @property
    def transposed(self) -> Power:
        """The transposed matrix, for those of single steps: columns 2^1000 below others may become zero."""
        top = self.exponent.max(initial=ZERO)
        moved = np.clip(self.exponent - top, -FURTHEST, 0).astype(np.int32)
        high, low = (np.ascontiguousarray(np.ldexp(part, moved).T) for part in (self.high, self.low))
        return Power.of(high, low, np.full(len(self.high), top if self.high.any() else 0))

    def scaled(self) -> tuple[Float, Counts]:
        """Values in float64, rounded once, with the exponent of every column."""
        return self.high, np.where(self.exponent <= ZERO // 2, 0, self.exponent)


class _Steps(NamedTuple):
    """The matrices of the first step, of a later one, and of the kick that closes the run."""

    first: Power
    later: Power
    closing: Power | None


def powers_pay(recurrence: Recurrence, columns: int, results: int = 1) -> bool:
    """Whether powers of one matrix are the cheaper way to so many Jacobians, or cotangents, of a long run.

    Depends on what is asked alone, not on threads, nor on which members there are.
    """
    system, n_steps, D = recurrence.system, recurrence.n_steps, recurrence.state_size
    if not system.constant_jacobian or n_steps < LEAST_STEPS or recurrence.dtype != np.float64:
        return False
    if callable(recurrence.inputs) or (recurrence.cell is not None and recurrence.cell.layout.layers > 1):
        return False
    doublings = math.log2(n_steps)
    terms = 2.0 * doublings * D**3 if results == 1 else doublings * D**2 * (D + results * columns)
    loop = system.seconds(columns) * max(1, recurrence.program().evaluations_per_step) * n_steps
    return SECONDS_PER_DOUBLE_TERM * terms + 1e-4 * doublings * results < loop


def power_jacobian(recurrence: Recurrence, columns: Float, rows: str | None) -> Scaled | None:
    """J V as `Recurrence.pushforward` gives it, for columns (D, k); None where a step leaves float64."""
    distinct, inverse = np.unique(recurrence.steps, return_inverse=True)
    given = Power.of(columns)
    values = np.empty((distinct.size, recurrence.state_size, columns.shape[1]))
    exponents = np.empty((distinct.size, columns.shape[1]), np.int64)

    def work(index: int, steps: _Steps, ticker: Ticker) -> None:
        n = recurrence.n_steps - 1
        total = None
        for square, wanted in _squares(steps.later, n, ticker):
            if wanted:
                total = square if total is None else square @ total
        found = steps.first if total is None else total @ steps.first
        found = found if steps.closing is None else steps.closing @ found
        values[index], exponents[index] = (found @ given).scaled()

    _for_each(recurrence, distinct, rows, work)
    if not np.isfinite(values).all():
        return None
    part = slice(None) if rows is None else recurrence.blocks[rows]
    return Scaled.of(values[inverse], exponents[inverse]).shaped(recurrence.shape, part)


def power_cotangents(
    recurrence: Recurrence, columns: Float, index: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.intp], int, Float, Counts]]:
    """The cotangents of y_i for every i in `index`, as `node_cotangents` hands them out.

    Yields members, the place in `index`, values (rows, k) and exponents (k,): a step size has one for all of
    its members.
    """
    distinct, inverse = np.unique(recurrence.steps, return_inverse=True)
    start = np.zeros((recurrence.state_size, columns.shape[1]))
    start[: len(columns)] = columns
    found: dict[int, list[tuple[Float, Counts]]] = {}

    def work(which: int, steps: _Steps, ticker: Ticker) -> None:
        squares = [square for square, _ in _squares(steps.later.transposed, recurrence.n_steps - 1, ticker)]
        first, begin, here = steps.first.transposed, Power.of(start), []
        for i in index.tolist():
            pulled = begin
            for bit, square in enumerate(squares):
                if (recurrence.n_steps - 1 - i) >> bit & 1 and i < recurrence.n_steps:
                    pulled = square @ pulled
            pulled = pulled if i == recurrence.n_steps else first @ pulled
            values, exponents = pulled.scaled()
            here.append((values[: recurrence.system.dim].copy(), exponents))
            ticker(0)
        found[which] = here

    _for_each(recurrence, distinct, "position" if recurrence.cell is None else None, work)
    for which in range(distinct.size):
        members = np.flatnonzero(inverse == which)
        for place, (values, exponents) in enumerate(found[which]):
            yield members, place, values, exponents


def _squares(matrix: Power, n: int, ticker: Ticker) -> Iterator[tuple[Power, bool]]:
    """matrix^(2^i) as far as n reaches, and whether n has that binary digit."""
    while n > 0:
        yield matrix, bool(n & 1)
        n >>= 1
        if n > 0:
            matrix = matrix @ matrix
        ticker(0)


def _for_each(recurrence: Recurrence, distinct: Float, rows: str | None, work: Any) -> None:
    """``work(index, steps, ticker)`` for every distinct step size, on threads."""
    program = recurrence.program(close=rows != "position")
    doublings, D = math.log2(max(2, recurrence.n_steps)), recurrence.state_size

    def block(which: slice, ticker: Ticker) -> None:
        for index in range(which.start, which.stop):
            with np.errstate(over="ignore", invalid="ignore", under="ignore"):
                work(index, _steps(recurrence, program, float(distinct[index])), ticker)
            ticker(1)

    run_blocks(
        distinct.size,
        1,
        block,
        total=distinct.size,
        seconds=distinct.size * 2.0 * doublings * D**3 * SECONDS_PER_DOUBLE_TERM,
        label=recurrence.label,
        threads=recurrence.threads,
        progress=recurrence.progress,
    )


def _steps(recurrence: Recurrence, program: Program, h: float) -> _Steps:
    """The matrices of a step of size h."""
    if recurrence.cell is not None:
        cell = recurrence.cell
        one = Recurrence(cell, 1, step=h if cell.kind.step is not None else None, threads=1, progress=False)
        found = one.pushforward(np.eye(cell.dim))
        matrix = Power.of(found.values, None, found.exponents)
        return _Steps(matrix, matrix, None)
    field = recurrence.system
    DF = field.linearise(np.zeros(field.dim), np.zeros(field.n_inputs))[1]
    later = _applied(program.steady_step, DF, h, recurrence)
    first = later if program.first == program.body[0, 0] else _applied(program.step(0), DF, h, recurrence)
    closing = None
    if program.closing != 0:
        closing = _applied([Operation("kick", program.closing, -1, -1, -1)], DF, h, recurrence)
    return _Steps(first, later, closing)


def _applied(operations: Iterable[Operation], DF: Float, h: float, recurrence: Recurrence) -> Power:
    """The product of the matrices of some operations, the last one on the left."""
    d, D = len(DF), recurrence.state_size
    total = Power.of(np.eye(D))
    for operation in operations:
        total = _matrix(operation.stage, float(operation.weight) * h, DF, d, D) @ total
    return total


def _matrix(stage: str, c: float, DF: Float, d: int, D: int) -> Power:
    """The matrix of one operation: c DF, c I, or both, beside the identity."""
    force = Power.of(c * np.eye(d)) @ Power.of(DF)
    power = bits_of_shift(force.scaled()[1])
    high, low = np.eye(D), np.zeros((D, D))
    if stage in ("drift", "explicit"):
        high[:d, d:] += c * np.eye(d)
    if stage != "drift":
        rows = slice(0, d) if stage == "increment" else slice(d, 2 * d)
        moved, rest = (np.ldexp(part, power) for part in (force.high, force.low))
        total, lost = two_sum(high[rows, :d], moved)
        high[rows, :d], low[rows, :d] = total, lost + rest
    return Power.of(high, low)
