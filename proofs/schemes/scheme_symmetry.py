"""Symmetric rows satisfy Φ_{−ε} ∘ Φ_ε = id for every pair of exact flows, hence are reversible and of even
order.

A step is a word in the flows exp(c A), exp(c B). Undoing it with the reversed step size and cancelling
neighbours of one kind leaves the empty word exactly when the word is a palindrome.
"""

from __future__ import annotations

import sympy as sp

from integrators.schemes.table import SCHEMES
from proofs import decide
from proofs.blocks import Flow, drift, flows, kick, splittings
from proofs.kernel.formulas import Formula, Known, claim, identities, identity, procedure
from proofs.kernel.mutants import sharper
from proofs.proposition import Decision, Mutant, Proposition, Role, Step, concluded

a, b, g = sp.symbols("a b g", real=True)
SYMMETRIC = tuple(name for name in splittings() if SCHEMES[name].is_symmetric)


def reduce_word(word: list[Flow]) -> list[Flow]:
    """Merge neighbouring flows of one kind and drop those of weight zero, until nothing changes."""
    reduced: list[Flow] = []
    for kind, weight in word:
        if reduced and reduced[-1][0] == kind:
            weight = reduced.pop()[1] + weight
            weight = weight if weight.is_Rational else sp.radsimp(sp.expand(weight))
        if weight != 0:
            reduced.append((kind, weight))
    return reduced


def _backwards(name: str) -> list[Flow]:
    return [(kind, -weight) for kind, weight in flows(name)]


@claim
def one_flow(sign: int = -1) -> Formula:
    """Drift(−a) drift(a) = I and kick(−b) kick(b) = I, with any slope g."""
    return identities(
        {
            "drift": (drift(sign * a) * drift(a), sp.eye(2)),
            "kick": (kick(sign * b, g) * kick(b, g), sp.eye(2)),
        }
    )


@procedure
def cancels(names: tuple[str, ...] = SYMMETRIC) -> Decision:
    """The word of Φ_ε followed by that of Φ_{−ε} reduces to the empty word."""
    decisions = {}
    for name in names:
        left = reduce_word([*flows(name), *_backwards(name)])
        decisions[name] = decide.fact(not left, left or "empty word", "free reduction")
    return decide.all_of(decisions)


@procedure
def flags(expected: tuple[str, ...] = SYMMETRIC) -> Decision:
    """The record's flag is_symmetric is true exactly for the palindromes."""
    decisions = {}
    for name in splittings():
        word = list(flows(name))
        pairs = zip(word, reversed(word), strict=True)
        palindrome = all(x[0] == y[0] and not reduce_word([x, (y[0], -y[1])]) for x, y in pairs)
        decisions[name] = decide.fact(palindrome == (name in expected), palindrome, "palindrome")
    return decide.all_of(decisions)


@procedure
def adjoint_pair(second: str = "symplectic_euler_dk") -> Decision:
    """The two symplectic Euler schemes undo each other with ε → −ε: adjoint, not symmetric."""
    left = reduce_word([*flows("symplectic_euler"), *_backwards(second)])
    alone = reduce_word([*flows("symplectic_euler"), *_backwards("symplectic_euler")])
    return decide.all_of(
        {
            "adjoint": decide.fact(not left, left or "empty word", "free reduction"),
            "not symmetric": decide.fact(bool(alone), alone, "free reduction leaves a word"),
        }
    )


@procedure
def even_order(modulus: int = 2) -> Decision:
    """Every symmetric row claims an even order."""
    return decide.all_of(
        {
            n: decide.fact(SCHEMES[n].order % modulus == 0, SCHEMES[n].order, "claimed order")
            for n in SYMMETRIC
        }
    )


@claim
def even_expansion(offset: int = 1) -> Formula:
    """First error term ε^{p+1}e: Φ_{−ε}Φ_ε = id asks for (1 + (−1)^{p+1}) e = 0; for p = 2m − 1 the factor is
    2.
    """
    m = sp.Symbol("m", integer=True, positive=True)
    p = 2 * m - offset
    return identity(1 + (-1) ** (p + 1), 2)


EXACT = Known("drift and kick are exact flows")
HYPOTHESES = {"flows": EXACT}
STEPS = (
    Step("one_flow", "drift(−a) undoes drift(a), kick(−b) undoes kick(b)", one_flow),
    Step(
        "cancels",
        "Φ_ε followed by Φ_{−ε} reduces to nothing for every symmetric row",
        cancels,
        axioms=("group_flow",),
        premises=(EXACT,),
    ),
    Step("flags", "is_symmetric is true exactly for the palindromes, compared exactly", flags),
    Step(
        "adjoint_pair",
        "the two symplectic Euler rows are adjoint to each other and not symmetric",
        adjoint_pair,
        axioms=("group_flow",),
        premises=(EXACT,),
    ),
    Step(
        "even_expansion",
        "a symmetric scheme has no first error term at an odd order",
        even_expansion,
        premises=(EXACT,),
    ),
    Step("even_order", "every symmetric row claims an even order", even_order, role=Role.REMARK),
)
CONCLUSION = concluded(
    STEPS,
    "Φ_{−ε} ∘ Φ_ε = id holds for exactly the rows flagged symmetric; these are reversible, R Φ R = "
    "Φ⁻¹ with R(y, p) = (y, −p), and their order is even.",
)

PROPOSITION = Proposition(
    name="scheme_symmetry",
    title="Symmetry of the shipped schemes",
    statement=CONCLUSION.claim,
    hypotheses=HYPOTHESES,
    source="ours; coefficients from the references in each row",
    steps=(*STEPS, CONCLUSION),
    mutants=(
        Mutant("same_sign", "drift(a) said to undo drift(a)", {"sign": 1}),
        Mutant("asymmetric_row", "symplectic_euler said to be symmetric", {"names": ("symplectic_euler",)}),
        Mutant(
            "forgotten_flag",
            "leapfrog not flagged",
            {"expected": tuple(n for n in SYMMETRIC if n != "leapfrog")},
        ),
        Mutant(
            "self_adjoint_euler",
            "symplectic_euler said to be its own adjoint",
            {"second": "symplectic_euler"},
        ),
        Mutant("fourfold", "orders said to be divisible by 4", {"modulus": 4}),
        Mutant("even_order_too", "the same said of even p", {"offset": 0}),
        *sharper((CONCLUSION,)),
    ),
)
