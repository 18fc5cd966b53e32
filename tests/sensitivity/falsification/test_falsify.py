"""The falsifier: no proved bound breaks, every planted wrong one does."""

import json
from dataclasses import replace

import numpy as np
import pytest

from integrators import NeuralField
from sensitivity import bounds, cell, jacobian, unroll
from sensitivity.falsification import CELL_TARGETS, TARGETS, falsify
from sensitivity.falsification.cases import continuous, draw, moved
from sensitivity.falsification.duals import extended_cell_jacobians
from sensitivity.recurrences.registry import MODELS


@pytest.fixture(scope="module")
def report():
    return falsify(320, seed=1, starts=1)


def test_no_bound_breaks(report):
    assert report.broken == ()
    assert set(report.worst) == set(TARGETS)
    for name, worst in report.worst.items():
        assert worst.log_ratio <= 0.0 and worst.tightness <= 1.0, name
        assert worst.random_cases > 40 and worst.searched_cases > 20, name


def test_sharp_theorems_are_reached(report):
    for name in ("chebyshev", "cosh", "euler", "majorant", "majorant_phase", "aposteriori"):
        assert report.worst[name].ratio >= 0.999 and report.worst[name].tightness >= 0.99, name


def test_the_report_is_a_function_of_the_seed(report):
    first, again, other = (falsify(32, seed=seed, starts=0).to_dict() for seed in (2, 2, 3))
    assert first == again != other
    json.dumps(report.to_dict(), allow_nan=False)
    assert "no bound broken" in repr(report) and "chebyshev" in repr(report)


def test_a_worst_case_can_be_built_again(report):
    data = report.worst["chebyshev"].case.to_dict()
    V = data["V"] if data["inputs"] is not None else None
    field = NeuralField(data["W"], data["b"], V, data["activation"])
    steps = [data["steps"][0], 0.5 * data["steps"][0]]
    case = replace(report.worst["chebyshev"].case, steps=np.array(steps))
    norm, bound = TARGETS["chebyshev"].logs(case)
    assert (norm[0] / bound[0]) == pytest.approx(report.worst["chebyshev"].tightness, rel=1e-6)
    assert bound[0] == bounds.log_chebyshev(field, steps[0], data["n_steps"])


def softer(name, change):
    """A target whose bound is the proved one of a changed case: λ, ε or N a little too small."""
    target = TARGETS[name]

    def logs(case):
        return target.logs(case)[0], target.logs(change(case))[1]

    return replace(target, logs=logs)


def weaker_weight(share):
    return lambda case: replace(case, W=share * case.W)


PLANTED = {
    "chebyshev at half the weight": ("chebyshev", weaker_weight(0.5)),
    "cosh of √(λ/4)": ("cosh", weaker_weight(0.25)),
    "euler one step short": ("euler", lambda c: replace(c, n_steps=max(0, c.n_steps - 1), inputs=None)),
    "majorant at nine tenths of the step": ("majorant", lambda c: replace(c, steps=0.9 * c.steps)),
    "no vanishing at half the weight": ("no_vanishing", weaker_weight(0.5)),
    "theorem F at half the weight": ("aposteriori", weaker_weight(0.5)),
    "phase block at half the weight": ("majorant_phase", weaker_weight(0.5)),
    # Theorem 3.2 without the term of σ_0.
    "theorem 3.2 without |σ_0|": (
        "theorem_3_2",
        lambda c: replace(c, b=0.0 * c.b, y0=0.0 * c.y0, activation="tanh"),
    ),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_wrong_bound_is_broken(planted):
    name, change = PLANTED[planted]
    found = falsify(160, seed=5, targets={planted: softer(name, change)}, starts=1)
    assert found.broken == (planted,)
    assert found.worst[planted].ratio > 1.0 and found.worst[planted].tightness > 1.0
    assert "broken: " + planted in repr(found)


def test_a_bound_that_is_wrong_by_little_is_broken_too():
    target = TARGETS["chebyshev"]
    slightly = replace(target, logs=lambda c: (target.logs(c)[0], target.logs(c)[1] - 1e-9))
    assert falsify(400, seed=0, targets={"slightly": slightly}, starts=0).broken == ("slightly",)


def test_the_search_finds_more_than_chance():
    # At d > 1 equality needs W symmetric: the optimiser moves towards it.
    few = falsify(40, seed=3, targets={"no_vanishing": TARGETS["no_vanishing"]}, starts=0)
    more = falsify(40, seed=3, targets={"no_vanishing": TARGETS["no_vanishing"]}, starts=2)
    assert more.worst["no_vanishing"].tightness > few.worst["no_vanishing"].tightness
    assert more.worst["no_vanishing"].found_by == "search"


def test_cases_cover_what_was_asked():
    cases = [draw(np.random.default_rng([0, i])) for i in range(300)]
    norms = [np.linalg.norm(case.W, 2) for case in cases]
    steps = np.concatenate([case.steps for case in cases])
    assert min(norms) >= 0.0999 and max(norms) <= 10.001 and max(norms) > 8 and min(norms) < 0.13
    assert 1e-3 <= steps.min() < 2e-3 and 4 < steps.max() <= 5.0
    assert {len(case.W) for case in cases} == set(range(1, 7))
    assert len({case.activation for case in cases}) == 8 and len({case.scheme for case in cases}) > 10
    assert 0.3 < np.mean([case.inputs is not None for case in cases]) < 0.7
    for case in cases[:20]:
        back = moved(case.only(3), continuous(case.only(3)))
        assert np.allclose(back.W, case.W) and back.steps[0] == pytest.approx(case.steps[3])
        assert "d = " in str(back)


@pytest.mark.slow
def test_ten_thousand_cases_break_nothing():
    found = falsify(10_000)
    assert found.broken == () and found.cases > 50_000


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="cases"):
        falsify(0)
    with pytest.raises(ValueError, match="seed"):
        falsify(8, seed=-1)


