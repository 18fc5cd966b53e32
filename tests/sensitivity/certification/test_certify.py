"""Certificates against 50-digit arithmetic; and what is wrong must not be certified."""

import math
import sys
from dataclasses import replace

import mpmath
import numpy as np
import pytest

import naive
from integrators import ACTIVATIONS, SCHEMES, NeuralField, Scheme, pendulum
from integrators.run.recurrence import OdeRecurrence
from sensitivity import bounds, jacobian, jacobian_norm
from sensitivity.bounds.aposteriori import aposteriori, local_lipschitz, log_aposteriori
from sensitivity.certification import certify

flint = pytest.importorskip("flint", reason="the extra 'certify' is not installed")

DIGITS = 60


def exact_jacobian(field, scheme, step, n, y0=None, p0=None, inputs=None, block="position"):
    """∂y_N/∂y_0 in 60 digits, by the naive twin."""
    d = field.dim
    scheme = SCHEMES[scheme] if isinstance(scheme, str) else scheme
    F, DF = naive.exact_neural(field.W, field.b, field.V, field.activation.name)
    start = [naive.exact(np.zeros(d) if v is None else v) for v in (y0, p0)]
    unit = naive.exact(np.eye(d if scheme.form == "first_order" else 2 * d))
    weights = naive.Weights(scheme, mpmath.mpf)
    J = naive.propagator(weights, F, DF, *start, mpmath.mpf(float(step)), n, inputs, unit)
    return J if block == "phase" else J[:d, :d]


def exact_norm(J):
    singular = mpmath.svd_r(mpmath.matrix(J.tolist()), compute_uv=False)
    return max(singular), min(singular)


def ball_holds(ball, value):
    """Whether a ball holds a 60-digit number, up to the digits that the number has."""
    slack = mpmath.mpf(10) ** (-DIGITS + 8) * (1 + abs(value))
    reference = flint.arb(mpmath.nstr(value, DIGITS + 5), mpmath.nstr(slack, 5))
    return ball.overlaps(reference)


def assert_encloses(found, J):
    """Entries, extreme singular values, their float64 enclosures, and the error of the float64 result."""
    rows, columns = J.shape
    scale = mpmath.mpf(2) ** found.exponent
    for i in range(rows):
        for j in range(columns):
            assert ball_holds(found.balls[i, j], J[i, j])
            assert (
                abs(J[i, j] - mpmath.mpf(found.mid[i, j]) * scale) <= mpmath.mpf(found.radius[i, j]) * scale
            )
    largest, smallest = exact_norm(J)
    assert ball_holds(found.norm_ball, largest) and ball_holds(found.smallest_ball, smallest)
    assert found.lower <= largest <= found.upper and found.upper / found.lower - 1 < 1e-14
    assert found.log_norm[0] <= mpmath.log(largest) <= found.log_norm[1]
    assert found.log_smallest[0] <= mpmath.log(smallest) <= found.log_smallest[1]
    error = mpmath.sqrt(
        sum((J[i, j] - mpmath.mpf(found.float64[i, j])) ** 2 for i in range(rows) for j in range(columns))
    )
    assert error == 0 or abs(mpmath.log(error) - found.log_error[1]) < 1e-9
    assert found.float64_within_stated_error


def case(activation, scheme, driven, seed, d=3, n=12, scale=1.0):
    rng = np.random.default_rng(seed)
    field = NeuralField(
        scale * rng.normal(size=(d, d)),
        rng.normal(size=d),
        rng.normal(size=(d, 2)) if driven else None,
        activation,
    )
    inputs = rng.normal(size=(n, 2)) if driven else None
    return field, scheme, 0.2, n, rng.normal(size=d), rng.normal(size=d), inputs


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("scheme", ["euler", "explicit_euler", "leapfrog", "position_verlet", "blanes_moan4"])
def test_every_activation_and_form_against_fifty_digits(activation, scheme):
    with mpmath.workdps(DIGITS):
        for driven in (False, True):
            arguments = case(activation, scheme, driven, seed=len(activation) + driven)
            found = certify(*arguments)
            assert_encloses(found, exact_jacobian(*arguments))
            assert found.bounds and all(bound.holds for bound in found.bounds)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_and_the_phase_block(scheme):
    with mpmath.workdps(DIGITS):
        arguments = case("tanh", scheme, True, 4, d=2, n=3)
        assert_encloses(certify(*arguments), exact_jacobian(*arguments))
        if SCHEMES[scheme].form != "first_order":
            found = certify(*arguments, block="phase")
            assert_encloses(found, exact_jacobian(*arguments, block="phase"))
            assert [bound.name for bound in found.bounds] == ["majorant"] and found.bounds[0].holds


