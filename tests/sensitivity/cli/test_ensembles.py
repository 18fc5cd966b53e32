"""Ensembles and files of several sequences for every command that runs a network, and what they show."""

import json

import numpy as np
import pytest

import leapgrad as lg
from sensitivity.analysis.memory.quantiles import quantiles
from sensitivity.cli import main
from sensitivity.cli.network import quantiles as of_all

CELL = ["--model", "gru", "--d", "3", "--n-steps", "12"]
FIELD = ["--d", "2", "--step", "0.1", "--n-steps", "12"]
DRAWN = np.random.default_rng([0, 2]).standard_normal((4, 12, 2))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", DRAWN)


def shown(capsys, *words):
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


# Catches: a quantile of another axis, one that counts NaN, and one that interpolates between infinities.
def test_quantiles_are_numbers_that_occur():
    values = np.arange(20.0)[:, None] * [1.0, -1.0]
    values[3, 0], values[5, 1] = np.nan, -np.inf
    assert np.array_equal(quantiles(values)[1], [10.0, -10.0])
    assert np.array_equal(quantiles(values)[0], [0.0, -19.0])  # −inf is below, and then −19
    assert np.isnan(quantiles(np.full((3, 2), np.nan))).all() and quantiles(np.zeros((0, 2))).shape == (3, 2)
    assert of_all([1.0, np.nan, np.inf]) == (1.0, np.inf, np.inf)


@pytest.mark.parametrize("words", (CELL, FIELD))
def test_bound_of_sequences_of_a_file_and_of_drawn_ones(words, capsys):
    drawn = shown(capsys, "bound", *words, "--n-inputs", "2", "--ensemble", "4", "--products")
    read = shown(capsys, "bound", *words, "--inputs", "x.npy", "--products")
    assert drawn["log_norm"] == read["log_norm"] and drawn["violations"] == 0
    for member, inputs in enumerate(DRAWN):
        np.save("one.npy", inputs)
        one = shown(capsys, "bound", *words, "--inputs", "one.npy", "--products")
        assert np.isclose(read["log_norm"][member], one["log_norm"][0], rtol=1e-12)
        values = {bound["name"]: bound["log_value"] for bound in one["bounds"]}
        for bound in read["bounds"]:
            # A bound from the weights alone has one value for all members.
            own = np.broadcast_to(bound["log_value"], 4)[member]
            assert np.isclose(own, np.ravel(values[bound["name"]])[0], rtol=1e-12), bound["name"]
        assert {bound["name"] for bound in read["bounds"]} == set(values)
    assert main(["bound", *words, "--inputs", "x.npy", "--products"]) == 0
    assert "of 4 members" in capsys.readouterr().out


@pytest.mark.parametrize("words", (CELL, FIELD))
def test_certify_has_a_certificate_for_each_sequence(words, capsys):
    pytest.importorskip("flint")
    found = shown(capsys, "certify", *words, "--inputs", "x.npy")["certificates"]
    norms = shown(capsys, "norm", *words, "--inputs", "x.npy")["results"]["norm"]
    assert len(found) == 4
    for one, norm in zip(found, norms, strict=True):
        assert one["lower"] * (1 - 1e-12) <= norm <= one["upper"] * (1 + 1e-12)
    assert main(["certify", *words, "--n-inputs", "2", "--ensemble", "2"]) == 0
    assert "member" in capsys.readouterr().out


def test_recommend_has_the_step_of_each_sequence_and_quantiles(capsys):
    words = ["recommend", "--d", "2", "--n-steps", "12"]
    found = shown(capsys, *words, "--inputs", "x.npy")
    field = lg.NeuralField.random(2, 0, 2)
    expected = [lg.recommend_step(field, 12, inputs=inputs) for inputs in DRAWN]
    assert np.allclose([one["observed"] for one in found["members"]], [one.observed for one in expected])
    assert found["observed_quantiles"]["median"] == of_all([one.observed for one in expected])[1]
    assert main([*words, "--n-inputs", "2", "--ensemble", "4"]) == 0
    said = capsys.readouterr().out
    assert "guaranteed (theorem C), for all" in said and "median of 4 members" in said


