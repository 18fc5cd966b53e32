"""Studies: grid, cells on disk and what becomes of damaged ones, resuming, labels, memory, verification."""

import csv
import json
import math
import pickle
import shutil
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from study_rows import change, connected, contents, put, remove, rows_in, set_aside_in

from integrators import SCHEMES, NeuralField, pendulum, register
from sensitivity import (
    OdeRecurrence,
    gradient_in_time,
    gradient_profile,
    growth_exponents,
    jacobian_norm,
    log_jacobian_norm,
    log_singular_values,
    log_window_norms,
    memory_kernels,
    parameter_sensitivity,
    readout_ceiling,
    unroll,
)
from sensitivity import cell as make_cell
from sensitivity.bounds import log_majorant, no_vanishing
from sensitivity.cli import main
from sensitivity.recurrences.registry import FIELDS, MODELS, drawn_inputs
from sensitivity.studies import Study, open_results, verify
from sensitivity.studies.cell import GridCell, arrays_of, case_of
from sensitivity.studies.execution.cost import cost_of, plan_of
from sensitivity.studies.execution.memory import gibibytes
from sensitivity.studies.models import size_of_run
from sensitivity.studies.quantities import QUANTITIES
from sensitivity.studies.storage.job import Job, UnusableRow, checksum_of, decode, encode
from sensitivity.studies.storage.store import Store

STEPS = (0.01, 0.1, 0.7)
GRID = {"scheme": ["leapfrog", "euler"], "d": [1, 3], "seed": [0, 4], "n_steps": 20, "step": STEPS}


def small(quantities=("log_norm", "bounds"), **changes):
    return Study({**GRID, **changes}, quantities)


