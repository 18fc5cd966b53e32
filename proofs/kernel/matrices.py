"""Rules about matrices of any dimension, their norms, and the programs that they come from."""

from __future__ import annotations

from typing import Any

import sympy as sp

from proofs import decide
from proofs.blocks import drift, flows, kick, product
from proofs.decision import Decision
from proofs.symbols import dsigma

from .comparing import SMOOTH, Data, Premises, alike, mismatch
from .formulas import All, AtMost, Equal
from .norms import D, bound, norm, operations, same, single_operations, singular, tangent, terms


def norm_of_sum(claim: Any, premises: Premises, data: Data) -> Decision:
    """‖X‖ ≤ Σ |c| ∏ ‖factors‖, from the identity X = Σ c ∏ factors."""
    if len(premises) != 1 or not isinstance(premises[0], Equal) or not isinstance(claim, AtMost):
        return decide.undecided(None, "one matrix identity is needed, and a bound on a norm")
    identity = premises[0]
    if claim.small != norm(identity.left):
        return decide.undecided(claim.small, "the norm is not that of the left side of the identity")
    largest = bound(identity.right)
    if same(claim.large, largest):
        return decide.proved(largest, "terms bounded one by one")
    return decide.refuted(largest, "the terms give another bound", {"claimed": claim.large, "found": largest})


def diagonal_norm(claim: Any, premises: Premises, data: Data) -> Decision:
    """‖D_i‖ ≤ L, from |σ'| ≤ L."""
    if len(premises) != 1 or not isinstance(premises[0], AtMost) or not isinstance(claim, AtMost):
        return decide.undecided(None, "a bound on |σ'| is needed")
    small = premises[0].small
    if not (isinstance(small, sp.Abs) and isinstance(small.args[0], dsigma)):
        return decide.undecided(small, "the premise does not bound |σ'|")
    (argument,) = small.args[0].args
    if not (argument.is_Symbol and argument.is_real) or premises[0].large.has(argument):
        return decide.undecided(small, "the bound must hold for every argument of σ'")
    if not (isinstance(claim.small, norm) and isinstance(claim.small.args[0], D)):
        return decide.undecided(claim.small, "the norm is not that of a matrix of slopes")
    if same(claim.large, premises[0].large):
        return decide.proved(claim.large, "the entries of D are values of σ'")
    return decide.refuted(claim.large, "the premise gives another bound", {"found": premises[0].large})


def program(claim: Any, premises: Premises, data: Data) -> Decision:
    """The claim is an operation of the shipped scheme: of the first step, of any later one, or of every step.

    With the index i = 0, 1, 2, … it is looked for in the first step at i = 0, and in a later one at i + 1.
    With weights in place of a scheme, it is a single operation from the state i to the state i + 1.
    """
    index = data["index"]
    if "weights" in data:
        first, later = [Equal(*pair) for pair in single_operations(data["weights"], index)], []
    else:
        first, later = ([Equal(*pair) for pair in step] for step in operations(data["scheme"], index))
    for wanted in claim.parts():
        anywhere = any(alike(one, wanted) for one in (*first, *later))
        at_0, beyond = wanted.at({index: 0}), wanted.at({index: index + 1})
        throughout = any(alike(one, at_0) for one in first) and any(alike(one, beyond) for one in later)
        if premises or not (anywhere or throughout):
            return mismatch(wanted, "; ".join(map(str, (*first, *later))))
    return decide.proved([str(one) for one in (*first, *later)], "operations of the program")


def differentiated(claim: Any, premises: Premises, data: Data) -> Decision:
    """∂/∂y_0 of an equation between states: sums, constant factors, chain rule for σ(Wy + v)."""
    if len(premises) != 2 or not isinstance(premises[0], Equal) or not isinstance(claim, Equal):
        return decide.undecided(None, "an equation between states is needed, and that σ is differentiable")
    if premises[1] != SMOOTH:
        return decide.undecided(None, "σ is not known to be differentiable")
    source = data.get("source", 0)
    left, right = tangent(premises[0].left, source), tangent(premises[0].right, source)
    return decide.identity(sp.expand((claim.left - claim.right) - (left - right)))


