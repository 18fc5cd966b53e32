"""Rules about the form of formulas: conjunctions, instances, substitution, induction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy as sp

from proofs import decide
from proofs.decision import Decision

from .comparing import SMOOTH, Data, Premises, alike, mismatch
from .formulas import All, AtMost, Equal, Formula, Implies, Not


def computation(claim: Any, premises: Premises, data: Data) -> Decision:
    """The claim is decided on its own; the premises are the hypotheses that it needs to make sense."""
    if list(premises) != list(claim.needs):
        return decide.undecided(None, "the premises are not the hypotheses that the claim needs")
    if claim.has_slopes and SMOOTH not in premises:
        return decide.undecided(None, "σ' occurs, and σ is not known to be differentiable")
    return claim.decision


def conjunction(claim: Any, premises: Premises, data: Data) -> Decision:
    """Every part of the claim is a part of a premise, and every premise contributes."""
    wanted = claim.parts()
    known = [part for premise in premises for part in premise.parts()]
    missing = _outside(wanted, known)
    idle = _outside(known, wanted)
    if missing or not wanted:
        return mismatch(claim, "; ".join(str(premise) for premise in premises))
    if idle:
        return decide.undecided([str(part) for part in idle], "a premise is not part of the claim")
    against = [part for part in wanted if isinstance(part, Not)]
    example = next((part.example or part.decision.counterexample for part in against), None)
    return decide.proved(
        f"{len(wanted)} parts", "each part of the claim is a premise", claim.example or example
    )


def _outside(parts: Sequence[Formula], whole: Sequence[Formula]) -> list[Formula]:
    """Those parts that are not in the whole; the same object is found without comparing it."""
    there = {id(part) for part in whole}
    return [part for part in parts if id(part) not in there and part not in whole]


def part(claim: Any, premises: Premises, data: Data) -> Decision:
    """The claim is one part of the premise."""
    if len(premises) != 1:
        return decide.undecided(None, "one premise is needed")
    found = [str(one) for one in premises[0].parts()]
    if any(alike(one, claim) for one in premises[0].parts()):
        return decide.proved(str(claim), "a part of the premise")
    return mismatch(claim, found)


def substituted(claim: Any, premises: Premises, data: Data) -> Decision:
    """The first premise with the left sides of the others replaced by their right sides."""
    if not premises or not all(isinstance(premise, Equal) for premise in premises[1:]):
        return decide.undecided(None, "equations to substitute are needed")
    relation, found = premises[0], premises[0]
    for equation in premises[1:]:
        changed = found.at({equation.left: equation.right})  # type: ignore[attr-defined]
        if changed == found:
            return decide.undecided(str(equation), "a premise is not used")
        found = changed
    if type(claim) is not type(relation):
        return decide.undecided(str(found), "substitution gives another kind of formula")
    if isinstance(claim, AtMost) and isinstance(found, AtMost):
        return decide.identities({"left": (claim.small, found.small), "right": (claim.large, found.large)})
    if isinstance(claim, Equal) and isinstance(found, Equal):
        return decide.identities({"left": (claim.left, found.left), "right": (claim.right, found.right)})
    return decide.undecided(str(found), "substitution is for equations and inequalities")


def instance(claim: Any, premises: Premises, data: Data) -> Decision:
    """The premise at particular values of its symbols, which must lie where the symbols range."""
    if len(premises) != 1:
        return decide.undecided(None, "one premise is needed")
    for symbol, value in data["values"].items():
        for kind in ("integer", "real", "nonnegative", "positive"):
            if getattr(symbol, f"is_{kind}") and not getattr(sp.sympify(value), f"is_{kind}"):
                return decide.undecided({symbol: value}, f"{symbol} ranges over {kind} values")
    found = premises[0].at(data["values"]).called(claim.words)
    if alike(found, claim):
        return decide.proved(str(found), "values put in for symbols")
    return mismatch(claim, found)


def for_program(claim: Any, premises: Premises, data: Data) -> Decision:
    """What holds for an operation of any weight, at the weight that a program gives it."""
    if len(premises) != 2 or not isinstance(data["operation"], Equal):
        return decide.undecided(None, "a general statement and the operations of a program are needed")
    general, operations_ = premises
    wanted = data["operation"].at(data["values"])
    if wanted not in operations_.parts():
        return mismatch(wanted, operations_)
    return instance(claim, [general], data)


def induction(claim: Any, premises: Premises, data: Data) -> Decision:
    """P(i) for every i, from P(0) and from P(i) ⇒ P(i + 1)."""
    variable = data["variable"]
    if not (variable.is_integer and variable.is_nonnegative):
        return decide.undecided(variable, "the variable must range over 0, 1, 2, …")
    if len(premises) < 2 or not isinstance(premises[-1], Implies):
        return decide.undecided(None, "a base case and an inductive step are needed")
    start = All.of(*(part for premise in premises[:-1] for part in premise.parts()))
    step = premises[-1]
    if not alike(All.of(*start.parts()), All.of(*claim.at({variable: 0}).parts())):
        return mismatch(claim, start)
    if not alike(All.of(*step.given_that.parts()), All.of(*claim.parts())):
        return mismatch(claim, step)
    if not alike(All.of(*step.then.parts()), All.of(*claim.at({variable: variable + 1}).parts())):
        return mismatch(claim, step)
    return decide.proved(str(claim), "base case and inductive step are premises")
