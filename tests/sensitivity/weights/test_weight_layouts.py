"""Every layout of weights against the equations that its library documents, written down here once more.

The twins below take the arrays by the library's own names and know nothing of ours; where the library itself
is installed, its own step is the reference too.
"""

import numpy as np
import pytest

from sensitivity.weights.weight_files import from_arrays
from sensitivity.weights.weights import from_keras, from_torch

D, M = 4, 3


def sigma(a):
    return 1.0 / (1.0 + np.exp(-a))


def drawn(seed, **shapes):
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def stepped(cell, h, x, c=None):
    """h' of one step from h (and c)."""
    return cell.step(h if c is None else np.concatenate([h, c]), x)[:D]


def point(seed=9):
    rng = np.random.default_rng(seed)
    return rng.normal(size=D), rng.normal(size=M), rng.normal(size=D)


def close(found, expected):
    assert np.abs(found - expected).max() <= 1e-14


def lstm_rule(i, f, g, o, c):
    return sigma(o) * np.tanh(sigma(f) * c + sigma(i) * np.tanh(g))


# ---------------------------------------------------------------------------------------------------- Equinox


def test_equinox_lstm():
    w = drawn(1, weight_ih=(4 * D, M), weight_hh=(4 * D, D), bias=4 * D)
    h, x, c = point()
    gates = np.split(w["weight_ih"] @ x + w["weight_hh"] @ h + w["bias"], 4)
    for given in (w, {f".cell.{name}": v for name, v in w.items()}, {"cell": w}):
        close(stepped(from_arrays(given), h, x, c), lstm_rule(*gates, c))
    close(stepped(from_torch(w), h, x, c), lstm_rule(*gates, c))


def test_equinox_gru_has_a_bias_inside_the_reset():
    w = drawn(2, weight_ih=(3 * D, M), weight_hh=(3 * D, D), bias=3 * D, bias_n=D)
    h, x, _ = point()
    i, k = np.split(w["weight_ih"] @ x + w["bias"], 3), np.split(w["weight_hh"] @ h, 3)
    reset, update = sigma(i[0] + k[0]), sigma(i[1] + k[1])
    new = np.tanh(i[2] + reset * (k[2] + w["bias_n"]))
    close(stepped(from_arrays(w), h, x), new + update * (h - new))


@pytest.mark.parametrize(
    ("gates", "change", "message"),
    [
        (3, {"bias_n": None}, "bias_n is missing"),
        (3, {"bias": None}, "bias is missing"),
        (3, {"bias_n": np.ones(3 * D)}, r"bias_n has shape \(12,\); it must be \(4,\)"),
        (4, {"bias_n": np.ones(D)}, "bias_n is of a GRU, which this is not"),
        (4, {"bias_ih": np.ones(4 * D)}, "bias of Equinox stands beside bias_ih"),
        (4, {"bias": np.ones(3)}, r"bias_ih of layer 0 has shape \(3,\)"),
    ],
)
def test_what_no_cell_of_equinox_has(gates, change, message):
    w = drawn(3, weight_ih=(gates * D, M), weight_hh=(gates * D, D), bias=gates * D)
    w |= {"bias_n": np.ones(D)} if gates == 3 else {}
    with pytest.raises(ValueError, match=message):
        from_arrays({name: value for name, value in (w | change).items() if value is not None})


def test_equinox_itself():
    eqx, jax = pytest.importorskip("equinox"), pytest.importorskip("jax")
    h, x, c = point()
    for kind in (eqx.nn.LSTMCell, eqx.nn.GRUCell):
        for use_bias in (True, False):
            cell = kind(M, D, use_bias=use_bias, key=jax.random.PRNGKey(0))
            state = (h, c) if kind is eqx.nn.LSTMCell else h
            expected = np.asarray(cell(x, state)[0] if kind is eqx.nn.LSTMCell else cell(x, state))
            ours = from_arrays(vars(cell))
            found = stepped(ours, h, x, c if kind is eqx.nn.LSTMCell else None)
            assert np.abs(found - expected).max() <= 1e-5  # float32


# ------------------------------------------------------------------------------------------------------- Flax


def flax_cell(gates, biased, seed=4):
    rng = np.random.default_rng(seed)
    found = {}
    for gate in gates:
        found[gate] = {"kernel": rng.normal(size=(M if gate[0] == "i" else D, D))}
        if gate in biased:
            found[gate]["bias"] = rng.normal(size=D)
    return found


def dense(w, gate, value):
    return value @ w[gate]["kernel"] + w[gate].get("bias", 0.0)


LSTM_GATES = ["ii", "if", "ig", "io", "hi", "hf", "hg", "ho"]


