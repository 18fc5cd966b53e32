"""One check of a new field: its tangent and adjoint against finite differences of its own kick."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from .fields import Field

__all__ = ["check_field"]

Float = NDArray[np.float64]

# Richardson-extrapolated central differences are good to about 1e-10; a wrong formula is off by far more.
TOLERANCE = 1e-6


def check_field(field: Field, at: ArrayLike | None = None) -> None:
    """Raise ValueError, naming the wrong entry, unless the three derivatives agree with differences."""
    d = field.dim
    rng = np.random.default_rng(2019)
    y = rng.normal(size=d) if at is None else np.asarray(at, dtype=np.float64).reshape(d)
    x = rng.normal(size=field.n_inputs)
    weight = np.array([0.7])

    force, tangent = _kick(field, field.packed, y, x, weight)
    if not (np.isfinite(force).all() and np.isfinite(tangent).all()):
        raise ValueError(f"{field.name}: kick is not finite at y = {y}; pass check_at=, a point of its domain.")
    expected = _differences(lambda v: _kick(field, field.packed, v, x, weight)[0], y)
    _compare(field, "the tangent of kick, ∂F_i/∂y_j", tangent, expected)

    adjoint, gradient = _kick_adjoint(field, y, x, weight, field.theta.size)
    _compare(field, "lam_y of kick_adjoint, ∂F_j/∂y_i", adjoint, expected.T)
    if field.theta.size:
        by_theta = _differences(lambda t: _kick(field, t, y, x, weight)[0], field.packed)
        _compare(field, "grad_theta of kick_adjoint", gradient, by_theta.sum(axis=0))


def _kick(field: Field, theta: Float, y: Float, x: Float, weight: Float) -> tuple[Float, Float]:
    d = field.dim
    p, dp = np.zeros((d, 1)), np.zeros((d, d, 1))
    field.kick(theta, y[:, None].copy(), x[:, None].copy(), weight, p, np.eye(d)[:, :, None].copy(), dp)
    return p[:, 0], dp[:, :, 0]


def _kick_adjoint(field: Field, y: Float, x: Float, weight: Float, size: int) -> tuple[Float, Float]:
    d = field.dim
    lam_y, gradient = np.zeros((d, d, 1)), np.zeros(size)
    lam_p = np.eye(d)[:, :, None].copy()
    field.kick_adjoint(field.packed, y[:, None].copy(), x[:, None].copy(), weight, lam_p, lam_y, gradient)
    return lam_y[:, :, 0], gradient


def _differences(function, point: Float) -> Float:
    """Jacobian of `function` at `point` by central differences with one Richardson step."""
    columns = []
    for j in range(point.size):
        h = 1e-3 * max(1.0, abs(float(point[j])))
        unit = np.zeros(point.size)
        unit[j] = 1.0
        coarse, fine = (
            (function(point + s * unit) - function(point - s * unit)) / (2 * s) for s in (h, h / 2)
        )
        columns.append((4 * fine - coarse) / 3)
    return np.array(columns).T


def _compare(field: Field, what: str, found: Float, expected: Float) -> None:
    error = np.abs(found - expected)
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
    if not error.max(initial=0.0) <= TOLERANCE * scale:
        where = tuple(int(i) for i in np.unravel_index(np.nanargmax(error), error.shape))
        raise ValueError(
            f"{field.name}: {what} is {found[where]:.6g} at index {where} where a finite difference of kick "
            f"gives {expected[where]:.6g}; correct the leaf."
        )
