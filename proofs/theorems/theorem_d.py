"""Euler recursion (3)/(12): ‖∂y_N/∂y_0‖ ≤ (1 + εL‖W‖)^N ≤ exp(NεL‖W‖), and ‖∂y_N/∂y_0 − I‖ ≤ the same minus
1.

So ε = c/N keeps the Euler network's gradient bounded as well; what separates it from the second-order network
is growth at large T = Nε, and only when L‖W‖ > 1.
"""

from __future__ import annotations

import sympy as sp

from integrators.fields.activations import ACTIVATIONS
from proofs.blocks import eps
from proofs.kernel.formulas import All, AtMost, Equal, Formula, Implies, all_of, claim, identities, identity
from proofs.kernel.mutants import sharper
from proofs.kernel.norms import D, E, T, W, force, norm, y
from proofs.kernel.rules import SMOOTH
from proofs.majorant import L, N
from proofs.proposition import Mutant, Proposition, Role, Step
from proofs.theorems.theorem_b import SLOPE, i

x, z = sp.symbols("x z", nonnegative=True)
c = sp.Symbol("c", positive=True)
w = norm(W)

START = Equal(T(0), 1)
RATE = Equal(x, eps * L * w)
DEVIATION = Equal(E(i), T(i) - 1)
STEP_SIZE = Equal(eps, c / N)
DEVIATION_0, DEVIATION_NEXT = DEVIATION.at({i: 0}), DEVIATION.at({i: i + 1})
EULER = Equal(y(i + 1), y(i) + eps * force(i))
TANGENT = Equal(T(i + 1), T(i) + eps * D(i) * W * T(i))
E_0, E_NEXT = Equal(E(0), 0), Equal(E(i + 1), E(i) + eps * D(i) * W * T(i))
NORM_START, NORM_E_0 = AtMost(norm(T(0)), 1), AtMost(norm(E(0)), 0)
NORM_T = AtMost(norm(T(i + 1)), norm(T(i)) + eps * norm(D(i)) * w * norm(T(i)))
NORM_E = AtMost(norm(E(i + 1)), norm(E(i)) + eps * norm(D(i)) * w * norm(T(i)))
NORM_D = AtMost(norm(D(i)), L)


def grown(index: sp.Expr) -> All:
    """‖T_i‖ ≤ (1 + x)^i and ‖T_i − I‖ ≤ (1 + x)^i − 1."""
    rate = (1 + x) ** index
    return All({"norm": AtMost(norm(T(index)), rate), "deviation": AtMost(norm(E(index)), rate - 1)})


INDUCTION = Implies(grown(i), grown(i + 1))
BOUND, NEAR = grown(N).parts()
TANGENT_LINE = AtMost(1 + x, sp.exp(x))
RISING = AtMost(0, N * z ** (N - 1))
IN_X = AtMost((1 + x) ** N, sp.exp(x) ** N)
EXPONENTIAL = AtMost((1 + eps * L * w) ** N, sp.exp(N * eps * L * w))
UNIFORM = AtMost((1 + c / N * L * w) ** N, sp.exp(c * L * w))


@claim
def attained(activation: str = "identity") -> Formula:
    """σ = id, d = 1, W > 0: ∂y_i/∂y_0 = (1 + εW)^i, and L‖W‖ = W."""
    weight, u = sp.Symbol("W", positive=True), sp.Symbol("u", real=True)
    record = ACTIVATIONS[activation]
    T = (1 + eps * weight) ** i
    slope = sp.diff(record.symbolic(u), u)
    recursion = (T.subs(i, i + 1) / T).simplify()
    return identities(
        {"recursion": (recursion, 1 + eps * slope * weight), "L": (sp.nsimplify(record.lipschitz), 1)}
    )


@claim
def exponents(crossover: sp.Expr = sp.Integer(1)) -> Formula:
    """L‖W‖ − √(L‖W‖) = q(q − 1) with q = √(L‖W‖): it is 0 at q = 1, and q beyond is larger."""
    q = sp.Symbol("q", positive=True)
    beyond = sp.Symbol("beyond", nonnegative=True)
    gap = q**2 - q
    return all_of(
        {
            "equal": identity(gap.subs(q, crossover), 0),
            "larger beyond": AtMost(0, gap.subs(q, crossover + beyond)),
            "smaller below": AtMost(0, -gap.subs(q, crossover / (1 + beyond))),
        }
    )


