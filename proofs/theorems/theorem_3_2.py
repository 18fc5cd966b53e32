"""Bounded sensitivity of the scalar flow: d = 1, |σ| ≤ 1 and ẏ(0) > T give, for S = ∂y(t)/∂y(0) and 0 ≤ t ≤
T,

    |S(t)| ≤ (t + ẏ(0))/ẏ(0) + |σ(Wy(0) + b)| (t + ẏ(0))/(ẏ(0) − t).

Every line of the printed proof is checked, the constant it leaves open is found (C̃ = 1/ẏ(0)), and what the
bound says is read off: with ẏ(0) = κT it does not depend on T, and without ẏ(0) > T the conclusion is false.
"""

from __future__ import annotations

import sympy as sp

from integrators.fields.activations import ACTIVATIONS
from proofs import decide
from proofs.decision import Decision
from proofs.kernel.formulas import (
    All,
    AtMost,
    Below,
    Formula,
    Known,
    claim,
    identities,
    identity,
    limit_is,
    procedure,
)
from proofs.kernel.mutants import sharper
from proofs.proposition import Mutant, Proposition, Role, Step, Verdict

t, r, T, W = sp.symbols("t r T W", positive=True)
y0, b = sp.symbols("y0 b", real=True)
v0 = sp.Symbol("v0", positive=True)
gap = sp.Symbol("gap", positive=True)
sigma0 = sp.Symbol("sigma0", nonnegative=True)
slope0 = sp.Symbol("f0", real=True)
C = sp.Symbol("C", real=True)
sigma, f = sp.Function("sigma", real=True), sp.Function("f", real=True)
y, v = sp.Function("y", real=True), sp.Function("v", positive=True)
PRINTED = (t + v0) / v0 + sigma0 * (t + v0) / (v0 - t)


@claim
def energy(potential_sign: int = -1) -> Formula:
    """H = ½ẏ² + f(y) with f' = −σ(W· + b) has dH/dt = 0 along ÿ = σ(Wy + b)."""
    force = sigma(W * y(t) + b)
    rate = sp.diff(sp.diff(y(t), t) ** 2 / 2 + f(y(t)), t)
    along = {sp.diff(y(t), t, 2): force, sp.diff(f(y(t)), y(t)): potential_sign * force}
    return identity(rate.subs(along), 0)


@claim
def differentiated(force_sign: int = -1) -> Formula:
    """½ẏ² + f(y) = ½ẏ(0)² + f(y_0), differentiated in y_0, with f'(y) = −ÿ."""
    Y = sp.Function("Y")(t, y0)
    balance = sp.diff(Y, t) ** 2 / 2 + f(Y) - v0**2 / 2 - f(y0)
    derived = sp.diff(balance, y0).doit()
    derived = derived.subs(sp.diff(f(Y), Y), -sp.diff(Y, t, 2))
    S = sp.diff(Y, y0)
    target = sp.diff(Y, t) * sp.diff(S, t) + force_sign * sp.diff(Y, t, 2) * S - sp.diff(f(y0), y0)
    return identity(derived, target)


def _sensitivity(constant: sp.Expr, power: int = 2) -> sp.Expr:
    return v(t) * (slope0 * sp.Integral(v(r) ** -power, (r, 0, t)) + constant)


@claim
def variation_of_parameters(power: int = 2) -> Formula:
    """S = ẏ (f'(y_0) ∫ ds/ẏ² + C̃) solves (9) for every C̃."""
    S = _sensitivity(C, power)
    return identity(v(t) * sp.diff(S, t) - sp.diff(v(t), t) * S, slope0)


@procedure
def constant(c_tilde: sp.Expr = 1 / v0) -> Decision:
    """S(0) = ẏ(0) C̃ = 1 has the one solution C̃ = 1/ẏ(0)."""
    start = _sensitivity(C).subs(t, 0).doit().subs(v(0), v0)
    solutions = sp.solve(sp.Eq(start, 1), C)
    return decide.all_of(
        {
            "C̃": decide.identity(solutions[0], c_tilde),
            "only one": decide.fact(len(solutions) == 1, solutions, "solved"),
        }
    )


@claim
def start_slope(acceleration_sign: int = -1) -> Formula:
    """∂S/∂t(0) = ÿ(0) C̃ + f'(y_0)/ẏ(0) vanishes, because ÿ(0) = −f'(y_0)."""
    slope = sp.diff(_sensitivity(1 / v0), t).subs(sp.diff(v(t), t), acceleration_sign * slope0)
    return identity(slope.subs(t, 0).doit().subs(v(0), v0), 0)


@claim
def second_order(chain_factor: sp.Expr = W) -> Formula:
    """S'' = (d³y/dt³ / ẏ) S = W σ'(Wy + b) S."""
    S = _sensitivity(C)
    acceleration = sigma(W * y(t) + b)
    rates = {
        sp.diff(v(t), t, 2): sp.diff(acceleration, t).doit().subs(sp.diff(y(t), t), v(t)),
        sp.diff(v(t), t): acceleration,
    }
    u = sp.Dummy("u")
    slope = sp.diff(sigma(u), u).subs(u, W * y(t) + b)
    return identity(sp.diff(S, t, 2).subs(rates), chain_factor * slope.doit() * S)


