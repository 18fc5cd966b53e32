"""What leaves float64: trajectories say where, Jacobians keep the logarithm of their norm."""

import math
import warnings

import mpmath
import numpy as np
import pytest
import sympy

import naive
from integrators import SCHEMES, NeuralField, TrajectoryOverflow, henon_heiles, integrate, kepler
from sensitivity import (
    OdeRecurrence,
    growth_exponents,
    jacobian,
    jacobian_norm,
    log_jacobian_norm,
    log_singular_values,
)

W = np.array([[1.5, -0.25], [0.5, 1.0]])
B = np.array([0.5, -0.25])


def first_step_beyond(scheme, F, y0, p0, h, n):
    """The first i with an entry of (y_i, p_i) that is not finite, by the naive twin."""
    with np.errstate(all="ignore"):
        states = naive.trajectory(scheme, F, np.array(y0), np.array(p0), h, n)
    return next((i for i, state in enumerate(states) if not np.isfinite(state).all()), None)


@pytest.mark.parametrize("activation", ["relu", "identity"])
@pytest.mark.parametrize("name", SCHEMES)
def test_the_step_of_the_overflow_is_exact(name, activation):
    field, F = NeuralField(W, B, activation=activation), naive.neural(W, B, np.zeros((2, 0)), activation)
    y0, p0, found = [1.0, 2.0], [0.5, 0.25], 0
    for h in (2.0, 3.0, 5.0, 10.0):
        expected = first_step_beyond(SCHEMES[name], F, y0, p0, h, 800)
        if expected is None:  # relu may stop a unit for good
            continue
        found += 1
        for n_steps in (expected, expected + 1, 2000):
            with pytest.raises(
                TrajectoryOverflow, match=f"at step {expected} of {n_steps} .step = {h:g}"
            ) as caught:
                integrate(field, name, y0, p0, h, n_steps)
            assert (caught.value.step_index, caught.value.step) == (expected, h)
        assert np.isfinite(integrate(field, name, y0, p0, h, expected - 1).y).all()
        if activation == "relu":
            with pytest.raises(TrajectoryOverflow, match=f"at step {expected} of 2000"):
                jacobian_norm(field, name, h, 2000, y0, p0)
    assert found > 0 or activation == "relu"


def test_a_late_overflow_is_exact_too():
    field, F = NeuralField(W, B, activation="relu"), naive.neural(W, B, np.zeros((2, 0)), "relu")
    for name, h in (("leapfrog", 0.3), ("leapfrog", 0.7), ("symplectic_euler", 0.5), ("mclachlan2", 0.4)):
        expected = first_step_beyond(SCHEMES[name], F, [1.0, 2.0], [0.0, 0.0], h, 4000)
        assert expected > 512
        with pytest.raises(TrajectoryOverflow) as caught:
            integrate(field, name, [1.0, 2.0], None, h, 4000)
        assert caught.value.step_index == expected


def test_integrate_names_the_first_lost_lane():
    field = NeuralField(W, B, activation="relu")
    with pytest.raises(TrajectoryOverflow) as caught:
        integrate(field, "leapfrog", [1.0, 2.0], None, [0.01, 4.0, 2.0], 800)
    assert caught.value.step == 4.0


@pytest.mark.parametrize("function", [jacobian, jacobian_norm, log_jacobian_norm])
def test_overflowed_members_are_nan_with_a_warning(function):
    field, steps = NeuralField(W, B, activation="relu"), [[0.01, 4.0], [2.0, 0.02]]
    with pytest.warns(
        RuntimeWarning, match="2 of 4 batch members are NaN: the trajectory overflowed at step .*step = 4"
    ) as seen:
        found = function(field, "leapfrog", steps, 800, [1.0, 2.0])
    assert len(seen) == 1
    assert np.isnan(found[0, 1]).all() and np.isnan(found[1, 0]).all()
    for place in ((0, 0), (1, 1)):
        alone = function(field, "leapfrog", steps[place[0]][place[1]], 800, [1.0, 2.0])
        np.testing.assert_array_equal(found[place], alone)
    with pytest.warns(RuntimeWarning, match="1 of 1 batch members"):
        assert np.isnan(function(field, "leapfrog", [4.0], 800, [1.0, 2.0])).all()


