"""A block of batch members on its way through a run, in steps that may be taken back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.column_scale import column_counts, per_column
from integrators.flow import Lanes
from integrators.problem import Problem

__all__ = ["Block"]

Float = NDArray[np.float64]


class Block:
    """State and tangent columns of some batch members, for the function that moves them.

    Parameters
    ----------
    problem : Problem
    lanes : slice
        Which members; `lanes` may be padded by copies of the last one.
    state : Lanes
    go : callable
        ``go(state, start, stop)`` takes steps.
    k : int
        Columns, without padding.
    """

    def __init__(
        self, problem: Problem, lanes: slice, state: Lanes, go: Callable[[Lanes, int, int], None], k: int
    ) -> None:
        self.lanes, self.members, self.eps = (
            lanes,
            lanes.stop - lanes.start,
            float(np.finfo(problem.dtype).eps),
        )
        self._problem, self._state, self._go, self._k = problem, state, go, k
        self._parts = (state.dy,) if problem.first_order else (state.dy, state.dp)

    @property
    def size(self) -> int:
        """D, the length of the full state."""
        return len(self._parts) * self._problem.field.dim

    def go(self, start: int, stop: int) -> None:
        """Steps from `start` to `stop`."""
        self._go(self._state, start, stop)

    def mark(self) -> Any:
        """The state, to come back to."""
        return self._state.y.copy(), self._state.p.copy()

    def back_to(self, mark: Any) -> None:
        self._state.y[...], self._state.p[...] = mark

    def columns(self) -> tuple[Float, NDArray[np.int64]]:
        """The columns, ``values · 2^powers[:, None]``: shapes (members, D, k) and (members, k)."""
        return self._read(self._parts, self._state.exponent, self._k)

    def replace(self, columns: Float) -> None:
        """Other columns, (members, D, k)."""
        d = self._problem.field.dim
        for number, target in enumerate(self._parts):
            part = columns[:, number * d : (number + 1) * d]
            target[:, : self._k, : self.members] = part.transpose(1, 2, 0)
            # Padded members repeat the last.
            target[:, : self._k, self.members :] = target[:, : self._k, self.members - 1 : self.members]
        self._state.exponent[:] = 0

    def jacobian(self, mark: Any, start: int) -> tuple[Float, NDArray[np.int64]]:
        """The Jacobian of the one step from `start`, at the marked state: as `columns`, with k = D."""
        n, unit, d = self._state.dy.shape[2], np.eye(self.size), self._problem.field.dim
        padded = self.size + -self.size % self._problem.column_padding(self.size, n)
        parts = np.zeros((2, d, padded, n), self._problem.dtype)
        for number in range(len(self._parts)):
            parts[number, :, : self.size] = unit[number * d : (number + 1) * d, :, None]
        exponent = column_counts(padded, n)
        state = Lanes(mark[0].copy(), mark[1].copy(), parts[0], parts[1], exponent, self._state.lost.copy())
        self._go(state, start, start + 1)
        return self._read(parts[: len(self._parts)], exponent, self.size)

    def _read(self, parts: Any, exponent: NDArray[np.int64], k: int) -> tuple[Float, NDArray[np.int64]]:
        d, n = self._problem.field.dim, parts[0].shape[2]
        values = np.empty((self.members, len(parts) * d, k))
        for number, part in enumerate(parts):
            values[:, number * d : (number + 1) * d] = part.transpose(2, 0, 1)[: self.members, :, :k]
        return values, per_column(exponent, n, k, self.members)
