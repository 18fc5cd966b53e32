"""Rigorous enclosures of the largest and the smallest singular value of a matrix of balls.

One side of each is the length of the image of an approximate singular vector; the other is a certificate of
positive definiteness: μI − JᵀJ ≻ 0 proves ‖J‖ < √μ, and JᵀJ − νI ≻ 0 proves σ_min > √ν. A matrix of balls is
positive definite (every matrix in it) if its elimination without pivoting has positive pivots only. How good
the approximate vectors are decides how close the two sides are, never whether they are right.
"""

from __future__ import annotations

import numpy as np
from flint import arb, arb_mat
from numpy.typing import NDArray

from integrators.singular_values import svd

__all__ = ["binary_exponent", "enclosure", "scaled_midpoints", "singular_values"]

Float = NDArray[np.float64]
# The relative gap that a certificate is first asked to close, at most; a failure asks for four times that.
FIRST_GAP = 2.0**-54
INVERSE_ITERATIONS = 3


def enclosure(lower: arb, upper: arb) -> arb:
    """The ball that holds [lower, upper]."""
    return lower.union(upper)


def binary_exponent(value: arb) -> int:
    """e with |mid| in [2^(e−1), 2^e); 0 for a zero midpoint."""
    mantissa, exponent = value.mid().man_exp()
    return int(exponent) + int(abs(mantissa)).bit_length() if mantissa else 0


def scaled_midpoints(balls: arb_mat) -> tuple[Float, int]:
    """Float64 midpoints with a power of two taken out: largest entry in [1/2, 1], and the exponent."""
    entries = balls.entries()
    exponents = [binary_exponent(entry) for entry in entries if not entry.mid().is_zero()]
    shift = max(exponents, default=0)
    unit = arb(2) ** (-shift)
    values = [float((entry.mid() * unit).mid()) for entry in entries]
    return np.array(values, dtype=np.float64).reshape(balls.nrows(), balls.ncols()), shift


def singular_values(balls: arb_mat, width: float = FIRST_GAP) -> tuple[arb, arb]:
    """Enclosures of the largest and of the smallest singular value of a square matrix of balls.

    Parameters
    ----------
    balls : arb_mat
    width : float
        Relative width aimed at; one that the balls do not allow is missed, never pretended.
    """
    if not all(entry.is_finite() for entry in balls.entries()):
        whole = arb(0).union(arb("inf"))
        return whole, whole
    gram = balls.transpose() * balls
    if (lengths := _orthogonal(gram)) is not None:
        return _extreme(lengths)
    mid, _ = scaled_midpoints(balls)
    right = svd(mid)[2]
    gap = min(FIRST_GAP, width / 4.0)
    return _largest(balls, gram, right[0], gap), _smallest(balls, gram, right[-1], gap)


def _orthogonal(gram: arb_mat) -> list[arb] | None:
    """Lengths of the columns, if they are orthogonal exactly: then these are the singular values."""
    rows = gram.tolist()
    if any(not entry.is_zero() for i, row in enumerate(rows) for j, entry in enumerate(row) if i != j):
        return None
    return [abs(row[i]).sqrt() for i, row in enumerate(rows)]


def _extreme(lengths: list[arb]) -> tuple[arb, arb]:
    """Enclosures of the largest and of the smallest of some numbers."""
    largest = smallest = lengths[0]
    for length in lengths[1:]:
        largest, smallest = largest.max(length), smallest.min(length)
    return largest, smallest


def _largest(balls: arb_mat, gram: arb_mat, vector: Float, gap: float) -> arb:
    length = _stretch(balls, _refined(gram, _column(vector), gap))
    lower = length.abs_lower()
    while gap < 1.0:
        square = length.upper() ** 2 * (1 + arb(gap))
        if _positive_definite(_shifted(gram, square, -1)):
            return enclosure(lower, square.sqrt().upper())
        gap *= 4.0
    return enclosure(lower, _frobenius(balls).upper())


def _refined(gram: arb_mat, column: arb_mat, gap: float) -> arb_mat:
    """The vector of float64, made better by Rayleigh quotients where more than its accuracy is asked for."""
    middle, asked = gram.mid(), FIRST_GAP
    while asked > gap:
        quotient = ((column.transpose() * middle * column)[0, 0] / (column.transpose() * column)[0, 0]).mid()
        shifted = middle - quotient * _identity(middle.nrows())
        try:
            column = _unit(shifted.solve(column).mid())
        except (ZeroDivisionError, ValueError):
            break  # the quotient is the eigenvalue to this precision
        asked *= asked  # cubic convergence, in truth
    return column


def _identity(n: int) -> arb_mat:
    return arb_mat(n, n, [int(i == j) for i in range(n) for j in range(n)])


def _smallest(balls: arb_mat, gram: arb_mat, vector: Float, gap: float) -> arb:
    column = _column(vector)
    for _ in range(INVERSE_ITERATIONS):
        try:
            column = _unit(gram.mid().solve(column).mid())
        except (ZeroDivisionError, ValueError):
            break  # singular to this precision: the vector at hand is as good as any
    length = _stretch(balls, column)
    while gap < 1.0:
        square = length.abs_lower() ** 2 * (1 - arb(gap))
        if square > 0 and _positive_definite(_shifted(gram, square, 1)):
            return enclosure(square.sqrt().lower(), length.upper())
        gap *= 4.0
    return enclosure(arb(0), length.upper())


def _column(values: Float) -> arb_mat:
    return arb_mat(values.size, 1, [float(v) for v in values])


def _unit(column: arb_mat) -> arb_mat:
    """Scaled by a power of two, which is exact."""
    shift = max((binary_exponent(entry) for entry in column.entries()), default=0)
    return (column * arb(2) ** (-shift)).mid()


def _frobenius(balls: arb_mat) -> arb:
    return sum((entry * entry for entry in balls.entries()), arb(0)).sqrt()


def _stretch(balls: arb_mat, column: arb_mat) -> arb:
    """‖J v‖/‖v‖, which lies between the two extreme singular values for every v ≠ 0."""
    return _frobenius(balls * column) / _frobenius(column)


def _shifted(gram: arb_mat, square: arb, sign: int) -> list[list[arb]]:
    """Rows of sign · (G − square I)."""
    rows = (gram * sign).table() if hasattr(gram, "table") else (gram * sign).tolist()
    for i, row in enumerate(rows):
        row[i] -= sign * square
    return rows


def _positive_definite(rows: list[list[arb]]) -> bool:
    """Whether elimination proves every symmetric matrix in the balls positive definite."""
    n = len(rows)
    for k in range(n):
        pivot = rows[k][k]
        if not pivot > 0:
            return False
        for i in range(k + 1, n):
            factor = rows[i][k] / pivot
            for j in range(k + 1, i + 1):
                rows[i][j] -= factor * rows[j][k]
    return True
