"""What the falsifier attacks: every row of the table of bounds, as logarithms of a norm and its bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.schemes.table import get_scheme
from sensitivity.analysis.jacobians import log_jacobian_norm
from sensitivity.bounds.products import log_step_product, log_weighted_product
from sensitivity.bounds.segments import log_segment_product
from sensitivity.bounds.table import TABLE, BoundCase, Theorem
from sensitivity.recurrences.registry import MODELS, make

from .cases import MOST_PHASE, Trial, draw, draw_fast_start
from .cell_cases import CellTrial, draw_cell

__all__ = ["CELL_TARGETS", "TARGETS", "Case", "Target", "target_of"]

Float = NDArray[np.float64]
Case = Trial | CellTrial
# How far the scheme of order 8 may be from the flow, relative, over a resolved run.
FLOW_ERROR = 1e-9
# Steps of a segment, so that short runs have several.
SHORT = 3


def _always(case: Any) -> bool:
    return True


@dataclass(frozen=True)
class Target:
    """A bound under attack.

    Attributes
    ----------
    theorem : str
    logs : callable
        Case → (log of the norm, log of the bound), each of shape (members,); NaN says nothing. For a lower
        bound both are those of the reciprocals, so that the first must never be above the second.
    applies : callable
        Whether the bound is about this case.
    draw : callable
        How random cases for it are drawn.
    share : float
        How many random cases it gets beside others, of those that are asked for.
    starts : int
        The most random cases that a search starts from.
    """

    theorem: str
    logs: Callable[[Any], tuple[Float, Float]]
    applies: Callable[[Any], bool] = _always
    draw: Callable[[np.random.Generator], Any] = draw
    share: float = 0.2
    starts: int = 1000


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


class _CellTargets(Mapping[str, Target]):
    """Name → target of the bound of every kind of cell that has one, and of theorems H and K."""

    def __getitem__(self, name: str) -> Target:
        return _cell_targets()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_cell_targets())

    def __len__(self) -> int:
        return len(_cell_targets())


@cache
def _cell_targets() -> dict[str, Target]:
    details: Any = {"draw": draw_cell, "share": 1.0, "starts": 1}
    found = {
        f"cell_{name}": Target("cell", _of_weights, _model_is(name), **details)
        for name in MODELS
        if make(name, 2).kind.bound is not None
    }
    for name, theorem, log_bound in (
        ("step_product", "H", log_step_product),
        ("weighted_product", "H", log_weighted_product),
        ("segment_product", "K", log_segment_product),
        ("short_segments", "K", partial(log_segment_product, length=SHORT)),
    ):
        found[f"cell_{name}"] = Target(theorem, _along(log_bound), **details)
    return found


CELL_TARGETS: Mapping[str, Target] = _CellTargets()
"""Name → target."""


def _model_is(name: str) -> Callable[[CellTrial], bool]:
    return lambda case: case.model == name


def _of_weights(case: CellTrial) -> tuple[Float, Float]:
    return case.log_norm, np.broadcast_to(
        case.cell.log_bound(case.run.step, case.n_steps, case.s0), case.steps.shape
    )


def _along(log_bound: Callable[..., Float]) -> Callable[[CellTrial], tuple[Float, Float]]:
    return lambda case: (case.log_norm, log_bound(case.run))


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
