"""Recursion (11)/(13), any step, dimension, input: ‖∂y_N/∂y_0‖ ≤ C_N(1 + a/2) ≤ cosh(Nε√(L‖W‖)), a = ε²L‖W‖.

C_N is the Chebyshev polynomial of the first kind, C_N(1 + a/2) = cosh(Nθ). The equations are those of the
shipped leapfrog, differentiated by rule. Attained by σ = identity, d = 1, W > 0, so the bound is sharp.
"""

from __future__ import annotations

import sympy as sp

from integrators.fields.activations import ACTIVATIONS
from proofs.blocks import drift, eps, flows, kick, product
from proofs.kernel.formulas import All, AtMost, Equal, Formula, Implies, claim, identities
from proofs.kernel.mutants import sharper
from proofs.kernel.norms import D, P, T, W, force, norm, p, y
from proofs.kernel.rules import SMOOTH
from proofs.majorant import L, N, a, majorant
from proofs.proposition import Mutant, Proposition, Role, Step
from proofs.symbols import dsigma

HALF = sp.Rational(1, 2)
i = sp.Symbol("i", integer=True, nonnegative=True)
u, x = sp.Symbol("u", real=True), sp.Symbol("x", nonnegative=True)
theta = sp.Symbol("theta", nonnegative=True)
w = norm(W)

SLOPE = AtMost(sp.Abs(dsigma(u)), L)
START = All({"position": Equal(T(0), 1), "velocity": Equal(P(0), 0)})
RATE = Equal(a, eps**2 * L * w)
ANGLE = Equal(sp.sinh(theta / 2), sp.sqrt(a) / 2)


def grown(index: sp.Expr) -> All:
    """‖T_i‖ ≤ cosh(iθ), and ε‖P_{i+1}‖ = ‖T_{i+1} − T_i‖ ≤ cosh((i + 1)θ) − cosh(iθ)."""
    low, high = sp.cosh(index * theta), sp.cosh((index + 1) * theta)
    return All({"position": AtMost(norm(T(index)), low),
                "increment": AtMost(eps * norm(P(index + 1)), high - low)})  # fmt: skip


KICK_0 = Equal(p(1), p(0) + eps / 2 * force(0))
DRIFT = Equal(y(i + 1), y(i) + eps * p(i + 1))
KICK = Equal(p(i + 2), p(i + 1) + eps * force(i + 1))
TANGENT_0 = Equal(P(1), P(0) + eps / 2 * D(0) * W * T(0))
TANGENT_DRIFT = Equal(T(i + 1), T(i) + eps * P(i + 1))
TANGENT_KICK = Equal(P(i + 2), P(i + 1) + eps * D(i + 1) * W * T(i + 1))
FIRST = Equal(P(1), eps / 2 * D(0) * W)
NORM_START = AtMost(norm(T(0)), 1)
NORM_FIRST = AtMost(norm(P(1)), eps / 2 * norm(D(0)) * w)
NORM_DRIFT = AtMost(norm(T(i + 1)), norm(T(i)) + eps * norm(P(i + 1)))
NORM_KICK = AtMost(norm(P(i + 2)), norm(P(i + 1)) + eps * norm(D(i + 1)) * w * norm(T(i + 1)))
SLOPE_0, SLOPE_NEXT = AtMost(norm(D(0)), L), AtMost(norm(D(i + 1)), L)
TRACE = Equal(4 * sp.sinh(theta / 2) ** 2, 2 * sp.cosh(theta) - 2)
GROWTH = Equal(a, 2 * sp.cosh(theta) - 2)
FIRST_INCREMENT = AtMost(eps * norm(P(1)), sp.cosh(theta) - 1)
INDUCTION = Implies(grown(i), grown(i + 1))
BOTH = grown(i)
BOUND_I, BOUND = grown(i).parts()[0], grown(N).parts()[0]
BELOW_SINH = AtMost(x, sp.sinh(x))
HALF_ANGLE = AtMost(theta / 2, sp.sinh(theta / 2))
BELOW = AtMost(theta, sp.sqrt(a))
TIMES = AtMost(N * theta, N * sp.sqrt(a))
RISING = AtMost(0, sp.sinh(x))
IN_A = AtMost(sp.cosh(N * theta), sp.cosh(N * sp.sqrt(a)))
EXPONENTIAL = AtMost(sp.cosh(N * theta), sp.cosh(N * eps * sp.sqrt(L * w)))


@claim
def polynomials(shift: sp.Expr = a / 2, highest: int = 12) -> Formula:
    """The majorant with equalities is SymPy's Chebyshev polynomial at 1 + a/2, coefficient by coefficient."""
    return identities(
        {str(n): (value, sp.chebyshevt(n, 1 + shift)) for n, value in enumerate(majorant(highest))}
    )


@claim
def attained(steps: int = 7, activation: str = "identity", curvature: int = 1) -> Formula:
    """σ = id, d = 1, W > 0, with the shipped leapfrog weights: ∂y_n/∂y_0 = C_n(1 + ε²W/2), exactly."""
    weight, z = sp.Symbol("W", positive=True), sp.Symbol("z", real=True)
    slope = sp.diff(ACTIVATIONS[activation].symbolic(z), z) * weight * curvature
    stage = {"drift": drift, "kick": lambda b: kick(b, slope)}
    M = product([stage[kind](b) for kind, b in flows("leapfrog")])
    state, pairs = sp.Matrix([1, 0]), {}
    for n in range(1, steps + 1):
        state = (M * state).applyfunc(sp.expand)
        pairs[f"N = {n}"] = (state[0], sp.chebyshevt(n, 1 + eps**2 * weight / 2))
    pairs["trace, so every N"] = (M.trace(), 2 + eps**2 * weight)
    pairs["det, so every N"] = (M.det(), 1)
    return identities(pairs)


