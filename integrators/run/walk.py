"""A block of batch members on its way through a run, in steps that may be taken back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from integrators.engine.column_scale import column_counts, members_first
from integrators.engine.drivers import Block

from .forward import column_padding

if TYPE_CHECKING:
    from .recurrence import Recurrence

__all__ = ["BlockWalk"]

Float = NDArray[np.float64]


class BlockWalk:
    """State and tangent columns of some members, for the function that moves them.

    Parameters
    ----------
    recurrence : Recurrence
    members : slice
        Which members; those of `block` may be padded by copies of the last one.
    block : Block
    go : callable
        ``go(block, start, stop)`` takes steps.
    k : int
        Columns, without padding.
    """

    def __init__(
        self,
        recurrence: Recurrence,
        members: slice,
        block: Block,
        go: Callable[[Block, int, int], None],
        k: int,
    ) -> None:
        self.members, self.count = members, members.stop - members.start
        self.eps, self.size = float(np.finfo(recurrence.dtype).eps), recurrence.state_size
        self._recurrence, self._block, self._go, self._k = recurrence, block, go, k

    def go(self, start: int, stop: int) -> None:
        """Steps from `start` to `stop`."""
        self._go(self._block, start, stop)

    def mark(self) -> Float:
        """The state, to come back to."""
        return self._block.state.copy()

    def back_to(self, mark: Float) -> None:
        self._block.state[...] = mark

    def columns(self) -> tuple[Float, NDArray[np.int64]]:
        """The columns, ``values · 2^powers[:, None]``: shapes (members, D, k) and (members, k)."""
        return self._read(self._block.columns, self._block.exponent, self._k)

    def replace(self, columns: Float) -> None:
        """Other columns, (members, D, k)."""
        target, k = self._block.columns, self._k
        target[:, :k, : self.count] = columns.transpose(1, 2, 0)
        # Padded members repeat the last.
        target[:, :k, self.count :] = target[:, :k, self.count - 1 : self.count]
        self._block.exponent[:] = 0

    def jacobian(self, mark: Float, start: int) -> tuple[Float, NDArray[np.int64]]:
        """The Jacobian of the one step from `start`, at the marked state: as `columns`, with k = D."""
        D, n = self.size, mark.shape[1]
        dtype = self._recurrence.dtype
        padding = column_padding(self._recurrence.system, D, n, dtype)
        columns = np.zeros((D, D + -D % padding, n), dtype)
        columns[:, :D] = np.eye(D)[:, :, None]
        exponent = column_counts(columns.shape[1], n)
        self._go(Block(mark.copy(), columns, exponent, self._block.overflowed.copy()), start, start + 1)
        return self._read(columns, exponent, D)

    def _read(self, columns: Float, exponent: NDArray[np.int64], k: int) -> tuple[Float, NDArray[np.int64]]:
        values, exponents = members_first(columns, exponent, self.count, k)
        return values.copy(), exponents.copy()
