"""The recursions of the paper, exactly as they are indexed: (3), (11), (12) and (13)."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest

import leapgrad as lg
import naive
from integrators import SCHEMES, NeuralField, integrate
from sensitivity import jacobian

pytestmark = pytest.mark.nojit

# Small integers and powers of two: six steps are exact in float64, and so equal to fractions in every bit.
W = np.array([[1.0, -2.0], [0.5, 1.0]])
B = np.array([0.5, -1.0])
V = np.array([[1.0, 0.0, -0.5], [2.0, 1.0, 0.0]])
Y0, P0 = np.array([1.0, 0.25]), np.array([-0.5, 2.0])
INPUTS = np.array([[1, 0, 2], [0, -3, 1], [0.5, 0.5, 0.5], [-1, 2, 0], [4, 0, -2], [0.25, 1, 1]])
STEP, N_STEPS = 0.25, 6


def rational(array):
    return np.vectorize(Fraction, otypes=[object])(np.asarray(array))


def rational_force(activation):
    w, b, v = rational(W), rational(B), rational(V)

    def force(y, x):
        z = w @ y + b + (0 if x is None else v @ x)
        return z if activation == "identity" else np.array([max(e, Fraction(0)) for e in z])

    return force


@pytest.mark.parametrize("driven", [False, True])
@pytest.mark.parametrize("activation", ["identity", "relu"])
def test_leapfrog_is_recursion_11_and_13_to_the_last_bit(activation, driven):
    inputs, weights = (INPUTS, V) if driven else (None, None)
    found = integrate(NeuralField(W, B, weights, activation), "leapfrog", Y0, P0, STEP, N_STEPS, inputs)
    rows = rational(INPUTS) if driven else None
    expected = naive.two_step(
        rational_force(activation), rational(Y0), rational(P0), Fraction(STEP), N_STEPS, rows
    )
    for i in range(N_STEPS + 1):
        assert [Fraction(v) for v in found.y[i].tolist()] == expected[i].tolist(), f"y_{i}"


@pytest.mark.parametrize("driven", [False, True])
@pytest.mark.parametrize("activation", ["identity", "relu"])
def test_euler_is_recursion_3_and_12_to_the_last_bit(activation, driven):
    inputs, weights = (INPUTS, V) if driven else (None, None)
    found = integrate(NeuralField(W, B, weights, activation), "euler", Y0, None, STEP, N_STEPS, inputs)
    rows = rational(INPUTS) if driven else None
    expected = naive.euler(rational_force(activation), rational(Y0), Fraction(STEP), N_STEPS, rows)
    for i in range(N_STEPS + 1):
        assert [Fraction(v) for v in found.y[i].tolist()] == expected[i].tolist(), f"y_{i}"


def test_the_last_velocity_closes_with_the_last_input():
    force, h = rational_force("identity"), Fraction(STEP)
    rows = rational(INPUTS)
    y = naive.two_step(force, rational(Y0), rational(P0), h, N_STEPS, rows)
    found = integrate(NeuralField(W, B, V, "identity"), "leapfrog", Y0, P0, STEP, N_STEPS, INPUTS)
    # p_i = (y_i − y_{i−1})/ε + (ε/2) F(y_i, x_{i+1}), and at the end x_N once more.
    for i in range(1, N_STEPS + 1):
        expected = (y[i] - y[i - 1]) / h + h / 2 * force(y[i], rows[min(i, N_STEPS - 1)])
        assert [Fraction(v) for v in found.p[i].tolist()] == expected.tolist(), f"p_{i}"


def test_input_i_acts_on_y_i_and_not_before():
    field = NeuralField(W, B, V)
    plain = integrate(field, "leapfrog", Y0, P0, STEP, N_STEPS, INPUTS).y
    for i in range(N_STEPS):
        changed = INPUTS.copy()
        changed[i] += 1.0
        other = integrate(field, "leapfrog", Y0, P0, STEP, N_STEPS, changed).y
        # Row i is x_{i+1}, used by the force that produces y_{i+1}.
        np.testing.assert_array_equal(other[: i + 1], plain[: i + 1])
        assert (other[i + 1] != plain[i + 1]).any()


def test_tangent_of_leapfrog_is_the_tangent_recursion():
    # T_1 = I + (ε²/2) D_0 W; T_{i+1} = 2 T_i − T_{i−1} + ε² D_i W T_i, in fractions with D_i = I.
    w, h = rational(W), Fraction(STEP)
    eye = rational(np.eye(2))
    T = [eye, eye + h * h / 2 * w]
    for _ in range(N_STEPS - 1):
        T.append(2 * T[-1] - T[-2] + h * h * w @ T[-1])
    field = NeuralField(W, B, activation="identity")
    for n in range(N_STEPS + 1):
        found = jacobian(field, "leapfrog", STEP, n, Y0, P0)
        assert [Fraction(v) for v in found.ravel().tolist()] == T[n].ravel().tolist(), f"T_{n}"


def test_tangent_of_euler_is_the_product_of_its_factors():
    factor = rational(np.eye(2)) + Fraction(STEP) * rational(W)
    T = rational(np.eye(2))
    for n in range(N_STEPS + 1):
        found = jacobian(NeuralField(W, B, activation="identity"), "euler", STEP, n, Y0)
        assert [Fraction(v) for v in found.ravel().tolist()] == T.ravel().tolist(), f"T_{n}"
        T = factor @ T


def test_the_antisymmetric_field_is_euler_with_w_minus_its_transpose():
    A = W - W.T - 0.5 * np.eye(2)
    found = integrate(NeuralField.antisymmetric(W, B, 0.5, V), "euler", Y0, None, STEP, N_STEPS, INPUTS)
    expected = naive.euler(naive.neural(A, B, V, "tanh"), Y0, STEP, N_STEPS, INPUTS)
    np.testing.assert_allclose(found.y, expected, rtol=1e-14)


def test_the_two_step_form_loses_digits_that_ours_keeps():
    field, h, n = NeuralField(W, B), 2.0**-10, 2048
    with mpmath.workdps(40):
        F, _ = naive.exact_neural(W, B, field.V, "tanh")
        exact = naive.two_step(F, naive.exact(Y0), naive.exact(P0), mpmath.mpf(h), n)[-1].astype(float)
    two_step = naive.two_step(naive.neural(W, B, field.V, "tanh"), Y0, P0, h, n)[-1]
    ours = integrate(field, "leapfrog", Y0, P0, h, n).y[-1]
    lost = np.abs(two_step - exact).max() / np.abs(exact).max()
    kept = np.abs(ours - exact).max() / np.abs(exact).max()
    assert kept <= 1e-14
    assert lost >= 30 * kept, (lost, kept)


# Theorem G: (ε, W, y_0, ẏ_0) ↦ (ε/κ, κ²W, y_0/κ², ẏ_0/κ); for Euler (ε/κ, κW, y_0/κ).
@pytest.mark.parametrize("scheme", SCHEMES)
def test_scaling_step_and_weights_changes_no_bit(scheme):
    rng = np.random.default_rng(0)
    W3, b, V = rng.normal(size=(3, 3)), rng.normal(size=3), rng.normal(size=(3, 2))
    y0, p0, inputs = rng.normal(size=3), rng.normal(size=3), rng.normal(size=(12, 2))
    power = 1 if SCHEMES[scheme].form == "first_order" else 2
    path = integrate(NeuralField(W3, b, V), scheme, y0, p0, 0.25, 12, inputs)
    plain = jacobian(NeuralField(W3, b, V), scheme, 0.25, 12, y0, p0, inputs)
    for kappa in (0.5, 4.0):
        field, start, speed = NeuralField(kappa**power * W3, b, V), y0 / kappa**power, p0 / kappa
        moved = integrate(field, scheme, start, speed, 0.25 / kappa, 12, inputs)
        np.testing.assert_array_equal(moved.y * kappa**power, path.y)
        np.testing.assert_array_equal(jacobian(field, scheme, 0.25 / kappa, 12, start, speed, inputs), plain)


# Catches: an imaginary part or a shape that is thrown away on the way to the cotangent.
def test_a_cotangent_is_one_real_vector():
    run = lg.unroll(lg.cell("vanilla", 2, 1), 3)
    for wrong, error in (
        (np.array([1j, 1.0]), TypeError),
        ([[1.0, 0.0]], ValueError),
        ([[1.0], [0.0]], ValueError),
    ):
        with pytest.raises(error, match="cotangent"):
            run.parameter_gradient(wrong)


# Catches: views by which a run is changed behind the back of what was computed from it.
def test_what_a_run_was_made_from_is_read_only():
    run = lg.unroll(lg.cell("cornn", 2, 1), inputs=np.ones((3, 1)), step=[0.1, 0.2])
    assert run.step.flags.writeable is False and run.drive().flags.writeable is False
