"""Results have the same bits whatever runs beside them: tangents, other members, threads, a kept path."""

import numpy as np
import pytest

import integrators.engine.blocks
import integrators.run.checkpoint
import integrators.run.forward
import naive
import sensitivity.analysis.singular
from integrators import SCHEMES, NeuralField, henon_heiles, integrate
from integrators.engine.drivers import KEEP
from integrators.run.forward import forward
from integrators.run.recurrence import Recurrence
from sensitivity import (
    OdeRecurrence,
    float32_error,
    gradient_profile,
    growth_exponents,
    jacobian,
    jacobian_norm,
    log_jacobian_norm,
    log_singular_values,
    singular_values,
)

DIMENSIONS = [1, 3, 10, 31, 32, 40, 100]
SOME = ["euler", "explicit_euler", "symplectic_euler", "leapfrog", "position_verlet", "yoshida4"]


def case(d, n_inputs, random_field, n_steps):
    field = random_field(d, n_inputs)
    rng = np.random.default_rng(d)
    inputs = rng.normal(size=(n_steps, n_inputs)) if n_inputs else None
    return field, rng.normal(size=d), rng.normal(size=d), inputs


@pytest.fixture
def pools(monkeypatch):
    """Small runs go to threads too; the list of how many were at work."""
    monkeypatch.setattr(integrators.run.forward, "POOL_SECONDS", 0.0)
    sizes, plain = [], integrators.engine.blocks.on_threads

    def noting(calls, threads, *cancel):
        sizes.append(min(threads, len(calls)))
        return plain(calls, threads, *cancel)

    monkeypatch.setattr(integrators.engine.blocks, "on_threads", noting)
    return sizes


@pytest.mark.parametrize("n_inputs", [0, 2])
@pytest.mark.parametrize("d", DIMENSIONS)
@pytest.mark.parametrize("name", SOME)
def test_trajectory_is_the_same_with_and_without_tangents(name, d, n_inputs, random_field):
    field, y0, p0, inputs = case(d, n_inputs, random_field, 25)
    for step in (0.1, np.linspace(0.01, 0.2, 9)):
        problem = OdeRecurrence(field, name, step, 25, y0, p0, inputs)
        state, *_ = forward(problem)
        rng = np.random.default_rng(0)
        for k in (1, 3, d, 2 * d):
            with_columns, *_ = forward(problem, rng.normal(size=(problem.state_size, k)))
            np.testing.assert_array_equal(with_columns, state)
        path = integrate(field, name, y0, p0, step, 25, inputs)
        np.testing.assert_array_equal(path.y[..., -1, :].reshape(-1, d), state[:, :d])
        recorded, *_ = forward(problem, tape=KEEP, keep=lambda *_: None)
        np.testing.assert_array_equal(recorded, state)


@pytest.mark.parametrize("n_inputs", [0, 2])
@pytest.mark.parametrize("d", DIMENSIONS)
def test_a_member_does_not_see_its_neighbours(d, n_inputs, random_field):
    field, y0, p0, inputs = case(d, n_inputs, random_field, 12)
    steps = np.logspace(-2, 0, 23)
    for name in ("leapfrog", "yoshida4") if d < 40 else ("leapfrog",):
        arguments = (12, y0, p0, inputs)
        together = jacobian(field, name, steps, *arguments)
        for chosen in (steps[:1], steps[5:7], steps[3:11], steps[2:11], steps[::-1], steps[:17]):
            where = [int(np.flatnonzero(steps == h)[0]) for h in chosen]
            np.testing.assert_array_equal(jacobian(field, name, chosen, *arguments), together[where])
        np.testing.assert_array_equal(jacobian(field, name, steps[4], *arguments), together[4])
        square = jacobian(field, name, steps[:6].reshape(2, 3), *arguments)
        np.testing.assert_array_equal(square.reshape(6, d, d), together[:6])


@pytest.mark.parametrize("function", [jacobian, jacobian_norm, log_jacobian_norm])
@pytest.mark.parametrize("d", DIMENSIONS)
def test_threads_do_not_change_a_bit(function, d, random_field, pools):
    field, y0, p0, inputs = case(d, 1, random_field, 9)
    steps = np.logspace(-2, 0, 37)
    alone = function(field, "leapfrog", steps, 9, y0, p0, inputs, threads=1)
    assert max(pools, default=1) == 1
    for threads in (2, 5):
        np.testing.assert_array_equal(
            function(field, "leapfrog", steps, 9, y0, p0, inputs, threads=threads), alone
        )
    assert max(pools, default=1) > 1, "no second thread was at work"


