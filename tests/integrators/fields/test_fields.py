"""Fields: textbook ones, a user's own, those from SymPy; what the check of a field sees."""

import math
import pickle

import numpy as np
import pytest
import sympy
from numba import njit

import leapgrad as lg
import naive
from integrators import (
    SCHEMES,
    Field,
    NeuralField,
    harmonic,
    henon_heiles,
    integrate,
    kepler,
    pendulum,
    symbolic_field,
)
from integrators.fields.check import check_field
from sensitivity import OdeRecurrence, jacobian

# Field and its twin F(y, θ), analytic so that a complex step differentiates it.
TEXTBOOK = {
    "harmonic": (harmonic(1.3), lambda y, t: -(t[0] ** 2) * y),
    "pendulum": (pendulum(0.8), lambda y, t: -(t[0] ** 2) * np.sin(y)),
    "henon_heiles": (
        henon_heiles(0.9),
        lambda y, t: np.array([-y[0] - 2 * t[0] * y[0] * y[1], -y[1] - t[0] * (y[0] ** 2 - y[1] ** 2)]),
    ),
    "kepler": (kepler(1.2), lambda y, t: -t[0] * y / np.sqrt(y[0] ** 2 + y[1] ** 2) ** 3),
}
POINT = {1: (np.array([0.7]), np.array([0.4])), 2: (np.array([0.8, -0.5]), np.array([0.2, 0.6]))}


@pytest.fixture(scope="module")
def cubic():
    """A user's field, coupled, driven and with parameters: F = (θ_0 y_0³ x, θ_1 sin(y_0 y_1))."""

    @njit
    def kick(theta, y, x, c, p, dy, dp):
        for q in range(y.shape[1]):
            u, v, w = y[0, q], y[1, q], x[0, q]
            p[0, q] += c[q] * theta[0] * u**3 * w
            p[1, q] += c[q] * theta[1] * math.sin(u * v)
            for r in range(dy.shape[1]):
                dp[0, r, q] += c[q] * theta[0] * 3 * u**2 * w * dy[0, r, q]
                dp[1, r, q] += c[q] * theta[1] * math.cos(u * v) * (v * dy[0, r, q] + u * dy[1, r, q])

    @njit
    def kick_adjoint(theta, y, x, c, lam_p, lam_y, grad_theta):
        for q in range(y.shape[1]):
            u, v, w = y[0, q], y[1, q], x[0, q]
            for r in range(lam_p.shape[1]):
                bend = c[q] * theta[1] * math.cos(u * v) * lam_p[1, r, q]
                lam_y[0, r, q] += c[q] * theta[0] * 3 * u**2 * w * lam_p[0, r, q] + bend * v
                lam_y[1, r, q] += bend * u
                if grad_theta.size:
                    grad_theta[0] += c[q] * u**3 * w * lam_p[0, r, q]
                    grad_theta[1] += c[q] * math.sin(u * v) * lam_p[1, r, q]

    return Field(2, kick, kick_adjoint, theta=[-1.5, 0.75], n_inputs=1, name="cubic")


def cubic_twin(y, theta, x):
    return np.array([theta[0] * y[0] ** 3 * x[0], theta[1] * np.sin(y[0] * y[1])])


@pytest.fixture(scope="module")
def symbolic_cubic():
    u, v, w, a, b = sympy.symbols("u v w a b")
    expressions = [a * u**3 * w, b * sympy.sin(u * v)]
    return symbolic_field(expressions, [u, v], [w], {a: -1.5, b: 0.75}, name="cubic by SymPy")


def check_all_derivatives(field, F, name, inputs=None, n_steps=12, h=0.1):
    """Propagator, pullback and parameter gradient of a run against complex steps of the naive twin."""
    y0, p0 = POINT[field.dim]
    d, scheme = field.dim, SCHEMES[name]
    size = d if scheme.form == "first_order" else 2 * d

    def end(state, theta):
        def force(y, x):
            return F(y, theta) if inputs is None else F(y, theta, x)

        y, p = naive.trajectory(scheme, force, state[:d], state[d:], h, n_steps, inputs)[-1]
        return np.concatenate([y, p])[:size]

    start = np.concatenate([y0, p0])
    J = naive.complex_step(lambda s: end(s, field.theta), start)[:, :size]
    by_theta = naive.complex_step(lambda t: end(start, t), field.theta)
    recurrence = OdeRecurrence(field, name, [h, h / 3], n_steps, y0, p0, inputs)
    np.testing.assert_allclose(recurrence.run()[0], end(start, field.theta), rtol=1e-13, atol=1e-13)
    scale = np.abs(J).max()
    np.testing.assert_allclose(recurrence.pushforward(np.eye(size)).unscaled()[0], J, atol=1e-12 * scale)
    np.testing.assert_allclose(recurrence.pullback(np.eye(size)).unscaled()[0], J.T, atol=1e-12 * scale)
    lam = np.linspace(-1, 2, size)
    gradient = recurrence.parameter_gradient(lam)[0]
    np.testing.assert_allclose(gradient, lam @ by_theta, rtol=1e-11, atol=1e-11)


