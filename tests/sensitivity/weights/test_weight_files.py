"""Files of weights: a cell comes back bit for bit with its settings, and nothing contradicts the file."""

import subprocess
import sys
import zipfile

import numpy as np
import pytest
import sympy

from integrators.cells.own import symbolic_cell
from sensitivity.recurrences.registry import MODELS, hyperparameters, make
from sensitivity.weights import weight_files
from sensitivity.weights.weight_files import from_arrays, load_weights, save_weights, saved_model
from sensitivity.weights.weights import to_torch

SETTINGS = {
    "step": 0.37, "tau": 3.0, "activation": "sin", "layers": 2, "restart": 5, "split": 1, "imex": True,
    "grid": 2.0**-20, "beta": 0.9, "alpha": 0.7, "epsilon": 0.3, "eta": 0.01, "gamma": 30.0, "mu": 0.35,
    "s": 0.8, "scale": 0.5, "negative": 1, "A": 0.3, "G": 0.2, "dt": 0.4, "z": 0.1, "c": 5.0, "r_min": 0.5,
    "r_max": 0.8, "discretisation": "bilinear", "variant": "ex", "exponential": True, "normalised": False,
    "positive": True, "tied": True,
}  # fmt: skip
OF_THE_START = ("scale", "negative", "A", "G", "dt", "z", "r_min", "r_max")


def moved(cell, seed=0):
    noise = np.random.default_rng(seed).normal(size=cell.free.size)
    return cell.with_free(cell.free + 0.1 * cell.free_trainable * noise)


def same(found, cell):
    assert found.theta.tobytes() == cell.theta.tobytes() and found.free.tobytes() == cell.free.tobytes()
    assert found.name == cell.name and found.kind.structure == cell.kind.structure
    assert found.kind.step is None or found.step_size == cell.step_size
    assert dict(found.blocks) == dict(cell.blocks) and found.layout.layers == cell.layout.layers
    assert (found.d, found.n_inputs) == (cell.d, cell.n_inputs)


@pytest.fixture(params=(".npz", ".safetensors"))
def path(request, tmp_path):
    if request.param == ".safetensors":
        pytest.importorskip("safetensors")
    return tmp_path / f"cell{request.param}"


@pytest.mark.parametrize("name", MODELS)
def test_every_cell_with_every_setting_comes_back(name, path):
    every = list(hyperparameters(name))
    for n_inputs in (0, 2):
        for chosen in ([], every):
            given = {setting: SETTINGS[setting] for setting in chosen}
            cell = moved(make(name, 4, n_inputs, 3, **given))
            save_weights(path, cell)
            for model in (None, name, name.upper()):
                same(load_weights(path, model), cell)
            same(load_weights(path, name, **{k: v for k, v in given.items() if k not in OF_THE_START}), cell)


@pytest.mark.parametrize("name", MODELS)
def test_every_setting_that_contradicts_the_file_is_refused(name, tmp_path):
    path = tmp_path / "cell.npz"
    save_weights(path, make(name, 4, 2))
    for setting in hyperparameters(name):
        belongs = (
            "belongs to the start" if setting in OF_THE_START else rf"contradicts cell\.npz: there {setting}"
        )
        for model in (name, None):
            with pytest.raises(ValueError, match=f"{setting}=.*{belongs}"):
                load_weights(path, model, **{setting: SETTINGS[setting]})


@pytest.mark.parametrize("name", [name for name in MODELS if make(name, 2).kind.substeps == 1])
def test_two_layers_come_back(name, path):
    kind = make(name, 4, 2).kind
    parts = [moved(make(name, 4, width, 1), width).free_parameters for width in (2, 4)]
    cell = kind.layers(4, 2, parts, step=0.3)
    save_weights(path, cell)
    same(load_weights(path), cell)


def test_suffixes_in_capitals(tmp_path):
    for suffix in (".NPZ", ".Npz"):
        save_weights(tmp_path / f"cell{suffix}", make("gru", 3, 2))
        same(load_weights(tmp_path / f"cell{suffix}"), make("gru", 3, 2))


