"""Which bound holds when: a table of theorems, each with the hypotheses to check and the function to call."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.fields.field import Field, as_field
from integrators.run.inputs import Inputs
from integrators.schemes.table import Scheme, get_scheme
from integrators.validation import as_count, as_steps, as_vector
from sensitivity.recurrences.arguments import needs_field

from .aposteriori import aposteriori, log_aposteriori
from .bound import Bound, Of, Side
from .flow import theorem_3_2
from .growth import (
    chebyshev,
    cosh,
    euler,
    finite_lipschitz,
    log_chebyshev,
    log_cosh,
    log_euler,
    log_majorant,
    majorant,
    no_vanishing,
)

__all__ = ["Bound", "applicable", "inapplicable"]

Float = NDArray[np.float64]
ALL: tuple[Of, ...] = ("recursion", "trajectory", "flow")


@dataclass(frozen=True)
class _Case:
    """The arguments of `applicable`, checked."""

    field: Field
    scheme: Scheme
    step: Float
    n_steps: int
    y0: ArrayLike | None
    p0: ArrayLike | None
    inputs: Inputs


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


def _met(case: _Case) -> str:
    return "λ_k = ‖DF‖ at every kick of this trajectory"


def _fast_start(case: _Case) -> str:
    theorem_3_2(case.field, case.step, case.n_steps, case.y0, case.p0)
    return "d = 1, |σ| ≤ 1, ẏ(0) > T"


_Evaluation = Callable[[_Case], Float]


def _stepped(function: Callable[[Field, Float, int], Float]) -> _Evaluation:
    return lambda case: function(case.field, case.step, case.n_steps)


def _schemed(function: Callable[[Field, Scheme, Float, int], Float]) -> _Evaluation:
    return lambda case: function(case.field, case.scheme, case.step, case.n_steps)


def _run(function: Callable[..., Float]) -> _Evaluation:
    return lambda c: function(c.field, c.scheme, c.step, c.n_steps, c.y0, c.p0, c.inputs)


@dataclass(frozen=True)
class _Theorem:
    """A row of the table: what it says, when it holds, and how it and its logarithm are evaluated."""

    name: str
    theorem: str
    statement: str
    hypotheses: tuple[_Hypothesis, ...]
    value: _Evaluation
    log: _Evaluation | None = None
    side: Side = "upper"
    of: Of = "recursion"

    def bound(self, case: _Case, hypotheses: tuple[str, ...]) -> Bound:
        """Evaluate it; a logarithm that the table does not give follows from the value."""
        value = self.value(case)
        log_value = _log(value, self.side) if self.log is None else self.log(case)
        return Bound(
            self.name, self.theorem, value, log_value, self.statement, self.side, self.of, hypotheses
        )


def _log(value: Float, side: Side) -> Float:
    """Logarithm of a bound, rounded to its own side; −inf where it is not positive."""
    with np.errstate(divide="ignore"):
        logarithm = np.log(np.maximum(value, 0.0))
    return np.nextafter(logarithm, math.inf if side == "upper" else -math.inf)[()]


_NORM = "‖∂y_N/∂y_0‖"
_TABLE = (
    _Theorem("chebyshev", "B", f"{_NORM} ≤ C_N(1 + ε²λ/2)", (_scheme("leapfrog"), _slope),
             _stepped(chebyshev), _stepped(log_chebyshev)),
    _Theorem("cosh", "B", f"{_NORM} ≤ cosh(Nε√λ)", (_scheme("leapfrog"), _slope),
             _stepped(cosh), _stepped(log_cosh)),
    _Theorem("euler", "D", f"{_NORM} ≤ (1 + ελ)^N", (_scheme("euler"), _slope),
             _stepped(euler), _stepped(log_euler)),
    _Theorem("majorant", "E", f"{_NORM} ≤ s_N, the scheme's majorant", (_any_scheme, _slope),
             _schemed(majorant), _schemed(log_majorant)),
    _Theorem("aposteriori", "F", f"{_NORM} ≤ the majorant with the slopes λ_k met", (_any_scheme, _met),
             _run(aposteriori), _run(log_aposteriori), of="trajectory"),
    _Theorem("no_vanishing", "C", "every singular value of ∂y_N/∂y_0 ≥ 2 − s_N", (_any_scheme, _slope),
             lambda c: no_vanishing(c.field, c.step, c.n_steps, c.scheme), side="lower"),
    _Theorem("theorem_3_2", "3.2", "|∂y(T)/∂y(0)| ≤ (T + ẏ_0)/ẏ_0 + |σ_0| (T + ẏ_0)/(ẏ_0 − T), T = Nε",
             (_fast_start,),
             lambda c: theorem_3_2(c.field, c.step, c.n_steps, c.y0, c.p0), of="flow"),
)  # fmt: skip


@needs_field
def applicable(
    field: Field,
    scheme: str | Scheme,
    step: ArrayLike,
    n_steps: int,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
    inputs: Inputs = None,
    *,
    of: Collection[Of] = ALL,
) -> list[Bound]:
    """The bounds that hold for this case, each with the hypotheses that were checked.

    Parameters not listed are those of `jacobian`.

    Parameters
    ----------
    of : collection of {"recursion", "trajectory", "flow"}
        Kinds to list. A bound of the trajectory (theorem F) runs the recursion once; a bound of the flow is
        the recursion's only up to the error of its discretisation.

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField.random(2, rng=0)
    >>> [bound.name for bound in lg.bounds.applicable(field, "leapfrog", 0.1, 20)]
    ['chebyshev', 'cosh', 'majorant', 'aposteriori', 'no_vanishing']
    """
    kinds = of if isinstance(of, Collection) and not isinstance(of, (str, bytes)) else (of,)
    for kind in kinds:
        if kind not in ALL:
            raise ValueError(f"of holds {kind!r}; it must be a collection of {', '.join(map(repr, ALL))}.")
    case = _case(field, scheme, step, n_steps, y0, p0, inputs)
    return [
        row.bound(case, outcome)
        for row, outcome in _checked(case)
        if row.of in kinds and not isinstance(outcome, ValueError)
    ]


@needs_field
def inapplicable(
    field: Field,
    scheme: str | Scheme,
    step: ArrayLike,
    n_steps: int,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
) -> dict[str, str]:
    """The bounds that do not hold for a case, each with the hypothesis that fails.

    Parameters not listed are those of `jacobian`.

    Returns
    -------
    dict
        Name of a bound → the hypothesis that fails, in words.

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField.random(2, rng=0)
    >>> sorted(lg.bounds.inapplicable(field, "leapfrog", 0.1, 20))
    ['euler', 'theorem_3_2']
    """
    case = _case(field, scheme, step, n_steps, y0, p0, None)
    return {row.name: str(outcome) for row, outcome in _checked(case) if isinstance(outcome, ValueError)}


def _case(
    field: Field,
    scheme: str | Scheme,
    step: ArrayLike,
    n_steps: int,
    y0: ArrayLike | None,
    p0: ArrayLike | None,
    inputs: Inputs,
) -> _Case:
    """Arguments that make no sense are errors here; hypotheses that fail are not."""
    for name, value in (("y0", y0), ("p0", p0)):
        as_vector(value, name, as_field(field).dim)
    return _Case(field, get_scheme(scheme), as_steps(step), as_count(n_steps, "n_steps"), y0, p0, inputs)


def _checked(case: _Case) -> Iterator[tuple[_Theorem, tuple[str, ...] | ValueError]]:
    for row in _TABLE:
        try:
            yield row, tuple(check(case) for check in row.hypotheses)
        except ValueError as error:
            yield row, error
