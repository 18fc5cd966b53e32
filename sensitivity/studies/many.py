"""The bounds of many networks of one kind at once: a study of a million is verified in a minute.

What is found here is compared with the bounds of one of the networks, computed alone. A network that seems to
break a bound, or of another kind, is left to the quantities of the study, which look at it by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.fields.activations import ACTIVATIONS
from integrators.fields.neural import largest_slopes
from integrators.schemes.table import get_scheme
from sensitivity.bounds.growth import bounds_by_slope

from .axes import AXES
from .cell import GridCell, case_of
from .models import NEURAL
from .quantities import QUANTITIES

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
    groups: dict[tuple[object, object], list[int]] = {}
    for place, cell in enumerate(cells):
        if _known(cell):
            groups.setdefault((cell.kind, cell.parameters["activation"]), []).append(place)
    for places in groups.values():
        if len(places) > 1:
            some = [cells[place] for place in places]
            found[places] = _group(some, b"".join([numbers[place] for place in places]))
    return found


def _known(cell: GridCell) -> bool:
    """Whether a network is a neural field with drawn weights, and asked for nothing but norms and bounds."""
    asked = all(QUANTITIES[name].violations in _KEPT for name in cell.quantities)
    return cell.model == NEURAL and cell.parameters.keys() <= AXES.keys() and asked


def _group(cells: Sequence[GridCell], numbers: bytes) -> Flags:
    """`within_bounds` of cells that differ in their seeds and their weights."""
    lipschitz = ACTIVATIONS[cells[0].parameters["activation"]].lipschitz
    slopes = largest_slopes(lipschitz, np.stack([_weights(cell) for cell in cells]))
    proved = np.isfinite(slopes) & (slopes > 0.0)
    kept = np.zeros(len(cells), dtype=bool)
    if not proved.any():
        return kept
    first = cells[int(np.argmax(proved))]
    bounds = _bounds(first, slopes[proved])
    case = case_of(first)
    for found, alone in zip(bounds, (case.log_bound(), case.least_singular_value()), strict=True):
        if not np.array_equal(found[0], alone):
            return kept
    table = np.frombuffer(numbers, "<f8").reshape(len(cells), -1)[proved]
    arrays = {name: table[:, start : start + count] for name, _, start, count in first.layout.arrays}
    rules = [QUANTITIES[name].violations for name in first.quantities]
    kept[proved] = np.all([_KEPT[rule](arrays, *bounds) for rule in rules], axis=0)
    return kept


def _bounds(first: GridCell, slopes: Float) -> tuple[Float, Float]:
    """`log_upper_bound` and `lower_bound` of networks like the first, shape (networks, steps) each."""
    steps = np.broadcast_to(first.steps, (len(slopes), len(first.steps)))
    scheme, n_steps, d = (first.parameters[name] for name in ("scheme", "n_steps", "d"))
    return bounds_by_slope(slopes[:, None], get_scheme(scheme), steps, n_steps, d)


def _weights(cell: GridCell) -> Float:
    """W of a network as `integrators.fields.neural.hamiltonian` draws it, first of all numbers."""
    parameters, d = cell.parameters, cell.parameters["d"]
    drawn = np.random.default_rng(parameters["seed"]).uniform(0.0, 1.0 / d, (d, d))
    W = parameters["weight_scale"] * drawn
    gamma = parameters["gamma"]
    return W if gamma is None else W - W.T - gamma * np.eye(d)