@claim
def integral(at_zero: sp.Expr = 1 / v0) -> Formula:
    """∫_0^t ds/(ẏ(0) − s)² = 1/(ẏ(0) − t) − 1/ẏ(0): same derivative, same value at 0."""
    closed = 1 / (v0 - t) - at_zero
    return identities({"derivative": (sp.diff(closed, t), 1 / (v0 - t) ** 2), "at 0": (closed.subs(t, 0), 0)})


@claim
def free_of_length(exponent: int = 0) -> Formula:
    """At t = T, ẏ(0) = κT, κ > 1 the bound is (κ + 1)(κ − 1 + κ|σ_0|)/(κ(κ − 1)): no T in it."""
    kappa = sp.Symbol("kappa", positive=True)
    value = PRINTED.subs({v0: kappa * T, t: T})
    closed = (kappa + 1) * (kappa - 1 + kappa * sigma0) / (kappa * (kappa - 1)) * T**exponent
    return identities({"value": (value, closed), "derivative in T": (sp.diff(value, T), 0)})


@claim
def finite_horizon(blow_up: sp.Expr = sp.oo) -> Formula:
    """For fixed ẏ(0) and σ_0 ≠ 0 the bound tends to ∞ already as t → ẏ(0): t → ∞ is never reached."""
    return limit_is(PRINTED.subs(sigma0, sp.Symbol("sigma0", positive=True)), t, v0, blow_up)


@procedure
def cannot_be_dropped(activation: str = "tanh", weight_sign: int = 1) -> Decision:
    """b = y_0 = ẏ(0) = 0: y ≡ 0 is the solution, S = cosh(√W t) its sensitivity, S/(1 + t) unbounded."""
    u = sp.Symbol("u", real=True)
    act = ACTIVATIONS[activation].symbolic
    rate = sp.diff(act(u), u).subs(u, 0) * weight_sign * W
    S = sp.cosh(sp.sqrt(W) * t)
    found = decide.all_of(
        {
            "y = 0 stays": decide.identity(act(sp.Integer(0)), 0),
            "S'' = W σ'(0) S": decide.identity(sp.diff(S, t, 2), rate * S),
            "S(0)": decide.identity(S.subs(t, 0), 1),
            "S'(0)": decide.identity(sp.diff(S, t).subs(t, 0), 0),
            "faster than linear": decide.limit_is(S / (1 + t), t, sp.oo, sp.oo),
        }
    )
    example = {"σ": activation, "W": "any W > 0", "b": 0, "y(0)": 0, "ẏ(0)": 0, "y(t)": 0, "S(t)": S}
    return decide.proved(found.computed, found.note, example) if found.proved else found


@claim
def excludes_rest(initial_velocity: sp.Expr = sp.Integer(0)) -> Formula:
    """A network started from ẏ(0) = 0 violates ẏ(0) > T for every T > 0."""
    return AtMost(0, T - initial_velocity)


FAST = Known("ẏ(0) > T")
SCALAR = Known("d = 1, σ continuous, C¹ where it is differentiated")
WITHIN, WITHIN_T = Below(r, v0), Below(t, v0)
"""0 ≤ r ≤ t ≤ T < ẏ(0)."""
CONE = All({"below": AtMost(v0 - r, v(r)), "above": AtMost(v(t), v0 + t)}).called("Lemma 3.1, from |σ| ≤ 1")
AREA = sp.Integral(v(r) ** -2, (r, 0, t))
LARGEST = 1 / (v0 - t) - 1 / v0
RECIPROCAL = AtMost(v(r) ** -2, (v0 - r) ** -2)
AREA_BOUND = AtMost(AREA, sp.Integral((v0 - r) ** -2, (r, 0, t)))
AREA_CLOSED = AtMost(AREA, LARGEST)
SIZE = v(t) * (sigma0 * AREA + 1 / v0)
SHARP = (t + v0) * (1 / v0 + sigma0 * LARGEST)
FINAL, BOUND = AtMost(SIZE, SHARP), AtMost(SIZE, PRINTED)
COMPUTED = (
    Step("energy", "½ẏ² + f(y), f = −∫σ, is constant along the flow", energy, axioms=("chain_rule",),
         premises=(SCALAR,)),
    Step("differentiated", "(8) differentiated in y_0 is ẏ ∂S/∂t − ÿ S = f'(y_0), which is (9)",
         differentiated, axioms=("mixed_partials",), premises=(SCALAR,)),
    Step("variation_of_parameters", "S = ẏ (f'(y_0) ∫_0^t ds/ẏ(s)² + C̃) solves (9)",
         variation_of_parameters, axioms=("fundamental_theorem",)),
    Step("constant", "S(0) = 1 fixes C̃ = 1/ẏ(0), which the paper leaves open", constant),
    Step("start_slope", "with that C̃, ∂S/∂t(0) = 0", start_slope),
    Step("second_order", "S solves the second-order variational equation S'' = W σ'(Wy + b) S", second_order,
         axioms=("fundamental_theorem",), premises=(SCALAR,)),
    Step("free_of_length", "with ẏ(0) = κT the bound at t = T is (κ + 1)(κ − 1 + κ|σ_0|)/(κ(κ − 1)): "
                           "O(1), not "
         "O(T)", free_of_length, role=Role.REMARK, premises=(FAST,)),
    Step("finite_horizon", "with ẏ(0) fixed the bound diverges as t → ẏ(0), so O(t) has no asymptotic "
                           "content",
         finite_horizon, role=Role.REMARK),
    Step("cannot_be_dropped", "σ = tanh, W > 0, b = y(0) = ẏ(0) = 0 has S(t) = cosh(√W t)", cannot_be_dropped,
         axioms=("picard_unique",), role=Role.NECESSITY, condition="ẏ(0) > T"),
    Step("excludes_rest", "the network of the paper starts from ẏ(0) = 0, where T − ẏ(0) ≥ 0, so that "
                          "ẏ(0) > T is "
         "false", excludes_rest, role=Role.REMARK),
)  # fmt: skip
INTEGRAL = Step("integral", "∫_0^t ds/(ẏ(0) − s)² = 1/(ẏ(0) − t) − 1/ẏ(0)", integral,
                axioms=("fundamental_theorem",))  # fmt: skip