POLYNOMIALS = Step("polynomials", "C_i(1 + a/2) is the majorant, i ≤ 12, expanded", polynomials)
ATTAINED = Step("attained", "σ = identity, d = 1, W > 0 attains C_N(1 + a/2) with the shipped leapfrog",
                attained, role=Role.REMARK)  # fmt: skip
STATEMENT = All.of(BOUND, EXPONENTIAL, POLYNOMIALS.claim, ATTAINED.claim).called(
    "for (11) and (13), T_N = ∂y_N/∂y_0: ‖T_N‖ ≤ C_N(1 + a/2) = cosh(Nθ) ≤ cosh(Nε√(L‖W‖)) with a = ε²L‖W‖ "
    "and the Chebyshev polynomial C_N, for every ε > 0, N, d, W, V, b, input and initial value; the first "
    "bound is attained"
)
LEAPFROG = {"scheme": "leapfrog", "index": i}
C = sp.cosh((i + 1) * theta)

STEPS = (
    Step("first_kick", KICK_0, rule="program", numbers=LEAPFROG),
    Step("drift", DRIFT, rule="program", numbers=LEAPFROG),
    Step("kick", KICK, rule="program", numbers=LEAPFROG),
    Step("tangent_first_kick", TANGENT_0, rule="differentiated", premises=(KICK_0, SMOOTH)),
    Step("tangent_drift", TANGENT_DRIFT, rule="differentiated", premises=(DRIFT, SMOOTH)),
    Step("tangent_kick", TANGENT_KICK, rule="differentiated", premises=(KICK, SMOOTH)),
    Step("start_position", START.parts()[0], rule="part", premises=(START,)),
    Step("start_velocity", START.parts()[1], rule="part", premises=(START,)),
    Step("first_velocity", FIRST, rule="substituted", premises=(TANGENT_0, *START.parts())),
    Step("norm_start", NORM_START, rule="norm", premises=(START.parts()[0],)),
    Step("norm_first", NORM_FIRST, rule="norm", premises=(FIRST,)),
    Step("norm_drift", NORM_DRIFT, rule="norm", premises=(TANGENT_DRIFT,)),
    Step("norm_kick", NORM_KICK, rule="norm", premises=(TANGENT_KICK,)),
    Step("slope_first", SLOPE_0, rule="diagonal", premises=(SLOPE,)),
    Step("slope_next", SLOPE_NEXT, rule="diagonal", premises=(SLOPE,)),
    Step("trace", TRACE),
    Step("growth", GROWTH, rule="substituted", premises=(TRACE, ANGLE)),
    Step("first_increment", FIRST_INCREMENT, rule="linear",
         premises=(NORM_FIRST, SLOPE_0, RATE, GROWTH),
         numbers={"multipliers": (eps, eps**2 * w / 2, HALF, -HALF)}),
    Step("induction", INDUCTION, rule="linear",
         premises=(NORM_DRIFT, NORM_KICK, SLOPE_NEXT, RATE, GROWTH),
         numbers={"position": {"use": (0, 5, 6), "multipliers": (1, 1, 1)},
                  "increment": {"use": (1, 2, 3, 0, 5, 6, 4),
                                "multipliers": (eps, eps**2 * w * norm(T(i + 1)), norm(T(i + 1)), a, a,
                                                1 + a, -C)}}),
    Step("every_step", BOTH, rule="induction", premises=(NORM_START, FIRST_INCREMENT, INDUCTION),
         numbers={"variable": i}),
    Step("position", BOUND_I, rule="part", premises=(BOTH,)),
    Step("bound", BOUND, rule="instance", premises=(BOUND_I,), numbers={"values": {i: N}}),
    Step("below_sinh", BELOW_SINH, rule="rising", numbers={"variable": x, "order": 3}),
    Step("half_angle", HALF_ANGLE, rule="instance", premises=(BELOW_SINH,),
         numbers={"values": {x: theta / 2}}),
    Step("angle_below", BELOW, rule="linear", premises=(HALF_ANGLE, ANGLE), numbers={"multipliers": (2, -2)}),
    Step("times", TIMES, rule="linear", premises=(BELOW,), numbers={"multipliers": (N,)}),
    Step("cosh_increases", RISING, rule="rising", numbers={"variable": x, "order": 1}),
    Step("exponential_in_a", IN_A, rule="monotone", premises=(TIMES, RISING),
         numbers={"function": sp.cosh(x), "variable": x}),
    Step("exponential", EXPONENTIAL, rule="substituted", premises=(IN_A, RATE)),
    POLYNOMIALS,
    ATTAINED,
    Step("conclusion", STATEMENT, rule="conjunction",
         premises=(BOUND, EXPONENTIAL, POLYNOMIALS.claim, ATTAINED.claim)),
)  # fmt: skip

PROPOSITION = Proposition(
    name="theorem_b",
    title="Theorem B: growth of the recursion's gradient",
    statement=STATEMENT,
    hypotheses={"slope": SLOPE, "smooth": SMOOTH, "start": START, "rate": RATE, "angle": ANGLE},
    source="ours; for recursions (11) and (13)",
    steps=STEPS,
    mutants=(
        Mutant("unhalved", "C_i(1 + a)", {"shift": a}),
        Mutant("attracting", "W < 0 said to attain the bound", {"curvature": -1}),
        *sharper(STEPS),
    ),
)