def test_threads_do_not_change_a_bit_of_other_results(random_field, pools):
    field, y0, p0, inputs = case(10, 1, random_field, 9)
    steps = np.logspace(-2, 0, 37)
    rng = np.random.default_rng(0)
    columns, cotangent = rng.normal(size=(20, 3)), rng.normal(size=20)
    results = []
    for threads in (1, 2, 5):
        recurrence = OdeRecurrence(field, "yoshida4", steps, 9, y0, p0, inputs, threads=threads)
        path = integrate(field, "yoshida4", y0, p0, steps, 9, inputs, threads=threads)
        results.append(
            (
                recurrence.run(),
                recurrence.pushforward(columns).unscaled(),
                recurrence.pullback(columns).unscaled(),
                recurrence.parameter_gradient(cotangent),
                path.y,
                path.p,
            )
        )
    for other in results[1:]:
        for mine, first in zip(other, results[0], strict=True):
            np.testing.assert_array_equal(mine, first)
    assert max(pools) > 1


VERBS = {
    "singular_values": lambda *given, **more: singular_values(*given, k=3, **more).unscaled(),
    "smallest": lambda *given, **more: singular_values(*given, k=2, smallest=True, **more).unscaled(),
    "log_singular_values": log_singular_values,
    "growth_exponents": lambda *given, **more: growth_exponents(*given, **more).series,
    "gradient_profile": lambda *given, **more: gradient_profile(*given, **more).log_norms,
    "profile_of_inputs": lambda *given, **more: gradient_profile(*given, of="inputs", **more).log_norms,
    "lanczos": lambda *given, **more: log_jacobian_norm(*given, method="lanczos", **more),
    "float32_error": float32_error,
}


@pytest.mark.parametrize("d", [3, 50])
@pytest.mark.parametrize("verb", VERBS)
def test_threads_change_no_bit_of_any_public_verb(verb, d, random_field, pools, monkeypatch):
    for module in (integrators.run.checkpoint, sensitivity.analysis.singular):
        monkeypatch.setattr(module, "POOL_SECONDS", 0.0)
    field, y0, p0, inputs = case(d, 1, random_field, 60)
    steps = np.logspace(-2, -0.5, 19)
    one, two = (
        VERBS[verb](field, "leapfrog", steps, 60, y0, p0, inputs, threads=threads) for threads in (1, 2)
    )
    np.testing.assert_array_equal(one, two)
    assert max(pools) > 1


def test_members_of_a_textbook_field(pools):
    steps = np.logspace(-3, -1, 19)
    arguments = ([0.1, 0.2], [0.0, 0.1])
    together = jacobian(henon_heiles(), "yoshida4", steps, 20, *arguments, threads=1)
    for threads in (2, 5):
        np.testing.assert_array_equal(
            jacobian(henon_heiles(), "yoshida4", steps, 20, *arguments, threads=threads), together
        )
    for h, expected in zip(steps, together, strict=True):
        np.testing.assert_array_equal(jacobian(henon_heiles(), "yoshida4", h, 20, *arguments), expected)


@pytest.mark.parametrize("d", [3, 40])
@pytest.mark.parametrize("name", SCHEMES)
def test_a_path_does_not_depend_on_its_length(name, d, random_field):
    # A longer run merges end kicks where a shorter one closes: positions agree in every bit.
    field, y0, p0, inputs = case(d, 2, random_field, 11)
    long = integrate(field, name, y0, p0, 0.1, 11, inputs)
    for n_steps in (1, 4, 10):
        short = integrate(field, name, y0, p0, 0.1, n_steps, inputs[:n_steps])
        np.testing.assert_array_equal(short.y, long.y[: n_steps + 1])
        # The last velocity closes with the last input instead of the next one.
        np.testing.assert_array_equal(short.p[:-1], long.p[:n_steps])


