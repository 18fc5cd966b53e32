"""The scheme table: what may be written, what the weights are, and whether rows have the order they claim."""

import copy
import math
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import FrozenInstanceError, replace
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy
from mpmath import mp, mpf

import integrators.schemes.table as module
from integrators.schemes.composition import composition, convert, palindrome, symmetric
from integrators.schemes.table import SCHEMES, Scheme, UnknownSchemeError, get_scheme, register

ROOT = Path(__file__).resolve().parents[3]
NAMES = tuple(SCHEMES)
SPLITTINGS = tuple(name for name in NAMES if SCHEMES[name].form == "splitting")
COMPOSITIONS = (
    "yoshida4",
    "suzuki4",
    "yoshida6",
    "kahan_li6",
    "yoshida8",
    "kahan_li8",
    "sofroniou_spaletta10",
)

Vector = Sequence[Any]
Force = Callable[[Vector], list[Any]]
Weights = tuple[Sequence[Any], Sequence[Any]]

DPS = 45
ORDER_TOLERANCE = 0.05


@pytest.fixture(autouse=True)
def many_digits() -> Iterator[None]:
    with mp.workdps(DPS):
        yield


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what a test registers."""
    monkeypatch.setattr(SCHEMES, "_rows", dict(SCHEMES._rows))
    monkeypatch.setattr(SCHEMES, "_owners", dict(SCHEMES._owners))


# ---------------------------------------------------------------------------------------------------------
# Order, measured on two nonlinear problems whose solutions do not come from any scheme


def step(form: str, weights: Weights, force: Force, h: Any, y: Vector, p: Vector) -> tuple[Vector, Vector]:
    """One step, straight from the definition, in the arithmetic of its arguments."""

    def moved(x: Vector, c: Any, v: Vector) -> Vector:
        return [xi + c * vi for xi, vi in zip(x, v, strict=True)]

    if form == "explicit":
        return moved(y, h, p), moved(p, h, force(y))
    for a, b in zip(*weights, strict=True):
        if form == "first_order":
            y = moved(y, b * h, force(y))
        else:
            y = moved(y, a * h, p)
            p = moved(p, b * h, force(y))
    return y, p


def pendulum(y: Vector) -> list[Any]:
    return [-mp.sin(y[0])]


def pendulum_state(t: Any) -> list[Any]:
    """The swing sin(y/2) = k sn(t | k²), k = 7/10, from a time at which nothing is symmetric."""
    k, t = mpf(7) / 10, t + mpf(2) / 5
    sn, cn = mpmath.ellipfun("sn", t, m=k**2), mpmath.ellipfun("cn", t, m=k**2)
    return [2 * mp.asin(k * sn), 2 * k * cn]


def pendulum_first_order(t: Any) -> list[Any]:
    """The solution of ẏ = −sin y, y(0) = 1."""
    return [2 * mp.atan(mp.tan(mpf(1) / 2) * mp.exp(-t))]


def henon_heiles(y: Vector) -> list[Any]:
    return [-y[0] - 2 * y[0] * y[1], -y[1] - y[0] ** 2 + y[1] ** 2]


@cache
def henon_heiles_solution(first_order: bool) -> Callable[[Any], list[Any]]:
    """By mpmath's Taylor-series integrator."""
    y, p = [mpf(3) / 10, mpf(-1) / 5], [mpf(1) / 10, mpf(2) / 5]
    if first_order:
        return mpmath.odefun(lambda t, z: henon_heiles(z), 0, y)
    return mpmath.odefun(lambda t, z: [*z[2:], *henon_heiles(z[:2])], 0, y + p)


def solution(problem: str, first_order: bool) -> tuple[Force, Callable[[Any], list[Any]]]:
    if problem == "pendulum":
        return pendulum, pendulum_first_order if first_order else pendulum_state
    return henon_heiles, henon_heiles_solution(first_order)


