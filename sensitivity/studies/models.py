"""The models that a study can run, and how a case is built from the parameters of one cell.

A model is named by one word, as on the command line: a name of the registry, NAME=FILE for a model with the
weights of a file, or module:function for a function of one's own.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from integrators.cells.cell import Cell
from integrators.engine.program import Program
from integrators.fields.field import Field
from integrators.run.recurrence import CONDENSED_BYTES
from integrators.schemes.table import get_scheme
from sensitivity.analysis.cost import ITERATIONS, USUAL
from sensitivity.recurrences.case import ModelCase, case_of, model_of
from sensitivity.recurrences.registry import (
    FIELDS,
    STACKS,
    canonical,
    draws_weights,
    hyperparameters,
    make,
    names,
)
from sensitivity.recurrences.registry import MODELS as CELLS
from sensitivity.recurrences.settings import SETTINGS, check_setting
from sensitivity.recurrences.sources import known_settings, name_and_file

from .axes import AXES, STEP
from .input_files import n_inputs_of, rows_of_inputs

__all__ = [
    "INPUTS",
    "MODELS",
    "NEURAL",
    "RunSize",
    "axes_of",
    "build",
    "check_settings",
    "model_word",
    "settings_of",
    "size_of_run",
]

NEURAL, INPUTS = "neural", "inputs"
MODELS = (NEURAL, *(name for name in names() if name != canonical(NEURAL)))
"""Every model by name. "hamiltonian" is called "neural" in the files of a study, as it always was."""


@dataclass(frozen=True)
class RunSize:
    """The size of a run, for the estimates of time and memory.

    Attributes
    ----------
    d : int
        Columns of ∂y_N/∂y_0.
    state : int
        D, the length of the full state.
    n_steps : int
    kicks : int
        Evaluations of the right-hand side in a run.
    inputs : int
        Input components.
    parameters : int
        Numbers in θ.
    iterations : int
        Of Lanczos, as many as it usually takes; see `sensitivity.analysis.cost`.
    states, kept : int, optional
        Numbers on a stored trajectory: those of the states, and all; kicks · D by default.
    """

    d: int
    state: int
    n_steps: int
    kicks: int
    inputs: int = 0
    parameters: int = 0
    iterations: int = USUAL
    states: int | None = None
    kept: int | None = None


def model_word(word: str) -> str:
    """The word of a model as a study keeps it: its name as `MODELS` has it, with the file of its weights.

    Raises
    ------
    UnknownNameError
        With the nearest known name.
    ValueError
        For "NAME=" without a file.
    """
    name, file = name_and_file(word)
    known = canonical(name, MODELS)
    return known if file is None else f"{known}={file}"


@functools.cache
def axes_of(word: str) -> tuple[str, ...]:
    """The axes that a model takes by default; it does not depend on others.

    A cell is taken at its published start. A field also has its scheme, its initial values, and those of its
    settings that are axes. Weights from a file bring their d, and are not drawn.
    """
    name, file = name_and_file(word)
    name, taken = canonical(name), {"n_steps", STEP}
    if draws_weights(name) and file is None:
        taken |= {"d", "seed", "inputs"}
    if _is_field(name):
        taken |= {"scheme", "y0", "p0"}
    if name in FIELDS:
        taken |= set(hyperparameters(name))
    return tuple(axis for axis in AXES if axis in taken)


def settings_of(word: str) -> tuple[str, ...]:
    """The settings of a model that are none of its axes by default; a study may take them as axes, too."""
    known = known_settings(word)
    if name_and_file(word)[1] is not None:  # weights of a file say how many inputs there are
        known = (*known, INPUTS)
    return tuple(key for key in known if key not in axes_of(word))


def check_settings(word: str, name: str, values: Sequence[Any], d: int) -> None:
    """Refuse values that a setting of a model of the registry cannot have, for d neurons.

    Raises
    ------
    ValueError, TypeError
        Naming the setting and the value.
    """
    model = canonical(name_and_file(word)[0])
    for value in values:
        if name == INPUTS:
            if not isinstance(value, str):
                raise ValueError(
                    f"inputs of {word} must be .npy files, got {value}; its weights say how many there are."
                )
            continue
        if model in CELLS and name in SETTINGS:
            check_setting(name, value, d, model)
        elif model in FIELDS and not draws_weights(model):
            make(model, **{name: value})


def _is_field(name: str) -> bool:
    """Whether a model is a field. A function of one's own is called once for a small network to find out."""
    if name in FIELDS or name in CELLS:
        return name in FIELDS
    try:
        return isinstance(make(name, 2), Field)
    except ValueError:  # perhaps it is one that needs inputs
        return isinstance(make(name, 2, 1), Field)


