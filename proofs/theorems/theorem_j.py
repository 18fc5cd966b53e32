"""Gradients by parameters: ‖∂y_N/∂b‖ ≤ (s_N − 1)/‖W‖ with the majorant s_N of theorem E, and ‖∂y_N/∂W‖ by the
same majorant with the source ‖y‖ that lemma 3.1 bounds.
"""

from __future__ import annotations

import sympy as sp

from proofs.blocks import eps
from proofs.kernel.formulas import All, AtMost, Equal, Formula, Implies, claim, identities
from proofs.kernel.mutants import sharper
from proofs.kernel.norms import D, P, Source, T, W, force, norm, p, y
from proofs.kernel.rules import SMOOTH
from proofs.majorant import L
from proofs.proposition import Mutant, Proposition, Role, Step
from proofs.symbols import dsigma, sigma, square, vector
from proofs.theorems.theorem_b import SLOPE, i
from proofs.theorems.theorem_e import DRIFT, KICK, NORM_D, NORM_T, TANGENT_DRIFT, A, B, a_s, b_s, w

ONE = sp.Integer(1)
size = sp.Symbol("size", nonnegative=True)
beta, delta, radius, most, rho, pi = sp.symbols("beta delta r most rho pi_", nonnegative=True)

SIZE = AtMost(norm(Source(i)), radius).called(
    "by b: r_i = I, of norm 1; by W_jk: r_i = y_k e_j, of norm ≤ ‖y_i‖"
)
FORCE = AtMost(norm(force(i)), most)
TANGENT_KICK = Equal(P(i + 1), P(i) + b_s * eps * D(i) * W * T(i) + b_s * eps * D(i) * Source(i))
NORM_KICK = AtMost(
    norm(P(i + 1)), norm(P(i)) + B * norm(D(i)) * w * norm(T(i)) + B * norm(D(i)) * norm(Source(i))
)
BEFORE = All({"position": AtMost(norm(T(i)), beta), "momentum": AtMost(norm(P(i)), delta)})
DRIFT_STEP = Implies(BEFORE, AtMost(norm(T(i + 1)), beta + A * delta))
KICK_STEP = Implies(BEFORE, AtMost(norm(P(i + 1)), delta + B * L * (w * beta + radius)))
STATES = All({"position": AtMost(norm(y(i)), rho), "momentum": AtMost(norm(p(i)), pi)})
NORM_Y = AtMost(norm(y(i + 1)), norm(y(i)) + A * norm(p(i)))
NORM_VELOCITY = AtMost(norm(p(i + 1)), norm(p(i)) + B * norm(force(i)))
Y_STEP = Implies(STATES, AtMost(norm(y(i + 1)), rho + A * pi))
VELOCITY_STEP = Implies(STATES.parts()[1], AtMost(norm(p(i + 1)), pi + B * most))


@claim
def source(with_source: int = 1) -> Formula:
    """The kick b ε σ(W y + x + b) by b and by W (d = 2): D (W ∂y + I) and D (W ∂y + y_j e_i)."""
    d = 2
    bias, weights, drive = vector("b", d), square("W", d), vector("x", d)
    now = sp.Matrix([sp.Function(f"now{k}", real=True)(*bias) for k in range(d)])
    u = weights * now + drive + sp.Matrix(bias)
    slopes = sp.diag(*u.applyfunc(dsigma))
    by_b = u.applyfunc(sigma).jacobian(bias)
    entry = weights[0, 1]
    moved = sp.Matrix([sp.Function(f"y{k}", real=True)(entry) for k in range(d)])
    v = weights * moved + drive
    by_entry = v.applyfunc(sigma).diff(entry)
    expected = sp.diag(*v.applyfunc(dsigma)) * (
        weights * moved.diff(entry) + with_source * sp.Matrix([moved[1], 0])
    )
    return identities(
        {
            "by b": (by_b, slopes * (weights * now.jacobian(bias) + with_source * sp.eye(d))),
            "by W_01": (by_entry, expected),
        }
    )


@claim
def closed_form(offset: sp.Expr = ONE) -> Formula:
    """For r = 1: β = (s − 1)/‖W‖ and δ = u/‖W‖ turn theorem E's recursion into this one, (1, 0) to (0, 0)."""
    s, u = sp.symbols("s u", nonnegative=True)
    weight = sp.Symbol("w", positive=True)
    to_beta = (s - offset) / weight
    return identities(
        {
            "start": (to_beta.subs(s, 1), 0),
            "kick": (
                (u + size * eps * L * weight * s) / weight,
                u / weight + size * eps * L * (weight * to_beta + 1),
            ),
            "drift": ((s + size * eps * u - offset) / weight, to_beta + size * eps * (u / weight)),
        }
    )