def test_inputs_given_as_a_function_of_time():
    def drive(t):
        return [math.sin(3 * t), math.cos(t)]

    with mpmath.workdps(DIGITS):
        for scheme in ("leapfrog", "euler", "yoshida4"):
            field, _, step, n, y0, p0, _ = case("tanh", scheme, True, 8, d=2)
            found = certify(field, scheme, step, n, y0, p0, drive)
            # The naive twin counts time in floats of its own order: equal to round-off, not to the bit.
            J = exact_jacobian(field, scheme, step, n, y0, p0, lambda t: drive(float(t)))
            assert naive.relative(found.float64, J) < 1e-13
            assert abs(exact_norm(J)[0] - found.lower) < 1e-13 * found.upper


@pytest.mark.parametrize("d", [1, 10])
@pytest.mark.parametrize("step", [1e-3, 1e-1, 1.0])
def test_the_papers_networks_to_relative_width(d, step):
    found = certify(NeuralField.random(d), "leapfrog", step, 1000)
    assert found.width <= 1e-12 and found.precision == 128
    assert found.float64_within_stated_error
    verdicts = {bound.name: bound.verdict for bound in found.bounds}
    lower = verdicts.pop("no_vanishing")
    assert set(verdicts.values()) == {"PROVED"} and lower == ("PROVED" if step < 0.01 else "VACUOUS")
    with mpmath.workdps(50):
        if d == 1:
            assert_encloses(found, exact_jacobian(NeuralField.random(1), "leapfrog", step, 1000))


@pytest.mark.slow
@pytest.mark.parametrize("step", [1e-3, 1e-1, 1.0])
def test_ten_units_a_thousand_steps_against_fifty_digits(step):
    field = NeuralField.random(10)
    with mpmath.workdps(DIGITS):
        assert_encloses(certify(field, "leapfrog", step, 1000), exact_jacobian(field, "leapfrog", step, 1000))


def test_growth_beyond_float64_takes_more_bits_and_logarithms():
    field = NeuralField([[1.0, 0.3], [0.2, 0.9]], np.zeros(2))
    found = certify(field, "leapfrog", 1.0, 1000)
    with mpmath.workdps(DIGITS):
        largest, _ = exact_norm(exact_jacobian(field, "leapfrog", 1.0, 1000))
        assert found.log_norm[0] <= mpmath.log(largest) <= found.log_norm[1]
    assert found.upper == math.inf and found.lower == sys.float_info.max
    assert found.float64_within_stated_error and "e+454" in repr(found)
    # At rest theorem B is an equality up to ‖W‖ against W's eigenvalue: kept, by a finite margin.
    assert all(bound.holds for bound in found.bounds)


def test_precision_doubles_until_the_state_is_known():
    # Chaotic: Lyapunov growth of the state eats hundreds of bits.
    rng = np.random.default_rng(3)
    field = NeuralField(3 * rng.normal(size=(4, 4)), rng.normal(size=4), activation="sin")
    found = certify(field, "leapfrog", 0.5, 300, rng.normal(size=4))
    assert found.precision > 128 and found.width <= 1e-14
    with mpmath.workdps(400):
        largest, _ = exact_norm(
            exact_jacobian(field, "leapfrog", 0.5, 300, np.random.default_rng(3).normal(size=24)[20:])
        )
        assert found.lower <= largest <= found.upper
    assert found.float64_within_stated_error  # float64 has no digit left, and says so
    assert found.log_stated_error > found.log_norm[1]
    with pytest.raises(ArithmeticError, match="128 bits are not enough"):
        certify(field, "leapfrog", 0.5, 300, max_precision=128)


# ------------------------------------------------------------------------------- what must be refused


