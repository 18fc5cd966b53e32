"""What commands print says what it is of: steps that make a gradient, parameters, theorems, defaults."""

import json

import pytest

from sensitivity import report
from sensitivity.cli import main

LSTM = ["--model", "lstm", "--d", "3", "--n-inputs", "2", "--n-steps", "20"]


def printed(capsys, *words):
    assert main([*map(str, words)]) == 0
    return capsys.readouterr().out


# Catches: two counts of steps that are of two gradients, and neither of them named.
def test_steps_that_make_a_gradient_are_told_with_the_gradient(capsys):
    shown = printed(capsys, "parameters", *LSTM)
    assert "of 20 steps make all but 1 % of ∂s_N/∂θ, all components of s_N together" in shown
    assert "weight_hh_l0" in shown and "bias_ih_l0 + bias_hh_l0" in shown and "input gate i" in shown
    shown = printed(capsys, "report", *LSTM)
    assert (
        "steps that make 99 % of ∂(uᵀs_N)/∂θ" in shown and "u the direction in which s_N moves most" in shown
    )
    assert "W (weight_hh_l0)" in shown
    told = json.loads(printed(capsys, "parameters", *LSTM, "--json"))
    assert told["torch_names"]["V"] == "weight_ih_l0"
    other = printed(capsys, "parameters", "--model", "cornn", "--d", "2", "--n-steps", "5")
    assert "PyTorch" not in other and "W multiplies the state" in other


# Catches: theorems that hold and are not mentioned, and a certificate that does not say of what it is.
def test_a_certificate_names_every_theorem_and_what_it_is_of(capsys):
    pytest.importorskip("flint")
    shown = printed(capsys, "certify", "--d", 2, "--n-steps", 5, "--step", 0.1)
    rows = {line.split()[1]: line for line in shown.splitlines() if len(line.split()) > 3}
    for name in ("aposteriori", "weighted_product", "segment_product"):
        assert " yes " in rows[name] and "not decided" in rows[name]
    assert "does not hold: it is about the scheme 'euler'" in rows["euler"]
    assert "for exactly these weights, inputs, initial values and step sizes" in shown
    found = json.loads(printed(capsys, "certify", "--d", 2, "--n-steps", 5, "--step", 0.1, "--json"))
    theorems = found["certificates"][0]["theorems"]
    assert {row["theorem"] for row in theorems} >= set("BCDEFHK")


def test_bounds_say_that_there_are_those_of_a_trajectory(capsys):
    for steps in ("0.001", "0.5"):
        shown = printed(capsys, "bound", "--d", 2, "--n-steps", 50, "--step", steps)
        assert "along the trajectory of this run: --products (theorems H and K)." in shown


def test_the_two_default_lengths_of_a_report_are_told_in_both_places(capsys):
    assert main(["report", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "or 1000; leapgrad.report in Python takes 200)" in text
    assert "200 by default. The command ``leapgrad report`` takes 1000" in " ".join(report.__doc__.split())


def test_the_demo_has_a_table_and_a_picture_as_other_commands_do(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shown = printed(capsys, "demo", "--out", "t.csv", "--plot", "p.png")
    assert "Table: t.csv" in shown and (tmp_path / "p.png").exists()
    head, *rows = (tmp_path / "t.csv").read_text().splitlines()
    assert head == "step,leapfrog,bound_b,euler,bound_d" and len(rows) == 7
    assert main(["demo", "--out", "a.png", "--plot", "b.png"]) == 2
    assert "--out 'a.png' must end in .csv, since --plot names the picture" in capsys.readouterr().err