def measured_order(form: str, weights: Weights, problem: str, floor: Any, coarsest: int = 8) -> float:
    """Least-squares slope of log(error at t = 1) against log(step), without the errors below `floor`."""
    force, exact = solution(problem, form == "first_order")
    start, end = exact(mpf(0)), exact(mpf(1))
    d = len(force(start))
    points = []
    for n in (coarsest << k for k in range(5)):
        y, p = start[:d], start[d:]
        for _ in range(n):
            y, p = step(form, weights, force, mpf(1) / n, y, p)
        error = max(abs(u - v) for u, v in zip([*y, *p], end, strict=True))
        if error > floor:
            points.append((-math.log(n), float(mp.log(error))))
    assert len(points) >= 4, f"only {len(points)} usable points"
    logarithms = np.array(points).T
    return float(np.polyfit(logarithms[0], logarithms[1], 1)[0])


def floor(scheme: Scheme) -> Any:
    """Published decimals leave order conditions unmet by one unit; an error well above that is usable."""
    return mpf(10) ** -(35 if scheme.digits is None else min(35, scheme.digits + 3))


def coarsest(scheme: Scheme) -> int:
    """The coarsest number of steps: a small term of low order shows only where the leading one is smaller."""
    return 128 if scheme.order <= 2 else 8


@pytest.mark.parametrize("problem", ["pendulum", "henon_heiles"])
@pytest.mark.parametrize("name", NAMES)
def test_order_is_the_claimed_one(name: str, problem: str) -> None:
    scheme = SCHEMES[name]
    order = measured_order(scheme.form, scheme.evaluate(mpf), problem, floor(scheme), coarsest(scheme))
    assert abs(order - scheme.order) < ORDER_TOLERANCE


def swapped(weights: Weights) -> Weights:
    """The first two stages change places."""
    a, b = weights
    return (a[1], a[0], *a[2:]), (b[1], b[0], *b[2:])


def perturbed(weights: Weights) -> Weights:
    """One weight is off by 1e-3."""
    a, b = weights
    return a, (b[0] + mpf("1e-3"), *b[1:])


def lopsided(weights: Weights) -> Weights:
    """The sums still hold; the symmetry does not."""
    a, b = weights
    return a, (b[0] + mpf("1e-3"), *b[1:-1], b[-1] - mpf("1e-3"))


@pytest.mark.parametrize("mutation", [swapped, perturbed, lopsided])
@pytest.mark.parametrize("name", [name for name in SPLITTINGS if SCHEMES[name].order > 1])
def test_order_sees_a_mutation(name: str, mutation: Callable[[Weights], Weights]) -> None:
    scheme = SCHEMES[name]
    weights = mutation(scheme.evaluate(mpf))
    order = measured_order("splitting", weights, "henon_heiles", mpf(0), coarsest(scheme))
    assert abs(order - scheme.order) > ORDER_TOLERANCE


@pytest.mark.parametrize(("name", "form"), [("euler", "splitting"), ("leapfrog", "first_order")])
def test_order_sees_a_wrong_form(name: str, form: str) -> None:
    scheme = SCHEMES[name]
    assert abs(measured_order(form, scheme.evaluate(mpf), "henon_heiles", mpf(0)) - scheme.order) > 0.5


# ---------------------------------------------------------------------------------------------------------
# Order conditions: one step, expanded in powers of its size, against the flow. Sees all published digits.

EXPANSION_DIGITS = 60
W = (("1.4", "-0.9"), ("1.1", "0.75"))
# F(y) = sin(W y + b) at a point where sine and cosine are rational.
SINE, COSINE = (Fraction(3, 5), Fraction(5, 13)), (Fraction(4, 5), Fraction(12, 13))

Series = list[Decimal]


def force_series(y: list[Series]) -> list[Series]:
    """Series of sin(W y + b), W not symmetric: s' = u' c, c' = −u' s with u = W y + b."""
    out = []
    for row, sine, cosine in zip(W, SINE, COSINE, strict=True):
        u = [sum(Decimal(w) * yj[k] for w, yj in zip(row, y, strict=True)) for k in range(len(y[0]))]
        s = [Decimal(sine.numerator) / sine.denominator]
        c = [Decimal(cosine.numerator) / cosine.denominator]
        for n in range(1, len(u)):
            s.append(sum((k * u[k] * c[n - k] for k in range(1, n + 1)), Decimal(0)) / n)
            c.append(-sum((k * u[k] * s[n - k] for k in range(1, n + 1)), Decimal(0)) / n)
        out.append(s)
    return out


