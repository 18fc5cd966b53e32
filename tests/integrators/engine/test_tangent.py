"""The propagator: against mpmath, against a complex step, and forwards against backwards."""

import mpmath
import numpy as np
import pytest

import naive
from integrators import ACTIVATIONS, SCHEMES, NeuralField
from sensitivity import OdeRecurrence, jacobian

# The issue asks for 1e-12; round-off of a thousand steps leaves far less.
TANGENT = 1e-12
ADJOINT = 1e-13
# Schemes of every kind of schedule: one kick, opening and closing kicks, both Euler forms, many stages.
VARIED = [
    "euler",
    "explicit_euler",
    "symplectic_euler",
    "symplectic_euler_dk",
    "leapfrog",
    "mclachlan2",
    "yoshida4",
]


def initial(field, seed=3):
    rng = np.random.default_rng(seed)
    return rng.normal(size=field.dim), rng.normal(size=field.dim)


def block_of(scheme):
    return "position" if SCHEMES[scheme].form == "first_order" else "phase"


def tangent_error(field, name, time, n_steps, inputs=None):
    """Relative error of the whole propagator against the same discrete map in 50 digits."""
    y0, p0 = initial(field)
    found = jacobian(field, name, time / n_steps, n_steps, y0, p0, inputs, block_of(name))
    with mpmath.workdps(50):
        F, DF = naive.exact_neural(field.W, field.b, field.V, field.activation.name)
        weights, h = naive.Weights(SCHEMES[name], mpmath.mpf), mpmath.mpf(time / n_steps)
        start = naive.exact(y0), naive.exact(p0)
        expected = naive.propagator(weights, F, DF, *start, h, n_steps, inputs)
        return naive.relative(found, expected)


@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_against_mpmath(name, random_field):
    n_steps = 1000 // SCHEMES[name].n_kicks
    assert tangent_error(random_field(2), name, 4.0, n_steps) <= TANGENT


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_against_mpmath(activation, random_field):
    field = random_field(2, 1, activation, scale=0.5)
    inputs = np.random.default_rng(8).normal(size=(1000, 1))
    assert tangent_error(field, "leapfrog", 5.0, 1000, inputs) <= TANGENT


def test_eight_units_and_a_thousand_steps_against_mpmath(random_field):
    field, V = random_field(8), np.random.default_rng(5).normal(size=(16, 2))
    y0, p0 = initial(field)
    found = OdeRecurrence(field, "leapfrog", 0.006, 1000, y0, p0).pushforward(V).unscaled()
    with mpmath.workdps(50):
        exact_field = naive.exact_neural(field.W, field.b, field.V, "tanh")
        weights = naive.Weights(SCHEMES["leapfrog"], mpmath.mpf)
        start = naive.exact(y0), naive.exact(p0)
        expected = naive.propagator(
            weights, *exact_field, *start, mpmath.mpf(0.006), 1000, columns=naive.exact(V)
        )
        assert naive.relative(found, expected) <= TANGENT


@pytest.mark.slow
def test_all_columns_of_eight_units_against_mpmath(random_field):
    assert tangent_error(random_field(8), "leapfrog", 6.0, 1000) <= TANGENT


@pytest.mark.slow
@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_with_a_thousand_steps_against_mpmath(name, random_field):
    assert tangent_error(random_field(3), name, 4.0, 1000) <= TANGENT


@pytest.mark.slow
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_with_every_activation_against_mpmath(name, activation, random_field):
    n_steps = 1000 // SCHEMES[name].n_kicks
    assert tangent_error(random_field(2, 0, activation, scale=0.5), name, 4.0, n_steps) <= TANGENT


def test_the_paper_s_set_up_against_mpmath():
    # All weights positive: the norm runs through growth and saturation.
    field = NeuralField.random(2)
    for step in (0.01, 0.3):
        found = jacobian(field, "leapfrog", step, 1000)
        with mpmath.workdps(50):
            F, DF = naive.exact_neural(field.W, field.b, field.V, "tanh")
            zero = naive.exact(np.zeros(2))
            weights = naive.Weights(SCHEMES["leapfrog"], mpmath.mpf)
            args = (zero, zero, mpmath.mpf(step), 1000)
            expected = naive.propagator(weights, F, DF, *args)[:2, :2]
            assert naive.relative(found, expected) <= TANGENT


def complex_step_error(field, F, name, n_steps, time, inputs):
    """The same propagator by a complex step of the naive twin."""
    d = field.dim
    y0, p0 = initial(field)
    scheme, h = SCHEMES[name], time / n_steps

    def end(state):
        y, p = naive.trajectory(scheme, F, state[:d], state[d:], h, n_steps, inputs)[-1]
        return np.concatenate([y, p])

    expected = naive.complex_step(end, np.concatenate([y0, p0]))
    if scheme.form == "first_order":
        expected = expected[:d, :d]
    found = jacobian(field, name, h, n_steps, y0, p0, inputs, block_of(name))
    # The same among enough members to fill registers with them.
    members = jacobian(field, name, h / np.arange(9, 0, -1), n_steps, y0, p0, inputs, block_of(name))
    np.testing.assert_array_equal(members[-1], found)
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


@pytest.mark.nojit
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", SCHEMES)
def test_propagator_is_the_complex_step_derivative(name, activation, random_field):
    field = random_field(3, 2, activation, scale=0.7)
    inputs = np.random.default_rng(4).normal(size=(12, 2))
    F = naive.neural(field.W, field.b, field.V, activation)
    assert complex_step_error(field, F, name, 12, 3.0, inputs) <= 1e-13


