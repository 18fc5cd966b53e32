"""Initial states in the form of PyTorch: one array a block, layers first."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from integrators.cells.cell import Cell
from sensitivity.weights.entries import as_numpy

from .function_cell import FunctionCell

__all__ = ["as_state"]


def as_state(cell: Cell, s0: Any) -> ArrayLike | None:
    """The flat initial state of a cell, shape (*batch, D), from any form of it.

    Parameters
    ----------
    cell : Cell
    s0 : array_like or sequence of array_like
        Flat, (*batch, D); or in PyTorch's form: h_0 of shape (layers, *batch, d), or one such array for every
        block of the state, as (h_0, c_0) of an LSTM. With one layer, the axis of layers may be left out.
        The length of the last axis says which form it is: D, or d.

    Raises
    ------
    ValueError, TypeError
        If the number of blocks or of layers, or a shape, is not that of the cell.
    """
    if s0 is None:
        return cell.start
    if isinstance(cell, FunctionCell):
        s0 = cell.state_of(s0)
    if cell.dim == cell.d:
        return _numbers(s0, "s0")
    names = cell.kind.state
    if isinstance(s0, (tuple, list)) and any(_is_array(part, cell) for part in s0):
        parts = [_numbers(part, f"s0[{i}]") for i, part in enumerate(s0)]
        if all(part.ndim and part.shape[-1] == cell.dim for part in parts):
            return np.stack(parts) if len({part.shape for part in parts}) == 1 else s0
        if len(parts) != len(names):
            raise ValueError(
                f"s0 has {len(parts)} parts; the state of {cell.name} has {len(names)}: ({', '.join(names)})."
            )
        return _joined(cell, parts)
    flat = _numbers(s0, "s0")
    if len(names) == 1 and cell.layout.layers > 1 and flat.ndim >= 2 and flat.shape[-1] == cell.d:
        return _joined(cell, [flat])
    if flat.ndim and flat.shape[-1] == cell.d and len(names) > 1:
        raise ValueError(
            f"s0 has shape {flat.shape}; the state of {cell.name} is ({', '.join(names)}): give s0 = "
            f"({', '.join(f'{name}_0' for name in names)}), or one array of {cell.dim} entries."
        )
    return flat


def _is_array(part: Any, cell: Cell) -> bool:
    """Whether a part of a sequence is a block of a state: no number."""
    return getattr(part, "ndim", None) not in (None, 0) or (isinstance(part, (list, tuple)) and len(part) > 0)


def _numbers(value: Any, name: str) -> Any:
    """An array of NumPy from one of any library; lists as they are."""
    foreign = callable(getattr(value, "detach", None)) or hasattr(value, "__jax_array__")
    if foreign:
        return as_numpy(value, name)
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is not a rectangular array of numbers: {error}.") from None


def _joined(cell: Cell, parts: list[Any]) -> Any:
    """(*batch, D) from the blocks, each (layers, *batch, d)."""
    layers, d, names = cell.layout.layers, cell.d, cell.kind.state
    for name, part in zip(names, parts, strict=True):
        if part.shape != parts[0].shape:
            raise ValueError(
                f"{name}_0 of s0 has shape {part.shape}, {names[0]}_0 has {parts[0].shape}; all blocks of a "
                "state have one shape."
            )
    shape = parts[0].shape
    if not shape or shape[-1] != d:
        raise ValueError(
            f"{names[0]}_0 of s0 has shape {shape}; {cell!r} asks for ({layers}, batch, {d}) or ({layers}, "
            f"{d})."
        )
    if layers == 1 and (len(shape) == 1 or shape[0] != 1):
        parts = [part[None] for part in parts]  # of one layer or cell, without the axis of layers
    elif len(shape) < 2 or shape[0] != layers:
        raise ValueError(
            f"{names[0]}_0 of s0 has shape {shape}; with {layers} layers its first axis must be {layers} "
            "long."
        )
    # (blocks, layers, *batch, d) → (*batch, layers, blocks, d)
    stacked = np.moveaxis(np.stack(parts), (0, 1), (-2, -3))
    return stacked.reshape(*stacked.shape[:-3], cell.dim)
