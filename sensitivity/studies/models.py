"""What a study can run: every named model of the registry, from the parameters of one cell to a case."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from integrators.engine.program import Program
from integrators.schemes.table import get_scheme
from sensitivity.analysis.cost import ITERATIONS, SWEEPS_OF_A_CELL, SWEEPS_OF_A_FIELD, USUAL
from sensitivity.recurrences.case import ModelCase, case_of, model_of
from sensitivity.recurrences.registry import FIELDS, canonical, draws_weights, hyperparameters, make, names

from .axes import AXES, STEP

__all__ = ["MODELS", "RunSize", "axes_of", "build", "size_of_run"]

NEURAL = "neural"
MODELS = (NEURAL, *(name for name in names() if name != canonical(NEURAL)))
"""Every model by name. "hamiltonian" is called "neural" in the files of a study, as it always was."""


@dataclass(frozen=True)
class RunSize:
    """How large a run is, for the estimates of time and memory.

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
    sweeps, iterations : int
        Of Lanczos: products with each matrix in an iteration, and iterations that it usually takes; see
        `sensitivity.analysis.cost`.
    """

    d: int
    state: int
    n_steps: int
    kicks: int
    inputs: int = 0
    parameters: int = 0
    sweeps: int = SWEEPS_OF_A_FIELD
    iterations: int = USUAL


@functools.cache
def axes_of(name: str) -> tuple[str, ...]:
    """The axes that a model takes; it does not depend on others.

    A cell is taken at its published start. A field also has its scheme, its initial values, and those of its
    settings that are axes.
    """
    name = canonical(name)
    taken = {"n_steps", STEP}
    if draws_weights(name):
        taken |= {"d", "seed", "inputs"}
    if name in FIELDS:
        taken |= {"scheme", "y0", "p0", *hyperparameters(name)}
    return tuple(axis for axis in AXES if axis in taken)


def build(name: str, parameters: Mapping[str, Any], steps: Sequence[float]) -> ModelCase:
    """The case that the parameters of a cell of a study describe, one batch member for every step.

    Cells without a step size have the same numbers for all steps.
    """
    name, n_steps, seed = canonical(name), parameters["n_steps"], parameters.get("seed", 0)
    field, count = name in FIELDS, np.array(steps)
    settings = {key: parameters[key] for key in hyperparameters(name) if field and key in parameters}
    model = model_of(name, parameters.get("d"), parameters.get("inputs", 0), seed, settings)
    details: dict[str, Any] = {"options": {"threads": 1, "progress": False}}
    if field:
        start, velocity = (np.full(model.dim, parameters[axis]) for axis in ("y0", "p0"))
        details |= {"scheme": parameters["scheme"], "step": count, "start": start, "velocity": velocity}
    else:
        has_step = model.kind.step is not None  # pyright: ignore[reportAttributeAccessIssue]
        details |= {"step": count if has_step else None, "copies": len(steps)}
    return case_of(name, model, n_steps, seed=seed, **details).batch


def size_of_run(name: str, parameters: Mapping[str, Any]) -> RunSize:
    """How large the case of these parameters is, without building it.

    The rows of W of a cell stand for as many right-hand sides of a field of the same d.
    """
    name, n_steps, inputs = canonical(name), parameters["n_steps"], parameters.get("inputs", 0)
    if name in FIELDS:
        scheme = get_scheme(parameters["scheme"])
        d = parameters["d"] if draws_weights(name) else make(name).dim
        numbers = d * (d + 1 + inputs) if draws_weights(name) else 0
        state = d if scheme.form == "first_order" else 2 * d
        return RunSize(d, state, n_steps, Program.of(scheme, n_steps).n_entries, inputs, numbers)
    cell, d = make(name, 2), parameters["d"]
    states = len(cell.kind.state)
    gates = max(1, cell.layout.recurrent * cell.layout.source + cell.layout.second)
    return RunSize(
        states * d if cell.default_block == "state" else d,
        states * d,
        n_steps,
        gates * n_steps,
        inputs,
        sum(math.prod(shape) for shape in cell.kind.shapes(d, inputs).values()),
        SWEEPS_OF_A_CELL,
        ITERATIONS.get(cell.kind.name, USUAL),
    )
