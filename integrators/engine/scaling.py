"""The range of columns and states: exact powers of two taken out, and what left float64 marked."""

from __future__ import annotations

import math

import numpy as np

from integrators.codegen.access import get
from integrators.codegen.compiled import helper

__all__ = ["mark_overflow", "rescale"]


@helper
def largest_by_member(columns, m, biggest):
    """biggest[q % m] ← max(biggest[q % m], |columns|) for flat columns; biggest is a multiple of m long.

    A running maximum in one variable would not vectorise; one per position does.
    """
    width = biggest.size
    whole = columns.size - columns.size % width
    for start in range(0, whole, width):
        for q in range(width):
            value = abs(get(columns, start + q))
            biggest[q] = value if value > biggest[q] else biggest[q]
    for f in range(whole, columns.size):
        value = abs(columns[f])
        q = f % m
        biggest[q] = value if value > biggest[q] else biggest[q]


@helper
def scale_member(columns, m, member, factor):
    for f in range(member, columns.size, m):
        columns[f] *= factor


@helper
def graded_shift(columns, m, position, shift, bits):
    """The part of `shift` by which a column can be brought down without losing its small entries.

    A column of 2^600 and 2^-600 is as exact as any other, but no longer once it is divided by 2^600. Where
    its entries part by more powers of two than `bits`, the largest is not brought to one, but only as far
    down as leaves the small ones in range, and at most up to 2^bits.
    """
    least = np.inf
    for f in range(position, columns.size, m):
        value = abs(columns[f])
        if value < least and value > 0.0:
            least = value
    # One more step of this kind has to fit in.
    most = min(bits, max(0, (1000 if columns.itemsize == 8 else 120) - shift))
    if least == np.inf or shift - int(math.frexp(least)[1]) <= most:
        return shift
    return max((shift + int(math.frexp(least)[1])) // 2, shift - most)


@helper
def outside(biggest, large):
    """How many of some non-negative numbers lie beyond `large` or below 1/large; zeros do not."""
    found = 0
    for q in range(biggest.size):
        value = biggest[q]
        found += int(value > large) | (int(value < 1.0 / large) & int(value != 0.0))
    return found


@helper
def rescale(columns, exponent, bits):
    """Bring flat columns back between 2^-bits and 2^bits by powers of two, counted in `exponent`.

    There is one exponent for each column of each member, flat like a row of the columns, or one for each
    member, which then holds for all of its columns.
    """
    m = exponent.size
    repeats = max(1, 64 // m)
    large = math.ldexp(1.0, bits)
    biggest = np.zeros(repeats * m, columns.dtype)
    largest_by_member(columns, m, biggest)
    if outside(biggest, large) == 0:
        return
    for q in range(m):
        top = biggest[q]
        for r in range(1, repeats):
            top = max(top, biggest[r * m + q])
        if (top > large or top < 1.0 / large) and top != 0.0 and top < np.inf:
            shift = int(math.frexp(top)[1])
            if shift > 0:
                shift = graded_shift(columns, m, q, shift, bits)
            if shift != 0:
                # Two factors: 2^-shift alone may not be representable.
                half = shift // 2
                for part in (half, shift - half):
                    scale_member(columns, m, q, math.ldexp(1.0, -part))
                exponent[q] += shift


@helper
def mark_overflow(state, step, overflowed):
    """overflowed[q] ← step for every member whose state is no longer finite, unless it was marked before."""
    d, m = state.shape
    total = np.zeros(m, state.dtype)
    for i in range(d):
        for q in range(m):
            total[q] += state[i, q] * 0.0
    for q in range(m):
        if total[q] != 0.0 and overflowed[q] < 0:  # 0·inf and 0·nan are nan, which differs from 0
            overflowed[q] = step
