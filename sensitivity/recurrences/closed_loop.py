"""A cell whose output is its next input: the free-running forecaster as a cell without inputs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.cells.cell import Cell
from integrators.cells.stacks.stack import CellStack
from integrators.naming import shown
from sensitivity.weights.entries import as_weights, shape_of

__all__ = ["close_loop"]

Float = NDArray[np.float64]


def close_loop(cell: Cell, readout: Any) -> Cell:
    """The cell whose next input is its own linear output: s' = Φ(s, C s + c).

    Jacobians, norms, exponents and growth of the result are those of the network that runs freely, as
    forecasters and generative networks do.

    Parameters
    ----------
    cell : Cell
        Of one layer, with inputs.
    readout : array_like, pair of array_like, or layer
        C of shape (n_inputs, d), which reads the first block of the state (h of an LSTM), or of shape
        (n_inputs, D), which reads all of it; a pair (C, c) with an offset c of shape (n_inputs,); or a layer
        with ``weight`` and ``bias``, such as PyTorch's ``nn.Linear``.

    Returns
    -------
    Cell
        Without inputs. Since x enters by V x, the closed loop is a cell of the same rule with W + V C in
        place of W and b + V c in place of b; it has its own name, ending in "_closed", where W must see more
        of the state or act on more rows than before. A structure of W, such as orthogonality, is lost.

    Raises
    ------
    TypeError
        If `cell` is not a cell.
    ValueError
        If the cell has no inputs or several layers, if a shape does not fit, if the input enters the second
        stage of the cell, where no product with the state can stand for it ("gru_before"), or if there is an
        offset and the cell has no bias that could hold it ("exprnn", "urnn").

    Notes
    -----
    The Jacobian of a step is ∂Φ/∂s + ∂Φ/∂x C (H. Jaeger, H. Haas, *Science* 304 (2004) 78–80, for reservoirs
    whose output is fed back).

    Examples
    --------
    >>> import leapgrad as lg
    >>> line = lg.cell("vanilla", 2, 1, activation="identity").with_parameters(
    ...     W=[[1.0, 0.0], [1.0, 0.5]], V=[[1.0], [0.0]], b=[0.0, 0.0]
    ... )
    >>> free = lg.close_loop(line, [[0.0, 1.0]])
    >>> lg.jacobian(lg.unroll(free, 1))
    array([[1. , 1. ],
           [1. , 0.5]])
    >>> round(float(lg.jacobian_norm(lg.unroll(free, 1))), 3)
    1.781
    """
    if not isinstance(cell, Cell):
        raise TypeError(f"cell must be a Cell such as leapgrad.cell makes it, got {shown(cell)}.")
    _check_cell(cell)
    C, c = _read(readout, cell)
    layout, d, given = cell.layout, cell.d, dict(cell.parameters)
    V = given.pop("V")
    # What V x adds to the first-stage rows, as a product with the state and a constant.
    product, constant = V @ C, V @ c
    if constant.any() and "b" in cell.kind.vectors:
        raise ValueError(
            f"the offset of readout has no place in {cell.name}, whose parameter b is no bias; "
            "give a readout without one."
        )
    source = max(layout.source if layout.recurrent else 1, C.shape[1] // d)
    recurrent = max(layout.recurrent, layout.input_to)
    low, high = layout.bias_from, layout.bias_to
    if constant.any():
        low = min(low, layout.input_from) if low < high else layout.input_from
        high = max(high, layout.input_to)
    kind = cell.unstructured().kind
    if (source, recurrent, low, high) != (layout.source, layout.recurrent, layout.bias_from, layout.bias_to):
        # Bounds and inverses were stated for the old rows.
        kind = replace(
            kind, name=f"{kind.name}_closed", source=source, recurrent=recurrent, biases=(low, high),
            inputs=(layout.input_from, layout.input_to), bound=None, inverse=None,
        )  # fmt: skip
    rows = slice(layout.input_from * d, layout.input_to * d)
    W = np.zeros((recurrent * d, source * d))
    if "W" in given:
        W[: layout.recurrent * d, : layout.source * d] = given["W"]
    W[rows, : C.shape[1]] += product
    given["W"] = W
    if low < high:
        b = np.zeros(high * d)
        if layout.bias_from < layout.bias_to:
            b[layout.bias_from * d : layout.bias_to * d] = given["b"]
        if constant.any():  # else there may be fewer rows with a bias than with an input
            b[rows] += constant
        given["b"] = b[low * d :]
    return Cell(kind, d, 0, [given], step=cell.step_size)


def _check_cell(cell: Cell) -> None:
    """Refuse cells whose loop is no cell of the same rule."""
    layout = cell.layout
    if isinstance(cell, CellStack):
        raise TypeError(f"close_loop takes cells with a rule of one layer; {cell!r} is a stack of them.")
    if not cell.compiled:
        raise TypeError(
            f"close_loop takes cells with a rule; {cell!r} is a function, which can close its loop itself."
        )
    if cell.n_inputs == 0:
        raise ValueError(f"{cell!r} has no inputs that its output could become; make it with n_inputs.")
    if layout.layers > 1:
        raise ValueError(f"close_loop takes cells of one layer; {cell!r} has {layout.layers}.")
    if layout.input_to > layout.first or (layout.tied and layout.second):
        raise ValueError(
            f"close_loop cannot stand for the input of {cell.name}, which enters the second stage of a step "
            "or shares its matrix with it; take a cell of one stage, such as 'gru' for 'gru_before'."
        )


def _read(readout: Any, cell: Cell) -> tuple[Float, Float]:
    """C and c of the read-out."""
    n, offset = cell.n_inputs, None
    if hasattr(readout, "weight") and not hasattr(readout, "shape"):
        readout, offset = readout.weight, getattr(readout, "bias", None)
    elif isinstance(readout, tuple) and len(readout) == 2 and len(shape_of(readout[0])) == 2:
        readout, offset = readout
    C = as_weights(readout, "readout", 2)
    c = np.zeros(n) if offset is None else as_weights(offset, "the offset of readout", 1)
    if C.shape not in ((n, cell.d), (n, cell.dim)):
        raise ValueError(
            f"readout has shape {C.shape}; {cell!r} asks for ({n}, {cell.d}), which reads the first block of "
            f"its state, or ({n}, {cell.dim}), which reads all of it."
        )
    if c.shape != (n,):
        raise ValueError(f"the offset of readout has shape {c.shape}; {cell!r} asks for ({n},).")
    return C, c