def test_a_wrong_bound_is_refused_and_a_close_one_is_not_guessed():
    found = certify(NeuralField.random(3), "leapfrog", 0.1, 50)
    log_norm = found.log_norm[0]
    assert found.check(log_norm - 1e-9, "wrong").verdict == "REFUSED"
    assert found.check(log_norm + 1e-9, "right").verdict == "PROVED"
    assert found.check(log_norm, "equal").verdict != "PROVED"
    assert found.check(found.log_smallest[1] + 1e-9, side="lower").verdict == "REFUSED"
    assert found.check(-math.inf, side="lower").holds and not found.check(-math.inf).holds
    # Catches: a verdict on the smallest singular value for a side that is misspelt.
    for wrong, error, message in (
        ({"log_bound": 0.0, "side": "uper"}, ValueError, "side must be 'upper' or 'lower', got 'uper'"),
        ({"log_bound": "1"}, TypeError, "log_bound must be a number, got '1'"),
        ({"log_bound": [0.0]}, TypeError, r"log_bound must be a number, got \[0.0\]"),
        ({"log_bound": math.nan}, ValueError, "got nan"),
    ):
        with pytest.raises(error, match=message):
            found.check(**wrong)
    assert "REFUSED" in repr(found.check(0.0, "one")) and "crossed by" in repr(found.check(0.0, "one"))


def test_a_wide_enclosure_decides_only_what_lies_outside_it():
    found = replace(
        certify(NeuralField.random(2), "leapfrog", 0.1, 5), log_norm=(0.0, 1.0), log_smallest=(-1.0, 0.0)
    )
    upper = {value: found.check(value).verdict for value in (-0.1, 0.5, 1.1)}
    assert upper == {-0.1: "REFUSED", 0.5: "UNDECIDED", 1.1: "PROVED"}
    lower = {value: found.check(value, side="lower").verdict for value in (-1.1, -0.5, 0.1)}
    assert lower == {-1.1: "PROVED", -0.5: "UNDECIDED", 0.1: "REFUSED"}
    assert "too wide" in repr(found.check(0.5))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[2, 1], [1, 2]], True),
        ([[1, 2], [2, 1]], False),
        ([[1, 1], [1, 1]], False),
        ([[2, -1, 0], [-1, 2, -1], [0, -1, 2]], True),
        ([[2, -1, 0], [-1, 2, -1], [0, -1, 0.6]], False),
        ([[0, 0], [0, 1]], False),
        ([[-1]], False),
    ],
)
def test_positive_definiteness_is_decided_by_the_pivots(rows, expected):
    from sensitivity.certification.spectrum import _positive_definite

    exact = [[flint.arb(v) for v in row] for row in rows]
    assert _positive_definite([list(row) for row in exact]) is expected
    # Balls that reach beyond the definite matrices are not certified.
    wide = [[flint.arb(v, 2.5) for v in row] for row in rows]
    assert not _positive_definite(wide)


def test_enclosures_do_not_rest_on_the_approximate_vectors(monkeypatch):
    from sensitivity.certification import balls, spectrum

    rng = np.random.default_rng(1)
    with mpmath.workdps(DIGITS), balls.precision(200):
        for number in range(6):
            A = rng.normal(size=(4, 4))
            if number == 1:
                A = np.linalg.qr(A)[0]  # all singular values equal
            if number == 2:
                A[3] = A[2] * (1 + 1e-9)  # nearly singular
            if number == 3:
                A[3] = A[2]  # singular
            truth = exact_norm(naive.exact(A))
            good = spectrum.singular_values(balls.matrix(A))
            with monkeypatch.context() as patch:
                nonsense = np.linalg.qr(rng.normal(size=(4, 4)))[0]
                patch.setattr(spectrum, "svd", lambda *_, vectors=nonsense: (None, None, vectors))
                bad = spectrum.singular_values(balls.matrix(A))
            for found in (good, bad):
                assert ball_holds(found[0], truth[0]) and ball_holds(found[1], truth[1])
            assert (good[0].rad() / good[0].mid()) < 1e-15
        assert spectrum.singular_values(balls.matrix(np.zeros((3, 3))))[0].overlaps(flint.arb(0))


def test_a_wrong_theorem_is_refused(monkeypatch):
    field = NeuralField([[0.8]], [0.0], activation="identity")
    wrong = field.lipschitz / 2

    def half(case_field, step, n):
        return bounds.log_chebyshev(NeuralField([[wrong]], [0.0], activation="identity"), step, n)

    found = certify(field, "leapfrog", 0.1, 100)
    assert found.check(float(half(field, 0.1, 100)), "half the slope").verdict == "REFUSED"
    assert all(bound.holds for bound in found.bounds)  # theorem B is attained here, and still kept