@pytest.mark.nojit
@pytest.mark.parametrize("name", ["euler", "explicit_euler", "symplectic_euler", "leapfrog", "yoshida4"])
@pytest.mark.parametrize("field", TEXTBOOK)
def test_textbook_field_against_complex_steps(field, name):
    check_all_derivatives(*TEXTBOOK[field], name)


@pytest.mark.nojit
@pytest.mark.parametrize("name", ["euler", "symplectic_euler", "leapfrog", "yoshida4"])
@pytest.mark.parametrize("kind", ["cubic", "symbolic_cubic"])
def test_own_field_against_complex_steps(kind, name, request):
    inputs = np.random.default_rng(3).normal(size=(12, 1))
    check_all_derivatives(request.getfixturevalue(kind), cubic_twin, name, inputs)


@pytest.mark.nojit
@pytest.mark.parametrize("field", TEXTBOOK)
def test_force_is_minus_the_gradient_of_the_energy(field):
    F = TEXTBOOK[field][0]
    y, p = POINT[F.dim]
    slope = [(F.energy(y + h, p) - F.energy(y - h, p)) / 2e-5 for h in 1e-5 * np.eye(F.dim)]
    np.testing.assert_allclose(F.force(y), -np.array(slope), atol=1e-9)
    assert F.energy(y, 2 * p) - F.energy(y, 0 * p) == pytest.approx(2 * p @ p)
    assert F.energy(np.tile(y, (5, 3, 1)), np.tile(p, (5, 3, 1))).shape == (5, 3)


@pytest.mark.nojit
def test_harmonic_propagator_has_a_closed_form():
    # Leapfrog on ÿ = −ω² y turns by φ with cos φ = 1 − (ωε)²/2: ∂y_N/∂y_0 = cos Nφ and ∂y_N/∂p_0 = sin Nφ/Ω
    # with Ω = ω √(1 − (ωε)²/4).
    omega, h, n = 1.3, 0.1, 100
    M = jacobian(harmonic(omega), "leapfrog", h, n, block="phase")
    angle, slant = n * math.acos(1 - (omega * h) ** 2 / 2), omega * math.sqrt(1 - (omega * h) ** 2 / 4)
    expected = [[math.cos(angle), math.sin(angle) / slant], [-slant * math.sin(angle), math.cos(angle)]]
    np.testing.assert_allclose(M, expected, atol=1e-13)


@pytest.mark.nojit
@pytest.mark.parametrize("field", [harmonic(1.3), pendulum(0.8)])
def test_lipschitz_bounds_the_jacobian_and_is_attained(field):
    slopes = [abs(field.linearise([y])[1][0, 0]) for y in np.linspace(-4, 4, 801)]
    assert max(slopes) == pytest.approx(field.lipschitz, rel=1e-4)
    assert max(slopes) <= field.lipschitz


def test_only_constant_jacobians_say_so(symbolic_cubic):
    u, v = sympy.symbols("u v")
    assert harmonic().constant_jacobian
    assert symbolic_field([2 * u + 3 * v, u + 1], [u, v]).constant_jacobian
    assert not any(f.constant_jacobian for f in (pendulum(), henon_heiles(), kepler(), symbolic_cubic))
    assert NeuralField([[1.0]], [0.0], activation="identity").constant_jacobian
    assert not NeuralField([[1.0]], [0.0], activation="relu").constant_jacobian


@pytest.mark.nojit
def test_new_parameters_need_no_new_kernel():
    assert harmonic(1.0).kick is harmonic(2.0).kick
    assert NeuralField.random(3).kick is NeuralField.random(7, inputs=2, activation="erf").kick


# ---------------------------------------------------------------------------------------- fields from SymPy


