"""Jacobians of time-invariant linear maps by repeated squaring, against 50 digits and against the loop."""

import mpmath
import numpy as np
import pytest
import sympy

from integrators import POINT, Kind, NeuralField, kernel, symbolic_cell
from integrators.cells.cell import Cell
from integrators.fields.activations import ACTIVATIONS
from integrators.run.recurrence import Recurrence
from integrators.schemes.table import SCHEMES
from sensitivity import (
    cell,
    gradient_profile,
    jacobian,
    jacobian_norm,
    log_jacobian_norm,
    singular_values,
    unroll,
)
from sensitivity.analysis import profile
from sensitivity.analysis.singular import scaled_jacobian
from sensitivity.recurrences import powers
from sensitivity.recurrences.cells.vanilla import VANILLA

IDENTITY = ACTIVATIONS["identity"].code
GAUSS = np.random.default_rng(5).normal(0.0, 0.4, (6, 6))
ROTATION = np.linalg.qr(GAUSS)[0]
MATRICES = {
    "Gaussian": GAUSS,
    "rotation": ROTATION,
    "explosive": 2.5 * ROTATION + 0.3 * GAUSS,
    "vanishing": 0.3 * GAUSS,
    "non-normal": np.triu(20.0 * GAUSS, 1) + np.diag(np.linspace(0.9, 1.0, 6)),
    "Jordan block": np.eye(6) + np.eye(6, k=1),
    "scales apart": np.diag(10.0 ** np.arange(-3, 3)) + 1e-9 * np.eye(6, k=1),
    "one unit": np.array([[-0.999999]]),
}


def linear_cell(W):
    return cell("vanilla", len(W)).kind(len(W), 0, W=W, activation=IDENTITY)


def by_powers(run, rows=None):
    """The Jacobian by powers, whether they pay or not."""
    part = slice(0, run.state_size) if rows is None else run.blocks[rows]
    found = powers.power_jacobian(run, np.eye(run.state_size)[:, part], rows)
    assert found is not None
    return found


def exact_power(matrix, n):
    """matrix^n with 50 digits."""
    with mpmath.workdps(50):
        return mpmath.matrix(matrix.tolist()) ** n


def worst(scaled, exact):
    """Largest error of a column, relative to its largest entry, as an mpmath number."""
    values, exponents = scaled.values, scaled.exponents
    errors = []
    with mpmath.workdps(50):
        for j in range(values.shape[1]):
            two = mpmath.mpf(2) ** int(exponents[j])
            size = max(abs(exact[i, j]) for i in range(len(values)))
            error = max(abs(mpmath.mpf(values[i, j]) * two - exact[i, j]) for i in range(len(values)))
            errors.append(error / size if size else error)
    return float(max(errors))


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("n", [1, 2, 257, 1000, 10**6])
def test_powers_are_exact_to_the_last_place_and_no_worse_than_the_loop(name, n):
    W = MATRICES[name]
    run = unroll(linear_cell(W), n_steps=n)
    expected = exact_power(W, n)
    error = worst(by_powers(run), expected)
    assert error <= 2.0**-53
    if n < 10**6:
        assert error <= worst(run.pushforward(np.eye(len(W))), expected) + 2.0**-53


def test_a_nilpotent_matrix_and_the_powers_before_it_vanishes():
    W = np.triu(np.random.default_rng(1).normal(size=(5, 5)), 1)
    run = unroll(linear_cell(W), n_steps=10**6)
    assert not jacobian(run).any()
    assert log_jacobian_norm(run) == -np.inf
    found = gradient_profile(run, at=[0, 10**6 - 4, 10**6 - 1, 10**6])
    expected = [0.0, np.linalg.norm(np.linalg.matrix_power(W, 4), 2), np.linalg.norm(W, 2), 1.0]
    np.testing.assert_allclose(found.norms, expected, rtol=1e-12)


def by_hand(W, scheme, h, n, closing):
    """(first step, later step, closing) of y, p as matrices of 50 digits, operation by operation."""
    field = NeuralField(W, np.zeros(len(W)), activation="identity")
    run = Recurrence(field, n, scheme=scheme, step=h)
    program, d, D = run.program(close=closing), len(W), run.state_size
    total = mpmath.eye(D)
    for operation in program:
        c = mpmath.mpf(float(operation.weight) * h)
        matrix = mpmath.eye(D)
        for i in range(d):
            if operation.stage in ("drift", "explicit"):
                matrix[i, d + i] += c
            if operation.stage != "drift":
                for j in range(d):
                    matrix[i if run.first_order else d + i, j] += c * mpmath.mpf(W[i, j])
        total = matrix * total
    return run, total