def start_series(degree: int) -> tuple[list[Series], list[Series]]:
    zeros = [Decimal(0)] * degree
    return [[Decimal(0), *zeros] for _ in W], [[p, *zeros] for p in (Decimal(1), Decimal("-0.7"))]


def flow_series(degree: int, first_order: bool) -> list[Series]:
    """Taylor series of the exact solution: y_{n+1} = p_n/(n + 1), p_{n+1} = F(y)_n/(n + 1)."""
    y, p = start_series(degree)
    for n in range(degree):
        force = force_series(y)
        for i in range(len(W)):
            y[i][n + 1] = (force[i][n] if first_order else p[i][n]) / (n + 1)
            p[i][n + 1] = Decimal(0) if first_order else force[i][n] / (n + 1)
    return y + p


def step_series(form: str, weights: Weights, degree: int) -> list[Series]:
    """The naive step on series: multiplying by ε shifts the coefficients by one."""

    def moved(x: list[Series], c: Decimal, v: list[Series]) -> list[Series]:
        return [
            [xk + c * vk for xk, vk in zip(xi, [Decimal(0), *vi], strict=False)]
            for xi, vi in zip(x, v, strict=True)
        ]

    y, p = start_series(degree)
    if form == "explicit":
        return moved(y, Decimal(1), p) + moved(p, Decimal(1), force_series(y))
    for a, b in zip(*weights, strict=True):
        if form == "first_order":
            y = moved(y, b, force_series(y))
        else:
            y = moved(y, a, p) if a else y
            p = moved(p, b, force_series(y)) if b else p
    return y + p


def defects(form: str, weights: Weights, degree: int) -> list[Decimal]:
    """Largest difference between step and flow in each power of ε from 0 to `degree`."""
    pairs = zip(step_series(form, weights, degree), flow_series(degree, form == "first_order"), strict=True)
    differences = [[abs(u - v) for u, v in zip(ours, exact, strict=True)] for ours, exact in pairs]
    return [max(column) for column in zip(*differences, strict=True)]


def unit(scheme: Scheme) -> Decimal:
    """One unit of the last published decimal."""
    return Decimal(10) ** -(EXPANSION_DIGITS - 8 if scheme.digits is None else scheme.digits)


@pytest.mark.parametrize("name", NAMES)
def test_order_conditions_hold_to_the_last_published_digit(name: str) -> None:
    scheme = SCHEMES[name]
    with localcontext(Context(prec=EXPANSION_DIGITS)):
        found = defects(scheme.form, scheme.evaluate(Decimal), scheme.order + 1)
        assert max(found[: scheme.order + 1]) <= unit(scheme)
        assert found[scheme.order + 1] > Decimal("1e-8"), "the order is higher than claimed"


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("blanes_moan")])
def test_order_conditions_see_a_wrong_digit(name: str) -> None:
    """In any free weight, palindrome and sums kept: what a slip in copying the table would do."""
    scheme = SCHEMES[name]
    with localcontext(Context(prec=EXPANSION_DIGITS)):
        slip = 1000 * unit(scheme)
        a, b = scheme.evaluate(Decimal)
        kicks, drifts = len(b) // 2 - (len(b) % 2 == 0), (len(a) - 1) // 2 - len(a) % 2
        for i in range(kicks):
            wrong = list(map(Decimal, b[:kicks]))
            wrong[i] += slip
            weights = symmetric(wrong, a[1 : 1 + drifts])
            assert max(defects("splitting", weights, scheme.order)[: scheme.order + 1]) > unit(scheme), i
        for i in range(drifts):
            wrong = list(a[1 : 1 + drifts])
            wrong[i] += slip
            weights = symmetric(b[:kicks], wrong)
            assert max(defects("splitting", weights, scheme.order)[: scheme.order + 1]) > unit(scheme), i


