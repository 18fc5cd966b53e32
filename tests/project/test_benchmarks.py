"""What the benchmark's tables are made of: counts, ratios, medians, turns, words. Nothing is timed."""

import dataclasses
import json
import math
import os
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from conftest import NOJIT

from benchmarks import measure, report, table, worker
from benchmarks.__main__ import arguments, main
from benchmarks.bound import bound, operations
from benchmarks.candidate import MACHINE, PLAIN_JAX, TUNED_JAX, Library, NotAvailable
from benchmarks.growth import Curve, fit
from benchmarks.interrupt import Latency
from benchmarks.interrupt import table as interrupt_table
from benchmarks.machine import Description
from benchmarks.measure import Disagreement, RowResult, Sample, deviation, shrink
from benchmarks.memory import forget_peak, peak, resident
from benchmarks.rates import Rates
from benchmarks.rows import ROWS, narrow, quick, select
from benchmarks.shapes import AVX2, OWN, environment, shapes
from benchmarks.training import Batch, BatchResult, training_table
from benchmarks.work import Work
from benchmarks.worker import Timing

RATES = Rates(2, (5e10, 1e11), 512, (1e9, 2e9), (1e8, 2e8))


def sample(library, wall, name="way", **changes):
    given = {"familiar": False, "judged": True, "scale": 1.0, "deviation": 0.0}
    return Sample(library, name, wall=wall, cpu=wall, **{**given, **changes})


def result(ours, *peers, row=ROWS[0], memory=1 << 20, missing=()):
    return RowResult(row, ours, peers, bound(row.work, RATES), memory, missing)


# -------------------------------------------------------------------------------------------- counts


@pytest.mark.parametrize("scheme", ["leapfrog", "euler"])
@pytest.mark.parametrize(("d", "n"), [(1, 1), (3, 5), (10, 1000)])
def test_the_bound_counts_every_operation_once(scheme, d, n):
    found = operations(Work(scheme, d, n, members=7))
    products = updates = tanh = 0
    for kick in range(n):
        products += 2 * d * d  # W y
        products += 2 * d * d * d if kick else 0  # W T; the first acts on the identity
        updates += 2 * d * d + 6 * d
        updates += 2 * d * d + 2 * d if scheme == "leapfrog" else 0  # the drift
        tanh += d
    assert (found.products, found.updates, found.tanh) == (7 * products, 7 * updates, 7 * tanh)


def test_the_bound_is_operations_over_rates_of_all_cores():
    work = Work("leapfrog", 10)
    counted, found = operations(work), bound(work, RATES)
    assert found.seconds == pytest.approx(counted.products / 1e11 + counted.tanh / 2e9)
    assert found.with_updates == pytest.approx(found.seconds + counted.updates / 1e11)
    faster = dataclasses.replace(RATES, numpy_tanh=(1e10, 2e10))
    assert bound(work, faster).tanh == pytest.approx(found.tanh / 10)


def test_the_better_of_two_measurements_of_the_rates():
    other = Rates(2, (6e10, 9e10), 256, (5e8, 3e9), (1e8, 1e8), 7e8)
    best = RATES.best(other)
    assert (best.dgemm, best.size, best.tanh) == ((6e10, 1e11), 512, (1e9, 3e9))


def test_parts_of_a_piece_of_work():
    work = Work("leapfrog", 10)
    part = work.part(members=10, n_steps=100)
    assert work.times_smaller(part) == 100.0
    assert {part.steps[0], part.steps[-1]} == {work.steps[0], work.steps[-1]}
    assert part.steps.size == 10
    np.testing.assert_array_equal(part.W, work.W)
    assert shrink(work, 40.0, 4.0, by_members=False).n_steps == 100
    assert shrink(work, 40.0, 4.0, by_members=True).n_kept == 10
    assert shrink(work, 1.0, 4.0, by_members=True) == dataclasses.replace(work, kept=100)


def test_growth_is_fitted_where_fixed_costs_are_small():
    sizes = [10.0**e for e in range(7)]
    found = fit(sizes, [1e-3 + 1e-6 * s**1.5 for s in sizes])
    assert found.exponent == pytest.approx(1.5, abs=0.05)
    assert found.first == 3
    assert len(found.local) == 6
    for wrong in (([1.0, 2.0], [1.0, 2.0]), ([1.0, 2.0, 3.0], [1.0, 0.0, 2.0])):
        with pytest.raises(ValueError):
            fit(*wrong)


# ---------------------------------------------------------------------------------- pairs and medians


