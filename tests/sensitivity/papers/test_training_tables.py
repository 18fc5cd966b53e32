"""`leapgrad reproduce tables`: the choice of settings, what is printed, files, going on when interrupted."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from sensitivity import log_jacobian_norm
from sensitivity.cli import main
from sensitivity.papers import runs as runs_module
from sensitivity.papers.hamiltonian import RULE, RULE_FREE
from sensitivity.papers.hamiltonian.heuristic import contest
from sensitivity.papers.hamiltonian.heuristic.contest import (
    RunOutcome,
    TableEntry,
    median,
    median_interval,
    run_contest,
)
from sensitivity.papers.hamiltonian.heuristic.contest_plan import (
    FULL,
    QUICK,
    TABLES,
    Candidate,
    ContestPlan,
    Entrant,
    measured_c,
)
from sensitivity.papers.hamiltonian.heuristic.contest_report import (
    equal_pairs,
    page,
    reached,
    shown,
    table,
    write_tables,
)
from sensitivity.papers.runs import UNFINISHED, TrainingRuns
from sensitivity.studies.storage.job import Job
from sensitivity.training.data.tasks import get_task
from sensitivity.training.models import Shape, make_network
from sensitivity.training.start import Start
from sensitivity.training.trainer import Recipe, Split, train
from sensitivity.training.units import InUnits

ONE, OTHER = (Candidate("hamiltonian", 3, rate, 10.0) for rate in (1e-2, 1e-3))
TINY = ContestPlan(
    {"xor": (4, 6)}, (Entrant("mine", (ONE, OTHER)), Entrant("short", (Candidate("lstm", 2, 1e-2),), 4)),
    seeds=2, search_seeds=1, iterations=4, search_iterations=4, train=200, test=50, every=2,
)  # fmt: skip


def outcomes(*reached):
    return tuple(RunOutcome(one, 0.5 if one is None else 0.9, 9) for one in reached)


def test_median_counts_failures_as_infinity():
    assert median(outcomes(100, 300, None)) == 300.0
    assert median(outcomes(100, None)) is None and median(outcomes(None, None, 5)) is None
    assert median(outcomes(100, 200)) == 150.0 and median(()) is None


def test_entries_of_the_tables():
    cell = TableEntry("xor", 4, "mine", ONE, outcomes(100, 300, None))
    assert shown(cell) == "9 in 300 (100–300, 2 of 3)"
    assert shown(replace(cell, outcomes=outcomes(40, 60))) == "9 in 50 (40–60)"
    assert shown(replace(cell, outcomes=outcomes(None, None, 80))) == "/ (1 of 3, best 90 %)"
    assert shown(replace(cell, setting=None, outcomes=())) == "not run"
    assert table([cell])[0] == "| N | mine |" and table([cell])[2].startswith("| 4 | 9 in 300")


# Catches: ranks that are off by one. Of 20 throws at most 5 are heads in 2.07 % of cases, at most 6 in 5.77
# %; of 6 throws none in 1.56 %; of 5 throws none in 3.125 %, which is too often.
def test_the_interval_of_the_median_lies_between_order_statistics():
    cell = TableEntry("xor", 4, "mine", ONE, outcomes(*range(100, 120)))
    assert cell.interval == (105.0, 114.0) and cell.data()["interval"] == (105.0, 114.0)
    assert shown(cell) == "9 in 109.5 (100–119; median 105–114)"
    assert median_interval(outcomes(60, 10, 20, 30, 40, 50)) == (10.0, 60.0)
    assert median_interval(outcomes(1, 2, 3, 4, 5)) is None and median_interval(()) is None
    few = replace(cell, outcomes=outcomes(*range(100, 113), *[None] * 7))
    assert few.interval == (105.0, np.inf) and shown(few).endswith("13 of 20; median 105–∞)")


def test_the_setting_with_the_fewest_iterations_is_chosen_and_run_with_other_seeds(monkeypatch):
    seen = []

    def fake(job):
        seen.append((job.n_steps, job.setting, job.seed))
        took = {(4, OTHER): 20, (4, ONE): 40, (6, OTHER): 80, (6, ONE): 30}
        return [took.get((job.n_steps, job.setting), 50), 0.9, 9]

    monkeypatch.setattr(contest, "_run", fake)
    cells = {(cell.n_steps, cell.entrant): cell for cell in run_contest(TINY, threads=1, progress=False)}
    assert cells[4, "mine"].setting == cells[6, "mine"].setting == ONE
    assert cells[6, "short"].setting is None and cells[4, "short"].setting is not None
    assert {seed for _, _, seed in seen} == {0, 1, 2}
    assert all((4, OTHER, seed) not in seen for seed in (0, 1)) and (4, OTHER, 2) in seen
    seen.clear()
    short = replace(TINY, search_lengths=1)
    cells = {(cell.n_steps, cell.entrant): cell for cell in run_contest(short, threads=1, progress=False)}
    assert cells[4, "mine"].setting == cells[6, "mine"].setting == OTHER
    assert (6, ONE, 2) not in seen and cells[6, "mine"].searched == ()


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


def test_seeds_that_cannot_change_the_median_are_not_run(monkeypatch):
    """Of five seeds the last two are run only where one of the first three gets there."""
    once = {(4, 1): 20}
    monkeypatch.setattr(contest, "_run", lambda job: [once.get((job.n_steps, job.seed)), 0.5, 9])
    plan = replace(TINY, seeds=5, entrants=TINY.entrants[:1])
    cells = {cell.n_steps: cell for cell in run_contest(plan, threads=1, progress=False)}
    assert [len(cells[n].outcomes) for n in (4, 6)] == [5, 3]
    assert [one.reached for one in cells[4].outcomes] == [None, 20, None, None, None]


def test_the_search_has_its_own_budget():
    plan = replace(TINY, iterations=8, search_iterations=2)
    assert [plan.recipe(1e-2, seed).epochs for seed in (0, 1, 2)] == [4, 4, 1]
    assert plan.recipe(1e-2, 0).clip == plan.clip and plan.recipe(1e-2, 2).rate == 1e-2


FREE = Candidate("hamiltonian", 4, 1e-2, 1.0, growth=0.3, bias=1.0)


def trained(setting, n_steps=16):
    network = setting.network(n_steps)
    data = Split(*(get_task("xor").sample(200, n_steps, seed) for seed in (0, 1)))
    run = train(network, data, Recipe(1e-2, 50, 2, clip=0.1), setting.first(network, 0))
    return network, run.theta, network.scores(run.theta, data.test.batch(slice(0, 200))[0])


def test_theorem_g_holds_for_training():
    """ε = 1/N and ε = c/N with W ∝ 1/ε²: the same bits for c = 4, the same scores to round-off for c = 5."""
    _, first, scores = trained(FREE)
    _, again, same = trained(replace(FREE, c=4.0))
    near = trained(replace(FREE, c=5.0))[2]
    assert np.array_equal(first, again) and np.array_equal(scores, same)
    assert near == pytest.approx(scores, rel=1e-9, abs=1e-9)


def test_units_are_a_change_of_variables():
    """The gradient in units is the unit times the gradient; unknown names and senseless units are refused."""
    own = make_network("hamiltonian", Shape(3, 5, threads=1), step=0.5)
    measured = InUnits(own, {"W": 8.0, "R": 0.25})
    sequences = get_task("xor").sample(20, 5, 0)
    theta = Start().draw(own, 0)
    inputs, labels = sequences.batch(slice(0, 20))
    plain = own.gradient(theta, inputs, labels)
    scaled = measured.gradient(theta / measured.units, inputs, labels)
    assert scaled.loss == plain.loss
    for name, factor in {"W": 8.0, "V": 1.0, "b": 1.0, "R": 0.25, "r": 1.0}.items():
        assert np.array_equal(measured.named(scaled.gradient)[name], factor * own.named(plain.gradient)[name])
    assert np.array_equal(measured.weights(theta / measured.units), own.weights(theta))
    assert measured.describe()["units"] == {"W": 8.0, "R": 0.25}
    with pytest.raises(ValueError, match="parameter 'Q' is not known"):
        InUnits(own, {"Q": 1.0})
    with pytest.raises(ValueError, match="unit of W must be positive"):
        InUnits(own, {"W": 0.0})


def test_the_page_counts_the_pairs_that_theorem_g_makes_one_network():
    """Only cells whose settings differ in c alone are compared; 20 = 20, and both may fail."""
    moved = replace(FREE, c=5.0)
    plan = replace(
        TINY, entrants=(Entrant("one", (FREE,)), Entrant("five", (moved,)), Entrant("plain", (ONE,)))
    )
    runs = {
        (4, "one"): (FREE, outcomes(20, 40, None)), (4, "five"): (moved, outcomes(20, 60, None)),
        (6, "one"): (FREE, outcomes(20, 20)), (6, "five"): (replace(moved, bias=2.0), outcomes(20, 20)),
        (4, "plain"): (ONE, outcomes(None)), (6, "plain"): (ONE, outcomes(70)),
    }  # fmt: skip
    cells = [TableEntry("xor", n, name, setting, found) for (n, name), (setting, found) in runs.items()]
    equal, pairs, values = equal_pairs(cells, plan)
    assert (equal, pairs) == (2, 3) and values == pytest.approx([4 * np.sinh(0.15) ** 2])
    assert reached(cells, "plain") == "1 of 2 rows, medians 70 to 70"
    assert reached(cells, "one").startswith("2 of 2 rows") and equal_pairs(cells, TINY) is None
    said = page(cells, replace(plan, tasks={"xor": (4, 6)}), "leapgrad made")
    assert "2 of 3 pairs of runs" in said and "wε² = 0.091" in said and reached(cells, "plain") in said


def test_what_the_settings_are():
    assert FREE.text() == "d = 4, rate 0.01, ε = 1/N, growth 0.3, b on ±1"
    assert ONE.epsilon(20) == 0.5 and Candidate("lstm", 2, 1e-2).epsilon(5) is None
    network = FREE.network(16)
    first = network.named(FREE.first(network, 3) * network.units)
    assert np.diag(first["W"]) / 16**2 == pytest.approx(4 * np.sinh(0.15) ** 2 * np.ones(4), rel=0.3)
    assert np.abs(first["R"]).max() <= 3.0 / np.sqrt(4)
    assert not isinstance(ONE.network(4), InUnits)


@dataclass(frozen=True)
class Half(Job):
    """Half of a number, as a job that can be told to fail."""

    number: float
    seconds = 1.0
    computed: ClassVar[list[float]] = []

    def facts(self):
        return {"half": self.number}

    def shapes(self):
        return {"half": ()}

    def compute(self):
        if self.number < 0:
            raise ArithmeticError("too small")
        Half.computed.append(self.number)
        return {"half": np.array(0.5 * self.number)}


def halves(runs, *numbers):
    Half.computed.clear()
    return [float(arrays["half"]) for arrays in runs([Half(number) for number in numbers], "halves")]


@pytest.mark.parametrize("threads", [1, 3])
def test_what_is_kept_is_not_computed_again_unless_its_row_is_torn(tmp_path, threads):
    folder, options = tmp_path / "kept", {"threads": threads, "progress": False}
    assert halves(TrainingRuns(folder, **options), 1.0, 0.2, 3.0, 0.2) == [0.5, 0.1, 1.5, 0.1]
    assert sorted(Half.computed) == [0.2, 1.0, 3.0]
    with closing(sqlite3.connect(folder / "study.sqlite", isolation_level=None)) as connection:
        torn = "UPDATE cells SET numbers = substr(numbers, 1, 5) WHERE address = ?"
        assert connection.execute(torn, (Half(0.2).digest,)).rowcount == 1
    runs = TrainingRuns(folder, **options)
    assert halves(runs, 1.0, 0.2, 4.0) == [0.5, 0.1, 2.0] and sorted(Half.computed) == [0.2, 4.0]
    runs.remove()
    assert not folder.exists() and halves(TrainingRuns(**options), 1.0) == [0.5]


def test_a_run_that_fails_is_named_and_the_others_are_kept(tmp_path):
    with pytest.raises(RuntimeError, match=r"1 of 3 runs failed.*number=-1.*too small"):
        halves(TrainingRuns(tmp_path / "kept", progress=False), 1.0, -1.0, 2.0)
    halves(TrainingRuns(tmp_path / "kept", progress=False), 1.0, 2.0)
    assert Half.computed == []


def test_seconds_go_on_where_the_last_process_stopped(tmp_path, monkeypatch):
    folder, now = tmp_path / "kept", [7.0]
    monkeypatch.setattr(runs_module, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    first = TrainingRuns(folder, progress=False)
    now[0] += 30.0
    halves(first, 1.0)
    assert float((folder / "seconds").read_text()) == 30.0
    now[0] = 5000.0  # the clock of another process
    runs = TrainingRuns(folder, progress=False)
    now[0] += 4.0
    assert runs.seconds == 34.0 and halves(runs, 1.0) == [0.5]


def test_plans_have_the_lengths_of_the_paper():
    assert FULL.tasks["shock"] == (100, 500, 2000, 5000) and FULL.tasks["xor"] == (50, 100, 200, 500)
    for plan in (FULL, QUICK):
        assert set(plan.tasks) <= set(TABLES)
        assert [entrant.name for entrant in plan.entrants[:2]] == [RULE, RULE_FREE]
        for entrant in plan.entrants[:2]:
            assert {(one.d, one.c) for one in entrant.grid} == {(10, 1.0)}
        moved = {one.c for entrant in plan.entrants[2:4] for one in entrant.grid}
        assert moved == {measured_c()} and 4.0 < measured_c() < 7.0


def test_the_command_refuses_what_it_does_not_know(capsys):
    assert main(["reproduce", "tables", "--task", "shok"]) == 2
    assert "Did you mean 'shock'" in capsys.readouterr().err


# Catches: settings chosen by the test sequences that are shown, or by the seeds of the runs that are shown.
def test_the_search_looks_at_validation_sequences_alone(monkeypatch):
    seen = []
    monkeypatch.setattr(contest, "_run", lambda job: seen.append(job) or [2, 0.9, 9])
    plan = replace(TINY, seeds=1, more_seeds=3, seed=5)
    run_contest(plan, threads=1, progress=False)
    assert {job.seed for job in seen if job.validation} == {8} == set(plan.search)
    assert {job.seed for job in seen if not job.validation} == {5, 6, 7}
    assert {job.seed for job in seen if not job.validation and job.n_steps == 6} == {5}
    monkeypatch.undo()
    looked = []
    monkeypatch.setattr(contest, "train", lambda *given: looked.append(given[1]) or train(*given))
    for job in (next(job for job in seen if job.validation is wanted) for wanted in (True, False)):
        RunOutcome.of(job.compute()["outcome"])
    search, shown_ = looked
    assert search.validation is not None and shown_.validation is None
    assert not np.array_equal(search.validation.values, search.test.values)


def test_a_run_that_is_shown_tells_its_gradient_at_both_ends():
    network = FREE.network(16)
    job = contest.ContestRun("xor", 16, FREE, 0, 200, 50, TINY.recipe(1e-2, 0))
    found = RunOutcome.of(job.compute()["outcome"])
    data = get_task("xor")
    rng = np.random.default_rng((0, 16))
    _, test = (data.sample(n, 16, rng) for n in (200, 50))
    theta = FREE.first(network, 0) * network.units
    own = network.network
    first = log_jacobian_norm(own.field(theta), "leapfrog", own.step, 16, inputs=test.values[:, :, 0])
    assert found.gradient is not None and found.gradient[0] == pytest.approx(first, rel=1e-12)
    assert found.gradient[1] != found.gradient[0]
    gated = contest.ContestRun(
        "xor", 5, Candidate("lstm", 2, 1e-2, start="chrono"), 0, 200, 50, TINY.recipe(1e-2, 0)
    )
    assert np.isfinite(RunOutcome.of(gated.compute()["outcome"]).gradient).all()


def test_looks_become_rarer():
    recipe = Recipe(check_every=10, log_looks=True)
    looks = [i for i in range(1, 30001) if recipe.looks_at(i, 10)]
    assert looks[:100] == list(range(10, 1001, 10)) and looks[100:102] == [1100, 1200]
    assert looks[190:192] == [11000, 12000] and len(looks) == 210
    assert [i for i in range(1, 2001) if Recipe().looks_at(i, 500)] == [500, 1000, 1500, 2000]


# Catches: a page that computes what is missing, shows cells that are half run, or takes away what is kept.
def test_what_is_done_so_far_is_written_and_stays_to_go_on_from(tmp_path, monkeypatch):
    whole = run_contest(TINY, threads=1, progress=False)
    run, done = contest._run, []

    def limited(job):
        if len(done) == 7:
            raise KeyboardInterrupt
        done.append(job)
        return run(job)

    monkeypatch.setattr(contest, "_run", limited)
    with pytest.raises(KeyboardInterrupt):
        write_tables(tmp_path, TINY, threads=1, progress=False)
    partly, _ = write_tables(tmp_path, TINY, command="so far", so_far=True)
    assert len(done) == 7 and (tmp_path / UNFINISHED / "study.sqlite").exists()
    there = [cell for cell in partly if cell.setting is not None]
    assert 0 < len(there) < 3 and all(cell in whole for cell in there)
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "not run" in page and f"so far: {3 - len(there)} of 3 entries have not been run yet" in page
    with monkeypatch.context() as later:  # which computes the rows of an earlier version anew
        later.setattr("sensitivity.studies.storage.job.version", lambda: "1/later")
        earlier = run_contest(TINY, TrainingRuns(tmp_path / UNFINISHED, so_far=True))
        assert all(cell.setting is None for cell in earlier)
    monkeypatch.setattr(contest, "_run", run)
    assert write_tables(tmp_path, TINY, threads=1, progress=False)[0] == whole
    assert "so far" not in (tmp_path / "README.md").read_text(encoding="utf-8")
    nothing = run_contest(TINY, TrainingRuns(tmp_path / "empty", so_far=True))
    assert all(cell.setting is None for cell in nothing) and not (tmp_path / "empty").exists()


# Catches: a search that ends at its first budget though no setting gets there, or one that goes on though
# one does; a budget above that of the runs that are shown; a choice by runs of unlike budgets.
def test_settings_that_do_not_get_there_are_tried_with_four_times_the_budget(monkeypatch):
    seen = []
    three = (*(Candidate("hamiltonian", 3, rate, 10.0) for rate in (1e-2, 1e-3, 1e-4, 1e-5)),)
    accuracy = dict(zip(three, (0.7, 0.8, 0.6, 0.5), strict=True))

    def fake(job):
        seen.append(job)
        late = 20 if job.setting == three[0] and job.recipe.epochs == 8 else None
        return [late, accuracy[job.setting], 9]

    monkeypatch.setattr(contest, "_run", fake)
    plan = replace(
        TINY, entrants=(Entrant("mine", three),), iterations=40, search_iterations=4, search_rounds=4
    )
    cells = run_contest(plan, threads=1, progress=False)
    tried = [(job.setting, job.recipe.epochs) for job in seen if job.validation and job.n_steps == 4]
    assert tried[:4] == [(one, 2) for one in three] and set(tried[4:]) == {(three[0], 8), (three[1], 8)}
    assert {cell.setting for cell in cells} == {three[0]}
    assert dict(cells[0].searched)[three[0]][0].reached == 20 and len(cells[0].searched) == 4
    monkeypatch.setattr(contest, "_run", lambda job: seen.append(job) or [None, accuracy[job.setting], 9])
    seen.clear()
    cells = run_contest(replace(plan, iterations=10), threads=1, progress=False)
    epochs = [job.recipe.epochs for job in seen if job.validation and job.n_steps == 4]
    assert epochs == [2] * 4 + [5] * 2 + [5] and {cell.setting for cell in cells} == {three[1]}


# Catches: a run of hours beside others of minutes, a smaller budget that is not told or that others have too.
def test_a_run_takes_at_most_its_hours_and_the_entry_says_so(monkeypatch):
    seen = []
    monkeypatch.setattr(contest, "_run", lambda job: seen.append(job) or [None, 0.5, 9])
    slow = Candidate("lstm", 2, 1e-2)
    plan = replace(
        TINY, tasks={"xor": (4, 400)}, iterations=40,
        entrants=(Entrant("mine", (ONE,)), Entrant("slow", (slow,))),
        run_hours=12.5 * slow.iteration_seconds(400) / 3600.0,
    )  # fmt: skip
    cells = {(one.n_steps, one.entrant): one for one in run_contest(plan, threads=1, progress=False)}
    fresh = {(job.n_steps, job.setting): job.recipe.epochs for job in seen if not job.validation}
    assert fresh == {(4, ONE): 20, (400, ONE): 20, (4, slow): 20, (400, slow): 6}  # of two iterations
    assert {key: one.iterations for key, one in cells.items() if one.iterations} == {(400, "slow"): 12}
    assert shown(cells[400, "slow"]) == "/ (0 of 2, best 50 %, 12 iterations)"
    assert "of one core for a run" in page(list(cells.values()), plan, "")
    limited = {(one.name, task, n)
               for one in FULL.entrants for task, lengths in FULL.tasks.items() for n in lengths
               if n <= one.longest and FULL.affordable(one.grid[-1], n) < FULL.budget(task)}  # fmt: skip
    assert limited == {("LSTM, open gates", "shock", 2000), ("LSTM, open gates", "shock", 5000)}


# Catches: cells in the order of the table, in which the last and longest is the first to be lost.
def test_cells_that_take_least_come_first_and_tables_with_a_figure_before_others(monkeypatch):
    order = []

    def fake(job):
        if not job.validation and (job.task, job.n_steps, job.setting) not in order:
            order.append((job.task, job.n_steps, job.setting))
        return [10 if job.setting == ONE else None, 0.5, 9]

    monkeypatch.setattr(contest, "_run", fake)
    far = replace(ONE, rate=0.5)
    plan = replace(
        TINY, tasks={"shock_std": (5,), "xor": (400, 20)}, iterations=4000,
        entrants=(Entrant("slow", (far,)), Entrant("quick", (ONE,))), search_lengths=1,
    )  # fmt: skip
    run_contest(plan, threads=1, progress=False)
    # "quick" needs 10 iterations of 4000 in its search, so that its longest run is expected to take least.
    assert order[:4] == [("xor", 20, far), ("xor", 20, ONE), ("xor", 400, ONE), ("xor", 400, far)]
    assert [task for task, _, _ in order[4:]] == ["shock_std"] * 2


def test_at_the_shortest_length_as_many_seeds_as_elsewhere_decide_whether_all_are_run(monkeypatch):
    monkeypatch.setattr(contest, "_run", lambda job: [30 if job.n_steps == 6 else None, 0.5, 9])
    plan = replace(TINY, seeds=3, more_seeds=8, entrants=TINY.entrants[:1])
    cells = {cell.n_steps: cell for cell in run_contest(plan, threads=1, progress=False)}
    assert len(cells[4].outcomes) == 3 and len(cells[6].outcomes) == 3
    assert list(plan.first("xor", 4)) == [0, 1, 2] and list(plan.first("xor", 6)) == [0, 1]
