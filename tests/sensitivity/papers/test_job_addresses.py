"""Runs that are kept are found by the addresses of their jobs: a change here computes them all again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sensitivity.papers.hamiltonian.heuristic.budget import BUDGET, ImageRun
from sensitivity.papers.hamiltonian.heuristic.contest import ContestRun
from sensitivity.papers.hamiltonian.heuristic.contest_plan import FULL as TABLES
from sensitivity.papers.hamiltonian.heuristic.contest_plan import Candidate
from sensitivity.papers.hamiltonian.heuristic.experiment import AccuracyRun, TraceRun
from sensitivity.papers.hamiltonian.heuristic.plan import ALSO
from sensitivity.papers.hamiltonian.heuristic.plan import FULL as SCANS

FREE = Candidate("hamiltonian", 10, 0.03, 5.0, growth=0.2, bias=3.0)
OPEN = Candidate("lstm", 75, 0.01, start="chrono")
FURTHER = (
    "1a52fb1274ec67e2", "3b9cc80994aa2287", "07ef33ffd306dfd6", "4b5e3fac497f2dce",
    "b7d128c817e8c1d9", "ff6718d261d5a06a", "7bd42ee4e0738648", "7f568025ec369e98",
)  # fmt: skip


def contest(setting, seed, turn=0):
    recipe = TABLES.recipe(setting.rate, seed, "xor", 10**9, turn)
    return ContestRun(
        "xor", 50, setting, seed, TABLES.train, TABLES.test, recipe, validation=seed in TABLES.search
    )


def images(row, **options):
    contender = BUDGET.contenders[row]
    recipe = BUDGET.recipe(contender.setups[0], 5, 0)
    return ImageRun("mnist", contender.setups[0], recipe, BUDGET.validation, **options)


# Catches: a field that is renamed, added or left out, or has another default, in a job or in what it holds.
@pytest.mark.parametrize(
    ("job", "address"),
    [
        (contest(FREE, 3), "8f9fdb111ccacdf9"),
        (contest(FREE, TABLES.search[0], 1), "2092a26eb656337c"),
        (contest(OPEN, 19), "8ecac6424c4316ba"),
        (contest(Candidate("antisymmetric", 20, 0.1, 10.0, 0.01), 0), "5067325f86db9fa0"),
        (contest(Candidate("hamiltonian", 10, 0.01, step=0.2), 0), "35b4074b13e908e8"),
        (AccuracyRun(SCANS.setting("gaussian_mean"), 80, 0.1, 2), "b0c4eddbe640e0dc"),
        (AccuracyRun(SCANS.control_setting(), 80, 0.1, 2), "c3ca8d9796c8073f"),
        (TraceRun(SCANS.setting("shock"), 80, 0.0125, 0), "8853e8868c9a0dcc"),
        *((AccuracyRun(SCANS.further(name, "gaussian_mean"), 28, 0.1, 1), address)
          for name, address in zip(ALSO, FURTHER, strict=True)),
        (images(0), "9c50af13ab465df3"),
        (images(2, images=10000), "cd3815dbba42f97d"),
        (images(4), "6e98cb0f7a0f46a5"),
        (images(7), "a1658aea6144a063"),
    ],
)  # fmt: skip
def test_addresses_are_those_of_the_runs_that_are_kept(job, address):
    assert job.address[:16] == address


# Catches: an address that depends on where the images lie, or on a guess of how long a step takes.
def test_places_and_costs_are_no_part_of_an_address():
    assert images(0).address == images(0, data="a", place="b", microseconds=7.0).address
    assert images(0).address != images(0, images=10).address
    run = AccuracyRun(SCANS.setting("xor"), 20, 0.1, 0)
    assert run.address != replace(run, seed=1).address != TraceRun(run.setting, 20, 0.1, 1).address
