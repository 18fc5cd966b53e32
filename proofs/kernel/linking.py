"""From decided steps to a verdict: every premise known, the statement concluded, nothing left over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sympy as sp

from proofs.decision import Decision

from .formulas import Formula, Not

if TYPE_CHECKING:
    from proofs.proposition import Proposition, Step

_AGAINST = ("counterexample", "figure")
"""Roles of steps that show that the statement fails."""


def premises_by_name(proposition: Proposition) -> dict[str, tuple[str, ...]]:
    """Step → names of the hypotheses and of the earlier steps that its premises are; "?" for an unknown
    one.
    """
    known = [(name, formula) for name, formula in proposition.hypotheses.items()]
    found = {}
    for step in proposition.steps:
        found[step.name] = step.depends_on + tuple(_name(premise, known) for premise in step.premises)
        known.append((step.name, step.claim))
    return found


def _name(premise: object, known: Sequence[tuple[str, object]]) -> str:
    return next((name for name, formula in known if isinstance(formula, Formula) and formula == premise), "?")


def problems(proposition: Proposition, decisions: Mapping[str, Decision]) -> tuple[str, ...]:
    """What keeps the statement from following from the steps; empty if it follows."""
    if not proposition.linked:
        return ()
    found = _unstated(proposition)
    used_by = premises_by_name(proposition)
    for name, used in used_by.items():
        if "?" in used:
            found.append(f"step {name}: a premise is neither a hypothesis nor the claim of an earlier step")
    last = _concluding(proposition)
    if last is None:
        return (*found, "no step concludes with the statement")
    if not decisions[last.name].proved:
        found.append(f"the concluding step {last.name} is not proved")
    needed, waiting = set(), [last.name]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += used_by.get(name, ())
    found += [f"step {step.name} is used by nothing" for step in proposition.steps if step.name not in needed]
    found += [
        f"hypothesis {name} is used by nothing" for name in proposition.hypotheses if name not in needed
    ]
    found += _fixed_symbols_changed(proposition)
    for step in proposition.steps:
        if step.condition and step.condition not in map(str, proposition.hypotheses.values()):
            found.append(f"step {step.name}: its condition is no hypothesis")
    return tuple(found)


def _fixed_symbols_changed(proposition: Proposition) -> list[str]:
    """Steps that put a value in for a symbol that a hypothesis fixes.

    A free symbol may have any value that its assumptions allow, unless a hypothesis speaks of it. What
    hypotheses say of an index 0, 1, 2, … they say of every value.
    """
    fixed = {
        symbol
        for hypothesis in proposition.hypotheses.values()
        if isinstance(hypothesis, Formula)
        for symbol in hypothesis.symbols()
        if not (symbol.is_integer and symbol.is_nonnegative and not symbol.is_positive)
    }
    return [
        f"step {step.name} changes {symbol}, of which a hypothesis speaks"
        for step in proposition.steps
        for symbol in step.numbers.get("values", ())
        if isinstance(symbol, sp.Symbol) and symbol in fixed
    ]


def _unstated(proposition: Proposition) -> list[str]:
    """Parts of a proposition that are sentences where formulas are needed."""
    parts: dict[str, Any] = {"the statement": proposition.statement}
    parts |= {f"hypothesis {name}": formula for name, formula in proposition.hypotheses.items()}
    parts |= {f"the claim of step {step.name}": step.claim for step in proposition.steps}
    return [f"{name} is no formula" for name, part in parts.items() if not isinstance(part, Formula)]


def _concluding(proposition: Proposition) -> Step | None:
    """The step whose claim is the statement, or, where it is refuted, contains that the statement fails."""
    against = any(str(step.role) in _AGAINST for step in proposition.steps)
    for step in reversed(proposition.steps):
        if not isinstance(step.claim, Formula):
            continue
        if not against and step.claim == proposition.statement:
            return step
        if against and str(step.role) in _AGAINST and any(
            isinstance(part, Not) and part.formula == proposition.statement for part in step.claim.parts()
        ):  # fmt: skip
            return step
    return None
