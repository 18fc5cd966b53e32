"""Every activation against mpmath over the whole double range: accuracy, special values, bounds, places."""

import itertools
import math

import mpmath
import numpy as np
import pytest

import naive
from integrators import ACTIVATIONS, activate
from integrators.codegen.primitives import exp_negative

LN2 = math.log(2.0)
TINY = 2.0**-1074


def ulp(x):
    """The spacing of doubles at x, down to that of the subnormals."""
    return float(np.spacing(abs(x)))


def around(centres, reach):
    """The doubles within `reach` places of every centre."""
    centres = np.asarray(centres, dtype=float)
    bits = centres.view(np.int64)[:, None] + np.arange(-reach, reach + 1)
    return bits.ravel().view(float)


def whole_range(rng):
    """Numbers of every binary exponent, subnormals included, of either sign."""
    exponents = np.arange(-1074, 1024)
    mantissas = rng.uniform(1.0, 2.0, size=(2, exponents.size))
    positive = np.ldexp(mantissas, exponents).ravel()
    extremes = [
        TINY,
        2 * TINY,
        np.finfo(float).tiny,
        np.nextafter(np.finfo(float).tiny, 0),
        np.finfo(float).max,
    ]
    positive = np.concatenate(
        [positive[np.isfinite(positive)], extremes, rng.uniform(0, 25, 1500), rng.uniform(0, 1, 9000)]
    )
    return np.concatenate([positive, -positive])


def breakpoints():
    """Where the reduction of exp(−2|x|) or the formula changes its branch."""
    halves = (np.arange(0, 60) + 0.5) * LN2 / 2
    return around(np.concatenate([halves, np.arange(1, 60) * LN2 / 2, [354.0, 19.06, 22.0]]), 12)


def errors_in_ulp(function, exact, points):
    found = function(points)
    with mpmath.workdps(40):
        for x, value in zip(points, found, strict=True):
            reference = exact(mpmath.mpf(float(x)))
            yield abs(float(mpmath.mpf(float(value)) - reference)) / ulp(float(reference))


def test_tanh_is_within_two_ulp_over_the_whole_range(rng):
    points = np.concatenate([whole_range(rng), breakpoints()])
    assert max(errors_in_ulp(ACTIVATIONS["tanh"], mpmath.tanh, points)) <= 2.0


def test_exponential_of_the_reduction_is_within_one_ulp(rng):
    points = -np.concatenate([rng.uniform(0, 2, 6000), rng.uniform(0, 708, 2000), 2 * np.abs(breakpoints())])
    points = points[points >= -708.0]
    for part, exact in enumerate((lambda u: -mpmath.expm1(u), mpmath.exp)):
        found = errors_in_ulp(np.vectorize(lambda u, part=part: exp_negative(u)[part]), exact, points)
        assert max(found) <= 1.0


def test_slope_of_tanh_keeps_its_relative_accuracy(rng):
    points = np.concatenate([rng.uniform(-354, 354, 1500), rng.normal(size=1500), breakpoints()])
    points = points[np.abs(points) < 354.0]
    assert max(errors_in_ulp(ACTIVATIONS["tanh"].derivative, naive.EXACT["tanh"][1], points)) <= 8.0


def test_special_values_of_tanh():
    tanh = ACTIVATIONS["tanh"]
    values, slopes = tanh.value_and_derivative(
        [0.0, -0.0, np.inf, -np.inf, np.nan, 1e300, -1e300, TINY, -TINY]
    )
    np.testing.assert_array_equal(values, [0.0, -0.0, 1.0, -1.0, np.nan, 1.0, -1.0, TINY, -TINY])
    np.testing.assert_array_equal(np.signbit(values[:4]), [False, True, False, True])
    np.testing.assert_array_equal(slopes, [1.0, 1.0, 0.0, 0.0, np.nan, 0.0, 0.0, 1.0, 1.0])


def test_tanh_is_odd_and_never_beyond_one(rng):
    points = np.concatenate([whole_range(rng), breakpoints()])
    values, slopes = ACTIVATIONS["tanh"].value_and_derivative(points)
    mirrored = ACTIVATIONS["tanh"].value_and_derivative(-points)
    np.testing.assert_array_equal(mirrored, (-values, slopes))
    assert np.abs(values).max() <= 1.0
    # sech² rounds to one unit above 1 next to 0.
    assert slopes.max() <= 1.0 + 2.0**-52 and slopes.min() >= 0.0


