"""A study: a grid over the parameters of networks, and what to compute at each of its points."""

from __future__ import annotations

import errno
import itertools
import math
import reprlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from integrators.naming import nearest
from integrators.validation import as_count
from integrators.values import ByValue
from sensitivity.files import read_toml, user_path
from sensitivity.manifest import versions
from sensitivity.recurrences.sources import checksum, name_and_file

from .axes import AXES, STEP, axis_of, expanded
from .cell import CellMaker, GridCell
from .input_files import InputFile, digest_of, split_name
from .models import INPUTS, MODELS, axes_of, check_settings, model_word, settings_of
from .quantities import QUANTITIES, checked
from .results import Results
from .storage.database import DamagedStore
from .storage.job import JobBlock
from .storage.store import Store, Writer

__all__ = ["Study", "open_results", "study_in"]

STEPS_PER_CELL = 128
MOST_CELLS, MOST_MODELS = 10**8, 10**4
KEYS = ("name", "quantities", "steps_per_cell", "checksums", "grid")


@dataclass(frozen=True, init=False, eq=False)
class Study(ByValue):
    """A grid of networks and the quantities wanted of each.

    Parameters
    ----------
    grid : mapping
        Axis → a value, a list of values, an array, or a range (see `studies.axes.expanded`). The axes are
        "model", those of `studies.axes.AXES`, and the settings of the models, such as "tau"; one that is left
        out has its default, and one that a model does not take does not multiply its cells. The default of
        "step" is 0.01 also for cells that have a step size of their own. Where a field of
        the study takes "gamma" or "activation", these are axes of the fields alone. A model is a name,
        "NAME=FILE" with the weights of a file, or "module:function" for a function of your own, which every
        worker imports. A value of "inputs" is a number of components that are drawn, or a ``.npy`` file with
        an array of shape (at least n_steps, n_inputs); ``x.npy[3]`` is sequence 3, counted from 0, of a file
        with an array of shape (sequences, at least n_steps, n_inputs).
    quantities : str or sequence of str
        Names of `studies.quantities.QUANTITIES`.
    name : str
    steps_per_cell : int
        Step sizes of one network are computed together, at most so many in a cell.
    checksums : mapping, optional
        Model → SHA-256 of the file that it comes from, for models with a file or a module, and file of inputs
        → its SHA-256. By default those of the files as they are now.
        A study that is resumed after the file has changed is another study.

    Attributes
    ----------
    grid : dict
        Axis → tuple of its values, for the axes given, in one fixed order.

    Raises
    ------
    ValueError, TypeError
        For an axis, a value or a quantity that makes no sense; the message names it.

    Examples
    --------
    >>> import leapgrad as lg
    >>> study = lg.Study({"d": [2, 10], "seed": range(3), "step": [0.01, 0.1]}, ["log_norm", "bounds"])
    >>> study.n_cells, study.n_points
    (6, 12)
    >>> results = study.run("widths", progress=False)
    >>> results.study == study
    True
    """

    grid: dict[str, tuple[Any, ...]]
    quantities: tuple[str, ...]
    name: str = "study"
    steps_per_cell: int = field(default=STEPS_PER_CELL)
    checksums: dict[str, str] = field(default_factory=dict)

    def __init__(
        self,
        grid: Mapping[str, Any],
        quantities: str | Sequence[str] = ("norm", "log_norm", "bounds"),
        *,
        name: str = "study",
        steps_per_cell: int = STEPS_PER_CELL,
        checksums: Mapping[str, str] | None = None,
    ) -> None:
        wanted = _names("quantities", "quantity", quantities, QUANTITIES)
        ordered = tuple(quantity for quantity in QUANTITIES if quantity in wanted)
        if not isinstance(name, str):
            raise TypeError(f"name must be a text in quotes, got {name!r}.")
        models, sums = _models(grid, checksums)
        whole = _expanded(grid, models)
        for key, value in (
            ("checksums", sums | _input_files(whole, checksums)),
            ("grid", whole),
            ("quantities", ordered),
            ("name", name),
            ("steps_per_cell", as_count(steps_per_cell, "steps_per_cell", least=1)),
        ):
            object.__setattr__(self, key, value)
        self._check_whole(self.checksums.keys() - (checksums or {}).keys())

    def _check_whole(self, fresh: Collection[str]) -> None:
        """Refuse what can never be computed, before any of it is; `fresh` files have just been read."""
        if not self.grid:
            raise ValueError("grid has no axis; name one at least, such as {'d': [2, 10]}, got {}.")
        if self.n_cells > MOST_CELLS:
            sizes = " · ".join(
                f"{len(values)} {axis}" for axis, values in self.grid.items() if len(values) > 1
            )
            raise ValueError(
                f"the study has {self.n_cells} cells ({sizes}); take at most {MOST_CELLS}, or run parts of "
                "the grid as studies of their own."
            )
        longest = max(self.values("n_steps"))
        for value in self._own_values(INPUTS):
            if isinstance(value, InputFile) and value.path in fresh:
                value.rows(longest)
        shortest = min(self.values("n_steps"))
        for quantity in checked(self.quantities):
            if shortest < quantity.least_steps:
                raise ValueError(
                    f"quantity {quantity.name!r} needs n_steps of at least {quantity.least_steps}, "
                    f"and the axis n_steps holds {shortest}; leave out one of the two, or make two studies."
                )

    @classmethod
    def from_toml(cls, path: str | Path) -> Study:
        """The study that a TOML file describes: `quantities`, `name`, `steps_per_cell`, and a table `grid`.

        Raises
        ------
        OSError, ValueError, TypeError
            With a message that names the file.
        """
        data = read_toml(path)
        try:
            return cls.from_dict(data)
        except (ValueError, TypeError) as error:
            raise type(error)(f"{path}: {error}") from None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Study:
        """The inverse of `to_dict`."""
        if not isinstance(data, Mapping):
            raise TypeError(
                f"a study is a table with the keys {', '.join(KEYS)}, not a {type(data).__name__}."
            )
        for key in data:
            if key not in KEYS:
                raise nearest("key", key, KEYS)
        if "grid" not in data:
            raise ValueError("the table [grid] is missing; it names the axes and their values.")
        options = {key: data[key] for key in KEYS if key in data and key != "grid"}
        return cls(data["grid"], **options)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: the grid expanded, every value written out."""
        plain = {
            "name": self.name,
            "quantities": list(self.quantities),
            "steps_per_cell": self.steps_per_cell,
            "grid": {name: list(values) for name, values in self.grid.items()},
        }
        return plain | ({"checksums": dict(self.checksums)} if self.checksums else {})

    def difference(self, other: Study) -> str:
        """Why `other` is a different study, in words; "" if one of the two holds all values of the other.

        Values may be added to a study, or left out of it, on any number of axes; its name does not matter.
        """
        if self.quantities != other.quantities:
            return f"its quantities are {', '.join(other.quantities)}, not {', '.join(self.quantities)}"
        for model, mine in self.checksums.items():
            if other.checksums.get(model, mine) != mine:
                what = model if split_name(model)[0].endswith(".npy") else f"of its model {model}"
                return f"the file {what} was another one (checksum {other.checksums[model][:12]}…)"
        axes = list(dict.fromkeys(("model", *AXES, *self.grid, *other.grid)))
        axes = [axis for axis in axes if axis in self.grid or axis in other.grid]
        mine, its = ({axis: set(study.values(axis)) for axis in axes} for study in (self, other))
        if any(all(a[axis] <= b[axis] for axis in axes) for a, b in ((mine, its), (its, mine))):
            return ""
        # Named are the axes on which values were replaced, or else those that grew where others shrank.
        replaced = [axis for axis in axes if not (mine[axis] <= its[axis] or its[axis] <= mine[axis])]
        named = replaced or [axis for axis in axes if mine[axis] != its[axis]]
        return "; ".join(
            f"its {axis} is {_listed(other.values(axis))}, not {_listed(self.values(axis))}" for axis in named
        )

    # -------------------------------------------------------------------------------------------- cells

    def values(self, axis: str) -> tuple[Any, ...]:
        """The values of an axis, its default if the study does not name it."""
        if axis == "model":
            return self.grid.get("model", ("neural",))
        return self.grid.get(axis, (axis_of(axis).default,))

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes given, the step last."""
        return (*(name for name in self.grid if name != STEP), STEP)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values along `axes`."""
        return tuple(len(self.values(axis)) for axis in self.axes)

    @property
    def n_points(self) -> int:
        """Number of grid points, with every step size counted."""
        return math.prod(self.shape)

    @property
    def n_cells(self) -> int:
        """Number of cells. Points that differ only in an axis that their model does not take share a cell."""
        networks = sum(
            math.prod(len(self.values(axis)) for axis in self._networks_axes(model))
            for model in self.values("model")
        )
        return networks * len(self.steps_of_cells())

    def steps_of_cells(self) -> list[slice]:
        """The step sizes of the cells of one network, as parts of their axis."""
        count, size = len(self.values(STEP)), self.steps_per_cell
        return [slice(start, min(start + size, count)) for start in range(0, count, size)]

    def cells(self) -> Iterator[GridCell]:
        """Every cell once."""
        for name in self.values("model"):
            maker, lengths = self._maker(name)
            for places in itertools.product(*map(range, lengths)):
                yield from maker.at(places)

    def blocks(self) -> Iterator[JobBlock]:
        """Every cell once, in blocks that make a cell when it is asked for."""
        for name in self.values("model"):
            maker, lengths = self._maker(name)
            yield from maker.blocks(lengths)

    def kinds(self) -> Iterator[tuple[GridCell, int]]:
        """One cell for each group of cells with equal costs and shapes, and the size of the group."""
        for name in self.values("model"):
            axes = self._networks_axes(name)
            choices = [self.values(axis)[: None if axis_of(axis).costs else 1] for axis in axes]
            copies = math.prod(len(self.values(axis)) for axis in axes if not axis_of(axis).costs)
            maker, _ = self._maker(name)
            for places in itertools.product(*(range(len(choice)) for choice in choices)):
                for cell in maker.at(places):
                    yield cell, copies

    def points(
        self, parts: Sequence[range] | None = None
    ) -> Iterator[tuple[tuple[int, ...], list[GridCell]]]:
        """Every point along `axes` but the last, as indices, with the cells of its network.

        Parameters
        ----------
        parts : sequence of range, optional
            The indices wanted along each of these axes; all of them by default.
        """
        names = self.axes[:-1]
        parts = [range(n) for n in self.shape[:-1]] if parts is None else parts
        has_model = bool(names) and names[0] == "model"
        for number in parts[0] if has_model else (0,):
            model = self.values("model")[number]
            maker, _ = self._maker(model)
            own = [names.index(axis) if axis in names else None for axis in self._networks_axes(model)]
            for rest in itertools.product(*parts[has_model:]):
                place = (number, *rest) if has_model else rest
                yield place, maker.at([0 if i is None else place[i] for i in own])

    def _maker(self, model: str) -> tuple[CellMaker, list[int]]:
        """What makes the cells of a model, and the lengths of its axes."""
        values = {axis: self._own_values(axis) for axis in self._networks_axes(model)}
        steps = [self.values(STEP)[part] for part in self.steps_of_cells()]
        maker = CellMaker(model, values, steps, self.quantities, self.checksums.get(model, ""))
        return maker, [len(its) for its in values.values()]

    def _own_values(self, axis: str) -> tuple[Any, ...]:
        """`values`, with the files of inputs as what they hold."""
        if axis != INPUTS:
            return self.values(axis)
        known = self.checksums
        return tuple(InputFile(v, known[v]) if isinstance(v, str) else v for v in self.values(axis))

    def _networks_axes(self, model: str) -> tuple[str, ...]:
        """The axes that tell the networks of a model apart: all but the step, and the settings given."""
        own = tuple(axis for axis in axes_of(model) if axis != STEP)
        shared = {axis for other in self.values("model") for axis in axes_of(other)}
        settings = settings_of(model)
        return (*own, *(axis for axis in self.grid if axis in settings and axis not in shared))

    # ---------------------------------------------------------------------------------------------- run

    def describe_in(self, writer: Writer) -> None:
        """Write this study into its database, unless that holds it already.

        Raises
        ------
        ValueError
            If it holds another study, not a smaller or larger version of this one; the message says what
            differs.
        """
        try:
            there = study_in(writer)
        except (FileNotFoundError, ValueError):  # none, or damaged: written again
            there = None
        if there == self:
            return
        if there is not None and (difference := self.difference(there)):
            raise ValueError(
                f"{writer.path.parent} holds another study, {there.name!r}: {difference}; name another "
                "folder for this one."
            )
        writer.describe({"study": self.to_dict(), "begun_with": versions()})

    def run(
        self,
        folder: str | Path,
        executor: Executor | str = "threads",
        *,
        workers: int | None = None,
        memory_limit: float | None = None,
        progress: bool | None = None,
    ) -> Results:
        """Compute what `folder` does not hold yet, and return all of it.

        Parameters
        ----------
        folder : path
            Made if need be, with one database in it, ``study.sqlite``. What that holds of this study is
            checked and kept; a cell that is damaged or of another version is moved to the table ``set_aside``
            and computed again.
        executor : Executor or str
            Any `concurrent.futures.Executor`, or what `executors.open_executor` understands: "threads",
            "processes", "loky", "mpi", "ray", "dask://HOST:PORT". The results do not depend on it.
        workers : int, optional
            For an executor given by name: how many; by default one a processor, or all of a cluster. For an
            `Executor`: how many cells it runs at a time.
        memory_limit : float, optional
            Bytes; half of the machine's memory by default.
        progress : bool, optional
            Force or forbid the progress bar; by default it shows on a terminal.

        Returns
        -------
        Results
            With the `report` of this run.

        Raises
        ------
        OSError
            If the folder cannot be written, or another run writes into it.
        ValueError
            If the executor is not known, or the run may need more memory than the limit: before anything
            is computed or written.
        WorkersLost
            If the executor breaks down; what was finished is kept.
        """
        from .execution.runner import run

        return run(self, user_path(folder, "folder"), executor, workers, memory_limit, progress)


def study_in(store: Store | Writer) -> Study:
    """The study that a database was made for.

    Raises
    ------
    OSError, ValueError
        If there is none, or if its description cannot be read.
    """
    try:
        return Study.from_dict(store.described()["study"])
    except DamagedStore:
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(
            errno.ENOENT, "this folder holds no study (no study.sqlite)", str(store.path.parent)
        ) from None
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        reason = f"no entry {error}" if isinstance(error, KeyError) else str(error).rstrip(".")
        if "--migrate" in reason:
            raise
        raise ValueError(
            f"the description in {store.path} is damaged ({reason}); run the study again into this folder."
        ) from None


def open_results(folder: str | Path) -> Results:
    """The results in a folder that `Study.run` or ``leapgrad sweep`` has written, or is still writing.

    Parameters
    ----------
    folder : str or Path
        The folder that the study was run into.

    Returns
    -------
    Results

    Raises
    ------
    OSError, ValueError
        If the folder holds no study.

    Examples
    --------
    >>> import leapgrad as lg
    >>> study = lg.Study({"d": 2, "n_steps": 20, "step": [0.01, 0.1]}, ["norm"])
    >>> _ = study.run("small", progress=False)
    >>> lg.open_results("small").study == study
    True
    """
    store = Store(folder)
    return Results(study_in(store), store)


def _listed(values: Sequence[Any]) -> str:
    """Values for a sentence, the middle ones left out where they are many."""
    words = ["none" if value is None else str(value) for value in values]
    return ", ".join(words if len(words) <= 4 else [*words[:2], "…", words[-1]])


def _names(argument: str, kind: str, given: Any, known: Collection[str] | None) -> tuple[str, ...]:
    """One name or several, each of them known; models, which need not be names, where none are `known`."""
    if isinstance(given, str):
        given = (given,)
    elif isinstance(given, Mapping) or not isinstance(given, Iterable):
        own = "; a model of your own is named as NAME=FILE, by save_weights, or as MODULE:FUNCTION"
        mend = own if known is None else ""
        raise TypeError(f"{argument} must be a name or a list of names, got {reprlib.repr(given)}{mend}.")
    names = tuple(itertools.islice(given, (MOST_MODELS if known is None else len(known)) + 1))
    for name in names:
        if not isinstance(name, str) or (known is not None and name not in known):
            shown = name if isinstance(name, str) else reprlib.repr(name)
            raise nearest(kind, shown, MODELS if known is None else known)
    if known is None:
        names = tuple(model_word(name) for name in names)
    if not names or len(set(names)) < len(names):
        shown = ", ".join(names) or "empty"
        raise ValueError(f"{argument} is {shown}; give at least one, and each once.")
    return names


def _models(grid: Any, given: Mapping[str, str] | None) -> tuple[tuple[str, ...], dict[str, str]]:
    """The models of a grid, and the checksums of those that come from files.

    A checksum that is given is taken as it is for weights, which are read where they are needed. A module is
    compared before its function is called.
    """
    if not isinstance(grid, Mapping):
        raise TypeError(f"grid must be a table of axes and their values, got {reprlib.repr(grid)}.")
    models, known = _names("model", "model", grid.get("model", "neural"), None), dict(given or {})
    found: dict[str, str] = {}
    for model in models:
        own = ":" in name_and_file(model)[0]
        found[model] = checksum(model) if own or model not in known else known[model]
        if found[model] != known.get(model, found[model]):
            raise ValueError(
                f"the module of model {model} is not the one that the study was made with (checksum "
                f"{known[model][:12]}…); run it as a new study."
            )
    return models, {model: digest for model, digest in found.items() if digest}


def _input_files(grid: Mapping[str, tuple[Any, ...]], given: Mapping[str, str] | None) -> dict[str, str]:
    """The checksums of the files of inputs; one that is given is taken as it is."""
    known, files = given or {}, (value for value in grid.get(INPUTS, ()) if isinstance(value, str))
    return {file: known[file] if file in known else digest_of(file) for file in files}


def _expanded(grid: Mapping[str, Any], models: tuple[str, ...]) -> dict[str, tuple[Any, ...]]:
    taken = {axis for model in models for axis in axes_of(model)}
    settings = list(dict.fromkeys(name for model in models for name in settings_of(model)))
    known = ("model", *AXES, *(name for name in settings if name not in AXES))
    for name in grid:
        if name not in known:
            raise nearest("axis", name, known)
        if name != "model" and name not in taken and name not in settings:
            raise ValueError(
                f"axis {name!r} is none of {', '.join(models)}; known there: "
                f"{', '.join(axis for axis in known if axis in taken or axis in settings)}."
            )
    found: dict[str, tuple[Any, ...]] = {"model": models} if "model" in grid else {}
    found.update({name: expanded(axis, grid[name]) for name, axis in AXES.items() if name in grid})
    found.update(
        {name: expanded(axis_of(name), grid[name]) for name in settings if name in grid and name not in found}
    )
    for name in found:
        for model in models:
            if name not in taken and name in settings_of(model):
                check_settings(model, name, found[name], max(found.get("d", (AXES["d"].default,))))
    return found
