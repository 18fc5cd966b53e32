"""What the public verbs are asked about: a field with a scheme and a step, or any recurrence as it is."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from integrators.fields.field import Field
from integrators.run.recurrence import OdeRecurrence, Recurrence

__all__ = ["as_recurrence", "needs_field"]

F = TypeVar("F", bound=Callable[..., Any])


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
    if isinstance(system, Field):
        if options.get("dtype", "") is None:
            del options["dtype"]
        return OdeRecurrence(system, scheme, step, n_steps, y0, p0, inputs, **options)
    if not hasattr(system, "pushforward"):
        raise TypeError(
            f"field must be a Field such as NeuralField, got {type(system).__name__}; a recurrence such as "
            "unroll(cell, n_steps) will do as well."
        )
    given = {"scheme": scheme, "step": step, "n_steps": n_steps, "y0": y0, "p0": p0, "inputs": inputs}
    for name, value in (given | options).items():
        if value is not None:
            raise TypeError(f"{name} belongs to the recurrence: give it where that is made, not here.")
    return system


def needs_field(function: F) -> F:
    """The function, which checks its argument `field` before it looks at any other.

    Without that, ``certify(unroll(cell))`` is told that it lacks a scheme, which a cell cannot have.
    """

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if args or "field" in kwargs:
            field = args[0] if args else kwargs["field"]
            if not isinstance(field, Field):
                other = "; other recurrences, such as unrolled cells, have none" if _runs(field) else ""
                if other and function.__module__.startswith("sensitivity.bounds"):
                    other += " of this kind: bounds.of_recurrence(run) lists theirs"
                raise TypeError(
                    f"field must be a Field such as NeuralField, got {type(field).__name__}: "
                    f"{function.__name__} is about fields under a scheme{other}."
                )
        return function(*args, **kwargs)

    return cast("F", checked)


def _runs(model: object) -> bool:
    """Whether it is a recurrence, or a cell that makes one."""
    return hasattr(model, "pushforward") or hasattr(model, "linearise")
