"""UnICORNN: z' = z − s(σ(wy + Vx + b) + αy), y' = y + s z', one oscillator per unit (diagonal recurrent
weight).

Its Jacobian has determinant 1, is symplectic, the step can be undone exactly, and
|∂y_N/∂y_0| ≤ cosh((N + ½)θ)/cosh(θ/2) ≤ e^{(N + ½) s√K} with K = L|w| + α and cosh θ = 1 + s²K/2.
"""

from __future__ import annotations

import sympy as sp

from proofs.blocks import omega
from proofs.kernel.formulas import All, AtMost, Equal, Formula, Implies, claim, identities, identity
from proofs.kernel.mutants import sharper
from proofs.kernel.norms import D, Input, P, T, act, norm, p
from proofs.kernel.norms import y as state
from proofs.kernel.rules import SMOOTH
from proofs.majorant import L, N
from proofs.proposition import Mutant, Proposition, Role, Step
from proofs.symbols import dsigma, primitive, sigma
from proofs.theorems.theorem_b import BELOW_SINH, SLOPE, START, i, theta, x

y, z, w, drive = sp.symbols("y z w drive", real=True)
s, alpha, k = sp.Symbol("s", positive=True), sp.Symbol("alpha", nonnegative=True), sp.Symbol("k", real=True)
K = sp.Symbol("K", nonnegative=True)
HALF, ONE = sp.Rational(1, 2), sp.Integer(1)