def test_a_wrong_coefficient_is_caught():
    field, step, n = NeuralField.random(3), 0.1, 50
    good = SCHEMES["blanes_moan4"]
    weights = [float(w) for w in good.kick]
    weights[0] += 1e-9
    weights[-1] -= 1e-9
    bad = Scheme("typo", 4, [float(w) for w in good.drift], weights)
    found = certify(field, bad, step, n)
    other = jacobian(field, good, step, n)
    distance = np.linalg.norm(other - found.float64)
    assert found.float64_within_stated_error
    assert distance > 10 * math.exp(
        found.log_stated_error
    )  # the other scheme's result is not within the stated error
    assert not found.lower <= np.linalg.norm(other, 2) <= found.upper


def test_relu_on_its_kink():
    rest = NeuralField([[0.5]], [0.0], activation="relu")
    assert certify(rest, "leapfrog", 0.1, 10).lower == pytest.approx(1.0)  # σ'(0) = 0 where z is exactly 0
    # Both units move alike, so that z = (y_1 − y_2)/3 is 0; its ball is a point only with bits enough.
    equal = NeuralField([[1 / 3, -1 / 3], [-1 / 3, 1 / 3]], [0.0, 0.0], activation="relu")
    start = {"y0": [1 / 3, 1 / 3], "p0": [1 / 7, 1 / 7]}
    with pytest.raises(ArithmeticError, match="sign of a pre-activation of relu is undecided"):
        certify(equal, "leapfrog", 0.1, 5, **start, max_precision=128)
    assert certify(equal, "leapfrog", 0.1, 5, **start).precision == 256


# -------------------------------------------------------------------------------------------- arguments


def test_arguments_are_checked():
    field = NeuralField.random(2)
    with pytest.raises(TypeError, match="NeuralField"):
        certify(pendulum(), "leapfrog", 0.1, 5)
    with pytest.raises(ValueError, match="one step size"):
        certify(field, "leapfrog", [0.1, 0.2], 5)
    with pytest.raises(ValueError, match="block"):
        certify(field, "euler", 0.1, 5, block="phase")
    with pytest.raises(ValueError, match="width"):
        certify(field, "leapfrog", 0.1, 5, width=0.0)
    with pytest.raises(ValueError, match="max_precision must be at least 128 bits, got 64"):
        certify(field, "leapfrog", 0.1, 5, max_precision=64)


# ------------------------------------------------------------------------------- singular and extreme cases


@pytest.mark.parametrize(
    ("field", "n"), [(NeuralField.random(3), 0), (NeuralField(np.zeros((2, 2)), [1, 2]), 9)]
)
def test_the_identity_is_enclosed_by_a_point(field, n):
    found = certify(field, "leapfrog", 0.1, n)
    assert found.norm_ball == 1 and found.smallest_ball == 1 and found.log_norm == (0.0, 0.0)
    assert {bound.verdict for bound in found.bounds} == {"PROVED"}


def test_a_jacobian_of_zeros():
    for d in (1, 3):
        found = certify(NeuralField(-np.eye(d), np.zeros(d), activation="identity"), "euler", 1.0, 5)
        assert found.norm_ball == 0 and found.log_norm == (-math.inf, -math.inf) and found.width == 0.0
        assert all(bound.holds for bound in found.bounds) and found.float64_within_stated_error
        assert (
            jacobian_norm(
                NeuralField(-np.eye(d), np.zeros(d), activation="identity"), "euler", 1.0, 5, certified=True
            )
            == 0.0
        )


# Catches: a certificate that stops where float64 does.
def test_balls_go_on_where_the_float64_trajectory_overflows():
    field = NeuralField([[2.0]], [1.0], activation="relu")  # y = 3^n − …, J = 3^n
    found = certify(field, "euler", 1.0, 1000)
    with mpmath.workdps(DIGITS):
        exact = 1000 * mpmath.log(3)
        assert found.log_norm[0] <= exact <= found.log_norm[1]
    assert np.isnan(found.float64).all() and found.log_error[1] == found.log_stated_error == math.inf
    assert "leaves the range of float64" in repr(found) and all(bound.holds for bound in found.bounds)


