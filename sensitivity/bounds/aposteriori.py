"""Theorem F: theorems B, D and E with the slopes met along the computed trajectory, not their supremum."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.engine.column_scale import log_scaled
from integrators.engine.drivers import KEEP, Run
from integrators.engine.program import Program
from integrators.fields.field import Field, as_field
from integrators.fields.neural import NeuralField
from integrators.run.forward import forward
from integrators.run.inputs import Inputs
from integrators.run.recurrence import OdeRecurrence, Recurrence
from integrators.schemes.table import Scheme
from integrators.singular_values import spectral_norm
from sensitivity.recurrences.arguments import needs_field

from .growth import log_majorant
from .matrix import relative_slack
from .rounding import EPS, log_upward, upward
from .slopes import slope_bounds
from .table import BoundCase, any_scheme, proved

__all__ = ["aposteriori", "local_lipschitz", "log_aposteriori", "met_slopes"]

Float = NDArray[np.float64]
Slope = Literal["norm", "slope", "certified"]
# Derivatives taken at once, to keep memory small.
AT_ONCE = 1 << 14


@needs_field
def log_aposteriori(
    field: Field,
    scheme: str | Scheme,
    step: ArrayLike,
    n_steps: int,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
    inputs: Inputs = None,
    *,
    local: Slope = "norm",
) -> Float:
    """Natural logarithm of `aposteriori`, which does not overflow with N.

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField.random(10, rng=0)
    >>> bound = lg.bounds.log_aposteriori(field, "leapfrog", 1.0, 100)
    >>> bool(bound <= lg.bounds.log_chebyshev(field, 1.0, 100))
    True
    """
    recurrence = _recurrence(field, scheme, step, n_steps, y0, p0, inputs, local)
    values = np.empty(recurrence.members)
    program = recurrence.program(close=False)

    def keep(members: slice, run: Run, tape: Float, *_: object) -> None:
        slopes = _slopes(recurrence, run, tape, local)
        values[members] = _log_growth(program, run.step, slopes)[: members.stop - members.start]

    with np.errstate(over="ignore", invalid="ignore"):
        if local == "certified":
            for member, one in enumerate(recurrence.alone()):
                values[member] = _log_growth(program, one.steps, _certified(one)[:, None])[0]
        else:
            forward(recurrence, close=False, keep=keep, tape=KEEP)
    values[np.isnan(values)] = np.inf  # the recursion itself left float64
    # One more rounding a kick than the majorant's own: that of λ_k.
    slack = relative_slack(recurrence.scheme, recurrence.n_steps, field.dim)
    found = np.maximum(log_upward(values.reshape(recurrence.shape), slack), 0.0)  # s_N ≥ s_0 = 1
    if field.lipschitz is None or not math.isfinite(field.lipschitz):
        return found[()]
    return np.minimum(found, log_majorant(field, scheme, step, n_steps))[()]


def _slopes_met(case: BoundCase) -> str:
    """The slopes are those of the trajectory itself, whatever they are."""
    return "λ_k = ‖DF‖ at every kick of the computed trajectory"


@proved(
    "F", "‖∂y_N/∂y_0‖ ≤ the majorant with the slopes λ_k met", (any_scheme, _slopes_met),
    log=log_aposteriori, of="trajectory",
)  # fmt: skip
@needs_field
def aposteriori(
    field: Field,
    scheme: str | Scheme,
    step: ArrayLike,
    n_steps: int,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
    inputs: Inputs = None,
    *,
    local: Slope = "norm",
) -> Float:
    """Theorem F: a bound on ‖∂y_N/∂y_0‖₂ from the trajectory itself.

    (s, u) = (1, 0); for every stage s ← s + |a_s| ε u, then u ← u + |b_s| ε λ_k s, with the slope λ_k ≥ ‖DF‖
    at the k-th kick. For leapfrog it sharpens theorem B, for Euler it is Π (1 + ελ_i) and sharpens D.

    Parameters
    ----------
    field, scheme, step, n_steps, y0, p0, inputs
        As for `jacobian`.
    local : {"norm", "slope", "certified"}
        λ_k = ‖DF(y_k, x_k)‖₂, which is ‖D_k W‖₂ for a `NeuralField`; or max_j σ'(z_kj) ‖W‖₂, which is larger,
        needs no singular values, and is for a `NeuralField` only. "certified" takes ‖D_k W‖₂ at the exact
        trajectory, enclosed in ball arithmetic (a `NeuralField`, extra ``certify``; slow).

    Returns
    -------
    ndarray, shape step.shape
        inf where the bound is too large for float64. It is never above the bound of theorem E.

    Notes
    -----
    It holds for the product of the one-step Jacobians along the *computed* trajectory: of the exact ones at
    these states, and of those that `jacobian` multiplies. Where σ' jumps (relu) the exact trajectory may lie
    on the other side of the kink, and the gradient of the exact map above this bound. With
    ``local="certified"`` it holds for the exact map. Like the other bounds it is rounded upwards.

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField.random(10, rng=0)
    >>> norm = lg.jacobian_norm(field, "leapfrog", 0.01, 100)
    >>> bound = lg.bounds.aposteriori(field, "leapfrog", 0.01, 100)
    >>> bool(norm <= bound <= lg.bounds.chebyshev(field, 0.01, 100))
    True
    >>> kink = lg.NeuralField([[0.1]], [-1.0], activation="relu")  # Wy_0 + b is 0 in float64, 5.6e-17 exactly
    >>> case = (kink, "euler", 1.0, 1, [10.0])
    >>> lg.jacobian_norm(*case), lg.jacobian_norm(*case, certified=True)
    (np.float64(1.0), np.float64(1.1))
    >>> lg.bounds.aposteriori(*case, local="certified").round(6)
    np.float64(1.1)
    """
    with np.errstate(over="ignore"):
        return upward(np.exp(log_aposteriori(field, scheme, step, n_steps, y0, p0, inputs, local=local)))


@needs_field
def local_lipschitz(
    field: Field,
    scheme: str | Scheme,
    step: float,
    n_steps: int,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
    inputs: Inputs = None,
    *,
    local: Slope = "norm",
) -> Float:
    """The slopes λ_k of theorem F along a trajectory, in the order of the kicks that act on y_N.

    Parameters not listed are those of `jacobian`; `step` is a single number.

    Parameters
    ----------
    local : {"norm", "slope", "certified"}
        Which upper bound on ‖DF(y_k, x_k)‖₂ to take; see `aposteriori`.

    Returns
    -------
    ndarray, shape (kicks,)

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField.random(3, rng=0)
    >>> slopes = lg.bounds.local_lipschitz(field, "leapfrog", 0.1, 5)
    >>> slopes.shape, bool((slopes <= field.lipschitz).all())
    ((5,), True)
    """
    recurrence = _recurrence(field, scheme, step, n_steps, y0, p0, inputs, local)
    if recurrence.shape:
        raise ValueError(f"local_lipschitz takes one step size, got an array of shape {recurrence.shape}.")
    if local == "certified":
        return _certified(recurrence)
    found: list[Float] = []

    def keep(members: slice, run: Run, tape: Float, *_: object) -> None:
        found.append(_slopes(recurrence, run, tape, local)[:, 0])

    forward(recurrence, close=False, keep=keep, tape=KEEP)
    return found[0]


def _recurrence(
    field: Field,
    scheme: str | Scheme,
    step: ArrayLike,
    n_steps: int,
    y0: ArrayLike | None,
    p0: ArrayLike | None,
    inputs: Inputs,
    local: Slope,
) -> Recurrence:
    """The arguments, checked."""
    known = (*_LOCAL, "certified")
    if not isinstance(local, str) or local not in known:
        raise ValueError(f"local {local!r} is not known; it is {' or '.join(map(repr, known))}.")
    if local != "norm" and not isinstance(as_field(field), NeuralField):
        raise ValueError(f"local={local!r} needs a NeuralField, got {field.name!r}; take local='norm'.")
    return OdeRecurrence(field, scheme, step, n_steps, y0, p0, inputs, progress=False)


def _certified(recurrence: Recurrence) -> Float:
    """λ at every kick of the exact trajectory of one member."""
    from sensitivity.certification.extra import require_flint

    require_flint()
    from sensitivity.certification.slopes import exact_slopes

    return exact_slopes(recurrence)


def _slopes(recurrence: Recurrence, run: Run, tape: Float, local: Slope) -> Float:
    """λ at every kick of a block: shape (kicks, members)."""
    y, x, shape = _places(recurrence, run, tape)
    return _LOCAL[local](recurrence.system, y, x).reshape(shape)


def met_slopes(recurrence: Recurrence, run: Run, tape: Float, close: bool) -> tuple[Float, Float]:
    """Bounds on |σ'| of a neural field at every kick of a block, shape (d, kicks, members) each."""
    y, x, shape = _places(recurrence, run, tape, close)
    low, high = slope_bounds(recurrence.system, y, x)
    d = recurrence.system.dim
    return low.reshape(d, *shape), high.reshape(d, *shape)


