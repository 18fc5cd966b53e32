"""Gated linear recurrences: ∂h_N/∂h_0 is the product of the gates, exactly, and gates below 1 bound it.

LRU, S4D, S6, RG-LRU, minGRU and minLSTM are h' = λ h + u in each unit, where the gate λ and u are functions
of the input alone. A complex λ = a + ib is the matrix ((a, −b), (b, a)), which stretches every vector by |λ|;
a real one has b = 0. The tangent (X, Y) of a unit therefore has the length ∏|λ_k| times that of its start.
"""

from __future__ import annotations

import sympy as sp

from proofs.kernel.formulas import (
    All,
    AtMost,
    Equal,
    Formula,
    Implies,
    all_of,
    at_least_zero,
    claim,
    identities,
    identity,
    nonnegative_from,
)
from proofs.kernel.mutants import sharper
from proofs.majorant import N
from proofs.proposition import Mutant, Proposition, Step
from proofs.theorems.theorem_b import i

X, Y = sp.Function("X", real=True), sp.Function("Y", real=True)
re, im = sp.Function("a", real=True), sp.Function("b", real=True)
gates = sp.Function("g", nonnegative=True)
"""g(i) = |λ_0|² … |λ_{i−1}|²."""
top = sp.Symbol("q", nonnegative=True)
w, c = sp.symbols("w c", real=True)
ONE = sp.Integer(1)


@claim
def derivative(with_state: int = 0) -> Formula:
    """∂h'/∂h = λ where gate and candidate are functions of the input x alone."""
    h, x = sp.symbols("h x", real=True)
    gate, added = sp.Function("lambda_", real=True), sp.Function("u", real=True)
    step = gate(x + with_state * h) * h + added(x)
    return identity(sp.diff(step, h), gate(x))


@claim
def rotation(sign: int = -1) -> Formula:
    """((a, −b), (b, a)) is (a + ib)·, and its transpose times itself is |λ|² I."""
    M = sp.Matrix([[w, sign * c], [c, w]])
    x, y = sp.symbols("x y", real=True)
    number = sp.expand((w + sp.I * c) * (x + sp.I * y))
    return identities({"product": (M * sp.Matrix([x, y]), sp.Matrix([w * x - c * y, c * x + w * y])),
                       "complex": (number, (w * x - c * y) + sp.I * (c * x + w * y)),
                       "length": (M.T * M, (w**2 + c**2) * sp.eye(2))})  # fmt: skip


@claim
def at_most_one(largest: sp.Expr = ONE) -> Formula:
    """1 − z = 1/(1 + e^u) and f/(f + i); the others, exp(ΔA), logistic(Λ)^{cr} and |λ| of the LRU, are
    e^{−v} with v ≥ 0.
    """
    e, f, k = sp.symbols("e f k", positive=True)  # e^u, the gates f and i
    v = sp.Symbol("v", nonnegative=True)
    return all_of({"1 − z": at_least_zero(largest - 1 / (1 + e)),
                   "f/(f + i)": at_least_zero(largest - f / (f + k)),
                   "e^{−v}": nonnegative_from(largest - sp.exp(-v), v)})  # fmt: skip


TANGENT = All({"real": Equal(X(i + 1), re(i) * X(i) - im(i) * Y(i)),
               "imaginary": Equal(Y(i + 1), im(i) * X(i) + re(i) * Y(i))})  # fmt: skip
PRODUCT = All(
    {"start": Equal(gates(0), 1), "next": Equal(gates(i + 1), (re(i) ** 2 + im(i) ** 2) * gates(i))}
)
CEILING = AtMost(re(i) ** 2 + im(i) ** 2, top)


def length(index: sp.Expr) -> sp.Expr:
    """X² + Y² after that many steps."""
    return X(index) ** 2 + Y(index) ** 2


def exact(index: sp.Expr) -> Equal:
    """The squared length is the product of the squared gates, times that at the start."""
    return Equal(length(index), gates(index) * length(0))