def cell_of(quantities=("log_norm",), **parameters):
    grid = {"d": 3, "n_steps": 20, "step": STEPS, **parameters}
    (cell,) = Study(grid, quantities).cells()
    return cell


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study that has been run, to be copied."""
    folder = tmp_path_factory.mktemp("study") / "run"
    small().run(folder, progress=False)
    return folder


@pytest.fixture
def folder(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


# --------------------------------------------------------------------------------------------------- grid


def test_ranges_and_lists_give_the_same_study():
    ranges = {
        "seed": {"first": 3, "count": 4, "every": 2},
        "step": {"low": 1e-3, "high": 1.0, "count": 4},
        "y0": {"low": -1, "high": 1, "count": 3, "spacing": "linear"},
        "d": 2,
    }
    lists = {"seed": [3, 5, 7, 9], "step": np.geomspace(1e-3, 1, 4), "y0": (-1, 0.0, 1), "d": [2]}
    assert Study(ranges) == Study(lists)
    assert Study(ranges).grid["seed"] == (3, 5, 7, 9)


def test_a_default_written_out_is_the_same_cell():
    bare, written = cell_of(), cell_of(scheme="stormer_verlet", y0=-0.0, gamma="none", seed=0)
    assert bare.address == written.address
    others = [cell_of(seed=1), cell_of(("norm",)), cell_of(gamma=0.0), cell_of(step=[0.01, 0.1])]
    assert len({cell.address for cell in (bare, *others)}) == 5


def test_cells_are_counted_before_they_are_made():
    mixed = {"model": ["neural", "pendulum"], "d": [1, 2, 5], "seed": [0, 1], "y0": [0.1, 0.2], "step": STEPS}
    for study in (small(), small(model="neural"), Study(mixed), Study(mixed, steps_per_cell=2)):
        cells = list(study.cells())
        assert len({cell.address for cell in cells}) == len(cells) == study.n_cells == plan_of(study).cells
        pointed = {cell.address for _, group in study.points() for cell in group}
        assert pointed == {cell.address for cell in cells}
    assert Study(mixed).n_cells == 3 * 2 * 2 + 2


def test_steps_are_cut_into_cells_without_changing_a_bit():
    grid = {"d": 5, "n_steps": 30, "step": np.geomspace(1e-3, 1, 7)}
    whole, cut = (Study(grid, list(QUANTITIES), steps_per_cell=size) for size in (7, 3))
    assert (whole.n_cells, cut.n_cells) == (1, 3)
    (one,) = whole.cells()
    parts = [arrays_of(cell) for cell in cut.cells()]
    for name, array in arrays_of(one).items():
        assert np.concatenate([part[name] for part in parts]).tobytes() == array.tobytes(), name


MISTAKES = {
    "unknown axis": ({"depth": 3}, {}, "axis 'depth' is not known"),
    "near axis": ({"nsteps": 3}, {}, "Did you mean 'n_steps'?"),
    "unknown model": ({"model": "pendulm"}, {}, "Did you mean 'pendulum'?"),
    "model twice": ({"model": ["kepler", "kepler"]}, {}, "each once"),
    "axis of another model": ({"model": "pendulum", "d": 3}, {}, "axis 'd' is none of pendulum"),
    "unknown quantity": ({}, {"quantities": ["nrm"]}, "Did you mean 'norm'?"),
    "no quantity": ({}, {"quantities": []}, "quantities is empty"),
    "unknown scheme": ({"scheme": "leapfrgo"}, {}, "Did you mean 'leapfrog'?"),
    "unknown activation": ({"activation": ["tanh", "tan"]}, {}, "activation 'tan' is not known"),
    "no values": ({"seed": []}, {}, "seed holds no values"),
    "a value twice": ({"scheme": ["verlet", "leapfrog"]}, {}, "'leapfrog' twice"),
    "a width of 0": ({"d": [1, 0]}, {}, "d must be at least 1, got 0"),
    "half a width": ({"d": 2.5}, {}, "d must be a whole number"),
    "step of 0": ({"step": [0.1, 0.0]}, {}, "step must be positive, got 0"),
    "step is nan": ({"step": float("nan")}, {}, "step holds nan"),
    "gamma is a word": ({"gamma": "small"}, {}, "gamma has dtype"),
    "half a range": ({"seed": {"count": 3}}, {}, "takes count, first"),
    "range of another kind": ({"step": {"first": 1, "count": 3}}, {}, "takes count, high, low"),
    "range from 0": ({"step": {"low": 0, "high": 1, "count": 3}}, {}, 'spacing = "linear"'),
    "unknown spacing": ({"y0": {"low": 0, "high": 1, "count": 3, "spacing": "lin"}}, {}, "'lin'"),
    "huge range": ({"seed": {"first": 0, "count": 10**9}}, {}, "take at most 1000000"),
    "no steps in a cell": ({}, {"steps_per_cell": 0}, "steps_per_cell must be at least 1"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_wrong_study_names_what_is_wrong(case):
    grid, options, fragment = MISTAKES[case]
    with pytest.raises((ValueError, TypeError)) as caught:
        Study(grid, **options)
    assert fragment in str(caught.value)


def test_a_scheme_registered_here_is_refused():
    mine = register(replace(SCHEMES["leapfrog"], name="mine", aliases=()))
    with pytest.raises(ValueError, match="registered in this process"):
        Study({"scheme": mine.name})


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("quantities = [", "is not a TOML file"),
        ("quantities = ['norm']", "the table [grid] is missing"),
        ("qantities = ['norm']\n[grid]", "Did you mean 'quantities'?"),
        ("[grid]\nstep = -1", "step must be positive"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, text, fragment):
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError) as caught:
        Study.from_toml(path)
    assert "study.toml" in str(caught.value) and fragment in str(caught.value)


# ------------------------------------------------------------------------------------------------ numbers


@pytest.mark.parametrize("gamma", [None, 0.1])
@pytest.mark.parametrize("scheme", ["leapfrog", "euler"])
def test_numbers_are_those_of_the_functions(scheme, gamma):
    """Every parameter reaches the network, and every quantity is the public function's."""
    cell = cell_of(
        list(QUANTITIES), scheme=scheme, gamma=gamma, seed=7, weight_scale=2.0, y0=0.3, p0=-0.2, inputs=2,
        activation="sin",
    )  # fmt: skip
    drawn = NeuralField.random(3, 7, inputs=2)
    field = NeuralField(2 * drawn.W, drawn.b, drawn.V, "sin")
    if gamma is not None:
        field = NeuralField.antisymmetric(2 * drawn.W, drawn.b, gamma, drawn.V, "sin")
    x = np.random.default_rng([7, 1]).standard_normal((20, 2))
    case = (field, scheme, STEPS, 20, np.full(3, 0.3), np.full(3, -0.2), x)
    exponents = growth_exponents(*case)
    expected = {
        "norm": jacobian_norm(*case),
        "log_norm": log_jacobian_norm(*case),
        "log_singular_value": log_singular_values(*case),
        "exponent": exponents.exponents,
        "exponent_error": exponents.standard_error,
        "log_profile": gradient_profile(*case).log_norms,
        "log_bound": log_majorant(field, scheme, STEPS, 20),
        "least_singular_value": no_vanishing(field, STEPS, 20, scheme),
    }
    run = OdeRecurrence(*case)
    windows = [log_window_norms(run, width) for width in (1, 2, 4, 8, 16)]
    columns = [(w.max(axis=1), w.mean(axis=1) / 2**k, w.std(axis=1) / 2**k) for k, w in enumerate(windows)]
    names = ("log_window_norm", "finite_time_exponent", "finite_time_spread")
    expected |= {
        name: np.stack(column, axis=1) for name, column in zip(names, zip(*columns, strict=True), strict=True)
    }
    norms = {name: own.log_frobenius for name, own in parameter_sensitivity(run).items()}
    total = 0.5 * np.logaddexp.reduce([2 * own for own in norms.values()], axis=0)
    expected |= {"log_sensitivity": total} | {f"log_sensitivity_{name}": norms[name] for name in "WVb"}
    expected["truncation_window"] = gradient_in_time(run).window(0.01)
    ceiling = readout_ceiling(run, np.ones(20))
    expected["memory_capacity"] = memory_kernels(run).capacity.sum(axis=-1)
    expected |= {"mean_correlation": ceiling.correlation, "mean_accuracy": ceiling.accuracy}
    found = arrays_of(cell)
    assert list(found) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_what_a_model_does_not_have_is_nan_and_is_not_counted_as_an_overflow():
    """The memory of a model without inputs; V of one that has none; the bound on windows of an LSTM."""
    wanted = ["windows", "parameter_sensitivity", "memory"]
    (cell,) = Study({"model": "pendulum", "y0": 0.4, "n_steps": 9, "step": STEPS}, wanted).cells()
    found = arrays_of(cell)
    assert np.isfinite(found["log_sensitivity"]).all() and np.isnan(found["log_sensitivity_V"]).all()
    assert np.isnan(found["memory_capacity"]).all() and cell.lost(found) == 0
    assert found["log_window_norm"].shape == (3, 4)
    assert cell.lost(found | {"log_sensitivity": np.array([0.0, np.nan, 1.0])}) == 1
    (lstm,) = Study({"model": "lstm", "d": 3, "n_steps": 9, "inputs": 2}, wanted).cells()
    run = unroll(make_cell("lstm", 3, 2, rng=0), inputs=drawn_inputs(9, 2, 0))
    own = arrays_of(lstm)
    assert own["log_sensitivity_V"] == parameter_sensitivity(run)["V"].log_frobenius
    assert own["log_window_norm"][0, -1] == log_window_norms(run, 8).max()


