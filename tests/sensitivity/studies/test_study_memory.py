"""Memory: estimates that hold for every model, and limits of containers and shells."""

import subprocess
import sys
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from sensitivity.analysis.factoring import PANEL
from sensitivity.studies import Study, cell, sample, together
from sensitivity.studies.cell import arrays_of
from sensitivity.studies.execution import cost
from sensitivity.studies.execution.cost import PROCESS_BYTES, cost_of, plan_of
from sensitivity.studies.execution.memory import control_group_bytes, machine_bytes
from sensitivity.studies.models import MODELS, RunSize, axes_of


def peak_of(cell):
    arrays_of(cell)  # compiled, imported
    tracemalloc.start()
    try:
        arrays_of(cell)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def only_cell(quantity, model="neural", **grid):
    taken = {name: value for name, value in grid.items() if name in axes_of(model)}
    (cell,) = Study({"model": model, "step": 0.1, **taken}, quantity).cells()
    return cell


def check(cell):
    peak = peak_of(cell)
    assert peak <= cost_of(cell).memory <= 30 * peak + (80 << 20), (peak, cost_of(cell).memory)


# Catches: estimates without the inputs, V, the rows of all gates, or what structured cells keep beside W.
@pytest.mark.parametrize("model", MODELS)
def test_parameters_and_inputs_are_counted_for_every_model(model):
    check(only_cell("bounds", model, d=200, n_steps=1))
    if "inputs" in axes_of(model):
        check(only_cell("bounds", model, d=40, inputs=3000, n_steps=2))
        check(only_cell("log_norm", model, d=2, inputs=400, n_steps=3000))


# Catches: what a backward sweep, Lanczos or growth rates hold, which grows with the length of a run.
@pytest.mark.parametrize(
    ("quantity", "model", "grid"),
    [
        ("profile", "harmonic", {"n_steps": 60_000, "step": np.geomspace(0.01, 0.1, 9)}),
        ("profile", "neural", {"d": 3, "n_steps": 20_000, "scheme": "euler", "step": [0.1, 0.2, 0.3]}),
        ("profile", "neural", {"d": 30, "n_steps": 1500, "scheme": "yoshida4", "inputs": 100}),
        ("profile", "lstm", {"d": 4, "n_steps": 8000, "inputs": 30}),
        ("log_norm", "neural", {"d": 50, "n_steps": 4000, "scheme": "yoshida4", "step": [0.01, 0.02]}),
        ("log_norm", "neural", {"d": 300, "n_steps": 30, "step": np.geomspace(0.01, 0.1, 11)}),
        ("norm", "lstm", {"d": 60, "n_steps": 1000}),
        ("norm", "unicornn", {"d": 50, "n_steps": 200, "step": np.geomspace(0.01, 0.1, 17)}),
        ("exponents", "neural", {"d": 2, "n_steps": 5000, "step": [0.1, 0.2, 0.3]}),
        ("exponents", "neural", {"d": 60, "n_steps": 20, "step": np.geomspace(0.01, 0.1, 30)}),
        ("singular_values", "neural", {"d": 60, "n_steps": 10, "step": np.geomspace(0.01, 0.1, 20)}),
        ("singular_values", "kepler", {"n_steps": 500, "y0": 1.0, "step": np.geomspace(1e-3, 1e-2, 100)}),
        ("norm", "neural", {"d": 40, "n_steps": 20, "step": np.geomspace(0.01, 0.1, 128)}),
        ("windows", "neural", {"d": 2, "n_steps": 6000, "step": [0.1, 0.2]}),
        ("windows", "lstm", {"d": 12, "n_steps": 300, "inputs": 3}),
        ("parameter_sensitivity", "lstm", {"d": 20, "n_steps": 300, "inputs": 30}),
        ("truncation", "lstm", {"d": 10, "n_steps": 100, "inputs": 3}),
        ("memory", "neural", {"d": 10, "n_steps": 3000, "inputs": 5, "step": [0.1, 0.2]}),
        ("memory", "lstm", {"d": 20, "n_steps": 300, "inputs": 30}),
    ],
)  # fmt: skip
def test_what_grows_with_the_length_of_a_run_is_counted(quantity, model, grid):
    check(only_cell(quantity, model, **grid))


