"""`leapgrad train`, the models by name, and the classifier on arrays."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sensitivity.cli import main
from sensitivity.training.classifier import SequenceClassifier
from sensitivity.training.data.sequences import hold_out
from sensitivity.training.data.tasks import TASKS, get_task
from sensitivity.training.models import MODELS, Shape, make_network, parse_step
from sensitivity.training.recipes import DEFAULT, RECIPES, filled
from sensitivity.training.start import Start
from sensitivity.training.trainer import Recipe, Split, accuracy, train

QUICK = ["--n-steps", "10", "--train", "200", "--test", "100", "--epochs", "2", "--batch", "50", "--d", "4"]


def run(capsys, *argv):
    status = main(["train", *argv])
    out, err = capsys.readouterr()
    return status, out, err


def test_train_prints_the_bayes_accuracy_and_what_was_reached(capsys):
    status, out, _ = run(capsys, "shock", *QUICK, "--step", "1/N", "--threshold", "0.01")
    assert status == 0
    assert "ε = 0.1, hamiltonian, d = 4, 16 hidden parameters" in out
    assert "95.58 %" in out and "1 % reached after 1 iterations" in out


def test_train_json_and_checkpoint(capsys, tmp_path):
    path = str(tmp_path / "run.npz")
    argv = ["xor", *QUICK, "--model", "antisymmetric", "--gamma", "0.1", "--checkpoint", path, "--json"]
    first, again = (json.loads(run(capsys, *argv)[1]) for _ in range(2))
    assert first["hidden_parameters"] == 6 and first["network"]["gamma"] == 0.1
    assert first["iteration"] == [0, 4, 8] and first["best_possible"] == 1.0
    assert first["accuracy"] == again["accuracy"]


def test_train_on_a_file(capsys, tmp_path):
    rng = np.random.default_rng(0)
    for part in ("TRAIN", "TEST"):
        rows = [f"{label} " + " ".join(map(str, rng.normal(label, 1.0, 8))) for label in (1, 3) * 20]
        (tmp_path / f"X_{part}.txt").write_text("\n".join(rows))
    argv = ["--batch", "10", "--epochs", "30", "--d", "4"]
    status, out, _ = run(capsys, str(tmp_path / "X_TRAIN.txt"), *argv, "--threshold", "0.8")
    assert status == 0 and "80 % reached" in out


def test_recipes_fill_in_what_is_not_given():
    given = dict.fromkeys((*DEFAULT, *RECIPES["mnist"]))
    assert filled(given, None)["d"] == DEFAULT["d"] and filled(given, None)["cosine"] is None
    found = filled({**given, "d": 7}, "mnist")
    assert found["d"] == 7 and found["rate"] == RECIPES["mnist"]["rate"] and found["seed"] == DEFAULT["seed"]
    with pytest.raises(ValueError, match="Did you mean 'mnist'"):
        filled(given, "mnits")


def test_out_has_what_was_seen_and_the_command(capsys, tmp_path):
    argv = ["xor", *QUICK, "--start", "oscillators", "--factors", "W=0.5,V=2", "--out", str(tmp_path / "run")]
    assert run(capsys, *argv)[0] == 0
    record, found = (
        json.loads((tmp_path / "run" / f"{name}.json").read_text()) for name in ("manifest", "run")
    )
    words = ["leapgrad train xor", "--n-steps 10", "--start oscillators", "--factors W=0.5,V=2", "--d 4"]
    assert all(word in record["command"] for word in words) and "--out" not in record["command"]
    assert record["parameters"]["recipe"]["factors"] == {"W": 0.5, "V": 2.0}
    assert found["loss"][0] is None and len(found["accuracy"]) == 3
    assert run(capsys, *record["command"].split()[2:], "--json")[1] != ""


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_for_mnist_have_about_as_many_hidden_parameters(name):
    recipe = filled(dict.fromkeys((*DEFAULT, *RECIPES["mnist"], "gamma")), name)
    step = recipe["step"] and parse_step(recipe["step"], 784)
    network = make_network(recipe["model"], Shape(recipe["d"], 784), step=step, gamma=recipe["gamma"])
    assert network.recurrent_parameters == pytest.approx(96**2, rel=0.02)
    same = ("batch", "epochs", "clip", "cosine")
    assert [recipe[one] for one in same] == [RECIPES["mnist"][one] for one in same]


def test_sequences_held_out_are_not_trained_on(capsys, tmp_path):
    """The run is that on the sequences that are left, and the accuracy on the others is told."""
    argv = ["shock", *QUICK, "--recipe", "none", "--train", "120", "--test", "40", "--batch", "40"]
    found = json.loads(run(capsys, *argv, "--validation", "40", "--json")[1])
    task = get_task("shock")
    first, second = (task.sample(n, 10, (0, part)) for part, n in enumerate((120, 40)))
    left, aside = hold_out(first, 40, 0)
    network = make_network("hamiltonian", Shape(4, 10), step=1.0)
    epochs = int(QUICK[QUICK.index("--epochs") + 1])
    theta = Start().draw(network, 0)
    data = Split(first.part(left), second, first.part(aside))
    again = train(network, data, Recipe(0.01, 40, epochs), theta)
    assert found["accuracy"] == again.trace.accuracy and found["watched"] == "validation"
    assert found["validation"] == again.accuracy == accuracy(network, again.theta, first.part(aside))
    assert found["test"] == accuracy(network, again.theta, second)
    assert found["sequences"] == {"train": 80, "validation": 40, "test": 40}
    out = run(capsys, *argv, "--validation", "40")[1]
    assert "of the 40 sequences held out" in out and out.count("test") == 1


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["xor", "--factors", "W"], "--factors must be names and numbers"),
        (["xor", "--recipe", "mnits"], "Did you mean 'mnist'"),
        (["xorr"], "Did you mean 'xor'"),
        (["xor", "--step", "N"], "step must be a positive number or c/N"),
        (["xor", "--model", "hamilton"], "Did you mean 'hamiltonian'"),
        (["xor", "--gamma", "0.1"], "model 'hamiltonian' has no option gamma"),
        (["shock", "--n-steps", "4"], "n_steps must be at least 5, got 4"),
        (["nowhere_TRAIN.txt"], "nowhere_TRAIN.txt does not exist"),
        (["nowhere_TRAIN.txt", "--n-steps", "4"], "--n-steps is for generated tasks"),
        (["mnist", "--data", "nowhere"], "train-images-idx3-ubyte.gz is neither in nowhere nor in"),
        (["mnist", "--fetch"], "--fetch needs --data"),
        (["xor", "--validation", "1000"], "--validation must be from 1 to 999"),
        (["xor", "--turns", "5"], "--turns must be two positive numbers"),
        (["xor", "--checkpoint", "/nowhere/at/all.npz"], "the folder of this file does not exist"),
    ],
)
def test_a_mistake_is_one_line(capsys, monkeypatch, argv, message):
    monkeypatch.delenv("LEAPGRAD_DATA", raising=False)
    status, out, err = run(capsys, *argv)
    assert status == 2 and out == "" and message in err and err.count("\n") == 1


def test_a_diverging_run_says_where(capsys):
    status, out, _ = run(capsys, "xor", *QUICK, "--rate", "1e9")
    assert status == 1 and "training diverged in epoch 1, iteration 2" in out


@pytest.mark.parametrize(("text", "step"), [("10/N", 0.1), ("1 / N", 0.01), ("0.25", 0.25), (0.5, 0.5)])
def test_steps(text, step):
    assert parse_step(text, 100) == step


@pytest.mark.parametrize("text", ["", "N", "-1/N", "nan", "inf/N", "1/M"])
def test_steps_that_are_none(text):
    with pytest.raises(ValueError, match="step must be"):
        parse_step(text, 100)


def test_a_model_without_its_step_is_named():
    with pytest.raises(ValueError, match="needs a step"):
        make_network("euler", Shape(3, 4))
    assert set(MODELS) >= {"hamiltonian", "euler", "antisymmetric"}


# ------------------------------------------------------------------------------------------ classifier


@pytest.fixture(scope="module")
def xor():
    data = TASKS["xor"].sample(400, 4, 0)
    return data.values[:, 0, :].T, np.array(["even", "odd"])[data.labels]


def test_classifier_learns_and_names_its_classes(xor):
    X, y = xor
    model = SequenceClassifier(d=8, step="10/N", rate=0.03, epochs=60, batch=50, threads=1)
    assert model.fit(X[:300], y[:300]) is model
    assert model.score(X[300:], y[300:]) > 0.95
    assert set(model.predict(X)) == {"even", "odd"} and model.predict_proba(X).shape == (400, 2)
    assert model.predict_proba(X).sum(axis=1) == pytest.approx(np.ones(400))
    other = SequenceClassifier(**model.get_params()).fit(X[:300], y[:300])
    assert np.array_equal(other.run_.theta, model.run_.theta)


def test_classifier_parameters_are_those_of_scikit_learn():
    model = SequenceClassifier().set_params(d=3, rate=0.5)
    assert model.get_params()["d"] == 3 and model.rate == 0.5
    with pytest.raises(ValueError, match="'depth' is no parameter"):
        model.set_params(depth=2)


def test_classifier_says_what_does_not_fit(xor):
    X, y = xor
    with pytest.raises(ValueError, match="not fitted yet"):
        SequenceClassifier().predict(X)
    with pytest.raises(ValueError, match="y has shape"):
        SequenceClassifier().fit(X, y[:-1])
    with pytest.raises(ValueError, match="only the class"):
        SequenceClassifier().fit(X, ["a"] * 400)
    with pytest.raises(ValueError, match="X holds nan"):
        SequenceClassifier().fit(np.where(X == X[0, 2], np.nan, X), y)
    fitted = SequenceClassifier(d=2, epochs=1, threads=1).fit(X, y)
    with pytest.raises(ValueError, match="sequences of shape"):
        fitted.predict(X[:, :3])
