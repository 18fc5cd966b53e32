"""`leapgrad reproduce tables`: the choice of settings, what is printed, files, going on when interrupted."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from sensitivity.cli import main
from sensitivity.training import contest
from sensitivity.training.contest import Cell, Entrant, Outcome, Plan, Setting, median, run_contest
from sensitivity.training.contest_plans import FULL, QUICK, TABLES
from sensitivity.training.contest_report import UNFINISHED, shown, table, write_tables
from sensitivity.training.kept import Kept

ONE, OTHER = (Setting("hamiltonian", 3, rate, 10.0) for rate in (1e-2, 1e-3))
TINY = Plan(
    {"xor": (4, 6)}, (Entrant("mine", (ONE, OTHER)), Entrant("short", (Setting("lstm", 2, 1e-2),), 4)),
    seeds=2, search_seeds=1, iterations=4, train=200, test=50, every=2,
)  # fmt: skip


def outcomes(*reached):
    return tuple(Outcome(one, 0.5 if one is None else 0.9, 9) for one in reached)


def test_median_counts_failures_as_infinity():
    assert median(outcomes(100, 300, None)) == 300.0
    assert median(outcomes(100, None)) is None and median(outcomes(None, None, 5)) is None
    assert median(outcomes(100, 200)) == 150.0 and median(()) is None


def test_entries_of_the_tables():
    cell = Cell("xor", 4, "mine", ONE, outcomes(100, 300, None))
    assert shown(cell) == "9 in 300 (100–300, 2 of 3)"
    assert shown(replace(cell, outcomes=outcomes(40, 60))) == "9 in 50 (40–60)"
    assert shown(replace(cell, outcomes=outcomes(None, None, 80))) == "/ (1 of 3, best 90 %)"
    assert shown(replace(cell, setting=None, outcomes=())) == "not run"
    assert table([cell])[0] == "| N | mine |" and table([cell])[2].startswith("| 4 | 9 in 300")


def test_the_setting_with_the_fewest_iterations_is_chosen_and_run_with_other_seeds(monkeypatch):
    seen = []

    def fake(job):
        seen.append((job.n_steps, job.setting, job.seed))
        fast = job.setting == (OTHER if job.n_steps == 4 else ONE)
        return [20 if fast else 40, 0.9, 9]

    monkeypatch.setattr(contest, "_run", fake)
    cells = {(cell.n_steps, cell.entrant): cell for cell in run_contest(TINY, threads=1, progress=False)}
    assert cells[4, "mine"].setting == OTHER and cells[6, "mine"].setting == ONE
    assert cells[6, "short"].setting is None and cells[4, "short"].setting is not None
    assert {seed for _, _, seed in seen} == {0, 1, 2}
    assert all((4, ONE, seed) not in seen for seed in (0, 1)) and (4, ONE, 2) in seen


def test_files_bits_and_going_on(tmp_path, monkeypatch):
    """A run that stops half-way keeps what is done; the next one does the rest, with the same numbers."""
    first, _ = write_tables(tmp_path / "one", TINY, command="leapgrad reproduce tables", progress=False)
    record = json.loads((tmp_path / "one" / "manifest.json").read_text())
    assert set(record["sha256"]) == {"README.md", "runs.csv", "tables.json", "figure_7.png", "figure_7.pdf"}
    for name, digest in record["sha256"].items():
        assert hashlib.sha256((tmp_path / "one" / name).read_bytes()).hexdigest() == digest
    assert len((tmp_path / "one" / "runs.csv").read_text().splitlines()) == 1 + 5 + 6
    page = (tmp_path / "one" / "README.md").read_text()
    assert all(shown(cell) in page for cell in first)

    run, done = contest._run, []

    def limited(job):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(job)
        return run(job)

    monkeypatch.setattr(contest, "_run", limited)
    with pytest.raises(KeyboardInterrupt):
        write_tables(tmp_path / "two", TINY, threads=1, progress=False)
    assert [path.name for path in (tmp_path / "two").iterdir()] == [UNFINISHED]
    later = []
    monkeypatch.setattr(contest, "_run", lambda job: later.append(job) or run(job))
    again, _ = write_tables(tmp_path / "two", TINY, threads=1, progress=False)
    assert again == first and not set(later) & set(done) and not (tmp_path / "two" / UNFINISHED).exists()


def test_the_same_epsilon_for_every_length_has_a_readout_of_its_size():
    fixed = Setting("hamiltonian", 10, 1e-2, step=0.5)
    assert [fixed.epsilon(n) for n in (10, 100)] == [0.5, 0.5] and "ε = 0.5" in fixed.text()
    assert (
        fixed.readout(100) * 2500 == pytest.approx(fixed.readout(10) * 25) == pytest.approx(contest.READOUT)
    )
    assert (
        TINY.recipe(fixed, 100, 0).factors == {"R": fixed.readout(100)}
        and not TINY.recipe(ONE, 100, 0).factors
    )
    assert ONE.epsilon(20) == 0.5 and ONE.readout(20) == 1.0 and Setting("lstm", 2, 1e-2).epsilon(5) is None


def test_what_is_kept_survives_a_torn_line(tmp_path):
    path = tmp_path / "kept.jsonl"
    Kept(path).add("a", 0.1)
    path.write_text(path.read_text() + '["torn')
    kept = Kept(path)
    assert kept["a"] == 0.1 and "b" not in kept
    kept.add("b", 2)
    again = Kept(path)
    assert again["a"] == 0.1 and again["b"] == 2


def test_seconds_go_on_where_the_last_process_stopped(tmp_path):
    path = tmp_path / "kept.jsonl"
    Kept(path).add("a", 0.1)
    key, value, seconds = json.loads(path.read_text())
    assert 0.0 < seconds < 60.0
    path.write_text(json.dumps([key, value, 1000.0]) + "\n")
    kept = Kept(path)
    assert 1000.0 < kept.seconds < 1060.0 and kept["a"] == 0.1


def test_plans_have_the_lengths_of_the_paper():
    assert FULL.tasks["shock"] == (100, 500, 2000, 5000) and FULL.tasks["xor"] == (50, 100, 200, 500)
    for plan in (FULL, QUICK):
        assert set(plan.tasks) <= set(TABLES)
        own = plan.entrants[0]
        assert {(one.d, one.c) for one in own.grid} == {(10, 1.0)}


def test_the_command_refuses_what_it_does_not_know(capsys):
    assert main(["reproduce", "tables", "--task", "shok"]) == 2
    assert "Did you mean 'shock'" in capsys.readouterr().err
