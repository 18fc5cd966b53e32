"""Euler recursion (3)/(12): ‖∂y_N/∂y_0‖ ≤ (1 + εL‖W‖)^N ≤ exp(NεL‖W‖), and ‖∂y_N/∂y_0 − I‖ ≤ the same minus
1.

So ε = c/N keeps the Euler network's gradient bounded as well; what separates it from the second-order network
is growth at large T = Nε, and only when L‖W‖ > 1.
"""

from __future__ import annotations

import sympy as sp

from integrators.fields.activations import ACTIVATIONS
from integrators.schemes.table import SCHEMES
from proofs.blocks import block, eps
from proofs.decide import all_of, fact, follows, identities, identity, nonnegative_from
from proofs.majorant import L, N, i, w
from proofs.proposition import Decision, Mutant, Proposition, Role, Step
from proofs.symbols import dsigma, sigma, square, vector

ONE = sp.Integer(1)
x = sp.Symbol("x", nonnegative=True)


def tangent(step_power: int = 1) -> Decision:
    """(12) differentiated, d = 2: T_{i+1} = (I + ε D_i W) T_i, with the shipped Euler weight."""
    d = 2
    y0, W, drive = vector("y", d), square("W", d), vector("x", d)
    now = sp.Matrix([sp.Function(f"now{k}", real=True)(*y0) for k in range(d)])
    u = W * now + drive
    (weight,) = SCHEMES["euler"].exact()[1]
    new = now + weight * eps * u.applyfunc(sigma)
    return identity(
        new.jacobian(y0), (sp.eye(d) + eps**step_power * sp.diag(*u.applyfunc(dsigma)) * W) * now.jacobian(y0)
    )


def base(start: sp.Expr = ONE) -> Decision:
    """‖T_0‖ = ‖I‖ = 1 = (1 + x)⁰ and ‖T_0 − I‖ = 0 = (1 + x)⁰ − 1."""
    return identities({"norm": ((1 + x) ** 0, start), "deviation": ((1 + x) ** 0 - start, 0)})


def induction(rate: sp.Expr = 1 + x) -> Decision:
    """‖T_i‖ ≤ r^i implies ‖T_{i+1}‖ ≤ r^{i+1}, r = 1 + x, x = εL‖W‖."""
    T, T_new, power = sp.symbols("T T_new power", nonnegative=True)
    return follows((T_new, rate * power), [(T_new, (1 + x) * T), (T, power)], [ONE, 1 + x])


def deviation(gain: sp.Expr = 1 + x) -> Decision:
    """T_{i+1} − I = (T_i − I) + εG T_i and r^i − 1 + x r^i = r^{i+1} − 1."""
    E, E_new, T, power = sp.symbols("E E_new T power", nonnegative=True)
    G, block_T = block("G"), block("T")
    return all_of(
        {
            "split": identity((block_T + eps * G * block_T) - 1, (block_T - 1) + eps * G * block_T),
            "norms": follows(
                (E_new, gain * power - 1), [(E_new, E + x * T), (E, power - 1), (T, power)], [ONE, ONE, x]
            ),
        }
    )


def below_exponential(exponential_rate: sp.Expr = ONE) -> Decision:
    """e^x − 1 − x vanishes at 0 and has the derivative e^x − 1 ≥ 0."""
    s = sp.Symbol("s", nonnegative=True)
    return nonnegative_from(sp.exp(exponential_rate * s) - 1 - s, s, order=2)


def uniform(power: int = 1) -> Decision:
    """NεL‖W‖ with ε = c/N is cL‖W‖."""
    c = sp.Symbol("c", positive=True)
    return identity((N * eps * L * w).subs(eps, c / N**power), c * L * w)


