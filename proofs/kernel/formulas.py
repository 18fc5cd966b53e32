"""What can be claimed: relations between SymPy expressions, their combinations, and facts that are computed.

A formula is plain data. Its text is made from it, and what is decided is decided from it, so that a formula
with another constant is another claim. Free symbols are universally quantified over the values that their
assumptions allow.
"""

from __future__ import annotations

import copyreg
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, wraps
from typing import Any, ClassVar

import sympy as sp
from sympy.core.function import UndefinedFunction

from integrators.values import ByValue
from proofs import decide
from proofs.decision import Decision, Outcome
from proofs.symbols import ddsigma, dsigma

from .notation import is_typesetting, show

_SHOWN = 6
"""So many members of a conjunction are written out; what is decided and compared are all of them."""
Builder = Callable[..., "Formula"]


def _unnamed_function(function: Any) -> tuple[Any, ...]:
    return _function, (function.__name__, function._kwargs)


def _function(name: str, assumptions: Mapping[str, bool]) -> Any:
    return sp.Function(name, **assumptions)


if UndefinedFunction not in copyreg.dispatch_table:
    # SymPy before 1.14 cannot pickle a function without a definition, which is a class without a module.
    copyreg.pickle(UndefinedFunction, _unnamed_function)


def expression(value: object) -> Any:
    """Return a SymPy expression that cannot be changed, or what the value is otherwise."""
    if isinstance(value, sp.MatrixBase):
        return sp.ImmutableMatrix(value)
    return decide.as_expression(value)


@dataclass(frozen=True, eq=False, kw_only=True)
class Formula(ByValue):
    """Common part of all formulas.

    Parameters
    ----------
    words : str
        The same in words, for the reader. Nothing checks them; the expression stands beside them.
    needs : tuple of Formula
        Hypotheses without which the claim does not make sense, such as that σ is differentiable.
    example : mapping, optional
        The object that a step of the role NECESSITY or COUNTEREXAMPLE exhibits.
    origin : tuple, optional
        The function that built the formula, and its arguments. Mutants call it with others.
    about : str
        The name of that function. SymPy may have simplified both sides to 1 = 1: it says of what, and keeps
        such a claim apart from the same one about something else.
    """

    words: str = ""
    needs: tuple[Formula, ...] = ()
    example: Mapping[str, Any] | None = None
    origin: tuple[Builder, dict[str, Any]] | None = None
    about: str = ""

    _no_value: ClassVar[frozenset[str]] = frozenset({"origin", "example"})

    @property
    def text(self) -> str:
        """The formula itself as text, made from its expressions."""
        raise NotImplementedError

    @cached_property
    def _printed(self) -> str:
        """Words and text; made once, since it takes longer than many a decision."""
        return self._made()

    def _made(self) -> str:
        text = self.text
        return f"{self.words}: {text}" if self.words and text else self.words or text

    def __str__(self) -> str:
        return self._made() if is_typesetting() else self._printed

    def decide(self) -> Decision:
        """Decide the formula on its own, without premises."""
        raise NotImplementedError

    @cached_property
    def decision(self) -> Decision:
        """What `decide` returns, computed once."""
        return self.decide()

    @cached_property
    def has_slopes(self) -> bool:
        """Whether σ' occurs in the formula, so that σ must be differentiable."""
        values = [value for value in vars(self).values() if isinstance(value, (sp.Basic, sp.MatrixBase))]
        return any(value.has(dsigma, ddsigma) for value in values)

    def called(self, words: str) -> Any:
        """Return the same formula with other words."""
        return replace(self, words=words)

    def given(self, *needs: Formula) -> Any:
        """Return the same formula with the hypotheses that it needs."""
        return replace(self, needs=needs)

    def parts(self) -> tuple[Any, ...]:
        """The formulas whose conjunction this is; the formula itself if it is no conjunction."""
        return (self,)

    def symbols(self) -> set[Any]:
        """Free symbols of all expressions in the formula."""
        found: set[Any] = set()
        for part in self.parts():
            for value in vars(part).values():
                if isinstance(value, (sp.Basic, sp.MatrixBase)):
                    found |= value.free_symbols
        return found

    def at(self, values: Mapping[Any, Any]) -> Any:
        """Return the formula with values put in for symbols."""
        changed = {
            name: expression(value).subs(values, simultaneous=True)
            for name, value in vars(self).items()
            if isinstance(value, (sp.Basic, sp.MatrixBase))
        }
        return replace(self, **changed, origin=None)


