"""Which theorems there are for a map, which of them hold, and what becomes of each in a certificate."""

from __future__ import annotations

from typing import NamedTuple

from integrators.run.recurrence import Recurrence

from .bound import Of
from .cells import cell_bound
from .table import TABLE, BoundCase, Theorem

__all__ = ["ListedTheorem", "listed"]

SAID: dict[Of, str] = {
    "recursion": "decided against the enclosure",
    "trajectory": "not decided: bounds the product along the computed trajectory (leapgrad bound)",
    "product": "not decided: bounds the product along the computed trajectory (leapgrad bound --products)",
    "flow": "not decided: bounds the flow, and the recursion up to its discretisation error",
}
"""What a certificate makes of a theorem that holds."""
INVERSE = "not decided: it is theorem E for the inverse map, and follows from it"


class ListedTheorem(NamedTuple):
    """A theorem, and what is to be said of it for one map.

    Attributes
    ----------
    theorem : str
        "B", "D", …; "cell" for the bound that a kind of cell brings.
    bound : str
        Name of the function in `sensitivity.bounds`.
    holds : bool
        Whether its hypotheses do.
    decided : bool
        Whether a certificate compares it with its enclosure.
    said : str
        What is done with it, or the hypothesis that fails.
    """

    theorem: str
    bound: str
    holds: bool
    decided: bool
    said: str


def listed(recurrence: Recurrence, block: str | None = None) -> tuple[ListedTheorem, ...]:
    """Every theorem about the norm of this map, with what a certificate makes of it or why it does not hold.

    Parameters
    ----------
    recurrence : Recurrence
        Of a field with one step size, or of a cell.
    block : str, optional
        As for `jacobian`.

    Returns
    -------
    tuple of ListedTheorem
        In the order of the table.
    """
    if recurrence.cell is not None:
        return _of_cell(recurrence, block)
    case = BoundCase(
        recurrence.system, recurrence.scheme, recurrence.steps[0], recurrence.n_steps,
        *recurrence.initial_value, recurrence.inputs,
    )  # fmt: skip
    phase = "phase" if block == "phase" else "position"
    return tuple(_of_field(row, case) for row in TABLE if row.block == phase)


def _of_field(row: Theorem, case: BoundCase) -> ListedTheorem:
    checked = row.checked(case)
    if isinstance(checked, ValueError):
        return ListedTheorem(row.theorem, row.name, False, False, f"does not hold: {checked}")
    inverse = row.block == "phase" and row.side == "lower"
    said = INVERSE if inverse else SAID[row.of]
    return ListedTheorem(row.theorem, row.name, True, row.of == "recursion" and not inverse, said)


def _of_cell(recurrence: Recurrence, block: str | None) -> tuple[ListedTheorem, ...]:
    own, name = cell_bound(recurrence, block), recurrence.cell.name
    said = SAID["recursion"] if own is not None else "none is proved of this block from the weights alone"
    products = {row.name: row for row in TABLE if row.of == "product"}
    return (
        ListedTheorem("cell", name, own is not None, own is not None, said),
        *(ListedTheorem(row.theorem, row.name, True, False, SAID["product"]) for row in products.values()),
    )
