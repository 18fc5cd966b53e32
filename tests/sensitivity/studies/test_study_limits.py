"""Studies that ask for too much, or for something else: one sentence each, before anything is computed."""

import itertools
import math

import numpy as np
import pytest

from sensitivity import cell
from sensitivity.cli import main
from sensitivity.studies import Study
from sensitivity.studies.axes import MOST_VALUES
from sensitivity.studies.execution.cost import plan_of


def deep(levels=5000):
    value = []
    for _ in range(levels):
        value = [value]
    return value


LONG = {"low": 1, "high": 2, "count": 10**4}
GRIDS = {
    "10^12 cells": (
        {"seed": {"first": 0, "count": 10**4}, "y0": LONG, "p0": LONG},
        "the study has 1000000000000 cells (10000 seed · 10000 y0 · 10000 p0); take at most 100000000",
    ),
    "a million million steps": ({"step": itertools.repeat(0.1)}, "step holds 0.1 twice"),
    "endless values": ({"seed": itertools.count()}, "seed holds more than 1000000 values"),
    "a huge width": ({"d": 10**9}, "d must be at most 1e+07, got 1000000000"),
    "a width of thousands of digits": ({"d": 10**5000}, "d must be at most 1e+07, got a int too large"),
    "a negative one": ({"d": -(10**5000)}, "d cannot be a int too large to be shown"),
    "a real one": ({"y0": 10**5000}, "y0"),
    "a huge length": ({"n_steps": 10**18}, "n_steps must be at most 1e+12"),
    "a huge seed": ({"seed": 2**200}, "seed must be at most 3.4"),
    "many inputs": ({"inputs": 10**12}, "inputs must be at most 1e+07"),
    "deep": ({"d": deep()}, "d cannot be a list too large"),
    "deep numbers": ({"step": deep()}, "step"),
    "deep words": ({"scheme": deep()}, "scheme must be a name in quotes"),
    "deep model": ({"model": deep()}, "model"),
    "a list of lists": ({"seed": [[1, 2], [3]]}, "seed must be a whole number, got [1, 2]"),
    "true": ({"seed": True}, "seed must be a whole number, got True"),
    "a float seed": ({"seed": 1.0}, "seed must be a whole number, got 1.0"),
    "a word": ({"seed": "1"}, "seed must be a whole number, got '1'"),
    "true step": ({"step": True}, "step"),
    "infinite step": ({"step": math.inf}, "step holds inf"),
    "nan": ({"y0": [0.1, math.nan]}, "y0 holds nan"),
    "complex": ({"step": 1j}, "step is complex"),
    "one value in two spellings": ({"y0": [0.1, 0.10]}, "y0 holds 0.1 twice"),
    "two kinds of zero": ({"y0": [0.0, -0.0]}, "y0 holds 0.0 twice"),
    "whole and real": ({"y0": [1, 1.0]}, "y0 holds 1.0 twice"),
    "none twice": ({"gamma": [None, "none"]}, "gamma holds None twice"),
    "a number for a scheme": ({"scheme": 5}, "scheme must be a name in quotes, got 5"),
    "a number for an activation": ({"activation": [5]}, "activation must be a name in quotes, got 5"),
    "a number for a model": ({"model": 5}, "model must be a name or a list of names, got 5"),
    "a list in the models": ({"model": [["neural"]]}, "model \"['neural']\" is not known"),
    "no model": ({"model": []}, "model is empty"),
    "an empty list": ({"step": []}, "step holds no values"),
    "an empty table": ({"step": {}}, "step = {} is not a range"),
    "a range of words": ({"step": {"low": "a", "high": "b", "count": 3}}, "low of step"),
    "a range without end": ({"seed": {"first": 0, "count": 10**30}}, "take at most 1000000"),
    "an axis with another case": ({"Seed": 1}, "Did you mean 'seed'?"),
    "an axis that is no word": ({3: 1}, "axis 3 is not known"),
    "no grid": (5, "grid must be a table"),
    "an empty grid": ({}, "grid has no axis; name one at least"),
    "a cell for a model": ({"model": cell("lstm", 2)}, "named as NAME=FILE, by save_weights, or as MODULE"),
    "a list for a grid": ([("d", 3)], "grid must be a table"),
}  # fmt: skip


