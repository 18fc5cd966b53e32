"""Rules about functions of one variable: derivatives, integrals, limits."""

from __future__ import annotations

from typing import Any

import sympy as sp

from proofs import decide
from proofs.decision import Decision

from .comparing import Data, Premises, alike, mismatch
from .formulas import AtMost, Below, Bounded, Equal, Limit, Not
from .norms import Curvature, P, T, bound, norm, same


def rising(claim: Any, premises: Premises, data: Data) -> Decision:
    """small ≤ large for all variable ≥ 0: at 0, with all derivatives up to an order, and beyond."""
    if premises or not isinstance(claim, AtMost) or not data["variable"].is_nonnegative:
        return decide.undecided(None, "an inequality in a variable ≥ 0 is expected, and no premise")
    return decide.nonnegative_from(claim.large - claim.small, data["variable"], order=data["order"])


def monotone(claim: Any, premises: Premises, data: Data) -> Decision:
    """f(a) ≤ f(b) from a ≤ b and f' ≥ 0 on [0, ∞), where 0 ≤ a."""
    function, variable = data["function"], data["variable"]
    if len(premises) != 2 or not all(isinstance(one, AtMost) for one in (claim, *premises)):
        return decide.undecided(None, "a ≤ b and f' ≥ 0 are needed")
    order, rising = premises
    slope = sp.diff(function, variable)
    if not (variable.is_nonnegative and rising.small == 0 and same(rising.large, slope)):
        return decide.undecided(slope, "the second premise is not f' ≥ 0 on [0, ∞)")
    if not order.small.is_nonnegative:
        return decide.undecided(order.small, "the smaller argument is not visibly ≥ 0")
    sides = {"f(a)": (claim.small, function.subs(variable, order.small)),
             "f(b)": (claim.large, function.subs(variable, order.large))}  # fmt: skip
    return decide.identities(sides)


def closed_integral(claim: Any, premises: Premises, data: Data) -> Decision:
    """X ≤ M from X ≤ ∫_0^t h, where M' = h and M = 0 at 0; a strict premise keeps h from a pole in [0, t]."""
    variable, end = data["variable"], data["end"]
    if len(premises) != 2 or not isinstance(premises[1], Below) or premises[1].small != end:
        return decide.undecided(None, "an integral, and that its interval ends before the pole, are needed")
    area, pole = premises[0].large, premises[1].large
    if not (isinstance(area, sp.Integral) and area.limits == sp.Integral(1, (variable, 0, end)).limits):
        return decide.undecided(str(area), "an integral from 0 to t is expected")
    poles = {root for factor in sp.Mul.make_args(1 / area.function) for root in sp.roots(factor, variable)}
    sides = {"left": (claim.small, premises[0].small),
             "derivative": (sp.diff(claim.large, end), area.function.subs(variable, end)),
             "at 0": (claim.large.subs(end, 0), 0),
             "pole": (sp.Add(*poles), pole)}  # fmt: skip
    return decide.identities(sides)


def integrated(claim: Any, premises: Premises, data: Data) -> Decision:
    """∫_0^t g ≤ ∫_0^t h from g(r) ≤ h(r) for every r in [0, t]; known integrals are written out."""
    variable, end = data["variable"], data["end"]
    if len(premises) != 1 or not all(isinstance(one, AtMost) for one in (claim, *premises)):
        return decide.undecided(None, "one inequality under the integral is needed")
    limits = (variable, 0, end)
    small, large = (sp.Integral(side, limits) for side in (premises[0].small, premises[0].large))
    if claim.small == small and claim.large == large:
        return decide.proved(str(claim), "an inequality under the integral")
    return decide.identities({"small": (claim.small, small.doit()), "large": (claim.large, large.doit())})


def mean_value(claim: Any, premises: Premises, data: Data) -> Decision:
    """g(v) − g(u) = g'(ξ)(v − u) for some ξ between u and v, which is where the slope is met."""
    values, arguments, slope = data["values"], data["arguments"], data["slope"]
    found = Equal(values[1] - values[0], slope * (arguments[1] - arguments[0]))
    if premises or not alike(claim, found):
        return mismatch(claim, found)
    return decide.proved(str(found), "mean value theorem")


def unbounded(claim: Any, premises: Premises, data: Data) -> Decision:
    """X is not bounded, because X = M and M → ∞."""
    if not (isinstance(claim, Not) and isinstance(claim.formula, Bounded) and len(premises) == 2):
        return decide.undecided(None, "an equation and a limit are needed")
    value, limit = premises
    if not (isinstance(value, Equal) and isinstance(limit, Limit) and limit.value == limit.point == sp.oo):
        return decide.undecided(None, "an equation and a limit ∞ at ∞ are needed")
    found = claim.formula.expression.subs(value.left, value.right)
    if limit.variable == claim.formula.variable and same(found, limit.expression):
        return decide.proved(found, "the limit is ∞", claim.example or {str(value.left): str(value.right)})
    return mismatch(claim, limit)


