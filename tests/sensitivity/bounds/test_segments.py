"""Theorem K: products of segments of steps, for fields and cells, and what float64 loses in them."""

import math
import warnings

import mpmath
import numpy as np
import pytest

from integrators import SCHEMES, NeuralField
from sensitivity import bounds, cell, jacobian, log_jacobian_norm, unroll
from sensitivity.bounds.segments import _Segments
from sensitivity.bounds.weights import Weight, identity_weight
from sensitivity.recurrences.registry import MODELS


def plain(run, length, block=None):
    """The bound with P = I alone."""
    return _Segments(run, block, length, [identity_weight(run)]).log_bound()


# Catches: a segment that is a step too long or too short, one that is left out, the wrong order of a product.
@pytest.mark.parametrize("length", [1, 3, 4, 12, 13])
def test_the_product_is_that_of_the_jacobians_of_the_segments(length):
    rng = np.random.default_rng(0)
    made, x = cell("lstm", 3, 2, rng=1), rng.normal(size=(13, 2))
    state, expected = np.zeros(made.dim), 0.0
    for start in range(0, 13, length):
        run = unroll(made, s0=state, inputs=x[start : start + length])
        expected += math.log(np.linalg.norm(jacobian(run, block="state"), 2))
        state = run.run()
    found = plain(unroll(made, inputs=x), length, "state")
    assert 0.0 <= found - expected < 1e-9


# Catches: rows of the last segment or columns of the first that are those of another block.
def test_first_and_last_segment_are_those_of_the_block():
    rng = np.random.default_rng(4)
    made, x = cell("lstm", 3, 1, rng=2), rng.normal(size=(8, 1))
    first = unroll(made, inputs=x[:5])
    last = unroll(made, s0=first.run(), inputs=x[5:])
    part = first.blocks["h"]
    J, K = jacobian(first, block="state"), jacobian(last, block="state")
    expected = math.log(np.linalg.norm(J[:, part], 2) * np.linalg.norm(K[part], 2))
    assert 0.0 <= plain(unroll(made, inputs=x), 5, "h") - expected < 1e-11


@pytest.mark.parametrize("name", SCHEMES)
def test_norms_stay_below_the_bound_and_that_below_the_steps(name):
    rng = np.random.default_rng(len(name))
    for activation in ("tanh", "identity", "relu"):
        field = NeuralField(rng.normal(size=(4, 4)), rng.normal(size=4), rng.normal(size=(4, 2)), activation)
        case = (field, name, [1e-3, 0.05, 0.2], 25, rng.normal(size=4), rng.normal(size=4))
        x = rng.normal(size=(25, 2))
        for block in (None,) if SCHEMES[name].form == "first_order" else ("position", "phase"):
            norm = log_jacobian_norm(*case, x, block)
            steps = bounds.log_step_product(*case, x, block=block)
            for length in (1, 4, 25, 64):
                found = bounds.log_segment_product(*case, x, length=length, block=block)
                assert (norm <= found).all() and (found <= steps + 1e-12).all()
            assert (found - norm < 1e-6).all()  # one segment


@pytest.mark.parametrize("model", MODELS)
def test_every_cell_has_the_bound(model):
    run = unroll(cell(model, 3, 2, rng=1), inputs=np.random.default_rng(2).normal(size=(2, 15, 2)))
    for block in (None, "state"):
        norm = log_jacobian_norm(run, block=block)
        for length in (2, 15):
            found = bounds.log_segment_product(run, length=length, block=block)
            assert found.shape == (2,) and (norm <= found).all()
            assert (found <= bounds.log_step_product(run, block=block) + 1e-12).all()


def test_any_weight_gives_a_bound():
    rng = np.random.default_rng(8)
    field = NeuralField(rng.normal(size=(3, 3)), rng.normal(size=3))
    for n in (1, 2, 30):
        for scheme in ("euler", "leapfrog"):
            run = unroll(field, scheme=scheme, step=0.3, n_steps=n)
            P = rng.normal(size=(1, run.state_size, run.state_size))
            weight = Weight(P, np.linalg.inv(P), np.linalg.cond(P))
            for block in (None, "state"):
                for length in (1, 7, 40):
                    found = _Segments(run, block, length, [weight]).log_bound()
                    assert log_jacobian_norm(run, block=block) <= found


# Catches: rounding inside a segment that is not counted, or not carried on by the steps after it.
def test_what_rounding_loses_is_counted():
    below = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        a, b = 1e3 * rng.uniform(1.0, 2.0), rng.uniform(1.0, 2.0)
        nearly_nilpotent = np.array([[a, b], [-a * a / b, -a]])  # its square is lost in rounding
        n = int(rng.integers(2, 6))
        field = NeuralField(nearly_nilpotent - np.eye(2), np.zeros(2), activation="identity")
        run = unroll(field, scheme="euler", step=1.0, n_steps=n)
        with mpmath.workdps(60):
            step = mpmath.matrix((field.W).tolist()) + mpmath.eye(2)
            exact = max(mpmath.svd_r(step**n, compute_uv=False))
            found = bounds.log_segment_product(run)
            assert exact <= mpmath.exp(mpmath.mpf(float(found)))
        J = nearly_nilpotent
        below += np.linalg.norm(np.linalg.matrix_power(J, n), 2) < float(exact)
    assert below > 10


# Catches: bounds of a segment that are no nearer than those of its steps.
def test_segments_see_that_directions_turn():
    rng = np.random.default_rng(0)
    made = cell("lstm", 8, 1, rng=0)
    made = made.with_parameters(W=2.0 * made.parameters["W"])
    run = unroll(made, inputs=rng.normal(size=(100, 1)))
    norm = log_jacobian_norm(run)
    gaps = [float(bounds.log_segment_product(run, length=length) - norm) for length in (1, 4, 16)]
    assert gaps == sorted(gaps, reverse=True) and gaps[0] > 10.0 and gaps[2] < 0.3 * gaps[0]


def test_batches_edges_and_bad_lengths():
    field = NeuralField.random(2)
    steps = np.full((2, 3), 0.1)
    found = bounds.segment_product(field, "leapfrog", steps, 9, length=4)
    alone = bounds.segment_product(field, "leapfrog", 0.1, 9, length=4)
    assert found.shape == (2, 3) and np.shape(alone) == () and alone == found[1, 2]
    assert bounds.log_segment_product(unroll(cell("gru", 3), n_steps=0)) == 0.0
    explosive = NeuralField([[3.0]], [1.0], activation="relu")
    assert bounds.log_segment_product(explosive, "euler", 1.0, 3000) == math.inf
    made = cell("vanilla", 2)
    still = unroll(made.with_parameters(W=np.zeros((2, 2))), n_steps=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert bounds.log_segment_product(still) == -math.inf
    for bad in (0, 2.5, None):
        with pytest.raises((TypeError, ValueError), match="length"):
            bounds.segment_product(field, "leapfrog", 0.1, 5, length=bad)


@pytest.mark.parametrize("size", [1e300, 1e-300, 1.0])
def test_the_bound_is_kept_where_its_logarithm_is_large(size):
    field = NeuralField([[size]], [0.0])
    case = (field, "euler", 1.0 / size, 1000)
    with mpmath.workdps(40):
        exact = 1000 * mpmath.log(1 + mpmath.mpf(1.0 / size) * mpmath.mpf(size))
        for length in (1, 64, 1000):
            assert 0 <= bounds.log_segment_product(*case, length=length) - exact < 2e-10
