"""Gradients of log norms and exponents of fields under every scheme, against fifty digits and differences."""

import math
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy
from numba import njit

import leapgrad as lg
import naive
from integrators import SCHEMES

N, STEP = 4, 0.3
tanh = np.vectorize(mpmath.tanh, otypes=[object])


def in_mp(array):
    return np.vectorize(mpmath.mpf, otypes=[object])(np.asarray(array, dtype=float))


def neural(p):
    """F and DF of σ(W y + V x + b)."""
    return (
        lambda y, x: tanh(p["W"] @ y + p["V"] @ x + p["b"]),
        lambda y, x: (1 - tanh(p["W"] @ y + p["V"] @ x + p["b"]) ** 2)[:, None] * p["W"],
    )


def potential(p):
    F, DF = neural(p)
    return lambda y, x: -p["W"].T @ F(y, x), lambda y, x: -p["W"].T @ DF(y, x)


def along(scheme, kind, sizes, direction, s0, ds, inputs):
    """∂s_N/∂s_0 and its derivative along a direction."""
    d = len(sizes["b"])
    with mpmath.workdps(50):
        h, found = mpmath.mpf(10) ** -18, []
        for step in (0, h, -h):
            p = {name: in_mp(value) + step * in_mp(direction[name]) for name, value in sizes.items()}
            s = in_mp(s0) + step * in_mp(ds)
            F, DF = kind(p)
            found.append(
                naive.propagator(SCHEMES[scheme], F, DF, s[:d], s[d:], mpmath.mpf(STEP), N, in_mp(inputs))
            )
        here, up, down = found
        return np.array(here, dtype=float), np.array((up - down) / (2 * h), dtype=float)


def slopes(J, dJ, frame):
    """d ln σ_1, d ln ‖·‖_F and d ln R_jj of J · frame."""
    u, s, vt = np.linalg.svd(J)
    Q, R = np.linalg.qr(J @ frame)
    by_r = np.diagonal(Q.T @ dJ @ frame @ np.linalg.inv(R))
    return (
        u[:, 0] @ dJ @ vt[0] / s[0],
        (J * dJ).sum() / (J * J).sum(),
        by_r[np.argsort(-np.abs(np.diagonal(R)))],
    )


def directional(found, direction, ds):
    total = found.s0 @ ds
    for name, own in direction.items():
        total = total + (found.parameters[name] * own).reshape(*np.shape(found.value), -1).sum(axis=-1)
    return total


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
@pytest.mark.parametrize(("made", "kind"), [(lg.NeuralField, neural), (lg.PotentialField, potential)])
def test_every_scheme_against_fifty_digits(scheme, made, kind):
    rng, size = np.random.default_rng(1), 2 if SCHEMES[scheme].form == "first_order" else 4
    sizes = {"W": rng.normal(size=(2, 2)), "V": rng.normal(size=(2, 2)), "b": rng.normal(size=2)}
    direction = {name: rng.normal(size=value.shape) for name, value in sizes.items()}
    inputs, s0, ds = rng.normal(size=(N, 2)), rng.normal(size=size), rng.normal(size=size)
    J, dJ = along(scheme, kind, sizes, direction, s0, ds, inputs)
    run = lg.unroll(made(**sizes), scheme=scheme, step=STEP, n_steps=N, inputs=inputs, s0=s0)
    grown = lg.exponent_gradient(run, burn_in=0)
    for block, part in (("position", slice(0, 2)), ("state", slice(0, size))):
        spectral, frobenius, by_r = slopes(J[part, part], dJ[part, part], np.eye(size)[part, part])
        pairs: Any = (("spectral", spectral), ("frobenius", frobenius))
        for norm, expected in pairs:
            found = directional(lg.log_norm_gradient(run, block=block, norm=norm), direction, ds)
            assert found == pytest.approx(expected, rel=1e-11, abs=1e-12)
    assert np.allclose(directional(grown, direction, ds), by_r / N, rtol=1e-11, atol=1e-12)


