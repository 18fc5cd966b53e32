"""The bounds of many networks of one kind at once: a study of a million is verified in a minute.

What is found here is compared with the bounds of one of the networks, computed alone. A network that seems to
break a bound, or of another kind, is left to the quantities of the study, which look at it by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.engine.blocks import one_blas_thread

from .cell import GridCell, networks_of
from .quantities import QUANTITIES
from .together import can_stand_together

__all__ = ["within_bounds"]

Float = NDArray[np.float64]
Flags = Any  # arrays of truth values, whose type NumPy leaves open
Few = Callable[[Mapping[str, Float], Float, Float], Flags]


def _same(a: Float, b: Float) -> Flags:
    return np.all((a == b) | (np.isnan(a) & np.isnan(b)), axis=1)


def _norms_kept(arrays: Mapping[str, Float], log_bound: Float, least: Float) -> Flags:
    with np.errstate(over="ignore"):
        return ~np.any(arrays["norm"] > np.exp(log_bound), axis=1)


def _log_norms_kept(arrays: Mapping[str, Float], log_bound: Float, least: Float) -> Flags:
    return ~np.any(arrays["log_norm"] > log_bound, axis=1)


def _bounds_kept(arrays: Mapping[str, Float], log_bound: Float, least: Float) -> Flags:
    return _same(arrays["log_bound"], log_bound) & _same(arrays["least_singular_value"], least)


# `violations` of a quantity → the same for arrays of shape (networks, steps).
_KEPT: dict[Any, Few] = {
    QUANTITIES["norm"].violations: _norms_kept,
    QUANTITIES["log_norm"].violations: _log_norms_kept,
    QUANTITIES["bounds"].violations: _bounds_kept,
}


def within_bounds(cells: Sequence[GridCell], numbers: Sequence[bytes]) -> Flags:
    """Whether the stored numbers of each cell are within every proved bound; False where this is not known.

    Parameters
    ----------
    cells : sequence of GridCell
    numbers : sequence of bytes
        Those of their rows, each of the right length.
    """
    found = np.zeros(len(cells), dtype=bool)
    groups: dict[object, list[int]] = {}
    for place, cell in enumerate(cells):
        if _known(cell):
            groups.setdefault(cell.kind, []).append(place)
    for places in groups.values():
        if len(places) > 1:
            some = [cells[place] for place in places]
            found[places] = _group(some, b"".join([numbers[place] for place in places]))
    return found


def _known(cell: GridCell) -> bool:
    """Whether a network is a neural field with drawn weights, and asked for nothing but norms and bounds."""
    asked = all(QUANTITIES[name].violations in _KEPT for name in cell.quantities)
    return asked and can_stand_together(cell.model, cell.parameters)


def _group(cells: Sequence[GridCell], numbers: bytes) -> Flags:
    """`within_bounds` of cells of one kind."""
    with one_blas_thread():
        upper, lower, known = networks_of(cells).bounds
    table, first = np.frombuffer(numbers, "<f8").reshape(len(cells), -1), cells[0]
    arrays = {name: table[:, start : start + count] for name, _, start, count in first.layout.arrays}
    rules = [QUANTITIES[name].violations for name in first.quantities]
    return known & np.all([_KEPT[rule](arrays, upper, lower) for rule in rules], axis=0)