def test_what_a_file_holds_is_not_another_model(tmp_path):
    path = tmp_path / "cell.npz"
    for saved, asked, message in (
        (make("cornn", 3, 2), {"model": "lem"}, "lem was asked for, but cornn is what cell.npz holds"),
        (make("cornn", 3, 2), {"model": "cornn_imex"}, "imex = False in cell.npz, but cornn_imex always has"),
        (make("euler", 3, 2, step=0.5), {"model": "residual"}, "step = 0.5 .* residual always has step = 1"),
        (make("adam_rnn", 3, 2), {"model": "rmsprop_rnn"}, "mu = 0.6 .* rmsprop_rnn always has mu = 0"),
        (make("restart_rnn", 3, 2), {"model": "nesterov_rnn"}, "restart = 40"),
        (make("lstm", 3, 2), {"model": "gru"}, "gru was asked for, but lstm"),
        (make("irnn", 3, 2), {"activation": "tanh"}, "activation='tanh' contradicts"),
        (make("lstm", 3, 2), {"activation": "relu"}, "activation='relu' has no effect on lstm"),
        (make("lem", 3, 2), {"prefix": "rnn"}, "holds one cell"),
        (make("lem", 3, 2), {"gamma": 1.0}, "lem has no hyperparameter 'gamma'"),
        (make("lem", 3, 2), {"model": "lemm"}, "Did you mean 'lem'"),
    ):
        save_weights(path, saved)
        with pytest.raises(ValueError, match=message):
            load_weights(path, **asked)
    save_weights(path, make("irnn", 3, 2))
    save_weights(tmp_path / "lstm.npz", make("lstm", 3, 2))
    same(load_weights(tmp_path / "lstm.npz", activation="tanh"), make("lstm", 3, 2))
    for model in ("irnn", "rnn", None):
        assert load_weights(path, model).parameters["activation"] == make("irnn", 3).parameters["activation"]


def test_cells_that_no_file_holds(tmp_path):
    path = tmp_path / "own.npz"
    u, a = sympy.symbols("u a")
    unicornn = make("unicornn", 3, 2)
    for cell in (
        symbolic_cell([a * u], [u], parameters={a: 0.5}, name="lstm"),
        unicornn.kind.inverse(unicornn),
    ):
        with pytest.raises(ValueError, match="its map is a function, which a file of weights cannot hold"):
            save_weights(path, cell)
    with pytest.raises(TypeError, match="cell must be a Cell, got dict"):
        save_weights(path, {})
    with pytest.raises(ValueError, match=r"cell\.pt must end in \.npz or \.safetensors\.$"):
        save_weights(tmp_path / "cell.pt", unicornn)
    assert list(tmp_path.iterdir()) == []
    bare = make("exprnn", 4, 2).unstructured()
    save_weights(path, bare)
    same(load_weights(path), bare)


def test_pytorch_takes_the_file_as_a_state_dict(path):
    torch = pytest.importorskip("torch")
    for name, kind in (("lstm", torch.nn.LSTM), ("gru", torch.nn.GRU), ("vanilla", torch.nn.RNN)):
        cell = moved(make(name, 4, 3))
        save_weights(path, cell)
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            state = {key: torch.tensor(value) for key, value in np.load(path).items()}
        network = kind(3, 4, dtype=torch.float64)
        network.load_state_dict(state)
        x = np.random.default_rng(0).normal(size=(1, 3))
        theirs = network(torch.tensor(x))[0].detach().numpy()[0]
        assert np.abs(cell.step(np.zeros(cell.dim), x[0])[:4] - theirs).max() <= 1e-15
    sine = make("vanilla", 4, 3, activation="sin")
    with pytest.raises(ValueError, match="activation of its RNN is tanh or relu"):
        to_torch(sine)