def test_ratios_are_taken_within_a_round():
    """A machine that is slow for one round must not count for one side only."""
    ours, theirs = sample("leapgrad", (1.0, 10.0, 1.2)), sample("JAX", (3.0, 20.0, 3.6))
    assert result(ours, theirs).times_faster(theirs) == (3.0, 2.0, 3.0)
    assert ours.seconds == 1.2


def test_only_what_is_judged_can_be_the_best():
    slow, fast = sample("JAX", (3.0,)), sample("JAX", (1.0,), "by hand", judged=False)
    found = result(sample("leapgrad", (0.5,)), slow, fast, sample("PyTorch", (2.0,)))
    assert found.best("JAX") is slow
    assert found.best("autograd") is None


def test_deviation_is_relative_to_each_member():
    ours = np.array([[[1.0, 2.0]], [[1e6, 0.0]]])
    assert deviation(ours + np.array([0.0, 1e-3]), ours) == pytest.approx(5e-4)
    assert deviation(ours[:1], ours) == math.inf
    assert deviation(np.full_like(ours, np.nan), ours) == math.inf


class FakeWorker:
    """A process of a library that is told what to answer; writes down who was timed."""

    turns: ClassVar[list[tuple[str, str]]] = []
    spans: ClassVar[dict[str, float]] = {"leapgrad": 1.0, "JAX": 4.0, "PyTorch": 2.0}
    offset: ClassVar[dict[str, float]] = {}
    absent = ("autograd", "JAX, default flags")

    def __init__(self, library, cores):
        self.library, self.keys = library, {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def ask(self, name, *given):
        library = self.library.name
        if library in self.absent:
            raise NotAvailable(f"No module named '{library}'")
        if name == "candidates":
            return [("a", library != "leapgrad", True), ("b", False, True)][
                : 1 if library == "leapgrad" else 2
            ]
        if name == "prepare":
            key, candidate, work = given
            self.keys[key] = candidate, work
        elif name == "result":
            work = self.keys[given[0]][1]
            return np.ones((work.n_kept, work.d, work.d)) + self.offset.get(library, 0.0)
        elif name == "time":
            candidate, work = self.keys[given[0]]
            self.turns.append((library, candidate))
            span = self.spans[library] / ROWS[0].work.times_smaller(work)
            return Timing(span * (2.0 if candidate == "b" else 1.0), span)
        elif name == "memory":
            return 1 << 20
        return None


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(measure, "Worker", FakeWorker)
    monkeypatch.setattr(measure, "PAUSE", 0.0)
    monkeypatch.setattr(FakeWorker, "turns", [])
    return FakeWorker


def test_candidates_take_turns_and_each_round_starts_with_another(fake):
    row = dataclasses.replace(ROWS[0], rounds=3)
    found = measure.measure_row(row, RATES, 2)
    assert found.ours is not None
    per_round = len(found.peers) + 1
    rounds = [fake.turns[-3 * per_round :][i : i + per_round] for i in range(0, 3 * per_round, per_round)]
    assert all(sorted(turn) == sorted(rounds[0]) for turn in rounds)
    assert len({turn[0] for turn in rounds}) == 3
    assert found.times_faster(found.best("JAX")) == pytest.approx((4.0, 4.0, 4.0))
    assert found.ours.scale == 1.0


def test_a_library_that_is_missing_is_a_sentence(fake):
    found = measure.measure_row(dataclasses.replace(ROWS[0], rounds=1), RATES, 2)
    assert found.missing[1:] == ("autograd: No module named 'autograd'",)
    assert "autograd: No module named 'autograd'." in table.details(found)


def test_other_numbers_stop_the_benchmark(fake, monkeypatch):
    monkeypatch.setattr(fake, "offset", {"PyTorch": 1e-6})
    with pytest.raises(Disagreement, match=r"PyTorch, a differs from ours by 1\.0e-06"):
        measure.measure_row(dataclasses.replace(ROWS[0], rounds=1), RATES, 2)


def test_rounds_end_when_their_time_is_over_but_not_before_the_third(fake, monkeypatch):
    monkeypatch.setattr(measure, "ROUNDS_SECONDS", 0.0)
    found = measure.measure_row(dataclasses.replace(ROWS[0], rounds=9), RATES, 2)
    assert found.ours is not None and len(found.ours.wall) == found.row.rounds == 3


def test_only_the_candidates_that_were_chosen_before_are_looked_at(fake):
    found = measure.measure_row(dataclasses.replace(ROWS[0], rounds=1), RATES, 2, names={"b"})
    assert {sample.name for sample in found.peers} == {"b"}


# ---------------------------------------------------------------------------------------------- shapes


def test_variables_of_a_shape_are_those_of_its_block_only(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Nehalem")
    monkeypatch.delenv("NUMBA_CPU_NAME", raising=False)
    with environment(OWN.variables):
        assert "OPENBLAS_CORETYPE" not in os.environ
        with environment(AVX2.variables):
            assert os.environ["OPENBLAS_CORETYPE"] == "Haswell"
            assert os.environ["NUMBA_CPU_NAME"] == "haswell"
        assert "NUMBA_CPU_NAME" not in os.environ
    assert os.environ["OPENBLAS_CORETYPE"] == "Nehalem"


def test_flags_for_xla_stand_beside_those_of_the_shape(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", AVX2.variables["XLA_FLAGS"])
    found = worker.variables_of(TUNED_JAX, 3)
    own = TUNED_JAX.environment["XLA_FLAGS"].split()
    assert found["XLA_FLAGS"].split()[: len(own) + 1] == [*own, "--xla_cpu_max_isa=AVX2"]
    assert found["OMP_NUM_THREADS"] == "1"
    assert "XLA_FLAGS" not in worker.variables_of(PLAIN_JAX, 3)


@pytest.mark.skipif(NOJIT, reason="compiled kernels are what is measured")
def test_a_process_of_the_narrow_shape_uses_no_more_than_avx2():
    if AVX2 not in shapes():
        pytest.skip("this processor has no wider registers")
    with environment(AVX2.variables), worker.Worker(MACHINE, 1) as process:
        assert process.ask("call", "code_of") == (4, "openblas for Haswell")
    with environment(OWN.variables), worker.Worker(MACHINE, 1) as process:
        assert process.ask("call", "code_of")[0] == 8


def test_both_shapes_stand_on_the_page(tmp_path):
    found = result(sample("leapgrad", (0.01,)), sample("JAX", (0.03,)))
    slower = result(sample("leapgrad", (0.02,)), sample("JAX", (0.03,)))
    curve = Curve("d", "dimension d", "N = 200", 3.0, (1, 2, 4, 8), (1e-4, 2e-4, 1e-3, 8e-3))
    machine = Description("a processor", "Linux", "3.11", 2, {"numpy": "2"}, {"JAX": "x64"})
    narrow_rates = dataclasses.replace(RATES, blas="openblas for Haswell")
    second = report.Narrow("restricted to AVX2", narrow_rates, [slower])
    whole = report.Report(machine, RATES, [found], None, [curve] * 3, 60.0, (), second)
    text = report.write(whole, tmp_path)[0].read_text(encoding="utf-8")
    assert table.main_table([found]) in text and table.main_table([slower]) in text
    assert "### Restricted to AVX2" in text
    assert "dgemm, Gflop/s (openblas for Haswell, best at order 512)" in text
    side_by_side = table.shapes_table([found], [slower], "AVX2").splitlines()[-1]
    cells = [cell.strip() for cell in side_by_side.strip("|").split("|")]
    assert [cells[i] for i in (1, 3, 4, 6)] == ["10.0 ms", "3.00", "20.0 ms", "1.50"]


# ----------------------------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.0, "2.00 s"), (0.01234, "12.3 ms"), (999.6e-6, "1000 µs"), (5e-8, "50.0 ns"), (123.4, "123 s")],
)
def test_durations(seconds, text):
    assert table.duration(seconds) == text


def test_verdicts():
    assert table.verdict(1.2, 1.25, at_most=True) == "≤ 1.25: met"
    assert table.verdict(1.3, 1.25, at_most=True) == "≤ 1.25: missed"
    assert table.verdict(1.3, 1.25, at_most=False) == "≥ 1.25: met"
    assert table.verdict(None, 2.0, at_most=False) == "≥ 2: open"
    assert table.verdict(1.0, None, at_most=True) == "–"


def test_the_main_table():
    limit = bound(ROWS[0].work, RATES).seconds
    ours = sample("leapgrad", (2 * limit, 4 * limit, 2 * limit))
    found = result(ours, sample("JAX", (3 * limit, 8 * limit, 9 * limit), scale=5.0), memory=3 << 20)
    head, _, line = (
        [cell.strip() for cell in text.strip("|").split("|")]
        for text in table.main_table([found]).split("\n")
    )
    cells = dict(zip(head, line, strict=False))
    assert cells["work"] == "leapfrog, d = 1"
    assert cells["time ÷ bound"] == "2.00"
    assert cells["× faster"] == "2.00"
    assert cells["best JAX"].endswith("×5")
    assert cells["× PyTorch"] == "–"
    assert cells["peak memory"] == "3.0 MiB"
    assert "≤ 3: met" in line and "≥ 1: met" in line


def test_the_page_holds_the_numbers_and_the_picture(tmp_path):
    found = result(sample("leapgrad", (0.01,)), sample("JAX", (0.03,)))
    curve = Curve("d", "dimension d", "N = 200", 3.0, (1, 2, 4, 8), (1e-4, 2e-4, 1e-3, 8e-3))
    machine = Description("a processor", "Linux", "3.11", 2, {"numpy": "2"}, {"JAX": "x64"})
    pages = report.write(report.Report(machine, RATES, [found], None, [curve] * 3, 60.0), tmp_path)
    text = pages[0].read_text(encoding="utf-8")
    assert "a processor, 2 cores used" in text
    assert table.main_table([found]) in text
    assert table.growth_table([curve] * 3) in text
    assert pages[1].read_bytes()[:4] == b"\x89PNG"
    assert f"({pages[1].relative_to(tmp_path).as_posix()})" in text


def test_late_and_lost_signals_are_shown():
    text = interrupt_table([Latency("quick", (0.01, 0.02, 0.03)), Latency("lost", (0.01, math.inf))])
    quick_line, lost_line = text.split("\n")[2:]
    assert [cell.strip() for cell in quick_line.strip("|").split("|")] == ["quick", "3", "20", "30", "yes"]
    assert "inf" in lost_line and "NO" in lost_line


# ---------------------------------------------------------------------------------------------- rows


def test_rows_are_what_is_asked_for():
    keys = [row.key for row in ROWS]
    assert len(set(keys)) == len(keys)
    asked = {row.key: (row.most_bound, row.least_faster) for row in ROWS}
    for scheme in ("leapfrog", "euler"):
        for d, pair in {1: (3.0, 1.0), 10: (2.0, 1.2), 100: (1.11, 1.5), 512: (1.11, 1.4)}.items():
            assert asked[f"{scheme}-{d}"] == pair
    assert {asked[f"{scheme}-{d}"][0] for scheme in ("leapfrog", "euler") for d in (32, 64)} == {1.54, 1.22}
    assert [row.key for row in narrow(ROWS)] == [key for key in keys if not key.startswith("euler")]
    assert asked["norm-100"] == (None, 8.0)
    assert (asked["norm-512"], asked["norm-1000"]) == ((None, 5.0), (None, 8.0))
    assert all(row.work.n_steps == 1000 for row in ROWS if row.work.weights == "paper")
    assert [row.key for row in select(["euler-1"])] == ["euler-1"]
    assert all(operations(quick(row).work).products < operations(row.work).products for row in ROWS)
    with pytest.raises(ValueError, match="there is no row 'spam'; the rows are leapfrog-1"):
        select(["spam"])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--rows", "spam"], "there is no row spam"),
        (["--write-docs", "--quick"], "needs a full run"),
        (["--repeats", "0"], "--repeats must be at least 1"),
        (["--cores", "0"], "--cores must be at least 1"),
    ],
)
def test_wrong_arguments_are_refused(given, said, capsys):
    with pytest.raises(SystemExit) as leaving:
        arguments(given)
    assert leaving.value.code == 2
    assert said in capsys.readouterr().err


