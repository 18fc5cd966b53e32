"""States that leave the range of float64: the exception, the exact step, and the warning."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from integrators.engine.drivers import Run

if TYPE_CHECKING:
    from .recurrence import Recurrence

__all__ = ["TrajectoryOverflow", "first_overflow", "mark_overflowed"]

Float = NDArray[np.float64]
# Steps that are run at a time while the first overflow is looked for.
SEARCHED_STEPS = 256
_OURS = {"integrators", "leapgrad", "sensitivity"}


class TrajectoryOverflow(OverflowError):
    """Raised when the state of a run has left the range of float64.

    Parameters
    ----------
    step_index : int
        The first step after which an entry of the state was not finite.
    n_steps : int
        N, the number of steps that were asked for.
    step : float
        The step size of that run.

    Attributes
    ----------
    step_index, step
        As above.

    Examples
    --------
    >>> import leapgrad as lg
    >>> line = lg.NeuralField([[1e6]], [1.0], activation="identity")
    >>> try:
    ...     lg.integrate(line, "euler", [1.0], None, step=1.0, n_steps=100)
    ... except lg.TrajectoryOverflow as error:
    ...     print(error.step_index)
    ...
    52
    """

    def __init__(self, step_index: int, n_steps: int, step: float) -> None:
        super().__init__(
            f"the trajectory overflowed at step {step_index} of {n_steps} (step = {step:g}); "
            "use a smaller step, fewer steps, or a bounded activation."
        )
        self.step_index, self.step = step_index, step
        self._given = step_index, n_steps, step

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._given


def first_overflow(recurrence: Recurrence, member: int) -> TrajectoryOverflow:
    """The exception for a member that overflowed, with the exact step: it is run again, step by step."""
    which = np.array([member])
    run = recurrence.driver_run(which, recurrence.program(), check_every=1)
    none = np.empty((0, recurrence.system.dim, 1), recurrence.dtype)

    def overflows(run: Run, state: NDArray, start: int, stop: int) -> int:
        """Steps [start, stop) in place; the one at which the state overflowed, or −1."""
        block = recurrence.block(which)._replace(state=state)
        recurrence.system.forward(recurrence.theta, run, block, none, none[:, :0], start, stop)
        return int(block.overflowed[0])

    state, n_steps = recurrence.initial(which), recurrence.n_steps
    start, index, before = 0, -1, (0, state)
    while index < 0 and start < n_steps:
        before, stop = (start, state.copy()), min(start + SEARCHED_STEPS, n_steps)
        index, start = overflows(run, state, start, stop), stop
    if index > 1 and run.closing != 0.0:
        # The kick that closes a step is merged with the first of the next. Does the state of the step before
        # overflow by the share of that step alone, if the run ends there with its closing kick?
        start, state = before
        if start < index - 1 and overflows(run._replace(n_steps=index - 1), state, start, index - 1) >= 0:
            index -= 1
    return TrajectoryOverflow(index, n_steps, float(recurrence.steps[member]))


def mark_overflowed(recurrence: Recurrence, there: NDArray[np.bool_], *results: Float) -> None:
    """Raise `TrajectoryOverflow` for a single run; in a batch make the results NaN there, and warn.

    `there` says which batch members overflowed: at least one.
    """
    first = first_overflow(recurrence, int(np.argmax(there)))
    if recurrence.shape == ():
        raise first
    for array in results:
        array[there] = np.nan
    warnings.warn(
        f"{np.count_nonzero(there)} of {there.size} batch members are NaN: {first}",
        RuntimeWarning,
        stacklevel=_level_of_caller(),
    )


def _level_of_caller() -> int:
    """Stack level of the first frame outside of ours, as `warnings.warn` counts it."""
    frame, level = sys._getframe(1), 1
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in _OURS:
        frame, level = frame.f_back, level + 1
    return level
