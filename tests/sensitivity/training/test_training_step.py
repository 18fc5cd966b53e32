"""The compiled gradient against the naive twin, and its bits against threads and neighbours."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import naive_cells
import numpy as np
import pytest

import naive
from integrators import SCHEMES, Scheme
from sensitivity.recurrences.cells.gated import lstm
from sensitivity.recurrences.cells.vanilla import vanilla
from sensitivity.training.networks.cell_network import CellNetwork
from sensitivity.training.networks.network import Blocks
from sensitivity.training.networks.ode_network import OdeNetwork


def batch(network, n, seed=3):
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=network.n_parameters)
    inputs = rng.normal(size=(network.n_steps, network.n_inputs, n))
    return theta, inputs, rng.integers(0, network.n_classes, n)


def naive_loss(network, inputs, labels):
    """θ → (loss,), for complex θ too."""

    def loss(theta):
        parts = network.named(theta)
        W = parts["W"]
        if network.gamma is not None:
            full = np.zeros((network.d, network.d), theta.dtype)
            full[np.triu_indices(network.d, 1)] = W
            W = full - full.T - network.gamma * np.eye(network.d)
        F = naive.neural(W, parts["b"], parts["V"], network.activation.name)
        sequences = inputs.transpose(2, 0, 1)
        args = network.scheme, F, parts["R"], parts["r"], network.step, sequences, labels
        return np.array([naive.cross_entropy(*args)])

    return loss


def check(network, n):
    theta, inputs, labels = batch(network, n)
    found = network.gradient(theta, inputs, labels)
    loss = naive_loss(network, inputs, labels)
    assert found.loss == pytest.approx(loss(theta)[0], rel=1e-13)
    assert naive.relative(found.gradient, naive.complex_step(loss, theta)[0]) < 1e-13
    scores = network.scores(theta, inputs)
    assert found.right == int((scores.argmax(axis=0) == labels).sum())


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_against_the_complex_step(scheme):
    check(OdeNetwork(5, 4, 0.3, n_inputs=2, n_classes=3, scheme=scheme, threads=1), 9)


@pytest.mark.parametrize("activation", ["logistic", "relu", "identity", "sin", "arctan", "softsign", "erf"])
def test_every_activation(activation):
    check(OdeNetwork(3, 5, 0.2, activation=activation, threads=1), 3)


@pytest.mark.parametrize("scheme", ["euler", "leapfrog"])
def test_antisymmetric_network(scheme):
    network = OdeNetwork(4, 6, 0.3, gamma=0.1, scheme=scheme, threads=1)
    assert network.recurrent_parameters == 6
    check(network, 5)


@pytest.mark.parametrize(
    ("d", "n", "n_steps"), [(1, 1, 1), (9, 24, 17), (10, 40, 33), (6, 17, 16), (13, 100, 2)]
)
def test_every_shape_of_tile(d, n, n_steps):
    """Whole tiles and smaller ones; held kicks whole and cut. Along a random direction."""
    network = OdeNetwork(d, n_steps, 0.2, n_inputs=1 + d % 3, threads=2)
    theta, inputs, labels = batch(network, n)
    direction = np.random.default_rng(1).normal(size=theta.size)
    loss = naive_loss(network, inputs, labels)
    expected = loss(theta + 1e-200j * direction)[0].imag / 1e-200
    assert network.gradient(theta, inputs, labels).gradient @ direction == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("scheme", ["position_verlet", "symplectic_euler_dk", "yoshida4", "driven"])
def test_steps_that_begin_with_a_drift(scheme):
    """Entries without a kick lie between the others on the tape: in twos, at the start, or in fours."""
    if scheme == "driven":
        third = 1.0 / 3.0
        scheme = Scheme("driven", 1, (0.25, 0.25, 0.25, 0.25), (third, third, third, 0.0), "of this test")
    network = OdeNetwork(3, 37, 0.1, scheme=scheme, threads=1)
    theta, inputs, labels = batch(network, 3)
    direction = np.random.default_rng(1).normal(size=theta.size)
    expected = naive_loss(network, inputs, labels)(theta + 1e-200j * direction)[0].imag / 1e-200
    assert network.gradient(theta, inputs, labels).gradient @ direction == pytest.approx(expected, rel=1e-12)


def test_a_run_without_a_kick_has_the_gradient_of_its_readout():
    """One step of drift, then kick: y_1 = y_0 = 0, whatever the weights."""
    network = OdeNetwork(2, 1, 0.3, scheme="symplectic_euler_dk", threads=1)
    theta, inputs, labels = batch(network, 5)
    parts = network.named(network.gradient(theta, inputs, labels).gradient)
    assert all(not parts[name].any() for name in "WVbR") and parts["r"].all()


@pytest.mark.nojit
def test_without_compilation():
    check(OdeNetwork(6, 3, 0.3, n_inputs=1, threads=1), 9)


def test_bits_do_not_depend_on_threads_or_on_earlier_batches():
    theta, inputs, labels = batch(OdeNetwork(7, 30, 0.1), 70)
    alone = OdeNetwork(7, 30, 0.1, threads=1).gradient(theta, inputs, labels)
    used = OdeNetwork(7, 30, 0.1, threads=3)
    used.gradient(theta + 1.0, inputs[:, :, :13].copy(), labels[:13])
    used.scores(theta, inputs)
    again = used.gradient(theta, inputs, labels)
    assert alone.loss == again.loss and np.array_equal(alone.gradient, again.gradient)


@pytest.mark.parametrize(
    "make", [lambda: OdeNetwork(5, 40, 0.1, threads=2), lambda: CellNetwork(vanilla(5, 1), 40, threads=2)]
)
def test_bits_do_not_depend_on_calls_at_the_same_time(make):
    network = make()
    theta, inputs, labels = batch(network, 50)
    expected = network.gradient(theta, inputs, labels).gradient

    def call(k):
        network.scores(theta * k, inputs)
        return network.gradient(theta, inputs, labels).gradient

    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(call, range(24)):
            assert np.array_equal(found, expected)


def test_memory_of_runs_is_not_pickled():
    network = OdeNetwork(4, 200, 0.1, threads=1)
    theta, inputs, labels = batch(network, 20)
    found = network.gradient(theta, inputs, labels)
    pickled = pickle.dumps(network)
    assert len(pickled) < 8 * network.n_steps * network.d * labels.size  # less than the states of the batch
    again = pickle.loads(pickled)
    assert np.array_equal(again.gradient(theta, inputs, labels).gradient, found.gradient)


def test_a_batch_of_another_shape_is_refused():
    for network in (OdeNetwork(3, 5, 0.1, n_inputs=2), CellNetwork(vanilla(3, 2), 5)):
        theta, inputs, labels = batch(network, 4)
        for wrong in (inputs[:4], inputs[:, :1], inputs[:, :, 0]):
            with pytest.raises(ValueError, match=r"inputs has shape .* = \(5, 2, any\)"):
                network.scores(theta, wrong)
        with pytest.raises(ValueError, match=r"labels has shape \(3,\); these inputs ask for \(4,\)"):
            network.gradient(theta, inputs, labels[:3])
        turned = np.asfortranarray(inputs)
        assert np.array_equal(network.scores(theta, turned), network.scores(theta, inputs))


def test_theorem_g_holds_to_the_last_bit():
    """(ε/2, 4W, V, b, 4R) is the same network: the gradient by V has the same bits."""
    network = OdeNetwork(5, 20, 0.25, threads=1)
    theta, inputs, labels = batch(network, 16)
    other = OdeNetwork(5, 20, 0.125, threads=1)
    scaled = theta.copy()
    other.named(scaled)["W"] *= 4.0
    other.named(scaled)["R"] *= 4.0
    first, second = network.gradient(theta, inputs, labels), other.gradient(scaled, inputs, labels)
    assert first.loss == second.loss
    for name in "Vb":
        assert np.array_equal(network.named(first.gradient)[name], other.named(second.gradient)[name]), name
    assert np.array_equal(network.named(first.gradient)["W"], 4.0 * other.named(second.gradient)["W"])


@pytest.mark.parametrize("n", [1, 8, 9, 33, 100, 128, 1000])
def test_blocks_cover_a_batch_once(n):
    blocks = Blocks.of(n)
    members = [first + q for first, members in blocks.members() for q in range(members)]
    assert members == list(range(n))
    assert all(width % 8 == 0 and width <= 32 for width in blocks.widths)
    assert max(blocks.widths) - min(blocks.widths) <= 8
    for threads in (1, 2, 5):
        assert sorted(b for share in blocks.shares(threads) for b in share) == list(range(len(blocks.widths)))


@pytest.mark.parametrize(("make", "step"), [(lstm, naive_cells.lstm), (vanilla, naive_cells.vanilla)])
def test_gated_and_vanilla_networks_against_the_complex_step(make, step):
    network = CellNetwork(make(3, 2), 6, n_classes=3, threads=2)
    theta, inputs, labels = batch(network, 11)
    found = network.gradient(theta, inputs, labels)

    def loss(values):
        parts = network.named(values)
        losses = []
        for x, label in zip(inputs.transpose(2, 0, 1), labels, strict=True):
            state = np.zeros(network.cell.dim, values.dtype)
            for row in x:
                state = step(parts, state, row, 1.0, ())
            scores = parts["R_out"] @ state[:3] + parts["r_out"]
            losses.append(np.log(np.exp(scores).sum()) - scores[label])
        return np.array([sum(losses) / len(losses)])

    assert found.loss == pytest.approx(loss(theta)[0], rel=1e-13)
    assert naive.relative(found.gradient, naive.complex_step(loss, theta)[0]) < 1e-13
    scores = network.scores(theta, inputs)
    assert found.right == int((scores.argmax(axis=0) == labels).sum())
    alone = CellNetwork(make(3, 2), 6, n_classes=3, threads=1).gradient(theta, inputs, labels)
    assert np.array_equal(alone.gradient, found.gradient)


def test_bad_arguments_are_named():
    for wrong, message in (
        ({"d": 0}, "d must be at least 1"),
        ({"step": -1.0}, "step must be positive"),
        ({"scheme": "leapfog"}, "Did you mean 'leapfrog'"),
        ({"n_classes": 1}, "n_classes must be at least 2"),
    ):
        with pytest.raises(ValueError, match=message):
            OdeNetwork(**{"d": 3, "n_steps": 4, "step": 0.1, **wrong})