def test_a_window_above_its_bound_is_found():
    (cell,) = Study({"d": 3, "n_steps": 9, "step": 0.1}, "windows").cells()
    case, arrays = case_of(cell), arrays_of(cell)
    rule = QUANTITIES["windows"].violations
    assert not list(rule(case, arrays))
    arrays["log_window_norm"][0, 2] += 5.0
    assert [sentence.split(":")[0] for sentence in rule(case, arrays)] == [
        "log_window_norm of 4 steps above its bound"
    ]


def test_textbook_models_run_and_say_where_nothing_is_proved():
    grid = {"model": ["pendulum", "kepler"], "y0": 0.7, "p0": 0.4, "n_steps": 30, "step": STEPS}
    swing, orbit = (arrays_of(cell) for cell in Study(grid).cells())
    expected = jacobian_norm(pendulum(), "leapfrog", STEPS, 30, y0=[0.7], p0=[0.4])
    np.testing.assert_array_equal(swing["norm"], expected)
    assert np.isfinite(swing["log_bound"]).all() and np.isnan(orbit["log_bound"]).all()


def test_lost_trajectories_are_counted_and_stored_as_nan(tmp_path, recwarn):
    grid = {"d": 2, "activation": "relu", "y0": 1.0, "n_steps": 400, "step": [0.01, 1e100]}
    results = Study(grid, ["log_norm", "bounds"]).run(tmp_path / "run", progress=False)
    assert results.report.lost_lanes == 1 and not recwarn.list
    (cell,) = results.study.cells()
    assert np.isnan(results.read(cell)["log_norm"]).tolist() == [False, True]
    assert verify(tmp_path / "run", progress=False).ok


