"""`certify_region`: the gradient's norm enclosed for all initial values in a ball and all inputs in a box.

The state at the centre is s_n, and T_n any product of one-step Jacobians that an interval of slopes allows:

    T_n ∈ T̂_n + {F : ‖F‖₂ ≤ f_n},        f_{n+1} = ‖Ĵ‖ f_n + e (‖T̂_n‖ + f_n),

where the Jacobians of step n over the region lie in Ĵ + {E : ‖E‖₂ ≤ e}. By the mean value theorem states of
the region differ from the centre by T_n applied to the difference at the start and by what inputs add, whose
norm is x_{n+1} = (‖Ĵ‖ + e) x_n + ‖∂Φ/∂x‖ ‖δx‖. This gives the interval of slopes of the next step. Where a
step is several maps in turn, each of them takes the place of a step here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb, arb_mat
from numpy.typing import NDArray

from integrators.run.recurrence import Recurrence
from integrators.singular_values import singular_values

from .balls import Undecided, precision
from .cell_balls import BallCell, Widths, drive_of, maps_of

__all__ = ["RegionRun", "run_region"]

Float = NDArray[np.float64]
BITS = 96
# Every float64 operation below is rounded by less than this, relative to the norms that stand beside it.
ROOM = 1.0 + 1e-12
UNIT = 2.0**-53


@dataclass
class RegionRun:
    """What is known of the Jacobians of a region after n steps.

    Attributes
    ----------
    middle : ndarray, shape (D, D)
        T̂_n.
    spread : float
        f_n.
    shift : float
        x_n, how far inputs may have moved the state.
    """

    middle: Float
    spread: float
    shift: float

    def norms(self, part: slice) -> tuple[float, float]:
        """An enclosure of the norm of a block."""
        found = float(singular_values(self.middle[part, part]).max(initial=0.0))
        error = self.spread * ROOM + len(self.middle) ** 2 * UNIT * _frobenius(self.middle)
        return max(0.0, found - error), found + error


def run_region(recurrence: Recurrence, radius: float, input_radius: Float, visit: Any) -> None:
    """Carry the region through the run; ``visit(n, run)`` sees it after every step and may stop it by True.

    Parameters
    ----------
    recurrence : Recurrence
        Of a cell with one layer and one batch member.
    radius : float
        Euclidean radius of the initial values.
    input_radius : ndarray, shape (n_inputs,)
        Half the sides of the box of every input.
    visit : callable
    """
    cell, h, D = recurrence.cell, float(recurrence.steps[0]), recurrence.state_size
    balls, maps = BallCell(cell), maps_of(cell)
    with precision(BITS):
        s = [arb(float(value)) for value in recurrence.start[0]]
        run = RegionRun(np.eye(D), 0.0, 0.0)
        for n, x in enumerate(drive_of(recurrence)):
            after: RegionRun | None = run
            for number, parameters in enumerate(maps):
                widths = _widths(cell, parameters, after, radius, input_radius)
                try:
                    _, jacobian, by_input = balls.one_map(number, s, x, h, _identity(D), widths)
                    s = balls.one_map(number, s, x, h, None)[0]
                except Undecided:
                    after = None
                else:
                    after = _next(after, jacobian, by_input, input_radius)
                if after is None:
                    break
            if visit(n + 1, after) or after is None:
                return
            run = after


def _next(run: RegionRun, jacobian: Any, by_input: Any, input_radius: Float) -> RegionRun | None:
    """The region after a step whose Jacobians these are."""
    (J, e), (V, v) = _split(jacobian), _split(by_input)
    size, gain = _norm(run.middle), _norm(J)
    middle = J @ run.middle
    rounded = 4.0 * len(J) * UNIT * _frobenius(J) * _frobenius(run.middle)
    spread = (gain * run.spread + e * (size + run.spread) + rounded) * ROOM
    shift = ((gain + e) * run.shift + (_norm(V) + v) * float(np.linalg.norm(input_radius))) * ROOM
    if not (math.isfinite(spread) and math.isfinite(shift) and np.isfinite(middle).all()):
        return None
    return RegionRun(middle, spread, shift)


def _widths(
    cell: Any, parameters: Mapping[str, Float], run: RegionRun, radius: float, input_radius: Float
) -> Widths:
    """How far states and pre-activations of the region are from those of the centre, for a map of a step."""
    W = parameters.get("W", np.zeros((0, 0)))
    rest = run.spread * radius + run.shift
    state = (np.linalg.norm(run.middle, axis=1) * radius + rest) * ROOM
    layout, d = cell.layout, cell.d
    rows = np.zeros((layout.first + layout.second) * d)
    if W.size:
        seen = W @ run.middle[: layout.source * d]
        # Of the Jacobian itself: products of rows round by D units.
        rounded = W.shape[1] * UNIT * np.linalg.norm(W, axis=1) * _frobenius(run.middle) * radius
        rows[: len(W)] = np.linalg.norm(seen, axis=1) * radius + np.linalg.norm(W, axis=1) * rest + rounded
    if cell.n_inputs and "V" in parameters:
        rows[layout.input_from * d : layout.input_to * d] += np.abs(parameters["V"]) @ input_radius
    return Widths(rows * ROOM, state)


def _split(balls: arb_mat | None) -> tuple[Float, float]:
    """Midpoints of a matrix of balls, and a bound on the norm of what they leave out."""
    if balls is None or not balls.ncols():
        return np.zeros((0, 0)), 0.0
    shape = balls.nrows(), balls.ncols()
    entries = balls.entries()
    middle = np.array([float(entry.mid()) for entry in entries])
    left = [float((entry - arb(value)).abs_upper()) for entry, value in zip(entries, middle, strict=True)]
    # ‖E‖₂ ≤ ‖ |E| ‖₂ for the matrix of absolute values.
    radius = np.array(left).reshape(shape) * ROOM
    return middle.reshape(shape), _norm(radius) if np.isfinite(radius).all() else math.inf


def _norm(matrix: Float) -> float:
    """‖·‖₂, rounded up; inf for a matrix that is not finite."""
    if not matrix.size:
        return 0.0
    if not np.isfinite(matrix).all():
        return math.inf
    return float(np.linalg.norm(matrix, 2)) * ROOM


def _frobenius(matrix: Float) -> float:
    return float(np.linalg.norm(matrix)) * ROOM


def _identity(n: int) -> arb_mat:
    return arb_mat(n, n, [int(i == j) for i in range(n) for j in range(n)])
