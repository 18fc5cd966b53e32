"""Which entries of a state dict are one recurrent network: nothing is mixed, dropped or guessed."""

import numpy as np
import pytest

from sensitivity.weights.weight_files import from_arrays
from sensitivity.weights.weights import from_torch, to_torch

GATES = {"vanilla": 1, "gru": 3, "lstm": 4}


def net(model="lstm", d=4, m=3, layers=1, seed=0, prefix="", cell=False):
    rng, rows, found = np.random.default_rng(seed), GATES[model] * d, {}
    for layer in range(layers):
        end = "" if cell else f"_l{layer}"
        found[f"{prefix}weight_ih{end}"] = rng.normal(size=(rows, d if layer else m))
        found[f"{prefix}weight_hh{end}"] = rng.normal(size=(rows, d))
        found[f"{prefix}bias_ih{end}"] = rng.normal(size=rows)
        found[f"{prefix}bias_hh{end}"] = rng.normal(size=rows)
    return found


def same(found, expected):
    assert found.theta.tobytes() == expected.theta.tobytes() and found.kind is expected.kind


def test_two_networks_are_never_mixed():
    enc, dec = net(prefix="enc.", layers=2, seed=1), net(prefix="dec.", seed=2)
    for both in (enc | dec, dec | enc):
        with pytest.raises(ValueError, match=r"2 recurrent networks, with the prefixes .*prefix='"):
            from_torch(both)
        same(from_torch(both, prefix="enc"), from_torch(net(layers=2, seed=1)))
        same(from_torch(both, prefix="dec."), from_torch(net(seed=2)))
        with pytest.raises(ValueError, match="prefix 'decoder' has no recurrent layer; there are"):
            from_torch(both, prefix="decoder")
    half = {"enc.weight_ih_l0": 0, "enc.weight_hh_l0": 0, "enc.bias_ih_l0": 0}
    with pytest.raises(ValueError, match="'enc', 'dec'"):
        from_torch({name: net(prefix="enc.")[name] for name in half} | dec)
    with pytest.raises(ValueError, match="'enc', 'dec'"):
        from_torch({"enc.bias_hh_l0": np.ones(16)} | dec)


def test_a_list_of_prefixes_is_a_stack():
    a, b = net(prefix="a.", seed=1), net(prefix="b.rnn.", m=4, seed=2)
    stack = {name.removeprefix("a."): value for name, value in a.items()}
    stack |= {name.removeprefix("b.rnn.").replace("_l0", "_l1"): value for name, value in b.items()}
    same(from_torch(a | b, prefix=["a", "b"]), from_torch(stack))
    with pytest.raises(ValueError, match=r"a: weight_ih of layer 1 has shape \(16, 3\)"):
        from_torch(a | b, prefix=["b", "a"])


def test_the_cells_of_a_list_are_layers():
    cells = net(prefix="cells.0.", cell=True, seed=1) | net(prefix="cells.1.", cell=True, m=4, seed=2)
    stack = {f"{name[8:]}_l{name[6]}": value for name, value in cells.items()}
    same(from_torch(cells), from_torch(stack))
    same(from_torch({f"model.{name}": v for name, v in reversed(cells.items())}), from_torch(stack))
    same(from_torch(cells, prefix="cells.1"), from_torch(net(cell=True, m=4, seed=2)))
    with pytest.raises(ValueError, match="2 recurrent networks"):
        from_torch({name.replace("cells.1", "cells.2"): value for name, value in cells.items()})
    with pytest.raises(ValueError, match="2 recurrent networks"):
        from_torch({name.replace(".1.", ".1.").replace("cells.1", "other.1"): v for name, v in cells.items()})


def test_wrappers_are_no_part_of_a_name():
    expected = from_torch(net())
    for prefix in ("module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.rnn.", "net.module.rnn."):
        same(from_torch(net(prefix=prefix)), expected)
    same(from_torch({"epoch": 3, "state_dict": net(prefix="module.rnn.")}), expected)
    with pytest.raises(ValueError, match=r"'weight_ih_l0' and 'module\.weight_ih_l0' are one name"):
        from_torch(net() | net(prefix="module."))