@pytest.mark.nojit
@pytest.mark.parametrize("name", SCHEMES)
def test_position_block_is_the_corner_of_the_phase_block(name, random_field):
    field = random_field(3, 1)
    y0, p0 = initial(field)
    inputs = np.random.default_rng(4).normal(size=(7, 1))
    corner = jacobian(field, name, 0.1, 7, y0, p0, inputs)
    whole = jacobian(field, name, 0.1, 7, y0, p0, inputs, block_of(name))
    np.testing.assert_array_equal(corner, whole[:3, :3])


@pytest.mark.nojit
@pytest.mark.parametrize("name", SCHEMES)
def test_inputs_as_a_function_of_time(name, random_field):
    field = random_field(2, 2)
    F = naive.neural(field.W, field.b, field.V, "tanh")
    assert complex_step_error(field, F, name, 9, 2.0, lambda t: np.array([np.cos(t), t * t])) <= 1e-13


def adjoint_gap(recurrence, seed=1):
    """|⟨U, J V⟩ − ⟨Jᵀ U, V⟩| relative to ‖U‖ ‖J V‖, the size of what is summed, over all members."""
    rng = np.random.default_rng(seed)
    U, V = rng.normal(size=(2, recurrence.state_size, 5))
    JV, JtU = recurrence.pushforward(V).unscaled(), recurrence.pullback(U).unscaled()
    left, right = np.einsum("ik,...ij->...kj", U, JV), np.einsum("...ik,ij->...kj", JtU, V)
    scale = np.linalg.norm(U) * np.linalg.norm(JV, axis=(-2, -1))
    return (np.abs(left - right).max(axis=(-2, -1)) / scale).max()


@pytest.mark.nojit
@pytest.mark.parametrize("n_inputs", [0, 2])
@pytest.mark.parametrize("d", [1, 4])
@pytest.mark.parametrize("name", SCHEMES)
def test_pullback_is_the_transpose_of_pushforward(name, d, n_inputs, random_field):
    field = random_field(d, n_inputs)
    y0, p0 = initial(field)
    inputs = np.random.default_rng(2).normal(size=(8, n_inputs)) if n_inputs else None
    for step in (0.1, [0.1, 0.02, 0.3]):
        assert adjoint_gap(OdeRecurrence(field, name, step, 8, y0, p0, inputs)) <= ADJOINT


@pytest.mark.parametrize("n_inputs", [0, 3])
@pytest.mark.parametrize("d", [31, 32, 40, 100])
@pytest.mark.parametrize("name", VARIED)
def test_pullback_is_the_transpose_in_high_dimension(name, d, n_inputs, random_field):
    field = random_field(d, n_inputs)
    y0, p0 = initial(field)
    inputs = np.random.default_rng(2).normal(size=(30, n_inputs)) if n_inputs else None
    for step in (0.1, np.linspace(0.01, 0.2, 11)):
        assert adjoint_gap(OdeRecurrence(field, name, step, 30, y0, p0, inputs)) <= ADJOINT


@pytest.mark.nojit
@pytest.mark.parametrize("name", SCHEMES)
def test_one_step_and_no_step_are_transposed_too(name, random_field):
    field = random_field(3)
    for n_steps in (0, 1, 2):
        assert adjoint_gap(OdeRecurrence(field, name, 0.3, n_steps, *initial(field))) <= ADJOINT


def gradient_error(field, name, n_steps, time, inputs, steps=1):
    """∂⟨λ, s_N⟩/∂(W, V, b) against a complex step of the naive twin."""
    d, n_inputs = field.dim, field.n_inputs
    y0, p0 = initial(field)
    scheme = SCHEMES[name]
    size = d if scheme.form == "first_order" else 2 * d
    lam = np.random.default_rng(6).normal(size=size)
    step = time / n_steps * np.arange(1, steps + 1)
    found = OdeRecurrence(field, name, step, n_steps, y0, p0, inputs).parameter_gradient(lam)

    def loss(theta, h):
        W, V, b = np.split(theta, [d * d, d * d + d * n_inputs])
        F = naive.neural(W.reshape(d, d), b, V.reshape(d, n_inputs), field.activation.name)
        y, p = naive.trajectory(scheme, F, y0, p0, h, n_steps, inputs)[-1]
        return np.array([lam @ np.concatenate([y, p])[:size]])

    theta = np.concatenate([field.W.ravel(), field.V.ravel(), field.b])
    expected = np.array([naive.complex_step(lambda t, h=h: loss(t, h), theta)[0] for h in step])
    return np.linalg.norm(found[:, : theta.size] - expected) / np.linalg.norm(expected)


@pytest.mark.nojit
@pytest.mark.parametrize("name", SCHEMES)
def test_parameter_gradient_of_every_scheme(name, random_field):
    inputs = np.random.default_rng(4).normal(size=(10, 2))
    assert gradient_error(random_field(3, 2), name, 10, 2.0, inputs, steps=3) <= 1e-11


@pytest.mark.nojit
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_parameter_gradient_of_every_activation(activation, random_field):
    assert gradient_error(random_field(4, 0, activation, scale=0.7), "leapfrog", 10, 2.0, None) <= 1e-11


def test_parameter_gradient_in_high_dimension(random_field):
    assert gradient_error(random_field(33, 1), "leapfrog", 4, 1.0, np.ones((4, 1))) <= 1e-11
