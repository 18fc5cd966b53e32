"""No vanishing in phase space: with s ≥ ‖∂(y_N, p_N)/∂(y_0, p_0)‖ by theorem E, every singular value of that
matrix is at least 1/s, and the largest is at least 1. Its position block alone can be zero.
"""

from __future__ import annotations

import sympy as sp

from proofs.blocks import block, drift, eps, kick, omega
from proofs.kernel.formulas import All, AtMost, Equal, Formula, claim, identities, identity
from proofs.kernel.mutants import sharper
from proofs.kernel.norms import norm
from proofs.kernel.rules import SMOOTH
from proofs.proposition import Mutant, Proposition, Role, Step
from proofs.theorems.theorem_b import SLOPE, i
from proofs.theorems.theorem_e import (
    DRIFT,
    DRIFT_STEP,
    KICK,
    KICK_STEP,
    NORM_D,
    NORM_P,
    NORM_T,
    TANGENT_DRIFT,
    TANGENT_KICK,
    A,
    B,
    L,
    T,
    a_s,
    b_s,
    w,
)

ONE = sp.Integer(1)
weight = sp.Symbol("a", real=True)
s = sp.Symbol("s", nonnegative=True)
smallest = sp.Symbol("smallest", nonnegative=True)
"""The smallest singular value of M = ∂(y_N, p_N)/∂(y_0, p_0)."""
INVERSE = sp.Symbol("M_inv", commutative=False)

BACK = {a_s: -a_s, b_s: -b_s}
DRIFT_BACK, KICK_BACK = DRIFT.at(BACK), KICK.at(BACK)
TANGENT_DRIFT_BACK, TANGENT_KICK_BACK = TANGENT_DRIFT.at(BACK), TANGENT_KICK.at(BACK)
SMALLEST = Equal(smallest * norm(INVERSE), 1)
MAJORANT = AtMost(norm(INVERSE), s).called(
    "s is the bound of theorem E, run over the operations of the inverse"
)
RECIPROCAL = AtMost(1, smallest * s)


@claim
def undone(sign: int = -1) -> Formula:
    """A drift by −a undoes a drift by a, and a kick by −b at the same place a kick by b; any d."""
    G = block("G")
    one = sp.Integer(1)
    forth, back = (
        sp.Matrix([[one, weight * eps], [0, one]]),
        sp.Matrix([[one, sign * weight * eps], [0, one]]),
    )
    kicked = sp.Matrix([[one, 0], [weight * eps * G, one]])
    unkicked = sp.Matrix([[one, 0], [sign * weight * eps * G, one]])
    return identities({"drift": (back * forth, sp.eye(2)), "kick": (unkicked * kicked, sp.eye(2))})


@claim
def largest(determinant: sp.Expr = ONE) -> Formula:
    """det = 1 makes the product of the 2d singular values 1, so that not all of them are below 1.

    Drifts and kicks have the determinant 1 (d = 2, general DF).
    """
    G = sp.Matrix(2, 2, sp.symbols("g11 g12 g21 g22"))
    return identities(
        {"drift": (drift(weight, 2).det(), determinant), "kick": (kick(weight, G, 2).det(), determinant)}
    )


@claim
def pairs(factor: int = -1) -> Formula:
    """MᵀΩM = Ω gives M⁻¹ = −Ω MᵀΩ, with the singular values of M: they come in pairs σ, 1/σ (d = 1)."""
    g = sp.Symbol("g", real=True)
    M = kick(weight, sp.Matrix([[g]])) * drift(weight)
    return identity(factor * omega() * M.T * omega() * M, sp.eye(2))