def test_other_layers_are_left_out_whatever_they_hold():
    class Odd:
        shape, dtype = (2, 2), "float7"

    other = {
        "fc.weight": np.array([["a"]]), "fc.bias": np.array([np.nan]), "embedding.weight": np.ones((5, 3)),
        "norm.num_batches_tracked": np.array(3), "odd": Odd(), "head": [1.0], "ln.weight": np.ones(4),
        "steps": 7, "name": "model", "hook": None,
    }  # fmt: skip
    same(from_torch(net() | other), from_torch(net()))
    same(from_torch(other | net(prefix="rnn.")), from_torch(net()))


@pytest.mark.parametrize("prefix", ("", "rnn."))
@pytest.mark.parametrize(
    ("right", "wrong", "guess"),
    [
        ("bias_hh_l0", "bias_hh_lO", "bias_hh_l0"),
        ("bias_hh_l0", "bias_hh_0", "bias_hh_l0"),
        ("bias_hh_l0", "Bias_hh_l0", "bias_hh_l0"),
        ("weight_hh_l0", "wieght_hh_l0", "weight_hh_l0"),
        ("weight_ih_l0", "weight_ih_l0_", "weight_ih_l0"),
        ("bias_hh_l1", "bias_hh_l2", None),
    ],
)
def test_misspelt_names_are_named(prefix, right, wrong, guess):
    given = net(prefix=prefix, layers=2)
    given[prefix + wrong] = given.pop(prefix + right)
    with pytest.raises(ValueError, match=f"did you mean '{guess}'" if guess else "bias_hh_l1 is missing"):
        from_torch(given)


@pytest.mark.parametrize("name", ("peephole_l0", "weight_ch_l0", "bias", "recurrent_kernel_extra"))
@pytest.mark.parametrize("prefix", ("", "rnn."))
def test_what_no_layer_has_is_refused(prefix, name):
    with pytest.raises(ValueError, match=name):
        from_torch(net(prefix=prefix) | {prefix + name: np.ones(4)})
    if name != "bias":
        same(
            from_torch(net(prefix=prefix) | {prefix + name: np.ones(4)}, ignore=[prefix + name]),
            from_torch(net()),
        )


def test_a_layer_normalised_cell_is_refused():
    for prefix in ("", "cell."):
        given = net(cell=True, prefix=prefix) | {f"{prefix}layernorm_i.weight": np.ones(16)}
        with pytest.raises(ValueError, match=r"layernorm_i\.weight stands among"):
            from_torch(given)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"weight_hh_l0": None}, ValueError, "weight_hh_l0 is missing"),
        ({"weight_ih_l0": None}, ValueError, "weight_ih_l0 is missing"),
        ({"bias_hh_l0": None}, ValueError, "bias_hh_l0 is missing beside bias_ih_l0"),
        ({"bias_ih_l0": None}, ValueError, "bias_ih_l0 is missing beside bias_hh_l0"),
        ({"weight_hh_l0": np.full((16, 4), np.inf)}, ValueError, "weight_hh_l0 holds inf"),
        ({"weight_hh_l0": np.ones((16, 4), int)}, TypeError, "weight_hh_l0 has dtype int64"),
        ({"weight_hh_l0": np.ones((16, 4), np.int8)}, TypeError, "weight_hh_l0 has dtype int8"),
        ({"weight_hh_l0": np.ones((16, 4), bool)}, TypeError, "weight_hh_l0 has dtype bool"),
        ({"weight_hh_l0": np.ones((16, 4), complex)}, TypeError, "weight_hh_l0 is complex"),
        ({"weight_hh_l0": np.ones((16, 4), "V2")}, TypeError, "raw bytes"),
        ({"weight_hh_l0": np.ones((2, 16, 4))}, ValueError, "weight_hh_l0 has 3 dimensions"),
        ({"weight_hh_l0": np.ones((18, 4))}, ValueError, r"weight_hh has shape \(18, 4\)"),
        ({"weight_hh_l0": np.ones((8, 4))}, ValueError, r"weight_hh has shape \(8, 4\)"),
        ({"weight_hh_l0": np.ones((0, 0))}, ValueError, r"weight_hh has shape \(0, 0\)"),
        ({"weight_ih_l0": np.ones((12, 3))}, ValueError, r"weight_ih of layer 0 has shape \(12, 3\)"),
        ({"weight_ih": np.ones((16, 3))}, ValueError, "names of a cell and of layers"),
    ],
)
def test_what_does_not_fit_is_one_sentence(change, error, message):
    given = {name: value for name, value in (net() | change).items() if value is not None}
    with pytest.raises(error, match=message):
        from_torch(given)


