"""Weights in the layouts of PyTorch and Keras; `benchmarks.check_cells` holds them against PyTorch itself."""

import io

import numpy as np
import pytest

from sensitivity.recurrences.cells.gated import GRU_BEFORE
from sensitivity.recurrences.registry import make
from sensitivity.weights.weight_files import from_arrays, load_weights, save_weights
from sensitivity.weights.weights import from_keras, from_torch, to_torch

GATES = {"vanilla": 1, "lstm": 4, "gru": 3}


def state_dict(model, d, m, layers=1, seed=0):
    rng, rows = np.random.default_rng(seed), GATES[model] * d
    weights = {}
    for layer in range(layers):
        weights[f"weight_ih_l{layer}"] = rng.normal(size=(rows, d if layer else m))
        weights[f"weight_hh_l{layer}"] = rng.normal(size=(rows, d))
        weights[f"bias_ih_l{layer}"] = rng.normal(size=rows)
        weights[f"bias_hh_l{layer}"] = rng.normal(size=rows)
    return weights


def sigma(a):
    return 1.0 / (1.0 + np.exp(-a))


def torch_gru(w, h, x):
    """One step by PyTorch's own equations, with its two biases apart."""
    gi, gh = w["weight_ih_l0"] @ x + w["bias_ih_l0"], w["weight_hh_l0"] @ h + w["bias_hh_l0"]
    (ir, iz, i_n), (hr, hz, hn) = np.split(gi, 3), np.split(gh, 3)
    r, z = sigma(ir + hr), sigma(iz + hz)
    return (1.0 - z) * np.tanh(i_n + r * hn) + z * h


def test_gru_biases_stay_apart():
    w, rng = state_dict("gru", 4, 3), np.random.default_rng(1)
    h, x = rng.normal(size=4), rng.normal(size=3)
    assert np.abs(from_torch(w).step(h, x) - torch_gru(w, h, x)).max() <= 1e-15


@pytest.mark.parametrize("model", GATES)
@pytest.mark.parametrize("layers", (1, 2))
def test_there_and_back(model, layers):
    cell = from_torch(
        {f"encoder.rnn.{k}": v for k, v in state_dict(model, 4, 3, layers).items()} | {"head": [1.0]}
    )
    assert cell.kind.name == model and cell.layout.layers == layers
    again = from_torch(to_torch(cell))
    assert np.array_equal(again.theta, cell.theta)


def test_keras_orders():
    rng = np.random.default_rng(4)
    d, m = 4, 3
    h, x = rng.normal(size=d), rng.normal(size=m)
    kernel, recurrent, bias = (
        rng.normal(size=(m, 3 * d)),
        rng.normal(size=(d, 3 * d)),
        rng.normal(size=(2, 3 * d)),
    )
    (xz, xr, xh), (hz, hr, hh) = np.split(x @ kernel + bias[0], 3), np.split(h @ recurrent + bias[1], 3)
    z, r = sigma(xz + hz), sigma(xr + hr)
    after = z * h + (1.0 - z) * np.tanh(xh + r * hh)
    assert np.abs(from_keras([kernel, recurrent, bias]).step(h, x) - after).max() <= 1e-15
    xz, xr, xh = np.split(x @ kernel + bias[0], 3)
    U = np.split(recurrent, 3, axis=1)
    z, r = sigma(xz + h @ U[0]), sigma(xr + h @ U[1])
    before = z * h + (1.0 - z) * np.tanh(xh + (r * h) @ U[2])
    cell = from_keras([kernel, recurrent, bias[0]], reset_after=False)
    assert cell.kind is GRU_BEFORE and np.abs(cell.step(h, x) - before).max() <= 1e-15
    kernel, recurrent, bias = rng.normal(size=(m, 4 * d)), rng.normal(size=(d, 4 * d)), rng.normal(size=4 * d)
    c = rng.normal(size=d)
    i, f, g, o = np.split(x @ kernel + h @ recurrent + bias, 4)
    new = sigma(f) * c + sigma(i) * np.tanh(g)
    expected = np.concatenate([sigma(o) * np.tanh(new), new])
    found = from_keras([kernel, recurrent, bias]).step(np.concatenate([h, c]), x)
    assert np.abs(found - expected).max() <= 1e-15
    named = {"lstm/kernel:0": kernel, "lstm/recurrent_kernel:0": recurrent, "lstm/bias:0": bias}
    assert np.array_equal(from_arrays(named).theta, from_keras([kernel, recurrent, bias]).theta)


@pytest.mark.parametrize("name", ("lem", "unicornn", "sbo", "leaky", "scurnn"))
def test_other_models_are_kept_by_our_own_names(name, tmp_path):
    cell, path = make(name, 4, 2, rng=5), tmp_path / "own.npz"
    save_weights(path, cell)
    for again in (load_weights(path, name), load_weights(path)):
        assert np.array_equal(again.theta, cell.theta) and (again.d, again.n_inputs) == (4, 2)
        assert again.step_size == cell.step_size
    with pytest.raises(ValueError, match="name the model"):
        from_arrays(cell.parameters)