def by_differences(make, point, direction, h=1e-3):
    """The derivative of make(point) along a direction, by Richardson extrapolation."""

    def slope(h):
        return (make(point + h * direction) - make(point - h * direction)) / (2.0 * h)

    first, second, third = slope(h), slope(h / 2.0), slope(h / 4.0)
    return (64.0 * third - 20.0 * second + first) / 45.0


@pytest.mark.parametrize(
    "scheme", ("leapfrog", "position_verlet", "yoshida4", "symplectic_euler_dk", "euler")
)
@pytest.mark.parametrize("burn_in", (0, 1, 4))
def test_what_is_counted_after_the_burn_in_is_what_growth_exponents_count(scheme, burn_in):
    """Of a splitting, at nodes whose kick is still to come."""
    rng, size = np.random.default_rng(2), 3 if scheme == "euler" else 6
    W, b, V, x = rng.normal(size=(3, 3)), rng.normal(size=3), rng.normal(size=(3, 1)), rng.normal(size=(6, 1))
    s0, direction = rng.normal(size=size), rng.normal(size=9)

    def run(W):
        field = lg.NeuralField(W.reshape(3, 3), b, V)
        return lg.unroll(field, scheme=scheme, step=0.3, n_steps=6, inputs=x, s0=s0)

    def value(W):
        return lg.growth_exponents(run(W), k=2, burn_in=burn_in).exponents

    found = lg.exponent_gradient(run(W), 2, burn_in=burn_in)
    assert np.allclose(found.value, value(W.ravel()), rtol=1e-12, atol=1e-14)
    expected = by_differences(value, W.ravel(), direction)
    assert np.allclose(found.parameters["W"].reshape(2, 9) @ direction, expected, rtol=1e-9, atol=1e-10)


def cubic():
    @njit
    def kick(theta, y, x, c, p, dy, dp):
        for m in range(y.shape[1]):
            p[0, m] += c[m] * (x[0, m] - theta[0] * y[0, m] ** 3)
            for k in range(dy.shape[1]):
                dp[0, k, m] -= c[m] * 3 * theta[0] * y[0, m] ** 2 * dy[0, k, m]

    @njit
    def kick_adjoint(theta, y, x, c, lam_p, lam_y, grad_theta):
        for m in range(y.shape[1]):
            for k in range(lam_p.shape[1]):
                lam_y[0, k, m] -= c[m] * 3 * theta[0] * y[0, m] ** 2 * lam_p[0, k, m]
                if grad_theta.size:
                    grad_theta[0] -= c[m] * y[0, m] ** 3 * lam_p[0, k, m]

    return lambda theta: lg.Field(1, kick, kick_adjoint, theta=theta, n_inputs=1)


def symbolic():
    u, v, k, c = sympy.symbols("u v k c")

    def make(theta):
        force = [-k * sympy.sin(u) ** 3 + sympy.Abs(v), -sympy.exp(c * u) * v + sympy.Max(u, v)]
        return lg.symbolic_field(force, [u, v], parameters={k: theta[0], c: theta[1]})

    return make


