"""What a linear read-out of y_N can know of the mean: closed forms, discrete kernels, runs of the network."""

from __future__ import annotations

import math

import numpy as np
import pytest

from proofs import check
from proofs.cells.readout_ceiling import PLATEAUS
from sensitivity.papers.hamiltonian.heuristic.ceiling import (
    ceiling,
    far,
    kernels,
    oscillator,
    plateau,
    sign_accuracy,
    untrained_accuracy,
    upper_edge,
    weight_eigenvalues,
    without_training,
)
from sensitivity.training.networks.ode_network import OdeNetwork


# Catches: a wrong norm (4j + 1), a wrong mean of P_{2j+1}, a sum that is one term short.
def test_the_plateau_is_what_is_proved():
    assert check("readout_ceiling").ok
    assert [plateau(m) for m in range(1, 6)] == pytest.approx([float(one) for one in PLATEAUS], rel=1e-14)
    shown = [round(100 * float(sign_accuracy(plateau(m))), 1) for m in range(1, 6)]
    assert shown == [83.3, 87.8, 89.9, 91.2, 92.1]
    assert (1.0 - plateau(4000)) * math.pi * 4000 == pytest.approx(1.0, rel=1e-3)


# Catches: kernels of another time order, and the plateau taken for another number of kernels than there are.
@pytest.mark.parametrize("m", [1, 2, 3])
def test_nearly_equal_kernels_reach_the_plateau_of_their_number(m):
    eigenvalues = np.linspace(0.5, 2.0, m) if m > 1 else np.zeros(1)
    assert ceiling(eigenvalues, 0.5 / 4000, 4000) == pytest.approx(plateau(m), abs=2e-3)


def test_no_weights_reach_five_sixths_for_every_step():
    for n in (5, 320):
        exact = 3 * n**2 / (4 * n**2 - 3 * n + 2)
        assert [ceiling([0.0], step, n) for step in (0.01, 3.0)] == pytest.approx([exact] * 2, rel=1e-12)
    assert sign_accuracy(ceiling([0.0], 1.0, 10**5)) == pytest.approx(5 / 6, abs=1e-5)


def test_one_oscillator_has_its_best_turn():
    turns = np.linspace(0.05, 8.0, 20000)
    accuracy = sign_accuracy(oscillator(turns))
    assert accuracy.max() == pytest.approx(0.8835, abs=5e-5)
    assert turns[accuracy.argmax()] == pytest.approx(2.587, abs=5e-3)
    assert ceiling([-1.7], 2.587 / math.sqrt(1.7) / 5000, 5000) == pytest.approx(oscillator(2.587), rel=1e-3)


# Catches: the law without its factor 2, or with |λ| in place of Re √λ.
def test_far_out_the_first_inputs_are_left():
    eigenvalues = np.array([1.0, 0.5 + 0.2j, 0.5 - 0.2j])
    for c in (30.0, 60.0):
        assert ceiling(eigenvalues, c / 8000, 8000) == pytest.approx(far(eigenvalues, c), rel=2e-3)
    c = upper_edge(eigenvalues, 0.6)
    assert sign_accuracy(far(eigenvalues, c)) == pytest.approx(0.6, rel=1e-12)


def test_kernels_are_the_derivatives_of_the_network():
    """States of two linear units after a one at each place in turn."""
    n, step, W = 12, 0.2, np.array([[1.3, 0.0], [0.0, -0.7]])
    network = OdeNetwork(2, n, step, activation="identity", threads=1)
    theta = np.zeros(network.n_parameters)
    parts = network.named(theta)
    parts["W"][...], parts["V"][...], parts["R"][...] = W, 1.0, np.eye(2)
    states = network.scores(theta, np.eye(n)[:, None, :])  # sequence i has x_i = 1 alone
    K = kernels([1.3, -0.7], step, n).real
    for unit, k in zip(states, K.T, strict=True):
        assert unit / unit[-1] == pytest.approx(k / k[-1], rel=1e-10)


def test_without_training_the_edge_is_that_of_tanh():
    """A fitted read-out is near its ceiling for small c; at c = 20 only the linear network still is."""
    eigenvalues = weight_eigenvalues(10, 0)
    assert eigenvalues.shape == (10,) and np.allclose(np.sort_complex(eigenvalues.conj()),
                                                      np.sort_complex(eigenvalues))  # fmt: skip
    found = without_training((20,), (2.0, 20.0), 10, (0, 1))
    assert set(found) == {"c", "ceiling", "identity", "tanh"} and list(found["tanh"]) == ["20"]
    assert found["tanh"]["20"][0] == pytest.approx(found["ceiling"][0], abs=0.03)
    assert found["identity"][1] > 0.9 > 0.8 > found["tanh"]["20"][1]
    assert untrained_accuracy(10, 0.1, 20, 0) == untrained_accuracy(10, 0.1, 20, 0)
