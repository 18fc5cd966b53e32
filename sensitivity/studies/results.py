"""The results of a study as labelled arrays and tables: xarray, pandas, netCDF, Zarr, Parquet, CSV."""

from __future__ import annotations

import csv
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from integrators.values import ByValue
from sensitivity.files import check_writable, replacing
from sensitivity.manifest import versions

from .axes import NONE, axis_of
from .execution.memory import gibibytes, machine_bytes
from .quantities import Variable, checked
from .storage.job import UnusableRow
from .storage.store import Store, place_of

if TYPE_CHECKING:
    from .cell import GridCell
    from .execution.grid import RunReport
    from .study import Study

__all__ = ["Results", "require_xarray"]

Float = NDArray[np.float64]


@dataclass(frozen=True, repr=False, eq=False)
class Results(ByValue):
    """The results of a study. The numbers stay in its folder, and are read and checked when they are needed.

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
            raise ValueError(
                f"{place_of(cell)} in {self.store.path} is {error}; run the sweep again."
            ) from None
        if arrays is None:
            raise ValueError(f"{self.store.folder} lacks the cell {cell}; run the sweep again.")
        return arrays

    def to_xarray(self, memory_limit: float | None = None) -> Any:
        """All variables on the grid, with labels; needs the package xarray (extra ``studies``).

        Axes with several values are dimensions, the others scalar coordinates; what is shorter than the
        longest (singular values of a smaller d, say) ends in NaN.

        Returns
        -------
        xarray.Dataset

        Raises
        ------
        ImportError
            Without xarray.
        ValueError
            If a cell is missing or not usable, or if the arrays would take more than `memory_limit`, half of
            the machine's memory by default.
        """
        xarray = require_xarray()
        study, arrays = self.study, self._arrays(memory_limit)
        lengths = dict(zip(study.axes, study.shape, strict=True))
        kept = [axis for axis in study.axes if lengths[axis] > 1]
        data = {}
        for variable in self.variables:
            array, extra = arrays[variable.name], [variable.dim] if variable.dim else []
            squeezed = array.reshape([lengths[axis] for axis in kept] + list(array.shape[len(lengths) :]))
            data[variable.name] = ([*kept, *extra], squeezed, {"long_name": variable.meaning, "units": "1"})
        coordinates: dict[str, Any] = {}
        for axis in study.axes:
            values, about = _labels(axis, study.values(axis))
            coordinates[axis] = ([axis], values, about) if axis in kept else ((), values[0], about)
        for variable in self.variables:
            if variable.dim:
                length = arrays[variable.name].shape[-1]
                coordinates[variable.dim] = np.arange(variable.first, variable.first + length)
        made = ", ".join(f"{name} {number}" for name, number in versions().items())
        return xarray.Dataset(data, coordinates, {"title": study.name, "made_with": made})

    def to_netcdf(self, path: str | Path) -> Path:
        """Write `to_xarray` as netCDF-4; needs xarray and h5netcdf (extra ``studies``)."""
        require_xarray()
        target = check_writable(path)
        data = self.to_xarray()
        with replacing(target) as temporary:
            data.to_netcdf(temporary, engine="h5netcdf")
        return target

    def to_csv(self, path: str | Path) -> Path:
        """Write one row for every network and step size, floats in full.

        Quantities with several values at one step (singular values, exponents) have a numbered column for
        each. A profile, which would need N + 1 columns, is left out.
        """
        target = check_writable(path)
        widths = {v.name: self._length(v) for v in self.variables if v.dim != "index"}
        columns = [
            name if width is None else f"{name}_{number}"
            for name, width in widths.items()
            for number in ([0] if width is None else range(1, width + 1))
        ]
        with replacing(target) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([*self.study.axes, *columns])
            writer.writerows(self._rows(widths))
        return target

    def __repr__(self) -> str:
        report = "" if self.report is None else f"; {self.report}"
        axes = ", ".join(f"{a}: {n}" for a, n in zip(self.study.axes, self.study.shape, strict=True))
        return f"<Results of {self.study.name!r} in {self.store.folder}: {axes}{report}>"

    # ------------------------------------------------------------------------------------------- inside

    def _rows(self, widths: dict[str, int | None]) -> Iterator[list[str]]:
        study = self.study
        for place, cells in study.points():
            labels = [_word(study.values(a)[i]) for a, i in zip(study.axes, place, strict=False)]
            for cell in cells:
                arrays = self.read(cell)
                for member, step in enumerate(cell.steps):
                    row = [*labels, repr(step)]
                    for name, width in widths.items():
                        values = np.atleast_1d(arrays[name][member]).tolist()
                        row += [*map(repr, values), *[""] * ((width or 1) - len(values))]
                    yield row

    def _length(self, variable: Variable) -> int | None:
        """The longest second dimension of a variable, None if it has none."""
        if not variable.dim:
            return None
        return max(self.read(cell)[variable.name].shape[1] for cell, _ in self.study.kinds())

    def _arrays(self, memory_limit: float | None) -> dict[str, Float]:
        shape = self.study.shape
        shapes = {}
        for variable in self.variables:
            length = self._length(variable)
            shapes[variable.name] = shape if length is None else (*shape, length)
        needed = sum(8.0 * np.prod(s, dtype=float) for s in shapes.values())
        allowed = machine_bytes() / 2 if memory_limit is None else memory_limit
        if needed > allowed:
            raise ValueError(
                f"the arrays would take {gibibytes(needed)}, and memory_limit is {gibibytes(allowed)}; "
                "raise it, or read the cells one by one."
            )
        arrays = {name: np.full(s, np.nan) for name, s in shapes.items()}
        parts = self.study.steps_of_cells()
        for place, cells in self.study.points():
            for part, cell in zip(parts, cells, strict=True):
                for name, values in self.read(cell).items():
                    rest = () if values.ndim == 1 else (slice(0, values.shape[1]),)
                    arrays[name][(*place, part, *rest)] = values
        return arrays


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


def require_xarray() -> Any:
    """The package xarray, or an ImportError that says how to install it and h5netcdf."""
    try:
        importlib.import_module("h5netcdf")
        return importlib.import_module("xarray")
    except ImportError as error:
        raise ImportError(
            f"labelled arrays need xarray and h5netcdf ({error}); install them with: pip install "
            "'leapgrad[studies]', or use to_csv."
        ) from None
