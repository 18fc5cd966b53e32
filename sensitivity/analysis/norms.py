"""Spectral norms of many small matrices at once, to 1e-10: faster than their singular values."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from integrators.engine.blocks import one_blas_thread
from integrators.engine.column_scale import Scaled
from integrators.singular_values import scaled_norm

from .lanczos import JacobianBlock, SingularTriplets, golub_kahan_lanczos

__all__ = ["gram_norms", "spectral_norms"]

Float = NDArray[np.float64]

# Measured on profiles, in µs a matrix on a busy core: SVD; eigenvalues of AᵀA; Lanczos, these for the rest.
# W uniform: d = 100: 840, 760, 370; d = 256: 11800, 6300, 1800. W Gaussian, where 12 iterations are too few:
# d = 100: 980, 620, 1280; d = 256: 10800, 6300, 7600.
LANCZOS_FROM, LANCZOS_STEPS, TOLERANCE = 128, 12, 1e-10
# Lanczos reads a batch twice in every iteration, so it should stay in cache.
BATCH_BYTES = 1 << 22


class _Stack(NamedTuple):
    """Matrices (members, rows, columns) as operators for Lanczos."""

    matrices: Float

    @property
    def overflowed(self) -> NDArray[np.bool_]:
        return np.zeros(len(self.matrices), bool)

    def pushforward(self, columns: Float) -> Scaled:
        return Scaled(self.matrices @ columns, np.zeros(len(columns), np.int64))

    def pullback(self, cotangents: Float) -> Scaled:
        return Scaled(self.matrices.swapaxes(-1, -2) @ cotangents, np.zeros(len(cotangents), np.int64))

    def start_vector(self, vector: Float) -> Float:
        return vector


def spectral_norms(columns: Scaled) -> tuple[Float, NDArray[np.int64]]:
    """‖·‖₂ of every matrix as (mantissa, exponent), to 1e-10 or better; NaN and inf stay what they are.

    A vector's norm is its length. For a matrix, √λ_max(AᵀA) has a relative error of some units in the last
    place, unlike the smaller singular values from AᵀA; large matrices try Lanczos first.
    """
    columns = columns.aligned()
    norms, exponent = scaled_norm(columns.values, _matrix_norms)
    return norms, columns.exponent + exponent


def _matrix_norms(stack: Float) -> Float:
    """‖·‖₂ of matrices (..., rows, columns) whose largest entry is about one, or zero."""
    matrices = stack.reshape(-1, *stack.shape[-2:])
    norms = np.empty(len(matrices))
    size = max(1, BATCH_BYTES // (8 * matrices[0].size)) if len(matrices) else 1
    large = matrices.shape[-1] == matrices.shape[-2] >= LANCZOS_FROM
    with one_blas_thread():
        for start in range(0, len(matrices), size):
            batch, target = matrices[start : start + size], norms[start : start + size]
            rest = np.ones(len(batch), bool)
            if large:
                triplets = _by_lanczos(batch)
                rest = ~triplets.converged
                target[:] = np.ldexp(triplets.values[:, 0], triplets.exponent)
            target[rest] = gram_norms(batch[rest])
    return norms.reshape(stack.shape[:-2])


def gram_norms(matrices: Float) -> Float:
    """‖·‖₂ of matrices (..., rows, columns) whose largest entry is about one, to round-off: √λ_max(AᵀA)."""
    transposed = matrices.swapaxes(-1, -2)
    wide = matrices.shape[-1] > matrices.shape[-2]
    with one_blas_thread():  # the bits of a product may depend on the number of BLAS threads
        gram = matrices @ transposed if wide else transposed @ matrices
        return np.sqrt(np.maximum(np.linalg.eigvalsh(gram)[..., -1], 0.0))


def _by_lanczos(matrices: Float) -> SingularTriplets:
    n, d, _ = matrices.shape
    whole = slice(0, d)
    block = JacobianBlock(_Stack(matrices), n, d, whole, whole)
    return golub_kahan_lanczos(block, tol=TOLERANCE, max_iterations=LANCZOS_STEPS)
