"""The propagated tangent is the derivative of the step that runs: stage by stage, for the composed step, in
every form.

Also: the two-step, the staggered and the kick–drift–kick form of the recursion have the same ∂y_N/∂y_0.
"""

from __future__ import annotations

import sympy as sp

from proofs.blocks import drift, eps, flows, kick, product
from proofs.kernel.formulas import All, Equal, Formula, claim, identities, identity
from proofs.kernel.mutants import sharper
from proofs.kernel.norms import D, P, T, W
from proofs.kernel.rules import SMOOTH
from proofs.proposition import Mutant, Proposition, Step, concluded
from proofs.symbols import dsigma, sigma, square, vector
from proofs.theorems.theorem_b import (
    DRIFT,
    FIRST,
    KICK,
    KICK_0,
    START,
    TANGENT_0,
    TANGENT_DRIFT,
    TANGENT_KICK,
    i,
)

HALF = sp.Rational(1, 2)


@claim
def one_drift(weight_power: int = 1) -> Formula:
    """∂(y + aεp, p)/∂(y, p), d = 2."""
    a = sp.Symbol("a", real=True)
    y, p = vector("y", 2), vector("p", 2)
    state = sp.Matrix([*(y + a * eps * p), *p])
    return identity(state.jacobian([*y, *p]), drift(a**weight_power, 2))


@claim
def one_kick(transpose: bool = False) -> Formula:
    """∂(y, p + bεσ(Wy + x))/∂(y, p) with DF = D(u)W, d = 2, general W and drive x."""
    b = sp.Symbol("b", real=True)
    y, p, W = vector("y", 2), vector("p", 2), square("W", 2)
    u = W * y + vector("x", 2)
    state = sp.Matrix([*y, *(p + b * eps * u.applyfunc(sigma))])
    DF = sp.diag(*u.applyfunc(dsigma)) * (W.T if transpose else W)
    return identity(state.jacobian([*y, *p]), kick(b, DF, 2))


@claim
def composed_step(order: int = 1) -> Formula:
    """Three drifts and three kicks with arbitrary weights, each kick with its own drive, d = 1."""
    y, p, W = sp.symbols("y p W", real=True)
    position, momentum, matrices = y, p, []
    for stage in range(3):
        a, b, x = sp.symbols(f"a{stage} b{stage} x{stage}", real=True)
        position = position + a * eps * momentum
        matrices.append(drift(a))
        u = W * position + x
        momentum = momentum + b * eps * sigma(u)
        matrices.append(kick(b, W * dsigma(u)))
    total = sp.eye(2)
    for matrix in matrices[::order]:
        total = matrix * total
    return identity(sp.Matrix([position, momentum]).jacobian([y, p]), total)


@claim
def leapfrog_step(reuse_slope: bool = False) -> Formula:
    """The shipped leapfrog, d = 2: derivative of the composed map against the closed form."""
    y, p, W, x = vector("y", 2), vector("p", 2), square("W", 2), vector("x", 2)
    position, momentum, slopes = y, p, []
    for kind, weight in flows("leapfrog"):
        if kind == "drift":
            position = position + weight * eps * momentum
        else:
            u = W * position + x
            slopes.append(sp.diag(*u.applyfunc(dsigma)) * W)
            momentum = momentum + weight * eps * u.applyfunc(sigma)
    G0, G1 = slopes[0], slopes[0] if reuse_slope else slopes[1]
    eye = sp.eye(2)
    first = eye + eps**2 / 2 * G0
    closed = sp.Matrix(
        sp.BlockMatrix([[first, eps * eye], [eps / 2 * (G0 + G1 * first), eye + eps**2 / 2 * G1]])
    )
    return identity(sp.Matrix([*position, *momentum]).jacobian([*y, *p]), closed)


@claim
def determinants(corner: int = -1) -> Formula:
    """Two-step and staggered one-step matrices have determinant 1 (d = 2, general G)."""
    G, eye = square("G", 2), sp.eye(2)
    two_step = sp.Matrix(sp.BlockMatrix([[2 * eye + eps**2 * G, corner * eye], [eye, sp.zeros(2)]]))
    staggered = product([kick(1, G, 2), drift(1, 2)])
    return identities(
        {"two-step": (sp.expand(two_step.det()), 1), "staggered": (sp.expand(staggered.det()), 1)}
    )


@claim
def adjoint(adjoint_order: int = -1) -> Formula:
    """⟨λ, J v⟩ = ⟨Jᵀλ, v⟩ for J = J_3 J_2 J_1: the transposed factors act in reverse order."""
    factors = [square(name, 2) for name in ("A", "B", "C")]
    lam, v = vector("lambda", 2), vector("v", 2)
    forward, backward = v, lam
    for J in factors:
        forward = J * forward
    for J in factors[::adjoint_order]:
        backward = J.T * backward
    return identity(lam.dot(forward), backward.dot(v))