def test_symbolic_field_is_the_field_written_by_hand():
    u, v, k = sympy.symbols("u v k")
    by_hand = henon_heiles(0.9)
    derived = symbolic_field(
        [-u - 2 * k * u * v, -v - k * (u**2 - v**2)], [u, v], parameters={k: 0.9}, name="derived"
    )
    steps = [0.05, 0.1]
    for mine, theirs in (
        (jacobian(f, "yoshida4", steps, 50, *POINT[2], block="phase") for f in (derived, by_hand)),
        (integrate(f, "leapfrog", *POINT[2], steps, 50).p for f in (derived, by_hand)),
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)


def test_kinks_are_differentiated_piece_by_piece():
    u, v = sympy.symbols("u v")
    field = symbolic_field(
        [sympy.Abs(u) * sympy.Max(v, 0, u - 2), sympy.Min(u, v) + abs(abs(u) - 1)],
        [u, v],
        check_at=[0.5, 0.25],
    )
    for point in ([-2.0, 3.0], [1.5, -3.0], [0.5, 0.25], [4.0, -1.0]):
        a, b = point
        top = max(b, 0, a - 2)
        slope = [np.sign(a) * top + abs(a) * (top == a - 2), abs(a) * (top == b)]
        under = [float(a < b) + np.sign(abs(a) - 1) * np.sign(a), float(b < a)]
        force, DF = field.linearise(point)
        np.testing.assert_allclose(force, [abs(a) * top, min(a, b) + abs(abs(a) - 1)])
        np.testing.assert_allclose(DF, [slope, under])


def test_assumptions_and_names_of_symbols_do_not_matter():
    u, i = sympy.Symbol("y_1", positive=True), sympy.Symbol("t_0")
    field = symbolic_field(u * sympy.exp(-(i**2)), u, parameters={i: 0.5})
    np.testing.assert_allclose(field.force([-2.0]), [-2.0 * math.exp(-0.25)])


def test_constant_and_missing_entries():
    u, v, w = sympy.symbols("u v w")
    field = symbolic_field([1, v, sympy.Piecewise((w**2, w > 0))], [u, v, w], check_at=[1, 1, 1])
    np.testing.assert_array_equal(field.force([1, 2, 3]), [1, 2, 9])
    assert np.isnan(field.force([1, 2, -3])[2])


X, Y, K = sympy.symbols("x y k")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            ([X * K], [X]),
            ValueError,
            r"expressions\[0\] holds k, which is neither in y nor in x nor in param",
        ),
        (([X, Y], [X]), ValueError, "expressions has 2 entries for 1 of y"),
        (([], []), ValueError, "y is empty"),
        (([X, Y], [X, X]), ValueError, "x occurs more than once"),
        (([X], [X], [X]), ValueError, "x occurs more than once"),
        (([X], ["x"]), TypeError, "y must hold SymPy symbols, got 'x'"),
        (([X], [X], [2.0]), TypeError, "x must hold SymPy symbols"),
        ((["x"], [X]), TypeError, r"expressions\[0\] is the text 'x'"),
        (([sympy.Eq(X, 1)], [X]), TypeError, r"expressions\[0\] is Eq\(x, 1\); pass a scalar"),
        ((None, [X]), TypeError, "expressions must be a sequence, got None"),
        (([sympy.I * X], [X]), ValueError, "not a real, finite expression"),
        (([sympy.sqrt(-1 - X**2)], [X]), ValueError, "not a real, finite expression"),
        (([X / 0], [X]), ValueError, "not a real, finite expression"),
        (([sympy.sign(X)], [X]), ValueError, "holds sign, which jumps"),
        (([sympy.Heaviside(X) * X], [X]), ValueError, "holds Heaviside, which jumps"),
        (([sympy.floor(X)], [X]), ValueError, "holds floor, which jumps"),
        (([sympy.DiracDelta(X)], [X]), ValueError, "holds DiracDelta, which jumps"),
        (([sympy.Function("g")(X)], [X]), ValueError, "holds g, which cannot be compiled"),
        (([sympy.besselj(0, X)], [X]), ValueError, "holds besselj, which cannot be compiled"),
        (([sympy.log(X)], [X]), ValueError, "not finite at y = .*check_at"),
        (
            ([X * K], [X], (), {K: np.nan}),
            ValueError,
            r"parameters\[k\] holds nan; every entry must be finite",
        ),
        (([X * K], [X], (), {K: 1j}), TypeError, r"parameters\[k\] is complex"),
        (([X * K], [X], (), {K: [1.0]}), ValueError, r"parameters\[k\] has 1 dimensions"),
    ],
)
def test_symbolic_field_says_what_is_wrong(arguments, error, message):
    with pytest.raises(error, match=message):
        symbolic_field(*arguments)


