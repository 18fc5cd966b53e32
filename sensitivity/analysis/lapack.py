"""LAPACK on stacks of matrices, so that Ctrl-C acts in time and no bit depends on BLAS threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.codegen.threads import interruptible
from integrators.engine.blocks import one_blas_thread

__all__ = ["each_matrix", "svd", "svd_values"]

# Entries times the smaller dimension of the matrices handed over at once: some 50 ms of an SVD with vectors.
# NumPy takes the matrices of a stack one by one, so cutting it up changes no bit.
WORK_AT_ONCE = 2e7


def each_matrix(function: Callable[[NDArray], Any], matrices: NDArray) -> tuple[NDArray, ...]:
    """``function`` of a stack (…, rows, columns), whose results have the same leading axes, in short calls.

    Parameters
    ----------
    function : callable
        Takes a stack (n, rows, columns); returns an array (n, …), or several.
    matrices : ndarray

    Returns
    -------
    tuple of ndarray
    """
    leading, shape = matrices.shape[:-2], matrices.shape[-2:]
    stack = matrices.reshape(-1, *shape)
    work = max(1.0, float(np.prod(shape)) * min(shape))
    size = max(1, int(WORK_AT_ONCE / work))
    parts = []
    with one_blas_thread():  # the bits of a product may depend on the number of BLAS threads
        for start in range(0, max(1, len(stack)), size):
            part = stack[start : start + size]
            found = interruptible(lambda part=part: function(part)) if work > WORK_AT_ONCE else function(part)
            parts.append(found if isinstance(found, tuple) else (found,))
    joined = (np.concatenate(pieces) for pieces in zip(*parts, strict=True))
    return tuple(array.reshape(*leading, *array.shape[1:]) for array in joined)


def svd(matrices: NDArray) -> tuple[NDArray, ...]:
    """Left vectors, singular values, right vectors (transposed) of every matrix."""
    return each_matrix(np.linalg.svd, matrices)


def svd_values(matrices: NDArray) -> NDArray:
    """Singular values of every matrix, descending."""
    return each_matrix(lambda stack: np.linalg.svd(stack, compute_uv=False), matrices)[0]
