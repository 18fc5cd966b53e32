"""Fields by name: a marked constructor is a model of the command line, of studies and of `cell`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["named"]

F = TypeVar("F", bound=Callable[..., Any])


def named(reference: str, from_weights: Callable[..., Any] | None = None) -> Callable[[F], F]:
    """Mark a constructor of a field as a model that goes by the name of the function.

    The registry of models (`sensitivity.recurrences.registry`) finds every marked function of this folder, so
    that a new field is one file. The arguments of the function are the settings of the model; those called
    ``d``, ``n_inputs`` and ``rng`` are given to it where it has them.

    Parameters
    ----------
    reference : str
        Where the field comes from.
    from_weights : callable, optional
        ``from_weights(W, b, V, **settings)``, which makes the field from the weights in a file. V is None for
        a field without inputs.
    """

    def mark(build: F) -> F:
        build.__dict__.update(reference=reference, from_weights=from_weights)
        return build

    return mark