def test_an_overflow_of_the_state_does_not_blur_a_constant_jacobian():
    field = NeuralField([[2.0]], [1.0], activation="identity")
    found = certify(field, "leapfrog", 1.0, 2000)
    assert found.log_error[1] <= found.log_stated_error < found.log_norm[0] - 20
    assert all(bound.holds for bound in found.bounds)


@pytest.mark.parametrize("block", ["position", "phase"])
def test_any_relative_width_can_be_asked_for(block):
    rng = np.random.default_rng(4)
    field = NeuralField(rng.normal(size=(4, 4)), rng.normal(size=4))
    for width, digits in ((1e-30, 60), (1e-60, 90)):
        found = certify(field, "leapfrog", 0.1, 20, block=block, width=width)
        assert found.width <= width
        with mpmath.workdps(digits):
            J = exact_jacobian(field, "leapfrog", 0.1, 20, block=block)
            largest, smallest = exact_norm(J)
            reach = mpmath.mpf(10) ** (8 - digits)
            for ball, value in ((found.norm_ball, largest), (found.smallest_ball, smallest)):
                assert ball.overlaps(flint.arb(mpmath.nstr(value, digits + 5), mpmath.nstr(reach, 5)))


def test_without_python_flint_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "flint", None)
    with pytest.raises(ImportError, match=r"leapgrad\[certify\]"):
        certify(NeuralField.random(2), "leapfrog", 0.1, 5)


# ---------------------------------------------------------------------------------- theorem F, a posteriori

STEPS = np.geomspace(1e-3, 1.0, 7)


@pytest.mark.parametrize("scheme", ["leapfrog", "euler", "position_verlet", "yoshida4", "explicit_euler"])
@pytest.mark.parametrize("driven", [False, True])
def test_theorem_f_lies_between_the_norm_and_theorem_e(scheme, driven):
    from sensitivity import log_jacobian_norm

    rng = np.random.default_rng(2)
    for activation in ("tanh", "logistic", "sin", "identity", "relu"):
        field = NeuralField(
            rng.normal(size=(4, 4)),
            rng.normal(size=4),
            rng.normal(size=(4, 1)) if driven else None,
            activation,
        )
        arguments = (
            field,
            scheme,
            STEPS,
            60,
            rng.normal(size=4),
            None,
            rng.normal(size=(60, 1)) if driven else None,
        )
        norm = log_jacobian_norm(*arguments)
        sharp, coarse = (log_aposteriori(*arguments, local=local) for local in ("norm", "slope"))
        assert (norm <= sharp).all() and (sharp <= coarse + 1e-12).all()
        assert (coarse <= bounds.log_majorant(field, scheme, STEPS, 60)).all()


def test_theorem_f_is_much_sharper_where_units_saturate():
    from sensitivity import log_jacobian_norm

    field = NeuralField.random(10)
    norm, F = (
        log_jacobian_norm(field, "leapfrog", STEPS, 1000),
        log_aposteriori(field, "leapfrog", STEPS, 1000),
    )
    B = bounds.log_chebyshev(field, STEPS, 1000)
    assert (F - norm < math.log(1.1)).all()  # within ten per cent of the norm, for every step
    assert B[-1] - norm[-1] > 700  # where theorem B is off by three hundred decimal orders
    assert aposteriori(field, "leapfrog", 0.1, 1000) == pytest.approx(
        math.exp(log_aposteriori(field, "leapfrog", 0.1, 1000))
    )


@pytest.mark.parametrize("scheme", ["leapfrog", "euler", "suzuki4"])
def test_theorem_f_against_the_naive_recursion(scheme):
    rng = np.random.default_rng(9)
    field = NeuralField(rng.normal(size=(3, 3)), rng.normal(size=3), rng.normal(size=(3, 1)))
    inputs, y0, n, h = rng.normal(size=(8, 1)), rng.normal(size=3), 8, 0.3
    record = SCHEMES[scheme]
    F = naive.neural(field.W, field.b, field.V, "tanh")
    y, p, s, u = y0.copy(), np.zeros(3), 1.0, 0.0
    for i in range(n):
        for a, b, x in naive.stages(record, i, n, h, inputs):
            y, s = y + a * h * p, s + abs(a) * h * u
            slope = np.linalg.norm(
                (1 - np.tanh(field.W @ y + field.V @ x + field.b) ** 2)[:, None] * field.W, 2
            )
            if record.form == "first_order":
                y, s = y + b * h * F(y, x), s + b * h * slope * s
            else:
                p, u = p + b * h * F(y, x), u + abs(b) * h * slope * s
    found = log_aposteriori(field, scheme, h, n, y0, None, inputs)
    # Merged kicks of opposite sign make the bound a little smaller than the unmerged recursion's.
    assert found <= math.log(s) + 1e-10
    if scheme != "suzuki4":
        assert found == pytest.approx(math.log(s), rel=1e-10)