def test_damaged_headers_are_named(tmp_path):
    path = tmp_path / "cell.npz"
    save_weights(path, make("exprnn", 4, 2))
    with zipfile.ZipFile(path) as archive:
        header = archive.comment.decode()
    for old, new, message in (
        ('"format": 1', '"format": 2', "has the format 2 of a later version"),
        ('"d": 4', '"d": 5', "W has shape|shape|is damaged"),
        ('"model": "exprnn"', '"model": "nothing"', "its header is not that of a cell"),
        ('"layers": 1', '"layers": 2', "W_l0 is missing"),
        ('"step": null', '"step": "x"', "its header is not that of a cell"),
        ("{", "[", "its header is not that of a cell"),
    ):
        assert old in header
        with zipfile.ZipFile(path, "a") as archive:
            archive.comment = header.replace(old, new, 1).encode()
        with pytest.raises(ValueError, match=message):
            load_weights(path)
    with np.load(path) as archive:
        arrays = dict(archive)
    np.savez(path, **(arrays | {"W": arrays["W"] + 1e-3}))
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = header.encode()
    with pytest.raises(ValueError, match="W is not what its free parameters make"):
        load_weights(path)


def test_files_of_the_earlier_format(tmp_path):
    path = tmp_path / "old.npz"

    def old(name, **settings):
        cell = make(name, 4, 2, **settings)
        np.savez(path, **{key: np.array(value) for key, value in cell.parameters.items()})
        return cell

    for name, setting in (("lem", "step"), ("cornn", "step"), ("leaky", "tau"), ("euler", "step")):
        old(name)
        with pytest.raises(
            ValueError, match=rf"old\.npz does not say the step size of {name}; give {setting}=…"
        ):
            load_weights(path, name)
    cell = old("lem", step=0.25)
    same(load_weights(path, "lem", step=0.25), cell)
    old("cornn", gamma=3.0)
    with pytest.raises(ValueError, match="gamma=30 contradicts the weights: there gamma = 3"):
        load_weights(path, "cornn", gamma=30, step=0.05)
    cell = old("vanilla", activation="relu")
    same(load_weights(path, "rnn"), cell)
    with pytest.raises(ValueError, match="name the model"):
        load_weights(path)
    for arrays, message in (
        ({"W": np.eye(3)}, "b is missing among W"),
        ({"W": np.eye(3), "b": np.ones(3), "v": np.ones((3, 2))}, "vanilla has no parameter 'v'"),
        ({"x": np.eye(3)}, "none of W, b of vanilla is among x"),
        ({"W": np.eye(3), "b": np.ones(2)}, "b has shape|W has shape"),
    ):
        with pytest.raises(ValueError, match=message):
            from_arrays(arrays, "vanilla")


def test_an_array_that_is_not_needed_may_be_anything(tmp_path):
    weights = to_torch(make("lstm", 4, 3))
    path = tmp_path / "w.npz"
    np.savez(path, **weights, other=np.array([{}], dtype=object), short=np.ones(2, "V2"))
    same(load_weights(path), make("lstm", 4, 3))
    np.savez(path, **(weights | {"weight_hh_l0": weights["weight_hh_l0"].astype(object)}))
    with pytest.raises(ValueError, match="weight_hh_l0 holds Python objects"):
        load_weights(path)


def test_bfloat16_in_safetensors(tmp_path):
    torch, files = pytest.importorskip("torch"), pytest.importorskip("safetensors.torch")
    path = tmp_path / "w.safetensors"
    weights = {name: torch.tensor(value).bfloat16() for name, value in to_torch(make("gru", 4, 3)).items()}
    exact = from_arrays({name: value.double().numpy() for name, value in weights.items()})
    files.save_file(weights | {"scale": torch.ones(2).to(torch.float8_e4m3fn), "n": torch.arange(2)}, path)
    same(load_weights(path), exact)
    files.save_file({"emb": torch.ones(3).bfloat16()} | {k: v.double() for k, v in weights.items()}, path)
    same(load_weights(path), exact)
    files.save_file({name: value.to(torch.float8_e4m3fn) for name, value in weights.items()}, path)
    with pytest.raises(ValueError, match="has the type F8_E4M3, which NumPy does not have"):
        load_weights(path)


