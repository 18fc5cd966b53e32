"""Changed propositions, generated: a constant of the conclusion, a hypothesis, a premise, a step, a step or a
hypothesis with every reference to it.

None of them may be proved. A changed formula is always a sharper one, since a weaker one may well be true.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import sympy as sp

from proofs.proposition import Mutant, Proposition, Step, Verdict

from .formulas import All, AtMost, Bounded, Equal, Formula, Implies, Limit, NonnegativeFrom, Not

_FEW = 8
"""Of a conjunction with more members than this, the first, the middle and the last are changed."""
SORTS = ("conclusion", "hypothesis", "premise", "step", "references")


def sharpened(formula: Formula) -> Iterator[Formula]:
    """The formula with one constant changed, in each of its parts: a bound halved, an equation doubled."""
    if isinstance(formula, AtMost):
        if formula.small == 0:
            yield _changed(formula, large=-formula.large if formula.large != 0 else sp.Integer(-1))
        else:
            yield _changed(formula, large=formula.large / 2 if formula.large != 0 else sp.Integer(-1))
    elif isinstance(formula, Equal):
        yield from _equations(formula)
    elif isinstance(formula, Limit):
        yield _changed(formula, value=sp.Integer(17))
    elif isinstance(formula, Bounded):
        yield _changed(formula, expression=1 / formula.expression)
    elif isinstance(formula, NonnegativeFrom):
        yield _changed(formula, function=-formula.function)
    elif isinstance(formula, All):
        size = len(formula.members)
        for place in range(size) if size <= _FEW else (0, size // 2, size - 1):
            name, member = formula.members[place]
            for other in sharpened(member):
                yield _changed(formula, members=_exchanged(formula.members, place, (name, other)))
    elif isinstance(formula, Implies):
        for other in sharpened(formula.then):
            yield _changed(formula, then=other)
    elif isinstance(formula, Not):
        for other in _true(formula.formula):
            yield _changed(formula, formula=other)


def _true(formula: Formula) -> Iterator[Formula]:
    """The formula changed so that it holds, for what is claimed to fail."""
    if isinstance(formula, Equal):
        yield _changed(formula, right=formula.left)
    elif isinstance(formula, AtMost):
        yield _changed(formula, large=formula.small)
    else:
        yield from sharpened(formula)


def _changed(original: Any, **changes: Any) -> Any:
    return replace(original, origin=None, **changes)


def _exchanged(items: tuple[Any, ...], place: int, item: Any) -> tuple[Any, ...]:
    return (*items[:place], item, *items[place + 1 :])


def _equations(formula: Equal) -> Iterator[Equal]:
    right = formula.right
    if isinstance(right, sp.MatrixBase):
        corner = sp.zeros(*right.shape)
        corner[0, 0] = 1
        yield _changed(formula, right=right + corner)
    else:
        yield _changed(formula, right=2 * right if right != 0 else sp.Integer(1))


def without(items: tuple[Any, ...], place: int) -> tuple[Any, ...]:
    """All items but one."""
    return (*items[:place], *items[place + 1 :])


def _renamed(proposition: Proposition, old: Formula, new: Formula) -> Proposition:
    """The proposition with a formula changed wherever it occurs whole, in statement, claims and premises."""

    def put(formula: Any) -> Any:
        if formula == old:
            return new
        if isinstance(formula, All):
            members = tuple((name, put(member)) for name, member in formula.members)
            same = all(a is b for (_, a), (_, b) in zip(members, formula.members, strict=True))
            return formula if same else replace(formula, members=members)
        if isinstance(formula, Not):
            inner = put(formula.formula)
            return formula if inner is formula.formula else replace(formula, formula=inner)
        return formula

    def changed(step: Step) -> Step:
        claim, premises = put(step.claim), tuple(map(put, step.premises))
        same = claim is step.claim and all(a is b for a, b in zip(premises, step.premises, strict=True))
        return step if same else replace(step, claim=claim, premises=premises)

    steps = tuple(map(changed, proposition.steps))
    return replace(proposition, statement=put(proposition.statement), steps=steps, mutants=())


def generated(proposition: Proposition) -> Iterator[tuple[str, str, Proposition]]:
    """Sort, description and proposition of every mutant."""
    bare = replace(proposition, mutants=())
    yield from _conclusions(bare)
    for name in bare.hypotheses:
        kept = {other: formula for other, formula in bare.hypotheses.items() if other != name}
        yield "hypothesis", f"without {name}", replace(bare, hypotheses=kept)
        for other in sharpened(bare.hypotheses[name]):
            changed = _renamed(bare, bare.hypotheses[name], other)
            changed = replace(changed, hypotheses={**bare.hypotheses, name: other})
            yield "premise", f"{name} changed everywhere", changed
    for place, step in enumerate(bare.steps):
        yield "step", f"without {step.name}", replace(bare, steps=without(bare.steps, place))
        for other in _other_premises(step):
            yield "premise", f"{step.name}: premises changed", replace(
                bare, steps=_exchanged(bare.steps, place, other)
            )  # fmt: skip
    yield from _wrong_premises(bare, proposition.mutants)
    yield from _forgotten(bare)


def _forgotten(bare: Proposition) -> Iterator[tuple[str, str, Proposition]]:
    """A step, or a hypothesis, taken away together with every premise that is it."""

    def unused(steps: tuple[Step, ...], formula: Formula) -> tuple[Step, ...]:
        return tuple(
            replace(step, premises=tuple(one for one in step.premises if one != formula))
            if formula in step.premises
            else step
            for step in steps
        )

    for place, step in enumerate(bare.steps):
        steps = unused(without(bare.steps, place), step.claim)  # type: ignore[arg-type]
        yield "references", f"without {step.name} and references to it", replace(bare, steps=steps)
    for name, formula in bare.hypotheses.items():
        kept = {other: one for other, one in bare.hypotheses.items() if other != name}
        steps = unused(bare.steps, formula)  # type: ignore[arg-type]
        yield (
            "references",
            f"without {name} and references to it",
            replace(bare, hypotheses=kept, steps=steps),
        )


def _conclusions(bare: Proposition) -> Iterator[tuple[str, str, Proposition]]:
    """The statement changed alone, and together with the concluding step."""
    against = bare.expected in (Verdict.REFUTED, Verdict.NOT_REPRODUCED)
    for other in (_true if against else sharpened)(bare.statement):  # type: ignore[arg-type]
        yield "conclusion", "statement changed", replace(bare, statement=other)
        yield "conclusion", "statement and conclusion changed", _renamed(bare, bare.statement, other)  # type: ignore[arg-type]


def _other_premises(step: Step) -> Iterator[Step]:
    """The step with one premise taken away, or sharpened."""
    for place, premise in enumerate(step.premises):
        yield replace(step, premises=without(step.premises, place))
        for other in sharpened(premise):
            yield replace(step, premises=_exchanged(step.premises, place, other))


def _wrong_premises(bare: Proposition, listed: tuple[Mutant, ...]) -> Iterator[tuple[str, str, Proposition]]:
    """The claim of a step changed together with every place where it is used, the statement included."""
    for step in bare.steps:
        for mutant in listed:
            other = step.changed(mutant.changes)
            if other is not step:
                description = f"{mutant.name} everywhere"
                yield "premise", description, _renamed(bare, step.claim, other.claim)  # type: ignore[arg-type]
        for other in sharpened(step.claim):  # type: ignore[arg-type]
            yield "premise", f"{step.name} changed everywhere", _renamed(bare, step.claim, other)  # type: ignore[arg-type]


def sharper(steps: Iterable[Step]) -> tuple[Mutant, ...]:
    """A mutant for each step whose claim no function with arguments builds: its first constant changed."""
    found = []
    for step in steps:
        if isinstance(step.claim, Formula) and not step.parameters:
            other = next(sharpened(step.claim), None)
            if other is not None:
                found.append(Mutant(f"wrong_{step.name}", f"{step.name} claims {other}", {step.name: other}))
    return tuple(found)
