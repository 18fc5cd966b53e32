"""What the proofs stand on (deciders, balls, order conditions), and counterexamples against plain floats."""

import random
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

from integrators.schemes.table import SCHEMES
from proofs import check
from proofs.balls import BITS, Ball
from proofs.blocks import flows, splittings
from proofs.decide import all_of, at_least_zero, fact, follows, identity, limit_is, nonnegative_from
from proofs.order_conditions import lyndon_words, nystrom_trees, tree_order
from proofs.proposition import Outcome
from proofs.schemes.leapfrog_modified_hamiltonian import H2, H4
from proofs.schemes.scheme_stability import LIMITS, half_trace
from proofs.symbols import dsigma, sigma

x, y = sp.symbols("x y", real=True)
a, b = sp.symbols("a b", nonnegative=True)


@pytest.mark.parametrize(
    ("decision", "outcome"),
    [
        (identity((x + 1) ** 2, x**2 + 2 * x + 1), Outcome.PROVED),
        (identity(sp.cosh(2 * x), 2 * sp.cosh(x) ** 2 - 1), Outcome.PROVED),
        (identity((x + 1) ** 2, x**2 + 2 * x + 2), Outcome.REFUTED),
        (identity(sp.diff(sigma(3 * x), x), 3 * dsigma(3 * x)), Outcome.PROVED),
        (identity(sigma(x), dsigma(x)), Outcome.REFUTED),
        (identity(sp.Matrix([x]), sp.Matrix([x, x])), Outcome.REFUTED),
        (at_least_zero(a**2 + a * b), Outcome.PROVED),
        (at_least_zero((a + x**2) / (1 + b)), Outcome.PROVED),
        (at_least_zero(a - b), Outcome.REFUTED),
        (at_least_zero(a * x), Outcome.REFUTED),
        # True, but not visibly so: finding no counterexample must not count as a proof.
        (at_least_zero((a - b) ** 2 + a), Outcome.UNDECIDED),
        (at_least_zero(a, [(a, b)], []), Outcome.UNDECIDED),
        (follows((a, b + 1), [(a, b)], [1]), Outcome.PROVED),
        (follows((a, b - 1), [(a, b)], [1]), Outcome.REFUTED),
        # The multiplier must be non-negative: a ≤ b does not give −a ≤ −b.
        (follows((-a, -b), [(a, b)], [-1]), Outcome.REFUTED),
        (nonnegative_from(sp.exp(a) - 1 - a, a, order=2), Outcome.PROVED),
        (nonnegative_from(1 - a, a), Outcome.REFUTED),
        (limit_is(x / (1 + x), x, sp.oo, 1), Outcome.PROVED),
        (limit_is(x / (1 + x), x, sp.oo, 2), Outcome.REFUTED),
        (fact(None, 0, ""), Outcome.UNDECIDED),
        (fact(sp.Gt(x, 0), 0, ""), Outcome.UNDECIDED),
        (all_of({}), Outcome.UNDECIDED),
        (all_of({"p": fact(True, 0, ""), "u": fact(None, 0, "")}), Outcome.UNDECIDED),
        (all_of({"u": fact(None, 0, ""), "r": fact(False, 0, "")}), Outcome.REFUTED),
    ],
)
def test_deciders(decision, outcome):
    assert decision.outcome is outcome, decision


def test_non_commuting_blocks_do_not_commute():
    A, B = sp.symbols("A B", commutative=False)
    assert identity((A + B) ** 2, A**2 + A * B + B * A + B**2).proved
    assert identity((A + B) ** 2, A**2 + 2 * A * B + B**2).refuted


def test_counterexamples_satisfy_the_premises():
    decision = follows((a, sp.Rational(1, 2)), [(a, b), (b, 1)], [1, 1])
    point = decision.counterexample
    assert decision.refuted
    assert sp.Rational(1, 2) < point["a"] <= point["b"] <= 1