# Largest errors of σ and of σ' in units in the last place. That of erf' grows with its exponent, as x².
ACCURACY = {
    "tanh": (2, 8),
    "logistic": (4, 8),
    "relu": (0, 0),
    "identity": (0, 0),
    "sin": (1, 1),
    "arctan": (1, 2),
    "softsign": (2, 4),
    "erf": (2, 800),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_value_and_slope_against_mpmath(name, rng):
    reach = {"logistic": 700.0, "tanh": 350.0, "erf": 26.0}.get(name, 1e6)
    near = np.concatenate(
        [rng.normal(size=300), np.ldexp(rng.uniform(1, 2, 200), rng.integers(-300, 5, 200))]
    )
    points = np.concatenate([near, -near, rng.uniform(-reach, reach, 400)])
    points = points[np.abs(points) <= reach]
    activation = ACTIVATIONS[name]
    for found, exact, most in zip(
        activation.value_and_derivative(points), naive.EXACT[name], ACCURACY[name], strict=True
    ):
        with mpmath.workdps(60):
            for x, value in zip(points, found, strict=True):
                reference = exact(mpmath.mpf(float(x)))
                assert abs(float(mpmath.mpf(float(value)) - reference)) <= most * ulp(float(reference)), x


@pytest.mark.parametrize("name", ["logistic", "tanh", "erf"])
def test_far_tails_vanish(name):
    # Beyond the range of the reduction the result is 0 in place of at most 4e-308.
    for x in (-1e4, -800.0, -745.0, -709.0, 709.0, 800.0, 1e308):
        value, slope = ACTIVATIONS[name].value_and_derivative([x])
        limit = {"logistic": float(x > 0)}.get(name, math.copysign(1.0, x))
        assert abs(value[0] - limit) <= 4e-308
        assert 0.0 <= slope[0] <= 4e-308


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nan_and_infinity(name):
    values, slopes = ACTIVATIONS[name].value_and_derivative([np.nan, np.inf, -np.inf])
    assert np.isnan(values[0])
    limits = {
        "tanh": ([1, -1], [0, 0]),
        "logistic": ([1, 0], [0, 0]),
        "relu": ([np.inf, 0], [1, 0]),
        "identity": ([np.inf, -np.inf], [1, 1]),
        "arctan": ([math.pi / 2, -math.pi / 2], [0, 0]),
        "softsign": ([1, -1], [0, 0]),
        "erf": ([1, -1], [0, 0]),
    }
    if name in limits:
        np.testing.assert_array_equal(values[1:], limits[name][0])
        np.testing.assert_array_equal(slopes[1:], limits[name][1])
    else:
        assert np.isnan(values[1:]).all()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_stated_bounds_hold_and_are_attained(name):
    activation = ACTIVATIONS[name]
    fine = np.concatenate(
        [np.linspace(-8, 8, 20001), np.logspace(0, 12, 100), -np.logspace(0, 12, 100), [0.0]]
    )
    values, slopes = activation.value_and_derivative(fine)
    assert np.abs(slopes).max() == pytest.approx(activation.lipschitz, rel=1e-12)
    assert np.abs(slopes).max() <= activation.lipschitz
    if math.isfinite(activation.bound):
        assert np.abs(values).max() == pytest.approx(activation.bound, rel=1e-6)
        assert np.abs(values).max() <= activation.bound
    else:
        assert np.abs(values).max() == 1e12


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_symbolic_form_is_the_compiled_one(name):
    import sympy

    z = sympy.Symbol("z", real=True)
    form = ACTIVATIONS[name].symbolic(z)
    for x in (-2.5, -0.75, 0.5, 3.25):
        value, slope = ACTIVATIONS[name].value_and_derivative([x])
        assert value[0] == pytest.approx(float(form.subs(z, sympy.Rational(x)).evalf(20)), rel=1e-14)
        assert slope[0] == pytest.approx(float(form.diff(z).subs(z, sympy.Rational(x)).evalf(20)), rel=1e-14)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_smooth_means_a_continuous_slope(name):
    slopes = ACTIVATIONS[name].derivative([-1e-9, 1e-9])
    assert ACTIVATIONS[name].smooth == (abs(slopes[1] - slopes[0]) < 1e-6)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_value_does_not_depend_on_its_place(name, rng):
    # The vector body and the remainder of a loop, aligned or not, give the same bits.
    points = np.concatenate(
        [rng.normal(scale=3, size=40), [0.0, np.inf, -np.inf, np.nan, 400.0, -800.0, 1e-320]]
    )
    values, slopes = ACTIVATIONS[name].value_and_derivative(points)
    for start, length in itertools.product(range(9), (1, 2, 3, 5, 8, 13, 21, 33)):
        part = slice(start, start + length)
        some_values, some_slopes = ACTIVATIONS[name].value_and_derivative(points[part])
        np.testing.assert_array_equal(some_values, values[part])
        np.testing.assert_array_equal(some_slopes, slopes[part])


def test_shapes_are_kept():
    tanh = ACTIVATIONS["tanh"]
    assert tanh(0.5).shape == ()
    assert tanh(np.zeros((2, 0, 3))).shape == (2, 0, 3)
    points = np.asfortranarray(np.arange(6.0).reshape(2, 3))[:, ::-1]
    np.testing.assert_array_equal(tanh(points), [[tanh(v) for v in row] for row in points])
    np.testing.assert_array_equal(tanh(np.arange(3, dtype=np.int32)), tanh([0.0, 1.0, 2.0]))


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(ValueError, match=r"activation 'tahn' is not known\. Did you mean 'tanh'"):
        ACTIVATIONS["tahn"]
    with pytest.raises(KeyError):
        ACTIVATIONS[3]
    assert "gelu" not in ACTIVATIONS


@pytest.mark.parametrize("name", ["tanh", "logistic"])
def test_values_do_not_depend_on_how_many_there_are(name, rng):
    """Few are taken one by one, many in chunks: at the ends of both, in strided arrays, and in place."""
    points = rng.normal(size=400) * np.repeat([1.0, 300.0], 200)[rng.permutation(400)]
    points[[3, 130, 399]] = np.nan, np.inf, -0.0
    code = ACTIVATIONS[name].code
    alone = np.array([ACTIVATIONS[name].value_and_derivative([x]) for x in points])[:, :, 0].T
    for n in (1, 39, 40, 41, 127, 128, 129, 256, 300, 400):
        for array in (points[:n].copy(), np.repeat(points[:n], 2)[::2]):
            slopes = np.empty_like(array)
            activate(code, array, array, slopes)
            np.testing.assert_array_equal([array, slopes], alone[:, :n])