def test_a_long_run_that_is_not_stored_is_not_counted():
    assert cost_of(only_cell("norm", d=60, n_steps=3 * 10**7)).memory < 100 << 20
    assert cost_of(only_cell("exponents", d=10, n_steps=10**8)).memory < 100 << 20
    assert cost_of(only_cell("profile", d=10, n_steps=10**6)).memory < 2 << 30


# Not ru_maxrss, which begins with the memory of the process that starts this one.
MEASURE = """
import re
from sensitivity.studies import Study, sample, together
from sensitivity.studies import cell
from sensitivity.studies.cell import arrays_of
def peak():
    with open("/proc/self/status") as file:
        return re.search(r"VmHWM:\\s*(\\d+)", file.read())[1]
arrays_of(next(Study({'d': 2, 'n_steps': 3, 'inputs': 1}, 'log_norm').cells()))
before = peak()
arrays_of(next(Study({'d': 1000, 'n_steps': 20, 'inputs': 1000}, 'log_norm').cells()))
print(before, peak())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_a_process_takes_no_more_than_it_is_estimated_to():
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    before, after = (1024 * int(word) for word in done.stdout.split())
    assert before <= PROCESS_BYTES
    assert after - before <= cost_of(only_cell("log_norm", d=1000, n_steps=20, inputs=1000)).memory


# ------------------------------------------------------------------------------------------------- limits


def tree(root, groups, mounts, limits):
    """A /proc and a /sys as a container has them."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text("\n".join(groups) + "\n")
    (root / "proc/self/mountinfo").write_text("\n".join(mounts) + "\n")
    for place, text in limits.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(text)
    return min(control_group_bytes(root), default=None)


V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
V1 = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory"
V1_LIMIT = "sys/fs/cgroup/memory/{}/memory.limit_in_bytes"
GIB = 1 << 30


@pytest.mark.parametrize(
    ("groups", "mounts", "limits", "least"),
    [
        (["0::/a/b"], [V2], {"sys/fs/cgroup/a/b/memory.max": f"{GIB}\n"}, GIB),
        (["0::/a/b"], [V2], {"sys/fs/cgroup/a/b/memory.max": "max\n"}, None),
        (
            ["0::/a/b"],
            [V2],
            {"sys/fs/cgroup/a/b/memory.max": f"{3 * GIB}", "sys/fs/cgroup/a/memory.max": f"{2 * GIB}\n"},
            2 * GIB,
        ),
        (["0::/a"], [V2], {"sys/fs/cgroup/a/memory.high": f"{GIB}"}, GIB),
        (["0::/"], [V2], {"sys/fs/cgroup/memory.max": f"{GIB}"}, GIB),
        (["5:memory:/job", "2:cpu:/job", "0::/"], [V1], {V1_LIMIT.format("job"): "77"}, 77),
        (["5:cpu,memory:/j"], [V1], {V1_LIMIT.format("."): "77"}, 77),
        # A container that is shown its own group as the root of the mount.
        (
            ["5:memory:/docker/abc/sub"],
            [V1.replace(" / /sys", " /docker/abc /sys")],
            {V1_LIMIT.format("sub"): "99", V1_LIMIT.format("."): "88"},
            88,
        ),
        (["5:memory:/docker/abc"], [V1], {V1_LIMIT.format("."): "88"}, 88),
        (["0::/../../x"], [V2], {"sys/fs/cgroup/memory.max": "5"}, None),
        (["0::/a b"], [V2.replace("/sys/fs/cgroup", "/my\\040groups")], {"my groups/a b/memory.max": "5"}, 5),
        (["nonsense", ""], ["nonsense"], {}, None),
    ],
)  # fmt: skip
def test_the_limits_of_control_groups_are_read(tmp_path, groups, mounts, limits, least):
    assert tree(tmp_path, groups, mounts, limits) == least


def test_without_control_groups_there_is_no_limit(tmp_path):
    assert list(control_group_bytes(tmp_path)) == []


