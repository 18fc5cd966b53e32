"""The statements that were proved, tried on random numbers: a proof of the wrong sentence would show here."""

import numpy as np
import pytest

from integrators.fields.activations import ACTIVATIONS
from integrators.schemes.table import SCHEMES
from proofs.blocks import flows, splittings

CASES = 40
ROUND_OFF = 1 + 1e-9


@pytest.fixture
def draws(rng):
    """Random networks: (W, b, inputs, activation, y0, p0, step, n_steps)."""

    def make():
        for _ in range(CASES):
            d, n_steps = int(rng.integers(1, 5)), int(rng.integers(1, 60))
            W = rng.normal(size=(d, d))
            W *= 10 ** rng.uniform(-1, 1) / np.linalg.norm(W, 2)
            name = rng.choice(["tanh", "logistic", "sin", "arctan", "erf", "softsign"])
            activation = ACTIVATIONS[str(name)]
            inputs = rng.normal(size=(n_steps + 1, d)) * rng.integers(0, 2)
            step = 10 ** rng.uniform(-3, 0.3)
            yield (
                W,
                rng.normal(size=d),
                inputs,
                activation,
                rng.normal(size=d),
                rng.normal(size=d),
                step,
                n_steps,
            )

    return make


def splitting(name, W, b, inputs, activation, y, p, step, n_steps):
    """∂y_N/∂y_0 with (W, b, …) advanced by a shipped scheme, and the largest slope at each kick."""
    d = len(y)
    T, P, slopes = np.eye(d), np.zeros((d, d)), []
    weights = [(kind, float(weight)) for kind, weight in flows(name)]
    for n in range(n_steps):
        for kind, w in weights:
            if kind == "drift":
                y, T = y + w * step * p, T + w * step * P
            else:
                value, slope = activation.value_and_derivative(W @ y + b + inputs[n])
                slopes.append(np.abs(slope).max())
                p, P = p + w * step * value, P + w * step * slope[:, None] * (W @ T)
    return T, slopes


def two_step(W, b, inputs, activation, y0, p0, step, n_steps):
    """States and tangents of (13), written as the paper writes it."""
    value, slope = activation.value_and_derivative(W @ y0 + b + inputs[0])
    old, y = y0, y0 + step * p0 + step**2 / 2 * value
    T_old, T = np.eye(len(y0)), np.eye(len(y0)) + step**2 / 2 * slope[:, None] * W
    states, tangents, slopes = [old, y], [T_old, T], [np.abs(slope).max()]
    for i in range(1, n_steps):
        value, slope = activation.value_and_derivative(W @ y + b + inputs[i])
        old, y = y, 2 * y - old + step**2 * value
        T_old, T = T, 2 * T - T_old + step**2 * slope[:, None] * (W @ T)
        states.append(y)
        tangents.append(T)
        slopes.append(np.abs(slope).max())
    return states, tangents, slopes


def chebyshev(n, a):
    return np.cosh(n * 2 * np.arcsinh(np.sqrt(a) / 2))


def test_lemma_3_1_discrete(draws):
    for W, b, inputs, activation, y0, p0, step, n_steps in draws():
        if activation.bound > 1:
            continue
        states, _, _ = two_step(W, b, inputs, activation, y0, p0, step, n_steps)
        velocities = np.diff(states, axis=0) / step
        room = (np.arange(n_steps) + 0.5) * step
        assert (np.abs(velocities - p0) <= room[:, None] * ROUND_OFF + 1e-9 / step).all()


def test_theorems_b_c_and_f(draws):
    for W, b, inputs, activation, y0, p0, step, n_steps in draws():
        _, tangents, slopes = two_step(W, b, inputs, activation, y0, p0, step, n_steps)
        w = np.linalg.norm(W, 2)
        a = step**2 * activation.lipschitz * w
        sharp, increment = 1.0, step**2 * slopes[0] * w / 2
        for n, T in enumerate(tangents):
            C = chebyshev(n, a)
            values = np.linalg.svd(T, compute_uv=False)
            assert values[0] <= sharp * ROUND_OFF and sharp <= C * ROUND_OFF
            assert C <= np.cosh(n * step * np.sqrt(activation.lipschitz * w)) * ROUND_OFF
            assert np.linalg.norm(T - np.eye(len(T)), 2) <= (C - 1) * ROUND_OFF + 1e-9
            assert values[-1] >= 2 - C - 1e-9
            if 0 < n < n_steps:
                increment += step**2 * slopes[n] * w * sharp
            sharp += increment