# Catches: medians over the wrong axis, and models that see different sequences.
def test_compare_shows_medians_and_bands(capsys, tmp_path):
    words = ["compare", "gru", "hamiltonian", "--d", "3", "--n-steps", "12", "--n-inputs", "2"]
    drawn = shown(capsys, *words, "--ensemble", "4")["results"]
    read = shown(capsys, *words, "--inputs", "x.npy")["results"]
    assert drawn == read and drawn["gru"]["members"] == 4
    runs = lg.unroll(lg.cell("gru", 3, 2), inputs=DRAWN)
    last = lg.log_jacobian_norm(runs)
    assert np.isclose(drawn["gru"]["log_norms"][-1], quantiles(last)[1], rtol=1e-12)
    assert np.allclose(
        np.array(drawn["gru"]["bands"]["log_norms"])[:, -1], quantiles(last)[[0, 2]], rtol=1e-12
    )
    profile = lg.gradient_profile(runs).log_norms
    assert np.allclose(drawn["gru"]["log_profile"], quantiles(profile)[1], rtol=0, atol=1e-12)
    assert main([*words, "--ensemble", "4", "--out", "a.csv", "--plot", "a.png"]) == 0
    assert "4 members" in capsys.readouterr().out
    assert "log_norm, 95 %" in (tmp_path / "a.csv").read_text() and (tmp_path / "a.png").stat().st_size > 1000


def test_compare_takes_what_the_other_commands_take(capsys):
    lg.save_weights("w.npz", lg.cell("leaky", 3, 1, rng=5, activation="relu"))
    named = shown(capsys, "compare", "leaky=w.npz", "--n-steps", "9")["results"]
    apart = shown(capsys, "compare", "leaky", "--weights", "w.npz", "--n-steps", "9")["results"]
    assert list(named) == list(apart) and named == apart
    short = ["compare", "leaky", "gru", "--d", "3", "--n-steps", "9"]
    by_set = shown(capsys, *short, "--set", "activation=relu")["results"]
    assert shown(capsys, *short, "--activation", "relu")["results"] == by_set
    assert by_set["leaky"]["settings"] == {"activation": "relu"}
    damped = shown(capsys, "compare", "cornn", "--d", "3", "--n-steps", "9", "--gamma", "2")["results"]
    assert damped["cornn"]["settings"] == {"gamma": 2.0}
    for words, message in (
        (["leaky", "gru", "--weights", "w.npz"], "--weights goes with one model"),
        (["gru", "--gamma", "2", "--d", "3"], "--gamma 2.0: gamma is no setting of any of gru"),
        (["gru", "--d", "3", "--inputs", "x.npy", "--ensemble", "3"], "leave one out"),
    ):
        assert main(["compare", *words, "--n-steps", "9"]) == 2
        assert message in capsys.readouterr().err


# Catches: sequences that are all the first one, and a file whose other sequences make an old cell pass.
def test_sweep_over_the_sequences_of_a_file_and_over_an_ensemble(capsys, tmp_path):
    words = ["sweep", *CELL, "--out", "study", "--csv", "a.csv", "--executor", "threads"]
    assert main([*words, "--inputs", "x.npy", "--seed", "0"]) == 0
    rows = [line.split(",") for line in (tmp_path / "a.csv").read_text().splitlines()]
    norms = [float(row[rows[0].index("log_norm")]) for row in rows[1:]]
    expected = lg.log_jacobian_norm(lg.unroll(lg.cell("gru", 3, 2, rng=0), inputs=DRAWN))
    assert np.allclose(norms, expected, rtol=1e-12)
    assert [row[rows[0].index("inputs")] for row in rows[1:]] == [f"x.npy[{i}]" for i in range(4)]
    capsys.readouterr()
    # Without --n-steps a run is as long as its file, as for the other commands.
    np.save("longer.npy", DRAWN[0])
    without = [
        "sweep",
        "--model",
        "gru",
        "--d",
        "3",
        "--inputs",
        "longer.npy",
        "--out",
        "long",
        "--csv",
        "c.csv",
    ]
    assert main(without) == 0
    found = (tmp_path / "c.csv").read_text().splitlines()
    assert float(found[1].split(",")[found[0].split(",").index("log_norm")]) == norms[0]
    capsys.readouterr()
    assert main([*words[:-4], "--out", "seeds", "--n-inputs", "2", "--ensemble", "3", "--csv", "b.csv"]) == 0
    assert (tmp_path / "b.csv").read_text().count("\n") == 4
    for wrong, message in (
        (["--inputs", "x.npy", "--n-inputs", "2"], "leave one out"),
        (["--ensemble", "0"], "--ensemble must be at least 1"),
    ):
        assert main([*words, *wrong]) == 2 and message in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"x\.npy has 4 sequences, from 0 on, and none of 4"):
        lg.Study({"model": "gru", "d": 3, "n_steps": 12, "inputs": "x.npy[4]"})
