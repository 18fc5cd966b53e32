"""What becomes of the results of a study: lazy arrays, tables and files, also of an unfinished one."""

import csv
import sqlite3
from typing import ClassVar

import numpy as np
import pytest
from study_rows import change, remove

from sensitivity.cli import main
from sensitivity.studies import Study, open_results
from sensitivity.studies import results as module

GRID = {
    "model": ["neural", "pendulum"],
    "d": [1, 2],
    "seed": [0, 1, 2],
    "n_steps": 8,
    "gamma": [None, 0.5],
    "step": [0.01, 0.1, 0.2],
}


def small(**options):
    return Study(GRID, ["log_norm", "singular_values"], **options)


@pytest.fixture
def results(tmp_path):
    return small(steps_per_cell=2).run(tmp_path / "run", progress=False)


@pytest.fixture
def tiny_chunks(monkeypatch):
    """Chunks and parts of tables of a few networks."""
    monkeypatch.setattr(module, "CHUNK_BYTES", 200)
    monkeypatch.setattr(module, "TABLE_POINTS", 5)


# Catches: chunks that are put together in another order, and labels that belong to other numbers.
@pytest.mark.parametrize("size", [1, 80, 200, 1 << 25])
def test_lazy_arrays_are_those_that_are_read_at_once(results, monkeypatch, size):
    pytest.importorskip("dask")
    xarray = pytest.importorskip("xarray")
    monkeypatch.setattr(module, "CHUNK_BYTES", size)
    lazy = results.to_xarray()
    assert lazy.log_norm.chunks is not None and (size > 1000 or max(lazy.log_norm.chunks[0]) == 1)
    assert lazy.log_norm.dims == ("model", "d", "seed", "gamma", "step")
    monkeypatch.setattr(module, "_dask_array", lambda: None)
    whole = results.to_xarray()
    assert whole.log_norm.chunks is None
    xarray.testing.assert_identical(lazy.compute(), whole)
    for place, cells in results.study.points():
        for part, cell in zip(results.study.steps_of_cells(), cells, strict=True):
            values = results.read(cell)
            here = (*(place[i] for i in (0, 1, 3, 4)), part)  # n_steps has one value
            np.testing.assert_array_equal(whole.log_norm.values[here], values["log_norm"])


def test_what_is_unfinished_is_nan_in_arrays_and_tables(results, tiny_chunks):
    pytest.importorskip("xarray")
    cells = list(results.study.cells())
    for cell in cells[::3]:
        remove(results.store.folder, cell)
    again = open_results(results.store.folder)
    data, table = again.to_xarray().compute(), again.to_pandas()
    kept = [cell for n, cell in enumerate(cells) if n % 3]
    assert np.isfinite(data.log_norm.sel(model="neural")).sum() == sum(
        len(cell.steps) for cell in kept if cell.model == "neural"
    )
    np.testing.assert_array_equal(table["log_norm"], data.log_norm.values.ravel())
    with pytest.raises(ValueError, match="lacks the cell"):
        again.to_csv(results.store.folder / "table.csv")


def test_a_damaged_row_is_named_when_its_chunk_is_read(results):
    pytest.importorskip("xarray")
    cell = next(results.study.cells())
    change(results.store.folder, cell, numbers=b"")
    data = results.to_xarray()
    with pytest.raises(ValueError, match=f"cells/{cell.address}.* is empty: the row holds no numbers; run"):
        data.compute()


def test_a_study_of_one_number_is_a_scalar(tmp_path):
    pytest.importorskip("xarray")
    results = Study({"d": 2, "n_steps": 4, "step": 0.1}, "norm").run(tmp_path, progress=False)
    assert results.to_xarray().norm.shape == () and float(results.to_xarray().norm) > 1.0
    assert results.to_pandas().shape == (1, 4)


def test_a_limit_of_memory_is_kept(results):
    pytest.importorskip("xarray")
    with pytest.raises(ValueError, match=r"the arrays would take .*, and memory_limit is 1 KiB"):
        results.to_xarray(memory_limit=1024)


