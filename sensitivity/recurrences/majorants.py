"""What the bounds of cells are made of: powers of gains, and of matrices that bound the blocks of a step.

Where a step's Jacobian has blocks of norms at most M_ab, the blocks of N steps have norms at most the entries
of the product of the M. Sums and products of numbers ≥ 0 do not cancel.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["first_entry", "log_norm_of_power", "log_of_power", "log_power"]

Float = NDArray[np.float64]
# Least entry beside a largest of one: products of two such numbers do not vanish.
LEAST = 1e-150


def log_power(gain: float, n_steps: int, shape: tuple[int, ...] = ()) -> Float:
    """N ln gain for gain ≥ 0: 0 for N = 0, and −inf for a gain of 0 and N > 0."""
    if n_steps == 0:
        return np.zeros(shape)
    return np.full(shape, n_steps * math.log(gain) if gain > 0.0 else -math.inf)


def log_of_power(step: Float | Callable[[int], Float], n_steps: int) -> tuple[Float, Float]:
    """M_{N−1} ⋯ M_0 as matrices of a moderate size and the logarithm of the factor before them.

    Parameters
    ----------
    step : ndarray, shape (..., B, B), or callable
        The matrix of every step, ≥ 0; or n → that of step n = 0, 1, ….
    n_steps : int
        N. Where all steps have one matrix its power is taken by squaring.
    """
    given = step(0) if callable(step) else step
    total, log_scale = np.broadcast_to(np.eye(given.shape[-1]), given.shape), np.zeros(given.shape[:-2])
    if callable(step):
        for n in range(n_steps):
            total, log_scale = _scaled(step(n) @ total, log_scale)
        return total, log_scale
    square, log_square = _scaled(given, np.zeros(given.shape[:-2]))
    n = n_steps
    while n:
        if n & 1:
            total, log_scale = _scaled(square @ total, log_scale + log_square)
        n >>= 1
        if n:
            square, log_square = _scaled(square @ square, 2.0 * log_square)
    return total, log_scale


def log_norm_of_power(step: Float | Callable[[int], Float], n_steps: int) -> Float:
    """ln ‖M_{N−1} ⋯ M_0‖₂, a bound for the whole state."""
    total, log_scale = log_of_power(step, n_steps)
    finite = np.asarray(np.isfinite(total).all(axis=(-2, -1)))
    norms = np.linalg.norm(np.where(finite[..., None, None], total, 0.0), 2, axis=(-2, -1))
    with np.errstate(divide="ignore"):
        return np.where(finite, np.log(norms), np.inf) + log_scale


def first_entry(total: Float, log_scale: Float) -> Float:
    """ln of the first entry of what `log_of_power` gives, a bound for the first block; inf beyond float64."""
    entry = total[..., 0, 0]
    with np.errstate(divide="ignore"):
        return np.where(np.isfinite(entry), np.log(entry) + log_scale, np.inf)


def _scaled(matrix: Float, log_scale: Float) -> tuple[Float, Float]:
    """The matrix with a largest entry of one, and the logarithm of what was taken out.

    Entries that float64 would lose beside the largest are rounded up, never down to zero.
    """
    largest = matrix.max(axis=(-2, -1))
    usable = np.isfinite(largest) & (largest > 0.0)
    size = np.where(usable, largest, 1.0)
    scaled = np.where(matrix > 0.0, np.maximum(matrix / size[..., None, None], LEAST), matrix)
    return scaled, log_scale + np.log(size)
