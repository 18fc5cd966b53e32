"""Columns, and entries of a column, that lie further apart than float64 reaches, and come back."""

import math

import numpy as np
import pytest
import sympy

from integrators import NeuralField, symbolic_cell
from sensitivity import (
    OdeRecurrence,
    cell,
    gradient_profile,
    jacobian,
    jacobian_norm,
    log_jacobian_norm,
    log_singular_values,
    singular_values,
)
from sensitivity.recurrences.cell import unroll

S1, S2, S3, X1, X2, X3 = sympy.symbols("s1 s2 s3 x1 x2 x3")


@pytest.fixture(scope="module")
def scaling():
    """s' = x ∘ s: the Jacobian of a step is diag(x), and every product of such steps is known."""
    return symbolic_cell([X1 * S1, X2 * S2], [S1, S2], [X1, X2], check_at=[0.5, 0.25])


@pytest.fixture(scope="module")
def rotating():
    """A rotation by the third input after the scaling."""
    c, s = sympy.cos(X3), sympy.sin(X3)
    return symbolic_cell(
        [c * X1 * S1 - s * X2 * S2, s * X1 * S1 + c * X2 * S2], [S1, S2], [X1, X2, X3], check_at=[0.5, 0.25]
    )


def there_and_back(bits, times):
    """Inputs 2^±bits, `times` times, and then their inverses."""
    there = np.tile([2.0**bits, 2.0**-bits], (times, 1))
    return np.concatenate([there, 1.0 / there])


CASES = [(10, 60), (600, 1), (600, 7), (1000, 3), (1, 5000), (-10, 60), (300, 5)]


# Catches: one exponent for all columns of a batch member, forwards (gave diag(1, 0)) and backwards.
@pytest.mark.parametrize(("bits", "times"), CASES)
def test_the_identity_comes_back(scaling, bits, times):
    run = unroll(scaling, inputs=there_and_back(bits, times))
    np.testing.assert_array_equal(jacobian(run), np.eye(2))
    np.testing.assert_array_equal(run.pullback(np.eye(2)).unscaled(), np.eye(2))
    np.testing.assert_array_equal(run.pushforward([[0.0, 3.0], [5.0, 0.0]]).unscaled(), [[0, 3], [5, 0]])
    np.testing.assert_array_equal(log_singular_values(run), [0.0, 0.0])
    np.testing.assert_array_equal(singular_values(run).unscaled(), [1.0, 1.0])
    for method in ("auto", "full", "lanczos"):
        assert jacobian_norm(run, method=method) == pytest.approx(1.0, rel=1e-12)


# Catches: exponents of one batch member used for another, padded columns and members counted.
def test_many_members_each_with_columns_of_its_own(scaling):
    inputs = np.stack([there_and_back(bits, 60) for bits in (0, 10, 20, -30, 5, 40, 1, 15, -12)])
    J = jacobian(unroll(scaling, inputs=inputs))
    np.testing.assert_array_equal(J, np.broadcast_to(np.eye(2), (9, 2, 2)))
    half = inputs[:, :60]
    logs = log_singular_values(unroll(scaling, inputs=half))
    bits = np.array([0, 10, 20, 30, 5, 40, 1, 15, 12]) * 60.0
    np.testing.assert_allclose(logs, math.log(2) * np.stack([bits, -bits], axis=1), rtol=1e-14, atol=1e-13)
    np.testing.assert_allclose(
        log_jacobian_norm(unroll(scaling, inputs=half)), math.log(2) * bits, rtol=1e-14
    )