def test_the_warning_points_at_the_caller():
    field = NeuralField(W, B, activation="relu")
    with pytest.warns(RuntimeWarning) as seen:
        jacobian_norm(field, "leapfrog", [4.0, 0.01], 800, [1.0, 2.0])
    assert seen[0].filename == __file__


def test_overflowed_members_of_the_other_verbs():
    field = NeuralField(W, B, activation="relu")
    recurrence = OdeRecurrence(field, "leapfrog", [4.0, 0.01], 400, [1.0, 2.0])
    for verb in (recurrence.run, lambda: recurrence.pullback(np.eye(4)).unscaled()):
        with pytest.warns(RuntimeWarning, match="1 of 2 batch members"):
            found = verb()
        assert np.isnan(found[0]).all()
        assert np.isfinite(found[1]).all()
    alone = OdeRecurrence(field, "leapfrog", 4.0, 400, [1.0, 2.0])
    for verb in (alone.run, lambda: alone.pullback(np.eye(4)), lambda: alone.parameter_gradient(np.ones(4))):
        with pytest.raises(TrajectoryOverflow):
            verb()


def test_the_gradient_of_a_lost_lane_is_nan():
    field = NeuralField(W, B, activation="relu")
    with pytest.warns(RuntimeWarning, match="1 of 2 batch members"):
        found = OdeRecurrence(field, "leapfrog", [4.0, 0.01], 400, [1.0, 2.0]).parameter_gradient(np.ones(4))
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all()


def test_fields_that_leave_their_domain():
    with pytest.raises(TrajectoryOverflow):
        integrate(henon_heiles(), "leapfrog", [1.0, 0.2], [0.3, 0.3], 0.01, 2000)
    with pytest.raises(TrajectoryOverflow, match="at step 1 of 10"):
        integrate(kepler(), "leapfrog", [0.0, 0.0], None, 0.01, 10)


def test_a_bounded_activation_never_overflows():
    assert np.isfinite(integrate(NeuralField(1e300 * W, 1e300 * B), "leapfrog", None, None, 1.0, 50).y).all()


def exact_log_norm(scheme, h, n, y_rows=True):
    """log ‖∂y_N/∂y_0‖₂ of the linear map in 40 digits: the power of its one-step matrix."""
    with mpmath.workdps(40):
        F, DF = naive.exact_neural(W, B, np.zeros((2, 0)), "identity")
        weights, zero = naive.Weights(scheme, mpmath.mpf), naive.exact(np.zeros(2))
        once = mpmath.matrix(naive.propagator(weights, F, DF, zero, zero, mpmath.mpf(h), 1).tolist())
        T = once**n
        return mpmath.log(mpmath.svd_r(T[:2, :2] if y_rows else T, compute_uv=False)[0])


@pytest.mark.parametrize("name", SCHEMES)
def test_log_norm_of_an_overflowing_jacobian(name):
    field = NeuralField(W, B, activation="identity")  # its trajectory overflows, too
    for h, n in ((2.0, 1500), (3.0, 1001)):
        expected = exact_log_norm(SCHEMES[name], h, n)
        assert expected > 800
        found = log_jacobian_norm(field, name, h, n, [1.0, 2.0])
        # The absolute error of a logarithm is the relative error of the norm.
        assert abs(float(found - expected)) <= 1e-12 * max(1.0, float(expected) / 1e3)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert jacobian_norm(field, name, h, n, [1.0, 2.0]) == np.inf
            T = jacobian(field, name, h, n, [1.0, 2.0])
        assert np.isinf(T).all()