def test_local_slopes_are_those_of_the_kicks():
    field = NeuralField.random(3)
    slopes = local_lipschitz(field, "leapfrog", 0.1, 20)
    assert slopes.shape == (20,) and (slopes <= field.lipschitz).all() and (np.diff(slopes) < 0).all()
    with pytest.raises(ValueError, match="one step size"):
        local_lipschitz(field, "leapfrog", [0.1, 0.2], 20)
    with pytest.raises(ValueError, match="NeuralField"):
        log_aposteriori(pendulum(), "leapfrog", 0.1, 20, local="slope")
    assert log_aposteriori(pendulum(), "leapfrog", 0.1, 20) <= bounds.log_chebyshev(pendulum(), 0.1, 20)


def test_the_stated_error_follows_the_drivers_kicks():
    from sensitivity.certification.roundoff import _operations

    for scheme in SCHEMES.values():
        problem = OdeRecurrence(NeuralField.random(2, inputs=1), scheme, 0.1, 4, inputs=np.ones((4, 1)))
        kicks = [operation.size for operation in _operations(problem, True) if operation.kicks]
        assert math.fsum(kicks) == pytest.approx(0.4, rel=1e-13)


# Catches: certified=True ignored, or members out of order.
def test_certified_norms():
    field, steps = NeuralField.random(3), [[0.1, 0.01], [0.3, 0.02]]
    found = jacobian_norm(field, "leapfrog", steps, 50, certified=True)
    np.testing.assert_allclose(found, jacobian_norm(field, "leapfrog", steps, 50), rtol=1e-13)
    certificate = certify(field, "leapfrog", 0.3, 50)
    assert certificate.lower <= found[1, 0] <= certificate.upper


# Catches: slopes of the computed trajectory, or of another kick, under the name of certified ones.
def test_theorem_f_of_the_exact_map():
    kink = NeuralField([[0.1]], [-1.0], activation="relu")
    case = (kink, "euler", 1.0, 1, [10.0])
    assert jacobian_norm(*case) == 1.0 < 1.0999 < jacobian_norm(*case, certified=True)
    assert certify(*case).upper <= aposteriori(*case, local="certified") < 1.1 + 1e-9
    rng = np.random.default_rng(3)
    for scheme in ("leapfrog", "yoshida4", "euler", "explicit_euler"):
        field = NeuralField(rng.normal(size=(3, 3)), rng.normal(size=3), rng.normal(size=(3, 1)))
        case = (field, scheme, np.array([0.05, 0.1]), 12, rng.normal(size=3), None, rng.normal(size=(12, 1)))
        computed, exact = (log_aposteriori(*case, local=local) for local in ("norm", "certified"))
        np.testing.assert_allclose(exact, computed, rtol=0.0, atol=1e-12)
        one = (field, scheme, 0.1, *case[3:])
        slopes = [local_lipschitz(*one, local=local) for local in ("norm", "certified")]
        np.testing.assert_allclose(*slopes, rtol=1e-13)
    with pytest.raises(ValueError, match="NeuralField"):
        log_aposteriori(pendulum(), "leapfrog", 0.1, 20, local="certified")
    undecided = NeuralField([[0.0]], [0.0], activation="relu")
    assert local_lipschitz(undecided, "euler", 1.0, 3, local="certified").max() < 1e-300


# Catches: an enclosure that is wider than what one unit in the last place asks for.
def test_a_certified_norm_is_within_a_unit_in_the_last_place():
    rng = np.random.default_rng(4)
    for scheme in ("leapfrog", "euler"):
        for d in (1, 3):
            field = NeuralField(rng.normal(size=(d, d)), rng.normal(size=d))
            case = (field, scheme, 0.3, 40)
            value = float(jacobian_norm(*case, certified=True))
            narrow = certify(*case, width=1e-30)
            assert abs(narrow.norm_ball - value) <= math.ulp(value)
