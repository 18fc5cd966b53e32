"""A scheme unrolled over a run: merged end kicks, and the input and the time that each kick sees.

A kick at the end of one step and a kick at the start of the next act at the same y with the same input, so
they are one kick of the summed weight: leapfrog costs one force per step.

Which input a kick sees: input row i is x_{i+1}, used by the force that helps to produce y_{i+1}. A kick
after the last drift of step i no longer acts on y_{i+1} but on y_{i+2}, and takes the next row (the last
row once more, at the end of the run). For leapfrog this is recursion (13) of Rusch, Pearson, Zygalakis
(2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from .schemes import Scheme

__all__ = ["EXPLICIT", "FIRST_ORDER", "SPLITTING", "Schedule"]

SPLITTING, FIRST_ORDER, EXPLICIT = range(3)
_FORMS = {"splitting": SPLITTING, "first_order": FIRST_ORDER, "explicit": EXPLICIT}


@dataclass(frozen=True)
class Schedule:
    """A scheme's stages for a run of n_steps steps, end kicks merged with the next step's first kick.

    Attributes
    ----------
    form : int
        SPLITTING, FIRST_ORDER or EXPLICIT.
    drift, kick : float64[:]
        Stage weights within a step; ``kick[-1]`` is the weight of the last stage alone.
    opening : float
        Weight of the kick before the first drift (0 if the scheme starts with a drift).
    n_steps : int
    close : bool
        Whether the kick after the last drift of the last step is carried out. It changes p_N only, so
        ∂y_N/∂y_0 does without it.
    """

    form: int
    drift: NDArray[np.float64]
    kick: NDArray[np.float64]
    opening: float
    n_steps: int
    close: bool

    @classmethod
    @lru_cache(maxsize=64)  # short runs are made by the thousand, and always with the same few schemes
    def of(cls, scheme: Scheme, n_steps: int, close: bool = True) -> Schedule:
        form = _FORMS[scheme.form]
        a, b = np.array(scheme.drift), np.array(scheme.kick)
        opening = 0.0
        if form == SPLITTING:
            # Kicks with no drift between them are one kick.
            starts = np.flatnonzero((a != 0.0) | (np.arange(len(a)) == 0))
            a, b = a[starts], np.add.reduceat(b, starts)
            # End kicks that cancel stay apart: a merged kick of weight zero would not be counted as one.
            if a[0] == 0.0 and (b[0] == 0.0 or b[0] + b[-1] != 0.0):
                opening, a, b = float(b[0]), a[1:].copy(), b[1:].copy()
        return cls(form, a, b, opening, n_steps, close)

    @property
    def closing_kicks(self) -> bool:
        """Whether a kick follows the last drift of a step (its own, or the next step's first)."""
        return self.form == SPLITTING and self.kick[-1] + self.opening != 0.0

    @cached_property
    def inner_kicks(self) -> int:
        """Kicks per step before the last drift of a step."""
        return int(np.count_nonzero(self.kick[:-1] if self.form == SPLITTING else self.kick))

    @cached_property
    def kicks_per_step(self) -> int:
        return self.inner_kicks + self.closing_kicks

    @property
    def n_kicks(self) -> int:
        """Kicks (force evaluations) of the whole run."""
        if self.n_steps == 0:
            return 0
        first = self.opening != 0.0
        last = self.closing_kicks and not (self.close and self.kick[-1] != 0.0)
        return first + self.n_steps * self.kicks_per_step - last

    def kick_rows(self) -> NDArray[np.int64]:
        """Input row of every kick, in the order of the run."""
        steps = np.repeat(np.arange(self.n_steps)[:, None], self.kicks_per_step, axis=1)
        if self.closing_kicks:
            steps[:, -1] = np.minimum(steps[:, -1] + 1, self.n_steps - 1)
        first = [0] if self.opening != 0.0 else []
        return np.concatenate([first, steps.ravel()])[: self.n_kicks].astype(np.int64)

    def kick_times(self) -> NDArray[np.float64]:
        """Time of every kick in units of the step, in the order of the run."""
        if self.form != SPLITTING:
            before = np.cumsum(self.kick) - self.kick
            return (np.arange(self.n_steps)[:, None] + before[self.kick != 0.0]).ravel()
        nodes = np.cumsum(self.drift)
        inner = nodes[:-1][self.kick[:-1] != 0.0]
        per_step = np.append(inner, 1.0) if self.closing_kicks else inner
        first = [0.0] if self.opening != 0.0 else []
        times = np.arange(self.n_steps)[:, None] + per_step[None, :]
        return np.concatenate([first, times.ravel()])[: self.n_kicks]