@pytest.mark.parametrize("name", sorted(SCHEMES))
def test_every_scheme_against_its_operations_with_fifty_digits(name):
    """Opening and closing kicks, several stages, first-order and explicit forms."""
    with mpmath.workdps(50):
        run, expected = by_hand(0.5 * GAUSS[:3, :3], name, 0.37, 21, True)
        assert worst(by_powers(run), expected) <= 2.0**-53
        half, expected = by_hand(0.5 * GAUSS[:3, :3], name, 0.37, 21, False)
        values = by_powers(half, "position").unscaled()
        wanted = np.array([[float(expected[i, j]) for j in range(3)] for i in range(3)])
        np.testing.assert_allclose(values, wanted, rtol=1e-14, atol=1e-15 * np.abs(wanted).max())


def test_step_sizes_and_sequences_of_a_batch():
    """Members with one step size share a power; the batch keeps its shape, and inputs make no difference."""
    field = NeuralField(0.3 * GAUSS, np.ones(6), GAUSS[:, :2], activation="identity")
    n = 100_000
    steps = np.array([[0.1, 0.3, 0.1], [0.3, 1e-3, 0.2]])
    inputs = np.random.default_rng(3).normal(size=(2, 3, n, 2))
    run = unroll(field, scheme="leapfrog", step=steps, n_steps=n, inputs=inputs)
    assert powers.powers_pay(run, 6)
    found = log_jacobian_norm(run)
    assert found.shape == (2, 3)
    for place in np.ndindex(2, 3):
        alone = unroll(field, scheme="leapfrog", step=steps[place], n_steps=n)
        assert log_jacobian_norm(alone) == found[place]
        loop = alone.pushforward(np.eye(12)[:, :6], rows="position").aligned()
        expected = np.log(np.linalg.norm(loop.values, 2)) + np.log(2.0) * loop.exponent
        np.testing.assert_allclose(found[place], expected, rtol=1e-11)