def test_flax_lstm():
    w = flax_cell(LSTM_GATES, LSTM_GATES[4:])
    h, x, c = point()
    expected = lstm_rule(*(dense(w, "i" + g, x) + dense(w, "h" + g, h) for g in "ifgo"), c)
    flat = {f"params/LSTMCell_0/{gate}/{name}": v for gate, part in w.items() for name, v in part.items()}
    nnx = {f"cell.{gate}{'_' * (gate == 'if')}.{name}": v for gate, p in w.items() for name, v in p.items()}
    tree = {f"['params']['{gate}']['{name}']": v for gate, part in w.items() for name, v in part.items()}
    head = {"params/Dense_0/kernel": np.ones((D, 2)), "params/Dense_0/bias": np.ones(2)}
    for given in (w, {"params": {"rnn": {"cell": w}}}, flat | head, nnx, tree):
        close(stepped(from_arrays(given), h, x, c), expected)


def test_flax_gru():
    w = flax_cell(["ir", "iz", "in", "hr", "hz", "hn"], ["ir", "iz", "in", "hn"])
    h, x, _ = point()
    r = sigma(dense(w, "ir", x) + dense(w, "hr", h))
    z = sigma(dense(w, "iz", x) + dense(w, "hz", h))
    n = np.tanh(dense(w, "in", x) + r * dense(w, "hn", h))
    close(stepped(from_arrays({"params": w}), h, x), (1.0 - z) * n + z * h)


def test_flax_simple_cell_and_joined_kernels():
    h, x, c = point()
    w = flax_cell(["i", "h"], ["i"])
    close(stepped(from_arrays(w), h, x), np.tanh(dense(w, "i", x) + dense(w, "h", h)))
    rng = np.random.default_rng(6)
    w = {
        "dense_i": {"kernel": rng.normal(size=(M, 4 * D))},
        "dense_h": {"kernel": rng.normal(size=(D, 4 * D))},
    }
    w["dense_h"]["bias"] = rng.normal(size=4 * D)
    gates = np.split(dense(w, "dense_i", x) + dense(w, "dense_h", h), 4)
    close(stepped(from_arrays(w), h, x, c), lstm_rule(*gates, c))
    w = {"dense_i": {"kernel": rng.normal(size=(M, 3 * D)), "bias": rng.normal(size=3 * D)},
         "dense_h": {"kernel": rng.normal(size=(D, 3 * D)), "bias": rng.normal(size=3 * D)}}  # fmt: skip
    i, k = np.split(dense(w, "dense_i", x), 3), np.split(dense(w, "dense_h", h), 3)
    r, z = sigma(i[0] + k[0]), sigma(i[1] + k[1])
    close(stepped(from_arrays(w), h, x), (1.0 - z) * np.tanh(i[2] + r * k[2]) + z * h)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ho": None}, "missing: ho/kernel"),
        ({"hf": {"kernel": np.ones((D, D))}}, "hf/bias is missing beside hi/bias"),
        ({"hg": {"kernel": np.ones((D, 5)), "bias": np.ones(D)}}, r"hg/kernel has shape \(4, 5\)"),
        ({"hg": {"kernel": np.ones((D, D)), "bias": np.ones(5)}}, r"hg/bias has shape \(5,\)"),
        ({"hx": {"kernel": np.ones((D, D))}}, "hx/kernel stands among"),
    ],
)
def test_what_no_cell_of_flax_has(change, message):
    w = {k: v for k, v in (flax_cell(LSTM_GATES, LSTM_GATES[4:]) | change).items() if v is not None}
    with pytest.raises(ValueError, match=message):
        from_arrays({"params": {"cell": w}})


def test_a_minimal_gated_unit_is_refused_by_name():
    with pytest.raises(ValueError, match="minimal gated unit"):
        from_arrays(flax_cell(["if", "in", "hf", "hn"], ["in"]))


def test_flax_itself():
    linen, jax = pytest.importorskip("flax.linen"), pytest.importorskip("jax")
    h, x, c = point()
    for kind in (linen.LSTMCell, linen.OptimizedLSTMCell, linen.GRUCell, linen.SimpleCell):
        cell = kind(features=D)
        carry = (c, h) if "LSTM" in kind.__name__ else h
        variables = cell.init(jax.random.PRNGKey(1), carry, x)
        noise = np.random.default_rng(2)
        variables = jax.tree.map(lambda v, noise=noise: v + noise.normal(size=v.shape), variables)
        expected = np.asarray(cell.apply(variables, carry, x)[1])
        found = stepped(from_arrays(variables), h, x, c if "LSTM" in kind.__name__ else None)
        assert np.abs(found - expected).max() <= 1e-5  # float32


