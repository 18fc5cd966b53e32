"""Scalar first-order flow ẏ = σ(Wy + b): ∂y(t)/∂y(0) = σ(Wy(t) + b)/σ(Wy(0) + b), hence ≤ sup|σ|/|σ(Wy(0) +
b)|.

Bounded for every t, and so is the Euler recursion where σ is concave. Exponential growth needs an unbounded
σ, or a start on a zero of σ(W· + b).
"""

from __future__ import annotations

import sympy as sp

from integrators.fields.activations import ACTIVATIONS
from proofs.blocks import eps
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
    limit_is,
)
from proofs.kernel.mutants import sharper
from proofs.kernel.rules import SMOOTH
from proofs.proposition import Mutant, Proposition, Role, Step
from proofs.symbols import dsigma, sigma

t, W, s = sp.symbols("t W s", positive=True)
b, y0, u, u_0 = sp.symbols("b y0 u u_0", real=True)
M, start = sp.Symbol("M", nonnegative=True), sp.Symbol("sigma_0", positive=True)
i = sp.Symbol("i", integer=True, nonnegative=True)
ONE = sp.Integer(1)
argument = sp.Function("u", real=True)
value = sp.Function("sigma_", positive=True)
slope = sp.Function("slope", nonnegative=True)
between = sp.Function("slope_xi", nonnegative=True)
gradient = sp.Function("S", nonnegative=True)
"""u_i, σ(u_i), σ'(u_i), σ' between u_i and u_{i+1}, and ∂y_i/∂y_0 of the Euler recursion."""

BOUNDED = AtMost(sp.Abs(sigma(u)), M)
MOVING = Equal(start, sp.Abs(sigma(u_0)))
EULER = All({"argument": Equal(argument(i + 1), argument(i) + eps * W * value(i)),
             "gradient": Equal(gradient(i + 1), (1 + eps * W * slope(i)) * gradient(i)),
             "start": Equal(gradient(0), 1)})  # fmt: skip
CONCAVE = AtMost(slope(i + 1), between(i)).called("σ is concave and u_i increases, so that σ' decreases")
SIZE = AtMost(value(i), M)
IN_START = AtMost(sp.Abs(sigma(u)) / start, M / start)
FLOW_BOUND = AtMost(sp.Abs(sigma(u)) / sp.Abs(sigma(u_0)), M / sp.Abs(sigma(u_0)))
MEAN = Equal(value(i + 1) - value(i), between(i) * (argument(i + 1) - argument(i)))
GROWN = Equal(value(i + 1), value(i) * (1 + eps * W * between(i)))
GRADIENT_1 = EULER.parts()[1].at({i: 0})
GRADIENT_NEXT = EULER.parts()[1].at({i: i + 1})
FACTOR = 1 + eps * W * slope(0)


def grown(index: sp.Expr) -> AtMost:
    """∂y_{i+1}/∂y_0 σ_0 ≤ (1 + εWσ'_0) σ_i."""
    return AtMost(gradient(index + 1) * value(0), FACTOR * value(index))


INDUCTION = Implies(grown(i), grown(i + 1))
EULER_BOUND = AtMost(gradient(i + 1) * value(0), FACTOR * M)


@claim
def sensitivity(numerator: sp.Function = sigma) -> Formula:
    """S = σ(u(t))/σ(u_0) solves S' = Wσ'(u)S, S(0) = 1, along ẏ = σ(u), u = Wy + b."""
    y = sp.Function("y", real=True)
    u = W * y(t) + b
    S = numerator(u) / numerator(W * y0 + b)
    rate = sp.diff(S, t).subs(sp.diff(y(t), t), sigma(u))
    return identities({"S'": (rate, W * dsigma(u) * S), "S(0)": (S.subs(t, 0).subs(y(0), y0), 1)})


@claim
def tanh_solution(rate: sp.Expr = W) -> Formula:
    """σ = tanh: u' = W tanh u, so sinh u(t) = e^{Wt} sinh u_0."""
    u = sp.Function("u", real=True)(t)
    grown = sp.sinh(u) * sp.exp(-rate * t)
    derivative = sp.diff(grown, t).subs(sp.diff(u, t), W * ACTIVATIONS["tanh"].symbolic(u))
    return identity(derivative.subs(sp.tanh(u), sp.sinh(u) / sp.cosh(u)), 0)


@claim
def tanh_saturates(limit: sp.Expr = ONE) -> Formula:
    """With X = e^{Wt} sinh u_0: tanh u = X/√(1 + X²) → 1, so S → 1/tanh u_0."""
    X = sp.Symbol("X", positive=True)
    return all_of(
        {
            "tanh from sinh": identity(sp.tanh(sp.asinh(X)), X / sp.sqrt(1 + X**2)),
            "limit": limit_is(X / sp.sqrt(1 + X**2), X, sp.oo, limit),
        }
    )


@claim
def concave(side: int = 1) -> Formula:
    """−tanh'' ≥ 0 on [0, ∞): with e^z = 1 + u, u ≥ 0, it is a quotient of non-negative terms."""
    z, u = sp.Symbol("z", real=True), sp.Symbol("u", nonnegative=True)
    curvature = sp.diff(ACTIVATIONS["tanh"].symbolic(z), z, 2).rewrite(sp.exp)
    return at_least_zero(sp.simplify(-curvature.subs(z, side * sp.log(1 + u))))


