"""Studies of models that come from files: weights by a checksum, functions by the path of their import."""

import shutil

import numpy as np
import pytest

from integrators import NeuralField
from sensitivity import Study, cell, jacobian_norm, open_results, save_weights, unroll
from sensitivity.recurrences.registry import drawn_inputs
from sensitivity.studies import verify
from sensitivity.studies.storage.store import Store

N, STEPS = 8, [0.1, 0.2]
OWN = """
from sensitivity import cell
open("imported", "a").close()
def mine(d, n_inputs=0, rng=0, gamma=0.5):
    return cell("antisymmetric", d, n_inputs, rng, gamma=gamma)
"""
GRID = {
    "model": ["study_models:mine", "gru=gru.npz"],
    "d": 2,
    "n_steps": N,
    "gamma": [0.25, 1.0],
    "step": STEPS,
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "study_models.py").write_text(OWN)
    monkeypatch.delitem(__import__("sys").modules, "study_models", raising=False)
    save_weights("gru.npz", cell("gru", 2, 1, 5))


def norms(results):
    """The norms by model and γ, from the cells of a study."""
    found = {(c.model, c.parameters.get("gamma")): results.read(c)["norm"] for c in results.study.cells()}
    return {key: values.tolist() for key, values in found.items()}


def test_workers_rebuild_models_by_the_path_of_their_import_and_by_their_file():
    found = norms(Study(GRID, "norm").run("out", "processes", workers=1, progress=False))
    gru = unroll(cell("gru", 2, 1, 5), N, inputs=drawn_inputs(N, 1, 0))
    expected = {("gru=gru.npz", None): [float(jacobian_norm(gru))] * 2}
    for gamma in GRID["gamma"]:
        run = unroll(cell("antisymmetric", 2, 0, 0, gamma=gamma), N, np.zeros((1, 2)), step=np.array(STEPS))
        expected["study_models:mine", gamma] = jacobian_norm(run).tolist()
    assert found == expected


def test_the_same_weights_elsewhere_are_the_same_cell_and_others_are_another_study():
    grid = {"model": "gru=gru.npz", "n_steps": N}
    first = Study(grid, "norm")
    first.run("out", progress=False)
    shutil.copy("gru.npz", "copy.npz")
    (moved,), (there,) = Study(grid | {"model": "gru=copy.npz"}, "norm").cells(), first.cells()
    assert moved.address == there.address and "gru.npz" not in there.description
    save_weights("gru.npz", cell("gru", 2, 1, 6))
    (changed,) = Study(grid, "norm").cells()
    assert changed.address != there.address
    with pytest.raises(ValueError, match=r"another study.*file of its model gru=gru\.npz"):
        Study(grid, "norm").run("out", progress=False)


def test_a_file_that_changes_before_the_run_fails_its_cells():
    study = Study({"model": "gru=gru.npz", "n_steps": N}, "norm")
    save_weights("gru.npz", cell("gru", 2, 1, 6))
    with pytest.warns(RuntimeWarning, match=r"gru=gru\.npz has changed"):
        results = study.run("out", progress=False)
    assert results.report.computed == 0


# Catches: an array of one number and no dimension, which cannot be gone through.
def test_an_axis_may_be_an_array_without_a_dimension():
    grid = {"model": "leaky", "d": np.array(2), "n_steps": np.array(N), "tau": np.array(1.5)}
    plain = {"model": "leaky", "d": 2, "n_steps": N, "tau": 1.5}
    one, other = Study(grid, "norm"), Study(plain, "norm")
    assert [c.parameters for c in one.cells()] == [c.parameters for c in other.cells()]


def test_settings_are_axes_and_checked_before_the_run():
    study = Study({"model": ["leaky", "lstm"], "d": 2, "n_steps": N, "tau": [1.5, 5]}, "norm")
    assert (study.n_cells, study.n_points, study.axes[-2]) == (3, 4, "tau")
    found = {c.parameters.get("tau"): c for c in study.cells()}
    values = study.run("out", progress=False)
    run = unroll(cell("leaky", 2, tau=5), N, np.zeros((1, 2)), step=0.01)
    assert values.read(found[5])["norm"].tolist() == jacobian_norm(run).tolist()
    with pytest.raises(ValueError, match="tau must be positive"):
        Study({"model": "leaky", "tau": [1.0, 0.0]})
    # What a field of the study calls γ is no axis of the cells beside it.
    mixed = Study({"model": ["neural", "cornn"], "d": 2, "n_steps": N, "gamma": [None, 0.1]}, "norm")
    assert mixed.n_cells == 3 and Study({"model": "cornn", "gamma": [1.0, 2.0]}).n_cells == 2


def inputs_of(rows, n=2, seed=3):
    return np.random.default_rng(seed).standard_normal((rows, n))


