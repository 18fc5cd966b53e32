"""The scalar majorant of a scheme: powers of one non-negative 2 × 2 matrix, in log-safe arithmetic.

With s ≥ ‖∂y/∂y_0‖, u ≥ ‖∂p/∂y_0‖ and λ ≥ sup ‖DF‖, a drift and a kick give

    s ← s + |a_s| ε u,        u ← u + |b_s| ε λ s,

so the norms of the blocks of a step's Jacobian are at most the entries of a matrix M(ε) ≥ 0, and those of
N steps at most the entries of M^N. Products and sums of non-negative numbers never cancel: every entry of
M^N comes out with a relative error proportional to N, whatever its size. Powers of two are counted beside the
entries, so that none of them falls below float64 and makes the bound too small.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from integrators.engine.column_scale import ZERO, bits_of_shift
from integrators.engine.program import FIRST_ORDER, Program
from integrators.scaled_matrix import ScaledMatrix, by_squaring, matrix_power
from integrators.schemes.table import Scheme

from .rounding import EPS

__all__ = ["majorant_power", "positive_power", "relative_slack", "row_sum", "step_matrix"]

Float = NDArray[np.float64]
Counts = NDArray[np.int64]

# A positive entry that falls so far below the largest of its column is kept so large: bounds stay bounds.
LEAST = 2.0**-1000
# The sizes of the blocks of M^N are at most the square of this apart if the entries of M are at most this.
LARGEST = 2.0**200


def step_matrix(scheme: Scheme, step: Float, lipschitz: float | Float) -> ScaledMatrix:
    """M(ε), the majorant of one step: rows and columns are (y, p).

    Parameters
    ----------
    scheme : Scheme
    step : ndarray
        ε > 0; its shape leads that of the result.
    lipschitz : float or ndarray
        λ ≥ sup ‖DF‖; an array must have the shape of `step` or one that is broadcast to it.

    Notes
    -----
    A first-order scheme has no p: its kicks multiply s by 1 + |b_s| ελ, and the p row is zero. The explicit
    form takes drift and kick from the old state.
    """
    return ScaledMatrix.of(_one_step(scheme, step, lipschitz))


def _one_step(scheme: Scheme, step: Float, lipschitz: float | Float) -> Float:
    """The entries of `step_matrix`."""
    y = np.stack([np.ones_like(step), np.zeros_like(step)], axis=-1)
    p = np.stack([np.zeros_like(step), np.ones_like(step)], axis=-1)
    column, slope = step[..., None], np.asarray(lipschitz, dtype=np.float64)[..., None]
    program = Program.of(scheme, 1)
    if program.form == FIRST_ORDER:
        p = np.zeros_like(p)
    for stage, weight, *_ in program:
        size = abs(weight) * column
        if stage == "drift":
            y = y + size * p
        elif stage == "kick":
            p = p + size * slope * y
        elif stage == "increment":
            y = y + size * slope * y
        else:
            y, p = y + size * p, p + size * slope * y
    return np.stack([y, p], axis=-2)


def majorant_power(
    scheme: Scheme, step: Float, lipschitz: float | Float, n_steps: int
) -> tuple[ScaledMatrix, Counts]:
    """M(ε)^N with p measured in a unit of its own, and the power of two of that unit.

    Parameters
    ----------
    scheme, step, lipschitz
        As for `step_matrix`.
    n_steps : int

    Returns
    -------
    power : ScaledMatrix
        Its entries (y, p) and (p, y) are those of M^N times 2^unit and 2^−unit.
    unit : ndarray of int, shape step.shape

    Notes
    -----
    ‖∂y/∂p‖ is about ε and ‖∂p/∂y‖ about ελ. Beside an ε of 1e150 a product of two numbers near ελ = 1e-150
    would be zero, and the bound without it too small. In the unit 1/√λ of p both are ε√λ.
    """
    matrix = _one_step(scheme, step, lipschitz)
    unit = np.zeros(step.shape, np.int64)
    apart = ~_moderate(matrix)
    if apart.any():
        (_, by_p), (by_y, _) = np.moveaxis(np.frexp(matrix)[1], (-2, -1), (0, 1))
        moves, kicks = matrix[..., 0, 1] > 0.0, matrix[..., 1, 0] > 0.0
        found = np.where(moves & kicks, (by_y - by_p) // 2, np.where(moves, -by_p, 0))
        unit = np.where(apart, found, 0).astype(np.int64)
        matrix[..., 0, 1] = np.ldexp(matrix[..., 0, 1], unit)
        matrix[..., 1, 0] = np.ldexp(matrix[..., 1, 0], -unit)
    return matrix_power(ScaledMatrix.of(matrix), n_steps), unit


def _moderate(matrix: Float) -> NDArray[np.bool_]:
    """Of which members no product of two positive entries of M or of its powers falls below float64.

    It is asked of each by itself, so that every member has the bits that it has alone.
    """
    within = (matrix <= LARGEST) & ((matrix >= 1.0 / LARGEST) | (matrix == 0.0))
    return np.asarray(within.all(axis=(-2, -1)))


def positive_power(matrix: Float, n_steps: int) -> tuple[Float, Counts]:
    """M^N for entries ≥ 0 as ``values · 2^exponents[..., None, :]``, with an exponent for each column.

    Entries that fall far below the largest of their column are rounded up, never down to zero.

    Parameters
    ----------
    matrix : ndarray, shape (*batch, n, n)
    n_steps : int
    """
    scaled, apart = matrix_power(ScaledMatrix.of(matrix), n_steps), ~_moderate(matrix)
    exponents = np.broadcast_to(scaled.exponent[..., None], matrix.shape[:-1])
    if not apart.any():
        return scaled.values, exponents
    values, own = _counted_power(matrix, n_steps)
    return np.where(apart[..., None, None], values, scaled.values), np.where(apart[..., None], own, exponents)


def _counted_power(matrix: Float, n_steps: int) -> tuple[Float, Counts]:
    """`positive_power` with an exponent of its own for each column all the way."""
    one = np.zeros(matrix.shape[:-1], np.int64)
    neutral = np.broadcast_to(np.eye(matrix.shape[-1]), matrix.shape), one
    return by_squaring(neutral, _near_one(matrix, one), n_steps, lambda power, base: _product(base, power))


def _product(left: tuple[Float, Counts], right: tuple[Float, Counts]) -> tuple[Float, Counts]:
    """The product of two matrices with an exponent for each column."""
    values, top = _rows_scaled(right[0], left[1])
    some = (left[0] > 0.0).astype(np.float64) @ (values > 0.0).astype(np.float64) > 0.0
    with np.errstate(under="ignore"):
        product = left[0] @ values
    return _near_one(np.where(some, np.maximum(product, LEAST), product), right[1] + top)


def _rows_scaled(columns: Float, rows: Counts) -> tuple[Float, Counts]:
    """Columns whose rows have exponents besides, as values and one exponent for each column."""
    place = np.where(columns > 0.0, rows[..., :, None] + np.frexp(columns)[1], ZERO)
    top = place.max(axis=-2)
    top = np.where(top == ZERO, 0, top)
    with np.errstate(under="ignore"):
        moved = np.ldexp(columns, bits_of_shift(rows[..., :, None] - top[..., None, :]))
    return np.where(columns > 0.0, np.maximum(moved, LEAST), columns), top


def _near_one(values: Float, exponents: Counts) -> tuple[Float, Counts]:
    """The same with the size of every column in its exponent."""
    largest = values.max(axis=-2)
    shift = np.frexp(np.where(np.isfinite(largest), largest, 0.0))[1]
    with np.errstate(under="ignore"):
        near = np.ldexp(values, -shift[..., None, :])
    return np.where(values > 0.0, np.maximum(near, LEAST), values), exponents + shift


def row_sum(values: Float, exponents: Counts, weights: Float) -> tuple[Float, Counts]:
    """Σ_j weights_j · values_j · 2^exponents_j for numbers ≥ 0, as a number and its power of two.

    Parameters
    ----------
    values : ndarray, shape (*batch, n)
    exponents : ndarray of int, shape (*batch, n)
    weights : ndarray, shape (n,)
    """
    near, own = np.frexp(weights)
    columns, top = _rows_scaled((values * near)[..., None], exponents + own)
    return columns[..., 0].sum(axis=-1), top[..., 0]


def relative_slack(scheme: Scheme, n_steps: int, dim: int) -> float:
    """By how much to enlarge a majorant so that round-off on either side cannot put it below the norm.

    Counted in units of 2⁻⁵² a step. A stage of the majorant rounds at most 4 times and a squaring twice, by
    half a unit; the recurrence that it bounds rounds twice in a stage and, for d > 1, in products of d terms,
    and ‖W‖₂ is itself known to some units times d; N steps multiply all this by N at most. Where theorem B
    holds with equality, norms were seen to err by up to 0.6 N units. Zero for N = 0: both sides are 1.
    """
    return n_steps * (3 * scheme.stages + 4 + 4 * (dim - 1)) * EPS