def test_balls_enclose():
    draw = random.Random(5)
    for _ in range(300):
        p, q = (Fraction(draw.randint(-(10**9), 10**9), draw.randint(1, 10**9)) for _ in range(2))
        r = Fraction(draw.randint(0, 9), 10**12)
        shifted = p + r * Fraction(draw.randint(-100, 100), 100)
        left, right = Ball.of(p, r), Ball.of(q)
        for ball, exact in (
            (left + right, shifted + q),
            (left - right, shifted - q),
            (left * right, shifted * q),
            (left / 7, shifted / 7),
        ):
            assert abs(Fraction(ball.mid, 1 << BITS) - exact) <= Fraction(ball.rad, 1 << BITS)
            assert ball.radius < 1e-2


def _ends(ball):
    return Fraction(ball.mid - ball.rad, 1 << BITS), Fraction(ball.mid + ball.rad, 1 << BITS)


def test_every_operation_on_balls_encloses():
    """The ends of the operands, which are the worst points, stay inside, for radii of every size."""
    draw, one = random.Random(11), Fraction(1, 1 << BITS)
    for _ in range(2000):
        size = draw.choice((1, 3, 10, 1 << BITS, 1 << (BITS + 40)))
        left, right = (Ball(draw.randint(-size, size), draw.randint(0, size)) for _ in range(2))
        count = draw.choice((-7, -3, -1, 1, 2, 3, 10, 997))
        for p in _ends(left):
            low, high = _ends(left / count)
            assert low <= p / count <= high
            assert high - low <= 2 * Fraction(left.rad, 1 << BITS) / abs(count) + 4 * one
            for q in _ends(right):
                for ball, exact in ((left + right, p + q), (left - right, p - q), (left * right, p * q)):
                    low, high = _ends(ball)
                    assert low <= exact <= high
    assert _ends(Ball(2, 2) / 3)[1] >= Fraction(4, 3) * one
    with pytest.raises(ZeroDivisionError):
        Ball(1) / 0


@pytest.mark.parametrize("value", [sp.sqrt(2), -sp.cbrt(3) * 10**40, sp.Rational(1, 3), 10**30 * sp.pi])
def test_a_ball_of_a_number_encloses_it(value):
    low, high = (sp.Rational(end.numerator, end.denominator) for end in _ends(Ball.of(value)))
    assert low <= value <= high
    low, high = (sp.Rational(end.numerator, end.denominator) for end in _ends(Ball.of(value, Fraction(1, 7))))
    assert low <= value - sp.Rational(1, 7) and value + sp.Rational(1, 7) <= high


def test_number_of_conditions():
    assert [sum(len(w) == n for w in lyndon_words(10)) for n in range(1, 11)] == [
        2,
        1,
        2,
        3,
        6,
        9,
        18,
        30,
        56,
        99,
    ]
    assert [len(nystrom_trees(n)) for n in range(1, 9)] == [1, 1, 2, 3, 6, 10, 20, 36]
    assert all(tree_order(tree) == 7 for tree in nystrom_trees(7))


@pytest.mark.parametrize("name", splittings())
def test_flows_are_the_arrays_that_run(name):
    scheme = SCHEMES[name]
    sums = {"drift": scheme.drift.sum(), "kick": scheme.kick.sum()}
    ordered = [
        (kind, weight)
        for pair in zip(scheme.drift, scheme.kick, strict=True)
        for kind, weight in zip(("drift", "kick"), pair, strict=True)
        if weight != 0
    ]
    exact = [(kind, float(sp.N(weight, 30))) for kind, weight in flows(name)]
    assert [kind for kind, _ in exact] == [kind for kind, _ in ordered]
    np.testing.assert_allclose([w for _, w in exact], [w for _, w in ordered], rtol=1e-15)
    np.testing.assert_allclose(list(sums.values()), 1, rtol=1e-14)


@pytest.mark.parametrize("name", splittings())
def test_stability_limit_against_eigenvalues(name):
    def spectral_radius(angle):
        M = np.eye(2)
        for kind, weight in flows(name):
            w = float(weight)
            M = np.array([[1, w], [0, 1]] if kind == "drift" else [[1, 0], [-w * angle**2, 1]]) @ M
        assert 2 * sum(
            float(Fraction(c.mid, 1 << BITS)) * angle ** (2 * n) for n, c in enumerate(half_trace(name))
        ) == (pytest.approx(np.trace(M), abs=1e-6))
        return np.abs(np.linalg.eigvals(M)).max()

    limit = float(LIMITS[name])
    assert all(spectral_radius(c * limit) < 1 + 1e-6 for c in np.linspace(0.01, 0.99, 99))
    assert spectral_radius(limit + 2e-4) > 1 + 1e-5


