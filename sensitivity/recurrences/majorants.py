"""What the bounds of cells are made of: powers of gains, and of matrices that bound the blocks of a step.

Where a step's Jacobian has blocks of norms at most M_ab, the blocks of N steps have norms at most the entries
of the product of the M. Sums and products of numbers ≥ 0 do not cancel. Powers of two are counted as
integers, so that only the products round, however large the logarithm becomes: a sum of N logarithms would
round each time by a unit of what it has grown to.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from integrators.engine.column_scale import log_scaled

__all__ = ["first_entry", "log_norm_of_power", "log_of_power", "log_power"]

Float = NDArray[np.float64]
Counts = NDArray[np.int64]
# Least entry beside a largest of one: products of two such numbers do not vanish.
LEAST = 1e-150


def log_power(gain: float, n_steps: int, shape: tuple[int, ...] = ()) -> Float:
    """N ln gain for gain ≥ 0 and N > 0; −inf for a gain of 0."""
    return np.full(shape, n_steps * math.log(gain) if gain > 0.0 else -math.inf)


def log_of_power(step: Float | Callable[[int], Float], n_steps: int) -> tuple[Float, Counts]:
    """M_{N−1} ⋯ M_0 as matrices of a moderate size and the exponent of the power of two before them.

    Parameters
    ----------
    step : ndarray, shape (..., B, B), or callable
        The matrix of every step, ≥ 0; or n → that of step n = 0, 1, ….
    n_steps : int
        N. Where all steps have one matrix its power is taken by squaring.
    """
    given = step(0) if callable(step) else step
    one = np.zeros(given.shape[:-2], np.int64)
    total, exponent = np.broadcast_to(np.eye(given.shape[-1]), given.shape), one
    if callable(step):
        for n in range(n_steps):
            # The step apart from the product, whose entries may be as large as those of the step.
            scaled, own = _scaled(step(n), one)
            total, exponent = _scaled(scaled @ total, exponent + own)
        return total, exponent
    square, own = _scaled(given, one)
    n = n_steps
    while n:
        if n & 1:
            total, exponent = _scaled(square @ total, exponent + own)
        n >>= 1
        if n:
            square, own = _scaled(square @ square, 2 * own)
    return total, exponent


def log_norm_of_power(step: Float | Callable[[int], Float], n_steps: int) -> Float:
    """ln ‖M_{N−1} ⋯ M_0‖₂, a bound for the whole state."""
    total, exponent = log_of_power(step, n_steps)
    finite = np.asarray(np.isfinite(total).all(axis=(-2, -1)))
    norms = np.linalg.norm(np.where(finite[..., None, None], total, 0.0), 2, axis=(-2, -1))
    return log_scaled(np.where(finite, norms, np.inf), exponent)


def first_entry(total: Float, exponent: Counts) -> Float:
    """ln of the first entry of what `log_of_power` gives, a bound for the first block; inf beyond float64."""
    entry = total[..., 0, 0]
    return log_scaled(np.where(np.isfinite(entry), entry, np.inf), exponent)


def _scaled(matrix: Float, exponent: Counts) -> tuple[Float, Counts]:
    """The matrix with a largest entry in [½, 1), and the exponent with what was taken out.

    Entries that float64 would lose beside the largest are rounded up, never down to zero.
    """
    largest = matrix.max(axis=(-2, -1))
    usable = np.isfinite(largest) & (largest > 0.0)
    _, shift = np.frexp(np.where(usable, largest, 0.5))
    with np.errstate(under="ignore"):
        near_one = np.ldexp(matrix, -shift[..., None, None])
    scaled = np.where(matrix > 0.0, np.maximum(near_one, LEAST), matrix)
    return scaled, exponent + shift
