"""One step of a cell in ball arithmetic, with its Jacobian: `integrators.cells.layout` on balls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb, arb_mat
from numpy.typing import NDArray

from integrators.cells.cell import Cell
from integrators.run.recurrence import Recurrence

from .balls import LOOK_EVERY, Undecided, matrix
from .rules import DecidedBall, arb_of, balls_of, rule_on_balls

__all__ = ["BallCell", "Widths", "cell_ball_jacobian", "drive_of", "maps_of"]

Float = NDArray[np.float64]


@dataclass
class Widths:
    """By how much the pre-activations and the state of a layer may differ from those of the centre."""

    rows: Float  # (rows of both stages · d,); of the second only what inputs add
    state: Float  # (states · d,)


class BallCell:
    """A cell whose steps are taken on balls, layer by layer."""

    def __init__(self, cell: Cell) -> None:
        if not cell.compiled:
            raise TypeError(
                f"field is {cell!r}, a stack or a function of another library; ball arithmetic needs a cell "
                "with a rule."
            )
        self.cell, self.layout, self.d = cell, cell.layout, cell.d
        self.layers = [self._constants(part) for part in maps_of(cell)]
        self.point, self.middle = rule_on_balls(cell.kind.point), rule_on_balls(cell.kind.middle)

    def _constants(self, part: dict[str, Float]) -> dict[str, Any]:
        """The parameters of a layer as balls; those that a layer does not have are left out."""
        kind = self.cell.kind
        found: dict[str, Any] = {name: matrix(part[name]) for name in ("W", "V", "b", "R") if name in part}
        if self.layout.bias_to == self.layout.bias_from:
            found.pop("b", None)  # a parameter vector of this name
        if self.layout.tied:
            found["R"] = found["W"].transpose()
        found["vectors"] = [balls_of(part[name]) for name in kind.vectors]
        found["constants"] = balls_of([float(part[name]) for name in kind.constants or {} if name in part])
        return found

    def step(
        self, s: list[Any], x: list[Any], h: float, tangents: arb_mat | None
    ) -> tuple[list[Any], arb_mat | None]:
        """Φ(s, x), and its tangents ∂Φ/∂s · columns.

        Parameters
        ----------
        s, x : list of arb
            The state, and the input with the clock behind it.
        h : float
        tangents : arb_mat, shape (D, k), or None
        """
        if self.layout.substeps > 1:
            for number in range(len(self.layers)):
                s, tangents, _ = self.one_map(number, s, x, h, tangents)
            return s, tangents
        size = self.layout.states * self.d
        out: list[Any] = []
        moved: list[arb_mat] = []
        clock = x[self.cell.n_inputs :]
        for layer, own in enumerate(self.layers):
            part = s[layer * size : (layer + 1) * size]
            drive = x[: self.cell.n_inputs] if layer == 0 else out[(layer - 1) * size :][: self.d]
            result = self._evaluate(own, part, drive, clock, h, None)
            out += result.out
            if tangents is None:
                continue
            columns = _rows(tangents, layer * size, (layer + 1) * size)
            below = None if layer == 0 else _rows(moved[-1], 0, self.d)
            moved.append(self._push(own, result, columns, below))
        return out, None if tangents is None else _stacked(moved)

    def one_map(
        self, number: int, s: list[Any], x: list[Any], h: float, tangents: arb_mat | None,
        widths: Widths | None = None,
    ) -> tuple[list[Any], arb_mat | None, arb_mat | None]:  # fmt: skip
        """One of the maps of a step of a cell of one layer, the only one or a substep, and its tangents.

        With `widths`, a region around s and x, the tangents are enclosed over all of it, and those by x are
        the third result.
        """
        own, n_inputs = self.layers[number], self.cell.n_inputs
        result = self._evaluate(own, s, x[:n_inputs], x[n_inputs:], h, widths)
        if tangents is None:
            return result.out, None, None
        by_input = None
        if widths is not None:
            by_input = self._push(own, result, arb_mat(len(s), n_inputs), _unit(n_inputs))
        return result.out, self._push(own, result, tangents, None), by_input

    def _evaluate(
        self, own: dict[str, Any], s: list[Any], drive: list[Any], clock: list[Any], h: float, widths: Any
    ) -> _Step:
        """The pointwise rules at one place, with all slopes."""
        layout, d = self.layout, self.d
        rows, states = layout.first + layout.second, layout.states
        z = [arb(0)] * (rows * d)
        if "b" in own:
            _add(z, layout.bias_from * d, own["b"].entries())
        if "W" in own and layout.recurrent:
            _add(z, 0, (own["W"] * _column(s[: layout.source * d])).entries())
        if "V" in own and drive:
            _add(z, layout.input_from * d, (own["V"] * _column(drive)).entries())
        if widths is not None:
            z = _widened(z, widths.rows)
            s = _widened(s, widths.state)
        locals_ = np.empty((rows + states + layout.vectors + 1 + layout.clock, d), object)
        locals_[:rows] = balls_of(z).reshape(rows, d)
        locals_[rows : rows + states] = balls_of(s).reshape(states, d)
        for index, vector in enumerate(own["vectors"]):
            locals_[rows + states + index] = vector
        told = [arb(h), *clock]
        for index, value in enumerate(told):
            locals_[rows + states + layout.vectors + index] = DecidedBall(value)
        count = rows + states + layout.vectors
        inner, slopes = np.empty((2, max(layout.hidden, states), count, d), object)
        if layout.second:
            u = np.empty((layout.hidden, d), object)
            self.middle(own["constants"], locals_, u, inner)
            product = (own["R"] * _column([arb_of(ball) for ball in u.ravel()])).entries()
            before = [ball.value for ball in locals_[layout.first : rows].ravel()]
            _add(before, 0, product)
            locals_[layout.first : rows] = balls_of(before).reshape(layout.second, d)
        out = np.empty((states, d), object)
        self.point(own["constants"], locals_, out, slopes)
        return _Step([arb_of(ball) for ball in out.ravel()], slopes, inner)

    def _push(self, own: dict[str, Any], step: _Step, columns: arb_mat, below: arb_mat | None) -> arb_mat:
        """The tangent columns of one layer after its step; `below` are those of its input."""
        layout, d, k = self.layout, self.d, columns.ncols()
        rows = layout.first + layout.second
        z = [[arb(0)] * k for _ in range(rows * d)]
        if "W" in own and layout.recurrent:
            product = own["W"] * _rows(columns, 0, layout.source * d)
            z[: layout.recurrent * d] = product.tolist()
        if below is not None and "V" in own:
            driven = (own["V"] * below).tolist()
            for index, row in enumerate(driven, layout.input_from * d):
                z[index] = [a + b for a, b in zip(z[index], row, strict=True)]
        if layout.second:
            first = arb_mat(z + columns.tolist())
            inner = self._slopes(step.inner, layout.hidden_pairs, layout.hidden) * first
            for index, row in enumerate((own["R"] * inner).tolist(), layout.first * d):
                z[index] = [a + b for a, b in zip(z[index], row, strict=True)]
        stack = arb_mat(z + columns.tolist()) if z else columns
        return self._slopes(step.slopes, layout.out_pairs, layout.states) * stack

    def _slopes(self, slopes: Any, pairs: NDArray[np.int64], blocks: int) -> arb_mat:
        """The slopes as a matrix from pre-activations and state to blocks."""
        layout, d = self.layout, self.d
        width = layout.first + layout.second + layout.states
        table = [[arb(0)] * (width * d) for _ in range(blocks * d)]
        for block, local in pairs:
            if local < width:
                for i in range(d):
                    table[block * d + i][local * d + i] = arb_of(slopes[block, local, i])
        return arb_mat(table)


def maps_of(cell: Cell) -> list[dict[str, Float]]:
    """The parameters of every layer, or of every substep under the names of the first."""
    if cell.layout.substeps == 1:
        return cell.unpack(cell.theta)
    own = cell.parameters
    each = len(own) // cell.layout.substeps
    names = list(own)
    return [
        {first: own[name] for first, name in zip(names[:each], names[start : start + each], strict=True)}
        for start in range(0, len(names), each)
    ]


@dataclass
class _Step:
    """The values and the slopes of one step of a layer."""

    out: list[Any]
    slopes: Any
    inner: Any


def _add(target: list[Any], start: int, values: list[Any]) -> None:
    for index, value in enumerate(values, start):
        target[index] = target[index] + value


def _widened(values: list[Any], radii: Float) -> list[Any]:
    """Balls with the radii enlarged; rows beyond those that have a radius stay."""
    wide = [arb(0, float(radius)) for radius in radii]
    return [value + wide[i] if i < len(wide) else value for i, value in enumerate(values)]


def _column(values: list[Any]) -> arb_mat:
    return arb_mat(len(values), 1, values)


def _unit(n: int) -> arb_mat:
    return arb_mat(n, n, [int(i == j) for i in range(n) for j in range(n)])


def _rows(columns: arb_mat, start: int, stop: int) -> arb_mat:
    entries, k = columns.entries(), columns.ncols()
    return arb_mat(stop - start, k, entries[start * k : stop * k])


def _stacked(parts: list[arb_mat]) -> arb_mat:
    if len(parts) == 1:
        return parts[0]
    return arb_mat([row for part in parts for row in part.tolist()])


def drive_of(recurrence: Recurrence) -> list[list[Any]]:
    """The input with the clock behind it at every step, exact."""
    inputs = recurrence.inputs
    assert isinstance(inputs, np.ndarray)
    return [[arb(float(value)) for value in row] for row in inputs[:, :, 0]]


def cell_ball_jacobian(recurrence: Recurrence, part: slice) -> arb_mat:
    """Enclosure of a block of ∂s_N/∂s_0 of a cell, at the set precision.

    Raises
    ------
    Undecided
        If the precision does not decide a branch of the rule, or a ball grew without limit.
    """
    cell, h = BallCell(recurrence.cell), float(recurrence.steps[0])
    s = [arb(float(value)) for value in recurrence.start[0]]
    tangents: Any = matrix(np.eye(recurrence.state_size)[:, part])
    for n, x in enumerate(drive_of(recurrence)):
        s, tangents = cell.step(s, x, h, tangents)
        if n % LOOK_EVERY == 0 and not all(entry.is_finite() for entry in (*s, *tangents.entries())):
            raise Undecided("a ball grew without limit")
    return _rows(tangents, part.start, part.stop)