# The Jacobian of half of the way is in float64 what fits; the logarithms have all of it.
def test_what_leaves_float64_has_its_logarithm(scaling):
    run = unroll(scaling, inputs=there_and_back(600, 2)[:2])
    np.testing.assert_array_equal(jacobian(run), [[np.inf, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(
        log_singular_values(run), [1200 * math.log(2), -1200 * math.log(2)], rtol=1e-14
    )
    pushed = run.pushforward(np.eye(2))
    exact = np.ldexp(1.0, pushed.exponents - [1200, -1200]) * np.diagonal(pushed.values)
    np.testing.assert_array_equal(exact, [1.0, 1.0])
    assert log_jacobian_norm(run) == pytest.approx(1200 * math.log(2), rel=1e-14)


# Catches: entries of one column divided until the smaller one is zero.
@pytest.mark.parametrize(("bits", "times"), [(10, 60), (600, 1), (6, 100), (-30, 20)])
def test_entries_of_one_column_that_part(scaling, bits, times):
    run = unroll(scaling, inputs=there_and_back(bits, times))
    V = np.array([[1.0, -3.0], [2.0, 0.5]])
    np.testing.assert_array_equal(run.pushforward(V).unscaled(), V)
    np.testing.assert_array_equal(run.pullback(V).unscaled(), V)


# Catches: Lanczos vectors, which are dense, taken at their word where their small entries were lost.
@pytest.mark.parametrize("bits", [10, 100, 600, 1000])
def test_lanczos_sees_what_it_lost(scaling, bits):
    run = unroll(scaling, inputs=there_and_back(bits, 60))
    assert jacobian_norm(run, method="lanczos") == pytest.approx(1.0, rel=1e-9)


def test_profiles_keep_every_column(scaling):
    run = unroll(scaling, inputs=there_and_back(10, 60))
    logs = gradient_profile(run).log_norms
    expected = math.log(2) * np.concatenate([10.0 * np.arange(61), 10.0 * np.arange(59, -1, -1)])
    np.testing.assert_allclose(logs, expected, rtol=1e-14, atol=1e-14)
    by_input = gradient_profile(run, of="inputs")  # s_0 = 0: nothing depends on the inputs
    assert (by_input.log_norms == -np.inf).all()


# Catches: a step whose own columns part.
def test_one_step(scaling):
    np.testing.assert_array_equal(
        scaling.linearise([1.0, 1.0], [2.0**700, 2.0**-700])[1], np.diag([2.0**700, 2.0**-700])
    )


# The first step turns; the rest scales. Singular values are those of the scaling.
@pytest.mark.parametrize("bits", [10, 45])
def test_turned_and_scaled(rotating, bits):
    inputs = np.zeros((41, 3))
    inputs[0] = [1.0, 1.0, 0.7]
    inputs[1:, 0], inputs[1:, 1] = 2.0**bits, 2.0**-bits
    logs = log_singular_values(unroll(rotating, inputs=inputs))
    np.testing.assert_allclose(logs, [40 * bits * math.log(2), -40 * bits * math.log(2)], rtol=1e-14)


# Fields: a splitting scheme and Euler, with columns that part by e^±1000 and more.
@pytest.mark.parametrize("scheme", ["euler", "leapfrog"])
def test_columns_of_a_field_part(scheme):
    field = NeuralField(np.diag([3.0, -0.9]), np.zeros(2), activation="identity")
    run = OdeRecurrence(field, scheme, 1.0, 1200)
    alone = [
        OdeRecurrence(NeuralField([[w]], [0.0], activation="identity"), scheme, 1.0, 1200)
        for w in (3.0, -0.9)
    ]
    for sweep in ("pushforward", "pullback"):
        size, one = run.state_size, alone[0].state_size
        found = getattr(run, sweep)(np.eye(size))
        for i, part in enumerate(alone):
            expected = getattr(part, sweep)(np.eye(one))
            for column in range(one):
                place = column * 2 + i
                shift = expected.exponents[column] - found.exponents[place]
                np.testing.assert_array_equal(
                    found.values[i::2, place], np.ldexp(expected.values[:, column], shift)
                )
    assert np.isfinite(log_singular_values(run)).all()


# Catches: a scale that is no longer the same for columns that do not part.
def test_columns_that_do_not_part_have_one_exponent():
    rng = np.random.default_rng(0)
    field = NeuralField(rng.normal(size=(6, 6)), np.zeros(6), activation="identity")
    run = OdeRecurrence(field, "leapfrog", [0.5, 1.0], 2000)
    for found in (run.pushforward(np.eye(12)), run.pullback(np.eye(12)), run.linearised().pushforward(
        np.broadcast_to(np.eye(12), (2, 12, 12))
    )):  # fmt: skip
        assert found.apart is None and found.exponent.min() > 1000


@pytest.mark.parametrize(("bits", "kept"), [(450, True), (1500, False)])
def test_how_far_entries_of_one_column_may_lie_apart(rotating, bits, kept):
    """As the page of `jacobian` says: 2^900 below the largest an entry is held, 2^3000 below it is not."""
    mixed, times = [[1.0, 1.0, math.pi / 4]], bits // 5
    inputs = [*mixed, *[[32.0, 1 / 32, 0.0]] * times, *[[1 / 32, 32.0, 0.0]] * times]
    run = unroll(rotating, inputs=np.array(inputs))
    half = math.sqrt(0.5)
    lower = half if kept else 0.0
    np.testing.assert_allclose(jacobian(run), [[half, -half], [lower, lower]], rtol=1e-15)
    if kept:
        np.testing.assert_allclose(log_singular_values(run), 0.0, atol=1e-12)


# Catches: a range of columns that does not know of a W that is far from one, forwards or backwards.
@pytest.mark.parametrize("activation", ["tanh", "identity"])
@pytest.mark.parametrize("size", [1e300, -1e300, 1e-300])
def test_weights_far_from_one_with_a_step_that_makes_up_for_it(size, activation):
    W, n = np.array([[1.0, 0.25], [-0.25, 0.75]]), 700
    steps = {"euler": 0.5 / abs(size), "leapfrog": 0.125 / math.sqrt(abs(size))}
    for scheme, own in (("euler", 0.5), ("leapfrog", 0.125)):
        far = NeuralField(size * W, [0.0, 0.0], activation=activation)
        near = NeuralField(math.copysign(1.0, size) * W, [0.0, 0.0], activation=activation)
        for method in ("full", "lanczos"):
            found = log_jacobian_norm(far, scheme, steps[scheme], n, method=method)
            assert found == pytest.approx(log_jacobian_norm(near, scheme, own, n, method=method), rel=1e-10)
        profiles = [
            gradient_profile(field, scheme, step, n).log_norms
            for field, step in ((far, steps[scheme]), (near, own))
        ]
        np.testing.assert_allclose(*profiles, rtol=1e-9, atol=1e-10)


def test_a_cell_whose_weights_are_far_from_one():
    drawn = cell("vanilla", 1)
    assert math.isfinite(log_jacobian_norm(unroll(drawn, n_steps=50)))
    made = drawn.with_parameters(W=[[1e300]], b=[0.0])
    found = log_jacobian_norm(unroll(made, n_steps=50))
    assert found == pytest.approx(50.0 * math.log(1e300), rel=1e-14)