@pytest.mark.parametrize(
    ("name", "drift", "kick"),
    [
        ("blanes_moan4", "0.434336666566456", "0.2193769557534996"),
        ("blanes_moan6", "-0.016404589403618", "-0.7255255585086898"),
        ("blanes_moan4_rkn", "-0.350171622895351", "0.1195241940131508"),
        ("blanes_moan6_rkn", "0.20477705429147", "0.2366699247869311"),
        ("yoshida6", "1.315186320683911218884249728238862514352", None),
        ("kahan_li6", "0.79854399093482996339895035", None),
        ("yoshida8", "-0.7968879393529163540197888401737330534463", None),
        ("kahan_li8", "-0.60550853383003451169892108", None),
        ("sofroniou_spaletta10", "0.049317735759594537917680008339338", None),
    ],
)
def test_published_central_weights_are_checksums(name: str, drift: str, kick: str | None) -> None:
    """The sources print the central weights too, which the table computes: a wrong digit anywhere shows.

    Compositions: the middle step fraction, from the sources in `reference`, rounded by itself. Blanes and
    Moan: the values that the integrators of Principia (mockingbirdnest) list, which are exact differences.
    """
    scheme = SCHEMES[name]
    with localcontext(Context(prec=EXPANSION_DIGITS)):
        a, b = scheme.evaluate(Decimal)
        drifts = a[1:]
        if kick is not None:
            assert (drifts[len(drifts) // 2], b[len(b) // 2]) == (Decimal(drift), Decimal(kick))
        assert abs(drifts[len(drifts) // 2] - Decimal(drift)) <= 2 * unit(scheme)


def test_mclachlan_minimises_the_error_of_two_stages() -> None:
    """α is the real root of d/dα of the squared commutator weights, found here from the optimum alone."""
    alpha = sympy.Symbol("alpha")
    cost = ((6 * alpha - 1) / 24) ** 2 + ((6 * alpha**2 - 6 * alpha + 1) / 12) ** 2
    (root,) = [r for r in sympy.Poly(sympy.diff(cost, alpha)).nroots(n=40) if r.is_real]
    assert abs(root - SCHEMES["mclachlan2"].exact()[1][0]) < 1e-38


def test_drift_and_kick_may_not_change_places_in_a_nystrom_method() -> None:
    a, b = SCHEMES["blanes_moan6_rkn"].evaluate(Decimal)
    with localcontext(Context(prec=EXPANSION_DIGITS)):
        exchanged = defects("splitting", (b, (*a[1:], Decimal(0))), 6)
    assert max(exchanged) > Decimal("1e-6")


# ---------------------------------------------------------------------------------------------------------
# Symmetry


@pytest.mark.parametrize("name", NAMES)
def test_palindromes_and_only_they_are_reversible(name: str) -> None:
    scheme = SCHEMES[name]
    weights, h = scheme.evaluate(mpf), mpf(1) / 8
    y, p = [mpf(3) / 10, mpf(-1) / 5], [mpf(1) / 10, mpf(2) / 5]
    there = step(scheme.form, weights, henon_heiles, h, y, p)
    back = step(scheme.form, weights, henon_heiles, -h, *there)
    gap = max(abs(u - v) for u, v in zip([*back[0], *back[1]], [*y, *p], strict=True))
    assert scheme.is_symmetric == (gap < 1e-40)
    assert scheme.is_symmetric or gap > 1e-6, "neither reversible nor clearly not"
    assert scheme.is_symmetric == (scheme.order % 2 == 0), "the table's even orders come from symmetry"


def test_symmetry_ignores_how_zero_stages_are_written() -> None:
    for a, b in [((0, 0.5, 0.5), (0.5, 0, 0.5)), ((0, 0, 1), (0.25, 0.25, 0.5))]:
        leapfrog = Scheme("split", 2, a, b)
        assert leapfrog.is_symmetric
        assert leapfrog.fsal
        assert leapfrog.n_kicks == 1, "two kicks without a drift between them share a force"
    assert Scheme("halves", 1, (0, 0), (0.5, 0.5), form="first_order").n_kicks == 2, "y has moved in between"
    assert not Scheme("lopsided", 1, (0, 1), (0.25, 0.75)).is_symmetric


# ---------------------------------------------------------------------------------------------------------
# Weights: one definition, many number types


@pytest.mark.parametrize("name", NAMES)
def test_float64_weights_are_the_exact_ones_rounded_once(name: str) -> None:
    scheme = SCHEMES[name]
    for exact, array in zip(scheme.exact(), (scheme.drift, scheme.kick), strict=True):
        assert array.dtype == np.float64
        assert array.shape == (scheme.stages,)
        assert [float(sympy.N(value, 50)) for value in exact] == array.tolist()
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 2.0


@pytest.mark.parametrize("name", NAMES)
def test_number_types_agree(name: str) -> None:
    scheme = SCHEMES[name]
    for exact, number in zip(scheme.exact(), scheme.evaluate(mpf), strict=True):
        for e, n in zip(exact, number, strict=True):
            assert isinstance(n, mpf)
            assert abs(n - mpf(sympy.N(e, 60))) < mpf(10) ** (2 - DPS)
        target = 0 if scheme.form == "first_order" and exact is scheme.exact()[0] else 1
        assert sympy.simplify(sum(exact) - target) == 0, "an exact sum is exactly one"


def test_weights_do_not_depend_on_the_decimal_context() -> None:
    with localcontext(Context(prec=5)):
        scheme = Scheme.define("jump", 4, lambda R: composition(palindrome(1 / (2 - R(2) ** (R(1) / 3)))))
        assert scheme.drift.tolist() == SCHEMES["yoshida4"].drift.tolist()
        assert scheme.is_symmetric


@pytest.mark.parametrize(
    ("weight", "value"),
    [
        (1, 1),
        (0.1, Fraction(0.1)),
        (np.float32(0.1), Fraction(float(np.float32(0.1)))),
        (np.int64(3), 3),
        (np.array(0.5), Fraction(1, 2)),
        ("0.1", Fraction(1, 10)),
        ("-1/24", Fraction(-1, 24)),
        (Fraction(2, 3), Fraction(2, 3)),
        (Decimal("0.1"), Fraction(1, 10)),
        (sympy.Rational(2, 7), Fraction(2, 7)),
        (lambda R: R(1) / 4, Fraction(1, 4)),
        (lambda R: "0.25", Fraction(1, 4)),
        (lambda R: sympy.Rational(1, 4), Fraction(1, 4)),
    ],
)
def test_a_coefficient_is_read_exactly(weight: Any, value: Fraction) -> None:
    """0.1 is the binary number, "0.1" the decimal one, whatever type they are turned into."""
    assert convert(weight, sympy.Rational) == sympy.Rational(value)
    with localcontext(Context(prec=60)):
        assert abs(convert(weight, Decimal) - Decimal(value.numerator) / value.denominator) < Decimal("1e-58")
    assert abs(convert(weight, mpf) - mpf(value.numerator) / value.denominator) < mpf(10) ** (2 - DPS)


def test_rounding_to_float64_happens_once() -> None:
    """Just above the middle of two doubles: rounded to 20 digits first, it would fall on the lower one."""
    scheme = Scheme("edge", 1, (1,), (1,), digits=15)
    above = replace(scheme, b=(lambda R: 1 + R(2) ** -53 + R(10) ** -40,))
    assert above.kick[0] == 1 + 2**-52


def test_symbolic_coefficients_stay_symbolic() -> None:
    root = sympy.sqrt(2) / 2
    scheme = Scheme("atela", 2, (1 - root, root), (root, 1 - root))
    assert scheme.exact() == ((1 - root, root), (root, 1 - root))
    assert scheme.drift.tolist() == [float(sympy.N(1 - root, 30)), float(sympy.N(root, 30))]


def test_stages_are_as_documented() -> None:
    """Drift first, then kick, in every stage: the convention all kernels rely on."""
    weights = {name: (s.drift.tolist(), s.kick.tolist()) for name, s in SCHEMES.items()}
    forms = {name: s.form for name, s in SCHEMES.items() if s.form != "splitting"}
    assert forms == {"euler": "first_order", "explicit_euler": "explicit"}
    assert weights["euler"] == ([0], [1])
    assert weights["explicit_euler"] == ([1], [1])
    assert weights["symplectic_euler"] == ([0, 1], [1, 0])
    assert weights["symplectic_euler_dk"] == ([1], [1])
    assert weights["leapfrog"] == ([0, 1], [0.5, 0.5])
    assert weights["position_verlet"] == ([0.5, 0.5], [1, 0])


@pytest.mark.parametrize(
    ("name", "n_kicks"),
    [
        ("euler", 1),
        ("explicit_euler", 1),
        ("symplectic_euler", 1),
        ("symplectic_euler_dk", 1),
        ("leapfrog", 1),
        ("position_verlet", 1),
        ("mclachlan2", 2),
        ("yoshida4", 3),
        ("suzuki4", 5),
        ("blanes_moan4", 6),
        ("blanes_moan6", 10),
        ("blanes_moan4_rkn", 6),
        ("blanes_moan6_rkn", 11),
        ("yoshida6", 7),
        ("kahan_li6", 9),
        ("yoshida8", 15),
        ("kahan_li8", 17),
        ("sofroniou_spaletta10", 35),
    ],
)
def test_cost_is_the_published_number_of_forces(name: str, n_kicks: int) -> None:
    scheme = SCHEMES[name]
    assert scheme.n_kicks == n_kicks
    assert scheme.fsal == (scheme.stages > 1 and name not in ("symplectic_euler", "position_verlet"))
    assert repr(scheme).startswith(f"<Scheme {name}: order {scheme.order}, ")


def test_every_row_is_listed_above() -> None:
    marks = test_cost_is_the_published_number_of_forces.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert {name for name, _ in marks} == set(NAMES)


def test_every_row_says_where_it_comes_from() -> None:
    for scheme in SCHEMES.values():
        assert "(" in scheme.reference and any(c.isdigit() for c in scheme.reference), scheme.name


# ---------------------------------------------------------------------------------------------------------
# The helpers


def test_composition_merges_adjacent_half_steps() -> None:
    thirds = (Fraction(1, 2), Fraction(1, 3), Fraction(1, 6))
    halves = (Fraction(1, 4), Fraction(5, 12), Fraction(1, 4), Fraction(1, 12))
    assert composition(thirds) == ((0, *thirds), halves)
    assert composition(thirds, base="position_verlet") == (halves, (*thirds, 0))


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_compositions_are_leapfrogs_in_a_row(name: str) -> None:
    """Unmerged: the same map, by way of the base method."""
    scheme, leapfrog = SCHEMES[name], SCHEMES["leapfrog"].evaluate(mpf)
    weights = scheme.evaluate(mpf)
    y, p, h = [mpf(3) / 10, mpf(-1) / 5], [mpf(1) / 10, mpf(2) / 5], mpf(1) / 8
    merged = step("splitting", weights, henon_heiles, h, y, p)
    for gamma in weights[0][1:]:
        y, p = step("splitting", leapfrog, henon_heiles, gamma * h, y, p)
    for ours, theirs in zip((*merged[0], *merged[1]), (*y, *p), strict=True):
        assert abs(ours - theirs) < mpf(10) ** (4 - DPS)


@pytest.mark.parametrize("first", ["kick", "drift"])
@pytest.mark.parametrize("counts", [(0, 0), (1, 0), (1, 1), (2, 1), (3, 3), (5, 4)])
def test_symmetric_completes_palindrome_and_sums(counts: tuple[int, int], first: str) -> None:
    outer, inner = ([Fraction(i + 1, 97 + n) for i in range(n)] for n in counts)
    kicks, drifts = (outer, inner) if first == "kick" else (inner, outer)
    a, b = symmetric(kicks, drifts, first=first)  # type: ignore[arg-type]
    scheme = Scheme("made", 2, a, b)
    assert scheme.is_symmetric
    assert sum(a) == sum(b) == 1
    assert scheme.fsal == (first == "kick")
    free = (b if first == "kick" else a)[: len(outer)]
    assert list(free) == outer, "free weights are kept, in order"
    assert len(a) + len(b) - 1 == 2 * sum(counts) + 3, "two weights are completed, no more"


@pytest.mark.parametrize(
    "call",
    [
        lambda: symmetric(kicks=[0.1], drifts=[0.1, 0.2]),
        lambda: symmetric(kicks=[0.1, 0.2, 0.3], drifts=[0.1]),
        lambda: symmetric(kicks=[0.1], drifts=[], first="drift"),
        lambda: symmetric(first="jump"),  # type: ignore[arg-type]
        lambda: composition([]),
        lambda: composition([1], base="midpoint"),  # type: ignore[arg-type]
    ],
)
def test_helpers_refuse_what_they_cannot_complete(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError):
        call()


# ---------------------------------------------------------------------------------------------------------
# Construction


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"b": (0.5, 0.25, 0.25)}, "2 drift and 3 kick weights"),
        ({"a": (), "b": ()}, "no stage"),
        ({"a": (0, 0.9)}, "drift weights sum to 0.9, not 1"),
        ({"b": (0.5, 0.6)}, "kick weights sum to 1.1, not 1"),
        ({"b": (0.5, 0.5 + 1e-13)}, "kick weights sum to 1.0000000000001, not 1"),
        ({"b": ("0.50000001", "0.5"), "digits": 8}, None),
        ({"b": ("0.5000001", "0.5"), "digits": 8}, None),
        ({"b": ("0.50000011", "0.5"), "digits": 8}, "sum to 1.0000001, not 1"),
        ({"a": (0, "1e-30"), "b": (0.5, 0.5)}, "drift weights sum to 1E-30, not 1"),
        ({"a": (0, math.nan)}, "drift weight 1 is NaN, not finite"),
        ({"b": (math.inf, -math.inf)}, "kick weight 0 is Infinity, not finite"),
        ({"a": (0, "one")}, r"a\[1\]: 'one' is not a number"),
        ({"a": (0, lambda R: R(1) / R(0))}, r"a\[1\]: .* is not a number"),
        ({"order": 0}, "order must be a positive int, got 0"),
        ({"order": -2}, "order must be a positive int"),
        ({"order": 2.0}, "order must be a positive int"),
        ({"order": True}, "order must be a positive int"),
        ({"digits": 0}, "digits must be a positive int"),
        ({"name": "leap frog"}, "'leap frog' is not a valid identifier"),
        ({"name": ""}, "'' is not a valid identifier"),
        ({"aliases": ("a-b",)}, "'a-b' is not a valid identifier"),
        ({"form": "implicit"}, "form must be one of splitting, first_order, explicit, got 'implicit'"),
        ({"form": "explicit"}, "explicit form has one stage, got 2"),
        ({"form": "first_order"}, "drift weights sum to 1, not 0"),
    ],
)
def test_construction_is_checked(changes: dict[str, Any], message: str | None) -> None:
    """The message names the scheme and what was found; None marks the edge that still passes."""
    arguments = {"name": "mine", "order": 2, "a": (0, 1), "b": (0.5, 0.5), **changes}
    if message is None:
        Scheme(**arguments)
        return
    with pytest.raises(ValueError, match=message) as caught:
        Scheme(**arguments)
    assert arguments["name"] in str(caught.value) or arguments["aliases"][0] in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"a": (0, 1 + 0j)},
        {"a": (0, np.complex64(1))},
        {"a": (0, sympy.I)},
        {"a": (0, sympy.Symbol("x"))},
        {"a": (0, None)},
        {"a": (0, [1])},
        {"a": (0, True)},
        {"a": np.eye(2)},
        {"a": "01"},
        {"a": 1.0},
        {"name": 3},
        {"aliases": "other"},
        {"reference": None},
    ],
)
def test_wrong_types_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        Scheme(**{"name": "mine", "order": 2, "a": (0, 1), "b": (0.5, 0.5), **changes})