@dataclass(frozen=True, eq=False)
class Equal(Formula):
    """left = right, for numbers, matrices of symbols, or polynomials in blocks that do not commute."""

    left: Any
    right: Any

    def __post_init__(self) -> None:
        for name in ("left", "right"):
            object.__setattr__(self, name, expression(getattr(self, name)))

    @property
    def text(self) -> str:
        if self.about and self.left == self.right:
            return f"both sides simplify to {show(self.left)}"
        return f"{show(self.left)} = {show(self.right)}"

    def decide(self) -> Decision:
        return decide.identity(self.left, self.right)


@dataclass(frozen=True, eq=False)
class AtMost(Formula):
    """small ≤ large."""

    small: Any
    large: Any

    def __post_init__(self) -> None:
        for name in ("small", "large"):
            object.__setattr__(self, name, expression(getattr(self, name)))

    @property
    def text(self) -> str:
        return f"{show(self.small)} ≤ {show(self.large)}"

    def decide(self) -> Decision:
        return decide.at_least_zero(self.large - self.small)


@dataclass(frozen=True, eq=False)
class Below(AtMost):
    """small < large."""

    @property
    def text(self) -> str:
        return f"{show(self.small)} < {show(self.large)}"

    def decide(self) -> Decision:
        gap = sp.cancel(sp.expand(self.large - self.small))
        return decide.fact(gap.is_positive, gap, "sign of the difference")


@dataclass(frozen=True, eq=False)
class Limit(Formula):
    """expression → value as variable → point."""

    expression: Any
    variable: Any
    point: Any
    value: Any

    def __post_init__(self) -> None:
        for name in ("expression", "variable", "point", "value"):
            object.__setattr__(self, name, expression(getattr(self, name)))

    @property
    def text(self) -> str:
        there = f"{show(self.variable)} → {show(self.point)}"
        return f"{show(self.expression)} → {show(self.value)} as {there}"

    def decide(self) -> Decision:
        return decide.limit_is(self.expression, self.variable, self.point, self.value)


@dataclass(frozen=True, eq=False)
class Bounded(Formula):
    """The expression stays below some constant as the variable grows."""

    expression: Any
    variable: Any

    def __post_init__(self) -> None:
        for name in ("expression", "variable"):
            object.__setattr__(self, name, expression(getattr(self, name)))

    @property
    def text(self) -> str:
        return f"{show(self.expression)} is bounded for all {show(self.variable)}"

    def decide(self) -> Decision:
        found = decide.limit_is(self.expression, self.variable, sp.oo, sp.oo)
        if found.proved:
            grows = {str(self.expression): f"tends to ∞ as {self.variable} → ∞"}
            return decide.refuted(found.computed, "the limit is ∞", grows)
        if found.refuted and getattr(found.computed, "is_finite", False):
            return decide.proved(found.computed, "the limit is finite")
        return decide.undecided(found.computed, found.note)


@dataclass(frozen=True, eq=False)
class NonnegativeFrom(Formula):
    """function ≥ 0 for all variable ≥ start; decided by `order` derivatives."""

    function: Any
    variable: Any
    start: Any = sp.Integer(0)
    order: int = 1

    def __post_init__(self) -> None:
        for name in ("function", "variable", "start"):
            object.__setattr__(self, name, expression(getattr(self, name)))

    @property
    def text(self) -> str:
        return f"{show(self.function)} ≥ 0 for {show(self.variable)} ≥ {show(self.start)}"

    def decide(self) -> Decision:
        return decide.nonnegative_from(self.function, self.variable, self.start, self.order)


@dataclass(frozen=True, eq=False)
class All(Formula):
    """Every one of the named formulas."""

    members: Any

    def __post_init__(self) -> None:
        pairs = self.members.items() if isinstance(self.members, Mapping) else self.members
        object.__setattr__(self, "members", tuple((str(name), member) for name, member in pairs))

    @classmethod
    def of(cls, *formulas: Any) -> All:
        """The conjunction of formulas, numbered."""
        return cls(tuple((str(n), member) for n, member in enumerate(formulas, start=1)))

    @property
    def text(self) -> str:
        shown = [str(member) for _, member in self.members[:_SHOWN]]
        more = len(self.members) - _SHOWN
        return "; ".join(shown) + (f"; and {more} more of the kind" if more > 0 else "")

    def decide(self) -> Decision:
        return decide.all_of({name: member.decision for name, member in self.members})

    def parts(self) -> tuple[Any, ...]:
        return tuple(part for _, member in self.members for part in member.parts())

    @cached_property
    def has_slopes(self) -> bool:
        return any(member.has_slopes for _, member in self.members)

    def at(self, values: Mapping[Any, Any]) -> All:
        return replace(self, members=tuple((n, m.at(values)) for n, m in self.members), origin=None)


