"""A cell of a study: one network with some of its step sizes, which is computed and stored by itself."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
from .quantities import checked, telling, window_widths
from .storage.job import DIGEST_BYTES, Arrays, Job, JobBatch, JobBlock, RowLayout, canonical, layout_of
from .together import Networks

__all__ = ["CellMaker", "GridCell", "arrays_of", "case_of", "networks_of"]

# Cells that are looked up together.
BLOCK_CELLS = 1000


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
        lengths["doubling"] = (len(window_widths(size.n_steps)),)
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
        told = [arrays[name] for name in telling(self.quantities)]
        counts = [int(np.isnan(array.reshape(len(array), -1)).all(axis=1).sum()) for array in told]
        return max(counts, default=0)

    @property
    def batch_key(self) -> CellKind | None:
        kind = self.kind
        return kind if kind.cost.together else None

    @classmethod
    def batch(cls, jobs: Sequence[GridCell]) -> CellBatch:
        return CellBatch(jobs[0], networks_of(jobs), b"".join([job.digest for job in jobs]))

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


@dataclass(frozen=True)
class CellBatch(JobBatch):
    """Cells of one kind.

    Attributes
    ----------
    first : GridCell
    networks : Networks
        Of all of them.
    digests : bytes
    """

    first: GridCell
    networks: Networks
    digests: bytes

    def jobs(self) -> list[GridCell]:
        return [self._cell(place) for place in range(len(self))]

    def _cell(self, place: int) -> GridCell:
        cell = replace(self.first, parameters=self.networks.parameters_of(place))
        vars(cell)["digest"] = self.digests[place * DIGEST_BYTES : (place + 1) * DIGEST_BYTES]
        return cell

    def compute(self) -> tuple[NDArray[np.float64], int]:
        found, usable = self.networks.numbers(self.first.quantities)
        for place in np.flatnonzero(~usable).tolist():
            for name, values in arrays_of(self._cell(place)).items():
                found[name][place] = values
        lost = [np.isnan(found[name]).sum(axis=1) for name in telling(self.first.quantities)]
        stored = np.concatenate([found[name] for name in self.first.layout.stored], axis=1)
        return stored, int(np.max(lost, axis=0).sum()) if lost else 0


def networks_of(cells: Sequence[GridCell]) -> Networks:
    """The networks of cells of one kind that `can_stand_together`."""
    first = cells[0]
    varying = {}
    for axis in first.parameters:
        if not axis_of(axis).costs:
            values = [cell.parameters[axis] for cell in cells]
            if values.count(values[0]) < len(values):
                varying[axis] = values
    return Networks(len(cells), first.parameters, varying, first.steps)


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
        self.parts = len(steps)

    def at(self, places: Sequence[int]) -> list[GridCell]:
        """The cells of the network with these values, given by their places on the axes."""
        found = [self._cell(places, part) for part in range(len(self._steps))]
        middle = self._middle(places)
        for cell, (before, after) in zip(found, self._frames, strict=True):
            description = f"{before}{middle}{after}"
            vars(cell).update(description=description, digest=hashlib.sha256(description.encode()).digest())
        return found

    def blocks(self, lengths: Sequence[int]) -> Iterator[CellBlock]:
        """The cells of all networks, where the axes have so many values."""
        places = itertools.product(*map(range, lengths))
        size = max(1, BLOCK_CELLS // len(self._steps))
        while some := list(itertools.islice(places, size)):
            yield CellBlock(self, some)

    def cell(self, places: Sequence[int], part: int, digest: bytes | None = None) -> GridCell:
        """One of the cells of a network; its digest may be known already."""
        cell = self._cell(places, part)
        if digest is not None:
            vars(cell)["digest"] = digest
        return cell

    def digests(self, places: Sequence[Sequence[int]]) -> bytes:
        """Those of the cells of some networks, one after the other."""
        sha256, frames = hashlib.sha256, self._frames
        return b"".join(
            [
                sha256(f"{before}{middle}{after}".encode()).digest()
                for middle in map(self._middle, places)
                for before, after in frames
            ]
        )

    def sizes(self, places: Sequence[Sequence[int]]) -> NDArray[np.int64]:
        """The bytes of numbers of the cells of some networks."""
        parts, costing, known = range(len(self._steps)), self._costing, self._kinds
        if all(len(self._values[i]) == 1 for i in costing):
            own = [self.cell(places[0], part).layout.n_bytes for part in parts]
            return np.tile(np.array(own, dtype=np.int64), len(places))
        found = []
        for own in places:
            values = [own[i] for i in costing]
            for part in parts:
                kind = known.get((part, *values))
                found.append((self.cell(own, part).kind if kind is None else kind).layout.n_bytes)
        return np.array(found, dtype=np.int64)

    def _middle(self, places: Sequence[int]) -> str:
        """The JSON of the parameters."""
        words = self._words
        return ",".join([words[i][places[i]] for i in self._order])

    def _cell(self, places: Sequence[int], part: int) -> GridCell:
        model, quantities, checksum = self._common
        # What the constructor would set, in one call.
        cell = object.__new__(GridCell)
        vars(cell).update(
            model=model,
            parameters=dict(zip(self._names, [its[i] for its, i in zip(self._values, places)])),  # noqa: B905
            steps=self._steps[part],
            quantities=quantities,
            checksum=checksum,
        )
        key = (part, *[places[i] for i in self._costing])
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = CellKind(cell)
        vars(cell)["kind"] = kind
        return cell


class CellBlock(JobBlock):
    """The cells of some networks of one `CellMaker`, given by their places on its axes."""

    def __init__(self, maker: CellMaker, places: Sequence[Sequence[int]]) -> None:
        self._maker, self._places, self._parts = maker, places, maker.parts

    def __len__(self) -> int:
        return len(self._places) * self._parts

    def __getitem__(self, place: int) -> GridCell:
        digest = self._digests[place * DIGEST_BYTES : (place + 1) * DIGEST_BYTES]
        return self._maker.cell(self._places[place // self._parts], place % self._parts, digest)

    @cached_property
    def _digests(self) -> bytes:
        return self._maker.digests(self._places)

    def digests(self) -> bytes:
        return self._digests

    def sizes(self) -> NDArray[np.int64]:
        return self._maker.sizes(self._places)


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