def test_arrays_and_lists_are_taken() -> None:
    scheme = Scheme("mine", 2, np.array([0.0, 1.0]), [0.5, Fraction(1, 2)])
    assert scheme.kick.tolist() == [0.5, 0.5]
    assert hash(scheme) == hash(Scheme("mine", 2, np.array([0.0, 1.0]), [0.5, Fraction(1, 2)]))


def test_a_record_cannot_be_changed_only_replaced() -> None:
    leapfrog = SCHEMES["leapfrog"]
    with pytest.raises(FrozenInstanceError):
        leapfrog.order = 4  # type: ignore[misc]
    renamed = replace(leapfrog, name="mine", aliases=())
    assert renamed.drift.tolist() == leapfrog.drift.tolist()
    with pytest.raises(ValueError, match="kick weights"):
        replace(leapfrog, b=(0.5, 0.4))


# ---------------------------------------------------------------------------------------------------------
# The table


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("stormer_verlet", "leapfrog"),
        ("velocity_verlet", "leapfrog"),
        ("verlet", "leapfrog"),
        ("forest_ruth", "yoshida4"),
        ("suzuki_umeno8", "yoshida8"),
        ("sofroniou10", "sofroniou_spaletta10"),
    ],
)
def test_aliases(alias: str, name: str) -> None:
    assert SCHEMES[alias] is SCHEMES[name] is get_scheme(alias)
    assert alias in SCHEMES
    assert alias not in list(SCHEMES), "each scheme is listed once"