def test_models_and_activations_that_contradict_the_weights():
    rnn = net("vanilla")
    for name in ("rnn", "RNN", "vanilla"):
        assert from_torch(rnn, name, "ReLU").step(-np.ones(4), np.zeros(3)).min() >= 0.0
    for given, told, message in (
        (net("lstm"), {"activation": "relu"}, "activation='relu' has no effect on lstm"),
        (net("gru"), {"activation": "sin"}, "has no effect on gru"),
        (net("lstm"), {"model": "rnn"}, "that of lstm, not of vanilla"),
        (net("vanilla"), {"model": "gru"}, r"that of vanilla \(PyTorch's RNN\), not of gru"),
        (net("gru"), {"model": "gru_before"}, "resets after the product"),
        (net("gru"), {"model": "lem"}, "model 'lem' is not known"),
        (net("vanilla"), {"activation": "selu"}, "activation 'selu' is not known"),
    ):
        with pytest.raises(ValueError, match=message):
            from_torch(given, **told)
    same(from_torch(net("lstm"), activation="Tanh"), from_torch(net("lstm")))


def test_nothing_recurrent_is_said_with_a_hint():
    for given, message in (
        ({}, "no recurrent layer is among nothing"),
        ({"fc.weight": np.ones((2, 2))}, r"among fc\.weight\. Known are"),
        ({"wieght_hh_l0": np.ones((4, 4))}, "Is 'wieght_hh_l0' meant to be 'weight_hh_l0'"),
    ):
        with pytest.raises(ValueError, match=message):
            from_torch(given)
    for given in (None, 3, [np.ones(2)], "file.pt"):
        with pytest.raises(TypeError, match="must be a mapping of names to arrays or a module"):
            from_torch(given)
    with pytest.raises(ValueError, match="names of Keras, not of PyTorch"):
        from_torch({"kernel": np.ones((3, 4)), "recurrent_kernel": np.ones((4, 4))})


