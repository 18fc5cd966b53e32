"""Theorem H: products of one-step norms, plain and weighted, for fields and cells."""

import math
import warnings

import mpmath
import numpy as np
import pytest

from integrators import SCHEMES, NeuralField
from sensitivity import bounds, cell, jacobian, log_jacobian_norm, unroll
from sensitivity.bounds import products
from sensitivity.bounds.weights import Weight
from sensitivity.recurrences.registry import MODELS


def networks(d=8):
    """Networks at which theorem F is far from the norm."""
    rng = np.random.default_rng(3)
    A, b = rng.normal(size=(d, d)) / math.sqrt(d), 0.1 * rng.normal(size=d)
    return {
        "antisymmetric": NeuralField(A - A.T - 0.01 * np.eye(d), b),
        "negative": NeuralField(-A @ A.T, b),
        "minus one": NeuralField(-np.eye(d), b),
    }


# Catches: the Jacobian of the wrong step, a step counted twice, columns that are not reset.
@pytest.mark.parametrize("name", ["euler", "leapfrog", "yoshida4"])
def test_the_product_is_that_of_the_one_step_jacobians(name):
    field = NeuralField.random(3, rng=1, inputs=1)
    x = np.random.default_rng(0).normal(size=(7, 1))
    state, product = np.zeros(3 if name == "euler" else 6), 0.0
    for n in range(7):
        halves = (state,) if name == "euler" else (state[:3], state[3:])
        run = unroll(field, scheme=name, step=0.3, n_steps=1, s0=np.concatenate(halves), inputs=x[n : n + 1])
        J = jacobian(run, block="state")
        product, state = product + math.log(np.linalg.norm(J, 2)), run.run()
    found = bounds.log_step_product(field, name, 0.3, 7, inputs=x, block="phase" if len(state) > 3 else None)
    # Kicks that meet at a step boundary are one, so that the steps are cut elsewhere: equal for Euler alone.
    if name == "euler":
        assert 0.0 <= found - product < 1e-12
    norm = log_jacobian_norm(field, name, 0.3, 7, inputs=x, block="phase" if len(state) > 3 else None)
    assert norm <= found < product + 2.0


@pytest.mark.parametrize("name", SCHEMES)
def test_norms_stay_below_the_products(name):
    rng = np.random.default_rng(len(name))
    for activation in ("tanh", "identity", "relu"):
        field = NeuralField(rng.normal(size=(4, 4)), rng.normal(size=4), rng.normal(size=(4, 2)), activation)
        case = (field, name, [1e-3, 0.05, 0.2], 25, rng.normal(size=4), rng.normal(size=4))
        x = rng.normal(size=(25, 2))
        for block in (None,) if SCHEMES[name].form == "first_order" else ("position", "phase"):
            norm = log_jacobian_norm(*case, x, block)
            plain = bounds.log_step_product(*case, x, block=block)
            weighted = bounds.log_weighted_product(*case, x, block=block)
            assert (norm <= weighted).all() and (weighted <= plain).all()
        assert (weighted <= plain).all()


@pytest.mark.parametrize("model", MODELS)
def test_every_cell_has_a_product(model):
    run = unroll(cell(model, 3, 2, rng=1), inputs=np.random.default_rng(2).normal(size=(2, 15, 2)))
    for block in (None, "state"):
        norm = log_jacobian_norm(run, block=block)
        listed = bounds.of_recurrence(run, block)
        assert {"step_product", "weighted_product"} <= {bound.name for bound in listed}
        for bound in listed:
            assert bound.log_value.shape == (2,) and (bound.log_tightness(norm) >= 0.0).all(), bound.name


# Catches: weights that are ignored, ends left out (a bound too low) or counted twice (one too high).
def test_where_theorem_f_is_far_off_the_products_are_near():
    nets = networks()
    for name, field in nets.items():
        case = (field, "euler", 0.02, 1000)
        gap = bounds.log_step_product(*case) - log_jacobian_norm(*case)
        assert 0.0 <= gap < 2.0 < 10.0 < bounds.log_aposteriori(*case) - log_jacobian_norm(*case), name
    case = (nets["minus one"], "leapfrog", 0.02, 1000)
    gap = bounds.log_weighted_product(*case) - log_jacobian_norm(*case)
    assert 0.0 <= gap < 2.0 < 15.0 < bounds.log_aposteriori(*case) - log_jacobian_norm(*case)


def test_the_weighted_product_never_exceeds_theorem_f_nor_the_plain_product():
    for field in (*networks().values(), NeuralField.random(8)):
        for scheme in ("euler", "leapfrog"):
            case = (field, scheme, [0.01, 0.1], 60)
            weighted = bounds.log_weighted_product(*case)
            assert (weighted <= bounds.log_aposteriori(*case)).all()
            assert (weighted <= bounds.log_step_product(*case)).all()