@dataclass(frozen=True, eq=False)
class Implies(Formula):
    """If all of `given_that` hold, so does `then`."""

    given_that: Formula
    then: Formula

    @property
    def text(self) -> str:
        return f"if {self.given_that}, then {self.then}"

    def decide(self) -> Decision:
        return decide.undecided(None, "an implication is proved by a rule, not on its own")

    def at(self, values: Mapping[Any, Any]) -> Implies:
        return replace(self, given_that=self.given_that.at(values), then=self.then.at(values), origin=None)


@dataclass(frozen=True, eq=False)
class Not(Formula):
    """The formula fails: proved if deciding it finds a counterexample."""

    formula: Formula

    @property
    def text(self) -> str:
        return f"it is false that {self.formula}"

    def decide(self) -> Decision:
        found = self.formula.decision
        if found.outcome is Outcome.UNDECIDED:
            return found
        example = self.example or self.formula.example or found.counterexample
        if found.refuted:
            return decide.proved(found.computed, f"a counterexample was found: {found.note}", example)
        return decide.refuted(found.computed, f"it holds: {found.note}", found.computed)


@dataclass(frozen=True, eq=False)
class Holds(Formula):
    """A fact that a procedure computes from named arguments, such as the order of every row of a table."""

    procedure: Callable[..., Formula]
    arguments: tuple[tuple[str, Any], ...] = ()

    @property
    def text(self) -> str:
        pairs = ", ".join(f"{name} = {_named(value)}" for name, value in self.arguments)
        return f"{self.procedure.__name__}({pairs})"

    def decide(self) -> Decision:
        return self.procedure.__wrapped__(**dict(self.arguments))  # type: ignore[attr-defined]


@dataclass(frozen=True, eq=False)
class Known(Formula):
    """A hypothesis in words, for what is no relation between expressions: σ is differentiable."""

    sentence: str

    @property
    def text(self) -> str:
        return self.sentence

    def decide(self) -> Decision:
        return decide.undecided(None, "a hypothesis in words is assumed, and cannot be proved")


def _named(value: object) -> str:
    if callable(value) and not isinstance(value, sp.Basic):
        return getattr(value, "__name__", type(value).__name__)
    if isinstance(value, tuple):
        return f"({', '.join(_named(item) for item in value)})"
    return show(value)


def stated(statement: object) -> list[object]:
    """The parts of a statement, one for each line: its words, and the members of a conjunction."""
    if not isinstance(statement, All):
        return [statement]
    words = [f"In words: {statement.words}"] if statement.words else []
    return [*words, *(part for _, part in statement.members)]


def claim(builder: Callable[..., Any]) -> Builder:
    """Make a function that returns a formula one whose formulas remember how they were built."""

    @wraps(builder)
    def build(**changes: Any) -> Formula:
        return replace(_marked(builder(**changes), builder.__name__), origin=(build, changes))

    build.builds_formula = True  # type: ignore[attr-defined]
    return build


def _marked(formula: Any, about: str) -> Any:
    """The formula with the name of the function that built it, and so every member of a conjunction."""
    if isinstance(formula, All):
        members = tuple((name, _marked(member, about)) for name, member in formula.members)
        return replace(formula, members=members, about=about)
    return replace(formula, about=about)


def procedure(decider: Callable[..., Decision]) -> Builder:
    """Make a function that returns a decision one that returns the claim that it decides, as a formula."""

    @wraps(decider)
    def build(**changes: Any) -> Formula:
        parameters = inspect.signature(decider).parameters.values()
        arguments = tuple((p.name, changes.get(p.name, p.default)) for p in parameters)
        return Holds(build, arguments, origin=(build, changes))

    build.builds_formula = True  # type: ignore[attr-defined]
    return build


# The same names as the functions of `proofs.decide`; what they return is not decided yet.


def identity(left: Any, right: Any = 0) -> Equal:
    """Claim left = right."""
    if isinstance(left, sp.MatrixBase) and not isinstance(right, sp.MatrixBase):
        right = sp.zeros(*left.shape)
    return Equal(left, right)


def identities(pairs: Mapping[str, tuple[Any, Any]]) -> All:
    """Claim several named identities."""
    return All(tuple((name, identity(left, right)) for name, (left, right) in pairs.items()))


def all_of(formulas: Mapping[str, Formula]) -> All:
    """Claim several named formulas."""
    return All(tuple(formulas.items()))


def at_least_zero(value: Any) -> AtMost:
    """Claim value ≥ 0."""
    return AtMost(0, value)


def limit_is(value: Any, variable: Any, point: Any, limit: Any) -> Limit:
    """Claim a limit, from below or at infinity."""
    return Limit(value, variable, point, limit)


def nonnegative_from(function: Any, variable: Any, start: Any = 0, order: int = 1) -> NonnegativeFrom:
    """Claim function ≥ 0 for all variable ≥ start."""
    return NonnegativeFrom(function, variable, start, order)
