"""Every model by name: fields that a scheme makes recurrent, cells, and functions of the user's own modules.

Nothing is listed here. A field is every function of `integrators.fields` that `named` marks, and a cell is
every function of the folder ``cells`` that `published_start` decorates. Stacks of cells are rows of a table.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import integrators.fields
from integrators.cells.cell import Cell
from integrators.fields.field import Field
from integrators.naming import nearest, shown
from integrators.validation import as_count

from .marked import CELLS, marked
from .stacks.blocks import STACKS

__all__ = [
    "FIELDS",
    "MODELS",
    "STACKS",
    "add_current_folder",
    "builder",
    "canonical",
    "drawn_inputs",
    "hyperparameters",
    "make",
    "names",
    "reference",
]

Builder = Callable[..., "Cell | Field"]
OF_EVERY_MODEL = ("d", "n_inputs", "rng")


FIELDS: dict[str, Builder] = marked(integrators.fields)
"""Right-hand sides by name, for any scheme: name → constructor."""

MODELS: dict[str, Builder] = dict(CELLS)
"""Cells by name: name → constructor of a cell at its published start."""

ALSO_CALLED = {"rnn": "vanilla", "neural": "hamiltonian", "hamiltonian": "neural"}
"""What other libraries, and studies, call a model."""


def names() -> tuple[str, ...]:
    """Every model that has a name: fields, cells, stacks of cells."""
    return (*FIELDS, *MODELS, *STACKS)


def canonical(name: Any, known: Iterable[str] | None = None, *, own: bool = True) -> str:
    """The name of a model as its table has it: "LSTM" is "lstm", and PyTorch's "RNN" is "vanilla".

    A ``module:function`` is what it is, unless the table takes no models of your `own`.

    Raises
    ------
    UnknownNameError
        With the nearest of the `known` names, by default those of all models.
    """
    known = names() if known is None else tuple(known)
    if isinstance(name, str):
        if name in known or (own and ":" in name):
            return name
        lower = name.strip().lower()
        for word in (lower, ALSO_CALLED.get(lower)):
            if word in known:
                return word
    raise nearest("model", name, known)


def reference(name: str) -> str:
    """Where a model comes from."""
    build = builder(name)
    return build.__dict__.get("reference") or make(name, 2).kind.reference


def builder(name: str) -> Builder:
    """The function that makes the cell or the field of that name.

    That of a cell is ``(d, n_inputs=0, rng=0, **settings)``; a field that draws no weights has settings only.

    Raises
    ------
    UnknownNameError
        With the nearest known name.
    ValueError
        If a module of yours or its function is not there, or is no such function.

    Notes
    -----
    A model of your own goes by ``module:function``. Its module is looked for on the path of Python and, after
    all other places, in the current folder.
    """
    name = canonical(name)
    if name in FIELDS:
        return FIELDS[name]
    if name in STACKS:
        return STACKS[name]
    return MODELS[name] if name in MODELS else _own_builder(name)


def add_current_folder() -> None:
    """Let modules be found in the current folder, which a console script does not have on its path.

    It becomes the last place of the path, so that no file there stands in for an installed module.
    """
    here = os.getcwd()
    if "" not in sys.path and here not in sys.path:
        sys.path.append(here)


def _own_builder(name: str) -> Builder:
    """The function of a user's module, wrapped so that each error in it becomes one sentence."""
    module, name_there = name.split(":", 1)
    add_current_folder()
    try:
        function = getattr(importlib.import_module(module), name_there)
    except (Exception, SystemExit) as error:  # a module may do anything while it is imported
        said = str(error).rstrip(".") or type(error).__name__
        raise ValueError(f"model {name!r} cannot be had: {said}; write MODULE:FUNCTION.") from None
    wanted = "it must be a function (d, n_inputs, rng, **settings) that returns a Cell or a Field"
    try:
        signature = inspect.signature(function)
        signature.bind(1, 0, None)
    except (TypeError, ValueError):
        raise ValueError(f"model {name!r} is {shown(function)}; {wanted}.") from None

    @functools.wraps(function)
    def build(*args: Any, **settings: Any) -> Cell | Field:
        try:
            made = function(*args, **settings)
        except (Exception, SystemExit) as error:
            said = " ".join(str(error).split()).rstrip(".")
            raise ValueError(f"model {name!r} cannot be made: {type(error).__name__}: {said}.") from error
        if not isinstance(made, (Cell, Field)):
            raise ValueError(f"model {name!r} returned {shown(made)}; {wanted}.")
        return made

    build.__signature__ = signature  # pyright: ignore[reportAttributeAccessIssue]
    return build


