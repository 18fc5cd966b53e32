"""Which bound holds when: a table of theorems, each with the hypotheses to check and the function to call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.fields import Field
from integrators.schemes import Scheme, get_scheme
from integrators.validation import as_count, as_steps, as_vector

from .flow import theorem_3_2
from .growth import chebyshev, cosh, euler, finite_lipschitz, majorant, no_vanishing

__all__ = ["Bound", "applicable", "inapplicable"]

Float = NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Bound:
    """A bound that holds for a given case.

    Attributes
    ----------
    name : str
        The function of this module that gives it.
    theorem : str
        "B", "D", …
    value : ndarray, shape step.shape
    statement : str
        The formula.
    side : {"upper", "lower"}
        Of the norm ‖∂y_N/∂y_0‖₂, or of its smallest singular value.
    of : {"recursion", "flow"}
        Whether it bounds the map that runs, or only the differential equation behind it.
    hypotheses : tuple of str
        What was checked.
    """

    name: str
    theorem: str
    value: Float
    statement: str
    side: Literal["upper", "lower"]
    of: Literal["recursion", "flow"]
    hypotheses: tuple[str, ...]

    def __repr__(self) -> str:
        shown = f"{self.value:.6g}" if np.ndim(self.value) == 0 else f"{np.size(self.value)} values"
        checked = ", ".join(self.hypotheses)
        return f"<Bound {self.name} (theorem {self.theorem}): {shown} for the {self.of}; {checked}>"


@dataclass(frozen=True)
class _Case:
    """The arguments of `applicable`, checked."""

    field: Field
    scheme: Scheme
    step: Float
    n_steps: int
    y0: ArrayLike | None
    p0: ArrayLike | None


# A hypothesis returns what was checked, or raises ValueError with the reason why it does not hold.
_Hypothesis = Callable[[_Case], str]


def _slope(case: _Case) -> str:
    return f"sup‖DF‖ ≤ {finite_lipschitz(case.field):.6g}"


def _any_scheme(case: _Case) -> str:
    return f"scheme = {case.scheme.name}"


def _scheme(name: str) -> _Hypothesis:
    def check(case: _Case) -> str:
        if case.scheme.name != name:
            raise ValueError(f"it is about the scheme {name!r}, not {case.scheme.name!r}.")
        return _any_scheme(case)

    return check


def _fast_start(case: _Case) -> str:
    theorem_3_2(case.field, case.step, case.n_steps, case.y0, case.p0)
    return "d = 1, |σ| ≤ 1, ẏ(0) > T"


@dataclass(frozen=True)
class _Theorem:
    """A row of the table: what it says, when it holds, and how it is evaluated."""

    name: str
    theorem: str
    statement: str
    hypotheses: tuple[_Hypothesis, ...]
    value: Callable[[_Case], Float]
    side: Literal["upper", "lower"] = "upper"
    of: Literal["recursion", "flow"] = "recursion"


_NORM = "‖∂y_N/∂y_0‖"
_TABLE = (
    _Theorem("chebyshev", "B", f"{_NORM} ≤ C_N(1 + ε²λ/2)", (_scheme("leapfrog"), _slope),
             lambda c: chebyshev(c.field, c.step, c.n_steps)),
    _Theorem("cosh", "B", f"{_NORM} ≤ cosh(Nε√λ)", (_scheme("leapfrog"), _slope),
             lambda c: cosh(c.field, c.step, c.n_steps)),
    _Theorem("euler", "D", f"{_NORM} ≤ (1 + ελ)^N", (_scheme("euler"), _slope),
             lambda c: euler(c.field, c.step, c.n_steps)),
    _Theorem("majorant", "E", f"{_NORM} ≤ s_N, the scheme's majorant", (_any_scheme, _slope),
             lambda c: majorant(c.field, c.scheme, c.step, c.n_steps)),
    _Theorem("no_vanishing", "C", "every singular value of ∂y_N/∂y_0 ≥ 2 − s_N", (_any_scheme, _slope),
             lambda c: no_vanishing(c.field, c.step, c.n_steps, c.scheme), side="lower"),
    _Theorem("theorem_3_2", "3.2", "|∂y(T)/∂y(0)| ≤ (T + ẏ_0)/ẏ_0 + |σ_0| (T + ẏ_0)/(ẏ_0 − T), T = Nε",
             (_fast_start,),
             lambda c: theorem_3_2(c.field, c.step, c.n_steps, c.y0, c.p0), of="flow"),
)  # fmt: skip


def applicable(
    field: Field,
    scheme: str | Scheme,
    step: ArrayLike,
    n_steps: int,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
) -> list[Bound]:
    """The bounds that hold for this case, each with the hypotheses that were checked.

    Parameters are those of `jacobian`. A bound of the flow is listed as such: the recursion has it only up
    to the error of its discretisation.
    """
    case = _case(field, scheme, step, n_steps, y0, p0)
    return [
        Bound(row.name, row.theorem, row.value(case), row.statement, row.side, row.of, outcome)
        for row, outcome in _checked(case)
        if not isinstance(outcome, ValueError)
    ]


def inapplicable(
    field: Field,
    scheme: str | Scheme,
    step: ArrayLike,
    n_steps: int,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
) -> dict[str, str]:
    """The bounds that do not hold for this case: name → the hypothesis that fails."""
    case = _case(field, scheme, step, n_steps, y0, p0)
    return {row.name: str(outcome) for row, outcome in _checked(case) if isinstance(outcome, ValueError)}


def _case(
    field: Field,
    scheme: str | Scheme,
    step: ArrayLike,
    n_steps: int,
    y0: ArrayLike | None,
    p0: ArrayLike | None,
) -> _Case:
    """Arguments that make no sense are errors here; hypotheses that fail are not."""
    for name, value in (("y0", y0), ("p0", p0)):
        as_vector(value, name, field.dim)
    return _Case(field, get_scheme(scheme), as_steps(step), as_count(n_steps, "n_steps"), y0, p0)


def _checked(case: _Case) -> Iterator[tuple[_Theorem, tuple[str, ...] | ValueError]]:
    for row in _TABLE:
        try:
            yield row, tuple(check(case) for check in row.hypotheses)
        except ValueError as error:
            yield row, error