def multiplied(claim: Any, premises: Premises, data: Data) -> Decision:
    """An equation between matrices, multiplied from the left and from the right."""
    if len(premises) != 1 or not all(isinstance(one, Equal) for one in (claim, *premises)):
        return decide.undecided(None, "one equation is needed")
    before, after = data["left"], data["right"]
    sides = ((claim.left, premises[0].left), (claim.right, premises[0].right))
    return decide.identities(
        {str(number): (one, sp.expand(before * other * after)) for number, (one, other) in enumerate(sides)}
    )


def weyl(claim: Any, premises: Premises, data: Data) -> Decision:
    """Every singular value s of X has 1 − ‖E‖ ≤ s, where E = X − I, and s ≤ ‖X‖."""
    if not isinstance(claim, AtMost):
        return decide.undecided(None, "an inequality is expected")
    values = claim.small.atoms(singular) | claim.large.atoms(singular)
    if len(values) != 1:
        return decide.undecided(None, "one singular value is expected")
    (value,) = values
    (X,) = value.args
    if not premises:
        fits = claim.small == value and same(claim.large, norm(X))
        return decide.proved(norm(X), "upper end of the interval") if fits else mismatch(claim, norm(X))
    (deviation,) = premises
    if not (isinstance(deviation, Equal) and same(deviation.right, X - 1)):
        return decide.undecided(str(deviation), "E = X − I is expected as the premise")
    low = 1 - norm(deviation.left)
    fits = claim.large == value and same(claim.small, low)
    return decide.proved(low, "lower end of the interval") if fits else mismatch(claim, low)


def orthogonal_norm(claim: Any, premises: Premises, data: Data) -> Decision:
    """‖W‖ ≤ 1, from WᵀW = I."""
    if len(premises) != 1 or not isinstance(premises[0], Equal) or not isinstance(claim, AtMost):
        return decide.undecided(None, "WᵀW = I is needed")
    _, factors = next(iter(terms(premises[0].left)))
    if len(factors) == 2 and factors == data["pair"] and premises[0].right == 1:
        if claim.small == norm(factors[1]) and claim.large == 1:
            return decide.proved(1, "|Wv|² = vᵀWᵀWv = |v|²")
    return mismatch(claim, premises[0])


def powers(claim: Any, premises: Premises, data: Data) -> Decision:
    """The first entries g(0), g(1), … of the powers of the step matrix of a scheme, d = 1, constant slope.

    g(i + 2) = tr M g(i + 1) − det M g(i), by Cayley and Hamilton.
    """
    slope, g, index = data["slope"], data["sequence"], data["index"]
    stage = {"drift": drift, "kick": lambda weight: kick(weight, slope)}
    M = product([stage[kind](weight) for kind, weight in flows(data["scheme"])])
    found = All.of(
        Equal(g(0), 1),
        Equal(g(1), M[0, 0]),
        Equal(g(index + 2), sp.expand(M.trace()) * g(index + 1) - sp.expand(M.det()) * g(index)),
    )
    residual = decide.identity(M * M - M.trace() * M + M.det() * sp.eye(2))
    if premises or not alike(claim, found):
        return mismatch(claim, found)
    return residual


def recurrence(claim: Any, premises: Premises, data: Data) -> Decision:
    """g(i) = f(i) for every i: f has the recursion and both starting values of g."""
    index = data["index"]
    parts = [part for premise in premises for part in premise.parts()]
    if not (isinstance(claim, Equal) and len(parts) >= 3 and all(isinstance(one, Equal) for one in parts)):
        return decide.undecided(None, "two starting values and a recursion are needed")
    g, equations = claim.left.func, parts[3:]
    replaced = [(one.left, one.right) for one in equations]  # type: ignore[attr-defined]

    def put(value: Any) -> Any:
        known = value.replace(g, lambda at: claim.right.subs(index, at))
        return known.subs(replaced)

    checked = {f"equation {n}": (put(one.left), put(one.right)) for n, one in enumerate(parts[:3])}  # type: ignore[attr-defined]
    wanted = (g(0), g(1), g(index + 2))
    if tuple(one.left for one in parts[:3]) != wanted:  # type: ignore[attr-defined]
        return mismatch(claim, "; ".join(map(str, parts)))
    return decide.identities(checked)