@functools.lru_cache(maxsize=256)
def _parameters(build: Builder) -> tuple[inspect.Parameter, ...]:
    """The parameters of a builder; to ask for them takes 30 µs, as long as drawing a small network."""
    return tuple(inspect.signature(build).parameters.values())


def hyperparameters(name: str) -> dict[str, Any]:
    """What the builder takes besides d, n_inputs and rng, with its defaults."""
    return {
        parameter.name: parameter.default
        for parameter in _parameters(builder(name))
        if parameter.name not in OF_EVERY_MODEL
    }


def make(name: str, d: int | None = None, n_inputs: int = 0, rng: Any = 0, **details: Any) -> Any:
    """The cell or the field of a given name, with parameters drawn as in its publication.

    Parameters
    ----------
    name : str
        A name of the table of models, such as "lstm", "cornn", "hamiltonian" or "kepler" (``leapgrad compare
        --list`` shows all), or ``module:function`` for a function of your own that returns a `Cell` or a
        `Field`. Upper and lower case are the same, and "RNN" is another name for "vanilla".
    d : int
        Number of neurons. A textbook field such as "kepler" has a dimension of its own, and needs none.
    n_inputs : int
        Length of each input; 0 for a network without inputs.
    rng : int or numpy.random.Generator
        Seed of the random parameters.
    **details
        Settings of this model, such as ``step`` and ``gamma`` of "cornn" or ``activation`` of "hamiltonian".

    Returns
    -------
    Cell or Field
        Both become recurrences by `unroll`, a field with a scheme and a step.

    Raises
    ------
    ValueError, TypeError
        If the name or a setting is not known or makes no sense; the message suggests the nearest name or
        lists the settings.

    Examples
    --------
    >>> import leapgrad as lg
    >>> lg.cell("lstm", 20, 3)
    Cell(lstm, d=20, n_inputs=3)
    >>> lg.cell("cornn", 16, 2, gamma=3.0, step=0.1)
    Cell(cornn, d=16, n_inputs=2)
    >>> lg.cell("RNN", 8, activation="relu")
    Cell(vanilla, d=8)
    >>> lg.cell("pendulum", omega=2.0)
    ConservativeField(pendulum, d=1)
    """
    name = canonical(name)
    build, known = builder(name), hyperparameters(name)
    unknown = sorted(set(details) - set(known))
    if unknown:
        listed = ", ".join(known) or "none"
        raise ValueError(f"{name} has no hyperparameter {unknown[0]!r}; it has {listed}.")
    if draws_weights(name):
        return build(d, n_inputs, rng, **details)
    made = build(**details)
    for argument, given, own in (("d", d, made.dim), ("n_inputs", n_inputs, made.n_inputs)):
        if given is not None and as_count(given, argument) != own:
            raise ValueError(f"{name} has {argument} = {own}, got {given}; leave {argument} out.")
    return made


def draws_weights(name: str) -> bool:
    """Whether a model has weights of any dimension, which are drawn; textbook fields have none."""
    takes_d = any(parameter.name == "d" for parameter in _parameters(builder(name)))
    return takes_d or canonical(name) not in FIELDS


def drawn_inputs(n_steps: int, n_inputs: int, seed: int) -> NDArray[np.float64]:
    """Inputs N(0, 1), shape (n_steps, n_inputs), from a stream of their own: the same for every model."""
    return np.random.default_rng([seed, 1]).standard_normal((n_steps, n_inputs))
