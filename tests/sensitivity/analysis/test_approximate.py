"""Approximate gradients beside the exact one: truncated backpropagation and RFLO."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from sensitivity.analysis.approximate import agreement, rflo_gradient, truncated_gradient
from sensitivity.recurrences.cell import unroll
from sensitivity.recurrences.registry import make


def losses(name, shape=(3,), **settings):
    """A run and the cotangents of a quadratic loss of all its states."""
    rng = np.random.default_rng(7)
    cell = make(name, 4, 2, **settings)
    s0 = rng.normal(size=(*shape, cell.dim))
    if "m" in cell.blocks:  # second moments are not negative
        s0[..., cell.blocks["m"]] = np.abs(s0[..., cell.blocks["m"]]) + 0.1
    run = unroll(cell, s0=s0, inputs=rng.normal(size=(*shape, 20, 2)))
    return run, rng.normal(size=(*shape, 21, cell.dim)) * run.states()


def test_truncation():
    run, cotangents = losses("lstm")
    exact = run.backpropagate(cotangents).theta
    assert np.array_equal(truncated_gradient(run, cotangents, 20), exact)
    errors = [np.linalg.norm(truncated_gradient(run, cotangents, w) - exact) for w in (1, 5, 19)]
    assert errors[0] > errors[1] > errors[2] > 0.0
    # By hand: pieces of one step know the direct effect of θ on the next state only.
    direct = np.zeros(run.cell.theta.size)
    states, x = run.states(), run.drive()
    for member in range(3):
        for i in range(20):
            direct += run.cell.adjoint(states[member, i], x[member, i], cotangents[member, i + 1])[2]
    assert np.abs(truncated_gradient(run, cotangents, 1) - direct).max() <= 1e-13 * np.abs(direct).max()
    with pytest.raises(ValueError, match="counts its steps"):
        truncated_gradient(*losses("nesterov_rnn"), 3)


@pytest.mark.parametrize(
    ("name", "settings", "window"),
    [
        ("momentum_rnn", {}, 3),
        ("adam_rnn", {}, 7),
        ("rmsprop_rnn", {}, 1),
        ("momentum_lstm", {"mu": 0.9}, 6),
        ("restart_rnn", {"restart": 3}, 6),  # every piece begins where the count does
        ("nesterov_lstm", {"restart": 5}, 5),
        ("nesterov_rnn", {}, 20),
    ],
)
def test_truncation_of_cells_with_momentum(name, settings, window):
    run, cotangents = losses(name, **settings)
    states, x, N = run.states(), run.drive(), run.n_steps
    expected = np.zeros(run.cell.free.size)
    for member in range(3):
        lam = np.zeros(run.cell.dim)
        for i in range(N - 1, -1, -1):
            lam = lam + cotangents[member, i + 1]
            lam, _, by_theta = run.cell.adjoint(states[member, i], x[member, i], lam, index=i)
            expected += by_theta
            if i % window == 0:
                lam = np.zeros_like(lam)
    found = truncated_gradient(run, cotangents, window)
    assert np.abs(found - expected).max() <= 1e-13 * np.abs(expected).max()


def test_cotangents_of_another_shape_are_refused():
    run, cotangents = losses("leaky")
    for wrong in (cotangents[:, :-1], cotangents[:2], cotangents[..., :3]):
        for gradient in (
            run.backpropagate,
            lambda c: truncated_gradient(run, c, 5),
            lambda c: rflo_gradient(run, c),
        ):
            with pytest.raises(ValueError, match=r"cotangents has shape .* asks for \(3, 21, 4\)"):
                gradient(wrong)


def test_pieces_of_a_recurrence_that_counts_are_refused():
    for settings, window in (({"restart": 3}, 4), ({"restart": 0}, 19), ({"restart": 30}, 10)):
        with pytest.raises(ValueError, match="take a window of 20 or more, or a multiple of the steps"):
            truncated_gradient(*losses("restart_rnn", **settings), window)


def test_rflo_is_the_sum_of_eligibility_traces():
    run, cotangents = losses("leaky")
    cell, states, x = run.cell, run.states(), run.drive()
    p, h = cell.parameters, cell.step_size
    expected = {"W": np.zeros((4, 4)), "V": np.zeros((4, 2)), "b": np.zeros(4)}
    for member in range(3):
        traces = {name: np.zeros_like(value) for name, value in expected.items()}
        for i in range(20):
            slope = 1.0 - np.tanh(p["W"] @ states[member, i] + p["V"] @ x[member, i] + p["b"]) ** 2
            for name, seen in (("W", states[member, i]), ("V", x[member, i]), ("b", 1.0)):
                traces[name] = (1.0 - h) * traces[name] + h * (
                    np.outer(slope, seen) if name != "b" else slope
                )
                error = cotangents[member, i + 1]
                expected[name] += (error[:, None] if name != "b" else error) * traces[name]
    found = cell.unpack(rflo_gradient(run, cotangents))[0]
    for name, value in expected.items():
        assert np.abs(found[name] - value).max() <= 1e-13 * np.abs(value).max()


def test_rflo_is_exact_where_nothing_recurs():
    run, cotangents = losses("leaky")
    theta = run.cell.theta.copy()
    run.cell.unpack(theta)[0]["W"][...] = 0.0
    still = unroll(run.cell.with_theta(theta), s0=run.start, inputs=run.drive())
    near = agreement(rflo_gradient(still, cotangents), still.backpropagate(cotangents).theta)
    assert near.angle <= 1e-14 and near.norm_ratio == pytest.approx(1.0, abs=1e-14)
    far = agreement(rflo_gradient(run, cotangents), run.backpropagate(cotangents).theta)
    assert far.angle > 0.05


def test_agreement():
    g = np.array([1.0, 0.0])
    assert agreement(g, [1.0, 1e-9]).angle == pytest.approx(1e-9, rel=1e-6)
    assert agreement(-2.0 * g, g) == agreement([-2.0, 0.0], [1.0, 0.0])
    assert agreement(-2.0 * g, g).angle == pytest.approx(np.pi)
    assert np.isnan(agreement(0.0 * g, g).angle)
    with pytest.raises(ValueError, match="one shape"):
        agreement([1.0], g)


# Catches: norms by sums of squares that overflow, or fall to zero.
@pytest.mark.parametrize("size", [1e-320, 1e-200, 1e200])
def test_agreement_of_tiny_and_huge_gradients(size):
    found = agreement([size, size], [size, 0.0])
    assert abs(np.degrees(found.angle) - 45.0) < 1e-9
    assert abs(found.norm_ratio - np.sqrt(2.0)) < 1e-9
    assert agreement([0.0, 0.0], [size, size]).norm_ratio == 0.0
    mixed = agreement([3.0 * size], [1.0])
    assert mixed.angle == 0.0 and mixed.norm_ratio == 3.0 * size


def test_agreement_has_the_same_bits_on_any_number_of_blas_threads():
    pairs = np.random.default_rng(0).normal(size=(20, 2, 50_000))
    found = []
    for count in (1, 2):
        with threadpool_limits(count, "blas"):
            found.append([(one.angle, one.norm_ratio) for one in (agreement(g, G) for g, G in pairs)])
    assert found[0] == found[1]


def test_agreement_asks_for_one_shape():
    with pytest.raises(ValueError, match="one shape"):
        agreement(np.ones((2, 3)), np.ones((3, 2)))