@claim
def position_vanishes(angle: sp.Expr = sp.pi / 2) -> Formula:
    """σ = id, W = −1: ∂y_N/∂y_0 = cos Nθ solves t_{i+1} = (2 − ε²) t_i − t_{i−1}, t_0 = 1, t_1 = 1 − ε²/2.

    Here ε² = 2 − 2 cos θ; Nθ = π/2 makes it 0.
    """
    theta, i = sp.Symbol("theta", positive=True), sp.Symbol("i", integer=True, positive=True)
    square = 2 - 2 * sp.cos(theta)
    return identities(
        {
            "start": (sp.cos(theta), 1 - square / 2),
            "recursion": (
                sp.cos((i + 1) * theta),
                (2 - square) * sp.cos(i * theta) - sp.cos((i - 1) * theta),
            ),
            "zero": (sp.cos(angle), 0),
        }
    )


COMPUTED = (
    Step("undone", "drifts and kicks are undone by those of the opposite weight", undone),
    Step("largest", "det = 1, hence not every singular value is below 1 (d = 2)", largest,
         axioms=("det_product",)),
    Step("pairs", "symplectic: M⁻¹ = −ΩMᵀΩ, hence singular values σ, 1/σ", pairs, role=Role.REMARK),
    Step("position_vanishes", "the position block is cos Nθ for σ = id, W = −1, and 0 for Nθ = π/2",
         position_vanishes, axioms=("induction",), role=Role.REMARK),
)  # fmt: skip
PARTS = (RECIPROCAL, DRIFT_STEP, KICK_STEP, *(step.claim for step in COMPUTED))
STATEMENT = All.of(*PARTS).called(
    "for every composition of drifts and kicks every singular value of M = ∂(y_N, p_N)/∂(y_0, p_0) is "
    "at least "
    "1/s, where s is the bound of theorem E on its norm, and the largest is at least 1: an operation of the "
    "inverse has the weight −a or −b, and the same bounds as one of the weight a or b"
)
OPERATION = {"weights": (-a_s, -b_s), "index": i}
STEPS = (
    *COMPUTED,
    Step("drift_back", DRIFT_BACK, rule="program", numbers=OPERATION),
    Step("kick_back", KICK_BACK, rule="program", numbers=OPERATION),
    Step("tangent_drift_back", TANGENT_DRIFT_BACK, rule="differentiated", premises=(DRIFT_BACK, SMOOTH)),
    Step("tangent_kick_back", TANGENT_KICK_BACK, rule="differentiated", premises=(KICK_BACK, SMOOTH)),
    Step("norm_drift_back", NORM_T, rule="norm", premises=(TANGENT_DRIFT_BACK,)),
    Step("norm_kick_back", NORM_P, rule="norm", premises=(TANGENT_KICK_BACK,)),
    Step("slopes", NORM_D, rule="diagonal", premises=(SLOPE,)),
    Step("drift_step", DRIFT_STEP, rule="linear", premises=(NORM_T,), numbers={"multipliers": (1, 1, A)}),
    Step("kick_step", KICK_STEP, rule="linear", premises=(NORM_P, NORM_D),
         numbers={"multipliers": (1, B * w * norm(T(i)), B * L * w, 1)}),
    Step("reciprocal", RECIPROCAL, rule="linear", premises=(MAJORANT, SMALLEST),
         numbers={"multipliers": (smallest, 1)}),
    Step("conclusion", STATEMENT, rule="conjunction", premises=PARTS, axioms=("induction",)),
)  # fmt: skip

PROPOSITION = Proposition(
    name="theorem_i",
    title="Theorem I: the phase space does not vanish",
    statement=STATEMENT,
    hypotheses={"slope": SLOPE, "smooth": SMOOTH, "smallest": SMALLEST, "majorant": MAJORANT},
    source="ours",
    rests_on=("theorem_e", "volume_and_reversibility"),
    steps=STEPS,
    mutants=(
        Mutant("same_sign", "undone by the same weight", {"sign": 1}),
        Mutant("determinant_two", "det = 2", {"determinant": sp.Integer(2)}),
        Mutant("plus_omega", "M⁻¹ = +ΩMᵀΩ", {"factor": 1}),
        Mutant("other_angle", "zero at Nθ = π/3", {"angle": sp.pi / 3}),
        *sharper(STEPS),
    ),
)
