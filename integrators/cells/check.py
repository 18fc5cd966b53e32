"""One check of a new cell: tangent, adjoint and gradients against complex steps and finite differences."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.fields.check import differences, smooth_differences
from integrators.validation import as_vector

from .cell import Cell

__all__ = ["check_cell"]

Float = NDArray[np.float64]

# Richardson-extrapolated differences are good to about 1e-10, complex steps to round-off.
BY_DIFFERENCES, BY_COMPLEX_STEP = 1e-6, 1e-12
STEP = 1e-30


def check_cell(cell: Cell, at: ArrayLike | None = None, function: Any = None) -> None:
    """Raise ValueError, naming the entry, unless tangent, adjoint and gradients are those of the step.

    Parameters
    ----------
    cell : Cell
    at : array_like, shape (D,), optional
        Compared are the slopes there; without it at several random states.
    function : callable, optional
        The step as a Python function; where it takes complex numbers, complex steps through it are compared
        too, to 1e-12.
    """
    rng = np.random.default_rng(2019)
    s = rng.normal(size=cell.dim) if at is None else as_vector(at, "check_at", cell.dim)
    x = rng.normal(size=cell.n_inputs)
    value, J = cell.linearise(s, x)
    if not (np.isfinite(value).all() and np.isfinite(J).all()):
        raise ValueError(
            f"{cell.name}: Φ or its slope is not finite at s = {s}; pass check_at=, a state of its domain."
        )
    by_state = differences(lambda v: cell.step(v, x), s)
    _compare(cell, "∂Φ_i/∂s_j", J, by_state, BY_DIFFERENCES)
    exact = None if function is None else _complex_steps(function, cell, s, x)
    if exact is not None:
        # Where it is not the derivative at all, as through abs, the differences above have decided.
        near = np.abs(exact - by_state) <= BY_DIFFERENCES * max(1.0, float(np.abs(by_state).max(initial=0.0)))
        parts = np.where(near, J, 0.0), np.where(near, exact, 0.0)
        _compare(cell, "∂Φ_i/∂s_j, by a complex step,", *parts, BY_COMPLEX_STEP)
    if at is None:
        for other in (-s, 0.3 * s, rng.normal(size=cell.dim), rng.normal(size=cell.dim)):
            _check_elsewhere(cell, other, rng.normal(size=cell.n_inputs))
    by_input = differences(lambda v: cell.step(s, v), x) if x.size else np.zeros((cell.dim, 0))
    by_theta = differences(lambda v: cell.with_theta(v).step(s, x), cell.theta.copy())
    for i, lam in enumerate(np.eye(cell.dim)):
        pulled = cell.adjoint(s, x, lam)
        for what, found, expected in zip(
            ("s", "x", "θ"), pulled, (by_state[i], by_input[i], by_theta[i]), strict=True
        ):
            _compare(cell, f"∂Φ_{i}/∂{what}_j of the adjoint", found, expected, BY_DIFFERENCES)


def _check_elsewhere(cell: Cell, s: Float, x: Float) -> None:
    """The Jacobian at another state, as far as the step is finite and smooth there."""
    value, J = cell.linearise(s, x)
    if np.isfinite(value).all() and np.isfinite(J).all():
        by_state, smooth = smooth_differences(lambda v: cell.step(v, x), s)
        parts = np.where(smooth, J, 0.0), np.where(smooth, by_state, 0.0)
        _compare(cell, f"∂Φ_i/∂s_j at s = {s}", *parts, BY_DIFFERENCES)


def _complex_steps(function: Any, cell: Cell, s: Float, x: Float) -> Float | None:
    """∂Φ/∂s through the Python function, or None where that does not take complex numbers."""
    D, theta = cell.dim, np.array([cell.parameters[name][0] for name in cell.kind.vectors])
    columns = np.repeat(s[:, None], D, axis=1) + 1j * STEP * np.eye(D)
    out: NDArray[np.complex128] = np.zeros((D, D), np.complex128)
    unused = np.zeros((D, D, D), np.complex128)
    try:
        with warnings.catch_warnings():
            # Functions of `math` take the real part of NumPy's complex numbers, with a warning.
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            function(theta, columns, np.repeat(x[:, None], D, axis=1), out, unused)
    except (TypeError, ValueError, np.exceptions.ComplexWarning):
        return None
    found = out.imag / STEP
    return found if math.isfinite(found.sum()) else None


def _compare(cell: Cell, what: str, found: Float, expected: Float, tolerance: float) -> None:
    error = np.abs(found - expected)
    if error.size and not error.max() <= tolerance * max(1.0, float(np.abs(expected).max())):
        where = tuple(int(i) for i in np.unravel_index(np.argmax(error), error.shape))
        raise ValueError(
            f"{cell.name}: {what} is {found[where]:.6g} at index {where} where the step gives "
            f"{expected[where]:.6g}; correct the slope, or pass check_at= away from a kink of Φ."
        )
