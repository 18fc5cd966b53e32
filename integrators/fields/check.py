"""One check of a new field: its callbacks against finite differences of its kick, and member by member."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.validation import as_vector

if TYPE_CHECKING:
    from .field import Field

__all__ = ["check_field", "differences", "smooth_differences"]

Float = NDArray[np.float64]

# Richardson-extrapolated central differences are good to about 1e-10; a wrong formula is off by far more.
TOLERANCE = 1e-6


def check_field(field: Field, at: ArrayLike | None = None) -> None:
    """Raise ValueError, naming the wrong entry, unless the callbacks do what `fields` says of them.

    The derivatives are compared with differences of the kick; then two members at once, added to what was
    there before, with each member alone. Where no point is given, tangent and adjoint are also compared at
    other points, as far as the force is finite and smooth there.
    """
    d = field.dim
    rng = np.random.default_rng(2019)
    y = rng.normal(size=d) if at is None else as_vector(at, "check_at", d)
    x = rng.normal(size=field.n_inputs)

    found = _Leaves.of(field, [y], [x], [0.7])
    for what, values in found._asdict().items():
        if not np.isfinite(values).all():
            raise ValueError(
                f"{field.name}: {what} is not finite at y = {y}; pass check_at=, a point of its domain."
            )
    by_y = differences(lambda v: _force(field, field.packed, v, x), y)
    _compare(field, "the tangent of kick, ∂F_i/∂y_j,", found.dp[:, :, 0], 0.7 * by_y)
    _compare(field, "lam_y of kick_adjoint, ∂F_j/∂y_i,", found.lam_y[:, :, 0], 0.7 * by_y.T)
    if field.theta.size:
        by_theta = differences(lambda t: _force(field, t, y, x), field.packed)
        _compare(field, "grad_theta of kick_adjoint", found.grad_theta, 0.7 * by_theta.sum(axis=0))
    _compare(
        field,
        "p of kick with tangents",
        found.p[:, 0],
        0.7 * _force(field, field.packed, y, x),
        "the kick without",
    )

    if at is None:
        for other in (-y, 0.3 * y, rng.normal(size=d), rng.normal(size=d)):
            _check_elsewhere(field, other, rng.normal(size=field.n_inputs))

    points = [y, y + 1e-3 * np.maximum(1.0, abs(y))]
    drives, weights = [x, x + 0.1], [0.7, -0.4]
    both = _Leaves.of(field, points, drives, weights, before=1.0)
    alone = [_Leaves.of(field, [points[i]], [drives[i]], [weights[i]]) for i in (0, 1)]
    for what in ("p", "dp", "lam_y"):
        expected = 1.0 + np.concatenate([getattr(member, what) for member in alone], axis=-1)
        _compare(
            field,
            f"{what} after adding two members to ones",
            getattr(both, what),
            expected,
            "each member alone",
        )
    expected = 1.0 + alone[0].grad_theta + alone[1].grad_theta
    _compare(
        field, "grad_theta after adding two members to ones", both.grad_theta, expected, "each member alone"
    )


def _check_elsewhere(field: Field, y: Float, x: Float) -> None:
    found = _Leaves.of(field, [y], [x], [0.7])
    if not all(np.isfinite(values).all() for values in found):
        return
    by_y, smooth = smooth_differences(lambda v: _force(field, field.packed, v, x), y)
    expected = np.where(smooth, 0.7 * by_y, 0.0)
    for what, slope in (
        ("the tangent of kick", found.dp[:, :, 0]),
        ("lam_y of kick_adjoint", found.lam_y[:, :, 0].T),
    ):
        _compare(field, f"{what} at y = {y}, ∂F_i/∂y_j,", np.where(smooth, slope, 0.0), expected)


class _Leaves(NamedTuple):
    """What both callbacks add, for unit columns."""

    p: Float  # (d, m)
    dp: Float  # (d, d, m)
    lam_y: Float  # (d, d, m)
    grad_theta: Float

    @classmethod
    def of(
        cls,
        field: Field,
        y: Sequence[Float],
        x: Sequence[Float],
        weights: Sequence[float],
        before: float = 0.0,
    ) -> _Leaves:
        d, m = field.dim, len(weights)
        inputs = (np.stack(y, axis=1), np.stack(x, axis=1), np.array(weights))
        units = np.repeat(np.eye(d)[:, :, None], m, axis=2)
        theta, state, drive, c, columns = (a.copy() for a in (field.packed, *inputs, units))
        out = cls(*(np.full(shape, before) for shape in ((d, m), (d, d, m), (d, d, m), theta.size)))
        field.kick(theta, state, drive, c, out.p, columns, out.dp)
        field.kick_adjoint(theta, state, drive, c, columns, out.lam_y, out.grad_theta)
        names = "theta", "y", "x", "c", "the columns it reads"
        for name, used, original in zip(
            names, (theta, state, drive, c, columns), (field.packed, *inputs, units), strict=True
        ):
            if not np.array_equal(used, original, equal_nan=True):
                raise ValueError(
                    f"{field.name}: a callback changes {name}; callbacks may only add to their targets."
                )
        return out


def _force(field: Field, theta: Float, y: Float, x: Float) -> Float:
    """F(y, x; θ), by a kick without columns."""
    d = field.dim
    force, none = np.zeros((d, 1)), np.zeros((d, 0, 1))
    field.kick(theta.copy(), y[:, None].copy(), x[:, None].copy(), np.ones(1), force, none, none.copy())
    return force[:, 0]


def smooth_differences(function: Callable[[Float], Float], point: Float) -> tuple[Float, NDArray[np.bool_]]:
    """`differences`, and the entries that two sizes of steps agree on: those of no kink nearby."""
    with np.errstate(all="ignore"):
        fine, coarse = differences(function, point, 2.5e-4), differences(function, point)
        return fine, np.abs(fine - coarse) <= TOLERANCE * np.maximum(1.0, np.abs(fine))


def differences(function: Callable[[Float], Float], point: Float, size: float = 1e-3) -> Float:
    """Jacobian of `function` at `point` by central differences with one Richardson step."""
    if point.size == 0:
        return np.zeros((*np.shape(function(point)), 0))
    columns = []
    for j in range(point.size):
        h = size * max(1.0, abs(float(point[j])))
        unit = np.zeros(point.size)
        unit[j] = 1.0
        coarse, fine = (
            (function(point + s * unit) - function(point - s * unit)) / (2 * s) for s in (h, h / 2)
        )
        columns.append((4 * fine - coarse) / 3)
    return np.array(columns).T


def _compare(
    field: Field, what: str, found: Float, expected: Float, by: str = "a finite difference of kick"
) -> None:
    error = np.abs(found - expected)
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
    if not error.max(initial=0.0) <= TOLERANCE * scale:
        # NaN is the largest error of all.
        where = tuple(int(i) for i in np.unravel_index(np.argmax(error), error.shape))
        raise ValueError(
            f"{field.name}: {what} is {found[where]:.6g} at index {where} where {by} gives "
            f"{expected[where]:.6g}; correct the callback, or pass check_at= away from a kink of F."
        )