@pytest.mark.nojit
@pytest.mark.parametrize("n_inputs", [0, 2])
@pytest.mark.parametrize("name", SCHEMES)
def test_integrate_against_the_naive_twin(name, n_inputs, random_field):
    field, y0, p0, inputs = case(3, n_inputs, random_field, 11)
    F = naive.neural(field.W, field.b, field.V, "tanh")
    for given in (inputs, (lambda t: np.array([np.sin(t), t])) if n_inputs else None):
        # Enough members for whole registers of them.
        steps = [0.1, 0.25, 0.2, 0.15, 0.05, 0.3, 0.12, 0.22, 0.17]
        path = integrate(field, name, y0, p0, steps, 11, given)
        for member, h in enumerate(steps):
            y, p = map(np.array, zip(*naive.trajectory(SCHEMES[name], F, y0, p0, h, 11, given), strict=True))
            np.testing.assert_allclose(path.y[member], y, rtol=1e-13, atol=1e-14)
            if SCHEMES[name].form != "first_order":
                np.testing.assert_allclose(path.p[member], p, rtol=1e-13, atol=1e-14)


@pytest.mark.nojit
def test_velocity_of_a_first_order_path_is_the_force(random_field):
    field, y0, _, inputs = case(3, 2, random_field, 6)
    path = integrate(field, "euler", y0, None, 0.1, 6, inputs)
    for i in range(7):
        np.testing.assert_allclose(path.p[i], field.force(path.y[i], inputs[min(i, 5)]), rtol=1e-14)


# Catches: runs joined in the wrong place or without their powers of two, a last run that is too long.
@pytest.mark.parametrize("block", ["position", "momentum", "phase"])
@pytest.mark.parametrize("operations", [1, 400, 1000])
def test_columns_in_several_runs_change_no_bit(block, operations, random_field, monkeypatch):
    field = random_field(7, 0)
    arguments = (field, "leapfrog", [0.1, 0.7], 400)
    whole = jacobian(*arguments, block=block)
    monkeypatch.setattr(sensitivity.analysis.singular, "STEP_OPERATIONS", operations)
    runs, plain = [], Recurrence.pushforward

    def noting(self, columns, rows=None):
        runs.append(columns.shape[1])
        return plain(self, columns, rows)

    monkeypatch.setattr(Recurrence, "pushforward", noting)
    np.testing.assert_array_equal(jacobian(*arguments, block=block), whole)
    assert sum(runs) == whole.shape[-1] and (len(runs) > 1 or operations == 1000)


# Catches: columns of several runs that are joined without their powers of two.
def test_columns_in_several_runs_beyond_float64(monkeypatch):
    field = NeuralField(np.diag(np.linspace(1.9, 2.1, 7)), np.zeros(7), activation="identity")
    recurrence = OdeRecurrence(field, "euler", [0.5, 1.0], 2000)
    whole = sensitivity.analysis.singular.scaled_jacobian(recurrence, None)
    monkeypatch.setattr(sensitivity.analysis.singular, "STEP_OPERATIONS", 1)
    parts = sensitivity.analysis.singular.scaled_jacobian(recurrence, None)
    assert whole.exponent.min() > 1000
    moved = np.ldexp(parts.values, (parts.exponent - whole.exponent)[:, None, None])
    np.testing.assert_array_equal(moved, whole.values)


@pytest.mark.parametrize("d", [1, 2, 10])
@pytest.mark.parametrize("scheme", ["leapfrog", "euler", "explicit_euler", "position_verlet", "yoshida4"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_many_steps_at_a_time_have_the_bits_of_single_steps(d, scheme, dtype, rng):
    """A sweep with a tape goes step by step; one without goes from one look at the range to the next."""
    field = NeuralField(rng.normal(size=(d, d)), rng.normal(size=d))
    for members in (8, 100, 300):
        run = OdeRecurrence(field, scheme, np.geomspace(0.01, 1.0, members), 150, dtype=dtype)
        columns = np.eye(run.state_size, d)
        state, moved, _ = forward(run, columns)
        state_by_step, moved_by_step, _ = forward(run, columns, tape=KEEP)
        np.testing.assert_array_equal(state, state_by_step)
        np.testing.assert_array_equal(moved.values, moved_by_step.values)
        np.testing.assert_array_equal(moved.exponents, moved_by_step.exponents)
