"""Gradients of many components of the last state by all parameters, each with powers of two of its own."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from integrators.cells.cell import Cell
from integrators.cells.stacks.stack import CellStack
from integrators.engine.column_scale import ZERO, bits_of_shift
from integrators.fields.neural import NeuralField
from integrators.fields.potential import PotentialField

__all__ = ["GradientRows", "NamedRows", "theta_blocks"]

Float = NDArray[np.float64]
Counts = NDArray[np.int64]


class NamedRows(NamedTuple):
    """The gradient by one named parameter: ``values · 2^exponents[..., None]``.

    Attributes
    ----------
    values : ndarray, shape (members, rows, entries of the parameter)
    exponents : ndarray of int, shape (members, rows)
    """

    values: Float
    exponents: Counts


def theta_blocks(system: Any) -> dict[str, slice]:
    """Where the named parameters lie in θ; those of the layers of a stacked cell end in its number."""
    if isinstance(system, Cell):
        return _slices(system, system.unpack(system.theta))
    if isinstance(system, NeuralField | PotentialField):
        d, n = system.dim, system.n_inputs
        ends = np.cumsum([0, d * d, d * n, d]).tolist()
        named = {name: slice(*ends[i : i + 2]) for i, name in enumerate("WVb")}
        return {name: where for name, where in named.items() if where.stop > where.start}
    return {"theta": slice(0, system.packed.size)} if system.packed.size else {}


def _slices(cell: Cell, layers: list[dict[str, Float]]) -> dict[str, slice]:
    """Where the named parts of a packed vector lie, which stand in it in their order."""
    found, start = {}, 0
    for number, layer in enumerate(layers):
        for name, view in layer.items():
            found[_numbered(cell, name, number)] = slice(start, start + view.size)
            start += view.size
    return found


def _numbered(cell: Cell, name: str, layer: int) -> str:
    return f"{name}{layer}" if cell.layout.layers > 1 else name


class GradientRows:
    """∂(s_N)_r/∂θ for some rows r of every batch member, with an exponent for each named parameter.

    Parameters
    ----------
    system : Field or Cell
    members, rows : int

    Attributes
    ----------
    values : ndarray, shape (members, rows, P)
    exponents : ndarray of int, shape (members, rows, named parameters)
    """

    def __init__(self, system: Any, members: int, rows: int) -> None:
        self._system, self.blocks = system, theta_blocks(system)
        self.values = np.zeros((members, rows, system.packed.size))
        self.exponents = np.zeros((members, rows, len(self.blocks)), np.int64)

    def add(self, at: tuple[Any, Any], name: str, new: Float, exponent: Any) -> None:
        """Add ``new · 2^exponent[..., None]`` to one named parameter of some members and rows."""
        number = list(self.blocks).index(name)
        target, kept = self.values[(*at, self.blocks[name])], self.exponents[(*at, number)]
        given = np.asarray(exponent, dtype=np.int64)
        if not given.any() and not np.any(kept):
            self.values[(*at, self.blocks[name])] = target + new
            return
        top = np.maximum(_place(target, kept), _place(new, given))
        top = np.where(top == ZERO, 0, top)
        with np.errstate(under="ignore"):
            total = _moved(target, kept - top) + _moved(new, given - top)
        self.values[(*at, self.blocks[name])], self.exponents[(*at, number)] = total, top

    def by_free(self) -> dict[str, NamedRows]:
        """The gradients by the free parameters, as `Cell.gradient_by_free` has them, by name.

        They are zero for what is not trained, such as constants.
        """
        own = {
            name: NamedRows(self.values[..., where], self.exponents[..., number])
            for number, (name, where) in enumerate(self.blocks.items())
        }
        cell = self._system
        if not isinstance(cell, Cell):
            return own
        structured, trained = _structured(cell), cell.free_trainable
        if not structured:
            return {
                name: NamedRows(np.where(trained[where], self.values[..., where], 0.0), own[name].exponents)
                for name, where in self.blocks.items()
            }
        # What a structure makes is brought to one power of two in each row, since its gradients are mixed.
        flat, mixed = self.values.copy(), {}
        for made, free_names in structured:
            top = np.max([_place(own[name].values, own[name].exponents) for name in made], axis=0)
            common = np.where(top == ZERO, 0, top)
            mixed |= dict.fromkeys(free_names, common)
            with np.errstate(under="ignore"):
                for name in made:
                    flat[..., self.blocks[name]] = _moved(own[name].values, own[name].exponents - common)
        free = np.where(trained, cell.gradient_by_free(flat), 0.0)
        places = _slices(cell, cell.unpack_free(np.arange(cell.free.size, dtype=np.float64)))
        return {
            name: NamedRows(free[..., where], mixed[name] if name in mixed else own[name].exponents)
            for name, where in places.items()
        }


def _structured(cell: Cell) -> list[tuple[list[str], list[str]]]:
    """What each structure of the cell, or of the cells of a stack, makes, and from which free parameters."""
    if isinstance(cell, CellStack):
        parts = [(f"layer{number}.{{}}", one) for number, one in enumerate(cell.cells)]
        found = [(form, one.kind.structure, one.d) for form, one in parts]
        return [
            ([form.format(name) for name in made.makes], [form.format(name) for name in made.shapes(d)])
            for form, made, d in found
            if made is not None
        ]
    structure, layers = cell.kind.structure, range(cell.layout.layers)
    if structure is None:
        return []
    made = [_numbered(cell, name, n) for n in layers for name in structure.makes]
    return [(made, [_numbered(cell, name, n) for n in layers for name in structure.shapes(cell.d)])]


def _place(values: Float, exponents: Counts) -> Counts:
    """The power of two of the largest entry along the last axis; `ZERO` where all are zero."""
    size = np.abs(values).max(axis=-1, initial=0.0)
    own = np.frexp(np.where(np.isfinite(size), size, 1.0))[1]
    return np.where(size != 0.0, exponents + own, ZERO)


def _moved(values: Float, shift: Any) -> Float:
    return np.ldexp(values, bits_of_shift(shift)[..., None])
