"""Steps of a cell, many at a time, with tangent columns: layer by layer, or substep by substep."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.cells.cell import Cell
from integrators.run.recurrence import Recurrence

from .affine import Affine, Pointwise

__all__ = ["CellSteps"]

Float = NDArray[np.float64]


class CellSteps:
    """Steps start … start + T − 1 of every batch member, at known states and columns.

    Parameters
    ----------
    run : Recurrence
        Of a cell.
    states : ndarray, shape (m, T, D)
    columns : ndarray, shape (m, T, k, D)
    start : int
    back : bool
        Whether `pull` will be asked for.

    Attributes
    ----------
    columns : ndarray, shape (m, T, k, D)
        The columns after each of these steps.
    """

    def __init__(self, run: Recurrence, states: Float, columns: Float, start: int, back: bool = True) -> None:
        cell: Cell = run.cell
        self._cell, layout, d = cell, cell.layout, cell.d
        m, T = states.shape[:2]
        rows = run.inputs[start : start + T].transpose(2, 0, 1)
        rows = np.broadcast_to(rows, (m, *rows.shape[1:]))
        drive, clock = rows[..., : cell.n_inputs], rows[..., cell.n_inputs :]
        beside = np.concatenate([np.broadcast_to(run.steps[:, None, None], (m, T, 1)), clock], axis=2)
        beside = np.moveaxis(beside, 2, 0)
        self._maps: list[tuple[Affine, str, int]] = []
        size = layout.states * d
        x, dx, s, ds = drive, None, states[..., :size], columns[..., :size]
        self.columns = np.empty_like(columns)
        for number, (layer, end, own) in enumerate(_parameters(cell)):
            one = Affine(layout, _rules(cell), own, d, back)
            part = slice(number * size, (number + 1) * size)
            if layout.substeps == 1:
                s, ds = states[..., part], columns[..., part]
            out, dout = one.forward(s, ds, x, dx, beside)
            self._maps.append((one, end, layer))
            if layout.substeps > 1:
                s, ds, self.columns = out, dout, dout
            else:
                x, dx, self.columns[..., part] = out[..., :d], dout[..., :d], dout

    def pull(self, mu: Float, lam: Float) -> tuple[Float, Float, Float]:
        """Cotangents of states and columns, and the gradient by θ summed over the steps, (m, P)."""
        cell, layout, d = self._cell, self._cell.layout, self._cell.d
        gradient = np.zeros((len(mu), cell.packed.size))
        views = cell.unpack(gradient)
        mu_in, lam_in = np.empty_like(mu), np.empty_like(lam)
        size, below = layout.states * d, None
        at = mu, lam
        for number, (one, end, layer) in reversed(list(enumerate(self._maps))):
            part = slice(number * size, (number + 1) * size) if layout.substeps == 1 else slice(0, size)
            if layout.substeps == 1:
                at = mu[..., part].copy(), lam[..., part].copy()
                if below is not None:
                    at[0][..., :d] += below[0]
                    at[1][..., :d] += below[1]
            pulled = one.pull(*at)
            below = pulled.drive, pulled.drive_columns
            at = pulled.state, pulled.columns
            mu_in[..., part], lam_in[..., part] = at
            own = views[layer]
            for name, value in pulled.parameters.items():
                if name != "vectors":
                    own[name + end][...] += value
            for place, name in enumerate(cell.kind.vectors):
                own[name + end][...] += pulled.parameters["vectors"][:, place]
        return mu_in, lam_in, gradient


def _rules(cell: Cell) -> tuple[Pointwise, Pointwise]:
    layout, kind = cell.layout, cell.kind
    return (
        Pointwise(kind.point, layout.out_pairs, layout.states),
        Pointwise(kind.middle, layout.hidden_pairs, layout.hidden),
    )


def _parameters(cell: Cell) -> list[tuple[int, str, dict[str, Any]]]:
    """(layer, ending of the names, parameters) of every map that a step applies, in order."""
    kind, found = cell.kind, []
    each = len(kind.constants or {}) // cell.layout.substeps
    for layer, own in enumerate(cell.unpack(cell.theta)):
        for number in range(cell.layout.substeps):
            end = f"_{number + 1}" if number else ""
            matrices = [name for name in "WVbR" if name not in kind.vectors and name + end in own]
            part: dict[str, Any] = {name: own[name + end] for name in matrices}
            part["vectors"] = [own[name + end] for name in kind.vectors]
            constants = list(kind.constants or {})[number * each : (number + 1) * each]
            part["constants"] = [float(own[name]) for name in constants]
            found.append((layer, end, part))
    return found
