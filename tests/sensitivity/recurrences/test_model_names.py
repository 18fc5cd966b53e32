"""Models by name: in every spelling wherever they are looked up, and functions of the user's modules."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import sensitivity
from sensitivity import SequenceClassifier, Study
from sensitivity.cli.entry import main
from sensitivity.recurrences.registry import hyperparameters, make
from sensitivity.training.models import Shape, make_network

OWN = '''
from sensitivity import cell
not_a_function = 3
def good(d, n_inputs=0, rng=0, gamma=0.5):
    """A model of the tests."""
    return cell("antisymmetric", d, n_inputs, rng, gamma=gamma)
def nothing(d, n_inputs=0, rng=0): pass
def raises(d, n_inputs=0, rng=0): raise RuntimeError("out of\\n order")
def leaves(d, n_inputs=0, rng=0): raise SystemExit(3)
def too_few(d): return cell("lstm", d)
'''
NO_BUILDERS = [
    "os:getcwd", "os:sep", "math:sqrt", "builtins:len", "builtins:dict", "builtins:print", "json:loads",
    "collections:OrderedDict", "sys:exit", "builtins:quit", "builtins:breakpoint", "os:", ":getcwd", "a:b:c",
    "models_of_tests:nothing", "models_of_tests:raises", "models_of_tests:leaves", "models_of_tests:too_few",
    "models_of_tests:not_a_function", "broken_of_tests:f", "leaving_of_tests:f",
]  # fmt: skip


@pytest.fixture
def modules(tmp_path, monkeypatch):
    for name, text in (
        ("models_of_tests", OWN),
        ("broken_of_tests", "def f(:"),
        ("leaving_of_tests", "raise SystemExit(5)"),
    ):
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", NO_BUILDERS)
def test_a_function_that_makes_no_cell_is_one_sentence(modules, name, capsys):
    """`os:getcwd` was "posix.getcwd() takes no arguments (3 given)", and `builtins:print` a traceback."""
    short = ["--d", "4", "--n-steps", "3"]
    for command in (
        ["norm", "--model", name, *short],
        ["compare", name, *short],
        ["train", "xor", "--epochs", "1", "--model", name],
        ["sweep", "--model", name, *short, "--out", str(modules / "study")],
    ):
        assert main(command) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"leapgrad: error: model {name!r} "), line
    with pytest.raises(ValueError, match=f"^model {name!r} "):
        make(name, 2)


def test_a_function_of_ones_own_makes_cells_with_its_settings(modules):
    own = make("models_of_tests:good", 3, 1, 4, gamma=0.25)
    assert own == sensitivity.cell("antisymmetric", 3, 1, 4, gamma=0.25)
    assert hyperparameters("models_of_tests:good") == {"gamma": 0.5}
    with pytest.raises(ValueError, match=r"models_of_tests:good has no hyperparameter 'mu'; it has gamma"):
        make("models_of_tests:good", 3, mu=1.0)
    with pytest.raises(ValueError, match=r"cannot be made: ValueError: gamma must be finite, got nan"):
        make("models_of_tests:good", 3, gamma=np.nan)


def test_trained_models_and_studies_know_every_spelling():
    assert make_network(" LSTM", Shape(2, 5)).describe() == make_network("lstm", Shape(2, 5)).describe()
    assert make_network("RNN", Shape(2, 5)).describe() == make_network("vanilla", Shape(2, 5)).describe()
    study = Study({"model": ["LSTM", "rnn"], "d": [2]})
    assert study == Study({"model": ["lstm", "vanilla"], "d": [2]})
    with pytest.raises(ValueError, match="model is lstm, lstm; give at least one, and each once"):
        Study({"model": ["lstm", "LSTM"]})
    X, y = np.random.default_rng(0).normal(size=(20, 5)), np.arange(20) % 2
    given = {"d": 2, "epochs": 1, "threads": 1}
    fitted = [SequenceClassifier(model=name, **given).fit(X, y) for name in ("GRU", "gru")]
    assert np.array_equal(*(one.decision_function(X) for one in fitted))


def test_a_checkpoint_is_of_the_model_whatever_its_spelling(tmp_path, capsys):
    once = ["train", "xor", "--train", "60", "--test", "20", "--n-steps", "6", "--d", "2", "--epochs", "1",
            "--recipe", "none", "--checkpoint", str(tmp_path / "a.npz"), "--model"]  # fmt: skip
    assert main([*once, "RNN"]) == 0
    assert main([*once, "vanilla"]) == 0


def test_the_current_folder_is_the_last_place_for_a_module(tmp_path):
    """As from the console script, whose path does not have that folder; no file there hides a module."""
    (tmp_path / "mine_of_tests.py").write_text(
        "import colorsys, leapgrad\n\ndef network(d, n_inputs, rng):\n    return leapgrad.cell('gru', d)\n"
    )
    (tmp_path / "colorsys.py").write_text("raise SystemExit('the file in the current folder was imported')\n")
    command = [sys.executable, "-P", "-m", "leapgrad", "norm", "--model", "mine_of_tests:network"]
    done = subprocess.run(
        [*command, "--d", "3", "--n-steps", "4", "--json"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["results"]["norm"]
    own = sensitivity.jacobian_norm(sensitivity.unroll(make("gru", 3), 4))
    assert found == [float(own)]