# ------------------------------------------------------------------------------------------------ cells


@pytest.fixture(scope="module")
def cells():
    return falsify(480, seed=1, targets=CELL_TARGETS, starts=0)


def test_no_bound_of_a_cell_breaks(cells):
    assert cells.broken == () and set(cells.worst) == set(CELL_TARGETS)
    assert {f"cell_{name}" for name in ("lstm", "gru", "lem", "cornn", "vanilla", "lru")} <= set(CELL_TARGETS)
    for name in ("step_product", "weighted_product", "segment_product", "short_segments"):
        worst = cells.worst[f"cell_{name}"]
        assert worst.random_cases > 300 and worst.ratio > 0.999
    # The bound of a diagonal cell is the norm itself.
    assert cells.worst["cell_lru"].ratio >= 0.999


# Catches: slopes of the rule itself in the norm that a bound is held against.
@pytest.mark.parametrize("model", MODELS)
def test_the_norm_of_a_cell_is_found_without_its_slopes(model, monkeypatch):
    rng = np.random.default_rng(2)
    made = cell(model, 2, 2, rng=1)
    s0 = np.abs(rng.normal(size=(2, made.dim)))  # Adam's mean square is not negative
    run = unroll(made, s0=s0, inputs=rng.normal(size=(2, 5, 2)))
    for J, found in zip(jacobian(run, block="state"), extended_cell_jacobians(run), strict=True):
        np.testing.assert_allclose(found.astype(float), J, rtol=1e-11, atol=1e-13 * np.abs(J).max())


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_planted_wrong_bound_of_a_cell_is_broken(share):
    for name in ("cell_lru", "cell_linoss_vv"):
        target = CELL_TARGETS[name]

        def logs(case, target=target):
            norm, bound = target.logs(case)
            return norm, bound + case.n_steps * np.log(share)

        assert falsify(480, 1, {name: replace(target, logs=logs)}, starts=0).broken == (name,)


def test_the_search_moves_a_cell():
    found = falsify(1000, targets={"cell_gru": CELL_TARGETS["cell_gru"]}, starts=1).worst["cell_gru"]
    few = falsify(1000, targets={"cell_gru": CELL_TARGETS["cell_gru"]}, starts=0).worst["cell_gru"]
    assert found.tightness > few.tightness and found.found_by == "search" and found.searched_cases > 50
    json.dumps(found.case.to_dict(), allow_nan=False)
    assert "gru, d = " in str(found.case)


def test_bounds_below_one_are_compared_too():
    target = CELL_TARGETS["cell_step_product"]
    contracting = replace(
        target, logs=lambda case: (np.full(case.steps.size, -5.0), np.full(case.steps.size, -6.0))
    )
    found = falsify(8, targets={"wrong": contracting}, starts=0)
    assert found.broken == ("wrong",) and found.worst["wrong"].tightness == pytest.approx(1.2)