def test_weight_norm_and_masks_are_computed():
    w = net(prefix="rnn.")
    W = w.pop("rnn.weight_hh_l0")
    rng = np.random.default_rng(4)
    for axes, shape in (((1,), (16, 1)), ((0,), (1, 4)), ((0, 1), ())):
        g = rng.uniform(0.5, 2.0, shape)
        expected = g * W / np.sqrt((W * W).sum(axis=axes, keepdims=bool(shape)))
        for names in (
            ("weight_hh_l0_g", "weight_hh_l0_v"),
            [f"parametrizations.weight_hh_l0.original{i}" for i in (0, 1)],
        ):
            found = from_torch(w | {f"rnn.{names[0]}": g, f"rnn.{names[1]}": W})
            assert np.abs(found.parameters["W"] - expected).max() <= 1e-15
    mask = (rng.uniform(size=W.shape) > 0.5).astype(float)
    found = from_torch(w | {"rnn.weight_hh_l0_orig": W, "rnn.weight_hh_l0_mask": mask})
    assert np.array_equal(found.parameters["W"], W * mask)
    for parts, message in (
        ({"weight_hh_l0_g": np.ones((16, 1))}, "only a part of a parametrized weight"),
        ({"weight_hh_l0_g": np.ones((3, 1)), "weight_hh_l0_v": W}, "does not go with"),
        ({"weight_hh_l0_g": np.ones((16, 1)), "weight_hh_l0_v": 0.0 * W}, "divides by 0"),
        ({"weight_hh_l0_g": np.ones((16, 1)), "weight_hh_l0_v": W, "weight_hh_l0": W}, "a weight twice"),
        ({"weight_hh_l0_orig": W, "weight_hh_l0_u": np.ones(16), "weight_hh_l0_v": np.ones(4)}, "other than"),
        ({"parametrizations.weight_hh_l0.original": W, "parametrizations.weight_hh_l0.0.base": W},
        "other than"), ({"weight_hh_l0_raw": W}, "before its dropout"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            from_torch(w | {f"rnn.{name}": value for name, value in parts.items()})


def test_bits_of_zeros_stay():
    given = {name: -0.0 * np.abs(value) for name, value in net("gru").items()}
    cell = from_torch(given)
    same(from_torch(to_torch(cell)), cell)
    assert np.signbit(cell.parameters["b"]).all()


# ---------------------------------------------------------------------------------------------- PyTorch


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def test_modules_say_what_a_state_dict_does_not(torch):
    torch.manual_seed(0)
    relu = torch.nn.RNN(3, 4, 2, nonlinearity="relu", dtype=torch.float64)
    model = torch.nn.ModuleDict({"rnn": relu, "head": torch.nn.Linear(4, 2), "emb": torch.nn.Embedding(5, 3)})
    expected = from_torch(relu.state_dict(), activation="relu")
    for module in (relu, model, torch.nn.DataParallel(model)):
        same(from_torch(module), expected)
        same(from_arrays(module), from_torch(module))
    with pytest.raises(ValueError, match="activation='tanh' contradicts"):
        from_torch(model, activation="tanh")
    x, h = np.random.default_rng(0).normal(size=3), np.random.default_rng(1).normal(size=4)
    cell = torch.nn.RNNCell(3, 4, nonlinearity="relu", dtype=torch.float64)
    theirs = cell(torch.tensor(x), torch.tensor(h)).detach().numpy()
    assert np.abs(from_torch(cell).step(h, x) - theirs).max() <= 1e-15


def test_every_kind_of_tensor(torch):
    lstm = torch.nn.LSTM(3, 4)
    exact = {name: value.detach().to(torch.bfloat16) for name, value in lstm.state_dict().items()}
    expected = from_torch({name: value.double().numpy() for name, value in exact.items()})
    same(from_torch(exact), expected)
    same(from_torch(lstm.to(torch.bfloat16)), expected)
    same(from_torch({name: value.double().requires_grad_() for name, value in exact.items()}), expected)
    same(from_torch({name: value.to_sparse() for name, value in exact.items()}), expected)
    for change, error, message in (
        (torch.ones(16, 4, device="meta"), ValueError, "cannot be had as a NumPy array"),
        (torch.ones(16, 4, dtype=torch.int8), TypeError, "has dtype int8"),
        (torch.ones(16, 4, dtype=torch.complex64), TypeError, "is complex"),
    ):
        with pytest.raises(error, match=message):
            from_torch(exact | {"weight_hh_l0": change})


def test_what_no_cell_of_ours_computes(torch):
    nn, parametrizations = torch.nn, torch.nn.utils.parametrizations
    for module, message in (
        (nn.LSTM(3, 4, bidirectional=True), "bidirectional"),
        (nn.LSTM(3, 4, proj_size=2), "projection"),
        (nn.Linear(3, 4), "no recurrent layer"),
        (nn.ModuleDict({"a": nn.GRU(3, 4), "b": nn.LSTM(3, 4)}), "prefix='a'"),
        (parametrizations.spectral_norm(nn.LSTM(3, 4), "weight_hh_l0"), "parametrization other than"),
    ):
        with pytest.raises(ValueError, match=message):
            from_torch(module)
    for made in (
        parametrizations.weight_norm(nn.LSTM(3, 4).double(), "weight_hh_l0"),
        parametrizations.spectral_norm(nn.LSTM(3, 4).double(), "weight_hh_l0").eval(),
        parametrizations.orthogonal(nn.RNN(3, 4).double(), "weight_hh_l0").eval(),
    ):
        theirs = made.weight_hh_l0.detach().numpy()
        assert np.abs(from_torch(made).parameters["W"] - theirs).max() <= 1e-15