def test_files_of_other_kinds_show_the_line_that_converts_them(tmp_path):
    suffixes = ".pt .pth .ckpt .bin .h5 .hdf5 .keras .pkl .pickle .joblib .msgpack .flax .eqx .mat .npy .onnx"
    for suffix in (*suffixes.split(), ".PT", ".H5"):
        with pytest.raises(ValueError, match=r'this makes one: python -c "import .*cell\.npz'):
            load_weights(tmp_path / f"cell{suffix}")
    for name in ("cell", "cell.txt", "cell.json"):
        with pytest.raises(ValueError, match=rf"{name} must end in \.npz or \.safetensors"):
            load_weights(tmp_path / name)
    with pytest.raises(ValueError, match="It is a folder"):
        load_weights(tmp_path)
    for odd in (None, 3, b"w.npz\0"):
        with pytest.raises((TypeError, ValueError), match="path"):
            load_weights(odd)


def converted(path):
    with pytest.raises(ValueError) as caught:
        load_weights(path)
    code = str(caught.value).split('python -c "', 1)[1].removesuffix('"')
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return load_weights(path.with_suffix(".npz"))


def test_the_line_for_pytorch_works(tmp_path):
    torch = pytest.importorskip("torch")
    state = {name: torch.tensor(value) for name, value in to_torch(make("lstm", 4, 3)).items()}
    for content in (state, {"state_dict": state, "epoch": 3}):
        torch.save(content, tmp_path / "it's.pt")
        same(converted(tmp_path / "it's.pt"), make("lstm", 4, 3))
    (tmp_path / "it's.pt").rename(tmp_path / "renamed.npz")
    with pytest.raises(ValueError, match=r"it is a file of torch\.save"):
        load_weights(tmp_path / "renamed.npz")


def test_the_line_for_hdf5_works(tmp_path):
    h5py = pytest.importorskip("h5py")
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape) for shape in ((3, 16), (4, 16), (16,))]
    with h5py.File(tmp_path / "w.h5", "w") as file:
        for name, array in zip(("kernel:0", "recurrent_kernel:0", "bias:0"), arrays, strict=True):
            file[f"model_weights/lstm/lstm/lstm_cell/{name}"] = array
            file[f"optimizer_weights/adam/m/lstm/lstm_cell/{name}"] = array
    named = dict(zip(("kernel", "recurrent_kernel", "bias"), arrays, strict=True))
    same(converted(tmp_path / "w.h5"), from_arrays(named))


def test_the_line_for_pickles_works(tmp_path):
    import pickle

    (tmp_path / "w.pkl").write_bytes(pickle.dumps(to_torch(make("gru", 4, 3))))
    same(converted(tmp_path / "w.pkl"), make("gru", 4, 3))


def test_the_model_of_a_file(tmp_path):
    path = tmp_path / "w.npz"
    assert saved_model(path) is None
    np.savez(path, W=np.eye(2))
    assert saved_model(path) is None
    save_weights(path, make("cornn", 3))
    assert saved_model(path) == "cornn"


# Catches: a description that is cut at 65535 bytes, so that the file cannot be read.
def test_a_description_too_long_for_an_archive_is_refused(tmp_path, monkeypatch):
    cell = make("lru_block", 1, 1)
    monkeypatch.setattr(weight_files, "MOST_COMMENT", 100)
    with pytest.raises(ValueError, match=r"end its name in \.safetensors"):
        save_weights(tmp_path / "w.npz", cell)
    assert not list(tmp_path.iterdir())
    save_weights(tmp_path / "w.safetensors", cell)
    assert load_weights(tmp_path / "w.safetensors") == cell