def test_flax_nnx_itself():
    nnx = pytest.importorskip("flax.nnx")
    h, x, c = point()
    for kind in (nnx.LSTMCell, nnx.OptimizedLSTMCell, nnx.GRUCell, nnx.SimpleCell):
        cell = kind(M, D, rngs=nnx.Rngs(0))
        carry = (c, h) if "LSTM" in kind.__name__ else h
        expected = np.asarray(cell(carry, x)[1])
        found = stepped(from_arrays(nnx.state(cell, nnx.Param)), h, x, c if "LSTM" in kind.__name__ else None)
        assert np.abs(found - expected).max() <= 1e-5  # float32


# ------------------------------------------------------------------------------------------------------ Keras


def keras_arrays(gates, bias=None, seed=5):
    rng = np.random.default_rng(seed)
    found = [rng.normal(size=(M, gates * D)), rng.normal(size=(D, gates * D))]
    return found if bias is None else [*found, rng.normal(size=bias)]


def keras_gru_before(K, U, b, h, x):
    k, (uz, ur, uh) = np.split(x @ K + b, 3), np.split(U, 3, axis=1)
    z, r = sigma(k[0] + h @ uz), sigma(k[1] + h @ ur)
    return z * h + (1.0 - z) * np.tanh(k[2] + (r * h) @ uh)


def keras_gru_after(K, U, b, h, x):
    k, u = np.split(x @ K + b[0], 3), np.split(h @ U + b[1], 3)
    z, r = sigma(k[0] + u[0]), sigma(k[1] + u[1])
    return z * h + (1.0 - z) * np.tanh(k[2] + r * u[2])


def test_the_bias_of_a_keras_gru_says_where_the_reset_stands():
    h, x, _ = point()
    before, after = keras_arrays(3, 3 * D), keras_arrays(3, (2, 3 * D))
    for told in ({}, {"reset_after": False}, {"model": "gru"}, {"model": "gru_before"}):
        cell = from_keras(before, **told)
        assert cell.kind.name == "gru_before"
        close(stepped(cell, h, x), keras_gru_before(*before, h, x))
    for told in ({}, {"reset_after": True}, {"model": "GRU"}):
        cell = from_keras(after, **told)
        assert cell.kind.name == "gru"
        close(stepped(cell, h, x), keras_gru_after(*after, h, x))
    bare = keras_arrays(3)
    close(stepped(from_keras(bare, reset_after=True), h, x), keras_gru_after(*bare, np.zeros((2, 1)), h, x))
    close(stepped(from_keras(bare, reset_after=False), h, x), keras_gru_before(*bare, 0.0, h, x))
    named = dict(zip(("gru/gru_cell/kernel", "gru/gru_cell/recurrent_kernel"), bare, strict=True))
    close(stepped(from_arrays(named, reset_after=False), h, x), keras_gru_before(*bare, 0.0, h, x))


@pytest.mark.parametrize(
    ("gates", "bias", "told", "message"),
    [
        (3, 3 * D, {"reset_after": True}, r"bias has shape \(12,\), that of reset_after=False"),
        (3, (2, 3 * D), {"reset_after": False}, r"bias has shape \(2, 12\), that of reset_after=True"),
        (3, (2, 3 * D), {"model": "gru_before"}, r"bias has shape \(2, 12\), that of reset_after=True"),
        (3, None, {}, "say reset_after=True, the default of Keras, or False"),
        (3, 5, {}, r"bias has shape \(5,\)"),
        (3, (3, 3 * D), {}, r"bias has shape \(3, 12\)"),
        (4, 4 * D, {"reset_after": True}, "reset_after=True belongs to a GRU"),
        (4, (2, 4 * D), {}, r"bias has shape \(2, 16\)"),
        (4, 4 * D, {"activation": "relu"}, "activation='relu' has no effect on lstm"),
        (4, 4 * D, {"model": "gru"}, "that of lstm, not of gru"),
        (4, 8 * D, {}, "as in CuDNNLSTM"),
        (3, 6 * D, {}, "CuDNNGRU"),
        (4, 4 * D, {"cudnn": True}, r"cudnn=True asks for a bias of shape \(32,\)"),
        (2, None, {}, "recurrent_kernel has shape"),
    ],
)
def test_what_no_layer_of_keras_has(gates, bias, told, message):
    with pytest.raises(ValueError, match=message):
        from_keras(keras_arrays(gates, bias), **told)


