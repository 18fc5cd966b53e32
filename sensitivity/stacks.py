"""Spectral norms of many small matrices at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .lanczos import golub_kahan_lanczos
from .recurrence import Scaled
from .singular import FULL_COLUMNS, spectral_norm

__all__ = ["spectral_norms"]

Float = NDArray[np.float64]
TOLERANCE = 1e-11


class _Stack(NamedTuple):
    """Matrices (lanes, rows, columns) as operators, for Lanczos."""

    matrices: Float

    def pushforward(self, columns: Float) -> Scaled:
        return self._scaled(self.matrices @ columns)

    def pullback(self, cotangents: Float) -> Scaled:
        return self._scaled(self.matrices.swapaxes(-1, -2) @ cotangents)

    def _scaled(self, values: Float) -> Scaled:
        return Scaled(values, np.zeros(len(values), np.int64))


def spectral_norms(columns: Scaled) -> tuple[Float, NDArray[np.int64]]:
    """‖·‖₂ of every matrix as (mantissa, exponent), to 1e-10 or better; NaN and inf stay what they are.

    A vector's norm is its length; small matrices take the SVD, larger ones Lanczos.
    """
    values = columns.values
    *lanes, n_rows, n_columns = values.shape
    if min(n_rows, n_columns) > 1 and min(n_rows, n_columns) < FULL_COLUMNS:
        return spectral_norm(columns)
    largest = np.abs(values).max(axis=(-2, -1), initial=0.0)
    finite = np.isfinite(largest)
    _, shift = np.frexp(np.where(finite, largest, 0.0))
    matrices = np.ldexp(np.where(finite[..., None, None], values, 0.0), -shift[..., None, None])
    if min(n_rows, n_columns) <= 1:
        norms = np.linalg.norm(matrices, axis=(-2, -1))
    else:
        stack = matrices.reshape(-1, n_rows, n_columns)
        triplets = golub_kahan_lanczos(
            _Stack(stack),
            len(stack),
            n_rows,
            slice(0, n_rows),
            slice(0, n_columns),
            1,
            TOLERANCE,
            n_rows // 4,
        )
        if triplets is None:
            return spectral_norm(columns)
        norms = np.ldexp(triplets.values[:, 0], triplets.exponent).reshape(lanes)
    return np.where(finite, norms, largest), columns.exponent + shift