@claim
def attained(slope: sp.Expr = ONE) -> Formula:
    """σ = id, d = 1, W > 0: a kick by b is βW + 1 itself, so that both recursions are equalities."""
    weight = sp.Symbol("W", positive=True)
    return identities({"kick": (slope * (weight * beta + 1), weight * beta + 1)})


COMPUTED = (
    Step("source", "a kick has the derivative D (W ∂y + I) by b, D (W ∂y + y_j e_i) by W (d = 2)", source,
         axioms=("chain_rule",), premises=(SMOOTH,)),
    Step("closed_form", "by b: β_N = (s_N − 1)/‖W‖", closed_form, axioms=("induction",)),
    Step("attained", "σ = identity, d = 1, W > 0 attains the bound by b", attained, role=Role.REMARK),
)  # fmt: skip
PARTS = (DRIFT_STEP, KICK_STEP, Y_STEP, VELOCITY_STEP, *(step.claim for step in COMPUTED))
STATEMENT = All.of(*PARTS).called(
    "for ÿ = σ(W y + V x + b) and every scheme of drifts and kicks ‖∂y_N/∂b‖ ≤ (s_N − 1)/‖W‖, s_N the "
    "majorant of "
    "theorem E; ‖∂y_N/∂W‖ ≤ β_N, the same recursion with the source L‖y‖, ‖y‖ by lemma 3.1; here T_i "
    "and P_i are "
    "the derivatives of y_i and p_i by the parameter"
)
OPERATION = {"weights": (a_s, b_s), "index": i}
STEPS = (
    *COMPUTED,
    Step("drift", DRIFT, rule="program", numbers=OPERATION),
    Step("kick", KICK, rule="program", numbers=OPERATION),
    Step("derivative_drift", TANGENT_DRIFT, rule="differentiated", premises=(DRIFT, SMOOTH)),
    Step("derivative_kick", TANGENT_KICK, rule="differentiated", premises=(KICK, SMOOTH),
         numbers={"source": Source}),
    Step("norm_drift", NORM_T, rule="norm", premises=(TANGENT_DRIFT,)),
    Step("norm_kick", NORM_KICK, rule="norm", premises=(TANGENT_KICK,)),
    Step("slopes", NORM_D, rule="diagonal", premises=(SLOPE,)),
    Step("drift_step", DRIFT_STEP, rule="linear", premises=(NORM_T,), numbers={"multipliers": (1, 1, A)}),
    Step("kick_step", KICK_STEP, rule="linear", premises=(NORM_KICK, NORM_D, SIZE),
         numbers={"multipliers": (1, B * w * norm(T(i)) + B * norm(Source(i)), B * L, B * L * w, 1)}),
    Step("norm_y", NORM_Y, rule="norm", premises=(DRIFT,)),
    Step("norm_velocity", NORM_VELOCITY, rule="norm", premises=(KICK,)),
    Step("y_step", Y_STEP, rule="linear", premises=(NORM_Y,), numbers={"multipliers": (1, 1, A)}),
    Step("velocity_step", VELOCITY_STEP, rule="linear", premises=(NORM_VELOCITY, FORCE),
         numbers={"multipliers": (1, B, 1)}),
    Step("conclusion", STATEMENT, rule="conjunction", premises=PARTS, axioms=("induction",)),
)  # fmt: skip

PROPOSITION = Proposition(
    name="theorem_j",
    title="Theorem J: gradients by b and W",
    statement=STATEMENT,
    hypotheses={"slope": SLOPE, "smooth": SMOOTH, "size": SIZE, "force": FORCE},
    source="ours",
    rests_on=("theorem_e", "lemma_3_1_discrete"),
    steps=STEPS,
    mutants=(
        Mutant("no_source", "no source term", {"with_source": 0}),
        Mutant("no_offset", "β = s/‖W‖", {"offset": sp.Integer(0)}),
        Mutant("half_slope", "σ' = 1/2 said to attain it", {"slope": sp.Rational(1, 2)}),
        *sharper(STEPS),
    ),
)
