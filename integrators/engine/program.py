"""A program: which stages a recurrence applies, in which order, with which weight and at which input.

A recurrence is a state, a few stages and a program. The program of a run of N steps is a list of operations
(stage, weight, input row), written down once for the compiled drivers, the bounds, the ball arithmetic, the
round-off analysis, the proofs and the naive twins: none of them reads a scheme's coefficients itself.

A splitting step is drifts y += a ε p and kicks p += b ε F(y, x). A kick at the end of one step and a kick at
the start of the next act at the same y with the same input, so they are one kick of the summed weight, and
belong to the *later* step: leapfrog costs one force per step. Hence

* step i begins with the kick at node i, whose weight in the first step is the scheme's own first kick alone;
* between steps the state is (y_i, p) with p before the kick at node i;
* the kick at node N that closes the last step is an operation of its own, which changes p_N only.

Input row i is x_{i+1}: every kick of step i sees it, and the closing kick sees the last row once more. For
leapfrog this is recursion (13) of Rusch, Pearson, Zygalakis (2019).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from integrators.schemes.scheme import Scheme

__all__ = ["EXPLICIT", "FIRST_ORDER", "MAP", "SPLITTING", "Operation", "Program"]

Float = NDArray[np.float64]
Weights = Sequence[Any] | NDArray[Any]

SPLITTING, FIRST_ORDER, EXPLICIT, MAP = range(4)
"""Forms of a program, as compiled code names them."""

_FORMS = {"splitting": SPLITTING, "first_order": FIRST_ORDER, "explicit": EXPLICIT, "map": MAP}
_STAGES = {SPLITTING: "kick", FIRST_ORDER: "increment", EXPLICIT: "explicit", MAP: "map"}


class Operation(NamedTuple):
    """One application of a stage.

    Attributes
    ----------
    stage : {"kick", "drift", "increment", "explicit", "map"}
        kick: p += w ε F(y, x); drift: y += w ε p; increment: y += w ε F(y, x), where the state is y alone;
        explicit: a kick and a drift of that weight, both from the old state; map: s ← Φ(s, x).
    weight : float
        w, in units of the step size.
    row : int
        Input row, −1 for a drift.
    entry : int
        Number of the tape entry, the value of y (or s) at which the stage was evaluated; −1 for a drift.
    step : int
        The step that it belongs to; N for the closing kick.
    """

    stage: str
    weight: Any
    row: int
    entry: int
    step: int


@dataclass(frozen=True, eq=False)  # told apart by identity: `of` gives the same one for the same arguments
class Program:
    """A scheme unrolled over a run.

    Attributes
    ----------
    form : int
        SPLITTING, FIRST_ORDER, EXPLICIT or MAP.
    body : ndarray, shape (operations, 2)
        One row an operation of a step: the weight of an evaluation of F, and that of the drift after it.
        Either may be zero.
    first : float
        Weight of the evaluation with which the first step begins, in place of ``body[0, 0]``.
    closing : float
        Weight of the kick after the last step; 0 if there is none, or if `close` is False.
    n_steps : int
    """

    form: int
    body: NDArray[Any]
    first: Any
    closing: Any
    n_steps: int

    @classmethod
    @lru_cache(maxsize=64)  # short runs are made by the thousand, and always with the same few schemes
    def of(cls, scheme: Scheme, n_steps: int, close: bool = True) -> Program:
        """The program of a scheme in float64; `close` says whether p_N gets its closing kick."""
        return cls.unrolled(scheme.form, scheme.drift, scheme.kick, n_steps, close)

    @classmethod
    def unrolled(cls, form: str, drift: Weights, kick: Weights, n_steps: int, close: bool = True) -> Program:
        """The program of the stages (drift a_s, kick b_s) with weights of any type of number."""
        if form != "splitting":
            a, b = np.asarray(drift), np.asarray(kick)
            body = np.stack([b, a], axis=1)[b != 0]
            return cls(_FORMS[form], body, body[0, 0], 0 * body[0, 0], n_steps)
        a, b = _merged(drift, kick)
        zero, tail = 0 * a[0], b[-1]
        head = zero
        if a[0] == 0:
            head, a, b = b[0], a[1:], b[1:]
        middle = np.stack([b[:-1], a[1:]], axis=1)
        if head != 0 and tail != 0 and head + tail == 0:
            # End kicks that cancel stay apart: merged, they would see one input row, and count as no kick.
            opening, first = np.array([[tail, zero], [head, a[0]]]), zero
        else:
            opening, first = np.array([[head + tail, a[0]]]), head
        closing = tail if close and n_steps > 0 else zero
        return cls(SPLITTING, np.concatenate([opening, middle]), first, closing, n_steps)

    @classmethod
    @lru_cache(maxsize=64)
    def of_map(cls, n_steps: int) -> Program:
        """A cell applied n_steps times."""
        return cls(MAP, np.array([[1.0, 0.0]]), 1.0, 0.0, n_steps)

    @cached_property
    def n_entries(self) -> int:
        """Tape entries of the run: one for each row of `body` in each step, and one for the closing kick.

        The entry of a row without evaluation is not used.
        """
        return self.n_steps * len(self.body) + (self.closing != 0)

    @cached_property
    def evaluations_per_step(self) -> int:
        """Evaluations of F (or Φ) in a step of a long run."""
        return int(np.count_nonzero(self.body[:, 0]))

    def __iter__(self) -> Iterator[Operation]:
        for i in range(self.n_steps):
            yield from self.step(i)
        if self.closing != 0:
            row = self.n_steps - 1
            yield Operation("kick", self.closing, row, self.n_steps * len(self.body), self.n_steps)

    @cached_property
    def steady_step(self) -> tuple[Operation, ...]:
        """The operations of a step in the middle of a long run."""
        return tuple(self.step(1))

    def step(self, i: int) -> Iterator[Operation]:
        """The operations of step i, in order."""
        stage = _STAGES[self.form]
        for s, (weight, drift) in enumerate(self.body.tolist()):
            if i == 0 and s == 0:
                weight = self.first
            if weight != 0:
                yield Operation(stage, weight, i, i * len(self.body) + s, i)
            if drift != 0 and self.form == SPLITTING:
                yield Operation("drift", drift, -1, -1, i)

    @cached_property
    def evaluated(self) -> NDArray[np.bool_]:
        """Which tape entries are those of an evaluation, shape (n_entries,)."""
        used = np.tile(self.body[:, 0] != 0, self.n_steps)
        used[: min(1, used.size)] = self.first != 0
        return np.append(used, True) if self.closing != 0 else used

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """Input row of every tape entry, shape (n_entries,)."""
        rows = np.repeat(np.arange(self.n_steps), len(self.body))
        return np.append(rows, self.n_steps - 1) if self.closing != 0 else rows

    @cached_property
    def times(self) -> Float:
        """Time of every tape entry in units of the step, shape (n_entries,)."""
        weight, drift = self.body.T
        moved = drift if self.form == SPLITTING else weight
        inner = np.cumsum(moved) - moved
        every = (np.arange(self.n_steps)[:, None] + inner[None, :]).ravel()
        return np.append(every, float(self.n_steps)) if self.closing != 0 else every


def _merged(drift: Weights, kick: Weights) -> NDArray[Any]:
    """The rows (drift, kick) of stages in which neighbouring flows of one kind are one flow, shape (2, S).

    Two kicks with no drift between them see the same y, and two drifts with no kick between them the same p.
    """
    stages: list[list[Any]] = []
    for a, b in zip(np.asarray(drift), np.asarray(kick), strict=True):
        if stages and a == 0:
            stages[-1][1] = stages[-1][1] + b
        elif stages and stages[-1][1] == 0:
            stages[-1] = [stages[-1][0] + a, b]
        else:
            stages.append([a, b])
    return np.array(stages).T
