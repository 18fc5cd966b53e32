"""Theorems A to E: growth of the recursion's gradient, from ‖DF‖ ≤ λ alone."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.engine.column_scale import LOG_2, ZERO, bits_of_shift, log_scaled
from integrators.fields.field import Field
from integrators.scaled_matrix import ScaledMatrix
from integrators.schemes.table import SCHEMES, Scheme, get_scheme
from integrators.validation import as_count, as_steps
from sensitivity.recurrences.arguments import needs_field

from .bound import Block
from .matrix import majorant_power, relative_slack
from .rounding import log_upward, upward
from .table import (
    any_scheme,
    finite_lipschitz,
    finite_slope,
    is_splitting,
    proved,
    scheme_is,
    second_order,
)

__all__ = [
    "bounds_by_slope",
    "chebyshev",
    "cosh",
    "euler",
    "log_chebyshev",
    "log_cosh",
    "log_euler",
    "log_majorant",
    "majorant",
    "no_vanishing",
    "phase_no_vanishing",
]

Float = NDArray[np.float64]
NORM = "‖∂y_N/∂y_0‖"


@needs_field
def log_majorant(
    field: Field, scheme: str | Scheme, step: ArrayLike, n_steps: int, *, block: Block = "position"
) -> Float:
    """Natural logarithm of `majorant`, which does not overflow with N.

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField.random(10, rng=0)
    >>> lg.bounds.log_majorant(field, "yoshida4", step=1.0, n_steps=1000).round(2)
    np.float64(1922.89)
    """
    values, exponent, slack = _majorant(field, scheme, step, n_steps, block)
    return log_upward(log_scaled(values, exponent), slack)


@needs_field
def log_chebyshev(field: Field, step: ArrayLike, n_steps: int) -> Float:
    """Natural logarithm of `chebyshev`, which does not overflow with N.

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField.random(10, rng=0)
    >>> lg.bounds.log_chebyshev(field, step=1.0, n_steps=1000).round(2)
    np.float64(738.1)
    """
    return log_majorant(field, "leapfrog", step, n_steps)


@proved(
    "B", f"{NORM} ≤ C_N(1 + ε²λ/2)", (scheme_is("leapfrog"), finite_slope), log=log_chebyshev,
    implied_by="majorant",
)  # fmt: skip
@needs_field
def chebyshev(field: Field, step: ArrayLike, n_steps: int) -> Float:
    """Theorem B: ‖∂y_N/∂y_0‖₂ ≤ C_N(1 + a/2), a = ε²λ, for leapfrog, that is (11) and (13).

    C_N is the Chebyshev polynomial of the first kind. Parameters, errors and shapes are those of `majorant`.
    The bound holds for every ε > 0, d, y_0, ẏ_0 and input. It is an equality for σ = identity, d = 1, W > 0.

    Notes
    -----
    C_N(1 + a/2) is the upper left entry of the N-th power of leapfrog's majorant matrix, which has
    determinant 1 and trace 2 + a.

    Examples
    --------
    >>> import leapgrad as lg
    >>> line = lg.NeuralField([[2.0]], [0.0], activation="identity")
    >>> lg.bounds.chebyshev(line, step=0.1, n_steps=50).round(4)
    np.float64(585.2517)
    >>> lg.jacobian_norm(line, "leapfrog", step=0.1, n_steps=50).round(4)
    np.float64(585.2517)
    """
    return majorant(field, "leapfrog", step, n_steps)


@needs_field
def log_cosh(field: Field, step: ArrayLike, n_steps: int) -> Float:
    """Natural logarithm of `cosh`, which does not overflow.

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField.random(10, rng=0)
    >>> lg.bounds.log_cosh(field, step=1.0, n_steps=1000).round(2)
    np.float64(755.01)
    """
    steps, n_steps = as_steps(step), as_count(n_steps, "n_steps")
    with np.errstate(over="ignore"):
        x = n_steps * (steps * math.sqrt(finite_lipschitz(field))) if n_steps else np.zeros(steps.shape)
    # log cosh x = log(1 + 2 sinh²(x/2)) keeps its digits near 0, x + log(1 + e^−2x) − log 2 does elsewhere.
    small = np.minimum(x, 1.0)
    near, far = np.log1p(2.0 * np.sinh(small / 2.0) ** 2), x + np.log1p(np.exp(-2.0 * x)) - LOG_2
    values = np.asarray(np.where(x < 1.0, near, far), dtype=np.float64)
    return log_upward(values, relative_slack(SCHEMES["leapfrog"], n_steps, field.dim))


@proved(
    "B", f"{NORM} ≤ cosh(Nε√λ)", (scheme_is("leapfrog"), finite_slope), log=log_cosh, implied_by="majorant"
)  # fmt: skip
@needs_field
def cosh(field: Field, step: ArrayLike, n_steps: int) -> Float:
    """Theorems A and B: cosh(Nε√λ), a bound for leapfrog and, at T = Nε, for the flow ÿ = F(y, x).

    Parameters, errors and shapes are those of `majorant`. With ε = c/N it does not depend on N, which is the
    heuristic ε ∝ 1/N (14) with its constant, cosh(c√λ).

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField.random(10, rng=0)
    >>> lg.bounds.cosh(field, step=[0.01, 0.001], n_steps=100).round(4)
    array([1.2994, 1.0029])
    """
    with np.errstate(over="ignore"):
        return upward(np.exp(log_cosh(field, step, n_steps)))


@needs_field
def log_euler(field: Field, step: ArrayLike, n_steps: int) -> Float:
    """Natural logarithm of `euler`, which does not overflow.

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField.random(10, rng=0)
    >>> lg.bounds.log_euler(field, step=1.0, n_steps=2000).round(2)
    np.float64(903.54)
    """
    return log_majorant(field, "euler", step, n_steps)


@proved(
    "D", f"{NORM} ≤ (1 + ελ)^N", (scheme_is("euler"), finite_slope), log=log_euler, implied_by="majorant"
)  # fmt: skip
@needs_field
def euler(field: Field, step: ArrayLike, n_steps: int) -> Float:
    """Theorem D: ‖∂y_N/∂y_0‖₂ ≤ (1 + ελ)^N ≤ exp(Nελ) for the Euler recursion (12).

    Parameters, errors and shapes are those of `majorant`. The bound holds for every ε > 0, d, y_0 and input.
    It is an equality for σ = identity, d = 1, W > 0.

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField.random(10, rng=0)
    >>> norm = lg.jacobian_norm(field, "euler", step=0.01, n_steps=100)
    >>> bool(norm <= lg.bounds.euler(field, step=0.01, n_steps=100))
    True
    """
    return majorant(field, "euler", step, n_steps)


@proved(
    "E", "‖∂(y_N, p_N)/∂(y_0, p_0)‖ ≤ the norm of the majorant's N-th power", (second_order, finite_slope),
    log=log_majorant, block="phase",
)  # fmt: skip
@proved("E", f"{NORM} ≤ s_N, the scheme's majorant", (any_scheme, finite_slope), log=log_majorant)
@needs_field
def majorant(
    field: Field, scheme: str | Scheme, step: ArrayLike, n_steps: int, *, block: Block = "position"
) -> Float:
    """Theorem E: s_N of the majorant recursion, a bound on ‖∂y_N/∂y_0‖₂ for any scheme.

    (s, u) = (1, 0); for every stage of every step s ← s + |a_s| ε u, then u ← u + |b_s| ελ s.

    Parameters
    ----------
    field : Field
        Its ``lipschitz`` is λ.
    scheme : str or Scheme
        Drift weights a_s, kick weights b_s.
    step : float or array_like
        ε > 0.
    n_steps : int
        N ≥ 0.
    block : {"position", "phase"}
        Bound ∂y_N/∂y_0 or ∂(y_N, p_N)/∂(y_0, p_0), the latter by the norm of the 2 × 2 matrix that bounds
        its blocks.

    Returns
    -------
    ndarray, shape step.shape
        inf where the bound is too large for float64.

    Raises
    ------
    ValueError
        If the field has no finite λ, or for a step or a length that makes no sense.

    Notes
    -----
    The bound holds for every y_0, ẏ_0 and input. For leapfrog it is C_N(1 + ε²λ/2), for Euler (1 + ελ)^N.

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField.random(10, rng=0)
    >>> norm = lg.jacobian_norm(field, "yoshida4", step=0.01, n_steps=100)
    >>> bool(norm <= lg.bounds.majorant(field, "yoshida4", step=0.01, n_steps=100))
    True
    """
    values, exponent, slack = _majorant(field, scheme, step, n_steps, block)
    with np.errstate(over="ignore"):
        return upward(np.ldexp(values * (1.0 + slack), exponent))


@proved("C", "every singular value of ∂y_N/∂y_0 ≥ 2 − s_N", (any_scheme, finite_slope), side="lower")
@needs_field
def no_vanishing(field: Field, step: ArrayLike, n_steps: int, scheme: str | Scheme = "leapfrog") -> Float:
    """Theorem C: every singular value of ∂y_N/∂y_0 is at least 2 − C_N(1 + a/2), a = ε²λ.

    Parameters, errors and shapes are those of `majorant`. The result is 1 at most, and vacuous where it is
    negative; with ε = c/N it is positive for every N as long as c√λ < arccosh 2 ≈ 1.317.

    Notes
    -----
    From ‖∂y_N/∂y_0 − I‖ ≤ C_N − 1. For another scheme C_N is replaced by its `majorant` s_N, which exceeds
    ‖∂y_N/∂y_0 − I‖ + 1 likewise: every drift adds to s at least what it adds to the deviation.

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField.random(10, rng=0)
    >>> smallest = lg.singular_values(field, "leapfrog", 0.01, 50, k=1, smallest=True).unscaled()
    >>> bool(lg.bounds.no_vanishing(field, 0.01, 50) <= smallest[0])
    True
    """
    return np.nextafter(2.0 - majorant(field, scheme, step, n_steps), -np.inf)[()]


@proved(
    "I", "1/s ≤ every singular value of ∂(y_N, p_N)/∂(y_0, p_0), s the bound E on its norm; the largest ≥ 1",
    (is_splitting, finite_slope), side="lower", block="phase",
)  # fmt: skip
@needs_field
def phase_no_vanishing(
    field: Field,
    step: ArrayLike,
    n_steps: int,
    scheme: str | Scheme = "leapfrog",
    *,
    block: Block = "phase",
) -> Float:
    """Theorem I: every singular value of ∂(y_N, p_N)/∂(y_0, p_0) is at least 1/s > 0, for every N.

    s is the bound of theorem E on the norm of that matrix. Parameters, errors and shapes are those of
    `majorant`.

    Parameters
    ----------
    block : {"phase"}
        Of the whole state only. Its position block ∂y_N/∂y_0 can be zero: σ = identity, W = −1 has
        ∂y_N/∂y_0 = cos(Nθ), 1 − cos θ = ε²/2, which vanishes for Nθ = π/2.

    Raises
    ------
    ValueError
        Also for a scheme that is no composition of drifts and kicks, and for another block.

    Notes
    -----
    The inverse of a step is a splitting with the same weights in modulus, so that its norm has the same
    bound. Since the determinant is 1 the largest singular value is at least 1. Where DF is symmetric the map
    is symplectic, and singular values come in pairs σ, 1/σ.

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField.random(10, rng=0)
    >>> values = lg.singular_values(field, "leapfrog", 0.05, 100, block="phase").unscaled()
    >>> bool(0.0 < lg.bounds.phase_no_vanishing(field, 0.05, 100) <= values[-1])
    True
    >>> lg.bounds.no_vanishing(field, 0.05, 100) < 0.0
    np.True_
    """
    if block != "phase":
        raise ValueError(f"block {block!r} is not known here; it is 'phase', since ∂y_N/∂y_0 can vanish.")
    if get_scheme(scheme).form != "splitting":
        name = get_scheme(scheme).name
        raise ValueError(f"theorem I is about compositions of drifts and kicks, not {name!r}.")
    return np.nextafter(1.0 / majorant(field, scheme, step, n_steps, block="phase"), -np.inf)[()]


def _majorant(
    field: Field, scheme: str | Scheme, step: ArrayLike, n_steps: int, block: str
) -> tuple[Float, NDArray[np.int64], float]:
    """Mantissa, exponent and slack of the majorant, shape step.shape each."""
    record, steps, n_steps = get_scheme(scheme), as_steps(step), as_count(n_steps, "n_steps")
    lipschitz = finite_lipschitz(field)
    if block not in ("position", "phase"):
        raise ValueError(f"block {block!r} is not known; it is 'position' or 'phase'.")
    if lipschitz == 0.0 and block == "position":  # y never enters: J = I, also where Nε leaves float64
        return np.ones_like(steps), np.zeros(steps.shape, np.int64), 0.0
    return _of_slope(lipschitz, record, steps, n_steps, field.dim, block)


def bounds_by_slope(
    lipschitz: Float, scheme: Scheme, step: Float, n_steps: int, dim: int
) -> tuple[Float, Float]:
    """`log_majorant` and `no_vanishing` of many fields of one dimension, which differ in λ, all positive.

    Parameters
    ----------
    lipschitz : ndarray
        λ of each field, of a shape that is broadcast to that of `step`.
    scheme : Scheme
    step : ndarray
    n_steps, dim : int
    """
    values, exponent, slack = _of_slope(lipschitz, scheme, step, n_steps, dim, "position")
    with np.errstate(over="ignore"):
        bound = upward(np.ldexp(values * (1.0 + slack), exponent))
    return log_upward(log_scaled(values, exponent), slack), np.nextafter(2.0 - bound, -np.inf)


def _of_slope(
    lipschitz: float | Float, record: Scheme, steps: Float, n_steps: int, dim: int, block: str
) -> tuple[Float, NDArray[np.int64], float]:
    """`_majorant` by λ > 0 instead of a field."""
    with np.errstate(over="ignore", invalid="ignore"):
        power, unit = majorant_power(record, steps, lipschitz, n_steps)
        values, exponent = power.values[..., 0, 0], power.exponent
        if block == "phase":
            values = _norm(power.values)
            if unit.any():
                own, places = _norm_with_unit(power, unit)
                values, exponent = np.where(unit != 0, own, values), np.where(unit != 0, places, exponent)
    # Only a step of about 1e150 leaves float64 within one step; inf is a bound all the same.
    values = np.where(np.isnan(values), np.inf, values)
    return values, exponent, relative_slack(record, n_steps, dim)


def _norm_with_unit(power: ScaledMatrix, unit: NDArray[np.int64]) -> tuple[Float, NDArray[np.int64]]:
    """‖M^N‖₂ of what `majorant_power` gives, as mantissa and exponent."""
    none = np.zeros_like(unit)
    given = np.stack([np.stack([none, -unit], axis=-1), np.stack([unit, none], axis=-1)], axis=-2)
    place = np.where(power.values > 0.0, given + np.frexp(power.values)[1], ZERO)
    top = place.max(axis=(-2, -1))
    with np.errstate(under="ignore"):
        moved = np.ldexp(power.values, bits_of_shift(given - top[..., None, None]))
    return _norm(moved), power.exponent + top


def _norm(matrices: Float) -> Float:
    """Spectral norm of (*batch, 2, 2) as the mean of σ₁ + σ₂ and σ₁ − σ₂."""
    (a, b), (c, d) = np.moveaxis(matrices, (-2, -1), (0, 1))
    # σ₁ + σ₂ = √(‖M‖_F² + 2 det) and σ₁ − σ₂ = √(‖M‖_F² − 2 det).
    return (np.hypot(a + d, b - c) + np.hypot(a - d, b + c)) / 2.0