def test_log_norm_of_the_phase_block_and_of_the_pullback():
    field = NeuralField(W, B, activation="identity")
    expected = float(exact_log_norm(SCHEMES["leapfrog"], 2.0, 1500, y_rows=False))
    assert log_jacobian_norm(field, "leapfrog", 2.0, 1500, block="phase") == pytest.approx(
        expected, abs=1e-12 * 1e3
    )
    back = OdeRecurrence(field, "leapfrog", 2.0, 1500).pullback(np.eye(4))
    logarithm = math.log(np.linalg.norm(back.values, 2)) + math.log(2) * int(back.exponent)
    assert logarithm == pytest.approx(expected, abs=1e-12 * 1e3)


def test_scaled_members_do_not_touch_their_neighbours():
    field = NeuralField(W, B, activation="identity")
    steps = np.array([0.01, 2.0, 0.02, 5.0, 0.1, 9.0, 0.03, 2.0, 1.0, 4.0])
    together = log_jacobian_norm(field, "leapfrog", steps, 900)
    for h, expected in zip(steps, together, strict=True):
        assert log_jacobian_norm(field, "leapfrog", h, 900) == expected
    small = log_jacobian_norm(field, "leapfrog", steps[:1], 900)
    assert small == pytest.approx(math.log(jacobian_norm(field, "leapfrog", 0.01, 900)), abs=1e-14)


def test_rescaled_and_plain_products_agree_while_both_are_finite():
    # The norm passes 2^500, where columns are rescaled, and stays below 2^1023.
    field, h, n = NeuralField(W, B, activation="identity"), 2.0, 300
    with mpmath.workdps(40):
        exact = mpmath.exp(exact_log_norm(SCHEMES["leapfrog"], h, n))
        assert 2.0**600 < exact < 2.0**1000
        assert abs(float(jacobian_norm(field, "leapfrog", h, n) / exact - 1)) <= 1e-13
    assert log_jacobian_norm(field, "leapfrog", h, n) == pytest.approx(float(mpmath.log(exact)), abs=1e-12)


def test_powers_of_two_stay_exact():
    # ε W = 1: T = 2^N, in every bit and for any N.
    field = NeuralField([[1.0]], [0.0], activation="identity")
    for n in (1, 500, 501, 1000, 1023):
        assert jacobian(field, "euler", 1.0, n)[0, 0] == 2.0**n
        assert log_jacobian_norm(field, "euler", 1.0, n) == pytest.approx(n * math.log(2), rel=1e-15)
    assert jacobian(field, "euler", 1.0, 1024)[0, 0] == np.inf
    assert log_jacobian_norm(field, "euler", 1.0, 100_000) == pytest.approx(100_000 * math.log(2), rel=1e-15)


@pytest.mark.nojit
@pytest.mark.parametrize("d", [1, 3])
def test_log_norm_of_a_vanishing_jacobian(d):
    # ε W = −15/16 I: T = 16^−N.
    field = NeuralField(-0.9375 * np.eye(d), np.zeros(d), activation="identity")
    for n in (1, 100, 200, 300, 1000):
        assert log_jacobian_norm(field, "euler", 1.0, n) == pytest.approx(-n * math.log(16), rel=1e-15)
        norm = jacobian_norm(field, "euler", 1.0, n)
        assert norm == (0.0 if n > 268 else 16.0**-n)
    np.testing.assert_array_equal(jacobian(field, "euler", 1.0, 1000), np.zeros((d, d)))


def test_log_norm_of_a_nonlinear_contraction():
    field = NeuralField([[-0.75, 0.25], [0.125, -0.5]], [0.25, 0.5])
    h, n, y0 = 1.0, 1000, np.array([2.0, -1.0])
    with mpmath.workdps(40):
        F, DF = naive.exact_neural(field.W, field.b, field.V, "tanh")
        weights = naive.Weights(SCHEMES["euler"], mpmath.mpf)
        T = naive.propagator(weights, F, DF, naive.exact(y0), naive.exact(y0), mpmath.mpf(h), n)
        expected = mpmath.log(mpmath.svd_r(mpmath.matrix(T.tolist()), compute_uv=False)[0])
    assert expected < -400
    # The condition of the fixed point enters the exponent N times; relative to the logarithm it is round-off.
    assert log_jacobian_norm(field, "euler", h, n, y0) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.nojit