# ----------------------------------------------------------------------------------------- processes


def test_memory_sees_an_array():
    forget_peak()
    before = resident()
    # Above 32 MiB malloc never hands out memory again that is resident already.
    block = np.ones(1 << 24)
    assert peak() - before >= 0.9 * block.nbytes


@pytest.mark.skipif(NOJIT, reason="compiled kernels are what is measured")
def test_a_process_that_lacks_its_library_says_so():
    with worker.Worker(Library("spam", "peers_that_are_not_there", ()), 1) as process:
        with pytest.raises(NotAvailable, match="No module named"):
            process.ask("settings")


# Memory of a Jacobian: what its docstring promises.
@pytest.mark.skipif(NOJIT, reason="compiled kernels are what is measured")
@pytest.mark.parametrize("d", [10, 200])
def test_memory_of_a_jacobian_is_what_the_docstring_promises(d):
    from benchmarks.candidate import OURS

    work = Work("leapfrog", d, n_steps=20, members=40)
    with worker.Worker(OURS, 2) as process:
        used = process.ask("memory", "jacobian", work)
    assert used <= 24 * work.members * d * d + 2 * 6 * max(16 * d * d * 8, 1 << 20)


# Memory of a norm: two groups of eight members, not forty members, and the bases of some iterations.
@pytest.mark.skipif(NOJIT, reason="compiled kernels are what is measured")
def test_memory_of_a_norm_is_what_the_docstring_promises():
    from benchmarks.candidate import OURS

    work = Work("leapfrog", 100, n_steps=1000, members=40, what="norm")
    with worker.Worker(OURS, 2) as process:
        name = process.ask("candidates", work)[0][0]
        used = process.ask("memory", name, work)
    trajectories, iterations = 2 * 8 * 8 * work.n_steps * work.d, 10
    assert used <= trajectories + 3 * 2 * 8 * 2 * 8 * work.d * iterations + (1 << 21)


