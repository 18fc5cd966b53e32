"""What the falsifier attacks: for each bound, what it bounds and the bound itself, as logarithms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from integrators.schemes.table import SCHEMES
from sensitivity import bounds
from sensitivity.bounds.aposteriori import log_aposteriori

from .cases import MOST_PHASE, Case, draw, draw_fast_start

__all__ = ["TARGETS", "Target"]

Float = NDArray[np.float64]
# How far the scheme of order 8 may be from the flow, relative, over a resolved run.
FLOW_ERROR = 1e-9


def _always(case: Case) -> bool:
    return True


def _scheme(name: str) -> Callable[[Case], bool]:
    return lambda case: case.scheme == name


def _second_order(case: Case) -> bool:
    return SCHEMES[case.scheme].form != "first_order"


@dataclass(frozen=True)
class Target:
    """A bound under attack.

    Attributes
    ----------
    theorem : str
    logs : callable
        Case → (log of the norm, log of the bound), each of shape (steps,); NaN says nothing. For a lower
        bound both are those of the reciprocals, so that the first must never be above the second.
    applies : callable
        Whether the bound is about this case.
    draw : callable
        How random cases for it are drawn.
    """

    theorem: str
    logs: Callable[[Case], tuple[Float, Float]]
    applies: Callable[[Case], bool] = _always
    draw: Callable[[np.random.Generator], Case] = draw


def _smallest(case: Case) -> tuple[Float, Float]:
    """Theorem C: 1/(smallest singular value) against 1/bound; NaN where the bound is not positive."""
    lower = bounds.no_vanishing(case.field, case.steps, case.n_steps, case.scheme)
    # The smallest singular value of a computed matrix errs by some units of the largest, a step.
    smallest, largest = case.singular_values
    noise = 4.0 * np.finfo(np.float64).eps * len(case.W) * largest
    with np.errstate(all="ignore"):
        return -np.log(smallest + noise), np.where(lower > 0.0, -np.log(lower), np.nan)


def _flow(case: Case) -> tuple[Float, Float]:
    """Theorem 3.2, for the steps at which its hypothesis holds and the flow is resolved."""
    T = case.n_steps * case.steps
    fine = case.steps * np.abs(case.W[0, 0]) * (case.p0[0] + T) <= MOST_PHASE * (1.0 + 1e-9)
    usable = (case.p0[0] > T) & fine
    if not usable.any():
        return np.full(case.steps.size, np.nan), np.full(case.steps.size, np.nan)
    steps = np.where(usable, case.steps, case.steps[usable][0])
    bound = bounds.theorem_3_2(case.field, steps, case.n_steps, case.y0, case.p0)
    return np.where(usable, case.log_norm() - FLOW_ERROR, np.nan), np.log(bound)


def _phase(case: Case) -> tuple[Float, Float]:
    bound = bounds.log_majorant(case.field, case.scheme, case.steps, case.n_steps, block="phase")
    return case.log_norm("phase"), bound


TARGETS: Mapping[str, Target] = {
    "chebyshev": Target(
        "B",
        lambda c: (c.log_norm(), bounds.log_chebyshev(c.field, c.steps, c.n_steps)),
        _scheme("leapfrog"),
    ),
    "cosh": Target(
        "B",
        lambda c: (c.log_norm(), bounds.log_cosh(c.field, c.steps, c.n_steps)),
        _scheme("leapfrog"),
    ),
    "no_vanishing": Target("C", _smallest),
    "euler": Target(
        "D",
        lambda c: (c.log_norm(), bounds.log_euler(c.field, c.steps, c.n_steps)),
        _scheme("euler"),
    ),
    "majorant": Target(
        "E", lambda c: (c.log_norm(), bounds.log_majorant(c.field, c.scheme, c.steps, c.n_steps))
    ),
    "majorant_phase": Target("E", _phase, _second_order),
    "aposteriori": Target("F", lambda c: (c.log_norm(), log_aposteriori(*c.arguments))),
    "theorem_3_2": Target("3.2", _flow, draw=draw_fast_start),
}
"""Name → target."""