@pytest.mark.parametrize("name", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_the_limits_of_a_shell_are_read(name):
    pytest.importorskip("resource")
    script = (
        "import resource\n"
        "from sensitivity.studies.execution.memory import machine_bytes\n"
        f"resource.setrlimit(resource.{name}, (3 << 30, resource.RLIM_INFINITY))\n"
        "print(machine_bytes())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert float(done.stdout) == min(3 << 30, machine_bytes())


# ---------------------------------------------------------------------------------------- a sample of cells


def test_a_sample_of_short_cells_is_the_study_itself(monkeypatch):
    """Cells no longer than the sample's are run as they are, and every copy takes as long."""
    clock = iter(range(10**6))
    monkeypatch.setattr(sample.time, "perf_counter", lambda: float(next(clock)))
    monkeypatch.setattr(sample, "arrays_of", lambda cell: None)
    monkeypatch.setattr(together, "ALONE_SECONDS", 0.0)
    # Each run lasts one tick; the time is up after the first kind.
    assert sample.measured_seconds(Study({"n_steps": 5, "seed": range(10)}, "norm"), 0.5) == pytest.approx(10)


# Catches: the time of networks that run together taken from one that runs alone, twenty times as long.
def test_networks_that_run_together_are_timed_together(monkeypatch):
    now = [0.0]

    def compute(batch):
        now[0] += 0.5 + 0.01 * len(batch)

    monkeypatch.setattr(sample.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(cell.CellBatch, "compute", compute)
    study = Study({"d": 2, "n_steps": 10, "seed": range(3000)}, "norm")
    assert sample.measured_seconds(study) == pytest.approx(3000 * (0.005 + 0.01))
    # What the plan expects, by a formula: no clock is read.
    assert 3000 * 1.5e-5 < plan_of(study).seconds < 3000 * 3e-5


# Catches: a time that does not grow with N, as when only the fixed time of a cell were measured.
def test_a_long_run_is_scaled_from_short_ones(monkeypatch):
    now = [0.0]

    def arrays_of(cell):
        now[0] += 0.25 + 0.01 * cell.parameters["n_steps"]

    monkeypatch.setattr(sample.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(sample, "arrays_of", arrays_of)
    study = Study({"n_steps": 10**6, "seed": range(3)}, "norm")
    assert sample.measured_seconds(study) == pytest.approx(3 * (0.25 + 1e4), rel=1e-9)


def test_nothing_is_run_that_cannot_be():
    huge = Study({"d": 10**6, "seed": range(3)}, "norm")
    assert sample.measured_seconds(huge) == pytest.approx(plan_of(huge).seconds)
    assert np.isfinite(sample.measured_seconds(Study({"weight_scale": 1e308, "n_steps": 5, "gamma": 1e308})))


# Catches: Lanczos in the estimate from 48 columns on, where the product of all columns is the better way. The
# seconds are those of a formula, and nothing is run.
@pytest.mark.parametrize(("model", "d"), [("neural", 48), ("neural", 100), ("vanilla", 48), ("lstm", 96)])
def test_the_time_of_one_member_is_that_of_the_full_product(model, d):
    def seconds(width):
        (cell,) = Study({"model": model, "d": [width], "n_steps": [1000], "seed": [0]}, "norm").cells()
        return cost_of(cell).seconds

    assert seconds(d) / seconds(2 * d) == pytest.approx(1 / 8, rel=0.6)
    assert seconds(d) / seconds(d - 1) < 1.1


def test_the_time_of_many_members_is_that_of_the_way_that_is_taken():
    size = RunSize(d=64, state=128, n_steps=40, kicks=41)
    assert cost._matrix(size, 1).columns == 64
    assert cost._matrix(size, 16).columns < 64
    assert cost._matrix(replace(size, iterations=200), 16).columns == 64


def test_factorisations_are_counted_at_the_interval_that_is_tried_first():
    size = RunSize(d=8, state=16, n_steps=1600, kicks=1601)
    one = cost._factorings(replace(size, n_steps=PANEL), 1)
    assert cost._factorings(size, 1) == pytest.approx(1600 / PANEL * one)
    assert one == pytest.approx(cost.QR_SECONDS + 4.0 * 16 * 64 / cost.FLOPS_PER_SECOND)
