"""Stacks of small matrices with a power of two each, and their powers by squaring, whatever their size."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from integrators.values import ByValue

__all__ = ["ScaledMatrix", "by_squaring", "matrix_power"]

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


def matrix_power(matrix: ScaledMatrix, n: int) -> ScaledMatrix:
    """The n-th power, by squaring: 2 log₂ n products at most, and 2n roundings."""
    batch = matrix.exponent.shape
    size = matrix.values.shape[-1]
    one = ScaledMatrix.of(np.broadcast_to(np.eye(size), (*batch, size, size)))
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