FIELDS = {
    "pendulum": (lambda theta: lg.pendulum(*theta), 1, 0),
    "henon_heiles": (lambda theta: lg.henon_heiles(*theta), 2, 0),
    "own": (cubic(), 1, 1),
    "symbolic": (symbolic(), 2, 0),
}


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_of_callbacks_against_differences(name):
    make, d, n_inputs = FIELDS[name]
    rng = np.random.default_rng(3)
    theta = 0.7 + 0.2 * np.arange(make([1.0, 1.0][: 1 if name != "symbolic" else 2]).theta.size)
    s0, delta, ds = 0.3 * rng.normal(size=2 * d), rng.normal(size=theta.size), rng.normal(size=2 * d)
    inputs = rng.normal(size=(12, n_inputs)) if n_inputs else None

    def run(point):
        return lg.unroll(make(point[: theta.size]), scheme="yoshida4", step=[0.2, 0.1], n_steps=12,
                         s0=point[theta.size :], inputs=inputs)  # fmt: skip

    def value(point):
        return lg.log_jacobian_norm(run(point), block="state")

    point, direction = np.concatenate([theta, s0]), np.concatenate([delta, ds])
    found = lg.log_norm_gradient(run(point), block="state")
    assert np.allclose(found.value, value(point), rtol=1e-12)
    ours = found.parameters["theta"] @ delta + found.s0 @ ds
    assert np.allclose(ours, by_differences(value, point, direction), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("members", [None, 2])
@pytest.mark.parametrize("scheme", ["explicit_euler", "leapfrog", "euler"])
@pytest.mark.parametrize("n_inputs", [0, 1])
@pytest.mark.parametrize("n_steps", [1, 6])
def test_a_field_without_parameters(n_inputs, scheme, members, n_steps):
    """Which has the gradient by s_0 alone; one sequence of inputs is the same for all members."""
    u, x = sympy.symbols("u x")
    field = lg.symbolic_field([-sympy.sin(u) + (x if n_inputs else 0)], [u], [x] if n_inputs else ())
    rng = np.random.default_rng(1)
    start, inputs = rng.normal(size=1 if scheme == "euler" else 2), rng.normal(size=(n_steps, n_inputs))
    step: Any = 0.3 if members is None else [0.3, 0.2]

    def run(s0):
        return lg.unroll(
            field, scheme=scheme, step=step, s0=s0, n_steps=n_steps, inputs=inputs if n_inputs else None
        )

    direction = rng.normal(size=start.size)
    found = lg.log_norm_gradient(run(start), block="state")
    expected = by_differences(lambda s0: lg.log_jacobian_norm(run(s0), block="state"), start, direction)
    assert np.allclose(found.s0 @ direction, expected, rtol=1e-8, atol=1e-9) and not found.parameters
    values = lg.exponent_gradient(run(start), burn_in=0)
    assert np.allclose(values.value, lg.growth_exponents(run(start), burn_in=0).exponents, atol=1e-13)


def test_an_input_that_is_a_function_of_time_is_sampled_at_every_kick():
    W, b, V = np.array([[0.5, -0.3], [0.8, 0.1]]), np.array([0.1, -0.2]), np.array([[1.0], [0.5]])

    def value(V, gradient=False) -> Any:
        field = lg.NeuralField(W, b, V.reshape(2, 1))
        run = lg.unroll(
            field, scheme="yoshida4", step=[0.2, 0.1], n_steps=9, inputs=lambda t: [np.sin(3.0 * t)]
        )
        return lg.log_norm_gradient(run) if gradient else lg.log_jacobian_norm(run)

    direction = np.array([0.4, -1.0])
    expected = by_differences(value, V.ravel(), direction)
    assert np.allclose(value(V, True).parameters["V"][..., 0] @ direction, expected, rtol=1e-9)


def test_a_callback_whose_source_does_not_run_on_dual_numbers_is_refused():
    @njit
    def kick(theta, y, x, c, p, dy, dp):
        for m in range(y.shape[1]):
            p[0, m] -= c[m] * (y[0, m] - math.floor(y[0, m]))
            for k in range(dy.shape[1]):
                dp[0, k, m] -= c[m] * dy[0, k, m]

    @njit
    def kick_adjoint(theta, y, x, c, lam_p, lam_y, grad_theta):
        for m in range(y.shape[1]):
            for k in range(lam_p.shape[1]):
                lam_y[0, k, m] -= c[m] * lam_p[0, k, m] * (1.0 + 0.0 * math.floor(y[0, m]))

    field = lg.Field(1, kick, kick_adjoint, name="saw", check_at=[0.3])
    run = lg.unroll(field, scheme="leapfrog", step=0.1, n_steps=3, s0=[0.3, 0.1])
    with pytest.raises(ValueError, match=r"the field 'saw' cannot be differentiated twice: .*floor"):
        lg.log_norm_gradient(run)