def test_files_of_inputs_are_an_axis(tmp_path):
    np.save("a.npy", inputs_of(N + 4))
    np.save("b.npy", inputs_of(N, 3))
    grid = {"model": ["lstm", "neural"], "d": 2, "n_steps": N, "inputs": [2, "a.npy", "b.npy"], "step": STEPS}
    study = Study(grid, "norm")
    results = study.run("out", progress=False)
    assert study.n_cells == 6 and set(study.checksums) == {"a.npy", "b.npy"}
    found = {(c.model, str(c.parameters["inputs"])): results.read(c)["norm"] for c in study.cells()}
    for file in ("a.npy", "b.npy"):
        x = np.load(file)
        expected = jacobian_norm(unroll(cell("lstm", 2, x.shape[1]), N, inputs=x[:N]))
        assert found["lstm", file].tolist() == [float(expected)] * 2
        field = NeuralField.random(2, 0, x.shape[1])
        alone = jacobian_norm(field, "leapfrog", STEPS, N, inputs=x[:N])
        np.testing.assert_array_equal(found["neural", file], alone)
    assert verify("out", progress=False).ok and open_results("out").study == study
    assert results.to_pandas()["inputs"].unique().tolist() == ["2", "a.npy", "b.npy"]


def test_a_file_of_inputs_is_known_by_what_it_holds(tmp_path):
    np.save("a.npy", inputs_of(N))
    shutil.copy("a.npy", "copy.npy")
    grid = {"model": "lstm", "d": 2, "n_steps": N}
    study = Study({**grid, "inputs": "a.npy"}, "norm")
    (one,), (other,) = study.cells(), Study({**grid, "inputs": "copy.npy"}, "norm").cells()
    assert one.address == other.address and "a.npy" not in one.description
    assert type(one)(*one.__reduce__()[1]).description == one.description
    study.run("out", progress=False)
    np.save("a.npy", inputs_of(N, seed=4))
    with pytest.raises(ValueError, match=r"another study.*the file a\.npy was another one"):
        Study({**grid, "inputs": "a.npy"}, "norm").run("out", progress=False)
    assert open_results("out").study == study


def test_weights_of_a_file_take_inputs_of_files(tmp_path):
    x = inputs_of(N, 1)
    np.save("x.npy", x[:, 0])
    gru = cell("gru", 2, 1, 5)
    save_weights("gru.npz", gru)
    study = Study({"model": "gru=gru.npz", "n_steps": N, "inputs": "x.npy"}, "norm")
    (values,) = (study.run("out", progress=False).read(one) for one in study.cells())
    assert values["norm"].tolist() == [float(jacobian_norm(unroll(gru, N, inputs=x)))]
    with pytest.raises(ValueError, match=r"inputs of gru=gru\.npz must be \.npy files, got 2"):
        Study({"model": "gru=gru.npz", "inputs": 2})


@pytest.mark.parametrize(
    ("array", "fragment"),
    [
        (inputs_of(N - 1), f"has {N - 1} rows, and n_steps is {N}"),
        (np.zeros((N, 2, 2)), "inputs has 3 dimensions"),
        (np.zeros((N, 0)), "without a single input"),
        (np.full((N, 1), np.nan), "inputs holds nan"),
        (np.array(["a"] * N), "inputs has dtype"),
    ],
)
def test_a_wrong_file_of_inputs_is_named_before_anything_is_computed(tmp_path, array, fragment):
    np.save("x.npy", array)
    with pytest.raises((ValueError, TypeError), match=fragment):
        Study({"model": "lstm", "d": 2, "n_steps": N, "inputs": "x.npy"})


def test_a_missing_file_of_inputs_is_named(tmp_path):
    with pytest.raises(OSError, match=r"x\.npy"):
        Study({"model": "lstm", "d": 2, "n_steps": N, "inputs": "x.npy"})
    with pytest.raises(ValueError, match=r"a whole number or a \.npy file, got 'x.csv'"):
        Study({"model": "lstm", "d": 2, "inputs": "x.csv"})


def test_results_are_opened_without_running_a_module_that_differs(tmp_path):
    Study({"model": "study_models:mine", "d": 2, "n_steps": N}, "norm").run("out", progress=False)
    assert open_results("out").study.checksums.keys() == {"study_models:mine"}
    plain = Store("out").described()
    assert "checksums" in plain["study"]
    (tmp_path / "imported").unlink()
    (tmp_path / "study_models.py").write_text(OWN + "\n")
    del __import__("sys").modules["study_models"]
    with pytest.raises(ValueError, match="module of model study_models:mine is not the one"):
        open_results("out")
    assert not (tmp_path / "imported").exists()


# Catches: an ensemble of sequences that is taken for one, and a refusal that does not say what to write.
def test_a_file_of_many_sequences_needs_the_number_of_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("many.npy", np.zeros((3, 5, 2)))
    with pytest.raises(ValueError, match=r"3 sequences; name one of them, such as many\.npy\[0\]"):
        Study({"d": 2, "n_steps": 5, "inputs": "many.npy"}, "norm")
    assert Study({"d": 2, "n_steps": 5, "inputs": ["many.npy[0]", "many.npy[2]"]}, "norm").n_cells == 2
