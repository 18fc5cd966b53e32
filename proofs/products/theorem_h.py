"""Products of the norms of single steps, also in a weighted norm: ‖E_a J_N ⋯ J_1 E_b‖ ≤
‖E_a P⁻¹‖ Π ‖P J_n P⁻¹‖ ‖P E_b‖ for every invertible P.

For a first-order network J_n = I + ε D_n W, and the product with P = I never exceeds that of theorem F.
"""

from __future__ import annotations

import sympy as sp

from proofs.blocks import block, eps
from proofs.kernel.formulas import All, AtMost, Equal, Formula, Implies, all_of, claim, identity
from proofs.kernel.mutants import sharper
from proofs.kernel.norms import G, R, S, T, X, Z, norm
from proofs.kernel.rules import SMOOTH
from proofs.proposition import Mutant, Proposition, Role, Step
from proofs.symbols import dsigma, sigma, square, vector
from proofs.theorems.theorem_b import i

weight, E_a, E_b, A, B = sp.symbols("P E_a E_b A B", commutative=False)
"""The weight P, the blocks looked at, and A = E_a P⁻¹, B = P E_b."""
inverse = weight**-1
factor, slope = sp.Function("r", nonnegative=True), sp.Function("lam", nonnegative=True)
product = sp.Symbol("pi_", nonnegative=True)

PRODUCT = Equal(T(i + 1), S(i + 1) * T(i)).called(
    "T_i is the product of the Jacobians S_1, …, S_i of the steps"
)
WEIGHTED = Equal(T(i), inverse * Z(i) * weight)
WEIGHTED_STEP = Equal(S(i), inverse * R(i) * weight)
ENDS = All({"left": Equal(E_a, A * weight), "right": Equal(E_b, inverse * B)})
BLOCK = Equal(X(i), E_a * T(i) * E_b)
RATE, SLOPES = AtMost(norm(R(i)), factor(i)), AtMost(norm(G(i)), slope(i))
EULER = Equal(S(i + 1), 1 + eps * G(i)).called("for a first-order network, with G_i = D_i W")
WEIGHTED_NEXT, STEP_NEXT, RATE_NEXT = (one.at({i: i + 1}) for one in (WEIGHTED, WEIGHTED_STEP, RATE))
CONJUGATED = Equal(inverse * Z(i + 1) * weight, inverse * R(i + 1) * Z(i) * weight)
RECURSION = Equal(Z(i + 1), R(i + 1) * Z(i))
NORM = AtMost(norm(Z(i + 1)), norm(R(i + 1)) * norm(Z(i)))
BEFORE = AtMost(norm(Z(i)), product)
INDUCTION = Implies(BEFORE, AtMost(norm(Z(i + 1)), factor(i + 1) * product))
BLOCK_WEIGHTED = Equal(X(i), A * Z(i) * B)
NORM_BLOCK = AtMost(norm(X(i)), norm(A) * norm(Z(i)) * norm(B))
BLOCK_BOUND = Implies(BEFORE, AtMost(norm(X(i)), norm(A) * product * norm(B)))
NORM_EULER = AtMost(norm(S(i + 1)), 1 + eps * norm(G(i)))
NEVER_WORSE = AtMost(norm(S(i + 1)), 1 + eps * slope(i))


@claim
def telescopes(between: int = 1) -> Formula:
    """E_a J_2 J_1 E_b = (E_a P⁻¹)(P J_2 P⁻¹)(P J_1 P⁻¹)(P E_b), blocks of every dimension."""
    P, first, second, a, b = (block(name) for name in ("P", "J_1", "J_2", "E_a", "E_b"))
    inverse = P**-1
    weighted = (a * inverse) * (P * second * inverse) * P ** (between - 1) * (P * first * inverse) * (P * b)
    return identity(weighted, a * second * first * b)


@claim
def euler_step(step_power: int = 1) -> Formula:
    """(12) differentiated, d = 2: J_n = I + ε D_n W."""
    d = 2
    y, W, drive = vector("y", d), square("W", d), vector("x", d)
    u = W * sp.Matrix(y) + drive
    new = sp.Matrix(y) + eps * u.applyfunc(sigma)
    return identity(new.jacobian(y), sp.eye(d) + eps**step_power * sp.diag(*u.applyfunc(dsigma)) * W)


