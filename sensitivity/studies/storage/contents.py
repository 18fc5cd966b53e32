"""What the file of a cell must hold: the variables of its quantities, each in its shape."""

from __future__ import annotations

from collections.abc import Mapping

from sensitivity.studies.execution.cost import HEADER_BYTES, cost_of, size_of
from sensitivity.studies.quantities import Float, checked

from .cell import Cell, UnusableCell

__all__ = ["check_contents", "most_bytes"]


def most_bytes(cell: Cell) -> int:
    """More than the file of a cell can have: what is larger is not read."""
    return 2 * cost_of(cell).stored + 4 * len(cell.description) + 100 * HEADER_BYTES


def check_contents(cell: Cell, arrays: Mapping[str, Float]) -> None:
    """Compare names and shapes with what the description asks for.

    Raises
    ------
    UnusableCell
        Naming the first that differs.
    """
    size = size_of(cell)
    lengths = {"": (), "rank": (size.d,), "number": (size.state,), "index": (size.n_steps + 1,)}
    wanted = {
        variable.name: (len(cell.steps), *lengths[variable.dim])
        for quantity in checked(cell.quantities)
        for variable in quantity.variables
    }
    if set(arrays) != set(wanted):
        raise UnusableCell("corrupt", f"it holds {', '.join(arrays) or 'nothing'}, not {', '.join(wanted)}")
    for name, shape in wanted.items():
        if arrays[name].shape != shape:
            raise UnusableCell("corrupt", f"{name} has the shape {arrays[name].shape}, not {shape}")