# -------------------------------------------------------------------------------------------------- cells


class Odd(Job):
    """A job with arrays of all kinds."""

    arrays: ClassVar = {
        "c": np.array([5e-324]),
        "a": np.array([[1.5, -0.0], [np.nan, np.inf]]),
        "b": np.zeros((2, 0)),
        "d": np.array(7.0),
    }
    seconds = 1.0

    def facts(self):
        return {"odd": True}

    def compute(self):
        return self.arrays

    def shapes(self):
        return {name: array.shape for name, array in self.arrays.items()}


def test_a_cell_reads_back_bit_by_bit():
    job = Odd()
    back = decode(job, encode(job, job.compute()))
    assert list(back) == list(job.arrays)
    for name, array in job.arrays.items():
        assert back[name].shape == array.shape and back[name].tobytes() == array.tobytes()


def test_arrays_that_are_not_those_of_the_job_are_refused():
    job = Odd()
    with pytest.raises(ValueError, match="it gives a, not a, b, c, d"):
        encode(job, {"a": job.arrays["a"]})
    with pytest.raises(ValueError, match=r"c has the shape \(2,\), not \(1,\)"):
        encode(job, {**job.arrays, "c": np.zeros(2)})


def damaged(cell, row):
    """Ways to spoil a row: reason → rows."""
    version, numbers, checksum = row
    flipped = bytearray(numbers)
    flipped[-3] ^= 4
    later, short = "9" + version, numbers[:-8]
    return {
        "empty": [(version, b"", checksum)],
        "truncated": [(version, numbers[:n], checksum) for n in (1, len(numbers) // 2, len(numbers) - 1)],
        "corrupt": [
            (version, bytes(flipped), checksum),
            (version, numbers, checksum[:-1]),
            (version, numbers + b"x", checksum),
            (version, bytes(len(numbers)), checksum),
            (version, None, checksum),
            (version, 3.5, checksum),
            (version, "text", checksum),
            (version, numbers, None),
            (later, numbers, checksum),
            (version, short, checksum_of(cell.digest, version, short)),
            (version, numbers, checksum_of(cell_of(seed=99).digest, version, numbers)),  # another cell's
        ],
        "other version": [(later, numbers, checksum_of(cell.digest, later, numbers))],
    }


def test_every_kind_of_damage_is_told_apart():
    cell = cell_of()
    row = encode(cell, arrays_of(cell))
    decode(cell, row)
    for reason, rows in damaged(cell, row).items():
        for spoiled in rows:
            with pytest.raises(UnusableRow) as caught:
                decode(cell, spoiled)
            assert caught.value.reason == reason, spoiled


def test_every_single_byte_matters():
    cell = cell_of()
    row = encode(cell, arrays_of(cell))
    for part, content in enumerate((row.version.encode(), row.numbers, row.checksum)):
        for place in range(len(content)):
            spoiled = bytearray(content)
            spoiled[place] ^= 0x20
            other = [*row]
            other[part] = bytes(spoiled) if part else spoiled.decode("latin-1")
            with pytest.raises(UnusableRow):
                decode(cell, tuple(other))


# ------------------------------------------------------------------------------------------------- resume


def test_a_second_run_computes_nothing_and_changes_nothing(folder):
    before = contents(folder)
    report = small().run(folder, progress=False).report
    assert (report.kept, report.computed, report.set_aside) == (8, 0, [])
    assert contents(folder) == before


def test_missing_and_damaged_cells_are_named_set_aside_and_computed_again(folder):
    before = contents(folder)
    cells = list(small().cells())
    spoiled = {}
    for cell, (reason, row) in zip(cells[1:], spoilt_rows(cells, before), strict=False):
        put(folder, cell, row)
        spoiled[cell.address] = (reason, *row)
    remove(folder, cells[0])
    # The row of another cell, whole.
    put(folder, cells[7], before[cells[1].address])
    spoiled[cells[7].address] = ("corrupt", *before[cells[1].address])
    report = small().run(folder, progress=False).report
    assert (report.kept, report.computed) == (2, 6)
    assert len(report.set_aside) == 5
    for place, sentence in report.set_aside:
        assert sentence.startswith(spoiled[place.removeprefix("set_aside/")][0]), (place, sentence)
    assert set_aside_in(folder) == spoiled
    assert contents(folder) == before


def spoilt_rows(cells, before):
    """One row of each kind of damage, for the cells from the second on."""
    kinds = ("empty", "truncated", "corrupt", "other version")
    for kind, cell in zip(kinds, cells[1:], strict=False):
        yield kind, damaged(cell, before[cell.address])[kind][0]


def test_fifty_damaged_cells_are_all_found(tmp_path):
    study = Study({"d": 1, "n_steps": 5, "seed": {"first": 0, "count": 50}, "step": STEPS}, ["log_norm"])
    study.run(tmp_path / "run", progress=False)
    before = contents(tmp_path / "run")
    rng = np.random.default_rng(3)
    for number, cell in enumerate(study.cells()):
        column, old = [("numbers", 1), ("checksum", 2)][number % 2][0], before[cell.address]
        content = bytearray(old[1 if column == "numbers" else 2])
        place = rng.integers(len(content))
        if number % 3 == 0:
            content[place] ^= 1 << rng.integers(8)
        else:
            content = content[:place] if number % 3 == 1 else content[:place] + b"\x01" * len(content)
        change(tmp_path / "run", cell, **{column: bytes(content)})
    assert len(verify(tmp_path / "run", progress=False).damaged) == 50
    report = study.run(tmp_path / "run", progress=False).report
    assert len(report.set_aside) == report.computed == 50
    assert contents(tmp_path / "run") == before


def test_a_larger_study_keeps_the_cells_of_a_smaller_one(folder):
    larger = small(seed=[0, 4, 5])
    report = larger.run(folder, progress=False).report
    assert (report.kept, report.computed) == (8, 4)
    assert open_results(folder).study == larger
    small().run(folder, progress=False)
    found = verify(folder, progress=False)
    assert found.ok and len(found.strange) == 4


def test_another_run_in_the_same_folder_is_refused(folder):
    script = (
        "import sys; from sensitivity.studies.storage.store import Store\n"
        "with Store(sys.argv[1]).writing(): print('in', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "in\n"
        with pytest.raises(OSError, match="another run is writing"):
            small().run(folder, progress=False)
        other.stdin.close()
    small().run(folder, progress=False)


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(OSError, match="this is a file"):
        small().run(tmp_path / "run", progress=False)
    with pytest.raises(OSError, match="no study"):
        open_results(tmp_path)


def test_a_damaged_description_is_named_and_written_again(folder):
    before = contents(folder)
    with connected(folder) as connection:
        connection.execute("UPDATE facts SET content = substr(content, 1, 20)")
    with pytest.raises(ValueError, match=r"the description in .*study\.sqlite is damaged"):
        verify(folder)
    small().run(folder, progress=False)
    assert contents(folder) == before


# ------------------------------------------------------------------------------------------------- verify


def forged(folder, cell, name, change):
    """Put a cell with other numbers and a right checksum into its place."""
    arrays = {key: array.copy() for key, array in Store(folder).read(cell).items()}
    arrays[name] += change
    put(folder, cell, encode(cell, arrays))


@pytest.mark.parametrize(
    ("quantity", "variable", "change", "fragment"),
    [
        ("norm", "norm", 1e9, "norm above its bound"),
        ("log_norm", "log_norm", 30.0, "log_norm above its bound"),
        ("singular_values", "log_singular_value", 30.0, "largest log singular value"),
        ("singular_values", "log_singular_value", -9.0, "smallest log singular value"),
        ("profile", "log_profile", 30.0, "log_profile at i = 0"),
        ("bounds", "log_bound", 1e-12, "log_bound as stored differs"),
        ("bounds", "least_singular_value", 1e-12, "least_singular_value as stored differs"),
    ],
)
def test_a_number_beyond_its_bound_is_a_violation(tmp_path, quantity, variable, change, fragment):
    study = small([quantity], d=2, seed=0, scheme="leapfrog")
    study.run(tmp_path, progress=False)
    assert verify(tmp_path, progress=False).ok
    (cell,) = study.cells()
    forged(tmp_path, cell, variable, change)
    found = verify(tmp_path, progress=False)
    assert not found.ok and found.sound == 0
    assert any(fragment in sentence for _, sentence in found.violations)


def test_a_forged_number_within_its_bound_is_found_by_computing_again(folder):
    cells = list(small().cells())
    forged(folder, cells[3], "log_norm", -1e-9)
    assert verify(folder, progress=False).ok
    found = verify(folder, recompute=len(cells), progress=False)
    assert not found.ok and found.recomputed == len(cells) and len(found.changed) == 1


# ------------------------------------------------------------------------------------------------- labels


def test_labelled_arrays_hold_each_number_in_its_place(tmp_path):
    pytest.importorskip("xarray")
    grid = {
        "scheme": ["leapfrog", "euler"],
        "d": [1, 3],
        "gamma": [None, 0.1],
        "n_steps": [20],
        "step": STEPS,
    }
    quantities = ["log_norm", "singular_values", "exponents", "profile"]
    results = Study(grid, quantities, steps_per_cell=2).run(tmp_path / "run", progress=False)
    data = results.to_xarray()
    assert data.log_norm.dims == ("scheme", "d", "gamma", "step") and data.n_steps == 20
    field = NeuralField.random(3)
    expected = log_jacobian_norm(field, "euler", STEPS, 20)
    found = data.log_norm.sel(scheme="euler", d=3).isel(gamma=0)
    np.testing.assert_array_equal(found, expected)
    wide = data.log_singular_value.sel(scheme="euler", d=1).isel(gamma=1, step=0)
    assert wide.sizes == {"rank": 3} and np.isnan(wide.sel(rank=[2, 3])).all() and np.isfinite(wide[0])
    assert data.exponent.sizes["number"] == 6 and data.log_profile.index[0] == 0
    assert data.log_profile.attrs["units"] == "1"


def test_netcdf_and_csv_read_back(tmp_path, folder):
    xarray = pytest.importorskip("xarray")
    results = open_results(folder)
    results.to_netcdf(tmp_path / "study.nc")
    with xarray.open_dataset(tmp_path / "study.nc", engine="h5netcdf") as back:
        xarray.testing.assert_identical(back.load(), results.to_xarray())
    results.to_csv(tmp_path / "study.csv")
    with open(tmp_path / "study.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == results.study.n_points
    labelled = results.to_xarray()
    for row in rows:
        place = {"scheme": row["scheme"], "d": int(row["d"]), "seed": int(row["seed"])}
        assert float(row["log_norm"]) == labelled.log_norm.sel(**place, step=float(row["step"]))


def test_a_model_without_an_axis_fills_it(tmp_path):
    pytest.importorskip("xarray")
    grid = {"model": ["neural", "pendulum"], "d": [1, 2], "y0": 0.5, "n_steps": 20, "step": STEPS}
    data = Study(grid, "log_norm").run(tmp_path, progress=False).to_xarray()
    swing = data.log_norm.sel(model="pendulum")
    np.testing.assert_array_equal(swing.sel(d=1), swing.sel(d=2))
    np.testing.assert_array_equal(swing.sel(d=1), log_jacobian_norm(pendulum(), "leapfrog", STEPS, 20, [0.5]))


def test_unfinished_results_say_so(folder):
    results = open_results(folder)
    cell = next(results.study.cells())
    remove(folder, cell)
    with pytest.raises(ValueError, match="lacks the cell neural"):
        results.to_csv(folder / "study.csv")
    assert not (folder / "study.csv").exists()


# ------------------------------------------------------------------------------------------------- memory


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize(("d", "n_steps", "members"), [(3, 200, 20), (20, 60, 5), (64, 40, 3), (2, 1500, 2)])
def test_memory_is_estimated_from_above_and_not_by_far(quantity, d, n_steps, members):
    cell = cell_of((quantity,), d=d, n_steps=n_steps, step=np.geomspace(0.01, 0.1, members))
    arrays_of(cell)  # compiled, imported
    tracemalloc.start()
    arrays_of(cell)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= cost_of(cell).memory <= 30 * peak + (80 << 20)


def test_too_large_a_study_is_refused_before_it_starts(tmp_path):
    large = Study({"d": 20_000, "seed": [0, 1], "step": STEPS}, "norm")
    with pytest.raises(ValueError, match=r"--memory-limit .* \(GiB\)"):
        large.run(tmp_path / "run", workers=4, progress=False)
    with pytest.raises(ValueError, match="the limit is 1 MiB"):
        small().run(tmp_path / "run", memory_limit=1 << 20, progress=False)
    for wrong, error in (("1GB", TypeError), (True, TypeError), (-1, ValueError), (math.nan, ValueError)):
        with pytest.raises(error, match=r"memory_limit must be a (positive )?number of bytes"):
            small().run(tmp_path / "run", memory_limit=wrong, progress=False)
    assert not (tmp_path / "run").exists()


def test_a_plan_counts_cells_and_bytes_exactly(folder):
    assert plan_of(small()).cells == 8
    many = Study({"d": 1, "n_steps": 2, "seed": range(2000), "step": STEPS}, "bounds")
    many.run(folder / "many", progress=False)
    stored = Store(folder / "many").path.stat().st_size
    assert 0.7 * stored < plan_of(many).stored < 1.4 * stored


# --------------------------------------------------------------------------------------------- command line


@pytest.fixture
def leapgrad(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(
        "quantities = ['log_norm', 'bounds']\n[grid]\nd = [1, 3]\nn_steps = 20\nstep = [0.01, 0.1]\n"
    )

    def call(*arguments):
        status = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return status, out, err

    return call


def test_sweep_verify_and_damage_on_the_command_line(leapgrad, tmp_path):
    status, out, _ = leapgrad("sweep", "study.toml", "--out", "run", "--csv", "table.csv")
    assert status == 0 and "2 cells: 0 kept, 2 computed" in out and (tmp_path / "table.csv").exists()
    status, out, _ = leapgrad("verify", "run", "--recompute", "2", "--json")
    assert status == 0 and json.loads(out)["recomputed"] == 2
    victim, (_, numbers, _) = next(iter(rows_in(tmp_path / "run").items()))
    with connected(tmp_path / "run") as connection:
        connection.execute(
            "UPDATE cells SET numbers = ? WHERE address = ?", (numbers[:-1], bytes.fromhex(victim))
        )
    status, out, _ = leapgrad("verify", "run")
    assert status == 1 and f"damaged: cells/{victim}: truncated" in out
    status, out, _ = leapgrad("sweep", "study.toml", "--out", "run", "--json")
    report = json.loads(out)
    assert status == 0 and report["computed"] == 1 and "truncated" in report["set_aside"][0]["reason"]
    assert leapgrad("verify", "run")[0] == 0


def test_a_dry_run_writes_nothing(leapgrad, tmp_path):
    status, out, _ = leapgrad("sweep", "study.toml", "--out", "run", "--dry-run")
    assert status == 0 and "4 points in 2 cells" in out and not (tmp_path / "run").exists()
    status, out, _ = leapgrad("sweep", "study.toml", "--out", "run", "--dry-run", "--json")
    assert json.loads(out)["cells"] == 2


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["none.toml", "--out", "run"], "No such file or directory: none.toml"),
        (["study.toml"], "--out"),
        (["study.toml", "--out", "study.toml"], "this is a file"),
        (["study.toml", "--out", "run", "--workers", "0"], "workers must be at least 1"),
        (["study.toml", "--out", "run", "--executor", "proceses"], "Did you mean 'processes'?"),
        (["study.toml", "--out", "run", "--memory-limit", "-1"], "--memory-limit must be positive"),
        (["study.toml", "--out", "run", "--memory-limit", "0.001"], "raise the limit with --memory-limit"),
        (["study.toml", "--out", "run", "--csv", "no/where.csv"], "folder of this file does not exist"),
        (["study.toml", "--out", "run", "--csv", "./study.toml"], "would write over the study"),
        (["study.toml", "--out", ".", "--csv", "study.sqlite"], "would write over the study's database"),
        (["study.toml", "--out", "run", "--csv", "a", "--netcdf", "a"], "--netcdf a would write over --csv"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(leapgrad, tmp_path, arguments, fragment):
    status, out, err = leapgrad("sweep", *arguments)
    assert status == 2 and out == "" and err.count("\n") == 1 and fragment in err
    assert not (tmp_path / "run").exists()


def test_verify_of_no_study_is_a_mistake(leapgrad):
    status, _, err = leapgrad("verify", ".")
    assert status == 2 and "holds no study" in err


def test_cells_are_hashable_descriptions_only():
    """A cell is pickled to workers: its parameters are plain values."""
    cell = cell_of(inputs=2)
    assert isinstance(cell, GridCell) and pickle.loads(pickle.dumps(cell)).address == cell.address


def test_the_plan_of_the_documentation_is_the_one_that_is_computed(tmp_path):
    text = (Path(__file__).parents[3] / "docs" / "scaling.md").read_text(encoding="utf-8")
    path = tmp_path / "million.toml"
    path.write_text(text.split("```toml\n")[1].split("```")[0], encoding="utf-8")
    study = Study.from_toml(path)
    plan = plan_of(study)
    assert (study.n_points, plan.cells) == (20_000_000, 1_000_000)
    for figure in (gibibytes(plan.memory), gibibytes(plan.stored), f"{plan.seconds / 120:.1f} minutes"):
        assert figure in text


# Catches: a block that is larger than d and smaller than the state, such as the matrix of mLSTM.
@pytest.mark.parametrize("model", sorted(set(MODELS) - set(FIELDS)))
def test_the_size_of_a_block_is_that_of_its_jacobian(model):
    settings = {"layers": 2} if model == "unicornn" else {}
    for d in (2, 3):
        run = unroll(make_cell(model, d, 2, **settings), n_steps=1)
        found = size_of_run(model, {"d": d, "n_steps": 1, "inputs": 2, "seed": 0, **settings})
        part = run.blocks.get(run.default_block, slice(0, run.state_size))
        assert (found.d, found.state) == (part.stop - part.start, run.state_size)


def test_singular_values_of_a_block_with_several_rows_a_neuron(tmp_path):
    study = Study({"model": "mlstm", "d": [2], "n_steps": [6], "seed": [0], "inputs": [2]}, "singular_values")
    results = study.run(tmp_path / "study", progress=False)
    (one,) = study.cells()
    run = unroll(make_cell("mlstm", 2, 2), inputs=drawn_inputs(6, 2, 0))
    np.testing.assert_allclose(
        results.read(one)["log_singular_value"][0], log_singular_values(run), atol=1e-9
    )
