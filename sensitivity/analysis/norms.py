"""Norm and logarithm of one run."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.fields.field import Field
from integrators.schemes.table import Scheme

from .jacobians import jacobian_norm, log_jacobian_norm

__all__ = ["norm_and_log"]

Float = NDArray[np.float64]


def norm_and_log(
    field: Field, scheme: str | Scheme, step: ArrayLike, n_steps: int, **details: Any
) -> tuple[Float, Float]:
    """‖∂y_N/∂y_0‖₂ and its natural logarithm, shape (steps,) each.

    Parameters are those of `jacobian_norm`. The run is repeated only for steps whose norm leaves float64,
    where the logarithm of the norm would say nothing.
    """
    norm = np.atleast_1d(jacobian_norm(field, scheme, step, n_steps, **details))
    with np.errstate(divide="ignore"):
        log_norm = np.log(norm)
    outside = np.isinf(log_norm)
    if outside.any():
        again = np.atleast_1d(np.asarray(step, dtype=np.float64))[outside]
        log_norm[outside] = log_jacobian_norm(field, scheme, again, n_steps, **details)
    return norm, log_norm