def test_names_are_the_keys() -> None:
    assert all(scheme.name == name for name, scheme in SCHEMES.items())
    assert len(SCHEMES) == len(NAMES) == 18


@pytest.mark.parametrize("error", [UnknownSchemeError, KeyError, ValueError])
def test_an_unknown_name_is_answered_with_the_nearest(error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        get_scheme("leapfrg")
    text = str(caught.value)
    assert "'leapfrg'" in text and "'leapfrog'" in text and "kahan_li8" in text
    assert not text.startswith(("'", '"')), "KeyError would quote the sentence"
    assert SCHEMES.get("leapfrg") is None
    assert "leapfrg" not in SCHEMES


@pytest.mark.parametrize("scheme", [None, 2, ["leapfrog"]])
def test_what_is_no_name_is_refused(scheme: Any) -> None:
    with pytest.raises(TypeError, match="name or a Scheme"):
        get_scheme(scheme)
    assert get_scheme(SCHEMES["euler"]) is SCHEMES["euler"]


@pytest.mark.usefixtures("table")
def test_registering() -> None:
    first = register(Scheme("mine", 2, (0, 1), (0.5, 0.5), aliases=("my_own",)))
    assert SCHEMES["my_own"] is first
    second = register(Scheme("mine", 1, (1,), (1,), aliases=("ours",)))
    assert SCHEMES["mine"] is SCHEMES["ours"] is second, "one's own row may be replaced"
    assert "my_own" not in SCHEMES, "with its aliases"
    assert SCHEMES["leapfrog"].order == 2


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("name", "aliases"),
    [
        ("leapfrog", ()),
        ("verlet", ()),
        ("mine", ("euler",)),
        ("mine", ("forest_ruth",)),
        ("mine", ("theirs",)),
    ],
)
def test_registering_does_not_overwrite(name: str, aliases: tuple[str, ...]) -> None:
    register(Scheme("theirs", 2, (0, 1), (0.5, 0.5)))
    before = dict(SCHEMES._owners)
    with pytest.raises(ValueError, match=r"already names the (built-in|registered) scheme"):
        register(Scheme(name, 2, (0, 1), (0.5, 0.5), aliases=aliases))
    assert SCHEMES._owners == before
    with pytest.raises(TypeError):
        register("leapfrog")  # type: ignore[arg-type]


