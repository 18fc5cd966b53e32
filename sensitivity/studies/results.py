"""The results of a study as labelled arrays and tables: xarray, pandas, netCDF, Zarr, Parquet, CSV."""

from __future__ import annotations

import csv
import errno
import importlib
import itertools
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from integrators.values import ByValue
from sensitivity.extras import imported
from sensitivity.files import check_writable, replacing, user_path
from sensitivity.manifest import versions

from .axes import NONE, STEP, axis_of
from .execution.memory import as_bytes, gibibytes, machine_bytes
from .quantities import Variable, checked
from .storage.job import Arrays, UnusableRow, decode
from .storage.store import Store, place_of

if TYPE_CHECKING:
    from .cell import GridCell
    from .execution.grid import RunReport
    from .study import Study

__all__ = ["Results", "require_package", "require_xarray"]

Float = NDArray[np.float64]
# Of all variables of a chunk of a lazy array, and points in a part of a table.
CHUNK_BYTES, TABLE_POINTS = 1 << 25, 1 << 14


class _Stored(NamedTuple):
    """A cell, its place along all axes but the step, its part of the steps, and its arrays if any."""

    place: tuple[int, ...]
    part: slice
    cell: GridCell
    arrays: Arrays | None


@dataclass(frozen=True, repr=False, eq=False)
class Results(ByValue):
    """The results of a study. The numbers stay in its database, and are read and checked when needed.

    Attributes
    ----------
    study : Study
    store : Store
    report : RunReport or None
        What the run did that gave these results.

    Examples
    --------
    >>> import leapgrad as lg
    >>> study = lg.Study({"d": 2, "n_steps": 20, "step": [0.01, 0.1]}, ["norm"])
    >>> results = study.run("small", progress=False)
    >>> results.to_csv("small.csv").name
    'small.csv'
    """

    study: Study
    store: Store
    report: RunReport | None = None

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables of all quantities."""
        return tuple(v for quantity in checked(self.study.quantities) for v in quantity.variables)

    def read(self, cell: GridCell) -> Mapping[str, Float]:
        """The arrays of a cell.

        Raises
        ------
        ValueError
            If it is not there, or not usable; `Study.run` computes it again.
        """
        try:
            arrays = self.store.read(cell)
        except UnusableRow as error:
            raise self._unusable(cell, error) from None
        if arrays is None:
            raise self._lacking(cell)
        return arrays

    def to_xarray(self, memory_limit: float | None = None) -> Any:
        """All variables on the grid, with labels; needs the package xarray (extra ``studies``).

        Axes with several values are dimensions, the others scalar coordinates; what is shorter than the
        longest (singular values of a smaller d, say) ends in NaN, and so is what has not been computed yet.
        With Dask, which the extra installs, the arrays are lazy: chunks are read from the database when they
        are computed.

        Parameters
        ----------
        memory_limit : float, optional
            The bytes that all arrays together may take; for lazy arrays there is no limit by default, and
            without Dask half of the machine's memory.

        Returns
        -------
        xarray.Dataset

        Raises
        ------
        ImportError
            Without xarray.
        ValueError
            If the arrays would take more than `memory_limit`, or, when a chunk is read, if a row is damaged.

        Examples
        --------
        >>> import leapgrad as lg
        >>> study = lg.Study({"seed": range(3), "d": 2, "n_steps": 20, "step": [0.01, 0.1]}, ["norm"])
        >>> study.run("three", progress=False).to_xarray()["norm"].dims
        ('seed', 'step')
        """
        xarray = require_xarray()
        study, lengths = self.study, {v.name: self._length(v) for v in self.variables}
        lazy = _dask_array()
        self._check_memory(lengths, memory_limit, lazy is not None)
        kept = [axis for axis, n in zip(study.axes, study.shape, strict=True) if n > 1]
        arrays = (
            self._lazy(lazy, lengths) if lazy is not None else self._block(study.shape[:-1], None, lengths)
        )
        data = {
            v.name: (
                [*kept, *([v.dim] if v.dim else [])],
                arrays[v.name],
                {"long_name": v.meaning, "units": "1"},
            )
            for v in self.variables
        }
        coordinates: dict[str, Any] = {}
        for axis in study.axes:
            values, about = _labels(axis, study.values(axis))
            coordinates[axis] = ([axis], values, about) if axis in kept else ((), values[0], about)
        for v in self.variables:
            if (length := lengths[v.name]) is not None:
                coordinates[v.dim] = np.arange(v.first, v.first + length)
        made = ", ".join(f"{name} {number}" for name, number in versions().items())
        return xarray.Dataset(data, coordinates, {"title": study.name, "made_with": made})

    def to_pandas(self) -> Any:
        """One row for every network and step size, NaN where nothing has been computed yet; needs pandas.

        A quantity with several values at one step has a numbered column for each; a profile is left out.

        Returns
        -------
        pandas.DataFrame

        Examples
        --------
        >>> import leapgrad as lg
        >>> study = lg.Study({"d": 2, "n_steps": 20, "step": [0.01, 0.1]}, ["norm"])
        >>> study.run("small", progress=False).to_pandas().columns.tolist()
        ['d', 'n_steps', 'step', 'norm']
        """
        pandas = require_package("pandas")
        with closing(self._tables()) as tables:
            return pandas.concat([pandas.DataFrame(table) for table in tables], ignore_index=True)

    def to_netcdf(self, path: str | Path) -> Path:
        """Write `to_xarray` as netCDF-4, chunk by chunk; needs xarray and h5netcdf (extra ``studies``)."""
        require_xarray()
        target = check_writable(path)
        data = self.to_xarray()
        with replacing(target) as temporary:
            data.to_netcdf(temporary, engine="h5netcdf")
        return target

    def to_zarr(self, path: str | Path) -> Path:
        """Write `to_xarray` as a Zarr store, chunk by chunk; needs xarray and zarr (extra ``exports``).

        Raises
        ------
        FileExistsError
            If there is something at `path` already.
        """
        require_package("zarr")
        target = user_path(path)
        if target.exists():
            raise FileExistsError(errno.EEXIST, "this exists already; name another folder", str(target))
        self.to_xarray().to_zarr(target, mode="w-", zarr_format=2)
        return target

    def to_parquet(self, path: str | Path) -> Path:
        """Write the table of `to_pandas` as Parquet, part by part; needs pyarrow (extra ``exports``)."""
        arrow = require_package("parquet")
        parquet = importlib.import_module("pyarrow.parquet")
        target = check_writable(path)
        with replacing(target) as temporary:
            writer, tables = None, self._tables()
            try:
                for table in map(arrow.table, tables):
                    writer = writer or parquet.ParquetWriter(temporary, table.schema)
                    writer.write_table(table)
            finally:
                tables.close()
                if writer is not None:
                    writer.close()
        return target

    def to_csv(self, path: str | Path) -> Path:
        """Write one row for every network and step size, floats in full.

        Quantities with several values at one step (singular values, exponents) have a numbered column for
        each. A profile, which would need N + 1 columns, is left out.

        Raises
        ------
        ValueError
            If a cell is missing or not usable.
        """
        target = check_writable(path)
        with replacing(target) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([*self.study.axes, *self._columns()])
            with closing(self._rows()) as rows:
                writer.writerows(rows)
        return target

    def __repr__(self) -> str:
        report = "" if self.report is None else f"; {self.report}"
        axes = ", ".join(f"{a}: {n}" for a, n in zip(self.study.axes, self.study.shape, strict=True))
        return f"<Results of {self.study.name!r} in {self.store.folder}: {axes}{report}>"

    # ------------------------------------------------------------------------------------------- inside

    def _unusable(self, cell: GridCell, error: UnusableRow) -> ValueError:
        return ValueError(f"{place_of(cell)} in {self.store.path} is {error}; run the sweep again.")

    def _lacking(self, cell: GridCell) -> ValueError:
        return ValueError(f"{self.store.folder} lacks the cell {cell}; run the sweep again.")

    def _stored(self, parts: Sequence[range] | None = None) -> Generator[_Stored, None, None]:
        """The cells of some points, or of all, with what is stored of them; a damaged row is named.

        Whoever takes some of them only has to close it, since the database is open in the meantime.
        """
        where: deque[tuple[tuple[int, ...], slice]] = deque()
        steps = self.study.steps_of_cells()

        def cells() -> Iterator[GridCell]:
            for place, of_network in self.study.points(parts):
                for part, cell in zip(steps, of_network, strict=True):
                    where.append((place, part))
                    yield cell

        with closing(self.store.read_blocks(cells())) as blocks:
            for block in blocks:
                for cell, row in block:
                    place, part = where.popleft()
                    try:
                        arrays = None if row is None else decode(cell, row)
                    except UnusableRow as error:
                        raise self._unusable(cell, error) from None
                    yield _Stored(place, part, cell, arrays)

    # ------------------------------------------------------------------------------------------- arrays

    def _length(self, variable: Variable) -> int | None:
        """The longest second dimension of a variable, None if it has none."""
        if not variable.dim:
            return None
        return max(cell.shapes()[variable.name][1] for cell, _ in self.study.kinds())

    def _check_memory(self, lengths: Mapping[str, int | None], limit: float | None, lazy: bool) -> None:
        needed = 8.0 * self.study.n_points * sum(n or 1 for n in lengths.values())
        if limit is None and lazy:
            return
        allowed = machine_bytes() / 2 if limit is None else as_bytes(limit, "memory_limit")
        if needed > allowed:
            raise ValueError(
                f"the arrays would take {gibibytes(needed)}, and memory_limit is {gibibytes(allowed)}; "
                "raise it, or read the cells one by one."
            )

    def _lazy(self, dask_array: Any, lengths: Mapping[str, int | None]) -> dict[str, Any]:
        """Dask arrays over the axes with several values; each chunk of all of them is one reading."""
        delayed = importlib.import_module("dask").delayed
        shape = self.study.shape[:-1]
        numbers = self.study.shape[-1] * sum(n or 1 for n in lengths.values())
        sizes, budget = [], max(1, CHUNK_BYTES // (8 * numbers))
        for n in reversed(shape):
            sizes.insert(0, min(n, budget))
            budget = max(1, budget // sizes[0])
        read, me = (
            delayed(Results._block, pure=False),
            delayed(Results(self.study, self.store), traverse=False),
        )
        nested = np.empty([-(-n // size) for n, size in zip(shape, sizes, strict=True)], dtype=object)
        for chunk in np.ndindex(*nested.shape):
            ends = zip(chunk, sizes, shape, strict=True)
            parts = [range(i * size, min((i + 1) * size, n)) for i, size, n in ends]
            nested[chunk] = read(me, [len(part) for part in parts], parts, dict(lengths))
        kept = [i for i, n in enumerate(shape) if n > 1]
        return {name: self._joined(dask_array, nested, name, sizes, kept, n) for name, n in lengths.items()}

    def _joined(
        self, dask_array: Any, chunks: Any, name: str, sizes: list[int], kept: list[int], length: int | None
    ) -> Any:
        """The array of one variable from the chunks of all."""
        shape, steps = self.study.shape[:-1], self.study.shape[-1]
        rest = (*((steps,) if steps > 1 else ()), *(() if length is None else (length,)))
        parts = np.empty([chunks.shape[i] for i in kept], dtype=object)
        for place, chunk in zip(np.ndindex(*parts.shape), chunks.ravel(), strict=True):
            along = [min(sizes[i], shape[i] - p * sizes[i]) for i, p in zip(kept, place, strict=True)]
            parts[place] = dask_array.from_delayed(chunk[name], (*along, *rest), np.float64)
        for axis in reversed(range(len(kept))):
            joined = np.empty(parts.shape[:-1], dtype=object)
            for place in np.ndindex(*joined.shape):
                joined[place] = dask_array.concatenate(list(parts[place]), axis)
            parts = joined
        return parts[()]

    def _block(
        self, shape: Sequence[int], parts: Sequence[range] | None, lengths: Mapping[str, int | None]
    ) -> dict[str, Float]:
        """The variables at some points, NaN where nothing is stored; without axes that have one value."""
        steps = self.study.shape[-1]
        full = {
            name: np.full((*shape, steps, *(() if n is None else (n,))), np.nan)
            for name, n in lengths.items()
        }
        starts = [0] * len(shape) if parts is None else [part.start for part in parts]
        with closing(self._stored(parts)) as stored:
            for place, part, _, arrays in stored:
                if arrays is None:
                    continue
                here = tuple([i - start for i, start in zip(place, starts)])  # noqa: B905
                for name, values in arrays.items():
                    if values.ndim == 1:
                        full[name][here][part] = values
                    else:
                        full[name][here][part, : values.shape[1]] = values
        single = tuple(i for i, n in enumerate(self.study.shape) if n == 1)
        return {name: array.squeeze(single) for name, array in full.items()}

    # ------------------------------------------------------------------------------------------- tables

    def _columns(self) -> dict[str, tuple[str, int | None]]:
        """Column → its variable and, where that has several values at a step, which of them."""
        found: dict[str, tuple[str, int | None]] = {}
        for v in self.variables:
            if v.dim == "index":
                continue
            width = self._length(v)
            if width is None:
                found[v.name] = v.name, None
            else:
                found |= {f"{v.name}_{number + 1}": (v.name, number) for number in range(width)}
        return found

    def _tables(self) -> Generator[dict[str, NDArray[Any]], None, None]:
        """Columns of some ten thousand rows at a time; one table without rows never comes."""
        study, columns = self.study, self._columns()
        labels = {axis: _labels(axis, study.values(axis))[0] for axis in study.axes}
        steps = study.steps_of_cells()
        size = max(1, TABLE_POINTS // max(part.stop - part.start for part in steps))
        with closing(self._stored()) as stored:
            while some := list(itertools.islice(stored, size)):
                yield self._table(some, labels, columns)

    def _table(
        self, some: list[_Stored], labels: Mapping[str, NDArray[Any]], columns: Mapping[str, Any]
    ) -> dict[str, NDArray[Any]]:
        """Columns of the rows of some cells."""
        counts = [one.part.stop - one.part.start for one in some]
        table: dict[str, NDArray[Any]] = {}
        for i, axis in enumerate(self.study.axes[:-1]):
            table[axis] = np.repeat(labels[axis][[one.place[i] for one in some]], counts)
        table[STEP] = np.concatenate([labels[STEP][one.part] for one in some])
        for column, (name, number) in columns.items():
            parts = zip(some, counts, strict=True)
            table[column] = np.concatenate([_column(one.arrays, name, number, count) for one, count in parts])
        return table

    def _rows(self) -> Generator[list[str], None, None]:
        columns = list(self._columns().values())
        with closing(self._stored()) as stored:
            for one in stored:
                yield from self._rows_of(one, columns)

    def _rows_of(self, one: _Stored, columns: Sequence[tuple[str, int | None]]) -> Iterator[list[str]]:
        """The rows of one cell, as text."""
        if one.arrays is None:
            raise self._lacking(one.cell)
        axes = zip(self.study.axes, one.place, strict=False)
        labels = [_word(self.study.values(axis)[i]) for axis, i in axes]
        lists = {name: array.tolist() for name, array in one.arrays.items()}
        for member, step in enumerate(one.cell.steps):
            row = [*labels, repr(step)]
            for name, number in columns:
                value = lists[name][member]
                if number is None:
                    row.append(repr(value))
                else:
                    row.append(repr(value[number]) if number < len(value) else "")
            yield row


def _column(arrays: Arrays | None, name: str, number: int | None, count: int) -> Float:
    """One column of the members of a cell; NaN where there is nothing."""
    if arrays is not None and number is None:
        return arrays[name]
    if arrays is not None and number is not None and number < arrays[name].shape[1]:
        return arrays[name][:, number]
    return np.full(count, np.nan)


def _labels(axis: str, values: tuple[Any, ...]) -> tuple[NDArray[Any], dict[str, str]]:
    """Values of an axis as a coordinate, and what they mean; a γ of None is NaN."""
    if axis == "model":
        return np.array(values), {"long_name": "model"}
    about = {"long_name": axis_of(axis).meaning}
    if any(value is None for value in values):
        return np.array([np.nan if value is None else value for value in values]), about
    return np.array(values), about


def _word(value: Any) -> str:
    return NONE if value is None else value if isinstance(value, str) else repr(value)


def _dask_array() -> Any:
    """The module dask.array, None where Dask is not installed."""
    try:
        return importlib.import_module("dask.array")
    except ImportError:
        return None


# Kind of an export → the package that it needs, and the words for it.
_PACKAGES = {
    "pandas": ("pandas", "a table of pandas"),
    "parquet": ("pyarrow", "a Parquet file"),
    "zarr": ("zarr", "a Zarr store"),
}


def require_package(kind: str) -> Any:
    """The package that an export needs, or an ImportError that says how to install it."""
    module, what = _PACKAGES[kind]
    return imported(
        module,
        f"{what} needs {module} (extra exports); install it with: pip install 'leapgrad[exports]', or use "
        "to_csv.",
    )


def require_xarray() -> Any:
    """The package xarray, or an ImportError that says how to install it and h5netcdf."""
    message = (
        "labelled arrays need xarray and h5netcdf (extra studies); install them with: "
        "pip install 'leapgrad[studies]', or use to_csv."
    )
    imported("h5netcdf", message)
    return imported("xarray", message)
