"""ẏ = J tanh(y), d = 1: over k periods the tangent is I + k(M − I), which grows linearly, with exponents 0.

The velocity f(y(t)) is itself a tangent of the flow, and comes back after a period: M has the eigenvalue 1.
The flow preserves area, so that the other eigenvalue is 1 as well, and (M − I)² = 0. M − I is not 0 where the
period depends on the energy, as it does near y = 0.
"""

from __future__ import annotations

import sympy as sp

from proofs.kernel.formulas import All, Equal, Formula, Implies, claim, identities, identity, limit_is
from proofs.kernel.mutants import sharper
from proofs.majorant import N
from proofs.proposition import Mutant, Proposition, Step
from proofs.theorems.theorem_b import i

q, p = sp.symbols("q p", real=True)
FIELD = sp.Matrix([-sp.tanh(p), sp.tanh(q)])
tau, action = sp.Symbol("tau", real=True), sp.Symbol("I", positive=True)
X, Y = sp.Function("X", real=True), sp.Function("Y", real=True)


@claim
def conserved(sign: int = 1) -> Formula:
    """H = ln cosh q + ln cosh p does not change along the flow, whose divergence is 0."""
    H = sp.log(sp.cosh(q)) + sign * sp.log(sp.cosh(p))
    rate = sp.diff(H, q) * FIELD[0] + sp.diff(H, p) * FIELD[1]
    return identities({"rate": (rate, 0), "divergence": (sp.diff(FIELD[0], q) + sp.diff(FIELD[1], p), 0)})


@claim
def velocity_is_tangent(factor: int = 1) -> Formula:
    """d/dt f(y(t)) = Df(y) f(y): the velocity solves the equation of the tangents."""
    along = [sp.diff(value, q) * FIELD[0] + sp.diff(value, p) * FIELD[1] for value in FIELD]
    return identity(sp.Matrix(along), factor * FIELD.jacobian([q, p]) * FIELD)


@claim
def parabolic(determinant: int = 1) -> Formula:
    """In a basis that begins with f, M = ((1, τ), (0, det M)); with det M = 1, (M − I)² = 0."""
    M = sp.Matrix([[1, tau], [0, determinant]])
    return identity((M - sp.eye(2)) ** 2, sp.zeros(2))


@claim
def twist(divisor: int = 4) -> Formula:
    """ln cosh q = q²/2 − q⁴/12 + …: on circles of action I the mean energy is I − I²/4 + …

    The frequency 1 − I/2 + … therefore depends on I, so that τ is not 0 near y = 0."""
    phi = sp.Symbol("phi", real=True)
    order = sp.series(sp.log(sp.cosh(q)), q, 0, 6).removeO()
    circle = {q: sp.sqrt(2 * action) * sp.cos(phi), p: sp.sqrt(2 * action) * sp.sin(phi)}
    energy = (order + order.subs(q, p)).subs(circle)
    mean = sp.integrate(sp.expand(energy), (phi, 0, 2 * sp.pi)) / (2 * sp.pi)
    return identity(mean, action - action**2 / divisor)


@claim
def exponent(value: sp.Expr = sp.Integer(0)) -> Formula:
    """ln(1 + kτ)/k → 0: growth by a constant each period has the exponent 0."""
    k, size = sp.symbols("k size", positive=True)
    return limit_is(sp.log(1 + k * size) / k, k, sp.oo, value)


PERIOD = All({"along": Equal(X(i + 1), X(i) + tau * Y(i)), "across": Equal(Y(i + 1), Y(i))}).called(
    "M = ((1, τ), (0, 1)) over a period"
)


def after(index: sp.Expr) -> All:
    """The tangent after so many periods."""
    return All({"along": Equal(X(index), X(0) + index * tau * Y(0)), "across": Equal(Y(index), Y(0))})


INDUCTION = Implies(after(i), after(i + 1))
COMPUTED = (
    Step("conserved", "H = ln cosh q + ln cosh p is conserved, and area as well", conserved,
         axioms=("liouville",)),
    Step("velocity_is_tangent", "the velocity is a tangent of the flow, so that M f = f after a period",
         velocity_is_tangent, axioms=("picard_unique",)),
    Step("parabolic", "(M − I)² = 0", parabolic),
    Step("twist", "the period depends on the energy near y = 0", twist),
    Step("exponent", "linear growth has the exponent 0", exponent),
)  # fmt: skip
PARTS = (*(step.claim for step in COMPUTED), after(N))
STATEMENT = All.of(*PARTS).called(
    "the tangent of ẏ = J tanh(y), d = 1, after N periods is ((1, Nτ), (0, 1)) in a basis that begins with "
    "the velocity: its norm grows linearly where τ ≠ 0, and both exponents are 0"
)
STEPS = (
    *COMPUTED,
    Step("start", after(sp.Integer(0))),
    Step("induction", INDUCTION, rule="linear", premises=(PERIOD,),
         numbers={"along": {"use": (0, 2, 3), "multipliers": (1, 1, tau)},
                  "across": {"use": (1, 3), "multipliers": (1, 1)}}),
    Step("every_period", after(i), rule="induction", premises=(after(sp.Integer(0)), INDUCTION),
         numbers={"variable": i}),
    Step("at_N", after(N), rule="instance", premises=(after(i),), numbers={"values": {i: N}}),
    Step("conclusion", STATEMENT, rule="conjunction", premises=PARTS),
)  # fmt: skip

PROPOSITION = Proposition(
    name="slow_hamiltonian",
    title="A Hamiltonian network whose gradient grows linearly",
    statement=STATEMENT,
    hypotheses={"period": PERIOD},
    source="ours; for the counterexample of Hamiltonian Deep Neural Networks, Galimberti et al. 2023",
    steps=STEPS,
    mutants=(
        Mutant("saddle", "H = ln cosh q − ln cosh p", {"sign": -1}),
        Mutant("double", "twice the derivative", {"factor": 2}),
        Mutant("expanding", "det M = 2", {"determinant": 2}),
        Mutant("other_twist", "I − I²/3", {"divisor": 3}),
        Mutant("positive_exponent", "the exponent 1", {"value": sp.Integer(1)}),
        *sharper(STEPS),
    ),
)
