"""The recommended step: the guarantee is sharp, and the observed exit is one."""

import math

import numpy as np
import pytest

from integrators import NeuralField
from sensitivity import bounds, jacobian
from sensitivity.analysis.recommend import recommend_step


def extremes(field, step, n, scheme="leapfrog", y0=None):
    values = np.linalg.svd(jacobian(field, scheme, step, n, y0), compute_uv=False)
    return values[-1], values[0]


@pytest.mark.parametrize(("lo", "hi"), [(0.5, 2.0), (0.0, 10.0), (0.9, 1.05), (0.2, 1.3)])
@pytest.mark.parametrize("n", [1, 7, 1000])
def test_the_guaranteed_step_is_the_closed_form(lo, hi, n):
    field = NeuralField.random(4)
    found = recommend_step(field, n, lo, hi)
    most = min(hi, 2 - lo)
    exact = 2 * math.sinh(math.acosh(most) / (2 * n)) / math.sqrt(field.lipschitz)
    assert exact * (1 - 1e-8) < found.guaranteed <= exact
    assert found.c == found.guaranteed * n
    # Guaranteed as computed, and not a bit further.
    assert bounds.chebyshev(field, found.guaranteed, n) <= most
    assert bounds.no_vanishing(field, found.guaranteed, n) >= lo - 1e-12
    assert bounds.chebyshev(field, found.guaranteed * (1 + 1e-6), n) > most


@pytest.mark.parametrize("scheme", ["leapfrog", "euler", "yoshida4"])
def test_inside_the_guarantee_every_singular_value_is_in_the_band(scheme, random_field):
    for seed in range(3):
        field = random_field(4, seed=seed, scale=3.0)
        y0 = np.full(4, 0.3)
        found = recommend_step(field, 50, scheme=scheme, y0=y0)
        for share in (0.01, 0.5, 1.0):
            low, high = extremes(field, share * found.guaranteed, 50, scheme, y0)
            assert 0.5 <= low and high <= 2.0
        assert found.guaranteed <= found.observed


def test_the_observed_step_is_where_the_band_is_left(random_field):
    field = random_field(4, scale=2.0)
    found = recommend_step(field, 100)
    inside, outside = extremes(field, found.observed * (1 - 1e-8), 100), extremes(field, found.observed, 100)
    assert 0.5 <= inside[0] and inside[1] <= 2.0
    assert outside[0] < 0.5 or outside[1] > 2.0
    assert found.leaves == ("norm" if outside[1] > 2.0 else "smallest")
    assert (found.largest[found.steps < found.observed] <= 2.0).all()


def test_where_theorem_b_is_attained_both_steps_agree():
    field = NeuralField([[0.8]], [0.0], activation="identity")
    found = recommend_step(field, 100, lo=0.0, hi=1.9)
    assert found.observed == pytest.approx(found.guaranteed, rel=1e-8) and found.leaves == "norm"
    swinging = recommend_step(NeuralField([[-0.8]], [0.0], activation="identity"), 100, lo=0.5, hi=2.0)
    assert swinging.leaves == "smallest"
    # cos(c√|W|) = 1/2 at c√|W| = π/3, while arccosh 1.5 = 0.962 is guaranteed.
    assert swinging.c_observed * math.sqrt(0.8) == pytest.approx(math.pi / 3, rel=1e-3)
    assert swinging.c * math.sqrt(0.8) == pytest.approx(math.acosh(1.5), rel=1e-4)


def test_the_constant_does_not_depend_on_the_length():
    field = NeuralField.random(5)
    constants = [recommend_step(field, n).c for n in (100, 1000, 10_000)]
    assert constants == pytest.approx([math.acosh(1.5) / math.sqrt(field.lipschitz)] * 3, rel=1e-4)


def test_what_it_prints_and_draws():
    found = recommend_step(NeuralField.random(3), 20)
    assert "/N (theorem C" in repr(found) and f"{found.observed:.6g}" in repr(found)
    assert found.to_dict()["c"] == found.c
    ax = found.plot()
    assert len(ax.lines) == 4 and ax.get_xlabel() == "step ε"
    assert found.plot(ax) is ax


def test_a_field_that_does_not_depend_on_y_allows_every_step():
    found = recommend_step(NeuralField(np.zeros((2, 2)), np.ones(2)), 10)
    assert found.guaranteed == found.observed == math.inf and found.leaves == ""
    assert "nothing leaves" in repr(found)


@pytest.mark.parametrize(("lo", "hi"), [(1.0, 2.0), (0.5, 1.0), (-0.1, 2.0), (math.nan, 2.0)])
def test_a_band_without_one_inside_is_refused(lo, hi):
    with pytest.raises(ValueError, match="must hold 1 inside"):
        recommend_step(NeuralField.random(2), 10, lo, hi)


def test_extreme_weights_and_bands():
    # C_10(1 + ε²λ/2) = 3/2 at ε = 2 sinh(arcosh(3/2)/20)/√λ = 0.9628e149; at 1e149 it is 1.5426.
    exact = 2.0 * math.sinh(math.acosh(1.5) / 20.0) / 1e-150
    assert exact * (1.0 - 1e-9) < recommend_step(NeuralField([[1e-300]], [1.0]), 10).guaranteed <= exact
    free = recommend_step(NeuralField([[5e-324]], [1.0]), 10, scheme="euler")
    assert free.guaranteed == free.observed == math.inf
    assert recommend_step(NeuralField([[1.0]], [1.0]), 10, 0.0, math.inf).leaves == ""
    with pytest.raises(ValueError, match="within the rounding of 1000 steps of 'leapfrog'"):
        recommend_step(NeuralField([[1.0]], [1.0]), 1000, 1 - 1e-12, 1 + 1e-12)


def test_other_arguments_are_checked():
    with pytest.raises(TypeError, match="lo must be a number, got 'a'"):
        recommend_step(NeuralField.random(2), 10, lo="a")
    with pytest.raises(ValueError, match="n_steps"):
        recommend_step(NeuralField.random(2), 0)
    with pytest.raises(ValueError, match="leapfrog"):
        recommend_step(NeuralField.random(2), 10, scheme="leapfrgo")


def test_the_band_is_of_numbers():
    field = NeuralField([[0.5]], [0.0])
    for wrong in ("0.5", False, np.array([0.5]), 0.5j):
        with pytest.raises(TypeError, match="lo must be a number"):
            recommend_step(field, n_steps=5, lo=wrong)
    assert recommend_step(field, n_steps=5, lo=np.float32(0.5), hi=math.inf).guaranteed > 0.0
