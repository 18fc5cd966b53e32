"""Stacks of small matrices with a power of two each, and their powers by squaring, whatever their size."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from integrators.values import ByValue

__all__ = ["DoubleMatrix", "ScaledMatrix", "by_squaring", "determinant", "matrix_power", "two_sum"]

Float = NDArray[np.float64]
Factor = TypeVar("Factor")


@dataclass(frozen=True, eq=False)
class ScaledMatrix(ByValue):
    """Square matrices ``values · 2^exponent``.

    Attributes
    ----------
    values : ndarray, shape (*batch, n, n)
        Largest entry in [1/2, 1), unless it overflowed.
    exponent : ndarray of int, shape batch
    """

    values: Float
    exponent: NDArray[np.int64]

    @classmethod
    def of(cls, values: Float, exponent: NDArray[np.int64] | int = 0) -> ScaledMatrix:
        """Take the power of two of the largest entry out of each matrix."""
        _, shift = np.frexp(np.abs(values).max(axis=(-2, -1)))
        return cls(np.ldexp(values, -shift[..., None, None]), np.asarray(exponent + shift, dtype=np.int64))

    def __matmul__(self, other: ScaledMatrix) -> ScaledMatrix:
        return ScaledMatrix.of(self.values @ other.values, self.exponent + other.exponent)


@dataclass(frozen=True)
class DoubleMatrix:
    """Square matrices ``(values + low) · 2^exponent``, with twice the digits of float64.

    Attributes
    ----------
    values, low : ndarray, shape (*batch, n, n)
        Largest entry of `values` in [1/2, 1), unless it overflowed; `low` is within its rounding.
    exponent : ndarray of int, shape batch
    """

    values: Float
    low: Float
    exponent: NDArray[np.int64]

    @classmethod
    def of(cls, high: Float, low: Float | None = None, exponent: Any = 0) -> DoubleMatrix:
        """The same with the size of every matrix in its exponent."""
        first = ScaledMatrix.of(high, exponent)
        if low is None:
            return cls(first.values, np.zeros_like(first.values), first.exponent)
        moved = np.ldexp(low, (exponent - first.exponent)[..., None, None].astype(np.int32))
        return cls(first.values, moved, first.exponent)

    def __matmul__(self, other: DoubleMatrix) -> DoubleMatrix:
        left, right = (self.values, self.low), (other.values, other.low)
        terms, rest = _terms(*(part[..., None] for part in left), *(part[..., None, :, :] for part in right))
        high, low = terms[..., 0, :], rest[..., 0, :]
        for k in range(1, terms.shape[-2]):
            high, lost = two_sum(high, terms[..., k, :])
            low = low + (rest[..., k, :] + lost)
        return DoubleMatrix.of(*two_sum(high, low), self.exponent + other.exponent)


def two_sum(a: Float, b: Float) -> tuple[Float, Float]:
    """a + b rounded, and what rounding took: D. E. Knuth, TAOCP 2, section 4.2.2, theorem B."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _terms(a: Float, a_low: Float, b: Float, b_low: Float) -> tuple[Float, Float]:
    """The products of two numbers of twice the precision, of size up to one.

    Without fused operations: T. J. Dekker, *A floating-point technique for extending the available
    precision*, Numerische Mathematik 18 (1971), 224-242.
    """
    (a1, a2), (b1, b2) = _halves(a), _halves(b)
    product = a * b
    lost = ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2
    return product, lost + (a * b_low + a_low * b)


def _halves(x: Float) -> tuple[Float, Float]:
    """x as the sum of two numbers of 26 digits, whose products are exact."""
    wide = x * (2.0**27 + 1.0)
    high = wide - (wide - x)
    return high, x - high


def determinant(matrices: Float) -> DoubleMatrix:
    """Determinants of 1 × 1 and 2 × 2 matrices, right to the last place, as 1 × 1 matrices.

    Those of larger ones are as accurate as `numpy.linalg.det`.
    """
    size = matrices.shape[-1]
    if size == 1:
        return DoubleMatrix.of(matrices)
    if size > 2:
        return DoubleMatrix.of(np.linalg.det(matrices)[..., None, None])
    scaled = ScaledMatrix.of(matrices)
    v = scaled.values
    plain = np.zeros_like(v[..., 0, 0])
    one, one_low = _terms(v[..., 0, 0], plain, v[..., 1, 1], plain)
    two, two_low = _terms(v[..., 0, 1], plain, v[..., 1, 0], plain)
    high, low = two_sum(one, -two)
    high, low = two_sum(high, low + (one_low - two_low))
    return DoubleMatrix.of(high[..., None, None], low[..., None, None], 2 * scaled.exponent)


Matrix = TypeVar("Matrix", ScaledMatrix, DoubleMatrix)


def matrix_power(matrix: Matrix, n: int) -> Matrix:
    """The n-th power, by squaring: 2 log₂ n products at most.

    Squaring repeats what was rounded once, so that a power is off by some n roundings of its numbers: by
    n · 2^-53 of a `ScaledMatrix`, and by n · 2^-104 of a `DoubleMatrix`.
    """
    batch = matrix.exponent.shape
    size = matrix.values.shape[-1]
    one = type(matrix).of(np.broadcast_to(np.eye(size), (*batch, size, size)))
    return by_squaring(one, matrix, n, operator.matmul)


def by_squaring(one: Factor, base: Factor, n: int, product: Callable[[Factor, Factor], Factor]) -> Factor:
    """baseⁿ under any associative product, whose neutral element is `one`."""
    power = one
    while n:
        if n & 1:
            power = product(power, base)
        n >>= 1
        if n:
            base = product(base, base)
    return power