ATTAINED = Step("attained", "σ = identity, d = 1, W > 0 attains (1 + εL‖W‖)^N", attained, role=Role.REMARK)
EXPONENTS = Step("exponents", "L‖W‖ is at least √(L‖W‖), the exponent of theorem A, exactly when L‖W‖ ≥ 1",
                 exponents, role=Role.REMARK)  # fmt: skip
PARTS = (BOUND, NEAR, EXPONENTIAL, UNIFORM, ATTAINED.claim, EXPONENTS.claim)
STATEMENT = All.of(*PARTS).called(
    "for (3) and (12), T_N = ∂y_N/∂y_0, every ε > 0, d, W, V, b, input and initial value, with x = εL‖W‖"
)
STEPS = (
    Step("euler", EULER, rule="program", numbers={"scheme": "euler", "index": i}),
    Step("tangent", TANGENT, rule="differentiated", premises=(EULER, SMOOTH)),
    Step("deviation_start", DEVIATION_0, rule="instance", premises=(DEVIATION,), numbers={"values": {i: 0}}),
    Step("deviation_next", DEVIATION_NEXT, rule="instance", premises=(DEVIATION,),
         numbers={"values": {i: i + 1}}),
    Step("start", E_0, rule="linear", premises=(DEVIATION_0, START)),
    Step("recursion", E_NEXT, rule="linear", premises=(DEVIATION_NEXT, DEVIATION, TANGENT),
         numbers={"multipliers": (1, -1, 1)}),
    Step("norm_start", NORM_START, rule="norm", premises=(START,)),
    Step("norm_deviation_start", NORM_E_0, rule="norm", premises=(E_0,)),
    Step("norm", NORM_T, rule="norm", premises=(TANGENT,)),
    Step("norm_deviation", NORM_E, rule="norm", premises=(E_NEXT,)),
    Step("slopes", NORM_D, rule="diagonal", premises=(SLOPE,)),
    Step("induction", INDUCTION, rule="linear", premises=(NORM_T, NORM_E, NORM_D, RATE),
         numbers={"norm": {"use": (0, 2, 3, 4), "multipliers": (1, eps * w * norm(T(i)), norm(T(i)), 1 + x)},
                  "deviation": {"use": (1, 2, 3, 4, 5),
                                "multipliers": (1, eps * w * norm(T(i)), norm(T(i)), x, 1)}}),
    Step("every_step", grown(i), rule="induction", premises=(NORM_START, NORM_E_0, INDUCTION),
         numbers={"variable": i}),
    Step("at_N", grown(N), rule="instance", premises=(grown(i),), numbers={"values": {i: N}}),
    Step("bound", BOUND, rule="part", premises=(grown(N),)),
    Step("deviation", NEAR, rule="part", premises=(grown(N),)),
    Step("below_exponential", TANGENT_LINE, rule="rising", numbers={"variable": x, "order": 2}),
    Step("power_increases", RISING),
    Step("exponential_in_x", IN_X, rule="monotone", premises=(TANGENT_LINE, RISING),
         numbers={"function": z**N, "variable": z}),
    Step("exponential", EXPONENTIAL, rule="substituted", premises=(IN_X, RATE)),
    Step("uniform", UNIFORM, rule="substituted", premises=(EXPONENTIAL, STEP_SIZE)),
    ATTAINED,
    EXPONENTS,
    Step("conclusion", STATEMENT, rule="conjunction", premises=PARTS),
)  # fmt: skip

PROPOSITION = Proposition(
    name="theorem_d",
    title="Theorem D: the Euler network",
    statement=STATEMENT,
    hypotheses={"slope": SLOPE, "smooth": SMOOTH, "start": START, "rate": RATE, "deviation": DEVIATION,
                "step": STEP_SIZE},
    source="ours; for recursions (3) and (12)",
    steps=STEPS,
    mutants=(
        Mutant("tanh_attains", "σ = tanh said to attain the bound", {"activation": "tanh"}),
        Mutant("late_crossover", "exponents said to be equal at √(L‖W‖) = 2", {"crossover": sp.Integer(2)}),
        *sharper(STEPS),
    ),
)  # fmt: skip