HYPOTHESES = {"smooth": SMOOTH, "start": START}
COMPUTED = (
    Step("one_drift", "derivative of a drift (d = 2)", one_drift),
    Step(
        "one_kick",
        "derivative of a kick is bεD(u)W in the lower left block (d = 2, general W, drive)",
        one_kick,
        premises=(SMOOTH,),
    ),
    Step(
        "composed_step",
        "three drifts and three kicks with arbitrary weights and drives: the "
        "derivative of the composed map is the product of the stage matrices at the stage states (d = "
        "1)",
        composed_step,
        axioms=("chain_rule",),
        premises=(SMOOTH,),
    ),
    Step(
        "leapfrog_step",
        "the shipped leapfrog, d = 2: derivative of the map = closed form with D_0, D_1",
        leapfrog_step,
        premises=(SMOOTH,),
    ),
    Step("determinants", "two-step and staggered matrices have determinant 1 (d = 2)", determinants),
    Step("adjoint", "⟨λ, Jv⟩ = ⟨Jᵀλ, v⟩ with the factors transposed in reverse order", adjoint),
)

MIDDLE = sp.Function("M", commutative=False)
"""∂p/∂y_0 at the nodes of kick–drift–kick, between its two half kicks."""
KICK_DRIFT_KICK = All({
    "first half": Equal(P(i + 1), MIDDLE(i) + eps / 2 * D(i) * W * T(i)),
    "second half": Equal(MIDDLE(i + 1), P(i + 1) + eps / 2 * D(i + 1) * W * T(i + 1)),
})  # fmt: skip
FIRST_HALF, SECOND_HALF = KICK_DRIFT_KICK.parts()
FIRST_HALF_NEXT, DRIFT_NEXT = FIRST_HALF.at({i: i + 1}), TANGENT_DRIFT.at({i: i + 1})
DRIFT_FIRST = TANGENT_DRIFT.at({i: 0})
WHOLE_KICK = TANGENT_KICK.called("kick–drift–kick has the kicks of the staggered form")
TWO_STEP = Equal(T(i + 2), 2 * T(i + 1) - T(i) + eps**2 * D(i + 1) * W * T(i + 1)).called(
    "so has the two-step form, for every i and in every dimension"
)
TWO_STEP_FIRST = Equal(T(1), 1 + eps**2 / 2 * D(0) * W).called("and its first step")
LEAPFROG = {"scheme": "leapfrog", "index": i}
STEPS = (
    *COMPUTED,
    Step("first_kick", KICK_0, rule="program", numbers=LEAPFROG),
    Step("drift", DRIFT, rule="program", numbers=LEAPFROG),
    Step("kick", KICK, rule="program", numbers=LEAPFROG),
    Step("tangent_first_kick", TANGENT_0, rule="differentiated", premises=(KICK_0, SMOOTH)),
    Step("tangent_drift", TANGENT_DRIFT, rule="differentiated", premises=(DRIFT, SMOOTH)),
    Step("tangent_kick", TANGENT_KICK, rule="differentiated", premises=(KICK, SMOOTH)),
    Step("start_position", START.parts()[0], rule="part", premises=(START,)),
    Step("start_velocity", START.parts()[1], rule="part", premises=(START,)),
    Step("first_velocity", FIRST, rule="substituted", premises=(TANGENT_0, *START.parts())),
    Step("drift_next", DRIFT_NEXT, rule="instance", premises=(TANGENT_DRIFT,),
         numbers={"values": {i: i + 1}}),
    Step("drift_first", DRIFT_FIRST, rule="instance", premises=(TANGENT_DRIFT,), numbers={"values": {i: 0}}),
    Step("two_step", TWO_STEP, rule="linear", premises=(DRIFT_NEXT, TANGENT_DRIFT, TANGENT_KICK),
         numbers={"multipliers": (1, -1, eps)}),
    Step("two_step_first", TWO_STEP_FIRST, rule="linear", premises=(DRIFT_FIRST, FIRST, START.parts()[0]),
         numbers={"multipliers": (1, eps, 1)}),
    Step("first_half", FIRST_HALF, rule="part", premises=(KICK_DRIFT_KICK,)),
    Step("second_half", SECOND_HALF, rule="part", premises=(KICK_DRIFT_KICK,)),
    Step("first_half_next", FIRST_HALF_NEXT, rule="instance", premises=(FIRST_HALF,),
         numbers={"values": {i: i + 1}}),
    Step("same_kicks", WHOLE_KICK, rule="linear", premises=(FIRST_HALF_NEXT, SECOND_HALF)),
)  # fmt: skip
CONCLUSION = concluded(
    STEPS,
    "Carrying T ← T + aεP at drifts and P ← P + bεD(u)W T at kicks, at the states the step itself "
    "visits, yields the derivative of the step; the two-step, staggered and kick–drift–kick forms of "
    "(11)/(13) agree on ∂y_N/∂y_0.",
)

PROPOSITION = Proposition(
    name="tangent_is_derivative",
    title="The tangent map is the derivative of the step",
    statement=CONCLUSION.claim,
    hypotheses={**HYPOTHESES, "kick_drift_kick": KICK_DRIFT_KICK},
    source="ours; for (11) and (13)",
    steps=(*STEPS, CONCLUSION),
    mutants=(
        Mutant("squared_weight", "drift tangent with a²", {"weight_power": 2}),
        Mutant("transposed_weight", "kick tangent with D(u)Wᵀ", {"transpose": True}),
        Mutant("reversed_stages", "stage matrices multiplied in reverse order", {"order": -1}),
        Mutant("stale_slope", "second kick with the slope of the first", {"reuse_slope": True}),
        Mutant("plus_corner", "two-step matrix with 2I in place of −I", {"corner": 2}),
        Mutant("forward_adjoint", "adjoint factors in forward order", {"adjoint_order": 1}),
        *sharper((*STEPS, CONCLUSION)),
    ),
)
