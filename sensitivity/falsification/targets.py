"""What the falsifier attacks: every row of the table of bounds, as logarithms of a norm and its bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from integrators.schemes.table import get_scheme
from sensitivity.analysis.jacobians import log_jacobian_norm
from sensitivity.bounds.table import TABLE, BoundCase, Theorem

from .cases import MOST_PHASE, Trial, draw, draw_fast_start

__all__ = ["TARGETS", "Target", "target_of"]

Float = NDArray[np.float64]
# How far the scheme of order 8 may be from the flow, relative, over a resolved run.
FLOW_ERROR = 1e-9


def _always(case: Trial) -> bool:
    return True


@dataclass(frozen=True)
class Target:
    """A bound under attack.

    Attributes
    ----------
    theorem : str
    logs : callable
        Trial → (log of the norm, log of the bound), each of shape (steps,); NaN says nothing. For a lower
        bound both are those of the reciprocals, so that the first must never be above the second.
    applies : callable
        Whether the bound is about this case.
    draw : callable
        How random cases for it are drawn.
    """

    theorem: str
    logs: Callable[[Trial], tuple[Float, Float]]
    applies: Callable[[Trial], bool] = _always
    draw: Callable[[np.random.Generator], Trial] = draw


def target_of(row: Theorem) -> Target:
    """The target that a row of the table of bounds makes; a bound of the flow gets cases of its own."""
    if row.of == "flow":
        return Target(row.theorem, lambda case: _flow(row, case), draw=draw_fast_start)
    logs = _upper if row.side == "upper" else _lower
    return Target(row.theorem, lambda case: logs(row, case), lambda case: _holds(row, case))


class _Targets(Mapping[str, Target]):
    """Name → target of every row of the table; "_phase" is added to the name of one of the phase block."""

    def _rows(self) -> dict[str, Theorem]:
        return {row.name if row.block == "position" else f"{row.name}_{row.block}": row for row in TABLE}

    def __getitem__(self, name: str) -> Target:
        return target_of(self._rows()[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows())

    def __len__(self) -> int:
        return len(TABLE)


TARGETS: Mapping[str, Target] = _Targets()
"""Name → target."""


def _bound_case(case: Trial, steps: Float | None = None) -> BoundCase:
    field, scheme, own, *rest = case.arguments
    return BoundCase(field, get_scheme(scheme), own if steps is None else steps, *rest)


def _holds(row: Theorem, case: Trial) -> bool:
    return not isinstance(row.checked(_bound_case(case)), ValueError)


def _upper(row: Theorem, case: Trial) -> tuple[Float, Float]:
    along = row.of in ("trajectory", "product")
    return case.log_norm(row.block, along), row.log_value(_bound_case(case))


def _lower(row: Theorem, case: Trial) -> tuple[Float, Float]:
    """1/(smallest singular value) against 1/bound; NaN where the bound is not positive."""
    lower = row.value(_bound_case(case))
    # The smallest singular value of a computed matrix errs by some units of the largest, a step.
    smallest, largest = case.singular_values(row.block)
    noise = 8.0 * np.finfo(np.float64).eps * len(case.W) * largest
    with np.errstate(all="ignore"):
        return -np.log(smallest + noise), np.where(lower > 0.0, -np.log(lower), np.nan)


def _flow(row: Theorem, case: Trial) -> tuple[Float, Float]:
    """A bound of the flow, at the steps that start faster than T and resolve the flow."""
    T = case.n_steps * case.steps
    fine = case.steps * np.abs(case.W[0, 0]) * (case.p0[0] + T) <= MOST_PHASE * (1.0 + 1e-9)
    usable = (case.p0[0] > T) & fine
    if not usable.any():
        return np.full(case.steps.size, np.nan), np.full(case.steps.size, np.nan)
    bound = row.value(_bound_case(case, np.where(usable, case.steps, case.steps[usable][0])))
    computed = log_jacobian_norm(*case.arguments, progress=False)  # as far from the flow as the scheme is
    return np.where(usable, computed - FLOW_ERROR, np.nan), np.log(bound)
