"""Between which numbers the slopes σ'(W y + V x + b) lie at a place y of float64 numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from integrators.fields.neural import NeuralField

from .rounding import EPS

__all__ = ["slope_bounds"]

Float = NDArray[np.float64]


def slope_bounds(field: NeuralField, y: Float, x: Float) -> tuple[Float, Float]:
    """Bounds on |σ'(z)| from below and above, z = W y + V x + b at exactly these y and x.

    Parameters
    ----------
    field : NeuralField
    y : ndarray, shape (d, places)
    x : ndarray, shape (n_inputs, places)

    Notes
    -----
    In float64 z is off by δ at most, by the sum of the absolute values of what is added; that matters where
    terms cancel and where σ is steep. But for sin and relu |σ'| falls with |z|.
    """
    b = field.b[:, None]
    z = field.W @ y + field.V @ x + b
    terms = field.dim + field.n_inputs + 2
    off = terms * EPS * (np.abs(field.W) @ np.abs(y) + np.abs(field.V) @ np.abs(x) + np.abs(b))
    name, slope = field.activation.name, field.activation.derivative
    if name == "relu":
        return np.where(z > off, 1.0, 0.0), np.where(z > -off, 1.0, 0.0) + 0.0 * z
    if name == "sin":
        middle = np.abs(slope(z))
        return np.maximum(middle - off, 0.0), np.minimum(middle + off + EPS, 1.0)
    low, high = slope(np.abs(z) + off), slope(np.maximum(np.abs(z) - off, 0.0))
    if name == "identity":
        return low, high
    return low * (1.0 - 8.0 * EPS), high * (1.0 + 8.0 * EPS)