def _places(
    recurrence: Recurrence, run: Run, tape: Float, close: bool = False
) -> tuple[Float, Float, tuple[int, int]]:
    """States and inputs at every kick of a block, side by side: (d, places), (n_inputs, places)."""
    used = recurrence.program(close).evaluated
    kicks, d, members = int(np.count_nonzero(used)), tape.shape[1], tape.shape[2]
    y = np.ascontiguousarray(tape[used].transpose(1, 0, 2)).reshape(d, kicks * members)
    x = np.zeros((recurrence.system.n_inputs, kicks * members))
    if run.rows.size:
        drive = run.inputs[run.rows[: used.size][used]]  # (kicks, n_inputs, 1 or members)
        x[:] = np.broadcast_to(drive.transpose(1, 0, 2), (len(x), kicks, members)).reshape(x.shape)
    return y, x, (kicks, members)


def _by_norm(field: Field, y: Float, x: Float) -> Float:
    """‖DF‖₂ at many places, from the field's own tangent."""
    if isinstance(field, NeuralField):
        return _of_matrices(slope_bounds(field, y, x)[1], field.W)
    d, places = y.shape
    found = np.empty(places)
    unit = np.eye(d)[:, :, None]
    for start in range(0, places, AT_ONCE):
        part = slice(start, min(start + AT_ONCE, places))
        size = part.stop - part.start
        derivative = np.zeros((d, d, size))
        field.kick(
            field.packed, np.ascontiguousarray(y[:, part]), np.ascontiguousarray(x[:, part]), np.ones(size),
            np.zeros((d, size)), np.repeat(unit, size, axis=2), derivative,
        )  # fmt: skip
        norms = spectral_norm(derivative.transpose(2, 0, 1))
        found[part] = np.where(np.isnan(norms), np.inf, norms)
    return found


