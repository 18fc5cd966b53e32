"""The protocol that every recurrence answers: three verbs on blocks of columns.

A recurrence is a map s_N = Φ(s_0) of a full state of D real numbers, run on lanes (one lane per step size
or batch item). Everything above the drivers — Jacobians, norms, profiles, spectra, training — uses only

``run``          the final state,
``pushforward``  J V for a block of columns V, with J = ∂s_N/∂s_0,
``pullback``     Jᵀ Λ, and the gradient of ⟨Λ, s_N⟩ with respect to the parameters.

The derivative is that of the map that runs, not of the differential equation behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.engine.column_scale import aligned, common_exponent
from integrators.values import ByValue

if TYPE_CHECKING:
    from .cells.block import BlockWalk

__all__ = ["Linearised", "Recurrence", "Scaled", "Visit"]

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scaled(ByValue):
    """Columns with a power of two taken out of each lane: the columns are ``values · 2^exponent``.

    An entry that falls more than about 2^1000 below the largest of its own column, at the end or on the way,
    may become zero.

    Attributes
    ----------
    values : ndarray, shape (*lanes, rows, columns)
    exponent : ndarray of int, shape lanes
    apart : ndarray of int, shape (*lanes, columns), or None
        Further powers of two of single columns, where those of some lane lie further apart than float64
        reaches: the columns are ``values · 2^(exponent + apart)``. None in all other cases.
    """

    values: Float
    exponent: NDArray[np.int64]
    apart: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, values: Float, exponents: NDArray[np.int64]) -> Scaled:
        """From an exponent for each column, shape (*lanes, columns)."""
        values = values.copy()
        return cls(values, *common_exponent([values], exponents))

    @property
    def exponents(self) -> NDArray[np.int64]:
        """The exponent of each column, shape (*lanes, columns)."""
        common = np.repeat(self.exponent[..., None], self.values.shape[-1], axis=-1)
        return common if self.apart is None else common + self.apart

    def aligned(self) -> Scaled:
        """The same with one exponent a lane: columns too small to be held beside the largest become zero."""
        (values,), exponent = aligned([self.values], self.exponent, self.apart)
        return Scaled(values, exponent)

    def unscaled(self) -> Float:
        """The columns in float64: exact where they fit, ±inf or 0 where they do not."""
        with np.errstate(over="ignore", under="ignore"):
            return np.ldexp(self.values, self.exponents[..., None, :])


Visit = Callable[[slice, int, Scaled], "Float | None"]
"""``visit(lanes, step, columns)``: returns replacement columns (lanes, D, k) with exponent 0, or None."""


class Linearised(Protocol):
    """J = ∂s_N/∂s_0 as an operator, with columns of its own for every lane."""

    @property
    def lost(self) -> NDArray[np.bool_]:
        """Lanes whose trajectory left the range of float64."""
        ...

    def pushforward(self, columns: Float) -> Scaled:
        """J V for V of shape (lanes, D, k); lanes flattened."""
        ...

    def pullback(self, cotangents: Float) -> Scaled:
        """Jᵀ Λ for Λ of shape (lanes, D, k); lanes flattened."""
        ...

    def leaning(self, vector: Float) -> Float:
        """A (D,) vector made to lean towards what J amplifies most, as far as that is known beforehand."""
        ...


class Recurrence(Protocol):
    """What the rest of the package asks of a recurrence."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the lanes; leads the shape of every result."""
        ...

    @property
    def threads(self) -> int | None:
        """Worker threads; by default one for each processor."""
        ...

    @property
    def progress(self) -> bool | None:
        """Whether to show progress: always, never, or (None) on a terminal after two seconds."""
        ...

    @property
    def state_size(self) -> int:
        """D, the length of the full state."""
        ...

    @property
    def blocks(self) -> Mapping[str, slice]:
        """Named parts of the state."""
        ...

    @property
    def n_steps(self) -> int:
        """N."""
        ...

    @property
    def step(self) -> Float:
        """Time that one step stands for, shape lanes; 1 where steps have no size."""
        ...

    @property
    def default_block(self) -> str:
        """The block that Jacobians show where none is named; "state" is the whole."""
        ...

    def run(self) -> Float:
        """s_N, shape (*lanes, D)."""
        ...

    def pushforward(self, columns: ArrayLike, rows: str | None = None) -> Scaled:
        """J V for V of shape (D, k); only the rows of one named block where `rows` names it."""
        ...

    def pullback(self, cotangents: ArrayLike) -> Scaled:
        """Jᵀ Λ for Λ of shape (D, k)."""
        ...

    def propagate(
        self, columns: ArrayLike, ends: Sequence[int], visit: Visit, rows: str | None = None
    ) -> NDArray[np.bool_]:
        """Push columns forwards in segments; `visit` sees them at each end and returns what goes on.

        Returns which lanes were lost, (lanes,).
        """
        ...

    def walk(
        self, columns: ArrayLike, follow: Callable[[BlockWalk], None], rows: str | None = None
    ) -> NDArray[np.bool_]:
        """Push columns forwards in pieces that may be taken back; `follow` moves each block of lanes.

        Returns which lanes were lost, (lanes,).
        """
        ...

    def select(self, lanes: slice | NDArray[np.bool_], threads: int | None = None) -> Recurrence:
        """The same recurrence on some of its lanes, flattened; on as many threads unless told otherwise."""
        ...

    def linearised(self, rows: str | None = None) -> Linearised:
        """The stored one-step Jacobians, for many sweeps along one trajectory."""
        ...

    @property
    def qr_interval(self) -> NDArray[np.int64]:
        """Steps that columns can be pushed, whatever they meet, before a QR loses digits; (lanes,)."""
        ...

    @property
    def linearised_bytes(self) -> int:
        """Memory of one lane of `linearised`."""
        ...

    def parameter_gradient(self, cotangent: ArrayLike) -> Float:
        """∂⟨λ, s_N⟩/∂θ for λ of shape (D,): (*lanes, P); of a structured cell by its free parameters."""
        ...