def overtaken(claim: Any, premises: Premises, data: Data) -> Decision:
    """f(t) ≤ g(t) fails for some t, because g(t) ≤ M for every t and f → ∞."""
    if not (isinstance(claim, Not) and isinstance(claim.formula, AtMost) and len(premises) == 2):
        return decide.undecided(None, "a bound and a limit are needed")
    ceiling, limit = premises
    if not (isinstance(ceiling, AtMost) and isinstance(limit, Limit) and limit.value == limit.point == sp.oo):
        return decide.undecided(None, "a bound and a limit ∞ at ∞ are needed")
    time = limit.variable
    fits = same(claim.formula.small, limit.expression) and same(claim.formula.large, ceiling.small)
    if fits and ceiling.small.has(time) and not ceiling.large.has(time):
        return decide.proved(
            limit.expression, "it overtakes the bound", claim.example or {"bound": ceiling.text}
        )
    return mismatch(claim, "; ".join(map(str, premises)))


def antiderivative(claim: Any, premises: Premises, data: Data) -> Decision:
    """An integral with moving limits is M: both have one derivative, and are 0 at 0."""
    variable = data["variable"]
    if premises or not (isinstance(claim, Equal) and claim.left.has(sp.Integral)):
        return decide.undecided(None, "an integral and its value are expected, and no premise")
    sides = {"derivative": (sp.diff(claim.left, variable), sp.diff(claim.right, variable)),
             "at 0": (claim.left.subs(variable, 0).doit(), claim.right.subs(variable, 0))}  # fmt: skip
    return decide.identities(sides)


def twice_integrated(claim: Any, premises: Premises, data: Data) -> Decision:
    """T(t) = 1 + ∫_0^t (t − r) X(r) dr from T'' = X, T(0) = 1 and T'(0) = 0."""
    variable, time = data["variable"], data["time"]
    if len(premises) != 3:
        return decide.undecided(None, "the second derivative and both starting values are needed")
    curvature, position, velocity = premises
    starts = position == Equal(T(0), 1) and velocity == Equal(P(0), 0) and curvature.left == Curvature(time)
    rest = sp.Integral((time - variable) * curvature.right.subs(time, variable), (variable, 0, time))
    found = Equal(T(time), 1 + rest)
    if starts and claim.left == found.left and claim.right == found.right:
        return decide.proved(str(found), "Taylor's formula with integral remainder")
    return mismatch(claim, found)


def norm_of_integral(claim: Any, premises: Premises, data: Data) -> Decision:
    """‖X‖ ≤ 1 + ∫_0^t (t − r) ‖…‖ dr from X = 1 + ∫_0^t (t − r) … dr, where t − r ≥ 0."""
    variable, time = data["variable"], data["time"]
    if len(premises) != 1 or not isinstance(premises[0], Equal):
        return decide.undecided(None, "an integral equation is needed")
    (area,) = premises[0].right.atoms(sp.Integral) or (None,)
    if area is None or area.limits != sp.Integral(1, (variable, 0, time)).limits:
        return decide.undecided(None, "one integral from 0 to t is expected")
    inner = bound(sp.expand(area.function / (time - variable)))
    largest = bound(premises[0].right - area) + sp.Integral((time - variable) * inner, *area.limits)
    if claim.small == norm(premises[0].left) and claim.large == largest:
        return decide.proved(str(largest), "terms bounded one by one under the integral")
    return mismatch(claim, largest)


def comparison(claim: Any, premises: Premises, data: Data) -> Decision:
    """f ≤ m, from f(t) ≤ 1 + ∫_0^t (t − r) k(r) f(r) dr, k ≤ c and m(t) = 1 + ∫_0^t c (t − r) m(r) dr, c
    ≥ 0.
    """
    variable, time = data["variable"], data["time"]
    if len(premises) != 4 or not all(isinstance(one, (AtMost, Equal)) for one in premises):
        return decide.undecided(
            None, "an inequality, a bound of its kernel, a rate and a solution are needed"
        )
    growth, kernel, rate, solution = premises
    f = growth.small
    (area,) = growth.large.atoms(sp.Integral)
    weight = area.function / ((time - variable) * f.subs(time, variable))
    factor = sp.cancel(weight / kernel.small)
    constant = sp.expand(factor * kernel.large)
    same_rate = same(rate.right, constant) and constant.is_nonnegative and not constant.has(variable, time)
    wanted = 1 + sp.Integral(rate.left * (time - variable) * solution.left.subs(time, variable), *area.limits)
    fits = same_rate and not factor.has(time) and growth.large == 1 + area and solution.right == wanted
    if fits and claim.small == f and claim.large == solution.left:
        return decide.proved(str(wanted), "the majorant solves the equation with the larger kernel")
    return mismatch(claim, "; ".join(map(str, premises)))


def solves(claim: Any, premises: Premises, data: Data) -> Decision:
    """m(t) = 1 + ∫_0^t c (t − r) m(r) dr, because m'' = c m, m(0) = 1, m'(0) = 0."""
    time = data["time"]
    if premises or not isinstance(claim, Equal):
        return decide.undecided(None, "an integral equation is expected, and no premise")
    m = claim.left
    first = sp.diff(claim.right, time)
    second = sp.diff(first, time)
    return decide.identities(
        {
            "second derivative": (sp.diff(m, time, 2), second),
            "at 0": (m.subs(time, 0), claim.right.subs(time, 0).doit()),
            "slope at 0": (sp.diff(m, time).subs(time, 0), first.subs(time, 0).doit()),
        }
    )