@claim
def block_weights(own: int = 1) -> Formula:
    """P = diag(ω I, I) costs nothing for the block of y: E P⁻¹ = E/ω and P E = ω E."""
    omega = sp.Symbol("omega", positive=True)
    P = sp.diag(omega, 1)
    E = sp.Matrix([1, 0])
    return all_of(
        {
            "left": identity(E.T * P.inv() * omega**own, E.T),
            "right": identity(P * E / omega**own, E),
        }
    )


COMPUTED = (
    Step("telescopes", "E_a J_2 J_1 E_b = (E_a P⁻¹)(P J_2 P⁻¹)(P J_1 P⁻¹)(P E_b)", telescopes),
    Step("euler_step", "J_n = I + ε D_n W (d = 2, general σ, W, input)", euler_step, axioms=("chain_rule",),
         premises=(SMOOTH,)),
    Step("block_weights", "P = diag(ωI, I): E P⁻¹ = E/ω and P E = ωE for the block of y", block_weights,
         role=Role.REMARK),
)  # fmt: skip
PARTS = (INDUCTION, BLOCK_BOUND, NEVER_WORSE, *(step.claim for step in COMPUTED))
STATEMENT = All.of(*PARTS).called(
    "‖E_a J_N ⋯ J_1 E_b‖ ≤ ‖E_a P⁻¹‖ Π ‖P J_n P⁻¹‖ ‖P E_b‖ for all matrices J_n, E_a, E_b and every "
    "invertible "
    "P; for a first-order network and P = I it is at most the bound of theorem F"
)
STEPS = (
    *COMPUTED,
    Step("weighted_next", WEIGHTED_NEXT, rule="instance", premises=(WEIGHTED,),
         numbers={"values": {i: i + 1}}),
    Step("step_next", STEP_NEXT, rule="instance", premises=(WEIGHTED_STEP,), numbers={"values": {i: i + 1}}),
    Step("rate_next", RATE_NEXT, rule="instance", premises=(RATE,), numbers={"values": {i: i + 1}}),
    Step("conjugated", CONJUGATED, rule="substituted",
         premises=(PRODUCT, WEIGHTED_NEXT, STEP_NEXT, WEIGHTED)),
    Step("recursion", RECURSION, rule="multiplied", premises=(CONJUGATED,),
         numbers={"left": weight, "right": inverse}),
    Step("norm", NORM, rule="norm", premises=(RECURSION,)),
    Step("induction", INDUCTION, rule="linear", premises=(NORM, RATE_NEXT),
         numbers={"multipliers": (1, norm(Z(i)), factor(i + 1))}),
    Step("left_end", ENDS.parts()[0], rule="part", premises=(ENDS,)),
    Step("right_end", ENDS.parts()[1], rule="part", premises=(ENDS,)),
    Step("block", BLOCK_WEIGHTED, rule="substituted", premises=(BLOCK, WEIGHTED, *ENDS.parts())),
    Step("norm_block", NORM_BLOCK, rule="norm", premises=(BLOCK_WEIGHTED,)),
    Step("ends", BLOCK_BOUND, rule="linear", premises=(NORM_BLOCK,),
         numbers={"multipliers": (1, norm(A) * norm(B))}),
    Step("norm_euler", NORM_EULER, rule="norm", premises=(EULER,)),
    Step("never_worse", NEVER_WORSE, rule="linear", premises=(NORM_EULER, SLOPES),
         numbers={"multipliers": (1, eps)}),
    Step("conclusion", STATEMENT, rule="conjunction", premises=PARTS, axioms=("induction",)),
)  # fmt: skip

PROPOSITION = Proposition(
    name="theorem_h",
    title="Theorem H: products of steps in a weighted norm",
    statement=STATEMENT,
    hypotheses={"product": PRODUCT, "weighted": WEIGHTED, "weighted_step": WEIGHTED_STEP, "ends": ENDS,
                "block": BLOCK, "rate": RATE, "euler": EULER, "slopes": SLOPES, "smooth": SMOOTH},
    source="ours",
    rests_on=("theorem_f",),
    steps=STEPS,
    mutants=(
        Mutant("no_inverse", "P left out between the steps", {"between": 0}),
        Mutant("second_power", "J_n with ε²", {"step_power": 2}),
        Mutant("square_weight", "E P⁻¹ = E/ω²", {"own": 2}),
        *sharper(STEPS),
    ),
)  # fmt: skip
