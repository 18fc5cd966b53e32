"""Every shipped scheme has the order its record claims, and no higher one.

Algebraic weights: the order conditions are decided in the number field the weights generate. Published
decimals: in ball arithmetic, where the exact value must lie in the ball spanned by half a unit in the last
digit of every weight, and within one such unit of its centre.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache, partial
from typing import Any

import sympy as sp
from sympy.polys.constructor import construct_domain

from integrators.schemes.table import SCHEMES
from proofs import decide
from proofs.balls import Ball
from proofs.blocks import Flow, flows, splittings
from proofs.kernel.formulas import Formula, Known, all_of, claim, identity, procedure
from proofs.kernel.mutants import sharper
from proofs.order_conditions import tree_residuals, word_residuals
from proofs.proposition import Decision, Mutant, Proposition, Role, Step, concluded

NYSTROM_ONLY = ("blanes_moan6_rkn",)
"""Schemes whose order holds for ÿ = F(y) but not for the splitting of an arbitrary vector field."""

Edit = Callable[[tuple[Flow, ...]], tuple[Flow, ...]]


def unchanged(step: tuple[Flow, ...]) -> tuple[Flow, ...]:
    """Keep the shipped weights."""
    return step


def exchange(step: tuple[Flow, ...], kind: str = "drift") -> tuple[Flow, ...]:
    """Swap the first two weights of a kind (stages in the wrong sequence)."""
    places = [k for k, flow in enumerate(step) if flow[0] == kind][:2]
    if len(places) < 2:
        return step
    edited = list(step)
    edited[places[0]], edited[places[1]] = step[places[1]], step[places[0]]
    return tuple(edited)


def nudge(step: tuple[Flow, ...], size: Any = sp.Rational(1, 10**10)) -> tuple[Flow, ...]:
    """Move a little weight from the second kick to the first; the sums stay."""
    places = [k for k, flow in enumerate(step) if flow[0] == "kick"][:2]
    edited = list(step)
    for place, sign in zip(places, (1, -1), strict=False):
        edited[place] = ("kick", step[place][1] + sign * size)
    return tuple(edited)


def change_places(step: tuple[Flow, ...]) -> tuple[Flow, ...]:
    """Drift where the scheme kicks and kick where it drifts."""
    return tuple(({"drift": "kick", "kick": "drift"}[kind], weight) for kind, weight in step)


class Arithmetic:
    """Weights of one scheme in their own arithmetic, and how to recognise a zero there."""

    def __init__(self, step: tuple[Flow, ...], digits: int | None) -> None:
        weights = [weight for _, weight in step]
        self.digits = digits
        if digits is None:
            field, numbers = construct_domain(weights, extension=True, field=True)
            self.one, self.exact = field.one, field.from_sympy
        else:
            half_unit = Fraction(1, 2 * 10**digits)
            numbers = [Ball.of(weight, half_unit) for weight in weights]
            self.one, self.exact = Ball.of(1), Ball.of
        self.flows = tuple((kind, number) for (kind, _), number in zip(step, numbers, strict=True))

    def vanishes(self, residual: Any) -> bool:
        """Exact zero; for decimals, zero in the ball and its centre within one unit of the last digit."""
        if self.digits is None:
            return not residual
        return residual.contains_zero and residual.magnitude <= 10.0**-self.digits

    def differs(self, residual: Any) -> bool:
        """Certainly not zero."""
        return bool(residual) if self.digits is None else not residual.contains_zero


@cache
def residuals(name: str, order: int, kind: str, edit: Edit = unchanged) -> tuple[Arithmetic, dict[str, Any]]:
    """Residuals of all conditions up to ``order`` for a shipped scheme; kind is "words" or "trees"."""
    arithmetic = Arithmetic(edit(flows(name)), SCHEMES[name].digits)
    compute = {"words": word_residuals, "trees": tree_residuals}[kind]
    return arithmetic, compute(arithmetic.flows, order, arithmetic.one, arithmetic.exact)


def _satisfied(name: str, order: int, kind: str, edit: Edit) -> Decision:
    arithmetic, found = residuals(name, order, kind, edit)
    broken = [label for label, value in found.items() if not arithmetic.vanishes(value)]
    summary: dict[str, Any] = {"order": order, "conditions": len(found)}
    if broken:
        summary["broken"] = broken[:3]
    if arithmetic.digits is None:
        summary["residuals"] = "exactly 0" if not broken else "not all 0"
    else:
        summary["digits"] = arithmetic.digits
        summary["largest residual"] = f"{max(value.magnitude for value in found.values()):.1e}"
        summary["largest radius"] = f"{max(value.radius for value in found.values()):.1e}"
    return decide.fact(
        not broken,
        summary,
        "every residual vanishes" if not broken else f"{len(broken)} residuals do not vanish",
    )


@claim
def consistency(drift_total: int = 1) -> Formula:
    """Σ a_s = Σ b_s = 1, exactly."""
    decisions = {}
    for name in splittings():
        for kind, total in (("drift", drift_total), ("kick", 1)):
            weight_sum = sum((weight for flow, weight in flows(name) if flow == kind), sp.Integer(0))
            decisions[f"{name} {kind}"] = identity(sp.radsimp(sp.expand(weight_sum)), total)
    return all_of(decisions)


@procedure
def exact_orders(exact_edit: Edit = unchanged) -> Decision:
    """Lyndon words up to the claimed order, in the number field of the weights."""
    names = [name for name in splittings() if SCHEMES[name].digits is None]
    return decide.all_of({name: _satisfied(name, SCHEMES[name].order, "words", exact_edit) for name in names})


@procedure
def decimal_orders(decimal_edit: Edit = unchanged) -> Decision:
    """Lyndon words up to the claimed order, in balls, for the rows published as decimals."""
    names = [name for name in splittings() if SCHEMES[name].digits is not None and name not in NYSTROM_ONLY]
    return decide.all_of(
        {name: _satisfied(name, SCHEMES[name].order, "words", decimal_edit) for name in names}
    )


@claim
def nystrom_condition(kinetic_power: int = 1) -> Formula:
    """[B,[B,[B,A]]] = 0 for A = p·∂_y and B = F(y)·∂_p, for a general F, d = 2: why ÿ = F(y) needs fewer
    conditions.
    """
    y, p = sp.symbols("y:2", real=True), sp.symbols("p:2", real=True)
    variables = sp.Matrix([*y, *p])
    A = sp.Matrix([p[0] ** kinetic_power, p[1] ** kinetic_power, 0, 0])
    B = sp.Matrix([0, 0, *(sp.Function(f"F{k}", real=True)(*y) for k in range(2))])

    def bracket(X: sp.Matrix, Y: sp.Matrix) -> sp.Matrix:
        return (Y.jacobian(variables) * X - X.jacobian(variables) * Y).applyfunc(sp.expand)

    return identity(bracket(B, bracket(B, bracket(B, A))), sp.zeros(4, 1))


@procedure
def nystrom_orders(nystrom_edit: Edit = unchanged) -> Decision:
    """Nyström trees up to the claimed order, for every splitting scheme: the order for ÿ = F(y), F not a
    gradient.
    """
    return decide.all_of(
        {name: _satisfied(name, SCHEMES[name].order, "trees", nystrom_edit) for name in splittings()}
    )


@procedure
def not_higher(beyond: int = 1) -> Decision:
    """Some tree of order claimed + 1 has a residual that is certainly not zero."""
    decisions = {}
    for name in splittings():
        order = SCHEMES[name].order + beyond
        arithmetic, found = residuals(name, order, "trees")
        missed = [label for label, value in found.items() if arithmetic.differs(value)]
        decisions[name] = decide.fact(
            bool(missed), {"order": order, "missed": missed[:2]}, "a condition is missed"
        )
    return decide.all_of(decisions)


@procedure
def nystrom_only(names: tuple[str, ...] = NYSTROM_ONLY) -> Decision:
    """These rows miss a Lyndon-word condition: the order does not carry over to arbitrary splittings."""
    decisions = {}
    for name in names:
        arithmetic, found = residuals(name, SCHEMES[name].order, "words")
        missed = [label for label, value in found.items() if arithmetic.differs(value)]
        decisions[name] = decide.fact(bool(missed), missed, "Lyndon words whose condition is missed")
    return decide.all_of(decisions)


@procedure
def baselines(claimed: int | None = None) -> Decision:
    """Both explicit Euler forms: the Taylor residual starts exactly at ε^{order + 1}."""
    h = sp.Symbol("varepsilon")
    y, p = sp.symbols("y p", real=True)
    F = sp.Function("F", real=True)
    slope = sp.diff(F(y), y)
    euler, explicit = SCHEMES["euler"], SCHEMES["explicit_euler"]
    (b1,), ((a2,), (b2,)) = euler.exact()[1], explicit.exact()
    gaps = {
        "euler": (euler, [y + h * F(y) + h**2 / 2 * slope * F(y) - (y + b1 * h * F(y))]),
        "explicit_euler": (
            explicit,
            [
                y + h * p + h**2 / 2 * F(y) - (y + a2 * h * p),
                p + h * F(y) + h**2 / 2 * slope * p - (p + b2 * h * F(y)),
            ],
        ),
    }
    decisions = {}
    for name, (scheme, parts) in gaps.items():
        order = scheme.order if claimed is None else claimed
        low = [sp.expand(part).coeff(h, n) for part in parts for n in range(order + 1)]
        next_term = [sp.expand(part).coeff(h, order + 1) for part in parts]
        decisions[f"{name} agrees"] = decide.identity(sp.Matrix(low), sp.zeros(len(low), 1))
        decisions[f"{name} no further"] = decide.fact(
            any(term != 0 for term in next_term), next_term, "leading error"
        )
    return decide.all_of(decisions)


SMOOTH_FORCE = Known("F is as smooth as the order needs")
DIGITS = Known("weights published as decimals are taken to all published digits")
HYPOTHESES = {"smooth": SMOOTH_FORCE, "digits": DIGITS}
STEPS = (
    Step("consistency", "drift and kick weights sum to 1", consistency),
    Step(
        "exact_orders",
        "rows with algebraic weights satisfy every Lyndon-word condition, exactly",
        exact_orders,
        axioms=("lyndon", "group_flow"),
        premises=(SMOOTH_FORCE,),
    ),
    Step(
        "decimal_orders",
        "rows published as decimals satisfy them to all published digits",
        decimal_orders,
        axioms=("lyndon", "group_flow"),
        premises=(
            SMOOTH_FORCE,
            DIGITS,
        ),
    ),
    Step("nystrom_condition", "[B,[B,[B,A]]] = 0 for ÿ = F(y)", nystrom_condition, premises=(SMOOTH_FORCE,)),
    Step(
        "nystrom_orders",
        "every splitting row satisfies every Nyström tree condition of its order",
        nystrom_orders,
        axioms=("nystrom_trees",),
        premises=(
            SMOOTH_FORCE,
            DIGITS,
        ),
    ),
    Step(
        "not_higher",
        "no row has a higher order than claimed",
        not_higher,
        axioms=("nystrom_trees",),
        premises=(
            SMOOTH_FORCE,
            DIGITS,
        ),
    ),
    Step(
        "nystrom_only",
        "blanes_moan6_rkn has its order for ÿ = F(y) only",
        nystrom_only,
        axioms=("lyndon",),
        role=Role.REMARK,
    ),
    Step("baselines", "both explicit Euler forms have order 1", baselines, premises=(SMOOTH_FORCE,)),
)
CONCLUSION = concluded(
    STEPS,
    "Every row of the scheme table has exactly the order it claims, for ÿ = F(y) with a general smooth F.",
)

PROPOSITION = Proposition(
    name="scheme_orders",
    title="Orders of the shipped schemes",
    statement=CONCLUSION.claim,
    hypotheses=HYPOTHESES,
    source="ours; coefficients from the references in each row",
    steps=(*STEPS, CONCLUSION),
    mutants=(
        Mutant("heavy_drifts", "drift weights said to sum to 2", {"drift_total": 2}),
        Mutant("swapped_stages", "first two drifts exchanged (algebraic rows)", {"exact_edit": exchange}),
        Mutant(
            "swapped_kicks",
            "first two kicks exchanged (decimal rows)",
            {"decimal_edit": partial(exchange, kind="kick")},
        ),
        Mutant("nudged", "10⁻¹⁰ moved between two kicks (decimal rows)", {"decimal_edit": nudge}),
        Mutant(
            "last_digits",
            "10⁻¹³ moved between two kicks (decimal rows)",
            {"decimal_edit": partial(nudge, size=sp.Rational(1, 10**13))},
        ),
        Mutant("quartic_kinetic", "drift ẏ = p³", {"kinetic_power": 3}),
        Mutant("changed_places", "drift and kick change places", {"nystrom_edit": change_places}),
        Mutant("claimed_order_missed", "a condition of the claimed order said to be missed", {"beyond": 0}),
        Mutant("leapfrog_nystrom_only", "leapfrog said to need ÿ = F(y)", {"names": ("leapfrog",)}),
        Mutant("second_order_euler", "explicit Euler said to have order 2", {"claimed": 2}),
        *sharper((CONCLUSION,)),
    ),
)