# ---------------------------------------------------------------------------------------- the check


def good_kick(theta, y, x, c, p, dy, dp):
    p += c * theta[0] * np.sin(y)[::-1]
    dp += c * theta[0] * (np.cos(y)[:, None] * dy)[::-1]


def good_adjoint(theta, y, x, c, lam_p, lam_y, grad_theta):
    lam_y += c * theta[0] * np.cos(y)[:, None] * lam_p[::-1]
    if grad_theta.size:
        grad_theta[0] += (c * np.sin(y)[::-1][:, None] * lam_p).sum()


def wrong_sign(theta, y, x, c, p, dy, dp):
    p += c * theta[0] * np.sin(y)[::-1]
    dp -= c * theta[0] * (np.cos(y)[:, None] * dy)[::-1]


def overwrites(theta, y, x, c, p, dy, dp):
    p[:] = c * theta[0] * np.sin(y)[::-1]
    dp += c * theta[0] * (np.cos(y)[:, None] * dy)[::-1]


def only_the_first_member(theta, y, x, c, p, dy, dp):
    good_kick(theta, np.repeat(y[:, :1], y.shape[1], axis=1), x, c, p, dy, dp)


def one_weight_for_all(theta, y, x, c, p, dy, dp):
    good_kick(theta, y, x, c[:1], p, dy, dp)


def moves_y(theta, y, x, c, p, dy, dp):
    good_kick(theta, y, x, c, p, dy, dp)
    y += 1.0


def needs_tangents(theta, y, x, c, p, dy, dp):
    if dy.shape[1]:
        good_kick(theta, y, x, c, p, dy, dp)


def not_transposed(theta, y, x, c, lam_p, lam_y, grad_theta):
    lam_y += c * theta[0] * (np.cos(y)[:, None] * lam_p)[::-1]
    good_adjoint(theta, y, x, c, lam_p, np.zeros_like(lam_y), grad_theta)


def no_gradient(theta, y, x, c, lam_p, lam_y, grad_theta):
    good_adjoint(theta, y, x, c, lam_p, lam_y, np.zeros(0))


def overwrites_gradient(theta, y, x, c, lam_p, lam_y, grad_theta):
    grad_theta[:] = 0.0
    good_adjoint(theta, y, x, c, lam_p, lam_y, grad_theta)


def infinite(theta, y, x, c, lam_p, lam_y, grad_theta):
    lam_y += np.inf


class Plain(Field):
    """A field of uncompiled leaves, so that many wrong ones can be tried."""

    def __init__(self, kick, kick_adjoint):
        self.dim, self.n_inputs, self.packed, self.name = 2, 0, np.array([1.5]), "plain"
        self.kick, self.kick_adjoint = kick, kick_adjoint


@pytest.mark.nojit
def test_the_check_passes_a_right_field():
    check_field(Plain(good_kick, good_adjoint))
    for field, at in ((harmonic(), None), (pendulum(), None), (henon_heiles(), None), (kepler(), [1, 0.5])):
        check_field(field, at)
    check_field(NeuralField.random(4, inputs=2))


@pytest.mark.nojit
@pytest.mark.parametrize(
    ("kick", "adjoint", "message"),
    [
        (wrong_sign, good_adjoint, "the tangent of kick"),
        (overwrites, good_adjoint, "p after adding two members"),
        (only_the_first_member, good_adjoint, "after adding two members"),
        (one_weight_for_all, good_adjoint, "after adding two members"),
        (moves_y, good_adjoint, "a callback changes y"),
        (needs_tangents, good_adjoint, "finite difference of kick gives 0"),
        (good_kick, not_transposed, "lam_y of kick_adjoint"),
        (good_kick, no_gradient, "grad_theta of kick_adjoint"),
        (good_kick, overwrites_gradient, "grad_theta after adding two members"),
        (good_kick, infinite, "lam_y is not finite"),
    ],
)
def test_the_check_finds_a_wrong_leaf(kick, adjoint, message):
    with pytest.raises(ValueError, match=message):
        check_field(Plain(kick, adjoint))


