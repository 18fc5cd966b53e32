"""Norms in extended precision, by the formulas of the schemes: independent of the compiled products.

Numbers are NumPy's longdouble: 64 bits of mantissa on x86, 53 where there is nothing longer. What a bound of
the *computed* trajectory is about is the product of Jacobians at the computed states, so that these are taken
from the run, and only the tangents are made anew.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.engine.drivers import KEEP
from integrators.fields.neural import NeuralField
from integrators.run.forward import forward
from integrators.run.recurrence import OdeRecurrence
from integrators.schemes.table import get_scheme

__all__ = ["ACTIVATIONS", "extended_jacobian", "largest"]

Long = Any  # arrays of longdouble
Float = NDArray[np.float64]


def _erf(z: Long) -> Long:
    """erf by the series 2/√π e^{−z²} Σ 2ⁿ z^{2n+1}/(2n+1)!!, whose terms have one sign."""
    x = np.clip(z, -7.0, 7.0)
    x = np.abs(x)
    term, total = x.copy(), x.copy()
    for n in range(1, 220):
        term = term * (2 * x * x) / (2 * n + 1)
        total = total + term
        if not (term > 1e-21 * total).any():
            break
    return 2 / np.sqrt(np.longdouble(np.arccos(np.longdouble(-1)))) * np.exp(-x * x) * total * np.sign(z)


def _logistic(z: Long) -> tuple[Long, Long]:
    value = 1 / (1 + np.exp(-z))
    return value, 1 / (2 + np.exp(z) + np.exp(-z))


def _softsign(z: Long) -> tuple[Long, Long]:
    w = 1 / (1 + np.abs(z))
    return z * w, w * w


ACTIVATIONS: dict[str, Any] = {
    "tanh": lambda z: (np.tanh(z), 1 / np.cosh(np.clip(z, -5000.0, 5000.0)) ** 2),
    "logistic": _logistic,
    "relu": lambda z: (np.where(z > 0, z, 0 * z), np.where(z > 0, 1, 0) + 0 * z),
    "identity": lambda z: (z, 1 + 0 * z),
    "sin": lambda z: (np.sin(z), np.cos(z)),
    "arctan": lambda z: (np.arctan(z), 1 / (1 + z * z)),
    "softsign": _softsign,
    "erf": lambda z: (_erf(z), 2 / np.sqrt(np.arccos(np.longdouble(-1))) * np.exp(-z * z)),
}
"""Name → z ↦ (σ(z), σ'(z))."""


def extended_jacobian(
    field: NeuralField,
    scheme: str,
    steps: Float,
    n_steps: int,
    y0: Float,
    p0: Float,
    inputs: Float | None,
    *,
    block: str = "position",
    along: bool = False,
) -> Long:
    """∂y_N/∂y_0 or ∂(y_N, p_N)/∂(y_0, p_0) for every step, shape (steps, k, k).

    Parameters
    ----------
    field, scheme, steps, n_steps, y0, p0, inputs, block
        As for `jacobian`; `steps` is one-dimensional.
    along : bool
        Take the states at which the Jacobians are taken from the run in float64.
    """  # fmt: skip
    d, phase = field.dim, block == "phase"
    record = get_scheme(scheme)
    recurrence = OdeRecurrence(field, scheme, steps, n_steps, y0, p0, inputs, progress=False)
    program = recurrence.program(phase)
    run = recurrence.driver_run(np.arange(steps.size), program)
    places = iter(_computed(recurrence, phase)) if along else None
    W, V, b = (np.asarray(part, dtype=np.longdouble) for part in (field.W, field.V, field.b))
    h = np.asarray(steps, dtype=np.longdouble)[:, None]
    y, p = (np.repeat(np.asarray(v, dtype=np.longdouble)[None], h.size, 0) for v in (y0, p0))
    first_order = record.form == "first_order"
    k = 2 * d if phase else d
    T = np.repeat(np.eye(d if first_order else 2 * d, k, dtype=np.longdouble)[None], h.size, 0)
    activate = ACTIVATIONS[field.activation.name]
    with np.errstate(all="ignore"):
        for stage, weight, _, entry, _ in program:
            c = np.longdouble(float(weight)) * h
            # What a drift adds to the position and a kick to the rest, both from the state before.
            moved, moved_T, pushed, pushed_T = 0 * y, 0 * T[:, :d], 0 * y, 0 * T[:, :d]
            if stage in ("drift", "explicit"):
                moved, moved_T = c * p, c[..., None] * T[:, d:]
            if stage != "drift":
                x = run.inputs[run.rows[entry]].T if run.rows.size else np.zeros((1, 0))
                at = np.asarray(next(places).T, dtype=np.longdouble) if places is not None else y
                value, slope = activate(at @ W.T + np.asarray(x, np.longdouble) @ V.T + b)
                pushed, pushed_T = c * value, (c * slope)[..., None] * (W @ T[:, :d])
            if first_order:
                y, T = y + pushed, T + pushed_T
            else:
                y, p = y + moved, p + pushed
                T = np.concatenate([T[:, :d] + moved_T, T[:, d:] + pushed_T], axis=1)
    return T if phase else T[:, :d]


def _computed(recurrence: Any, close: bool) -> Float:
    """The computed positions at the kicks, (kicks, d, members)."""
    used, found = recurrence.program(close).evaluated, []

    def keep(members: slice, run: Any, tape: Float, *_: object) -> None:
        found.append(tape[used][:, :, : members.stop - members.start])

    with np.errstate(all="ignore"):
        forward(recurrence, close=close, keep=keep, tape=KEEP)
    return np.concatenate(found, axis=2)


def largest(matrices: Long) -> Float:
    """ln ‖·‖₂ of every matrix: by the singular vector of float64, whose image is measured in longdouble."""
    size = np.abs(matrices).max(axis=(-2, -1))
    finite = np.isfinite(size) & (size > 0)
    near = matrices / np.where(finite, size, 1)[:, None, None]
    near = np.where(finite[:, None, None], near, 0 * near)
    right = np.linalg.svd(np.nan_to_num(near.astype(np.float64)))[2][:, 0].astype(np.longdouble)
    image = (near @ right[..., None])[..., 0]
    length = np.sqrt((image * image).sum(-1) / (right * right).sum(-1))
    with np.errstate(all="ignore"):
        found = np.log(length) + np.log(size)
    return np.where(finite, found, np.where(size == 0, -np.inf, np.nan)).astype(np.float64)