def test_log_norm_of_a_zero_jacobian_is_minus_infinity():
    field = NeuralField(-np.eye(2), np.zeros(2), activation="identity")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert log_jacobian_norm(field, "euler", 1.0, 5) == -np.inf
        assert jacobian_norm(field, "euler", 1.0, 5) == 0.0
        assert log_jacobian_norm(field, "euler", [1.0, 0.5], 5)[0] == -np.inf


@pytest.mark.nojit
def test_norm_is_the_largest_singular_value(random_field):
    field = random_field(4, seed=2)
    for block in ("position", "phase"):
        T = jacobian(field, "leapfrog", [0.1, 0.3], 20, block=block)
        norms = [np.linalg.norm(M, 2) for M in T]
        np.testing.assert_allclose(
            jacobian_norm(field, "leapfrog", [0.1, 0.3], 20, block=block), norms, rtol=1e-14
        )
        logs = log_jacobian_norm(field, "leapfrog", [0.1, 0.3], 20, block=block)
        np.testing.assert_allclose(logs, np.log(norms), atol=1e-14)


# Catches: an SVD or QR of NaN that raises instead of marking the member.
def test_spectra_of_a_lost_lane_are_nan():
    field = NeuralField(W, B, activation="relu")
    for function in (growth_exponents, log_singular_values):
        with pytest.warns(RuntimeWarning, match="1 of 2 batch members"):
            found = np.asarray(function(field, "leapfrog", [4.0, 0.01], 400, [1.0, 2.0]))
        assert np.isnan(found[0]).all()
        assert np.isfinite(found[1]).all()
    with pytest.warns(RuntimeWarning, match="1 of 1 batch members are NaN"):
        norms = jacobian_norm(field, "leapfrog", [4.0, 0.01], 400, [1.0, 2.0], method="lanczos")
    assert np.isnan(norms[0]) and np.isfinite(norms[1])


# Catches: inf · 0 = NaN in entries beside what grows, and a power of two that is forgotten.
def test_a_parameter_gradient_whose_cotangents_leave_float64_on_their_way():
    import leapgrad as lg

    plain = lg.cell("vanilla", 2, activation="identity")
    growing = plain.with_parameters(W=np.diag([2.0, 0.5]), b=[0.0, 0.0])
    inputs_free = lg.unroll(growing, 1100, s0=[[0.0, 1.0], [0.0, 0.0]])
    found = inputs_free.parameter_gradient([1.0, 1.0])
    # ∂s_N/∂W = Σ 2^(N−1−i) s_i and Σ 2^−(N−1−i) s_i; by b the second row is Σ 2^−k = 2.
    assert np.array_equal(found[0, :6], [0.0, np.inf, 0.0, 0.0, np.inf, 2.0])
    assert np.array_equal(found[1, :6], [0.0, 0.0, 0.0, 0.0, np.inf, 2.0])
    u, n, b = sympy.symbols("u n b")
    size = sympy.Piecewise((2.0**-600, n < 2.5), (2.0**600, n < 4.5), (1.0, True))
    there_and_back = lg.symbolic_cell(
        [size * u + b * sympy.Piecewise((1.0, n < 0.5), (0.0, True)), n + 1], [u, n], parameters={b: 3.0},
        name="there_and_back_of_the_tests",
    )  # fmt: skip
    back = lg.unroll(there_and_back, 5).parameter_gradient([1.0, 0.0])
    assert np.allclose(back, [1.0], rtol=1e-14, atol=0)
