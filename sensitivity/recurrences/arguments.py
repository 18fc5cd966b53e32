"""What the public verbs are asked about: a field with a scheme and a step, or any recurrence as it is."""

from __future__ import annotations

from typing import Any

from integrators.fields.field import Field
from integrators.run.recurrence import OdeRecurrence, Recurrence

__all__ = ["as_recurrence"]


def as_recurrence(
    system: Field | Recurrence,
    scheme: Any,
    step: Any,
    n_steps: Any,
    y0: Any = None,
    p0: Any = None,
    inputs: Any = None,
    **options: Any,
) -> Recurrence:
    """`system` itself if it is a recurrence, else the recurrence of the field, scheme and step.

    Raises
    ------
    TypeError
        If `system` is neither, or what a recurrence was made with is given once more.
    """
    given = {"scheme": scheme, "step": step, "n_steps": n_steps, "y0": y0, "p0": p0, "inputs": inputs}
    options = {name: value for name, value in options.items() if value is not None}
    if isinstance(system, Field):
        return OdeRecurrence(system, scheme, step, n_steps, y0, p0, inputs, **options)
    if not hasattr(system, "pushforward"):
        raise TypeError(
            f"field must be a Field such as NeuralField, got {type(system).__name__}; a recurrence such as "
            "unroll(cell, n_steps) will do as well."
        )
    surplus = [name for name, value in (given | options).items() if value is not None]
    if surplus:
        raise TypeError(f"{surplus[0]} belongs to the recurrence: give it where that is made, not here.")
    return system