def test_theorem_d(draws):
    for W, b, inputs, activation, y, _, step, n_steps in draws():
        T, rate = np.eye(len(y)), 1 + step * activation.lipschitz * np.linalg.norm(W, 2)
        for n in range(n_steps):
            value, slope = activation.value_and_derivative(W @ y + b + inputs[n])
            y, T = y + step * value, T + step * slope[:, None] * (W @ T)
        assert np.linalg.norm(T, 2) <= rate**n_steps * ROUND_OFF
        assert np.linalg.norm(T - np.eye(len(T)), 2) <= (rate**n_steps - 1) * ROUND_OFF


@pytest.mark.parametrize("name", splittings())
def test_theorems_e_and_f_for_every_scheme(draws, name):
    for case in draws():
        W, _, _, activation, _, _, step, n_steps = case
        T, slopes = splitting(name, *case)
        w, met = np.linalg.norm(W, 2), iter(slopes)
        s, u, sharp, sharp_u = 1.0, 0.0, 1.0, 0.0
        sizes = [(kind, abs(float(weight)) * step) for kind, weight in flows(name)]
        for _ in range(n_steps):
            for kind, size in sizes:
                if kind == "drift":
                    s, sharp = s + size * u, sharp + size * sharp_u
                else:
                    u += size * activation.lipschitz * w * s
                    sharp_u += size * next(met) * w * sharp
        assert np.linalg.norm(T, 2) <= sharp * ROUND_OFF
        assert sharp <= s * ROUND_OFF


def test_theorem_3_2(rng):
    """d = 1, ẏ(0) > T: the flow by leapfrog with small steps."""
    for _ in range(CASES):
        W, b, y, T_end = rng.normal(), rng.normal(), rng.normal(), rng.uniform(0.1, 3)
        start = T_end * rng.uniform(1.05, 3)
        sigma0, step = abs(np.tanh(W * y + b)), T_end / 400
        p, S, P = start, 1.0, 0.0
        for n in range(400):
            p, P = p + step / 2 * np.tanh(W * y + b), P + step / 2 * W * S / np.cosh(W * y + b) ** 2
            y, S = y + step * p, S + step * P
            p, P = p + step / 2 * np.tanh(W * y + b), P + step / 2 * W * S / np.cosh(W * y + b) ** 2
            t = (n + 1) * step
            printed = (t + start) / start + sigma0 * (t + start) / (start - t)
            sharper = (t + start) * (start - t + sigma0 * t) / (start * (start - t))
            assert abs(S) <= sharper * (1 + 1e-3) <= printed * (1 + 1e-3)


def test_first_order_recursion_is_bounded(rng):
    """Figure 2 with d = 1: (1 + εW)/tanh b bounds ∂y_N/∂y_0 for every N."""
    for _ in range(CASES):
        W, b, step = rng.uniform(0, 1), rng.uniform(0.01, 1), 10 ** rng.uniform(-3, 0)
        y, T = 0.0, 1.0
        for _ in range(2000):
            value = np.tanh(W * y + b)
            y, T = y + step * value, T * (1 + step * W * (1 - value**2))
            assert T <= (1 + step * W) / np.tanh(b) * ROUND_OFF


def test_antisymmetric_rule(rng):
    for _ in range(CASES):
        d, step, gamma = int(rng.integers(2, 7)), 10 ** rng.uniform(-2, 0.5), 10 ** rng.uniform(-2, 0.5)
        A = rng.normal(size=(d, d)) * 10 ** rng.uniform(-1, 0.5)
        S = A - A.T
        omega = np.abs(np.linalg.eigvals(S)).max()
        norm = np.linalg.norm(np.eye(d) + step * (S - gamma * np.eye(d)), 2)
        excess = step * (gamma**2 + omega**2) - 2 * gamma
        assert norm**2 - 1 == pytest.approx(
            max(step * excess, step * (step * gamma**2 - 2 * gamma)), abs=1e-9
        )


def test_unicornn_bound(rng):
    for _ in range(CASES):
        w, alpha, s, y, z = (
            *rng.normal(size=1),
            rng.uniform(0, 2),
            10 ** rng.uniform(-2, 0.3),
            *rng.normal(size=2),
        )
        K = abs(w) + alpha
        theta = 2 * np.arcsinh(s * np.sqrt(K) / 2)
        T, Z = 1.0, 0.0
        for n in range(1, 40):
            u = w * y + rng.normal()
            z, Z = z - s * (np.tanh(u) + alpha * y), Z - s * (w / np.cosh(u) ** 2 + alpha) * T
            y, T = y + s * z, T + s * Z
            bound = np.cosh((n + 0.5) * theta) / np.cosh(theta / 2)
            assert abs(T) <= bound * ROUND_OFF <= np.exp((n + 0.5) * s * np.sqrt(K)) * ROUND_OFF**2


