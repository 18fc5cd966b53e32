"""Whether a public function was asked about a field: its other arguments make no sense for anything else."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from integrators.fields.field import Field

__all__ = ["needs_field"]

F = TypeVar("F", bound=Callable[..., Any])


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
