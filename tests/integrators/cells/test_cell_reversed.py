"""Cells that find their own way back: round-off reported, or none at all on a grid; memory of O(D)."""

import tracemalloc

import numpy as np
import pytest

from integrators import NeuralField
from integrators.run.recurrence import OdeRecurrence
from sensitivity import jacobian
from sensitivity.recurrences.cell import unroll
from sensitivity.recurrences.registry import make

GRID = 2.0**-40
CASES = [("unicornn", {"layers": 1}), ("unicornn", {"layers": 3}), ("staggered", {})]
N, D_IN = 700, 2
STEPS = {"unicornn": 0.3, "staggered": 0.05}


def started(name, members=3, grid=0.0, n_steps=N, step=0.0, **details):
    rng = np.random.default_rng(5)
    cell = make(name, 6, D_IN, step=step or STEPS[name], grid=grid, **details)
    s0 = 0.5 * rng.normal(size=(members, cell.dim))
    s0 = np.rint(s0 / GRID) * GRID
    return unroll(cell, s0=s0, inputs=rng.normal(size=(members, n_steps, D_IN)))


@pytest.mark.parametrize(("name", "details"), CASES)
@pytest.mark.parametrize("gradient", (False, True))
def test_the_way_back(name, details, gradient):
    run = started(name, **details)
    lam = np.random.default_rng(1).normal(size=(run.state_size, 2))
    sweep = run.reversed_pullback(lam, gradient=gradient)
    assert 0.0 < sweep.start_error.max() <= 1e-10 and 0.0 < sweep.deviation.max() <= 1e-9
    exact = started(name, grid=GRID, **details)
    sweep = exact.reversed_pullback(lam, gradient=gradient)
    assert not sweep.start_error.any() and not sweep.deviation.any()
    if gradient:
        for q in range(3):
            alone = exact.select(slice(q, q + 1))
            assert np.array_equal(sweep.gradient[q], run_gradient(alone, lam))


def run_gradient(run, lam):
    """∂⟨Λ, s_N⟩/∂θ with checkpoints."""
    from integrators.run.pullback import checkpointed_pullback

    return checkpointed_pullback(run, lam, gradient=True).gradient[0]


@pytest.mark.parametrize("gradient", (False, True))
def test_a_step_of_two_halves_is_undone_half_by_half(gradient):
    rng = np.random.default_rng(5)
    cell = make("h2", 4, D_IN, step=0.05)
    run = unroll(cell, s0=0.5 * rng.normal(size=(3, 8)), inputs=rng.normal(size=(3, N, D_IN)))
    sweep = run.reversed_pullback(rng.normal(size=(8, 2)), gradient=gradient)
    assert 0.0 < sweep.start_error.max() <= 1e-8 and 0.0 < sweep.deviation.max() <= 1e-8
    back = cell.kind.inverse(cell)
    s, x = rng.normal(size=8), rng.normal(size=D_IN)
    assert np.abs(back.stepped(cell.step(s, x), x) - s).max() <= 1e-14


@pytest.mark.parametrize(("name", "details"), CASES)
def test_the_grid_changes_the_states_by_no_more_than_its_width(name, details):
    plain, rounded = started(name, n_steps=50, **details), started(name, n_steps=50, grid=GRID, **details)
    states = rounded.states()
    assert np.array_equal(states, np.rint(states / GRID) * GRID)
    assert 0.0 < np.abs(states - plain.states()).max() <= 1e5 * GRID


def test_states_too_large_for_the_grid_show_in_the_report():
    """|y| passes 2^(52 − 40) = 4096."""
    sweep = started("staggered", grid=GRID, step=0.3).reversed_pullback(np.ones((12, 1)))
    assert sweep.start_error.max() > 0.0


def test_staggered_is_leapfrog_with_the_velocity_at_half_steps():
    field, cell = NeuralField.random(4, 3), make("staggered", 4, rng=3, step=0.1)
    y0, p0 = np.arange(4.0), np.ones(4)
    q0 = p0 + 0.05 * np.tanh(field.W @ y0 + field.b)
    leapfrog = OdeRecurrence(field, "leapfrog", 0.1, 60, y0, p0)
    run = unroll(cell, 60, np.concatenate([y0, q0]))
    assert np.abs(run.run()[:4] - leapfrog.run()[:4]).max() <= 1e-13
    # ∂q_0/∂y_0 is the half kick's slope.
    half = 0.05 * (1 - np.tanh(field.W @ y0 + field.b) ** 2)[:, None] * field.W
    J = jacobian(run, block="state")
    assert np.abs(J[:4, :4] + J[:4, 4:] @ half - jacobian(leapfrog)).max() <= 1e-13


def test_memory_does_not_grow_with_the_trajectory():
    """8 000 states of 100 numbers take 6.4 MB."""
    run = unroll(make("unicornn", 50, 1), 8_000, np.full(100, 0.1))
    lam = np.ones((100, 1))
    run.select(slice(0, 1)).reversed_pullback(lam, compare=False)
    tracemalloc.start()
    run.reversed_pullback(lam, compare=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    run.pullback(lam)
    kept = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6 < 6e6 < kept


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: unroll(make("lstm", 3), 5).reversed_pullback(np.ones((6, 1))), "'lstm' has no inverse"),
        (lambda: make("unicornn", 3, grid=1e-12), "power of two"),
        (
            lambda: unroll(make("unicornn", 1, grid=GRID), 5, [0.1, 0.1]).reversed_pullback(np.ones((2, 1))),
            "no multiples of grid",
        ),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
