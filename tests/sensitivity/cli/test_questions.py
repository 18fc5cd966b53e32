"""The commands on windows, parameters, memory, directions and reports; ensembles and their quantiles."""

import json

import numpy as np
import pytest

import leapgrad as lg
from sensitivity.cli import main
from sensitivity.recurrences.registry import drawn_inputs

WORDS = ["--model", "gru", "--d", "3", "--n-inputs", "2", "--n-steps", "20"]
RUN = lg.unroll(lg.cell("gru", 3, 2), inputs=drawn_inputs(20, 2, 0))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def shown(capsys, *words):
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_each_command_has_the_numbers_of_its_function(capsys):
    windows = shown(capsys, "windows", *WORDS, "--width", "6")["results"]
    assert np.allclose(windows["log_norms"][0], lg.log_window_norms(RUN, 6), rtol=1e-14, atol=0)
    parameters = shown(capsys, "parameters", *WORDS)
    expected = lg.parameter_sensitivity(RUN)
    assert np.isclose(parameters["results"]["W"]["log_spectral"], expected["W"].log_spectral, rtol=1e-13)
    assert parameters["steps"]["window"] == [int(lg.gradient_in_time(RUN).window(0.01))]
    memory = shown(capsys, "memory", *WORDS, "--target", "last")["results"]
    last = np.eye(20)[-1]
    assert np.isclose(memory["correlation"], lg.readout_ceiling(RUN, last).correlation, rtol=1e-13)
    directions = shown(capsys, "directions", *WORDS, "--k", "2")["results"]
    assert np.allclose(directions["exponents"], lg.covariant_vectors(RUN, 2).exponents, rtol=1e-13)
    report = shown(capsys, "report", *WORDS)["results"]
    assert report["verdict"]["sentence"] == lg.report(RUN).sentence


@pytest.mark.parametrize("of", ("state", "inputs"))
def test_directions_of_the_state_and_of_the_inputs(of, capsys, tmp_path):
    words = ["directions", *WORDS, "--of", of, "--k", "2"]
    found, expected = shown(capsys, *words)["results"], lg.singular_directions(RUN, 2, of=of)
    for name in ("log_values", "right", "left"):
        values = np.reshape(found[name], getattr(expected, name).shape)
        assert np.allclose(values, getattr(expected, name), rtol=0, atol=1e-12)
    assert main([*words, "--out", "a.csv", "--plot", "a.png"]) == 0
    said, rows = capsys.readouterr().out, 2 * (20 if of == "inputs" else 1)
    assert "h[" in said and ("x[" in said) == (of == "inputs")
    assert (tmp_path / "a.csv").read_text().count("\n") == rows + 1
    for wrong, message in ((["--burn-in", "3"], "--burn-in is for covariant"), (["--k", "4"], "at most")):
        assert main([*words, *wrong]) == 2 and message in capsys.readouterr().err
    assert main(["directions", *WORDS, "--block", "h"]) == 2
    assert "covariant vectors are of the whole state" in capsys.readouterr().err


@pytest.mark.parametrize("command", ("windows", "parameters", "memory", "directions", "report"))
def test_tables_and_pictures(command, capsys, tmp_path):
    assert main([command, *WORDS, "--out", "a.csv", "--plot", "a.png"]) == 0
    said = capsys.readouterr().out
    assert "gru" in said and "written: a.png" in said
    assert (tmp_path / "a.csv").read_text().count("\n") >= 2 and (tmp_path / "a.png").stat().st_size > 1000


@pytest.mark.parametrize("command", ("norm", "profile", "growth", "windows", "parameters"))
@pytest.mark.parametrize("model", (WORDS, ["--d", "2", "--step", "0.1", "--n-steps", "20"]))
def test_ensembles_show_quantiles(command, model, capsys):
    assert main([command, *model, "--ensemble", "6"]) == 0
    said = capsys.readouterr().out
    assert "median" in said or "6 members" in said or "95 %" in said


def test_an_ensemble_is_a_batch_of_sequences_and_a_file_may_hold_them(capsys):
    sequences = np.random.default_rng([0, 2]).standard_normal((4, 20, 2))
    np.save("x.npy", sequences)
    drawn = shown(capsys, "norm", *WORDS, "--ensemble", "4")["results"]["norm"]
    read = shown(capsys, "norm", *WORDS[:4], *WORDS[6:], "--inputs", "x.npy")["results"]["norm"]
    expected = lg.jacobian_norm(lg.unroll(lg.cell("gru", 3, 2), inputs=sequences))
    assert np.allclose(drawn, expected, rtol=1e-13) and np.allclose(read, expected, rtol=1e-13)
    both = [*WORDS[:4], *WORDS[6:], "--inputs", "x.npy", "--ensemble", "3"]
    for words, message in (
        (both, "leave one out"),
        (["--d", "2", "--step", "0.1,0.2", "--n-steps", "5", "--ensemble", "3"], "takes one --step, got 2"),
        (["--d", "2", "--step", "0.1", "--n-steps", "5", "--ensemble", "0"], "--ensemble must be at least 1"),
    ):
        assert main(["norm", *words]) == 2
        assert message in capsys.readouterr().err


def test_targets(capsys):
    np.save("g.npy", np.arange(20.0))
    found = shown(capsys, "memory", *WORDS, "--target", "g.npy")["results"]
    assert np.isclose(found["correlation"], lg.readout_ceiling(RUN, np.arange(20.0)).correlation, rtol=1e-13)
    assert main(["memory", *WORDS, "--target", "nonsense"]) == 2
    assert "use mean, first, last" in capsys.readouterr().err


def test_the_window_of_a_run_of_fewer_than_ten_steps_is_the_run(capsys):
    words = ("--model", "gru", "--d", "2", "--n-inputs", "1")
    found = shown(capsys, "windows", *words, "--n-steps", "4")
    assert found["parameters"]["width"] == 4 and len(found["results"]["log_norms"][0]) == 1
    assert shown(capsys, "windows", *words, "--n-steps", "40")["parameters"]["width"] == 10