def test_a_user_s_field_is_checked(cubic):
    assert repr(cubic) == "Field(cubic, d=2, n_inputs=1)"

    def no_tangent(theta, y, x, c, p, dy, dp):
        for q in range(y.shape[1]):
            p[0, q] -= c[q] * y[0, q]

    def no_adjoint(theta, y, x, c, lam_p, lam_y, grad_theta):
        pass

    with pytest.raises(ValueError, match=r"no_tangent: the tangent of kick.* is 0 at index .0, 0. where"):
        Field(1, no_tangent, no_adjoint)
    with pytest.raises(TypeError, match=r"kick_adjoint .<lambda>. does not compile .*takes 1 arg"):
        Field(1, no_tangent, lambda theta: None)

    def of_a_word(theta, y, x, c, p, dy, dp):
        p[0, 0] += c[0] * math.sin("y")

    with pytest.raises(
        TypeError, match=r"kick \(of_a_word\) does not compile .*No implementation of function"
    ):
        Field(1, of_a_word, no_adjoint)


@pytest.mark.nojit
@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((0, good_kick, good_adjoint), {}, ValueError, "dim must be at least 1"),
        ((1.5, good_kick, good_adjoint), {}, TypeError, "dim must be a whole number"),
        ((2, good_kick, good_adjoint, [np.inf]), {}, ValueError, "theta holds inf at index"),
        ((2, good_kick, good_adjoint, [[1.0]]), {}, ValueError, "theta has 2 dimensions"),
        ((2, good_kick, good_adjoint), {"n_inputs": -1}, ValueError, "n_inputs must be at least 0"),
        ((2, good_kick, good_adjoint), {"lipschitz": -1.0}, ValueError, "lipschitz must be at least 0"),
        ((2, good_kick, good_adjoint), {"lipschitz": np.nan}, ValueError, "lipschitz must be at least 0"),
        ((2, "kick", good_adjoint), {}, TypeError, "kick must be a function"),
    ],
)
def test_arguments_of_a_field(arguments, options, error, message):
    with pytest.raises(error, match=message):
        Field(*arguments, **options)


@pytest.mark.nojit
def test_force_and_linearise_check_their_arguments():
    field = NeuralField.random(2, inputs=1)
    expected = np.tanh(field.W @ [0.5, 1] + field.V @ [2.0] + field.b)
    np.testing.assert_allclose(field.force([0.5, 1], [2.0]), expected, rtol=1e-15)
    for call, message in (
        (lambda: field.force([1.0]), r"y has shape \(1,\)"),
        (lambda: field.force([1.0, 2.0], [1.0, 2.0]), r"x has shape \(2,\)"),
        (lambda: field.force([1.0, np.nan]), "y holds nan at index"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="y is complex"):
        field.linearise([1j, 0])


@pytest.mark.nojit
def test_parameters_cannot_be_changed_from_outside():
    W = np.eye(2)
    field = NeuralField(W, np.zeros(2))
    W[:] = 7.0
    np.testing.assert_array_equal(field.W, np.eye(2))
    for array in (field.W, field.b, field.V, field.theta):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 1.0
    assert pickle.loads(pickle.dumps(np.asarray(field.theta))).tolist() == field.theta.tolist()


@pytest.mark.nojit
@pytest.mark.parametrize("make", [harmonic, pendulum, henon_heiles, kepler])
def test_arguments_of_textbook_fields(make):
    for value, error in ((np.nan, ValueError), ([1.0, 2.0], ValueError), (1j, TypeError), ("one", TypeError)):
        with pytest.raises(error, match=r"omega|coupling|mu"):
            make(value)


# Catches: components beyond d that count in |p|² or are left out of U.
def test_the_energy_asks_for_points_of_the_dimension_of_the_field():
    for y, p, name in (([1.0, 2.0], [0.0], "y"), ([1.0], [0.0, 1.0], "p"), (1.0, [0.0], "y")):
        with pytest.raises(ValueError, match=f"^{name} has shape"):
            lg.harmonic().energy(y, p)
    with pytest.raises(TypeError, match=r"^y has dtype complex128"):
        lg.harmonic().energy([1j], [0.0])
    assert lg.harmonic().energy(np.ones((3, 2, 1)), np.ones((3, 2, 1))).shape == (3, 2)


# Catches: the numbers below a mask, taken as if they had been given.
def test_masked_entries_are_refused():
    W = np.ma.array([[1.0, 2.0], [3.0, 4.0]], mask=[[0, 1], [0, 0]])
    with pytest.raises(ValueError, match="W has 1 masked entries"):
        NeuralField(W, [0.0, 0.0])
    np.testing.assert_array_equal(NeuralField(W.filled(0.0), [0.0, 0.0]).W, [[1.0, 0.0], [3.0, 4.0]])
    assert NeuralField(np.ma.array([[1.0]]), [0.0]).W == 1.0