def below(index: sp.Expr) -> AtMost:
    """The product of i squared gates is at most qⁱ."""
    return AtMost(gates(index), top**index)


ONCE = Equal(length(i + 1), (re(i) ** 2 + im(i) ** 2) * length(i))
NEXT, FIRST = PRODUCT.parts()[1], PRODUCT.parts()[0]
EXACT_STEP, BELOW_STEP = Implies(exact(i), exact(i + 1)), Implies(below(i), below(i + 1))
BOUND = AtMost(length(N), top**N * length(0))
COMPUTED = (
    Step("derivative", "∂h'/∂h is the gate, since gate and candidate do not depend on h", derivative,
         axioms=("chain_rule",)),
    Step("rotation", "a complex gate stretches every vector by |λ|", rotation),
    Step("at_most_one", "the gates of these models are at most 1 in modulus", at_most_one),
)  # fmt: skip
PARTS = (*(step.claim for step in COMPUTED), exact(N), BOUND)
STATEMENT = All.of(*PARTS).called(
    "∂h_N/∂h_0 of LRU, S4D, S6, RG-LRU, minGRU and minLSTM is the product of the gates: every tangent of a "
    "unit is stretched by ∏|λ_k| exactly, and by at most q^{N/2} where |λ_k|² ≤ q"
)
STEPS = (
    *COMPUTED,
    Step("once", ONCE, rule="linear", premises=(TANGENT,),
         numbers={"multipliers": (X(i + 1) + re(i) * X(i) - im(i) * Y(i),
                                  Y(i + 1) + im(i) * X(i) + re(i) * Y(i))}),
    Step("first", FIRST, rule="part", premises=(PRODUCT,)),
    Step("next", NEXT, rule="part", premises=(PRODUCT,)),
    Step("exact_start", exact(sp.Integer(0)), rule="linear", premises=(FIRST,),
         numbers={"multipliers": (-length(0),)}),
    Step("exact_step", EXACT_STEP, rule="linear", premises=(ONCE, NEXT),
         numbers={"multipliers": (1, -length(0), re(i) ** 2 + im(i) ** 2)}),
    Step("exact", exact(i), rule="induction", premises=(exact(sp.Integer(0)), EXACT_STEP),
         numbers={"variable": i}),
    Step("exact_at_N", exact(N), rule="instance", premises=(exact(i),), numbers={"values": {i: N}}),
    Step("below_start", below(sp.Integer(0)), rule="linear", premises=(FIRST,),
         numbers={"multipliers": (-1,)}),
    Step("below_step", BELOW_STEP, rule="linear", premises=(NEXT, CEILING),
         numbers={"multipliers": (-1, gates(i), top)}),
    Step("below", below(i), rule="induction", premises=(below(sp.Integer(0)), BELOW_STEP),
         numbers={"variable": i}),
    Step("below_at_N", below(N), rule="instance", premises=(below(i),), numbers={"values": {i: N}}),
    Step("bound", BOUND, rule="linear", premises=(exact(N), below(N)), axioms=("largest_stretch",),
         numbers={"multipliers": (-1, length(0))}),
    Step("conclusion", STATEMENT, rule="conjunction", premises=PARTS),
)  # fmt: skip

PROPOSITION = Proposition(
    name="gate_product",
    title="Gated linear recurrences: the gradient is the product of the gates",
    statement=STATEMENT,
    hypotheses={"tangent": TANGENT, "product": PRODUCT, "ceiling": CEILING},
    source="ours; for LRU, S4D, S6, RG-LRU, minGRU and minLSTM",
    steps=STEPS,
    mutants=(
        Mutant("gate_of_state", "a gate that depends on h", {"with_state": 1}),
        Mutant("symmetric", "((a, b), (b, a))", {"sign": 1}),
        Mutant("below_half", "gates said to be at most 1/2", {"largest": sp.Rational(1, 2)}),
        *sharper(STEPS),
    ),
)
