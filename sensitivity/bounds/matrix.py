"""The scalar majorant of a scheme: powers of one non-negative 2 × 2 matrix, in log-safe arithmetic.

With s ≥ ‖∂y/∂y_0‖, u ≥ ‖∂p/∂y_0‖ and λ ≥ sup ‖DF‖, a drift and a kick give

    s ← s + |a_s| ε u,        u ← u + |b_s| ε λ s,

so the norms of the blocks of a step's Jacobian are at most the entries of a matrix M(ε) ≥ 0, and those of
N steps at most the entries of M^N. Products and sums of non-negative numbers never cancel: every entry of
M^N comes out with a relative error proportional to N, whatever its size.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from integrators.engine.program import FIRST_ORDER, Program
from integrators.scaled_matrix import ScaledMatrix
from integrators.schemes.table import Scheme

from .rounding import EPS

__all__ = ["relative_slack", "step_matrix"]

Float = NDArray[np.float64]


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
    return ScaledMatrix.of(np.stack([y, p], axis=-2))


def relative_slack(scheme: Scheme, n_steps: int, dim: int) -> float:
    """By how much to enlarge a majorant so that round-off on either side cannot put it below the norm.

    Counted in units of 2⁻⁵² a step. A stage of the majorant rounds at most 4 times and a squaring twice, by
    half a unit; the recurrence that it bounds rounds twice in a stage and, for d > 1, in products of d terms,
    and ‖W‖₂ is itself known to some units times d; N steps multiply all this by N at most. Where theorem B
    holds with equality, norms were seen to err by up to 0.6 N units. Zero for N = 0: both sides are 1.
    """
    return n_steps * (3 * scheme.stages + 4 + 4 * (dim - 1)) * EPS
