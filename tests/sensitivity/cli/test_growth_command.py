"""`leapgrad growth`, and the singular values and float32 members of `leapgrad norm`."""

import csv
import json
import math

import numpy as np
import pytest

from integrators import NeuralField
from sensitivity import float32_error, growth_exponents, jacobian_norm, log_singular_values, singular_values
from sensitivity.cli import main
from sensitivity.cli.analysis import growth as command

SMALL = ("--d", "3", "--n-steps", "400", "--step", "0.1,0.3")
STEPS = [0.1, 0.3]


@pytest.fixture
def found():
    return growth_exponents(NeuralField.random(3), "leapfrog", STEPS, 400)


def test_growth_is_that_of_the_library(capsys, found, tmp_path):
    out, plot = tmp_path / "g.csv", tmp_path / "g.png"
    assert main(["growth", *SMALL, "--out", str(out), "--plot", str(plot)]) == 0
    text = capsys.readouterr().out
    rows = [line.split() for line in text.splitlines()[3:15]]
    assert [float(row[2]) for row in rows] == pytest.approx(found.exponents.ravel().tolist(), rel=1e-6)
    assert [float(row[3]) for row in rows] == pytest.approx(found.standard_error.ravel().tolist(), rel=0.06)
    table = list(csv.DictReader(out.open()))
    np.testing.assert_array_equal([float(r["exponent"]) for r in table], found.exponents.ravel())
    np.testing.assert_array_equal([float(r["per_time"]) for r in table], found.per_time.ravel())
    assert [r["number"] for r in table] == ["1.0", "2.0", "3.0", "4.0", "5.0", "6.0"] * 2
    assert plot.read_bytes()[:4] == b"\x89PNG"


def test_growth_as_json(capsys, found):
    assert main(["growth", *SMALL, "--json"]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    np.testing.assert_array_equal(results["exponents"], found.exponents)
    np.testing.assert_array_equal(results["series"], found.series)
    np.testing.assert_array_equal(results["series_steps"], found.series_steps)
    np.testing.assert_allclose(results["sum"], 0.0, atol=1e-14)
    assert (np.array(results["exponents"]) <= np.array(results["bound"])[:, None]).all()


# Equality: W = 1, σ = identity and Euler grow by 1 + ε in every step.
def test_the_bound_is_reached_and_holds(capsys, tmp_path):
    np.savez(tmp_path / "one.npz", W=[[1.0]], b=[0.0])
    arguments = ["--weights", str(tmp_path / "one.npz"), "--activation", "identity", "--scheme", "euler"]
    assert main(["growth", *arguments, "--n-steps", "50", "--step", "0.5", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert results["exponents"][0][0] == pytest.approx(math.log(1.5), rel=1e-14)
    assert results["bound"][0] == pytest.approx(math.log(1.5), rel=1e-12)
    assert results["standard_error"] == [[None]]  # too few segments to tell


def test_an_exponent_above_its_bound_is_status_1(capsys, monkeypatch):
    monkeypatch.setattr(command, "_bound", lambda asked, found: np.full(2, -1.0))
    assert main(["growth", *SMALL]) == 1
    assert "12 exponents lie above a proved bound" in capsys.readouterr().out


def test_the_picture_shows_the_series(found):
    left, right = found.plot()
    np.testing.assert_array_equal(right.lines[0].get_ydata(), found.series[0, :, 0])
    np.testing.assert_array_equal(left.containers[1].lines[0].get_ydata(), found.exponents[1])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("growth", "--k", "7"), "k must be at most 6"),
        (("growth", "--n-steps", "0"), "n_steps must be at least 1"),
        (("growth", "--burn-in", "400"), "burn_in must be less than n_steps"),
        (("growth", "--qr-every", "0"), "qr_every must be at least 1"),
        (("growth", "--plot", "g.gif"), "must end in .png"),
        (("norm", "--k", "4"), "k must be at most 3"),
        (("norm", "--k", "0"), "k must be at least 1"),
        (("norm", "--k", "4", "--smallest"), "--k must lie between 1 and 3"),
        (("norm", "--smallest"), "--smallest needs --k"),
        (("norm", "--dtype", "float16"), "'float16' is not known"),
    ],
)
def test_mistakes_are_one_line(arguments, said, capsys):
    name, *rest = arguments
    assert main([name, *SMALL, *rest]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("block", ["position", "phase"])
def test_norm_shows_singular_values(capsys, block):
    field, case = NeuralField.random(3), ["norm", *SMALL, "--block", block, "--k", "2", "--json"]
    main(case)
    results = json.loads(capsys.readouterr().out)["results"]
    largest = singular_values(field, "leapfrog", STEPS, 400, block=block, k=2).log
    np.testing.assert_array_equal([results["log_sigma_1"], results["log_sigma_2"]], largest.T)
    main([*case, "--smallest"])
    results = json.loads(capsys.readouterr().out)["results"]
    every = log_singular_values(field, "leapfrog", STEPS, 400, block=block)
    width = every.shape[1]
    np.testing.assert_array_equal(results[f"log_sigma_{width}"], every[:, -1])
    np.testing.assert_array_equal(results[f"log_sigma_{width - 1}"], every[:, -2])


def test_float32_comes_with_its_error(capsys):
    field = NeuralField.random(3)
    assert main(["norm", *SMALL, "--dtype", "float32"]) == 0
    head, *rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:] if "─" not in line]
    assert head[-3:] == ["error", "of", "float32"]
    expected = float32_error(field, "leapfrog", STEPS, 400)
    assert [float(row[-1]) for row in rows] == pytest.approx(expected.tolist(), rel=0.06)
    norms = jacobian_norm(field, "leapfrog", STEPS, 400, dtype="float32")
    assert [float(row[1]) for row in rows] == pytest.approx(norms.tolist(), rel=1e-5)