@claim
def exponential_cases(activation: str = "identity") -> Formula:
    """σ = id: S = e^{Wt}. Start on a zero of σ: y stays, S = e^{Wσ'(u_0)t}."""
    slope0 = sp.Symbol("slope0", real=True)
    z = sp.Symbol("z", real=True)
    slope = sp.diff(ACTIVATIONS[activation].symbolic(z), z)
    return identities(
        {
            "identity": (sp.diff(sp.exp(W * t), t), W * slope * sp.exp(W * t)),
            "fixed point": (sp.diff(sp.exp(W * slope0 * t), t), W * slope0 * sp.exp(W * slope0 * t)),
            "tanh at 0": (ACTIVATIONS["tanh"].symbolic(sp.Integer(0)), 0),
        }
    )


EULER_STEPS = (
    Step("euler_argument", EULER.parts()[0], rule="part", premises=(EULER,)),
    Step("euler_gradient", EULER.parts()[1], rule="part", premises=(EULER,)),
    Step("euler_start", EULER.parts()[2], rule="part", premises=(EULER,)),
    Step("mean", MEAN, rule="mean_value",
         numbers={"values": (value(i), value(i + 1)), "arguments": (argument(i), argument(i + 1)),
                  "slope": between(i)}),
    Step("euler_factor", GROWN, rule="linear", premises=(MEAN, EULER.parts()[0]),
         numbers={"multipliers": (1, between(i))}),
    Step("first_gradient", GRADIENT_1, rule="instance", premises=(EULER.parts()[1],),
         numbers={"values": {i: 0}}),
    Step("next_gradient", GRADIENT_NEXT, rule="instance", premises=(EULER.parts()[1],),
         numbers={"values": {i: i + 1}}),
    Step("euler_base", grown(sp.Integer(0)), rule="linear", premises=(GRADIENT_1, EULER.parts()[2]),
         numbers={"multipliers": (-value(0), -FACTOR * value(0))}),
    Step("euler_induction", INDUCTION, rule="linear", premises=(GRADIENT_NEXT, CONCAVE, GROWN),
         numbers={"multipliers": (-value(0), eps * W * gradient(i + 1) * value(0), FACTOR,
                                  1 + eps * W * between(i))}),
    Step("euler_every_step", grown(i), rule="induction", premises=(grown(sp.Integer(0)), INDUCTION),
         numbers={"variable": i}),
)  # fmt: skip
COMPUTED = (
    Step(
        "sensitivity",
        "S = σ(u(t))/σ(u_0) solves the variational equation and S(0) = 1",
        sensitivity,
        axioms=("picard_unique", "chain_rule"),
        premises=(SMOOTH,),
    ),
    Step("tanh_solution", "for tanh, sinh u(t) = e^{Wt} sinh u_0", tanh_solution, axioms=("chain_rule",)),
    Step("tanh_saturates", "hence S → 1/tanh u_0", tanh_saturates, role=Role.REMARK),
    Step("concave", "tanh is concave on [0, ∞)", concave),
    Step(
        "exponential_cases",
        "exponential growth does occur for σ = identity and at zeros of σ(W· + b)",
        exponential_cases,
        role=Role.REMARK,
    ),
)
PARTS = (FLOW_BOUND, EULER_BOUND, *(step.claim for step in COMPUTED))
STATEMENT = All.of(*PARTS).called(
    "for ẏ = σ(Wy + b), d = 1, σ(Wy(0) + b) ≠ 0: ∂y(t)/∂y(0) = σ(u(t))/σ(u_0), so |∂y(t)/∂y(0)| ≤ "
    "M/|σ(u_0)| for "
    "every t; and the Euler recursion, for W > 0, u_0 > 0, σ positive, increasing and concave on [0, ∞)"
)
STEPS = (
    *COMPUTED,
    Step("bounded_by_start", IN_START, rule="linear", premises=(BOUNDED,),
         numbers={"multipliers": (1 / start,)}),
    Step("bounded", FLOW_BOUND, rule="substituted", premises=(IN_START, MOVING)),
    *EULER_STEPS,
    Step("euler_bound", EULER_BOUND, rule="linear", premises=(grown(i), SIZE),
         numbers={"multipliers": (1, FACTOR)}),
    Step("conclusion", STATEMENT, rule="conjunction", premises=PARTS),
)  # fmt: skip

PROPOSITION = Proposition(
    name="first_order_flow",
    title="Scalar first-order flow",
    statement=STATEMENT,
    hypotheses={"smooth": SMOOTH, "bounded": BOUNDED, "moving": MOVING, "euler": EULER, "concave": CONCAVE,
                "size": SIZE},
    source="ours; bears on Example 2",
    steps=STEPS,
    mutants=(
        Mutant("slope_ratio", "S = σ'(u)/σ'(u_0)", {"numerator": dsigma}),
        Mutant("half_rate", "sinh u = e^{Wt/2} sinh u_0", {"rate": W / 2}),
        Mutant("double_limit", "tanh u → 2", {"limit": sp.Integer(2)}),
        Mutant("convex_side", "tanh concave on (−∞, 0]", {"side": -1}),
        Mutant("tanh_exponential", "S = e^{Wt} for σ = tanh away from 0", {"activation": "tanh"}),
        *sharper(STEPS),
    ),
)  # fmt: skip