def test_settings_that_come_with_weights():
    euler = make("euler", 3).parameters
    with pytest.raises(
        ValueError, match="activation='relu' contradicts the weights: there activation = tanh"
    ):
        from_arrays(euler, "euler", "relu")
    bare = {name: value for name, value in euler.items() if name != "activation"}
    assert from_arrays(bare, "euler", "relu").parameters["activation"] != euler["activation"]
    relu = make("vanilla", 3, activation="relu")
    assert np.array_equal(from_arrays(relu.parameters, "vanilla").theta, relu.theta)
    assert (
        from_arrays(state_dict("vanilla", 3, 2), activation="relu").step(np.zeros(3), np.ones(2)).min() >= 0.0
    )
    with pytest.raises(ValueError, match="lem has no hyperparameter 'activation'"):
        from_arrays(make("lem", 3).parameters, "lem", "relu")
    with pytest.raises(ValueError, match="'gamma' is no setting of PyTorch's layout"):
        from_arrays(state_dict("lstm", 3, 2), gamma=1.0)


def test_files(tmp_path):
    weights = state_dict("lstm", 3, 2)
    path = tmp_path / "w.npz"
    np.savez(path, **weights)
    assert np.array_equal(load_weights(path).theta, from_torch(weights).theta)
    save_weights(path, from_torch(weights))
    assert np.array_equal(load_weights(path).theta, from_torch(weights).theta)
    assert sorted(tmp_path.iterdir()) == [path]
    safetensors = tmp_path / "w.safetensors"
    try:
        from safetensors.numpy import save_file
    except ImportError:
        safetensors.write_bytes(b"")
        with pytest.raises(ImportError, match=r"leapgrad\[torchweights\]"):
            load_weights(safetensors)
    else:
        save_file(weights, safetensors)
        assert np.array_equal(load_weights(safetensors).theta, from_torch(weights).theta)
        save_weights(safetensors, from_torch(weights))
        assert np.array_equal(load_weights(safetensors).theta, from_torch(weights).theta)
        safetensors.write_bytes(b"short")
        with pytest.raises(ValueError, match=r"cannot be read as \.safetensors"):
            load_weights(safetensors)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"cannot be read as \.npz"):
        load_weights(path)
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"must end in \.npz or \.safetensors"):
        load_weights(tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"weight_ih_l0_reverse": np.zeros((12, 2))}, "bidirectional"),
        ({"weight_hr_l0": np.zeros((1, 3))}, "projection"),
        ({"weight_ih_l2": np.zeros((12, 3))}, "layers 0, 1"),
        ({"weight_hh_l0": np.zeros((12, 5))}, "weight_hh has shape"),
        ({"bias_hh_l0": np.zeros(7)}, r"bias_hh of layer 0 has shape \(7,\)"),
    ],
)
def test_what_does_not_fit_is_named(extra, message):
    with pytest.raises(ValueError, match=message):
        from_torch(state_dict("lstm", 3, 2) | extra)
    with pytest.raises(ValueError, match="PyTorch has no layout"):
        to_torch(make("lem", 3, 2))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("restart_rnn", {"restart": 2.5}, "restart must be a whole number, got 2.5"),
        ("restart_rnn", {"restart": -3}, "restart must be at least 0, got -3"),
        ("adam_rnn", {"beta": 1.5}, "beta must lie between 0 and 1"),
        ("unicornn", {"grid": 0.3}, "grid must be 0 or a power of two"),
        ("vanilla", {"activation": 99}, "activation = 99 stands for none of tanh"),
        ("cornn", {"imex": 0.5}, "imex must be True or False"),
        ("cornn", {"gamma": [1.0, 2.0]}, "gamma has 1 dimensions"),
    ],
)
def test_constants_among_arrays_are_checked_like_settings(name, change, message):
    with pytest.raises((ValueError, TypeError), match=message):
        from_arrays({**make(name, 3, 2).parameters, **change}, name)


@pytest.mark.parametrize("wrong", (3, [], [3], {"a": 1}))
def test_prefixes_and_names_to_ignore_are_names(wrong):
    weights = state_dict("lstm", 3, 2)
    with pytest.raises(TypeError, match="prefix must be a name or a list of names"):
        from_torch(weights, prefix=wrong)
    if wrong != []:
        with pytest.raises(TypeError, match="ignore must be a list of names"):
            from_torch(weights, ignore=wrong)
    if not isinstance(wrong, (list, dict)):
        with pytest.raises(TypeError, match="weights must be get_weights"):
            from_keras(wrong)