def _by_slope(field: Field, y: Float, x: Float) -> Float:
    """max_j σ'(z_j) ‖W‖₂ at many places."""
    assert isinstance(field, NeuralField)
    return slope_bounds(field, y, x)[1].max(axis=0) * spectral_norm(field.W)


def _of_matrices(slopes: Float, W: Float) -> Float:
    """‖D W‖₂ for many diagonals D, shape (d, places)."""
    found = np.empty(slopes.shape[1])
    for start in range(0, found.size, AT_ONCE):
        part = slice(start, start + AT_ONCE)
        norms = spectral_norm(slopes[:, part].T[:, :, None] * W)
        found[part] = np.where(np.isnan(norms), np.inf, norms)
    return found


_LOCAL = {"norm": _by_norm, "slope": _by_slope}


def _log_growth(program: Program, h: Float, slopes: Float) -> Float:
    """log s_N of the majorant recursion with its own slope at every kick.

    Powers of two are counted as integers: a sum of N logarithms would round by N units of the last of them.
    """
    s, u, exponent = np.ones(h.size), np.zeros(h.size), np.zeros(h.size, np.int64)
    step, kicks = 0, iter(slopes)
    for stage, weight, _, _, of_step in program:
        if of_step > step:
            step, (_, shift) = of_step, np.frexp(np.maximum(s, u))
            s, u = np.ldexp(s, -shift), np.ldexp(u, -shift)
            exponent += shift
        size = abs(weight) * h
        if stage == "drift":
            s = s + size * u
        elif stage == "kick":
            u = u + size * next(kicks) * s
        elif stage == "increment":
            s = s + size * next(kicks) * s
        else:  # explicit: the state before serves both halves
            s, u = s + size * u, u + size * next(kicks) * s
    # λ_k is rounded too, and the sum is near 0 for a bound near 1.
    return log_scaled(s, exponent) + 4.0 * EPS * program.n_steps
