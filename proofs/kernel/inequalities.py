"""The rule for inequalities: a claim is a combination of its premises, with multipliers that are given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef

from proofs import decide
from proofs.decision import Decision
from proofs.search import consistent
from proofs.symbols import ActivationSymbol

from .comparing import Data, Premises
from .formulas import All, AtMost, Below, Equal, Formula, Implies
from .norms import Family, act, norm, singular


def _gap(formula: Formula) -> Any:
    """What a relation says is not negative (or zero, for an equality)."""
    if isinstance(formula, AtMost):
        return formula.large - formula.small
    if isinstance(formula, Equal):
        return formula.left - formula.right
    raise ValueError(f"a linear combination is taken of relations, not of: {formula}")


def _commuting(values: Sequence[Any]) -> list[Any]:
    """The same with every norm, singular value and unknown function replaced by a symbol of its sign."""
    values = [sp.sympify(value) for value in values]
    kinds = (norm, singular, sp.Integral, sp.Abs, ActivationSymbol, AppliedUndef)
    atoms = sorted(set().union(*(value.atoms(*kinds) for value in values)), key=str)
    names = {atom: sp.Symbol(f"‖{k}‖", **_sign_of(atom)) for k, atom in enumerate(atoms)}
    return [value.xreplace(names) for value in values]


def _sign_of(atom: Any) -> dict[str, bool]:
    if atom.is_positive:
        return {"positive": True}
    inner = atom.function if isinstance(atom, sp.Integral) else atom
    return {"nonnegative": True} if inner.is_nonnegative else {"real": True}


def _scalar(value: Any) -> Any:
    """The same for matrices and vectors of one entry."""
    blocks = [a for a in value.atoms(Family, act, sp.Symbol) if not a.is_commutative]
    blocks.sort(key=lambda block: (-sp.count_ops(block), str(block)))
    return value.xreplace({block: sp.Symbol(f"[{block}]", real=True) for block in blocks})


def linear(claim: Any, premises: Premises, data: Data) -> Decision:
    """The claim is the sum of the premises times multipliers, plus a slack that is visibly not negative.

    Multipliers of inequalities are visibly not negative, those of equalities may be anything, and none is
    zero. A strict premise x < s, where s is a symbol, is used by writing s as x plus a positive symbol.
    Premises that no point satisfies are refused.
    """
    if isinstance(claim, Implies):
        premises, claim = [*premises, claim.given_that], claim.then
    if isinstance(claim, All):
        return _each(claim, premises, data)
    atoms = [part for premise in premises for part in premise.parts()]
    strict = [atom for atom in atoms if isinstance(atom, Below)]
    atoms = [atom for atom in atoms if not isinstance(atom, Below)]
    multipliers = [sp.sympify(m) for m in data.get("multipliers", [1] * len(atoms))]
    if len(multipliers) != len(atoms):
        return decide.undecided(None, f"{len(atoms)} premises need as many multipliers")
    if any(m == 0 for m in multipliers):
        return decide.undecided(None, "a premise is not used")
    if isinstance(claim, Below):
        return decide.undecided(None, "a strict inequality is no combination of the premises")
    exact = isinstance(claim, Equal)
    if exact and (data.get("slack", 0) != 0 or any(isinstance(atom, AtMost) for atom in atoms)):
        return decide.undecided(None, "an equality follows from equalities only")
    count = len(atoms)
    plain = _commuting([_gap(claim), data.get("slack", 0), *map(_gap, atoms), *multipliers])
    for number, order in enumerate(strict):
        if not order.large.is_Symbol or order.small.has(order.large):
            return decide.undecided(str(order), "a strict premise must bound a symbol from below")
        larger = order.small + sp.Symbol(f"gap{number}", positive=True)
        if all(decide.certificate(m) is not None for m in plain[2 + count :]):
            return decide.undecided(str(order), "a premise is not used")
        plain = [value.subs(order.large, larger) for value in plain]
    goal, slack, gaps, multipliers = plain[0], plain[1], plain[2 : 2 + count], plain[2 + count :]
    signs = [m for m, atom in zip(multipliers, atoms, strict=True) if isinstance(atom, AtMost)]
    rest = decide.normal_form(goal - slack - sum(m * g for m, g in zip(multipliers, gaps, strict=True)))
    unsigned = [s for s in [*signs, slack] if decide.certificate(s) is None]
    if rest == 0 and not unsigned:
        gaps = [_scalar(gap) for gap in gaps]
        inequalities = [gap for gap, atom in zip(gaps, atoms, strict=True) if isinstance(atom, AtMost)]
        equalities = [gap for gap, atom in zip(gaps, atoms, strict=True) if not isinstance(atom, AtMost)]
        if consistent(inequalities, equalities) is False:
            return decide.undecided(gaps, "no point was found that satisfies all premises")
        return decide.proved(rest, "claim minus multiples of the premises reduces to the literal 0")
    return _point_against(rest)


def _each(claim: All, premises: Premises, data: Data) -> Decision:
    """Each member of a conjunction from the premises, with multipliers and slack of its own."""
    found = {}
    for name, member in claim.members:
        chosen = data[name]
        atoms = [part for premise in premises for part in premise.parts()]
        own = [atoms[k] for k in chosen["use"]]
        found[name] = linear(member, own, {k: v for k, v in chosen.items() if k != "use"})
    used = {k for name, _ in claim.members for k in data[name]["use"]}
    if used != set(range(len([part for premise in premises for part in premise.parts()]))):
        return decide.undecided(None, "a premise is not used")
    return decide.all_of(found)


def _point_against(rest: Any) -> Decision:
    """What is said where claim and combination differ: the step is wrong as written, at a point."""
    found = decide.identity(rest, 0)
    if found.refuted:
        note = "the step as written is wrong: claim minus multiples of the premises is not 0"
        return decide.refuted(rest, note, found.counterexample)
    return decide.undecided(rest, "claim minus multiples of the premises is not the literal 0")