def _leapfrog(F, y, p, step, n_steps=1):
    for _ in range(n_steps):
        p = p + step / 2 * F(y)
        y = y + step * p
        p = p + step / 2 * F(y)
    return y, p


def test_modified_energy_on_the_pendulum():
    """U = 1 − cos q: one step changes H̃ by O(ε⁷) and H by O(ε³), measured in extended precision."""
    sin, cos = sp.sin, sp.cos

    def energies(q, p, e):
        U1, U2, U3, U4 = sin(q), cos(q), -sin(q), -cos(q)
        H = p**2 / 2 + 1 - cos(q)
        second = H2[0] * U2 * p**2 + H2[1] * U1**2
        fourth = H4[0] * U4 * p**4 + H4[1] * U3 * p**2 * U1 + H4[2] * (U2 * p) ** 2 + H4[3] * U2 * U1**2
        return np.array([sp.N(H, 50), sp.N(H + e**2 * second + e**4 * fourth, 50)])

    def change(e):
        q, p = sp.Float("0.7", 60), sp.Float("0.9", 60)
        return np.abs(energies(*_leapfrog(lambda q: -sp.sin(q), q, p, e), e) - energies(q, p, e))

    ratio = change(sp.Rational(1, 50)) / change(sp.Rational(1, 100))
    slopes = np.log2(ratio.astype(float))
    np.testing.assert_allclose(slopes, [3, 7], atol=0.1)


@pytest.mark.parametrize("kappa", [2.0, 4.0, 0.5])
def test_theorem_g_is_bit_exact_for_powers_of_two(kappa, rng):
    """(ε/κ, κ²W, y_0/κ², ẏ_0/κ): scaled states and identical tangents, bit for bit."""
    d, n_steps, step = 7, 200, 0.0371
    W, bias, y0, p0 = rng.normal(size=(d, d)), rng.normal(size=d), rng.normal(size=d), rng.normal(size=d)

    def run(W, y, p, h):
        T, P = np.eye(d), np.zeros((d, d))
        u = W @ y + bias
        for _ in range(n_steps):
            p, P = p + h / 2 * np.tanh(u), P + h / 2 * (1 - np.tanh(u) ** 2)[:, None] * (W @ T)
            y, T = y + h * p, T + h * P
            u = W @ y + bias
            p, P = p + h / 2 * np.tanh(u), P + h / 2 * (1 - np.tanh(u) ** 2)[:, None] * (W @ T)
        return y, p, T, u

    y, p, T, u = run(W, y0, p0, step)
    z, q, S, v = run(kappa**2 * W, y0 / kappa**2, p0 / kappa, step / kappa)
    assert (z * kappa**2 == y).all() and (q * kappa == p).all()
    assert (S == T).all() and (v == u).all()


def test_the_hamiltonian_counterexample_does_work_around_a_loop():
    example = check("claim_hamiltonian_every_w").counterexample
    W = np.array(example["W"], dtype=float)
    t = (np.arange(20000) + 0.5) / 20000
    zero, one = np.zeros_like(t), np.ones_like(t)
    edges = [((t, zero), 0, 1), ((one, t), 1, 1), ((1 - t, one), 0, -1), ((zero, 1 - t), 1, -1)]
    work = sum(sign * np.tanh(W @ np.array(point))[axis].mean() for point, axis, sign in edges)
    assert work == pytest.approx(float(example["work around the unit square"]), abs=1e-8)
    assert abs(work) > 1


def test_the_growth_counterexample_on_the_recursion():
    """σ = tanh, W = 1, b = y_0 = ẏ_0 = 0: tangent recursion = C_N(1 + ε²/2), whose growth is exponential."""
    step, n_steps = 0.1, 300
    old, new = 1.0, 1 + step**2 / 2
    for _ in range(n_steps - 1):
        old, new = new, 2 * new - old + step**2 * new
    theta = np.arccosh(1 + step**2 / 2)
    assert new == pytest.approx(np.cosh(n_steps * theta), rel=1e-9)
    assert new > 1e10 * n_steps * step