def _model(word: str, parameters: Mapping[str, Any]) -> Cell | Field:
    name, file = name_and_file(word)
    given = {key: parameters[key] for key in known_settings(word) if key in parameters}
    n_inputs = n_inputs_of(parameters.get(INPUTS, 0)) if file is None else 0
    sizes = (parameters.get("d"), n_inputs, parameters.get("seed", 0))
    return model_of(name, *sizes, given, file)


def build(word: str, parameters: Mapping[str, Any], steps: Sequence[float]) -> ModelCase:
    """The case that the parameters of a cell of a study describe, one batch member for every step.

    Cells without a step size have the same numbers for all steps.
    """
    n_steps, seed = parameters["n_steps"], parameters.get("seed", 0)
    model, steps_given = _model(word, parameters), np.array(steps)
    details: dict[str, Any] = {"options": {"threads": 1, "progress": False}}
    details["inputs"] = rows_of_inputs(parameters.get(INPUTS), n_steps)
    if isinstance(model, Field):
        start, velocity = (np.full(model.dim, parameters[axis]) for axis in ("y0", "p0"))
        details |= {"scheme": parameters["scheme"], "step": steps_given, "start": start, "velocity": velocity}
    else:
        has_step = model.kind.step is not None
        details |= {"step": steps_given if has_step else None, "copies": len(steps)}
    return case_of(canonical(name_and_file(word)[0]), model, n_steps, seed=seed, **details).batch


def size_of_run(word: str, parameters: Mapping[str, Any]) -> RunSize:
    """The size of the case of these parameters. A model of the registry need not be built for it.

    The rows of W of a cell stand for as many right-hand sides of a field of the same d.
    """
    name, file = name_and_file(word)
    name, n_steps, inputs = canonical(name), parameters["n_steps"], n_inputs_of(parameters.get(INPUTS, 0))
    if (
        file is not None
        or ":" in name
        or name in STACKS
        or any(key in parameters for key in settings_of(word))
    ):
        return _size_of_model(_model(word, parameters), parameters)
    if name in FIELDS:
        d = parameters["d"] if draws_weights(name) else make(name).dim
        numbers = d * (d + 1 + inputs) if draws_weights(name) else 0
        return _size_of_field(d, numbers, inputs, parameters)
    return _size_of_cell(make(name, 2), parameters["d"], inputs, n_steps)


def _size_of_model(model: Cell | Field, parameters: Mapping[str, Any]) -> RunSize:
    if isinstance(model, Field):
        return _size_of_field(model.dim, model.theta.size, model.n_inputs, parameters)
    return _size_of_cell(model, model.d, model.n_inputs, parameters["n_steps"])


def _size_of_field(d: int, numbers: int, inputs: int, parameters: Mapping[str, Any]) -> RunSize:
    scheme, n_steps = get_scheme(parameters["scheme"]), parameters["n_steps"]
    state = d if scheme.form == "first_order" else 2 * d
    return RunSize(d, state, n_steps, Program.of(scheme, n_steps).n_entries, inputs, numbers)


def _size_of_cell(cell: Cell, d: int, inputs: int, n_steps: int) -> RunSize:
    """The size of a cell as `cell` is, but with d neurons a layer and another number of inputs.

    Stacks and functions of other libraries are measured as they are.
    """
    if not cell.compiled:
        block = cell.blocks.get(cell.default_block, slice(0, cell.dim))
        products = max(1, cell.packed.size // cell.d**2)
        return RunSize(
            block.stop - block.start, cell.dim, n_steps, products * n_steps, cell.n_inputs, cell.packed.size
        )
    layers = cell.layout.layers
    state = layers * len(cell.kind.state) * d
    gates = max(1, cell.layout.recurrent * cell.layout.source + cell.layout.second)
    kept = n_steps * (cell.condensed_rows // cell.d) * d
    own = [cell.kind.shapes(d, inputs if layer == 0 else d) for layer in range(layers)]
    block = cell.blocks.get(cell.default_block, slice(0, cell.dim))
    return RunSize(
        (block.stop - block.start) // cell.d * d,
        state,
        n_steps,
        layers * gates * n_steps,
        inputs,
        sum(math.prod(shape) for shapes in own for shape in shapes.values()),
        ITERATIONS.get(cell.kind.name, USUAL),
        n_steps * state,
        kept if 8 * kept <= CONDENSED_BYTES else n_steps * state,
    )