# The norm equals its bound, and rounds above it in float32.
def test_float32_is_not_mistaken_for_a_broken_bound(capsys, tmp_path):
    np.savez(tmp_path / "one.npz", W=[[1.0]], b=[0.0])
    arguments = ["--weights", str(tmp_path / "one.npz"), "--activation", "identity", "--scheme", "euler"]
    assert main(["norm", *arguments, "--n-steps", "300", "--step", "0.1,0.3,0.7", "--dtype", "float32"]) == 0
    assert "above a proved bound" not in capsys.readouterr().out


# Catches: the step size 1 of a cell that has none, as if it could be chosen.
@pytest.mark.parametrize("command", ("norm", "bound", "growth", "memory", "certify"))
def test_only_models_with_a_step_size_have_a_column_of_step_sizes(command, capsys):
    if command == "certify":
        pytest.importorskip("flint")
    for model, shown in (("gru", False), ("cornn", True)):
        assert main([command, "--model", model, "--d", "2", "--n-inputs", "1", "--n-steps", "5"]) == 0
        out = capsys.readouterr().out
        assert ("step ε" in out, "/ε" in out) == (shown, shown and command == "growth")
        rule = next(line for line in out.splitlines() if line.startswith("─"))
        assert len(rule) == len(rule.strip())


# Catches: an error of nan, and the exponents of several members in a row as if they were those of one.
def test_what_is_shown_of_few_steps_and_of_a_batch():
    import leapgrad as lg

    cell = lg.cell("gru", 2, rng=0)
    one = repr(lg.growth_exponents(lg.unroll(cell, 50)))
    assert "nan" not in one and one.endswith("too few steps for a standard error)")
    start = np.random.default_rng(0).normal(size=(3, 2))
    found = lg.growth_exponents(lg.unroll(cell, 500, start))
    low, high = found.exponents[:, 0].min(), found.exponents[:, 0].max()
    assert f"batch of shape (3,), the first of 2 from {low:.6g} to {high:.6g} per step" in repr(found)
