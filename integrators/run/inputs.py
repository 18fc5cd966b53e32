"""Inputs of a recurrence: rows of an array, one for each step, or a function of time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.cells.cell import Cell
from integrators.engine.program import Program
from integrators.validation import as_array

__all__ = ["Inputs", "checked_inputs", "sampled"]

Float = NDArray[np.float64]
Inputs = ArrayLike | Callable[[float], ArrayLike] | None


def checked_inputs(system: Any, n_steps: int, inputs: Inputs) -> Float | Callable[[float], ArrayLike]:
    """Inputs as (*batch, n_steps, n_inputs), or the function of time.

    Raises
    ------
    ValueError, TypeError
        If the system takes no inputs, or others.
    """
    n_inputs, is_cell = system.n_inputs, isinstance(system, Cell)
    if n_inputs == 0:
        owner, mend = ("cell", "make it with n_inputs") if is_cell else ("field", "give NeuralField its V")
        raise ValueError(f"inputs were given, but the {owner} takes none; {mend}.")
    if callable(inputs) and not is_cell:
        _sample(n_inputs, inputs, 0.0)
        return inputs
    array = as_array(inputs, "inputs", tuple(range(1, 33)))
    if array.ndim == 1 and n_inputs == 1:
        array = array[:, None]
    if array.shape[-2:] != (n_steps, n_inputs):
        owner = "cell" if is_cell else "field"
        raise ValueError(
            f"inputs has shape {array.shape}; n_steps = {n_steps} and the {owner}'s {n_inputs} inputs ask "
            f"for ({n_steps}, {n_inputs}), or (…, {n_steps}, {n_inputs}) for a batch."
        )
    return array


def _sample(n_inputs: int, inputs: Callable[[float], ArrayLike], t: float) -> Float:
    """x(t), checked."""
    sample = as_array(inputs(t), f"inputs({t:g})", (0, 1)).reshape(-1)
    if sample.size != n_inputs:
        raise ValueError(f"inputs({t:g}) has {sample.size} entries; the field takes {n_inputs}.")
    return sample


def sampled(
    system: Any,
    inputs: Callable[..., Any],
    program: Program,
    h: Float,
    tick: Callable[[int], object],
) -> Float:
    """x(t) at the time of every tape entry, (entries, n_inputs, members)."""
    found = np.empty((program.n_entries, system.n_inputs, h.size))
    for entry, time in enumerate(program.times):
        for q, step in enumerate(h):
            found[entry, :, q] = _sample(system.n_inputs, inputs, float(time * step))
        tick(0)
    return found
