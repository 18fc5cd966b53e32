"""How often the units of a network are saturated: nothing that reaches them moves their new state."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from integrators.cells.cell import Cell
from integrators.fields.neural import NeuralField
from integrators.run.recurrence import Recurrence
from sensitivity.analysis.memory.step_jacobians import StepJacobians

__all__ = ["SATURATED", "saturation"]

Float = NDArray[np.float64]

SATURATED = 0.05
"""A unit is saturated where its slopes are below this share of the largest of the run."""
STEPS_AT_ONCE = 512


def saturation(run: Recurrence) -> Float:
    """The share of steps at which each unit is saturated, shape (d,), over all batch members.

    The slopes of a unit are ∂s'/∂z by its pre-activations z, which a saturated tanh, a closed gate and a dead
    relu bring to zero. NaN for models of which they are not known: cells of two stages or several layers,
    functions of other libraries, and fields that are no `NeuralField`.
    """
    system = run.system
    known = isinstance(system, NeuralField) or (
        isinstance(system, Cell)
        and system.compiled
        and system.layout.layers == 1
        and system.layout.second == 0
    )
    d = system.d if isinstance(system, Cell) else system.dim
    if not known or run.n_steps == 0 or run.members == 0 or callable(run.inputs):
        return np.full(d, math.nan)
    states = StepJacobians(run).states[:, :-1]
    x = np.broadcast_to(run.inputs.transpose(2, 0, 1), (run.members, run.n_steps, run.inputs.shape[1]))
    slopes = np.empty((run.members, run.n_steps, d))
    for member in range(run.members):
        for start in range(0, run.n_steps, STEPS_AT_ONCE):
            some = slice(start, start + STEPS_AT_ONCE)
            given = states[member, some], x[member, some]
            slopes[member, some] = (
                _of_cell(system, *given, float(run.steps[member]))
                if isinstance(system, Cell)
                else np.abs(system.activation.derivative(
                    given[0][:, :d] @ system.W.T + given[1] @ system.V.T + system.b))
            )  # fmt: skip
    largest = slopes.max(initial=0.0)
    return (slopes <= SATURATED * largest).mean(axis=(0, 1)) if largest > 0.0 else np.ones(d)


def _of_cell(cell: Cell, states: Float, x: Float, step: float) -> Float:
    """The largest slope by a pre-activation of every unit, (steps, d)."""
    layout, d, n, parts = cell.layout, cell.d, len(states), cell.parameters
    z = np.zeros((n, layout.first * d))
    if "W" in parts:
        z[:, : layout.recurrent * d] += states[:, : layout.source * d] @ parts["W"].T
    if "V" in parts:
        z[:, layout.input_from * d : layout.input_to * d] += x[:, : cell.n_inputs] @ parts["V"].T
    if layout.bias_to > layout.bias_from and "b" not in cell.kind.vectors:
        z[:, layout.bias_from * d : layout.bias_to * d] += parts["b"]
    rows = [z.T.reshape(layout.first, d, n), states.T.reshape(layout.states, d, n)]
    rows += [np.broadcast_to(parts[name][:, None], (1, d, n)) for name in cell.kind.vectors]
    rows.append(np.full((1, d, n), step))
    rows += [np.broadcast_to(column, (1, d, n)) for column in x[:, cell.n_inputs :].T]
    v = np.ascontiguousarray(np.concatenate(rows)).reshape(-1, d * n)
    out = np.zeros((layout.states, d * n))
    slopes = np.zeros((layout.states, len(cell.kind.locals), d * n))
    constants = np.array([float(parts[name]) for name in cell.kind.constants or {}])
    cell.kind.point(constants, v, out, slopes)
    return np.abs(slopes[:, : layout.first]).max(axis=(0, 1), initial=0.0).reshape(d, n).T
