"""Weights from files on the command line: what is printed is what is computed."""

import json

import numpy as np
import pytest

from sensitivity import log_jacobian_norm, unroll
from sensitivity.cli import main
from sensitivity.recurrences.registry import drawn_inputs, make
from sensitivity.weights.weight_files import save_weights
from sensitivity.weights.weights import from_torch, to_torch


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_weights("cornn.npz", make("cornn", 3, 2, gamma=3.0, step=0.2))
    save_weights("lstm.npz", make("lstm", 4, 2))
    np.savez("rnn.npz", **to_torch(make("vanilla", 4, 2)))
    np.savez(
        "two.npz",
        **{f"{p}.{k}": v for p in "ab" for k, v in to_torch(make("gru", 2 + (p == "b"), 2)).items()},
    )
    return tmp_path


def shown(capsys, *words):
    assert main([*words, "--n-steps", "20", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_comparison_of_files_says_what_it_computes(folder, capsys):
    drive = drawn_inputs(20, 2, 0)
    found = shown(capsys, "compare", "cornn=cornn.npz", "rnn=rnn.npz", "gru=two.npz", "--set",
    "rnn.activation=ReLU",
                  "--set", "gru.prefix=b", "--set", "gamma=3")["results"]  # fmt: skip
    relu = from_torch(to_torch(make("vanilla", 4, 2)), activation="relu")
    for word, cell in (
        ("cornn=cornn.npz", make("cornn", 3, 2, gamma=3.0, step=0.2)),
        ("rnn=rnn.npz", relu),
        ("gru=two.npz", make("gru", 3, 2)),
    ):
        assert found[word]["d"] == cell.d
        expected = log_jacobian_norm(unroll(cell, inputs=drive))
        assert found[word]["log_norms"][-1] == pytest.approx(float(expected))
    assert found["rnn=rnn.npz"]["settings"] == {"activation": "ReLU"}


def test_headings_have_the_dimension_of_the_file(folder, capsys):
    for words, heading in (
        (["cornn=cornn.npz"], "d = 3, N = 20"),
        (["lstm=lstm.npz", "lstm", "--d", "4"], "d = 4, N = 20"),
        (["cornn=cornn.npz", "gru"], "d = 3 (64 for gru), N = 20"),
    ):
        assert main(["compare", *words, "--n-steps", "20"]) == 0
        assert capsys.readouterr().out.startswith(heading)


def test_settings_of_models_by_name(folder, capsys):
    found = shown(capsys, "compare", "cornn", "leaky", "hamiltonian", "--d", "3", "--set", "gamma=2.5")[
        "results"
    ]
    expected = log_jacobian_norm(unroll(make("cornn", 3, 1, gamma=2.5), inputs=drawn_inputs(20, 1, 0)))
    assert found["cornn"]["log_norms"][-1] == pytest.approx(float(expected))
    assert found["leaky"]["settings"] == found["hamiltonian"]["settings"] == {}


def test_norm_reads_the_model_from_the_file(folder, capsys):
    expected = log_jacobian_norm(
        unroll(make("cornn", 3, 2, gamma=3.0, step=0.2), inputs=drawn_inputs(20, 2, 0))
    )
    for words in ([], ["--model", "cornn"], ["--set", "gamma=3"]):
        found = shown(capsys, "norm", "--weights", "cornn.npz", *words)
        assert found["results"]["log_norm"][0] == pytest.approx(float(expected))
        assert found["parameters"]["settings"] == {"gamma": 3.0, "epsilon": 1.0, "imex": False}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["norm", "--weights", "cornn.npz", "--model", "cornn", "--set", "gamma=30"],
            "gamma=30 contradicts cornn.npz",
        ),
        (["norm", "--weights", "cornn.npz", "--set", "gamma=30"], "gamma=30 contradicts cornn.npz"),
        (["norm", "--weights", "cornn.npz", "--model", "lem"], "lem was asked for, but cornn"),
        (["norm", "--weights", "lstm.npz", "--scheme", "euler"], "--scheme belongs to fields"),
        (["norm", "--weights", "rnn.npz"], "as in --model lstm"),
        (["norm", "--weights", "two.npz", "--model", "gru"], "prefix='a'"),
        (["norm", "--weights", "x.pt"], "torch.load('x.pt'"),
        (["norm", "--weights", "x.h5", "--model", "lstm"], "h5py.File('x.h5')"),
        (["norm", "--weights", "field.npz"], "holds v beside W and b"),
        (["recommend", "--weights", "cornn.npz"], "cornn is a recurrent cell and no field"),
        (["compare", "cornn=cornn.npz", "--set", "gamma=30"], "gamma=30 contradicts"),
        (["compare", "cornn=cornn.npz", "--d", "3"], "--d says nothing"),
        (["compare", "leaky", "--set", "gama=3"], "gama is no setting of any of leaky"),
        (["compare", "leaky", "cornn", "--set", "leaky.gamma=3"], "gamma is no setting of leaky"),
        (["compare", "lstm=x.pt"], "torch.load('x.pt'"),
        (["compare", "lstn=lstm.npz"], "Did you mean 'lstm'"),
    ],
)
def test_mistakes_are_named(folder, words, message, capsys):
    np.savez("field.npz", W=np.eye(2), b=np.ones(2), v=np.ones((2, 1)))
    assert main(words) == 2
    assert message in capsys.readouterr().err