def half(R: Callable[[Any], Any]) -> Any:
    return symmetric(kicks=[R(1) / 2 - R(3) ** (R(1) / 2) / 6])


def test_schemes_travel_between_processes() -> None:
    """Rows by name, others by value, arrays still read-only."""
    for name in NAMES:
        assert pickle.loads(pickle.dumps(SCHEMES[name])) is SCHEMES[name]
        assert copy.deepcopy(SCHEMES[name]) is SCHEMES[name]
    mine = Scheme.define("mine", 2, half, digits=None)
    mine.drift.sum()
    twin = pickle.loads(pickle.dumps(mine))
    assert twin == mine
    assert twin.kick.tolist() == mine.kick.tolist()
    assert not twin.kick.flags.writeable
    impostor = replace(SCHEMES["euler"], name="euler", order=7)
    assert pickle.loads(pickle.dumps(impostor)).order == 7, "not the built-in row of that name"


def test_import_loads_no_compiler_and_no_algebra() -> None:
    """In an own process, past the package's __init__, which may import what it likes."""
    folder = Path(module.__file__).parents[1]
    script = (
        "import sys, types\n"
        "package = sys.modules['integrators'] = types.ModuleType('integrators')\n"
        f"package.__path__ = [{str(folder)!r}]\n"
        "import integrators.schemes.table as s\n"
        "assert s.SCHEMES['sofroniou_spaletta10'].drift.size == 36\n"
        "print(sorted({'sympy', 'mpmath', 'numba', 'scipy', 'matplotlib'} & set(sys.modules)))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert found.stdout.strip() == "[]"