def _step(position: sp.Expr, momentum: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    momentum = momentum - s * (sigma(w * position + drive) + alpha * position)
    return position + s * momentum, momentum


def _matrix() -> sp.Matrix:
    return sp.Matrix([[1 - s**2 * k, s], [-s * k, 1]])


@claim
def jacobian(constant: sp.Expr = alpha) -> Formula:
    """J = ((1 − s²k, s), (−sk, 1)), k = wσ'(a) + α, is the derivative of the step."""
    found = sp.Matrix(_step(y, z)).jacobian([y, z])
    return identity(found, _matrix().subs(k, w * dsigma(w * y + drive) + constant))


@claim
def determinant(corner: int = -1) -> Formula:
    """det J = 1."""
    shear = sp.Matrix([[1 + corner * s**2 * k, s], [-s * k, 1]])
    return identity(shear.det(), 1)


@claim
def symplectic(scale: sp.Expr = ONE) -> Formula:
    """JᵀΩJ = Ω (2×2)."""
    J = scale * _matrix()
    return identity(J.T * omega() * J, omega())


@claim
def undone(update: int = -1) -> Formula:
    """y = y' − s z', z = z' + s(σ(wy + Vx + b) + αy) gives back (y, z)."""
    new_y, new_z = _step(y, z)
    old_y = new_y + update * s * new_z
    old_z = new_z + s * (sigma(w * sp.expand(old_y) + drive) + alpha * sp.expand(old_y))
    return identities({"y": (old_y, y), "z": (sp.expand(old_z), z)})


@claim
def potential(sign: int = 1) -> Formula:
    """Force −(σ(wy + c) + αy) = −∂/∂y (Σ(wy + c)/w + αy²/2), with Σ' = σ."""
    weight = sp.Symbol("w", nonzero=True, real=True)
    energy = primitive(weight * y + drive) / weight + sign * alpha * y**2 / 2
    return identity(sp.diff(energy, y), sigma(weight * y + drive) + alpha * y)


@claim
def elliptic(limit: int = 4) -> Formula:
    """Constant slope: trace 2 − s²k, eigenvalues e^{±iφ} iff 0 < s²k < 4: 4 − trace² = s²k(4 − s²k)."""
    trace = _matrix().trace()
    return identity(4 - trace**2, s**2 * k * (limit - s**2 * k))


def majorant(index: sp.Expr) -> sp.Expr:
    """t_i = cosh((i + ½)θ)/cosh(θ/2)."""
    return sp.cosh((index + HALF) * theta) / sp.cosh(theta / 2)


def grown(index: sp.Expr) -> All:
    """‖T_i‖ ≤ t_i and s‖P_i‖ ≤ t_i − t_{i−1}."""
    return All({"position": AtMost(norm(T(index)), majorant(index)),
                "momentum": AtMost(s * norm(P(index)), majorant(index) - majorant(index - 1))})  # fmt: skip


SIZE = Equal(K, L * sp.Abs(w) + alpha)
ANGLE = Equal(sp.sinh(theta / 2), s * sp.sqrt(K) / 2)
CELL = All({"momentum": Equal(p(i + 1), p(i) - s * act(w * state(i) + Input(i)) - s * alpha * state(i)),
            "position": Equal(state(i + 1), state(i) + s * p(i + 1))})  # fmt: skip
TANGENT_P = Equal(P(i + 1), P(i) - s * w * D(i) * T(i) - s * alpha * T(i))
TANGENT_T = Equal(T(i + 1), T(i) + s * P(i + 1))
NORM_P = AtMost(norm(P(i + 1)),
                norm(P(i)) + s * sp.Abs(w) * norm(D(i)) * norm(T(i)) + s * alpha * norm(T(i)))  # fmt: skip
NORM_T = AtMost(norm(T(i + 1)), norm(T(i)) + s * norm(P(i + 1)))
NORM_D = AtMost(norm(D(i)), L)
BASE = (AtMost(norm(T(0)), 1), AtMost(norm(P(0)), 0))
BASE_SCALED = AtMost(s * norm(P(0)), 0)
TRACE = Equal(4 * sp.sinh(theta / 2) ** 2, 2 * sp.cosh(theta) - 2)
GROWTH = Equal(s**2 * K, 2 * sp.cosh(theta) - 2)
INDUCTION = Implies(grown(i), grown(i + 1))
BOUND_I, BOUND = grown(i).parts()[0], grown(N).parts()[0]
BELOW_EXP, ABOVE_ONE = AtMost(sp.cosh(x), sp.exp(x)), AtMost(1, sp.cosh(x))
TOP = (N + HALF) * theta
BELOW_EXP_N, ABOVE_ONE_HALF = BELOW_EXP.at({x: TOP}), ABOVE_ONE.at({x: theta / 2})
IN_ANGLE = AtMost(majorant(N), sp.exp(TOP))
HALF_ANGLE = AtMost(theta / 2, sp.sinh(theta / 2))
BELOW = AtMost(theta, s * sp.sqrt(K))
TIMES = AtMost(TOP, (N + HALF) * s * sp.sqrt(K))
RISING = AtMost(0, sp.exp(x))
IN_K = AtMost(sp.exp(TOP), sp.exp((N + HALF) * s * sp.sqrt(K)))
EXPONENTIAL = AtMost(majorant(N), sp.exp((N + HALF) * s * sp.sqrt(K)))
T_I, T_NEXT = norm(T(i)), majorant(i)

COMPUTED = (
    Step("jacobian", "J = ((1 − s²k, s), (−sk, 1)) with k = wσ'(a) + α", jacobian, axioms=("chain_rule",),
         premises=(SMOOTH,)),
    Step("determinant", "det J = 1", determinant),
    Step("symplectic", "JᵀΩJ = Ω", symplectic),
    Step("undone", "the step is inverted by y = y' − s z', z = z' + s(…)", undone),
    Step("potential", "each unit has the potential ∫σ(wy + c) + αy²/2", potential),
    Step("elliptic", "constant slope: bounded powers when 0 < s²k < 4", elliptic, role=Role.REMARK),
)  # fmt: skip
PARTS = (*(step.claim for step in COMPUTED), BOUND, EXPONENTIAL)
STATEMENT = All.of(*PARTS).called(
    "the UnICORNN step has Jacobian determinant 1, is symplectic and exactly invertible, and |∂y_N/∂y_0| ≤ "
    "cosh((N + ½)θ)/cosh(θ/2) ≤ e^{(N + ½)s√K}, K = L|w| + α"
)
STEPS = (
    *COMPUTED,
    Step("cell_momentum", CELL.parts()[0], rule="part", premises=(CELL,)),
    Step("cell_position", CELL.parts()[1], rule="part", premises=(CELL,)),
    Step("tangent_momentum", TANGENT_P, rule="differentiated", premises=(CELL.parts()[0], SMOOTH)),
    Step("tangent_position", TANGENT_T, rule="differentiated", premises=(CELL.parts()[1], SMOOTH)),
    Step("start_position", START.parts()[0], rule="part", premises=(START,)),
    Step("start_momentum", START.parts()[1], rule="part", premises=(START,)),
    Step("base_position", BASE[0], rule="norm", premises=(START.parts()[0],)),
    Step("base_momentum", BASE[1], rule="norm", premises=(START.parts()[1],)),
    Step("base_scaled", BASE_SCALED, rule="linear", premises=(BASE[1],), numbers={"multipliers": (s,)}),
    Step("norm_momentum", NORM_P, rule="norm", premises=(TANGENT_P,)),
    Step("norm_position", NORM_T, rule="norm", premises=(TANGENT_T,)),
    Step("slope", NORM_D, rule="diagonal", premises=(SLOPE,)),
    Step("trace", TRACE),
    Step("growth", GROWTH, rule="substituted", premises=(TRACE, ANGLE)),
    Step("induction", INDUCTION, rule="linear", premises=(NORM_P, NORM_T, NORM_D, SIZE, GROWTH),
         numbers={
             "position": {"use": (1, 0, 2, 3, 5, 6, 4),
                          "multipliers": (1, s, s**2 * sp.Abs(w) * T_I, s**2 * T_I, 1 + s**2 * K, 1,
                                          -T_NEXT)},
             "momentum": {"use": (0, 2, 3, 5, 6, 4),
                          "multipliers": (s, s**2 * sp.Abs(w) * T_I, s**2 * T_I, s**2 * K, 1, -T_NEXT)}}),
    Step("every_step", grown(i), rule="induction", premises=(BASE[0], BASE_SCALED, INDUCTION),
         numbers={"variable": i}),
    Step("position", BOUND_I, rule="part", premises=(grown(i),)),
    Step("bound", BOUND, rule="instance", premises=(BOUND_I,), numbers={"values": {i: N}}),
    Step("below_exponential", BELOW_EXP, rule="rising", numbers={"variable": x, "order": 1}),
    Step("above_one", ABOVE_ONE, rule="rising", numbers={"variable": x, "order": 2}),
    Step("below_exponential_at_N", BELOW_EXP_N, rule="instance", premises=(BELOW_EXP,),
         numbers={"values": {x: TOP}}),
    Step("above_one_at_half", ABOVE_ONE_HALF, rule="instance", premises=(ABOVE_ONE,),
         numbers={"values": {x: theta / 2}}),
    Step("exponential_in_angle", IN_ANGLE, rule="linear", premises=(BELOW_EXP_N, ABOVE_ONE_HALF),
         numbers={"multipliers": (1 / sp.cosh(theta / 2), sp.exp(TOP) / sp.cosh(theta / 2))}),
    Step("below_sinh", BELOW_SINH, rule="rising", numbers={"variable": x, "order": 3}),
    Step("half_angle", HALF_ANGLE, rule="instance", premises=(BELOW_SINH,),
         numbers={"values": {x: theta / 2}}),
    Step("angle_below", BELOW, rule="linear", premises=(HALF_ANGLE, ANGLE), numbers={"multipliers": (2, -2)}),
    Step("times", TIMES, rule="linear", premises=(BELOW,), numbers={"multipliers": (N + HALF,)}),
    Step("exponential_increases", RISING),
    Step("exponential_in_k", IN_K, rule="monotone", premises=(TIMES, RISING),
         numbers={"function": sp.exp(x), "variable": x}),
    Step("exponential", EXPONENTIAL, rule="linear", premises=(IN_ANGLE, IN_K)),
    Step("conclusion", STATEMENT, rule="conjunction", premises=PARTS),
)  # fmt: skip

PROPOSITION = Proposition(
    name="unicornn_step",
    title="One step of UnICORNN",
    statement=STATEMENT,
    hypotheses={"cell": CELL, "slope": SLOPE, "smooth": SMOOTH, "start": START, "size": SIZE, "angle": ANGLE},
    source="ours; UnICORNN, Rusch and Mishra 2021",
    rests_on=("theorem_b",),
    steps=STEPS,
    mutants=(
        Mutant("no_linear_term", "k without α", {"constant": sp.Integer(0)}),
        Mutant("plus", "entry 1 + s²k", {"corner": 1}),
        Mutant("scaled", "2J", {"scale": sp.Integer(2)}),
        Mutant("wrong_inverse", "y = y' + s z'", {"update": 1}),
        Mutant("hill", "potential with −αy²/2", {"sign": -1}),
        Mutant("limit_five", "stability limit 5", {"limit": 5}),
        *sharper(STEPS),
    ),
)
