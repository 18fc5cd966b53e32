"""What all rules share: when two formulas are the same, and what is said when they are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from proofs import decide
from proofs.decision import Decision

from .formulas import All, AtMost, Equal, Formula, Implies, Known
from .norms import same

Premises = Sequence[Any]
Data = Mapping[str, Any]

SMOOTH = Known("σ is differentiable at the pre-activations met")
"""What a formula with σ' in it needs."""


def mismatch(claim: Formula, found: object) -> Decision:
    """The decision on a claim that is not what its premises give."""
    note = "the premises give something else"
    return decide.refuted(str(found), note, {"claimed": str(claim), "found": str(found)})


def alike(one: Formula, other: Formula) -> bool:
    """Whether two formulas have the same sides, up to expansion."""
    if isinstance(one, All) and isinstance(other, All):
        pairs = list(zip(one.parts(), other.parts(), strict=False))
        return len(one.parts()) == len(other.parts()) and all(alike(a, b) for a, b in pairs)
    if isinstance(one, Implies) and isinstance(other, Implies):
        return alike(one.given_that, other.given_that) and alike(one.then, other.then)
    if isinstance(one, AtMost) and type(one) is type(other) and isinstance(other, AtMost):
        return same(one.small, other.small) and same(one.large, other.large)
    if isinstance(one, Equal) and isinstance(other, Equal):
        return same(one.left, other.left) and same(one.right, other.right)
    return one == other
