"""Singular values of matrices and stacks of them: the one place that asks LAPACK for them.

* A matrix with an entry that is not finite gives NaN, and does not stop the program.
* Every call has one BLAS thread, so that no bit depends on how many there are.
* Large stacks are taken in slices, and large matrices on a thread of their own, so that Ctrl-C acts in time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .codegen.threads import interruptible
from .engine.blocks import one_blas_thread

__all__ = ["frobenius_norm", "scaled_norm", "singular_values", "spectral_norm", "svd"]

Float = NDArray[np.float64]

# Entries times the smaller dimension of the matrices handed over at once: some 50 ms of an SVD with vectors.
# NumPy takes the matrices of a stack one by one, so cutting it up changes no bit.
WORK_AT_ONCE = 2e7
# OpenBLAS shares out no product with a matrix of fewer than 9216 entries. Setting its number of threads takes
# longer than the SVD of a matrix this small.
SMALL = 16

_values_of = partial(np.linalg.svd, compute_uv=False)


def svd(matrices: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Left vectors, singular values (descending) and transposed right vectors of every matrix.

    Parameters
    ----------
    matrices : ndarray, shape (..., rows, columns)

    Returns
    -------
    tuple of ndarray
        As `numpy.linalg.svd`; NaN for a matrix with an entry that is not finite.
    """
    left, values, right = _by_lapack(np.linalg.svd, matrices)
    return left, values, right


def singular_values(matrices: NDArray) -> Float:
    """Singular values of every matrix, descending, shape (..., min(rows, columns)); NaN as for `svd`."""
    return _by_lapack(_values_of, matrices)[0]


def spectral_norm(matrices: NDArray) -> Float:
    """‖·‖₂ of every matrix (..., rows, columns); of one that is not finite its largest entry, inf or NaN."""
    values = _by_lapack(_values_of, matrices)[0]
    norms = values.max(axis=-1, initial=0.0)
    if np.isnan(norms).any():
        norms = np.where(np.isnan(norms), np.abs(matrices).max(axis=(-2, -1), initial=0.0), norms)
    return norms[()]


def largest_of_two(matrices: Float) -> Float:
    """‖·‖₂ of real 2 × 2 matrices, (hypot(a + d, b − c) + hypot(a − d, b + c))/2, without cancellation."""
    (a, b), (c, d) = (matrices[..., 0, 0], matrices[..., 0, 1]), (matrices[..., 1, 0], matrices[..., 1, 1])
    return (np.hypot(a + d, b - c) + np.hypot(a - d, b + c)) / 2.0


def frobenius_norm(matrices: Float) -> Float:
    """‖·‖_F of every matrix (..., rows, columns) whose squares stay within float64.

    Entries are summed in one order however the matrices lie in memory, so that a matrix has the same bits
    alone and in a stack. NumPy sums over two axes in the order of their strides.
    """
    entries = np.ascontiguousarray(matrices).reshape(*matrices.shape[:-2], math.prod(matrices.shape[-2:]))
    return np.sqrt(np.sum(entries * entries, axis=-1))


def scaled_norm(
    matrices: Float, norm: Callable[[NDArray], NDArray] = spectral_norm
) -> tuple[Float, NDArray[np.int64]]:
    """‖·‖₂ of matrices whose squares may leave float64, as mantissa · 2^exponent.

    Parameters
    ----------
    matrices : ndarray, shape (..., rows, columns)
    norm : callable
        The norms of finite matrices whose largest entry is about one, or zero.

    Returns
    -------
    mantissa, exponent : ndarray, shape (...)
        The mantissa of a matrix that is not finite is inf or NaN.
    """
    largest = np.abs(matrices).max(axis=(-2, -1), initial=0.0)
    finite = np.isfinite(largest)
    # Powers of two that bring the largest entry near one are exact and keep the squares in range.
    _, shift = np.frexp(np.where(finite, largest, 0.0))
    near_one = np.ldexp(np.where(finite[..., None, None], matrices, 0.0), -shift[..., None, None])
    if min(matrices.shape[-2:]) <= 1:  # a vector's norm is its length
        norms = frobenius_norm(near_one)
    else:
        norms = norm(near_one)
    return np.where(finite, norms, largest), np.asarray(shift, dtype=np.int64)


def _by_lapack(function: Callable[[NDArray], Any], matrices: NDArray) -> tuple[NDArray, ...]:
    """The arrays that `function` returns for a stack of finite matrices, NaN where one is not finite."""
    leading, shape = matrices.shape[:-2], matrices.shape[-2:]
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(matrices).all(axis=(-2, -1)))
    stack = matrices if finite.all() else np.where(finite[..., None, None], matrices, 0.0)
    stack = stack.reshape(math.prod(leading), *shape)
    work = max(1.0, float(shape[0] * shape[1] * min(shape)))
    size = max(1, int(WORK_AT_ONCE / work))
    parts = []
    with nullcontext() if max(shape) <= SMALL else one_blas_thread():
        for start in range(0, max(1, len(stack)), size):
            part = stack[start : start + size]
            found = interruptible(lambda part=part: function(part)) if work > WORK_AT_ONCE else function(part)
            parts.append(found if isinstance(found, tuple) else (found,))
    joined = parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
    results = []
    for array in joined:
        results.append(array.reshape((*leading, *array.shape[1:])))
        if not finite.all():
            results[-1][~finite] = np.nan
    return tuple(results)