def test_orthogonal_networks_do_not_expand(rng):
    for _ in range(CASES):
        d = int(rng.integers(2, 6))
        A = rng.normal(size=(d, d))
        A = A - A.T
        W = np.linalg.solve(np.eye(d) + A, np.eye(d) - A) * rng.choice([-1, 1], size=d)
        J = np.eye(d)
        for _ in range(30):
            J = (rng.random(d) < 0.7)[:, None] * (W @ J)
            assert np.linalg.norm(J, 2) <= ROUND_OFF


def test_modrelu_gain(rng):
    for bias in (-0.3, 0.4):
        x = rng.normal(size=2)
        x *= 0.5 / np.linalg.norm(x)

        def modrelu(v, bias=bias):
            return v * (np.linalg.norm(v) + bias) / np.linalg.norm(v)

        h = 1e-6
        J = np.array([(modrelu(x + h * e) - modrelu(x - h * e)) / (2 * h) for e in np.eye(2)]).T
        gains = sorted([1.0, 1 + bias / 0.5])
        np.testing.assert_allclose(sorted(np.linalg.svd(J, compute_uv=False)), gains, atol=1e-7)


def _oscillator(name, A, h):
    """M on (z, y), solved by hand from the published equations."""
    if name == "im":
        return np.array([[1.0, -h * A], [h, 1.0]]) / (1 + h * h * A)
    return np.array([[1.0, -h * A], [h, 1 - h * h * A]])


def test_norms_of_oscillators(rng):
    """Both bounds hold at every N, and are nearly reached where an oscillation has time to turn."""
    reached = {"im": 0.0, "imex": 0.0}
    for _ in range(CASES):
        A, h = 10 ** rng.uniform(-3, 0.5), rng.uniform(0.05, 1)
        r = np.hypot(1 - A, h * A)
        for name in reached:
            M = J = _oscillator(name, A, h)
            for n in range(1, 200):
                bound = (1 + h * h * A) ** (-n / 2) * max(A, 1 / A) ** 0.5
                if name == "imex":
                    bound = np.sqrt((1 + A + r) / (1 + A - r))
                norm = np.linalg.norm(J, 2)
                assert norm <= bound * ROUND_OFF
                reached[name] = max(reached[name], norm / bound)
                J = M @ J
    assert all(ratio > 0.999 for ratio in reached.values())
    shear = np.linalg.matrix_power(_oscillator("im", 0.0, 0.5), 30)
    assert np.sqrt(1 + 15.0**2) <= np.linalg.norm(shear, 2) <= 1 + 15.0


def test_oscillators_in_turn(rng):
    for _ in range(CASES):
        a, b, h = rng.uniform(0, 6), rng.uniform(0, 6), rng.uniform(0.1, 1)
        P = (2 - h * h * a) * (2 - h * h * b)
        radius = np.abs(np.linalg.eigvals(_oscillator("imex", a, h) @ _oscillator("imex", b, h))).max()
        assert (radius > 1 + 1e-9) == (not 0 <= P <= 4)


def test_damped_oscillators_are_stable_iff(rng):
    for _ in range(20 * CASES):
        A, G, h = rng.uniform(-1, 8), rng.uniform(-0.9, 3), rng.uniform(0.1, 1)
        S = 1 + h * G
        M = np.array([[1 / S, -h * A / S], [h / S, 1 - h * h * A / S]])
        stable = np.abs(np.linalg.eigvals(M)).max() < 1
        assert stable == (A > 0 and G > 0 and h * h * A < 4 + 2 * h * G)


def test_layers_of_a_hamiltonian_network(rng):
    """H2 is symplectic and does not shrink; the defect of H1 is h² SJS."""
    for _ in range(CASES):
        d, h, n = int(rng.integers(1, 4)), rng.uniform(0.05, 1), 12
        zero, eye = np.zeros((d, d)), np.eye(d)
        J, M = np.block([[zero, eye], [-eye, zero]]), np.eye(2 * d)
        for _ in range(n):
            upper, lower = ((K * rng.uniform(0, 1, d)) @ K.T for K in rng.normal(size=(2, d, d)))
            M = np.block([[eye, -h * upper], [zero, eye]]) @ np.block([[eye, zero], [h * lower, eye]]) @ M
        assert np.abs(M.T @ J @ M - J).max() <= 1e-9 * np.linalg.norm(M, 2) ** 2
        assert np.linalg.norm(M, 2) >= 1 - 1e-9
        S = rng.normal(size=(2 * d, 2 * d))
        S = S + S.T
        step = np.eye(2 * d) + h * J @ S
        np.testing.assert_allclose(
            step.T @ J @ step - J, h * h * S @ J @ S, atol=1e-12 * np.abs(S).max() ** 2
        )


def test_schemes_in_use_are_all_covered():
    forms = {scheme.form for scheme in SCHEMES.values()}
    assert forms == {"splitting", "first_order", "explicit"}