@pytest.mark.parametrize("case", GRIDS)
def test_a_grid_that_makes_no_sense_is_one_sentence(case):
    grid, fragment = GRIDS[case]
    with pytest.raises((ValueError, TypeError)) as caught:
        Study(grid)
    text = str(caught.value)
    assert fragment in text and "\n" not in text and len(text) < 500
    assert "object is not" not in text and "unhashable" not in text


OPTIONS = {
    "quantities 5": ({"quantities": 5}, "quantities must be a name or a list of names, got 5"),
    "quantities of numbers": ({"quantities": [5]}, "quantity '5' is not known"),
    "quantities of lists": ({"quantities": [["norm"]]}, "quantity \"['norm']\" is not known"),
    "a table": ({"quantities": {"norm": 1}}, "quantities must be a name or a list of names"),
    "no name": ({"name": 5}, "name must be a text in quotes"),
    "half a step": ({"steps_per_cell": 1.5}, "steps_per_cell must be a whole number"),
    "true": ({"steps_per_cell": True}, "steps_per_cell must be a whole number"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_an_option_that_makes_no_sense_is_one_sentence(case):
    options, fragment = OPTIONS[case]
    with pytest.raises((ValueError, TypeError)) as caught:
        Study({"d": 2}, **options)
    assert fragment in str(caught.value)


def test_a_quantity_that_a_length_cannot_have_is_refused_beforehand():
    with pytest.raises(
        ValueError, match="'exponents' needs n_steps of at least 1, and the axis n_steps holds 0"
    ):
        Study({"n_steps": [10, 0]}, ["norm", "exponents"])
    Study({"n_steps": [10, 0]}, ["norm", "singular_values", "profile", "bounds", "log_norm"])


# Catches: a search for the second of two values that looks at all of them for each.
def test_a_million_values_are_checked_one_by_one():
    values = np.linspace(1.0, 2.0, MOST_VALUES)
    study = Study({"y0": values[:200_000]})
    assert study.n_cells == 200_000
    with pytest.raises(ValueError, match=r"y0 holds 2\.0 twice"):
        Study({"y0": [*values[-200_000:], 2.0]})


def test_a_million_cells_are_still_a_study():
    study = Study({"seed": {"first": 0, "count": 10**6}, "y0": range(100)})
    assert study.n_cells == plan_of(study).cells == 10**8


FILES = {
    "a number for the model": ("[grid]\nmodel = 5", "model must be a name or a list of names, got 5"),
    "a number for quantities": ("quantities = 5\n[grid]", "quantities must be a name"),
    "a number for the grid": ("grid = 5", "grid must be a table"),
    "an array of grids": ("[[grid]]\nd = 2", "grid must be a table"),
    "a date": ("[grid]\nseed = 1979-05-27", "seed must be a whole number, got datetime.date"),
    "an infinite number": ("[grid]\nstep = inf", "step holds inf"),
    "a number beyond float64": ("[grid]\nstep = 1e999", "step holds inf"),
    "thousands of digits": ("[grid]\nd = " + "9" * 5000, "study.toml"),
    "deep": ("[grid]\nd = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
    "deep tables": ("[grid]\nd = " + "{a=" * 3000 + "1" + "}" * 3000, "study.toml"),
    "dotted": ("[grid]\nd." + "a." * 3000 + "a = 1", "study.toml"),
    "huge": ("[grid]\nd = 1\n" + "# x\n" * 2_000_000, "study.toml"),
    "a key twice": ("[grid]\nd = 1\nd = 2", "is not a TOML file"),
    "an unknown key": ("[grid]\nd = 1\n[gird]\nd = 2", "Did you mean 'grid'?"),
    "an unknown axis": ("[grid]\nsteps = 1", "Did you mean 'step'?"),
    "nothing": ("", "the table [grid] is missing"),
    "10^12 cells": (
        "[grid]\nseed = {first = 0, count = 10000}\np0 = {low = 1, high = 2, count = 10000}\n"
        "y0 = {low = 1, high = 2, count = 10000}",
        "take at most 100000000",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_makes_no_sense_is_one_line(tmp_path, case, capsys):
    text, fragment = FILES[case]
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    assert main(["sweep", str(path), "--out", str(tmp_path / "run")]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("leapgrad: error:") and len(err) < 1000
    assert fragment in err and "study.toml" in err and not (tmp_path / "run").exists()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_of_another_editor_is_read(tmp_path, encoding):
    path = tmp_path / "study.toml"
    path.write_bytes('name = "σ"\r\n[grid]\r\nd = 3\r\n'.encode(encoding))
    assert Study.from_toml(path) == Study({"d": 3}, name="σ")
