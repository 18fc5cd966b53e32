"""The gradient step by step: its parts add up, and truncation loses what is said."""

import numpy as np
import pytest

import leapgrad as lg


def test_a_window_loses_what_truncated_backpropagation_loses():
    rng = np.random.default_rng(0)
    run = lg.unroll(lg.cell("gru", 4, 2, rng=1), inputs=rng.normal(size=(3, 24, 2)))
    lam = rng.normal(size=4)
    found = lg.gradient_in_time(run, lam)
    assert found.log_norms.shape == (3, 24) and found.lost.shape == (3, 25)
    states = run.states()
    for member in range(3):
        alone = run.select(slice(member, member + 1))
        exact = alone.parameter_gradient(lam)[0]
        for w in (0, 1, 5, 23, 24):
            if w:
                kept = alone.piece(states[member, None, 24 - w], 24 - w, 24).parameter_gradient(lam)[0]
            else:
                kept = np.zeros_like(exact)
            lost = np.linalg.norm(exact - kept) / np.linalg.norm(exact)
            assert found.lost[member, w] == pytest.approx(lost, abs=1e-14)
        last = alone.piece(states[member, None, 23], 23, 24).parameter_gradient(lam)[0]
        assert found.norms[member, -1] == pytest.approx(np.linalg.norm(last), rel=1e-13)


def test_all_components_are_taken_together():
    rng = np.random.default_rng(1)
    run = lg.unroll(lg.cell("lstm", 3, 1, rng=0), inputs=rng.normal(size=(12, 1)))
    whole = lg.gradient_in_time(run, block="state")
    alone = [lg.gradient_in_time(run, unit, block="state") for unit in np.eye(6)]
    squares = np.sum([one.norms**2 for one in alone], axis=0)
    assert np.allclose(whole.norms**2, squares, rtol=1e-12, atol=0)


def test_a_field_under_a_scheme_and_a_cell_with_a_structure(random_field):
    rng = np.random.default_rng(2)
    field = lg.unroll(
        random_field(3, 2), scheme="yoshida4", step=0.3, n_steps=10, inputs=rng.normal(size=(10, 2))
    )
    cell = lg.unroll(lg.cell("exprnn", 4, 2, rng=0), inputs=rng.normal(size=(10, 2)))
    for run in (field, cell):
        found = lg.gradient_in_time(run)
        assert found.lost[0] == 1.0 and found.lost[-1] == 0.0 and (found.lost[1:-1] > 0.0).all()
        totals = [one.frobenius for one in lg.parameter_sensitivity(run).values()]
        assert np.sqrt(np.sum(found.norms**2)) >= 0.3 * np.linalg.norm(totals)


def test_parts_outside_float64():
    cell = lg.cell("vanilla", 1, activation="identity").with_parameters(W=[[1e-4]], b=[1.0])
    found = lg.gradient_in_time(lg.unroll(cell, n_steps=300), [1.0])
    steps = np.arange(299, -1, -1)
    expected = np.log(np.sqrt(2.0)) + steps * np.log(1e-4)
    assert np.allclose(found.log_norms[2:], expected[2:], rtol=0, atol=1e-3)
    assert found.window(1e-6) == 2 and found.norms[0] == 0.0


def test_a_gradient_that_vanishes_needs_the_whole_run():
    cell = lg.cell("vanilla", 2, 1)
    found = lg.gradient_in_time(lg.unroll(cell, n_steps=5), [0.0, 0.0])
    assert np.isnan(found.lost).all() and found.window(0.5) == 5
    with pytest.raises(ValueError, match="share must lie between 0 and 1"):
        found.window(1.5)