@pytest.mark.slow
@pytest.mark.skipif(NOJIT, reason="compiled kernels are what is measured")
def test_a_quick_run_from_end_to_end(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        "benchmarks.rows.quick",
        lambda row: dataclasses.replace(row, work=row.work.part(3, 20), rounds=2, peers=("autograd",)),
    )
    path = tmp_path / "numbers.json"
    assert main(["--quick", "--rows", "leapfrog-1", "--json", str(path)]) == 0
    numbers = json.loads(path.read_text(encoding="utf-8"))
    (row,) = numbers["rows"]
    assert row["ours"]["name"] == "jacobian"
    assert len(row["ours"]["wall"]) == 2
    assert row["memory"] is not None
    said = capsys.readouterr()
    assert "time ÷ bound" in said.out
    assert "Traceback" not in said.err


def test_our_gradients_are_those_of_jax():
    pytest.importorskip("jax", reason="the extra bench brings JAX")
    from benchmarks.check import TOLERANCE, cases

    assert max(case.worst for case in cases()) <= TOLERANCE


def test_the_gradients_of_the_trainer_are_those_of_jax():
    pytest.importorskip("jax", reason="the extra bench brings JAX")
    from benchmarks.check_training import TOLERANCE, cases

    assert max(case.worst for case in cases()) <= TOLERANCE