def attained(activation: str = "identity") -> Decision:
    """σ = id, d = 1, W > 0: ∂y_i/∂y_0 = (1 + εW)^i, and L‖W‖ = W."""
    W, z = sp.Symbol("W", positive=True), sp.Symbol("z", real=True)
    record = ACTIVATIONS[activation]
    T = (1 + eps * W) ** i
    slope = sp.diff(record.symbolic(z), z)
    recursion = (T.subs(i, i + 1) / T).simplify()
    return identities(
        {"recursion": (recursion, 1 + eps * slope * W), "L": (sp.nsimplify(record.lipschitz), 1)}
    )


def exponents(crossover: sp.Expr = ONE) -> Decision:
    """L‖W‖ − √(L‖W‖) = q(q − 1) with q = √(L‖W‖): positive iff q > 1."""
    q = sp.Symbol("q", positive=True)
    beyond, below = sp.symbols("beyond", positive=True), sp.Rational(1, 2)
    gap = q**2 - q
    return all_of(
        {
            "equal": identity(gap.subs(q, crossover), 0),
            "larger beyond": fact(
                sp.expand(gap.subs(q, crossover + beyond)).is_positive, gap, "sum of positive terms"
            ),
            "smaller below": fact(
                gap.subs(q, below * crossover).is_negative, gap.subs(q, below * crossover), "at half"
            ),
        }
    )


PROPOSITION = Proposition(
    name="theorem_d",
    title="Theorem D: the Euler network",
    statement="‖∂y_N/∂y_0‖ ≤ (1 + εL‖W‖)^N ≤ exp(NεL‖W‖) and ‖∂y_N/∂y_0 − I‖ ≤ (1 + εL‖W‖)^N − 1 for (3) and "
    "(12), every ε > 0, d, W, V, b, input and initial value.",
    hypotheses={"slope": "|σ'| ≤ L"},
    source="ours; for recursions (3) and (12)",
    steps=(
        Step("tangent", "T_{i+1} = (I + ε D_i W) T_i (d = 2, general σ, W, input)", tangent,
             axioms=("chain_rule",)),
        Step("base", "‖T_0‖ = 1, ‖T_0 − I‖ = 0", base, (), ("identity_norm",)),
        Step("induction", "‖T_i‖ ≤ r^i implies ‖T_{i+1}‖ ≤ r^{i+1}, r = 1 + εL‖W‖", induction,
             ("tangent", "base"), ("triangle", "submultiplicative", "diagonal_norm", "induction")),
        Step("deviation", "‖T_i − I‖ ≤ r^i − 1 implies ‖T_{i+1} − I‖ ≤ r^{i+1} − 1", deviation,
             ("induction",), ("triangle", "submultiplicative", "induction")),
        Step("below_exponential", "1 + x ≤ e^x for x ≥ 0", below_exponential, (), ("monotone",)),
        Step("uniform", "ε = c/N makes the bound exp(cL‖W‖), free of N", uniform, ("below_exponential",)),
        Step("attained", "σ = identity, d = 1, W > 0 attains (1 + εL‖W‖)^N", attained, ("tangent",),
             role=Role.REMARK),
        Step("exponents", "L‖W‖ exceeds √(L‖W‖), the exponent of theorem A, exactly when L‖W‖ > 1", exponents,
             (), (), Role.REMARK),
    ),
    mutants=(
        Mutant("second_power", "tangent with ε²", {"step_power": 2}),
        Mutant("double_start", "‖T_0‖ = 2", {"start": sp.Integer(2)}),
        Mutant("no_growth", "r = 1", {"rate": ONE}),
        Mutant("half_gain", "r^{i+1} replaced by (1 + x/2) r^i", {"gain": 1 + x / 2}),
        Mutant("slower_step", "ε = c/N²", {"power": 2}),
        Mutant("tanh_attains", "σ = tanh said to attain the bound", {"activation": "tanh"}),
        Mutant("late_crossover", "exponents said to be equal at √(L‖W‖) = 2", {"crossover": sp.Integer(2)}),
        Mutant("slow_exponential", "1 + x ≤ e^{x/2}", {"exponential_rate": sp.Rational(1, 2)}),
    ),
)  # fmt: skip