PARTS = (BOUND, INTEGRAL.claim, *(step.claim for step in COMPUTED))
STATEMENT = All.of(*PARTS).called(
    "for ÿ = σ(Wy + b), d = 1, S = ∂y(t)/∂y(0) has |S| ≤ ẏ(t) (|σ_0| ∫_0^t ds/ẏ(s)² + 1/ẏ(0)) ≤ (t + "
    "ẏ(0))/ẏ(0) + "
    "|σ_0| (t + ẏ(0))/(ẏ(0) − t) for 0 ≤ t ≤ T; v0 is ẏ(0), v is ẏ, σ_0 is |σ(Wy(0) + b)|"
)
STEPS = (
    *COMPUTED,
    INTEGRAL,
    Step("slowest", CONE.parts()[0], rule="part", premises=(CONE,)),
    Step("fastest", CONE.parts()[1], rule="part", premises=(CONE,)),
    Step("denominator", RECIPROCAL, rule="linear", premises=(CONE.parts()[0], WITHIN),
         numbers={"multipliers": ((v(r) + v0 - r) / (v(r) ** 2 * (v0 - r) ** 2),)}),
    Step("area", AREA_BOUND, rule="integrated", premises=(RECIPROCAL,), numbers={"variable": r, "end": t}),
    Step("area_closed", AREA_CLOSED, rule="closed_integral", premises=(AREA_BOUND, WITHIN_T),
         numbers={"variable": r, "end": t}),
    Step("final_bound", FINAL, rule="linear", premises=(CONE.parts()[1], AREA_CLOSED),
         axioms=("triangle",), numbers={"multipliers": (sigma0 * AREA + 1 / v0, sigma0 * (t + v0))}),
    Step("printed_form", BOUND, rule="linear", premises=(FINAL,),
         numbers={"multipliers": (1,), "slack": sigma0 * (t + v0) / v0}),
    Step("conclusion", STATEMENT, rule="conjunction", premises=PARTS),
)  # fmt: skip

PROPOSITION = Proposition(
    name="theorem_3_2",
    title="Sensitivity of the scalar second-order flow",
    statement=STATEMENT,
    hypotheses={
        "scalar": SCALAR,
        "bounded": CONE,
        "fast_start": FAST,
        "within": WITHIN,
        "within_t": WITHIN_T,
    },
    source="Theorem 3.2, equations (8) and (9)",
    expected=Verdict.HOLDS_ONLY_IF,
    rests_on=("lemma_3_1",),
    steps=STEPS,
    mutants=(
        Mutant("misprinted_potential", "f = +∫σ, as one line of the paper prints", {"potential_sign": 1}),
        Mutant("plus_in_9", "ẏ ∂S/∂t + ÿ S in (9)", {"force_sign": 1}),
        Mutant("first_power", "∫ ds/ẏ instead of ∫ ds/ẏ²", {"power": 1}),
        Mutant("unit_constant", "C̃ = 1", {"c_tilde": sp.Integer(1)}),
        Mutant("wrong_acceleration", "ÿ(0) = +f'(y_0)", {"acceleration_sign": 1}),
        Mutant("no_chain_factor", "S'' = σ' S", {"chain_factor": sp.Integer(1)}),
        Mutant("integral_constant", "integral without −1/ẏ(0)", {"at_zero": sp.Integer(0)}),
        Mutant("linear_in_length", "bound at ẏ(0) = κT said to be proportional to T", {"exponent": 1}),
        Mutant("finite_at_horizon", "bound said to stay at 2 as t → ẏ(0)", {"blow_up": sp.Integer(2)}),
        Mutant("attracting_weight", "counterexample with −W instead of W", {"weight_sign": -1}),
        Mutant("fast_network", "network started from ẏ(0) = 2T", {"initial_velocity": 2 * T}),
        *sharper(STEPS),
    ),
)