def test_what_a_cell_takes_is_counted():
    from benchmarks.cells import counted
    from sensitivity.recurrences.registry import make

    d = 5
    assert counted(make("vanilla", d)) == (2 * d * d * (d + 1), 2 * d * d, d)
    assert counted(make("lstm", d)) == (2 * 4 * d * d * (2 * d + 1), 2 * 9 * d * 2 * d, 4 * d)
    assert counted(make("sbo", d))[0] == 2 * 2 * d * d * (d + 1)  # W and its transpose
    assert counted(make("unicornn", d))[0] == 0


def test_our_cells_are_those_of_torch():
    pytest.importorskip("torch", reason="the extra bench brings PyTorch")
    pytest.importorskip("jax", reason="the extra bench brings JAX")
    from benchmarks.check_cells import TOLERANCE, cases

    assert max(case.worst for case in cases()) <= TOLERANCE


# ------------------------------------------------------------------------------- a step of the trainer


def test_the_bound_of_a_gradient_step_counts_three_products_a_kick():
    batch = Batch(3, 5, 7, 2, 2.0, 3.0)
    products = 0
    for kick in range(5):
        products += 2 * 2 * 3 * (3 + 2)  # A (y; x; 1), and ∂A
        products += 2 * 3 * 3 if kick else 0  # Wᵀ λ: the first kick acts on a state at rest
    assert batch.bound(RATES) == pytest.approx(7 * products / 1e11 + 7 * 5 * 3 / 2e9)


def test_a_gradient_step_is_compared_round_by_round_with_the_best_of_a_library():
    wall = {"leapgrad: own": (1.0, 2.0, 1.0), "JAX: scan": (4.0, 6.0, 5.0), "JAX: slow": (9.0, 9.0, 9.0)}
    found = BatchResult(Batch(3, 5, 7, 2, 2.0, 5.0), wall, dict.fromkeys(wall, 1e-15), ("PyTorch: none",))
    assert found.times_faster("JAX") == 4.0 and found.times_faster("PyTorch") is None
    page = training_table([found], RATES)
    assert "≥ 5: missed" in page and "JAX: slow" in page and "Not available: PyTorch: none." in page


# Catches: a table on the page that the command beside it does not print; a bound below the norm.
def test_the_page_has_the_tightness_that_is_computed():
    from benchmarks.tightness import gaps, networks, table

    page = (Path(__file__).resolve().parents[2] / "docs" / "verifier.md").read_text(encoding="utf-8")
    few = {name: networks()[name] for name in ("paper's weights, d = 10", "W = −AAᵀ")}
    rows = list(table(few))
    assert len(rows) == 4 and all(row in page for row in rows)
    for field in few.values():
        for scheme in ("euler", "leapfrog"):
            single, steps, segments = gaps(field, scheme)
            assert (segments >= 0.0).all() and (segments <= steps).all() and (steps <= single).all()