def test_tables_hold_the_numbers_of_the_csv(results, tiny_chunks, tmp_path):
    pandas = pytest.importorskip("pandas")
    table = results.to_pandas()
    results.to_csv(tmp_path / "table.csv")
    with open(tmp_path / "table.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(table.columns) == list(rows[0]) and len(table) == len(rows) == results.study.n_points
    for column in table.columns:
        for value, word in zip(table[column], [row[column] for row in rows], strict=True):
            if word in ("", "none"):
                assert np.isnan(value)
            else:
                assert value == (word if isinstance(value, str) else float(word)), column
    parquet = pytest.importorskip("pyarrow.parquet")
    results.to_parquet(tmp_path / "table.parquet")
    assert parquet.ParquetFile(tmp_path / "table.parquet").num_row_groups > 1
    pandas.testing.assert_frame_equal(pandas.read_parquet(tmp_path / "table.parquet"), table)


class Watched(sqlite3.Connection):
    """A connection that is known until it is closed."""

    open_ones: ClassVar[set[int]] = set()

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.open_ones.add(id(self))

    def close(self):
        self.open_ones.discard(id(self))
        super().close()


# Catches: a reading that leaves the database open, of which Python 3.13 warns, as it does of options of
# sqlite3.connect that are not named.
@pytest.mark.parametrize("broken", [False, True])
def test_every_connection_is_closed_at_the_end_of_an_export(results, tmp_path, monkeypatch, broken):
    for package in ("xarray", "h5netcdf", "zarr", "pandas", "pyarrow"):
        pytest.importorskip(package)
    if broken:
        change(results.store.folder, list(results.study.cells())[1], numbers=b"")
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, **more: connect(path, factory=Watched, **more))
    monkeypatch.setattr(module, "_dask_array", lambda: None)
    Watched.open_ones.clear()
    kept = []
    for export in (
        lambda: results.to_xarray(),
        lambda: results.to_netcdf(tmp_path / "a.nc"),
        lambda: results.to_zarr(tmp_path / "a.zarr"),
        results.to_pandas,
        lambda: results.to_parquet(tmp_path / "a.parquet"),
        lambda: results.to_csv(tmp_path / "a.csv"),
    ):
        try:
            export()
        except ValueError as error:
            kept.append(error)  # with the frames in which the reading stopped
        assert not Watched.open_ones
    assert len(kept) == (6 if broken else 0)


def test_zarr_and_netcdf_read_back(results, tiny_chunks, tmp_path):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("zarr")
    results.to_zarr(tmp_path / "study.zarr")
    xarray.testing.assert_identical(
        xarray.open_zarr(tmp_path / "study.zarr").load(), results.to_xarray().load()
    )
    with pytest.raises(FileExistsError, match="exists already"):
        results.to_zarr(tmp_path / "study.zarr")
    results.to_netcdf(tmp_path / "study.nc")
    with xarray.open_dataset(tmp_path / "study.nc", engine="h5netcdf") as back:
        xarray.testing.assert_identical(back.load(), results.to_xarray().load())


@pytest.mark.parametrize(
    ("method", "package"), [("to_pandas", "pandas"), ("to_parquet", "pyarrow"), ("to_zarr", "zarr")]
)
def test_a_missing_package_is_named(results, monkeypatch, tmp_path, method, package):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(ImportError, match=rf"needs {package} .*pip install 'leapgrad\[exports\]'"):
        getattr(results, method)(*([] if method == "to_pandas" else [tmp_path / "file"]))
    assert not (tmp_path / "file").exists()


def test_exports_on_the_command_line(tmp_path, capsys, monkeypatch):
    pytest.importorskip("pyarrow")
    pytest.importorskip("zarr")
    monkeypatch.chdir(tmp_path)
    command = ["sweep", "--model", "lstm", "--d", "2", "--n-steps", "4", "--out", "run"]
    assert main([*command, "--parquet", "a.parquet", "--zarr", "a.zarr"]) == 0
    assert "written: a.parquet" in capsys.readouterr().out and (tmp_path / "a.zarr").is_dir()
    assert main([*command, "--zarr", "a.zarr"]) == 2
    assert "a.zarr exists already" in capsys.readouterr().err
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    assert main([*command, "--parquet", "b.parquet"]) == 2
    assert "pip install 'leapgrad[exports]'" in capsys.readouterr().err
