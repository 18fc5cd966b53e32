"""Flow, any dimension, any initial value, any forcing: ‖∂y(t)/∂y(0)‖ ≤ cosh(√(L‖W‖) t), where L = sup|σ'|.

The variational equation is an integral equation, whose norm is compared with the one that cosh solves;
equality for σ = identity, d = 1, W > 0.
"""

from __future__ import annotations

import sympy as sp

from integrators.fields.activations import ACTIVATIONS
from proofs.kernel.formulas import All, AtMost, Equal, Formula, all_of, claim, identity, limit_is
from proofs.kernel.mutants import sharper
from proofs.kernel.norms import Acceleration, Curvature, D, T, W, force, norm
from proofs.kernel.rules import SMOOTH
from proofs.majorant import L
from proofs.proposition import Mutant, Proposition, Role, Step
from proofs.theorems.theorem_b import SLOPE, START

t, r, omega = sp.symbols("t r omega", positive=True)
w = norm(W)

FLOW = Equal(Acceleration(t), force(t)).called("ÿ(t) = σ(Wy(t) + v(t)), v(t) = Vx(t) + b")
RATE = Equal(omega**2, L * w)
VARIATIONAL = Equal(Curvature(t), D(t) * W * T(t))
INTEGRAL = Equal(T(t), 1 + sp.Integral((t - r) * D(r) * W * T(r), (r, 0, t)))
NORM = AtMost(norm(T(t)), 1 + sp.Integral((t - r) * norm(D(r)) * w * norm(T(r)), (r, 0, t)))
NORM_D = AtMost(norm(D(r)), L)
SOLUTION = Equal(sp.cosh(omega * t), 1 + sp.Integral(omega**2 * (t - r) * sp.cosh(omega * r), (r, 0, t)))
IN_OMEGA = AtMost(norm(T(t)), sp.cosh(omega * t))


@claim
def attained(activation: str = "identity") -> Formula:
    """σ = id, d = 1, W = ω² > 0: S = cosh(ωt) solves S'' = WS, and L‖W‖ = ω² from the shipped record."""
    record = ACTIVATIONS[activation]
    z = sp.Symbol("z", real=True)
    slope = sp.diff(record.symbolic(z), z)
    S = sp.cosh(omega * t)
    return all_of(
        {
            "L": identity(sp.nsimplify(record.lipschitz), 1),
            "S'' = W σ' S": identity(sp.diff(S, t, 2), omega**2 * slope * S),
            "S(0)": identity(S.subs(t, 0), 1),
            "S'(0)": identity(sp.diff(S, t).subs(t, 0), 0),
        }
    )


@claim
def exponential(rate: sp.Expr = omega) -> Formula:
    """e^{−ωt} cosh(ωt) → ½: the bound grows like e^{√(L‖W‖) t}/2, no faster."""
    scaled = (sp.cosh(omega * t) * sp.exp(-rate * t)).rewrite(sp.exp).expand()
    return limit_is(scaled.subs(omega, 1), t, sp.oo, sp.Rational(1, 2))


ATTAINED = Step("attained", "σ = identity, d = 1, W = ω² > 0 attains it", attained, role=Role.REMARK)
GROWTH = Step("exponential", "the bound is asymptotically e^{ωt}/2, here in units where ω = 1", exponential,
              role=Role.REMARK)  # fmt: skip
PARTS = (IN_OMEGA, ATTAINED.claim, GROWTH.claim)
STATEMENT = All.of(*PARTS).called(
    "‖∂y(t)/∂y(0)‖ ≤ cosh(ωt), ω = √(L‖W‖), for ÿ = σ(Wy + Vx(t) + b), any d, W, b, input and initial "
    "value; T_t is "
    "∂y(t)/∂y(0)"
)
IN_TIME = {"variable": r, "time": t}
STEPS = (
    Step("variational", VARIATIONAL, rule="differentiated", premises=(FLOW, SMOOTH),
         axioms=("mixed_partials",)),
    Step("start_position", START.parts()[0], rule="part", premises=(START,)),
    Step("start_velocity", START.parts()[1], rule="part", premises=(START,)),
    Step("integral_form", INTEGRAL, rule="twice_integrated", premises=(VARIATIONAL, *START.parts()),
         axioms=("picard_unique",), numbers=IN_TIME),
    Step("norm", NORM, rule="norm_of_integral", premises=(INTEGRAL,), numbers=IN_TIME),
    Step("slopes", NORM_D, rule="diagonal", premises=(SLOPE,)),
    Step("majorant", SOLUTION, rule="solves", numbers=IN_TIME),
    Step("bound", IN_OMEGA, rule="comparison", premises=(NORM, NORM_D, RATE, SOLUTION), numbers=IN_TIME),
    ATTAINED,
    GROWTH,
    Step("conclusion", STATEMENT, rule="conjunction", premises=PARTS),
)  # fmt: skip

PROPOSITION = Proposition(
    name="theorem_a",
    title="Theorem A: growth of the flow's sensitivity",
    statement=STATEMENT,
    hypotheses={"flow": FLOW, "slope": SLOPE, "smooth": SMOOTH, "start": START, "rate": RATE},
    source="ours; replaces Theorem 3.2",
    steps=STEPS,
    mutants=(
        Mutant("tanh_attains", "σ = tanh said to attain the bound at every y", {"activation": "tanh"}),
        Mutant("double_rate", "growth e^{2ωt}/2", {"rate": 2 * omega}),
        *sharper(STEPS),
    ),
)
