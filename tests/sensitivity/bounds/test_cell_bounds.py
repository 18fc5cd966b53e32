"""Bounds of cells from their weights alone: kept, and right at the edges."""

import math
import warnings

import mpmath
import numpy as np
import pytest

from sensitivity import bounds, cell, log_jacobian_norm, unroll
from sensitivity.recurrences.registry import MODELS

PROVED = [name for name in MODELS if cell(name, 2, 1).kind.bound is not None]


def test_the_cells_of_the_literature_have_a_bound():
    asked = "lstm gru gru_before lem cornn cornn_imex staggered momentum_rnn nesterov_rnn sbo_nesterov"
    assert set(asked.split()) <= set(PROVED)
    for name in ("momentum_lstm", "adam_rnn"):  # slopes that grow with the inputs
        assert np.isnan(cell(name, 2, 1).log_bound(1.0, 3))


# Catches: blocks left out of a majorant, a slope that is too small, states beyond what is reached.
@pytest.mark.parametrize("model", PROVED)
def test_norms_stay_below_the_bound_whatever_the_weights_and_the_start(model):
    rng = np.random.default_rng(len(model))
    for trial in range(30):
        made = cell(model, int(rng.integers(1, 5)), 2, rng=trial)
        if made.kind.structure is None:
            scale = 10.0 ** rng.uniform(-1.0, 0.7)
            made = made.with_theta(np.where(made.trainable, scale * made.theta, made.theta))
        s0 = rng.normal(size=(3, made.dim)) * rng.choice([0.0, 0.5, 3.0])
        n = int(rng.integers(1, 12))
        step = float(10.0 ** rng.uniform(-2.0, 0.3)) if made.kind.step is not None else None
        run = unroll(made, n, s0, 2.0 * rng.normal(size=(n, 2)), step)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            norm = log_jacobian_norm(run)
        bound = made.log_bound(run.step, n, s0)
        assert not (norm > bound).any(), (model, trial)


@pytest.mark.parametrize("model", PROVED)
def test_no_step_and_weights_of_zero_have_a_bound(model):
    made = cell(model, 3, 2)
    free = made if made.kind.structure is None else made.unstructured()
    zero = free.with_theta(np.where(free.trainable, 0.0, free.theta))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for one in (made, zero):
            for step in (1e-300, 1.0, 1e300):
                assert one.log_bound(step, 0) == 0.0
                for n in (1, 100):
                    assert not math.isnan(one.log_bound(step, n))
    if model == "staggered":  # ((1, ε), (0, 1))^N: the one beside 1e302 is not lost
        assert 0.0 <= zero.log_bound(1e300, 100) < 1e3


# Catches: a slack that does not grow with the logarithm.
@pytest.mark.parametrize("gain", [1e-8, 1e-3, 0.99, 1e8])
def test_the_slack_covers_what_the_logarithm_rounds(gain):
    made = cell("vanilla", 1).with_parameters(W=[[gain]], b=[0.0])
    with mpmath.workdps(40):
        for n in (1, 100, 10**6):
            exact = n * mpmath.log(mpmath.mpf(gain))
            assert 0 < made.log_bound(1.0, n) - exact < 1e-14 * (n + abs(exact))


def test_the_bound_of_gated_cells_depends_on_the_start():
    lstm, small = cell("lstm", 3), np.zeros(6)
    large = np.array([0.0, 0.0, 0.0, 50.0, 0.0, 0.0])
    assert lstm.log_bound(1.0, 5) == lstm.log_bound(1.0, 5, small) < lstm.log_bound(1.0, 5, large)
    run = unroll(lstm, 5, large)
    assert bounds.of_recurrence(run)[0].log_value == lstm.log_bound(1.0, 5, large)
    with pytest.raises(ValueError, match="s0 has shape"):
        lstm.log_bound(1.0, 5, np.zeros(5))


def test_bounds_of_staggered_and_cornn_are_the_majorant():
    made = cell("staggered", 1).with_parameters(R=[[2.0]], b=[0.0])
    M = np.array([[1.0, 0.1], [0.2, 1.02]])
    assert math.exp(made.log_bound(0.1, 7)) == pytest.approx(np.linalg.matrix_power(M, 7)[0, 0])
    made = cell("cornn", 1).with_parameters(W=[[2.0, 3.0]], gamma=0.5, epsilon=4.0)
    y, z = 0.1 * 2.5, 0.6 + 0.3
    M = np.array([[1.0 + 0.1 * y, 0.1 * z], [y, z]])
    assert math.exp(made.log_bound(0.1, 7)) == pytest.approx(np.linalg.matrix_power(M, 7)[0, 0])


# Catches: e^{Δ a} taken as ≤ 1 where parameters of one's own have a rate a > 0.
@pytest.mark.parametrize(("model", "name"), [("s6", "A3"), ("rg_lru", "log_a")])
def test_no_bound_is_proved_where_a_rate_of_ones_own_is_positive(model, name):
    made = cell(model, 2, 1).unstructured()
    assert math.isfinite(made.log_bound(1.0, 3))
    grown = made.with_parameters(**{name: np.array([-0.5, 0.3])})
    assert np.isnan(grown.log_bound(1.0, 3))
    if model == "s6":  # RG-LRU has no state at all there: √(1 − a²) is not a number
        assert log_jacobian_norm(unroll(grown, 5)) > 0.0
    assert math.isfinite(made.with_parameters(**{name: np.array([-0.5, 0.0])}).log_bound(1.0, 3))
