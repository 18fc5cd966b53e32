"""The table of bounds: what each one says, when it holds and how it is evaluated, written above its function.

A bound is a function and the row above it::

    @proved("B", "‖∂y_N/∂y_0‖ ≤ C_N(1 + ε²λ/2)", (scheme_is("leapfrog"), finite_slope), log=log_chebyshev)
    @needs_field
    def chebyshev(field, step, n_steps): ...

`applicable`, `inapplicable`, ``leapgrad bound``, the falsifier, the certificates and the studies read the
table, so that a new bound needs nothing else. The arguments of the function are found by their names among
those of `BoundCase`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.fields.field import Field, as_field
from integrators.run.inputs import Inputs
from integrators.schemes.table import Scheme, get_scheme
from integrators.validation import as_count, as_steps, as_vector
from sensitivity.recurrences.arguments import needs_field

from .bound import Block, Bound, Of, Side

__all__ = [
    "TABLE",
    "BoundCase",
    "Theorem",
    "any_scheme",
    "applicable",
    "finite_lipschitz",
    "finite_slope",
    "inapplicable",
    "is_splitting",
    "log_upper_bound",
    "lower_bound",
    "proved",
    "scheme_is",
    "second_order",
    "theorem_of",
]

Float = NDArray[np.float64]
F = TypeVar("F", bound=Callable[..., Any])
ALL: tuple[Of, ...] = ("recursion", "trajectory", "flow")
KINDS: tuple[Of, ...] = (*ALL, "product")
BLOCKS: tuple[Block, ...] = ("position", "phase")


@dataclass(frozen=True)
class BoundCase:
    """What a bound is asked about, checked: the arguments of `applicable`."""

    field: Field
    scheme: Scheme
    step: Float
    n_steps: int
    y0: ArrayLike | None = None
    p0: ArrayLike | None = None
    inputs: Inputs = None


_ARGUMENTS = {field.name for field in fields(BoundCase)}
Hypothesis = Callable[[BoundCase], str]
"""Returns what was checked, or raises ValueError with the reason why it does not hold."""
Evaluation = Callable[[BoundCase], Float]


@dataclass(frozen=True)
class Theorem:
    """A row of the table.

    Attributes
    ----------
    name : str
        Of the function.
    function : callable
        The function itself.
    theorem : str
        "B", "D", …; the module of `proofs` that proves it is called theorem_b, theorem_d, ….
    statement : str
        The formula.
    hypotheses : tuple of callable
        See `Hypothesis`.
    value, log : callable
        `BoundCase` → the bound, and its natural logarithm; without `log` it follows from the value.
    side : {"upper", "lower"}
        Of the norm, or of the smallest singular value.
    of : {"recursion", "trajectory", "product", "flow"}
        See `Bound`.
    block : {"position", "phase"}
        Of ∂y_N/∂y_0 or of ∂(y_N, p_N)/∂(y_0, p_0).
    implied_by : str
        Another bound that is never weaker where both hold, if there is one.
    """

    name: str
    function: Callable[..., Float]
    theorem: str
    statement: str
    hypotheses: tuple[Hypothesis, ...]
    value: Evaluation
    log: Evaluation | None = None
    side: Side = "upper"
    of: Of = "recursion"
    block: Block = "position"
    implied_by: str = ""

    def checked(self, case: BoundCase) -> tuple[str, ...] | ValueError:
        """What was checked, or the hypothesis that fails."""
        try:
            return tuple(check(case) for check in self.hypotheses)
        except ValueError as error:
            return error

    def log_value(self, case: BoundCase) -> Float:
        """Logarithm of the bound, rounded to its own side; −inf where it is not positive."""
        return _log(self.value(case), self.side) if self.log is None else self.log(case)

    def bound(self, case: BoundCase, hypotheses: tuple[str, ...]) -> Bound:
        """The bound with its value, and what was checked."""
        return Bound(
            self.name, self.theorem, self.value(case), self.log_value(case), self.statement, self.side,
            self.of, hypotheses,
        )  # fmt: skip


TABLE: list[Theorem] = []
"""Every bound, in the order in which they are shown."""


def theorem_of(
    function: Callable[..., Float],
    theorem: str,
    statement: str,
    hypotheses: tuple[Hypothesis, ...],
    *,
    log: Callable[..., Float] | None = None,
    block: Block = "position",
    **details: Any,
) -> Theorem:
    """The row of a function that evaluates a bound.

    Parameters
    ----------
    function : callable
        Takes some of the arguments that `BoundCase` names, and ``block`` if `block` is "phase".
    theorem, statement, hypotheses, block, **details
        As for `Theorem`.
    log : callable, optional
        The natural logarithm of the bound, a function like it.

    Returns
    -------
    Theorem
    """
    options = {} if block == "position" else {"block": block}
    value, log_value = _evaluation(function, options), log and _evaluation(log, options)
    name: str = getattr(function, "__name__", theorem)
    return Theorem(name, function, theorem, statement, hypotheses, value, log_value, block=block, **details)


def proved(
    theorem: str, statement: str, hypotheses: tuple[Hypothesis, ...], **details: Any
) -> Callable[[F], F]:
    """Decorator that puts a function with its row into the table; parameters are those of `theorem_of`."""

    def put(function: F) -> F:
        TABLE.append(theorem_of(function, theorem, statement, hypotheses, **details))
        # Upper bounds of the recursion come first, then lower ones, then those of the flow.
        TABLE.sort(key=lambda row: (row.of == "flow", row.side == "lower"))
        return function

    return put


def _evaluation(function: Callable[..., Float], options: dict[str, Any]) -> Evaluation:
    names = [name for name in inspect.signature(function).parameters if name in _ARGUMENTS]
    return lambda case: function(**{name: getattr(case, name) for name in names}, **options)


def _log(value: Float, side: Side) -> Float:
    with np.errstate(divide="ignore"):
        logarithm = np.log(np.maximum(value, 0.0))
    return np.nextafter(logarithm, math.inf if side == "upper" else -math.inf)[()]


# ------------------------------------------------------------------------------------------- hypotheses


def finite_lipschitz(field: Field) -> float:
    """λ ≥ sup ‖DF‖₂, or a ValueError that says how to give it."""
    lipschitz = as_field(field).lipschitz
    if lipschitz is None:
        raise ValueError(
            f"field {field.name!r} has no bound on ‖DF‖; give one with Field(..., lipschitz=sup‖DF‖), or "
            "take bounds.aposteriori, which needs none."
        )
    if not (math.isfinite(lipschitz) and lipschitz >= 0.0):
        raise ValueError(f"lipschitz of {field.name!r} is {lipschitz}; it must be finite and ≥ 0.")
    return float(lipschitz)


def finite_slope(case: BoundCase) -> str:
    """The field has a finite λ ≥ sup ‖DF‖₂."""
    return f"sup‖DF‖ ≤ {finite_lipschitz(case.field):.6g}"


def any_scheme(case: BoundCase) -> str:
    """Nothing is asked of the scheme."""
    return f"scheme = {case.scheme.name}"


def scheme_is(name: str) -> Hypothesis:
    """The scheme is the one of that name."""

    def check(case: BoundCase) -> str:
        if case.scheme.name != name:
            raise ValueError(f"it is about the scheme {name!r}, not {case.scheme.name!r}.")
        return any_scheme(case)

    return check


def second_order(case: BoundCase) -> str:
    """The scheme solves ÿ = F, so that the state is (y, p)."""
    if case.scheme.form == "first_order":
        raise ValueError(f"it is about the state (y, p), which {case.scheme.name!r} does not have.")
    return any_scheme(case)


def is_splitting(case: BoundCase) -> str:
    """The scheme is a composition of drifts and kicks, whose steps can be undone."""
    if case.scheme.form != "splitting":
        raise ValueError(f"it is about compositions of drifts and kicks, not {case.scheme.name!r}.")
    return any_scheme(case)


# ---------------------------------------------------------------------------------------------- questions


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
    block: Block = "position",
) -> list[Bound]:
    """The bounds that hold for this case, each with the hypotheses that were checked.

    Parameters not listed are those of `jacobian`.

    Parameters
    ----------
    of : collection of {"recursion", "trajectory", "product", "flow"}
        Kinds to list, all but "product" unless told otherwise. A bound of the trajectory (theorem F) runs the
        recursion once; a product (theorems H, K) runs it with the Jacobian of every step and takes N singular
        values; a bound of the flow is the recursion's only up to the error of its discretisation.
    block : {"position", "phase"}
        Bounds of ∂y_N/∂y_0, or of ∂(y_N, p_N)/∂(y_0, p_0).

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField.random(2, rng=0)
    >>> [bound.name for bound in lg.bounds.applicable(field, "leapfrog", 0.1, 20)]
    ['chebyshev', 'cosh', 'majorant', 'aposteriori', 'no_vanishing']
    """
    kinds = of if isinstance(of, Collection) and not isinstance(of, (str, bytes)) else (of,)
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"of holds {kind!r}; it must be a collection of {', '.join(map(repr, KINDS))}.")
    if block not in BLOCKS:
        raise ValueError(f"block {block!r} is not known; it is 'position' or 'phase'.")
    case = _case(field, scheme, step, n_steps, y0, p0, inputs)
    rows = [row for row in TABLE if row.of in kinds and row.block == block]
    outcomes = [(row, row.checked(case)) for row in rows]
    return [row.bound(case, found) for row, found in outcomes if not isinstance(found, ValueError)]


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
    outcomes = {row.name: row.checked(case) for row in TABLE if row.block == "position"}
    return {name: str(found) for name, found in outcomes.items() if isinstance(found, ValueError)}


@needs_field
def log_upper_bound(
    field: Field, scheme: str | Scheme, step: ArrayLike, n_steps: int, *, block: Block = "position"
) -> Float:
    """Natural logarithm of the least proved bound on the norm of the recursion's Jacobian; NaN if none holds.

    It holds for every initial value and input. Parameters are those of `majorant`.

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField.random(2, rng=0)
    >>> case = (field, "leapfrog", 0.1, 20)
    >>> lg.bounds.log_upper_bound(*case) == lg.bounds.log_majorant(*case)
    np.True_
    """
    case = _case(field, scheme, step, n_steps, None, None, None)
    return _best(case, "upper", block, Theorem.log_value, np.fmin)


@needs_field
def lower_bound(field: Field, scheme: str | Scheme, step: ArrayLike, n_steps: int) -> Float:
    """The greatest proved lower bound on every singular value of ∂y_N/∂y_0; NaN where none holds.

    It holds for every initial value and input. Parameters are those of `majorant`.

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField.random(2, rng=0)
    >>> lg.bounds.lower_bound(field, "leapfrog", 0.1, 20) == lg.bounds.no_vanishing(field, 0.1, 20)
    np.True_
    """
    case = _case(field, scheme, step, n_steps, None, None, None)
    return _best(case, "lower", "position", lambda row, case: row.value(case), np.fmax)


def _best(
    case: BoundCase,
    side: Side,
    block: Block,
    evaluate: Callable[[Theorem, BoundCase], Float],
    better: Callable[[Float, Float], Float],
) -> Float:
    """The best of the bounds that hold for every run."""
    if block not in BLOCKS:
        raise ValueError(f"block {block!r} is not known; it is 'position' or 'phase'.")
    found = np.full(case.step.shape, np.nan)
    for row in TABLE:
        of_all_runs = (row.of, row.block, row.side, row.implied_by) == ("recursion", block, side, "")
        if of_all_runs and not isinstance(row.checked(case), ValueError):
            found = better(found, evaluate(row, case))
    return found[()]


def _case(
    field: Field,
    scheme: str | Scheme,
    step: ArrayLike,
    n_steps: int,
    y0: ArrayLike | None,
    p0: ArrayLike | None,
    inputs: Inputs,
) -> BoundCase:
    """Arguments that make no sense are errors here; hypotheses that fail are not."""
    for name, value in (("y0", y0), ("p0", p0)):
        as_vector(value, name, as_field(field).dim)
    return BoundCase(field, get_scheme(scheme), as_steps(step), as_count(n_steps, "n_steps"), y0, p0, inputs)
