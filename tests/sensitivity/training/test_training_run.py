"""The loop: what it learns, its bits, its checkpoints, and how it ends when things go wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from sensitivity.training.adam import Adam, AdamState, clipped
from sensitivity.training.data.tasks import TASKS
from sensitivity.training.models import Shape, make_network
from sensitivity.training.networks.network import BatchGradient
from sensitivity.training.networks.ode_network import OdeNetwork
from sensitivity.training.start import Start
from sensitivity.training.trainer import Diverged, Recipe, Split, accuracy, train

N_STEPS = 10


@pytest.fixture(scope="module")
def data():
    task = TASKS["gaussian_mean"]
    return Split(task.sample(300, N_STEPS, 0), task.sample(200, N_STEPS, 1))


def make(**more):
    return OdeNetwork(6, N_STEPS, 0.5, **{"threads": 1, **more})


RECIPE = Recipe(rate=0.02, batch=50, epochs=4, seed=5)


def start(network, seed=2):
    return Start().draw(network, seed)


def test_adam_takes_the_published_steps():
    """Algorithm 1 of Kingma and Ba, one number at a time."""
    adam, theta, state = Adam(0.1), np.array([1.0, -2.0]), AdamState.zero(2)
    expected, m, v = theta.copy(), np.zeros(2), np.zeros(2)
    for t, g in enumerate(np.array([[0.3, -1.0], [0.1, 2.0], [-0.7, 0.0]]), start=1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        expected = expected - 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        adam.step(theta, g, state)
    assert theta == pytest.approx(expected, rel=1e-14)


def test_clipping():
    g = np.array([3.0, 4.0])
    assert clipped(g, 5.0, None) is g and clipped(g, 5.0, 6.0) is g
    assert np.linalg.norm(clipped(g, 5.0, 1.0)) == pytest.approx(1.0)


def test_it_learns(data):
    network = make()
    run = train(network, data, Recipe(rate=0.02, batch=50, epochs=15), start(network))
    assert run.trace.accuracy[0] < 0.8 < 0.9 < run.accuracy
    assert run.trace.loss[-1] < 0.5 * math.log(2)
    assert accuracy(network, run.theta, data.test, chunk=64) == run.accuracy


def test_a_seed_gives_the_same_bits_on_any_number_of_threads(data):
    runs = [train(n, data, RECIPE, start(n)) for n in (make(), make(threads=3))]
    assert np.array_equal(runs[0].theta, runs[1].theta) and runs[0].trace.loss[1:] == runs[1].trace.loss[1:]
    other = make()
    assert not np.array_equal(runs[0].theta, train(other, data, Recipe(0.02, 50, 4, 6), start(other)).theta)


# Catches: the norm that a gradient is clipped by, summed by as many BLAS threads as there happen to be.
def test_more_than_ten_thousand_parameters_have_the_same_bits_on_any_number_of_blas_threads(data):
    network = make_network("lstm", Shape(50, N_STEPS, threads=1))
    assert network.n_parameters > 10_000
    recipe, first = Recipe(0.01, 50, 3, seed=5, clip=1e-3), Start().draw(network, 2)
    found = []
    for count in (1, 2):
        with threadpool_limits(count, "blas"):
            found.append(train(network, data, recipe, first))
    assert found[0].trace.loss[1:] == found[1].trace.loss[1:]
    assert np.array_equal(found[0].theta, found[1].theta)


class Stops(Exception):
    pass


def test_a_run_that_was_stopped_resumes_to_the_same_bits(data, tmp_path, monkeypatch):
    network, path = make(), tmp_path / "run.npz"
    recipe = Recipe(rate=0.02, batch=50, epochs=4, cosine=True, clip=0.05, check_every=4)
    whole = train(network, data, recipe, start(network))
    looks = []

    def watch(theta):
        looks.append(1)
        if len(looks) == 4:  # the third look of training: in the middle of the second epoch
            raise Stops
        return {}

    with pytest.raises(Stops):
        train(network, data, recipe, start(network), watch=watch, checkpoint=path)
    assert path.exists() and len(list(tmp_path.iterdir())) == 1
    calls, gradient = [], network.gradient
    monkeypatch.setattr(network, "gradient", lambda *batch: calls.append(1) or gradient(*batch))
    again = train(network, data, recipe, start(network), checkpoint=path)
    assert len(calls) == 3 * 6  # the first epoch is not run again
    assert np.array_equal(again.theta, whole.theta)
    assert again.trace.accuracy == whole.trace.accuracy and again.trace.loss[1:] == whole.trace.loss[1:]


def test_a_checkpoint_of_another_run_or_a_damaged_one_is_refused(data, tmp_path):
    network, path = make(), tmp_path / "run.npz"
    train(network, data, RECIPE, start(network), checkpoint=path)
    other = OdeNetwork(6, N_STEPS, 0.25, threads=1)
    with pytest.raises(ValueError, match=r"another run: step 0\.5, not 0\.25"):
        train(other, data, RECIPE, start(other), checkpoint=path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"run\.npz cannot be read"):
        train(network, data, RECIPE, start(network), checkpoint=path)


class Exploding(OdeNetwork):
    """Gives a NaN at its seventh batch."""

    calls = 0

    def gradient(self, theta, inputs, labels):
        self.calls += 1
        result = super().gradient(theta, inputs, labels)
        return BatchGradient(math.nan, 0, result.gradient) if self.calls == 8 else result


def test_a_nan_ends_the_run_and_keeps_the_last_good_checkpoint(data, tmp_path):
    network, path = Exploding(6, N_STEPS, 0.5, threads=1), tmp_path / "run.npz"
    with pytest.raises(Diverged, match=r"epoch 2, iteration 8: loss nan, gradient norm \d") as caught:
        train(network, data, RECIPE, start(network), checkpoint=path)
    assert np.isfinite(caught.value.theta).all() and path.exists()
    with np.load(path) as kept:
        one = train(make(), data, Recipe(0.02, 50, 1, 5), start(make()))
        assert np.array_equal(kept["theta"], one.theta)


def test_an_exploding_loss_counts_as_diverged(data):
    network = make()
    with pytest.raises(Diverged, match="try a smaller step"):
        train(network, data, Recipe(rate=1e6, batch=50, epochs=5), start(network))


def test_the_threshold_stops_and_says_when(data):
    network = make()
    run = train(network, data, Recipe(0.02, 50, 50, threshold=0.85, check_every=3), start(network))
    assert run.reached == run.trace.iteration[-1] and run.reached % 3 == 0
    assert run.accuracy >= 0.85 and all(found < 0.85 for found in run.trace.accuracy[1:-1])


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (Recipe(rate=0.0), "rate must be positive and finite, got 0.0"),
        (Recipe(batch=0), "batch must be at least 1"),
        (Recipe(threshold=90.0), r"threshold must be an accuracy in \(0, 1\], got 90.0"),
        (Recipe(clip=-1.0), "clip must be positive"),
    ],
)
def test_a_bad_recipe_is_named(data, recipe, message):
    network = make()
    with pytest.raises(ValueError, match=message):
        train(network, data, recipe, start(network))


def test_data_that_do_not_fit_are_named(data):
    network = OdeNetwork(6, N_STEPS + 1, 0.5)
    with pytest.raises(ValueError, match="training sequences have n_steps = 10, the network has 11"):
        train(network, data, RECIPE, start(network))


def test_oscillators_turn_as_often_as_asked():
    network = OdeNetwork(40, 100, 0.3)
    theta = Start("oscillators", turns=(10.0, 40.0)).draw(network, 0)
    rates = np.sqrt(-np.diag(network.weights(theta))) * 30.0
    assert 9.0 < rates.min() < 15.0 < 30.0 < rates.max() < 41.0
    with pytest.raises(ValueError, match="Did you mean 'uniform'"):
        Start("unifrom")
    with pytest.raises(ValueError, match='take "uniform"'):
        Start("oscillators").draw(OdeNetwork(4, 5, 0.1, gamma=0.0, scheme="euler"), 0)
    with pytest.raises(ValueError, match='start "thresholds" needs a step'):
        Start("thresholds").draw(OdeNetwork(4, 5, 0.1, gamma=0.0, scheme="euler"), 0)


def test_a_lone_threshold_unit_grows_by_its_factor_a_step_and_keeps_its_sign():
    """λ + 1/λ = 2 + wε² with λ = e^growth; far out, later inputs no longer count."""
    network = OdeNetwork(1, 60, 0.7, threads=1)
    theta = Start("thresholds", growth=0.5, coupling=0.0, input_scale=1e-9, bias_scale=0.0).draw(network, 0)
    parts = network.named(theta)
    assert parts["b"] == 0.0 and parts["W"][0, 0] * 0.7**2 == pytest.approx(4.0 * np.sinh(0.25) ** 2)
    parts["V"][...], parts["R"][...] = 1e-9, [[0.0], [1.0]]
    inputs = np.zeros((60, 1, 1))
    inputs[0] = 1.0
    shorter = OdeNetwork(1, 20, 0.7, threads=1), OdeNetwork(1, 21, 0.7, threads=1)
    small = [one.scores(theta, inputs[: one.n_steps])[1, 0] for one in shorter]
    assert small[1] / small[0] == pytest.approx(np.exp(0.5), rel=1e-6)
    parts["V"][...] = 1.0
    noise = np.random.default_rng(0).uniform(-1.0, 1.0, (60, 1, 8))
    noise[0], noise[1:6] = 1.0, 0.5
    assert np.all(network.scores(theta, noise)[1] > 0.0)
    assert np.all(network.scores(theta, -noise)[1] < 0.0)


def test_chrono_gates_forget_after_up_to_as_many_steps_as_there_are():
    network = make_network("lstm", Shape(200, 50))
    theta = Start("chrono").draw(network, 0)
    inside, forget = network.named(theta)["b"].ravel()[:400].reshape(2, 200)
    times = np.exp(forget)
    assert 1.0 <= times.min() < 2.0 and 47.0 < times.max() <= 49.0 and abs(times.mean() - 25.0) < 3.0
    assert np.array_equal(inside, -forget)
    plain = network.named(Start().draw(network, 0))
    assert np.array_equal(network.named(theta)["W"], plain["W"]) and abs(plain["b"]).max() < 0.1
    with pytest.raises(ValueError, match='"chrono" is for model lstm'):
        Start("chrono").draw(OdeNetwork(4, 50, 0.1), 0)


def test_factors_slow_single_parameters():
    """The first step of Adam is as long as the rate of each entry."""
    data = Split(*(TASKS["xor"].sample(20, 5, seed) for seed in (0, 1)))
    network = OdeNetwork(3, 5, 0.3, threads=1)
    theta = Start().draw(network, 0)
    run = train(network, data, Recipe(rate=1e-3, batch=20, epochs=1, factors={"W": 0.01, "b": 2.0}), theta)
    moved = network.named(np.abs(run.theta - theta))
    for name, factor in {"W": 0.01, "V": 1.0, "b": 2.0, "R": 1.0}.items():
        assert moved[name].max() == pytest.approx(1e-3 * factor, rel=1e-3)
    with pytest.raises(ValueError, match="parameter 'Q' is not known"):
        train(network, data, Recipe(factors={"Q": 1.0}), theta)
    with pytest.raises(ValueError, match="factor on the rate of W must be positive"):
        train(network, data, Recipe(factors={"W": 0.0}), theta)


def test_oscillators_see_rows_and_harmonics():
    """Turns along the sequence: near 2π · rows · k for each third of the units."""
    network = OdeNetwork(30, 784, 176 / 784, threads=1)
    start = Start("oscillators", input_scale=0.05, turns=(8.0, 35.0), coupling=0.0, rows=28, harmonics=3)
    parts = network.named(start.draw(network, 0))
    W = parts["W"]
    assert np.abs(W - np.diag(np.diag(W))).max() == 0.0 and np.abs(parts["V"]).max() <= 0.05
    turns = 176.0 * np.sqrt(-np.diag(W))
    for k in range(3):
        off = turns[10 * k : 10 * k + 10] - 2.0 * np.pi * 28 * k
        assert np.all((np.abs(off) > 7.99) & (np.abs(off) < 35.01)) and (
            k == 0 or off.min() < 0.0 < off.max()
        )