def test_threads_change_no_bit():
    field, steps = NeuralField(0.3 * GAUSS, np.ones(6), activation="identity"), np.geomspace(1e-3, 0.3, 7)
    one, two = (jacobian(field, "leapfrog", steps, 100_000, threads=n, progress=False) for n in (1, 2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("name", ["lru", "s4d", "linoss_im", "linoss_imex", "linoss_vv", "dlinoss"])
def test_state_space_cells_against_their_loop(name):
    """Neurons that grow and shrink at rates of their own keep a power of two each."""
    model = cell(name, 5, 2, rng=4)
    assert model.constant_jacobian
    run = unroll(model, n_steps=4000)
    found, loop = by_powers(run), run.pushforward(np.eye(model.dim))
    shift = (loop.exponents - found.exponents).astype(np.int32)
    np.testing.assert_allclose(np.ldexp(loop.values, shift), found.values, rtol=0.0, atol=1e-10)
    assert np.array_equal(found.values == 0.0, loop.values == 0.0)


def test_columns_that_lie_apart_by_more_than_float64_holds():
    run = unroll(linear_cell(np.diag([1.0, 0.5, 2.0**-30])), n_steps=10**6)
    found = scaled_jacobian(run, None)
    np.testing.assert_array_equal(np.diag(found.values), np.diag(found.values).max() * np.ones(3))
    assert (found.exponents - found.exponents[0]).tolist() == [0, -(10**6), -30 * 10**6]


def test_every_verb_at_a_million_steps():
    W = np.array([[0.0, 1.0], [-1.0, 0.0]]) * 1.001
    run = unroll(linear_cell(W), n_steps=10**6)
    growth = 1e6 * np.log(1.001)
    np.testing.assert_allclose(log_jacobian_norm(run), growth, rtol=1e-13)
    assert jacobian_norm(run) == np.inf
    np.testing.assert_allclose(singular_values(run).log, [growth, growth], rtol=1e-13)
    found = gradient_profile(run, at=[0, 1, 500_000, 999_999, 10**6])
    left = 10**6 - found.index
    np.testing.assert_allclose(found.log_norms, left * np.log(1.001), rtol=1e-12, atol=1e-13)
    cotangent = gradient_profile(run, at=[0], cotangent=[3.0, 4.0])
    np.testing.assert_allclose(cotangent.log_norms, growth + np.log(5.0), rtol=1e-13)


@pytest.mark.parametrize("scheme", ["leapfrog", "euler", "yoshida4", "symplectic_euler_dk"])
def test_a_profile_is_that_of_the_loop(scheme, monkeypatch):
    field = NeuralField(0.3 * GAUSS, np.ones(6), activation="identity")
    at = [0, 1, 700, 1998, 1999, 2000]
    steps = [0.01, 0.02]
    loop = gradient_profile(field, scheme, steps, 2000, at=at)
    monkeypatch.setattr(profile, "powers_pay", lambda *asked: True)
    found = gradient_profile(field, scheme, steps, 2000, at=at)
    np.testing.assert_allclose(found.log_norms, loop.log_norms, rtol=1e-11, atol=1e-12)
    assert not np.array_equal(found.log_norms, loop.log_norms)  # two ways


def test_a_whole_profile_goes_step_by_step():
    run = unroll(linear_cell(0.3 * GAUSS), n_steps=300)
    assert not powers.powers_pay(run, 6, 301)
    assert gradient_profile(run).norms.size == 301


def test_only_linear_maps_have_powers():
    a, u, v, x = sympy.symbols("a u v x")
    linear = symbolic_cell([a * u + v + x**2, u / 2], [u, v], [x], {a: 0.9}, name="own")
    driven = symbolic_cell([a * u * x + v, u / 2], [u, v], [x], {a: 0.9}, name="driven")
    bent = symbolic_cell([a * u + v**2, u / 2], [u, v], parameters={a: 0.9}, name="bent")
    assert [model.constant_jacobian for model in (linear, driven, bent)] == [True, False, False]
    assert not cell("vanilla", 3).constant_jacobian
    assert cell("vanilla", 3, activation="identity").constant_jacobian
    assert not powers.powers_pay(unroll(cell("vanilla", 3), n_steps=10**6), 3)
    found = by_powers(unroll(linear, n_steps=5000))
    assert worst(found, exact_power(np.array([[0.9, 1.0], [0.5, 0.0]]), 5000)) <= 2.0**-53


def test_float32_layers_and_functions_of_time_go_step_by_step():
    field = NeuralField(0.3 * GAUSS, np.ones(6), GAUSS[:, :1], activation="identity")
    n = 10**6
    assert powers.powers_pay(Recurrence(field, n, scheme="euler", step=0.1), 6)
    assert not powers.powers_pay(Recurrence(field, n, scheme="euler", step=0.1, dtype="float32"), 6)
    driven = Recurrence(field, n, scheme="euler", step=0.1, inputs=lambda t: [np.sin(t)])
    assert not powers.powers_pay(driven, 6)
    two = VANILLA.layers(6, 0, [{"W": GAUSS, "activation": IDENTITY}] * 2)
    assert two.constant_jacobian and not powers.powers_pay(unroll(two, n_steps=n), 6)


def test_a_step_beyond_float64_goes_step_by_step():
    """The product of weight and matrix overflows, which the loop knows how to mark."""
    field = NeuralField([[1e300]], [0.0], activation="identity")
    run = unroll(field, scheme="euler", step=1e200, n_steps=10**6)
    assert powers.powers_pay(run, 1) and powers.power_jacobian(run, np.eye(1), None) is None
    np.testing.assert_array_equal(jacobian(run), run.pushforward(np.eye(1)).unscaled())


def test_the_gradient_outlives_an_overflow_of_the_state():
    """As for fields: the Jacobian of a linear map does not depend on the state."""
    run = unroll(linear_cell(2.0 * np.eye(2)), n_steps=5000, s0=[1.0, 0.0])
    np.testing.assert_allclose(log_jacobian_norm(run), 5000 * np.log(2.0), rtol=1e-14)
    with pytest.raises(ArithmeticError):
        run.run()


@kernel(POINT)
def _bent(constants, v, out, slopes):
    for f in range(v.shape[1]):
        out[0, f] = v[0, f] * abs(v[1, f])
        slopes[0, 0, f], slopes[0, 1, f] = abs(v[1, f]), v[0, f] * np.sign(v[1, f])


def test_a_rule_that_is_not_linear_is_found_out():
    kind = Kind(
        name="bent",
        state=("h",),
        rows=("a",),
        point=_bent,
        depends={"h": "a h"},
        recurrent=1,
        linear=lambda cell: isinstance(cell, Cell),
    )
    with pytest.raises(ValueError, match="depends on the state or input"):
        unroll(kind(2, 0, W=np.eye(2)), n_steps=3)
