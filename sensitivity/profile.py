"""The gradient profile: how much every earlier state, or every input, still moves the last state."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.blocks import POOL_SECONDS, Ticker, default_threads, run_blocks
from integrators.checkpoint import (
    MEMORY_BYTES,
    Layout,
    backwards,
    block_run,
    cotangent_columns,
    initial_lanes,
    segment,
)
from integrators.fields import Field
from integrators.flow import Run
from integrators.neural import NeuralField
from integrators.problem import Inputs, Problem
from integrators.schedule import Schedule
from integrators.schemes import Scheme, get_scheme
from integrators.sweeps import neural_pull_keeping, retreat_keeping_kicks, retreat_keeping_nodes
from integrators.validation import as_count, as_vector

from .batched import lengths, spectral_norms
from .bounds import Bound, applicable, log_majorant

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["GradientProfile", "gradient_profile"]

Float = NDArray[np.float64]
Of = Literal["state", "inputs"]

# What is kept between two calls of the driver: enough nodes for a batch of singular values.
KEPT_BYTES = 1 << 24


@dataclass(frozen=True, repr=False)
class GradientProfile:
    """‖∂y_N/∂y_i‖₂ for all i, or what `gradient_profile` was asked for instead.

    Attributes
    ----------
    norms : ndarray, shape (*step.shape, n)
        One for every entry of `index`; inf or 0 where it leaves float64.
    log_norms : ndarray, same shape
        Natural logarithms, which neither overflow nor underflow; −inf for zero.
    index : ndarray of int, shape (n,)
        i = 0 … N for states, 1 … N for inputs.
    step : ndarray
        ε.
    quantity : str
        What the norms are of.
    bound : Bound or None
        The theorem that bounds the norm at i = 0; with N − i steps it bounds the norm at i.
    """

    norms: Float
    log_norms: Float
    index: NDArray[np.int64]
    step: Float
    n_steps: int
    quantity: str
    field: Field
    scheme: Scheme
    bound: Bound | None
    size: float = 1.0

    def log_bounds(self, index: ArrayLike | None = None) -> Float:
        """Natural logarithm of the bound at the given i (all by default), shape (*step.shape, n).

        The majorant of N − i steps times the length of the cotangent, if there is one; about 0.15 ms each.

        Raises
        ------
        ValueError
            If no theorem bounds this profile.
        """
        if self.bound is None:
            raise ValueError(f"no theorem bounds {self.quantity} of this field.")
        chosen = self.index if index is None else np.atleast_1d(np.asarray(index, dtype=np.int64))
        with np.errstate(divide="ignore"):
            scale = np.log(self.size)
        rows = [log_majorant(self.field, self.scheme, self.step, self.n_steps - int(i)) for i in chosen]
        return np.stack(rows, axis=-1) + scale

    def __array__(self, dtype=None, copy=None) -> NDArray:
        return np.array(self.norms, dtype=dtype, copy=copy)

    def plot(self) -> Figure:
        """Norms and bound against i, on a logarithmic scale."""
        from .profile_figure import plot_profile

        return plot_profile(self)

    def __repr__(self) -> str:
        first = self.index[0] if self.index.size else 0
        return f"<GradientProfile {self.quantity}, {self.scheme.name}, N = {self.n_steps}: {self._numbers(first)}>"

    def _numbers(self, first: int) -> str:
        if not self.norms.size:
            return "no values"
        if self.step.ndim:
            return f"{self.step.size} step sizes × {self.index.size} values"
        logs = self.log_norms
        text = f"{_power(logs[0])} at i = {first}, {_power(logs[-1])} at i = {self.n_steps}"
        peak = int(np.argmax(logs))
        if logs[peak] > max(logs[0], logs[-1]):
            text += f", largest {_power(logs[peak])} at i = {self.index[peak]}"
        if self.bound is None:
            return text
        limit = _power(float(self.log_bounds([0])[0]))
        return f"{text}; theorem {self.bound.theorem}: at most {limit} at i = 0"


def gradient_profile(
    field: Field,
    scheme: str | Scheme,
    step: ArrayLike,
    n_steps: int,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
    inputs: Inputs = None,
    *,
    cotangent: ArrayLike | None = None,
    of: Of = "state",
    memory_bytes: int = MEMORY_BYTES,
    threads: int | None = None,
    progress: bool | None = None,
) -> GradientProfile:
    """‖∂y_N/∂y_i‖₂ for i = 0 … N, at fixed p_i: the picture people draw of vanishing gradients.

    Parameters not listed and errors are those of `jacobian`.

    Parameters
    ----------
    cotangent : array_like, shape (d,), optional
        ∂C/∂y_N of a loss C. Then the profile is ‖∂C/∂y_i‖, from a backward sweep of one column instead
        of d columns.
    of : {"state", "inputs"}
        "inputs": ‖∂y_N/∂x_i‖₂ (or ‖∂C/∂x_i‖), i = 1 … N, where x_i is row i − 1 of `inputs`. For a
        `NeuralField` with input weights V.
    memory_bytes : int
        For trajectories; longer ones are run twice, a segment at a time (see `integrators.checkpoint`).

    Returns
    -------
    GradientProfile

    Raises
    ------
    ValueError
        Also for ``of="inputs"`` where the field has no input weights or `inputs` is a function of time.
    TrajectoryOverflow
        If the trajectory itself leaves float64 (a lane of several becomes NaN, with a warning).

    Notes
    -----
    With J_i = ∂y_N/∂(y_i, p_i) the row blocks obey J_{i} = J_{i+1} ∂(y_{i+1}, p_{i+1})/∂(y_i, p_i), so that
    one backward sweep of the columns J_iᵀ passes all of them. J_i equals `jacobian` of the remaining N − i
    steps started at (y_i, p_i) of `integrate`, hence theorems B, D and E bound it with N − i in place of N.
    Cost: one forward sweep of the state, one backward sweep of d columns, N + 1 spectral norms.
    """
    problem = Problem(field, scheme, step, n_steps, y0, p0, inputs)
    if of not in ("state", "inputs"):
        raise ValueError(f"of={of!r} is not known; use 'state' or 'inputs'.")
    if of == "inputs":
        _check_inputs(field, problem)
    d = field.dim
    columns = np.eye(d) if cotangent is None else as_vector(cotangent, "cotangent", d)[:, None]
    sweep = _Sweep(problem, columns, of == "inputs", memory_bytes, threads, progress)
    sweep.run()
    _mark_lost(problem, sweep)
    with np.errstate(over="ignore", under="ignore"):
        norms = np.ldexp(sweep.mantissa, sweep.exponent)
    with np.errstate(divide="ignore"):
        log_norms = np.log(sweep.mantissa) + math.log(2.0) * sweep.exponent
    index = np.arange(1 if of == "inputs" else 0, problem.n_steps + 1)
    shape = (*problem.shape, index.size)
    below = "x_i" if of == "inputs" else "y_i"
    return GradientProfile(
        norms.reshape(shape),
        log_norms.reshape(shape),
        index,
        problem.steps.reshape(problem.shape),
        problem.n_steps,
        f"‖∂y_N/∂{below}‖" if cotangent is None else f"‖∂C/∂{below}‖",
        field,
        problem.scheme,
        None if of == "inputs" else _bound(problem),
        1.0 if cotangent is None else float(np.linalg.norm(columns)),
    )


class _Sweep:
    """One forward and one backward sweep of all lanes, with the norm at every index on the way."""

    def __init__(
        self,
        problem: Problem,
        columns: Float,
        of_inputs: bool,
        memory_bytes: int,
        threads: int | None,
        progress: bool | None,
    ) -> None:
        self.problem, self._columns, self._of_inputs = problem, columns, of_inputs
        self._threads = default_threads() if threads is None else as_count(threads, "threads", least=1)
        self._memory = as_count(memory_bytes, "memory_bytes", least=1)
        self._progress = progress
        m, n = problem.n_lanes, problem.n_steps + (0 if of_inputs else 1)
        self.mantissa, self.exponent = np.empty((m, n)), np.zeros((m, n), np.int64)
        self.lost = np.full(m, -1, np.int64)
        # ∂y_N does without the last half kick.
        self._schedule = Schedule.of(problem.scheme, problem.n_steps, close=False)

    def run(self) -> None:
        problem, k = self.problem, self._columns.shape[1]
        m, n_steps = problem.n_lanes, problem.n_steps
        seconds = problem.seconds(k) * max(1, self._schedule.kicks_per_step) * m * n_steps
        threads = 1 if seconds < POOL_SECONDS else self._threads
        widest = problem.block_shape(k, threads)[0]
        probe = problem.run(np.arange(min(1, m)), self._schedule)
        self._layout = Layout.of(problem, probe, widest, threads, self._memory)
        run_blocks(
            m,
            self._layout.width,
            self._block,
            total=self._layout.sweeps * m * n_steps,
            seconds=seconds,
            label="gradient profile",
            threads=threads,
            progress=self._progress,
        )

    def _block(self, block: slice, ticker: Ticker) -> None:
        problem, field = self.problem, self.problem.field
        run = block_run(problem, block, self._schedule, self._layout.width)
        n = run.step.size
        lam_y = cotangent_columns(problem, self._columns, n)
        lam = (lam_y, np.zeros_like(lam_y), np.zeros(n, np.int64))
        lanes = initial_lanes(problem, n)
        pull = self._pull_inputs if self._of_inputs else self._pull_states
        if not self._of_inputs:
            self._store(block, problem.n_steps, lam_y[None], lam[2][None])
        carry = None
        for start, stop, stations in backwards(problem, run, lanes, self._layout.length, ticker):
            part = segment(run, start, stop)
            first = part.start * run.kicks_per_step
            last = min(part.stop * run.kicks_per_step + 1, stations.shape[0])
            if field.condense is not None:
                ticker.in_chunks(
            ...
