"""Studies of models that come from files: weights by a checksum, functions by the path of their import."""

import shutil

import numpy as np
import pytest

from sensitivity import Study, cell, jacobian_norm, open_results, save_weights, unroll
from sensitivity.recurrences.registry import drawn_inputs
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
