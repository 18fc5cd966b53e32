"""Theorem J: the gradients by the parameters b and W, by theorem E's majorant with a source term.

A kick p ← p + b_s ε σ(W y + V x + b) has the source D by b and D (· y) by W. With β ≥ ‖∂y/∂φ‖, υ ≥ ‖∂p/∂φ‖,

    drift: β ← β + |a_s| ε υ,        kick: υ ← υ + |b_s| ε (λ β + L r),

where r = 1 for φ = b, and r ≥ ‖y‖₂ for φ = W, which lemma 3.1 bounds along with it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.engine.column_scale import log_scaled
from integrators.engine.program import Program
from integrators.fields.field import Field
from integrators.fields.neural import NeuralField
from integrators.schemes.table import Scheme, get_scheme
from integrators.validation import as_count, as_steps, as_vector
from sensitivity.recurrences.arguments import needs_field

from .matrix import positive_power, relative_slack, row_sum
from .rounding import log_upward, upward
from .table import finite_lipschitz

__all__ = ["bias_gradient", "log_bias_gradient", "log_weight_gradient", "weight_gradient"]

Float = NDArray[np.float64]
# Rows and columns of the majorant: β, υ, and sizes of y, of p and of the constant 1.
BY_Y, BY_P, Y, P, ONE = range(5)


@needs_field
def log_bias_gradient(field: Field, scheme: str | Scheme, step: ArrayLike, n_steps: int) -> Float:
    """Natural logarithm of `bias_gradient`, which does not overflow with N.

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField.random(10, rng=0)
    >>> lg.bounds.log_bias_gradient(field, "leapfrog", step=1.0, n_steps=1000).round(2)
    np.float64(738.66)
    """
    network = _neural(field)
    values, exponents, slack = _power(network, scheme, step, n_steps, of_bias=True)
    return _log(values[..., BY_Y, ONE], exponents[..., ONE], slack)


@needs_field
def bias_gradient(field: Field, scheme: str | Scheme, step: ArrayLike, n_steps: int) -> Float:
    """Theorem J: ‖∂y_N/∂b‖₂ ≤ (s_N − 1)/‖W‖₂, s_N the majorant of theorem E, for ÿ = σ(W y + V x + b).

    For leapfrog this is (C_N(1 + ε²λ/2) − 1)/‖W‖. It holds for every initial value and input, and is attained
    by σ = identity, d = 1, W > 0. For W = 0 it is the limit, L (Nε)²/2 for leapfrog.

    Parameters
    ----------
    field : NeuralField
    scheme, step, n_steps
        As for `majorant`.

    Returns
    -------
    ndarray, shape step.shape
        inf where it leaves float64. Rounded outwards.

    Raises
    ------
    TypeError, ValueError
        If the field is no NeuralField, or for a step or a length that makes no sense.

    Examples
    --------
    >>> import numpy as np
    >>> import leapgrad as lg
    >>> line = lg.NeuralField([[2.0]], [0.3], activation="identity")
    >>> lg.bounds.bias_gradient(line, "leapfrog", step=0.1, n_steps=50).round(4)
    np.float64(292.1259)
    >>> run = lg.unroll(line, scheme="leapfrog", step=0.1, n_steps=50)
    >>> run.parameter_gradient([1.0, 0.0])[1].round(4)  # θ = (W, b)
    np.float64(292.1259)
    """
    with np.errstate(over="ignore"):
        return upward(np.exp(log_bias_gradient(field, scheme, step, n_steps)))


@needs_field
def log_weight_gradient(
    field: Field,
    scheme: str | Scheme,
    step: ArrayLike,
    n_steps: int,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
) -> Float:
    """Natural logarithm of `weight_gradient`, which does not overflow with N.

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField.random(10, rng=0)
    >>> lg.bounds.log_weight_gradient(field, "leapfrog", step=1.0, n_steps=1000).round(2)
    np.float64(740.37)
    """
    network = _neural(field)
    if not math.isfinite(network.activation.bound):
        raise ValueError(
            f"theorem J by W needs a bounded σ; {network.activation.name} is not. bounds.bias_gradient holds "
            "for every σ."
        )
    # Unlike a sum of squares, hypot does not fall to zero for small vectors.
    sizes = [math.hypot(*as_vector(v, name, network.dim).tolist()) for v, name in ((y0, "y0"), (p0, "p0"))]
    values, exponents, slack = _power(network, scheme, step, n_steps, of_bias=False)
    first_order = get_scheme(scheme).form == "first_order"
    start = np.array([0.0, 0.0, sizes[0], 0.0 if first_order else sizes[1], 1.0])
    with np.errstate(over="ignore", invalid="ignore"):
        return _log(*row_sum(values[..., BY_Y, :], exponents, start), slack)


@needs_field
def weight_gradient(
    field: Field,
    scheme: str | Scheme,
    step: ArrayLike,
    n_steps: int,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
) -> Float:
    """Theorem J: a bound on ‖∂y_N/∂W‖₂, the d × d² matrix of derivatives by the entries of W.

    At a kick the source of the derivative by W has the norm ‖σ'‖ ‖y‖₂ at most, and by lemma 3.1 ‖y‖₂ grows no
    faster than ‖y_0‖ + t ‖ẏ_0‖ + √d sup|σ| t²/2.

    Parameters
    ----------
    field : NeuralField
        With a bounded activation.
    scheme, step, n_steps
        As for `majorant`.
    y0, p0 : array_like, shape (d,), optional
        Initial value and velocity; zero by default.

    Returns
    -------
    ndarray, shape step.shape
        inf where it leaves float64. Rounded outwards.

    Raises
    ------
    TypeError, ValueError
        If the field is no NeuralField, if σ is not bounded, or for an argument that makes no sense.

    Notes
    -----
    It holds for every input.

    Examples
    --------
    >>> import numpy as np
    >>> import leapgrad as lg
    >>> field = lg.NeuralField.random(3, rng=0)
    >>> run = lg.unroll(field, scheme="leapfrog", step=0.1, n_steps=20)
    >>> by_W = np.array([run.parameter_gradient(row)[:9] for row in np.eye(6)[:3]])
    >>> bool(np.linalg.norm(by_W, 2) <= lg.bounds.weight_gradient(field, "leapfrog", 0.1, 20))
    True
    """
    with np.errstate(over="ignore"):
        return upward(np.exp(log_weight_gradient(field, scheme, step, n_steps, y0, p0)))


def _neural(field: Field) -> NeuralField:
    if not isinstance(field, NeuralField):
        raise TypeError(
            f"theorem J is about ÿ = σ(W y + V x + b): it needs a NeuralField as field, got {field.name!r}."
        )
    return field


def _power(
    field: NeuralField, scheme: str | Scheme, step: ArrayLike, n_steps: int, of_bias: bool
) -> tuple[Float, NDArray[np.int64], float]:
    """The majorant of N steps, 5 × 5, as `positive_power` has it, and by how much to enlarge it."""
    record, h, n = get_scheme(scheme), as_steps(step), as_count(n_steps, "n_steps")
    slope, least = finite_lipschitz(field), field.activation.lipschitz
    force = 0.0 if of_bias else field.activation.bound * math.sqrt(field.dim)
    rows = [np.broadcast_to(row, (*h.shape, 5)).copy() for row in np.eye(5)]
    size = h[..., None]
    with np.errstate(over="ignore", invalid="ignore"):
        for stage, weight, *_ in Program.of(record, 1):
            own = abs(weight) * size
            drifts = own * rows[BY_P], own * rows[P]
            # Products with λ and L after those with the step: either alone may be beyond float64.
            source = rows[ONE] if of_bias else rows[Y]
            kicks = (own * slope) * rows[BY_Y] + (own * least) * source, own * force * rows[ONE]
            if stage in ("drift", "explicit"):
                rows[BY_Y], rows[Y] = rows[BY_Y] + drifts[0], rows[Y] + drifts[1]
            if stage == "increment":
                rows[BY_Y], rows[Y] = rows[BY_Y] + kicks[0], rows[Y] + kicks[1]
            elif stage != "drift":
                rows[BY_P], rows[P] = rows[BY_P] + kicks[0], rows[P] + kicks[1]
        values, exponents = positive_power(np.stack(rows, axis=-2), n)
    # Twice: the sizes of y and their products with the gradient each round as often as the majorant itself.
    return values, exponents, 2.0 * relative_slack(record, n, field.dim) + 64.0 * np.finfo(np.float64).eps


def _log(values: Float, exponent: NDArray[np.int64], slack: float) -> Float:
    """Its logarithm, rounded up; −inf for zero, inf where it left float64."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = log_scaled(values, exponent)
        rounded = log_upward(np.asarray(found), slack)
    return np.where(np.isnan(values), np.inf, np.where(np.isneginf(found), found, rounded))[()]