# Catches: a price of the ends that is too low, for any P whatsoever.
def test_any_weight_gives_a_bound():
    rng = np.random.default_rng(8)
    field = NeuralField(rng.normal(size=(3, 3)), rng.normal(size=3))
    for n in (1, 2, 30):
        for scheme in ("euler", "leapfrog"):
            run = unroll(field, scheme=scheme, step=0.3, n_steps=n)
            P = rng.normal(size=(1, run.state_size, run.state_size))
            weight = Weight(P, np.linalg.inv(P), np.linalg.cond(P))
            for block in (None, "state"):
                assert log_jacobian_norm(run, block=block) <= products._log_products(run, block, [weight])
    # The price is that of the block: a weight of the whole position costs nothing there.
    P = np.diag([5.0, 5.0, 5.0, 1.0, 1.0, 1.0])[None]
    weight = Weight(P, np.linalg.inv(P), np.full(1, 5.0))
    assert weight.log_ends(slice(0, 3), 1) < 1e-12 < 1.6 < weight.log_ends(slice(0, 6), 1) < 1.7


def test_no_step_is_the_identity_and_batches_have_their_shape():
    run = unroll(cell("gru", 3), n_steps=0)
    assert bounds.log_step_product(run) == bounds.log_weighted_product(run) == 0.0
    field = NeuralField.random(2)
    steps = np.full((2, 3), 0.1)
    assert bounds.weighted_product(field, "leapfrog", steps, 5).shape == (2, 3)
    alone = bounds.weighted_product(field, "leapfrog", 0.1, 5)
    assert np.shape(alone) == () and alone == bounds.weighted_product(field, "leapfrog", steps, 5)[1, 2]


def test_an_overflow_of_the_state_leaves_no_bound():
    field = NeuralField([[3.0]], [1.0], activation="relu")
    assert bounds.log_step_product(field, "euler", 1.0, 3000) == math.inf
    assert (
        bounds.step_product(NeuralField([[3.0]], [0.0], activation="identity"), "euler", 1.0, 3000)
        == math.inf
    )


def test_products_are_listed_when_asked_for():
    field = NeuralField.random(2)
    asked = bounds.applicable(field, "leapfrog", 0.1, 20, of=("product",))
    assert [bound.name for bound in asked] == ["step_product", "weighted_product", "segment_product"]
    assert {bound.of for bound in asked} == {"product"}
    assert "step_product" not in {bound.name for bound in bounds.applicable(field, "leapfrog", 0.1, 20)}


# Catches: logarithms that are added up, each rounded by a unit of the sum.
@pytest.mark.parametrize("size", [1e300, 1e-300, 1.0])
def test_the_bounds_are_kept_where_their_logarithm_is_large(size):
    field = NeuralField([[size]], [0.0])
    case = (field, "euler", 1.0 / size, 1000)
    with mpmath.workdps(40):
        exact = 1000 * mpmath.log(1 + mpmath.mpf(1.0 / size) * mpmath.mpf(size))
        for log_bound in (bounds.log_aposteriori, bounds.log_step_product, bounds.log_weighted_product):
            assert 0 <= log_bound(*case) - exact < 2e-11, log_bound.__name__
        value = mpmath.mpf(float(bounds.aposteriori(*case)))
        assert 0 <= value / mpmath.exp(exact) - 1 < 1e-11


# Catches: what cancels in I + ε D W left out of the rounding of a step.
def test_a_step_that_cancels_stays_below_its_bound():
    field = NeuralField([[-1.0]], [0.0])
    for y0 in (1e-9, 1e-8, 1e-6, 1e-3):
        with mpmath.workdps(60):
            exact = mpmath.log(mpmath.tanh(mpmath.mpf(y0)) ** 2)
            assert exact <= bounds.log_step_product(field, "euler", 1.0, 1, y0=[y0])


def test_weights_of_zero_have_a_product_of_zero():
    made = cell("vanilla", 2)
    still = made.with_parameters(W=np.zeros((2, 2)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for bound in bounds.of_recurrence(unroll(still, n_steps=3)):
            assert bound.log_value == -math.inf and bound.value == 0.0
        assert bounds.log_step_product(unroll(still, n_steps=0)) == 0.0


# Catches: an inverse of P that is taken for exact.
def test_an_inverse_that_is_off_makes_the_bound_larger():
    run = unroll(NeuralField.random(2), scheme="leapfrog", step=0.1, n_steps=10)
    P = np.diag([1.0, 1.0, 2.0, 2.0])[None]
    right, wrong = (Weight(P, (1.0 - off) * np.linalg.inv(P), np.full(1, 2.0)) for off in (0.0, 0.01))
    assert products._log_products(run, None, [right]) <= products._log_products(run, None, [wrong])
