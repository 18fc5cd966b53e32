"""A cell of a study: one network with some of its step sizes, which is computed and stored by itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.engine.blocks import one_blas_thread
from sensitivity.recurrences.case import ModelCase
from sensitivity.recurrences.sources import checksum, name_and_file

from .axes import axis_of
from .execution.cost import Cost, cost_of, size_of
from .input_files import InputFile
from .models import build
from .quantities import checked
from .storage.job import Arrays, Job, RowLayout, canonical, layout_of

__all__ = ["CellMaker", "GridCell", "arrays_of", "case_of"]


@dataclass(frozen=True)
class GridCell(Job):
    """What to compute: a model with its parameters, step sizes and quantities.

    Attributes
    ----------
    model : str
    parameters : mapping
        A value for every axis of the model but the step.
    steps : tuple of float
        The members of the batch.
    quantities : tuple of str
    checksum : str
        Of the files that the model comes from; see `sensitivity.recurrences.sources.checksum`.
    """

    model: str
    parameters: Mapping[str, Any]
    steps: tuple[float, ...]
    quantities: tuple[str, ...]
    checksum: str = ""

    def facts(self) -> Mapping[str, Any]:
        return {
            # Not where the file of the weights lies, but what it holds.
            "model": name_and_file(self.model)[0],
            **({"checksum": self.checksum} if self.checksum else {}),
            "parameters": {name: plain(value) for name, value in self.parameters.items()},
            "quantities": sorted(self.quantities),
            "steps": self.steps,
        }

    def compute(self) -> dict[str, NDArray[np.float64]]:
        if self.checksum and checksum(self.model) != self.checksum:
            raise ValueError(f"the file of model {self.model} has changed since the study was made.")
        return arrays_of(self)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        size = size_of(self)
        lengths = {"": (), "rank": (size.d,), "number": (size.state,), "index": (size.n_steps + 1,)}
        return {
            variable.name: (len(self.steps), *lengths[variable.dim])
            for quantity in checked(self.quantities)
            for variable in quantity.variables
        }

    @cached_property
    def kind(self) -> CellKind:
        """What it has in common with other cells; `CellMaker` hands out one for all of them."""
        return CellKind(self)

    @property
    def layout(self) -> RowLayout:  # type: ignore[override]
        return self.kind.layout

    @property
    def seconds(self) -> float:
        return self.kind.cost.seconds

    def __reduce__(self) -> tuple[Any, ...]:
        # Without what was computed on the way, which a worker does not need.
        return GridCell, (self.model, self.parameters, self.steps, self.quantities, self.checksum)

    def lost(self, arrays: Arrays) -> int:
        """Members of the batch of whose quantities all that depend on the trajectory are NaN."""
        counts = [
            int(np.isnan(array.reshape(len(array), -1)).all(axis=1).sum())
            for name, array in arrays.items()
            if name not in ("log_bound", "least_singular_value", "exponent_error")
        ]
        return max(counts, default=0)

    def __str__(self) -> str:
        values = ", ".join(f"{name}={value}" for name, value in self.parameters.items())
        return f"{self.model}({values}; {len(self.steps)} steps from {self.steps[0]:g})"


def plain(value: Any) -> Any:
    """A value of an axis for the description of a cell: that of a file is what it holds."""
    return value.address if isinstance(value, InputFile) else value


class CellKind:
    """RowLayout and cost of cells that differ only in what neither depends on, such as the seed."""

    def __init__(self, cell: GridCell) -> None:
        self._cell = cell

    @cached_property
    def layout(self) -> RowLayout:
        return layout_of(self._cell.shapes())

    @cached_property
    def cost(self) -> Cost:
        return cost_of(self._cell)


class CellMaker:
    """Makes the cells of one model from the places of their values on its axes.

    The JSON of every value is made once, and cells of one kind share what they have in common: a million
    cells with their addresses take some seconds.

    Parameters
    ----------
    model : str
    values : mapping
        Axis → its values, for all axes of the model but the step.
    steps : sequence of tuples of float
        Those of each cell of a network.
    quantities : tuple of str
    checksum : str
    """

    def __init__(
        self,
        model: str,
        values: Mapping[str, Sequence[Any]],
        steps: Sequence[tuple[float, ...]],
        quantities: tuple[str, ...],
        checksum: str,
    ) -> None:
        self._common = model, quantities, checksum
        self._names, self._values, self._steps = tuple(values), tuple(values.values()), steps
        self._order = sorted(range(len(self._names)), key=self._names.__getitem__)
        self._costing = [i for i, name in enumerate(self._names) if axis_of(name).costs]
        self._words = [_Words(name, its) for name, its in values.items()]
        empty = [GridCell(model, {}, part, quantities, checksum).description.split("{}") for part in steps]
        self._frames = [(f"{before}{{", f"}}{after}") for before, after in empty]
        self._kinds: dict[tuple[int, ...], CellKind] = {}

    def at(self, places: Sequence[int]) -> list[GridCell]:
        """The cells of the network with these values, given by their places on the axes."""
        words = self._words
        middle = ",".join([words[i][places[i]] for i in self._order])
        parameters = dict(zip(self._names, [its[i] for its, i in zip(self._values, places)]))  # noqa: B905
        model, quantities, checksum = self._common
        found = []
        for part, (before, after) in enumerate(self._frames):
            key = (part, *[places[i] for i in self._costing])
            description = f"{before}{middle}{after}"
            # What the constructor and the cached properties would set, in one call.
            cell = object.__new__(GridCell)
            vars(cell).update(
                model=model,
                parameters=parameters,
                steps=self._steps[part],
                quantities=quantities,
                checksum=checksum,
                description=description,
                digest=hashlib.sha256(description.encode()).digest(),
            )
            kind = self._kinds.get(key)
            if kind is None:
                kind = self._kinds[key] = CellKind(cell)
            vars(cell)["kind"] = kind
            found.append(cell)
        return found


class _Words(dict[int, str]):
    """The JSON of the values of an axis, each made when it is first needed; so many are kept at most."""

    most = 10_000

    def __init__(self, name: str, values: Sequence[Any]) -> None:
        self._name, self._values = canonical(name), values

    def __missing__(self, place: int) -> str:
        value = self._values[place]
        word = f"{self._name}:{value if type(value) is int else canonical(plain(value))}"
        if len(self) < self.most:
            self[place] = word
        return word


def case_of(cell: GridCell) -> ModelCase:
    """The network that a cell describes."""
    return build(cell.model, cell.parameters, cell.steps)


def arrays_of(cell: GridCell) -> dict[str, NDArray[np.float64]]:
    """Every variable of every quantity of a cell."""
    # Also for the norms of weights while the case is built: the bits of a product may depend on BLAS threads.
    with one_blas_thread():
        case = case_of(cell)
        return {
            variable.name: array
            for quantity in checked(cell.quantities)
            for variable, array in zip(quantity.variables, quantity.compute(case), strict=True)
        }
