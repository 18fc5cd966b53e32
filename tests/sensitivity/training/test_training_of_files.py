"""Training that starts from the weights of a file, and of cells that a function of one's own makes."""

import json

import numpy as np
import pytest

from integrators import NeuralField
from sensitivity import SequenceClassifier, cell, save_weights, unroll
from sensitivity.cli import main
from sensitivity.training.data.tasks import TASKS
from sensitivity.training.models import MODELS as NETWORKS
from sensitivity.training.models import Shape, network_from_weights
from sensitivity.training.start import Start

OWN = """
from sensitivity import cell
def mine(d, n_inputs=0, rng=0, gamma=0.5):
    return cell("antisymmetric", d, n_inputs, rng, gamma=gamma)
"""
SMALL = ["--train", "20", "--test", "10", "--epochs", "1", "--batch", "10", "--n-steps", "5", "--json"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "train_models.py").write_text(OWN)
    monkeypatch.delitem(__import__("sys").modules, "train_models", raising=False)


@pytest.mark.parametrize("scheme", [None, "explicit_euler"])
def test_the_first_scores_are_those_of_the_field_in_the_file(scheme):
    field = NeuralField.random(3, 1, inputs=2, activation="sin")
    np.savez("net.npz", W=field.W, V=field.V, b=field.b)
    settings = {"step": 0.3, "activation": "sin", "scheme": scheme}
    network = network_from_weights("hamiltonian", "net.npz", Shape(10, 6, 2, 2), settings)
    theta = Start().draw(network, 0)
    inputs = np.random.default_rng(2).normal(size=(6, 2, 4))
    expected = []
    for q in range(4):
        run = unroll(field, 6, inputs=inputs[:, :, q], step=0.3, scheme=scheme or "leapfrog")
        expected.append(network.named(theta)["R"] @ run.run()[..., :3].ravel())
    assert np.allclose(network.scores(theta, inputs).T, expected, rtol=1e-12, atol=1e-14)


def test_euler_from_a_file_is_the_cell_of_that_name():
    own = cell("euler", 3, 1, 4, step=0.2)
    save_weights("euler.npz", own)
    network = network_from_weights("euler", "euler.npz", Shape(10, 6), {})
    assert network.cell == own


def test_a_checkpoint_knows_the_weights_and_the_module(capsys, tmp_path):
    def status(*words):
        found = main(["train", "xor", *words, *SMALL])
        return found, capsys.readouterr().err

    field = NeuralField.random(3, 1, inputs=1)
    np.savez("net.npz", W=field.W, V=field.V, b=field.b)
    by_file = ("--model", "hamiltonian=net.npz", "--step", "1/N", "--checkpoint", "a.npz")
    assert status(*by_file) == (0, "") == status(*by_file)
    np.savez("net.npz", W=2 * field.W, V=field.V, b=field.b)
    assert "other first parameters" in status(*by_file)[1]
    own = ("--model", "train_models:mine", "--d", "3", "--checkpoint", "b.npz")
    assert status(*own) == (0, "") == status(*own)
    (tmp_path / "train_models.py").write_text(OWN + "# another rule\n")
    assert "b.npz is of another run: module" in status(*own)[1]


def test_a_function_of_ones_own_trains_as_the_cell_that_it_makes(capsys):
    words = ["--model", "train_models:mine", "--set", "gamma=0.25", "--d", "3"]
    assert main(["train", "shock", *words, *SMALL]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["model"], found["network"]["cell"]) == ("train_models:mine", cell("antisymmetric", 3).name)
    X = np.random.default_rng(0).normal(size=(40, 5))
    y = X.sum(axis=1) > 0
    fitted = SequenceClassifier("train_models:mine", 3, epochs=1, progress=False).fit(X, y)
    network = fitted._network
    by_hand = cell("antisymmetric", 3, 1, 0, gamma=0.5)
    assert network.cell.kind == by_hand.kind and fitted.predict(X).shape == (40,)


# Catches: a model whose options, start or read-out do not fit a task, one whose state no read-out sees.
@pytest.mark.parametrize("model", NETWORKS)
def test_every_model_takes_a_step_on_every_task_and_on_a_file(model, capsys, tmp_path):
    rng, lines = np.random.default_rng(0), ["@classLabel true a b c", "@data"]
    lines += [":".join((*(",".join(f"{x:.3f}" for x in rng.normal(size=6)) for _ in range(2)), "abc"[i % 3]))
              for i in range(24)]  # fmt: skip
    for part in ("TRAIN", "TEST"):
        (tmp_path / f"own_{part}.ts").write_text("\n".join(lines) + "\n")
    usual = ["--model", model, "--recipe", "none", "--d", "4", "--epochs", "1", "--batch", "8", "--json"]
    sizes = ["--n-steps", "12", "--train", "16", "--test", "8", "--validation", "4"]
    for words in (*([task, *sizes] for task in TASKS), [str(tmp_path / "own_TRAIN.ts")]):
        assert main(["train", *words, *usual]) == 0
        found = json.loads(capsys.readouterr().out)
        assert 0.0 < found["loss"][-1] < 500.0 and 0.0 < found["gradient_norm"][-1] < 1e4, words[0]
        assert 0.0 <= found["test"] <= 1.0
