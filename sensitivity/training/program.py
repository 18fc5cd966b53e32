"""A scheme unrolled into the kicks and drifts of a training run, and the memory that a run needs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from integrators.codegen.memory import aligned_array
from integrators.codegen.simd import WIDTH
from integrators.engine.program import Program
from integrators.schemes.scheme import Scheme

from .sweep import HELD, Kicks, Room

__all__ = ["Size", "unroll"]


def unroll(scheme: Scheme, step: float, n_steps: int, activation: int) -> Kicks:
    """The kicks of a run from rest to y_N, with ε multiplied into every weight.

    Drifts before the first kick do nothing to a state at rest; those between two kicks are one drift.
    """
    program = Program.of(scheme, n_steps, close=False)
    kicks, drifts, rows = [], [], []
    for stage, weight, row, *_ in program:
        if stage == "drift":
            if drifts:
                drifts[-1] += weight
        else:
            kicks.append(weight)
            drifts.append(weight if stage == "explicit" else 0.0)
            rows.append(row)
    return Kicks(
        program.form, activation, np.array(kicks) * step, np.array(drifts) * step, np.array(rows, np.int64)
    )


@dataclass(frozen=True)
class Size:
    """What the memory of a run depends on."""

    kicks: int
    d: int
    n_inputs: int
    n_classes: int

    def ring(self) -> Size:
        """The same where nothing is kept for the way back: two stations, used in turn."""
        return replace(self, kicks=min(self.kicks, 2))

    def room(self, w: int, buffer: np.ndarray | None = None) -> Room:
        """The arrays of a block of `w` lanes; those that are kept for the way back lie in `buffer`.

        All begin a cache line: eight lanes that straddle two of them take two loads, a tenth of the time.
        """
        d, rows, k = self.d, self.d + self.n_inputs + 1, self.kicks
        kept = aligned_array((self.buffer_size(w),), np.float64) if buffer is None else buffer
        cut, end = k * rows * w, k * (rows + d) * w
        stations, slopes = kept[:cut].reshape(k, rows, w), kept[cut:end].reshape(k, d, w)
        shapes = {name: (d, w) for name in ("y", "p", "z", "s", "lam_y", "lam_p")}
        shapes |= {"held": (HELD, d * w + WIDTH)}
        shapes |= {"sums": (d, rows, WIDTH), "scores": (self.n_classes, w)}
        others = {name: aligned_array(shape, np.float64) for name, shape in shapes.items()}
        return Room(stations=stations, slopes=slopes, **others)

    def buffer_size(self, w: int) -> int:
        """Numbers kept for the way back."""
        return self.kicks * (2 * self.d + self.n_inputs + 1) * w
