"""Numbers m · 2^e, and columns of them, brought to one power of two for every batch member where they fit.

The compiled drivers count the growth of every column by itself, so that a column that decays is not lost
beside one that grows. Most columns never leave float64, and then one exponent says it all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.values import ByValue

__all__ = [
    "FURTHEST",
    "LOG_2",
    "ZERO",
    "Scaled",
    "bits_from_one",
    "bits_of_shift",
    "column_counts",
    "from_scaled",
    "log_scaled",
    "members_first",
    "scaled_in_place",
]

Float = NDArray[np.float64]
Counts = NDArray[np.int64]

LOG_2 = math.log(2.0)
FURTHEST = 4200
"""A shift by so many bits turns any float64 into zero or an infinity."""
ZERO = -(1 << 60)
"""The exponent of zeros: it may be added to any other, and stays the least of all."""


def from_scaled(mantissa: ArrayLike, exponent: ArrayLike) -> Any:
    """m · 2^e in float64: ±inf or 0 where it does not fit. A scalar of scalars, else an array."""
    with np.errstate(over="ignore", under="ignore"):
        return np.ldexp(mantissa, exponent)[()]


def log_scaled(mantissa: ArrayLike, exponent: ArrayLike) -> Any:
    """ln(m · 2^e) for every e: −inf for zero, NaN and inf where m is. A scalar of scalars, else an array.

    The product with ln 2 and the sum each round once: the error is below 2u (|e| ln 2 + |ln m|) and that of
    `numpy.log`, with the unit round-off u = 2^−53.
    """
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(mantissa) + LOG_2 * np.asarray(exponent), dtype=np.float64)[()]


def bits_of_shift(shift: NDArray) -> NDArray[np.int32]:
    """Powers of two as `numpy.ldexp` takes them, whatever their size."""
    return np.clip(shift, -FURTHEST, FURTHEST).astype(np.int32)


def bits_from_one(matrix: NDArray) -> int:
    """By how many powers of two the largest entry of a matrix differs from one; 0 for a matrix of zeros."""
    largest = float(np.abs(matrix).max(initial=0.0))
    return abs(math.frexp(largest)[1]) if math.isfinite(largest) else FURTHEST


def column_counts(k: int, n: int) -> Counts:
    """Exponents for k columns of n batch members, as the drivers take them: flat, members last."""
    return np.zeros(max(1, k) * n, np.int64)


def members_first(columns: NDArray, exponent: Counts, members: int, k: int) -> tuple[NDArray, Counts]:
    """Of a block's columns, (D, ·, n), and what a driver counted for them, the first k of some members.

    Returns
    -------
    values : ndarray, shape (members, D, k)
    exponents : ndarray of int, shape (members, k)
        Both are views.
    """
    return columns.transpose(2, 0, 1)[:members, :, :k], exponent.reshape(-1, columns.shape[2]).T[:members, :k]


@dataclass(frozen=True, eq=False)
class Scaled(ByValue):
    """Columns with a power of two taken out of each batch member: the columns are ``values · 2^exponent``.

    An entry that falls more than about 2^1000 below the largest of its own column, at the end or on the way,
    may become zero.

    Attributes
    ----------
    values : ndarray, shape (*batch, rows, columns)
    exponent : ndarray of int, shape batch
    apart : ndarray of int, shape (*batch, columns), or None
        Further powers of two of single columns, where those of some batch member lie further apart than
        float64 reaches: the columns are ``values · 2^(exponent + apart)``. None in all other cases.

    Examples
    --------
    >>> import numpy as np
    >>> from sensitivity import Scaled
    >>> columns = Scaled(np.array([[0.5], [0.75]]), np.array(3))
    >>> columns.unscaled()
    array([[4.],
           [6.]])
    """

    values: Float
    exponent: Counts
    apart: Counts | None = None

    @staticmethod
    def of(values: Float, exponents: Counts) -> Scaled:
        """Make it from columns with an exponent each, shape (*batch, columns)."""
        return scaled_in_place(values.copy(), exponents)

    @property
    def exponents(self) -> Counts:
        """The exponent of each column, shape (*batch, columns)."""
        common = np.repeat(self.exponent[..., None], self.values.shape[-1], axis=-1)
        return common if self.apart is None else common + self.apart

    def aligned(self) -> Scaled:
        """The same with one exponent for each batch member; columns that are too small for it become zero.

        The largest column has the size one, and what is smaller by more than float64 holds becomes zero,
        which changes no norm and no sum.
        """
        if self.apart is None:
            return self
        size = np.abs(self.values).max(axis=-2, initial=0.0)
        _, top = np.frexp(np.where(np.isfinite(size), size, 1.0))
        least = np.iinfo(np.int64).min // 4
        reference = np.where(size != 0.0, self.apart + top, least).max(axis=-1)
        reference = np.where(reference == least, 0, reference)
        shift = bits_of_shift(self.apart - reference[..., None])
        with np.errstate(under="ignore"):
            return Scaled(np.ldexp(self.values, shift[..., None, :]), self.exponent + reference)

    def unscaled(self) -> Float:
        """The columns in float64: exact where they fit, ±inf or 0 where they do not."""
        if self.apart is None and not np.count_nonzero(self.exponent):
            return np.array(self.values)
        with np.errstate(over="ignore", under="ignore"):
            exponent = self.exponent[..., None] if self.apart is None else self.exponents
            return np.ldexp(self.values, exponent[..., None, :])

    def shaped(self, batch: tuple[int, ...], rows: slice = slice(None)) -> Scaled:
        """Some rows of the columns of flattened batch members, with the axes of the batch."""
        values = self.values[:, rows]
        apart = None if self.apart is None else self.apart.reshape(*batch, values.shape[-1])
        return Scaled(values.reshape(*batch, *values.shape[1:]), self.exponent.reshape(batch), apart)


def scaled_in_place(values: NDArray, exponents: Counts) -> Scaled:
    """Columns ``ldexp(values, exponents[..., None, :])`` with one exponent a member, where one will do.

    Parameters
    ----------
    values : ndarray, shape (..., rows, k)
        Changed in place: a column that fits beside the largest one without rounding is shifted to it.
    exponents : ndarray of int, shape (..., k)
    """
    if not np.count_nonzero(exponents):  # nothing was rescaled, or there is no column
        return Scaled(values, np.zeros(exponents.shape[:-1], np.int64))
    nonzero = (values != 0.0).any(axis=-2)
    least = np.iinfo(np.int64).min // 4
    common = np.where(nonzero, exponents, least).max(axis=-1)
    common = np.where(common == least, 0, common)
    # A column of zeros needs no exponent; the other shifts are zero or negative.
    shift = np.where(nonzero, exponents - common[..., None], 0)
    if not shift.any():
        return Scaled(values, common)
    moved = bits_of_shift(shift)[..., None, :]
    with np.errstate(under="ignore", invalid="ignore"):
        down = np.ldexp(values, moved)
        kept = ((np.ldexp(down, -moved) == values) | ~np.isfinite(values)).all(axis=-2)
    apart = np.where(kept, 0, shift)
    np.copyto(values, down, where=kept[..., None, :])
    return Scaled(values, common, apart if apart.any() else None)
