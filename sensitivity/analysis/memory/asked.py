"""What the verbs of this room are asked about: a run that `unroll` made."""

from __future__ import annotations

from typing import Any

from integrators.naming import shown
from integrators.run.recurrence import Recurrence

__all__ = ["as_run"]


def as_run(run: Any) -> Recurrence:
    """The argument itself.

    Raises
    ------
    TypeError
        If it is no recurrence.
    """
    if not isinstance(run, Recurrence):
        raise TypeError(
            "run must be a recurrence, such as unroll(cell, inputs=…) or unroll(field, scheme=…, step=…, "
            f"n_steps=…), got {shown(run)}."
        )
    return run