def cudnn_kernel(K):
    """Each gate's kernel as CuDNN's matrix (d, m) in row-major order, in an array of Keras's shape."""
    return np.concatenate([part.T.ravel().reshape(part.shape) for part in np.split(K, K.shape[1] // D, 1)], 1)


def test_cudnn_layers_keep_each_kernel_transposed():
    h, x, c = point()
    K, U, b = keras_arrays(4, 8 * D)
    gates = np.split(x @ K + h @ U + b[: 4 * D] + b[4 * D :], 4)
    kept = [cudnn_kernel(K), cudnn_kernel(U), b]
    close(stepped(from_keras(kept, cudnn=True), h, x, c), lstm_rule(*gates, c))
    close(stepped(from_keras([K, U, b], cudnn=False), h, x, c), lstm_rule(*gates, c))
    named = zip(("kernel:0", "recurrent_kernel:0", "bias:0"), kept, strict=True)
    close(stepped(from_arrays({f"cu_dnnlstm/{n}": v for n, v in named}), h, x, c), lstm_rule(*gates, c))
    K, U, b = keras_arrays(3, 6 * D)
    found = from_keras([cudnn_kernel(K), cudnn_kernel(U), b], cudnn=True)
    close(stepped(found, h, x), keras_gru_after(K, U, b.reshape(2, -1), h, x))


def test_keras_files_of_every_age():
    h, x, c = point()
    K, U, b = keras_arrays(4, 4 * D)
    expected = lstm_rule(*np.split(x @ K + h @ U + b, 4), c)
    for names in (
        ("lstm/lstm_cell/kernel:0", "lstm/lstm_cell/recurrent_kernel:0", "lstm/lstm_cell/bias:0"),
        ("kernel", "recurrent_kernel", "bias"),
        ("layers/lstm/cell/vars/0", "layers/lstm/cell/vars/1", "layers/lstm/cell/vars/2"),
    ):
        given = dict(zip(names, (K, U, b), strict=True))
        other = {"layers/dense/vars/0": np.ones((D, 2)), "layers/dense/vars/1": np.ones(2)}
        other |= {
            "dense/kernel:0": np.ones((D, 2)),
            "dense/bias:0": np.ones(2),
            "optimizer/vars/0": np.array(7),
        }
        other |= {"layers/lstm/cell/seed_generator/vars/0": np.array([1, 2])}
        close(stepped(from_arrays(given | other), h, x, c), expected)
        close(stepped(from_keras(given | other), h, x, c), expected)
        both = given | {name.replace("lstm", "lstm_1", 1): v for name, v in given.items()}
        if len(both) > 3:
            with pytest.raises(ValueError, match=r"2 recurrent networks.*lstm_1.*prefix='"):
                from_arrays(both)
    two = {f"bidirectional/{way}_lstm/lstm_cell/{n}": v for way in ("forward", "backward")
           for n, v in zip(("kernel", "recurrent_kernel", "bias"), (K, U, b), strict=True)}  # fmt: skip
    with pytest.raises(ValueError, match="two directions of a bidirectional layer"):
        from_arrays(two)
    close(stepped(from_arrays(two, prefix="bidirectional/forward_lstm"), h, x, c), expected)


def test_keras_itself(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", exc_type=ImportError)
    x = np.random.default_rng(0).normal(size=(2, 5, M))
    layers = [keras.layers.LSTM(D), keras.layers.GRU(D), keras.layers.GRU(D, reset_after=False)]
    layers += [keras.layers.SimpleRNN(D, activation=name) for name in ("tanh", "relu")]
    layers += [keras.layers.GRU(D, reset_after=False, use_bias=False)]
    for layer in layers:
        expected = keras.ops.convert_to_numpy(layer(x.astype("float32")))
        cell = from_keras(layer)
        for sequence, last in zip(x, expected, strict=True):
            s = np.zeros(cell.dim)
            for row in sequence:
                s = cell.step(s, row)
            assert np.abs(s[:D] - last).max() <= 1e-5  # float32
    for wrong, message in (
        (keras.layers.LSTM(D, recurrent_activation="hard_sigmoid"), "recurrent_activation='hard_sigmoid'"),
        (keras.layers.GRU(D, activation="relu"), "activation='relu'"),
        (keras.layers.GRU(D, go_backwards=True), "go_backwards"),
        (keras.layers.Bidirectional(keras.layers.LSTM(D)), "forward_layer"),
    ):
        wrong(x)
        with pytest.raises(ValueError, match=message):
            from_keras(wrong)
    with pytest.raises(ValueError, match="has no weights yet"):
        from_keras(keras.layers.LSTM(D))
    with pytest.raises(TypeError, match="pass one SimpleRNN, LSTM or GRU layer"):
        from_keras(keras.layers.Dense(2))
    with pytest.raises(ValueError, match="contradicts the weights"):
        from_keras(layers[2], reset_after=True)
