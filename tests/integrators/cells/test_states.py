"""Initial states in PyTorch's form."""

import numpy as np
import pytest

from sensitivity import unroll
from sensitivity.recurrences.registry import make
from sensitivity.weights.weights import from_torch

GATES = {"vanilla": 1, "gru": 3, "lstm": 4}


def cell_of(model, layers, d=4, m=3):
    rng, rows, weights = np.random.default_rng(0), GATES[model] * d, {}
    for i in range(layers):
        weights[f"weight_ih_l{i}"] = rng.normal(size=(rows, d if i else m))
        weights[f"weight_hh_l{i}"] = rng.normal(size=(rows, d))
    return from_torch(weights)


def start(run):
    return run.start.reshape(*run.shape, -1)


@pytest.mark.parametrize("layers", (1, 2, 3))
def test_h_and_c_of_an_lstm(layers):
    cell, rng = cell_of("lstm", layers), np.random.default_rng(1)
    for batch in ((), (5,), (2, 5), (layers,)):
        h, c = rng.normal(size=(2, layers, *batch, 4))
        expected = np.concatenate([part[i] for i in range(layers) for part in (h, c)], axis=-1)
        inputs = rng.normal(size=(*batch, 6, 3))
        for given in ((h, c), [h, c], (h.tolist(), c.tolist()), expected):
            run = unroll(cell, s0=given, inputs=inputs)
            assert run.shape == batch and np.array_equal(start(run), expected)


@pytest.mark.parametrize("model", ("vanilla", "gru"))
def test_h_of_the_others(model):
    rng = np.random.default_rng(2)
    cell = cell_of(model, 2)
    for batch in ((), (5,), (2,)):
        h = rng.normal(size=(2, *batch, 4))
        run = unroll(cell, 3, h)
        assert run.shape == batch and np.array_equal(start(run), np.concatenate([h[0], h[1]], axis=-1))
    one = cell_of(model, 1)
    h = rng.normal(size=(5, 4))
    assert np.array_equal(start(unroll(one, 3, h)), h)


def test_a_cell_has_no_axis_of_layers():
    cell, rng = make("lstm", 4), np.random.default_rng(3)
    for shape in ((4,), (5, 4)):
        h, c = rng.normal(size=(2, *shape))
        assert np.array_equal(start(unroll(cell, 3, (h, c))), np.concatenate([h, c], axis=-1))
    y, z = rng.normal(size=(2, 4))
    assert np.array_equal(start(unroll(make("cornn", 4), 3, (y, z))), np.concatenate([y, z]))


def test_what_was_a_state_before_stays_one():
    cell = make("lstm", 1)
    assert np.array_equal(start(unroll(cell, 3, (0.1, 0.2))), [0.1, 0.2])
    cell, states = make("lstm", 2), np.random.default_rng(4).normal(size=(2, 4))
    assert np.array_equal(start(unroll(cell, 3, (states[0], states[1]))), states)
    assert np.array_equal(start(unroll(cell, 3, states.tolist())), states)


@pytest.mark.parametrize(
    ("layers", "s0", "message"),
    [
        (2, (np.ones((2, 5, 4)),), r"s0 has 1 parts; the state of lstm has 2: \(h, c\)"),
        (2, (np.ones((2, 5, 4)),) * 3, "s0 has 3 parts"),
        (2, np.ones((2, 5, 4)), r"give s0 = \(h_0, c_0\)"),
        (
            2,
            (np.ones((2, 5, 4)), np.ones((2, 6, 4))),
            r"c_0 of s0 has shape \(2, 6, 4\), h_0 has \(2, 5, 4\)",
        ),
        (2, (np.ones((3, 5, 4)),) * 2, "with 2 layers its first axis must be 2 long"),
        (2, (np.ones(4),) * 2, "with 2 layers its first axis must be 2 long"),
        (2, (np.ones((2, 5, 3)),) * 2, r"asks for \(2, batch, 4\)"),
        (1, (np.ones(3), np.ones(4)), "all blocks of a state have one shape"),
        (1, np.ones(7), "s0 has shape"),
    ],
)
def test_states_that_do_not_fit(layers, s0, message):
    with pytest.raises(ValueError, match=message):
        unroll(cell_of("lstm", layers), 3, s0)


def test_pytorch_runs_from_the_same_state():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    for kind in (torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN):
        network = kind(3, 4, 2, dtype=torch.float64)
        h, c = torch.randn(2, 2, 5, 4, dtype=torch.float64, requires_grad=True)
        x = torch.randn(6, 5, 3, dtype=torch.float64)
        state = (h, c) if kind is torch.nn.LSTM else h
        _, end = network(x, state)
        end = [part.detach().numpy() for part in (end if isinstance(end, tuple) else (end,))]
        run = unroll(from_torch(network), s0=state, inputs=x.numpy().transpose(1, 0, 2))
        expected = np.concatenate([part[i] for i in range(2) for part in end], axis=-1)
        assert np.abs(run.run() - expected).max() <= 1e-14
