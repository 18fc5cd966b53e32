"""`integrate`: the trajectory of a field under a scheme."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.engine.blocks import Ticker
from integrators.engine.drivers import Block, Run
from integrators.engine.program import FIRST_ORDER, SPLITTING
from integrators.fields.field import Field
from integrators.schemes.table import Scheme
from integrators.validation import as_vector
from integrators.values import ByValue

from .forward import forward
from .inputs import Inputs
from .overflow import first_overflow
from .recurrence import OdeRecurrence, Recurrence

__all__ = ["Trajectory", "integrate"]

Float = NDArray[np.float64]
# Nodes whose velocity is completed in one kick.
NODES_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class Trajectory(ByValue):
    """States y_0 … y_N of a recurrence and their velocities.

    Attributes
    ----------
    y : ndarray, shape (*step.shape, n_steps + 1, d)
    p : ndarray, same shape
        p_i = ẏ_i for second-order systems; F(y_i, x_{i+1}) for first-order ones, whose state is y alone.
    step : ndarray
        ε.
    scheme : str

    Examples
    --------
    >>> import leapgrad as lg
    >>> run = lg.integrate(lg.pendulum(), "leapfrog", [1.0], [0.0], step=0.5, n_steps=4)
    >>> run
    Trajectory(leapfrog, 4 steps, d=1)
    >>> run.t
    array([0. , 0.5, 1. , 1.5, 2. ])
    >>> run.y[:, 0].round(4)
    array([ 1.    ,  0.8948,  0.5946,  0.1544, -0.3243])
    """

    y: Float
    p: Float
    step: Float
    scheme: str

    @property
    def t(self) -> Float:
        """Times i ε, shape (*step.shape, n_steps + 1)."""
        return self.step[..., None] * np.arange(self.y.shape[-2])

    def __repr__(self) -> str:
        return f"Trajectory({self.scheme}, {self.y.shape[-2] - 1} steps, d={self.y.shape[-1]})"


def integrate(
    field: Field,
    scheme: str | Scheme,
    y0: ArrayLike | None,
    p0: ArrayLike | None,
    step: ArrayLike,
    n_steps: int,
    inputs: Inputs = None,
    *,
    threads: int | None = None,
    progress: bool | None = None,
) -> Trajectory:
    """Iterate a scheme n_steps times and keep every state.

    Parameters
    ----------
    field : Field
        F of ÿ = F(y, x), or of ẏ = F(y, x) for the scheme "euler".
    scheme : str or Scheme
        A name of `SCHEMES` or a record of your own.
    y0, p0 : array_like, shape (d,), or None for zeros
        Initial value and velocity ẏ(0). First-order schemes do not use p0.
    step : float or array_like
        ε > 0; the shape of an array leads the shape of the result.
    n_steps : int
        N ≥ 0.
    inputs : array_like, shape (n_steps, n_inputs), or callable t → (n_inputs,), optional
        Row i is x_{i+1}, used by the force that produces y_{i+1}. With inputs, leapfrog's y_i are those of
        recursion (13) of Rusch, Pearson, Zygalakis (2019), and p_N closes its last half kick with the last
        input. None means x = 0.
    threads : int, optional
        Worker threads; the result does not depend on it.
    progress : bool, optional
        Force or forbid the progress bar; by default it shows on a terminal after two seconds.

    Returns
    -------
    Trajectory

    Raises
    ------
    ValueError, TypeError
        For an argument that makes no sense; the message names it.
    TrajectoryOverflow
        If the state leaves the range of float64; it holds the step at which it did.

    Notes
    -----
    For leapfrog, y_{i+1} = 2 y_i − y_{i−1} + ε² F(y_i, x_{i+1}) with y_1 = y_0 + ε p_0 + (ε²/2) F(y_0, x_1),
    recursion (11), run in kick–drift–kick form: the two-step form loses ε⁻² digits to round-off.

    Examples
    --------
    >>> import numpy as np
    >>> import leapgrad as lg
    >>> field = lg.NeuralField.random(10, rng=0)
    >>> run = lg.integrate(field, "leapfrog", None, None, step=[0.1, 0.2], n_steps=100)
    >>> run.y.shape, run.t[:, -1].round(6)
    ((2, 101, 10), array([10., 20.]))
    """
    recurrence = OdeRecurrence(
        field, scheme, step, n_steps, y0, p0, inputs, threads=threads, progress=progress
    )
    d, m, nodes = field.dim, recurrence.members, recurrence.n_steps + 1
    try:
        y, p = np.empty((m, nodes, d)), np.empty((m, nodes, d))
    except (MemoryError, ValueError):
        raise MemoryError(
            f"n_steps = {recurrence.n_steps} asks for {16 * m * nodes * d / 2**30:.3g} GiB of states, which "
            "this machine does not have; take fewer steps or fewer step sizes at once."
        ) from None
    y[:, 0] = recurrence.start[:, :d]
    p[:, 0] = as_vector(p0, "p0", d)

    def keep(members: slice, run: Run, tape: Float, states: Float, block: Block, _: Ticker) -> None:
        real = members.stop - members.start
        y[members, 1:] = states[1:, :d].transpose(2, 0, 1)[:real]
        p[members, 1:] = states[1:, d:].transpose(2, 0, 1)[:real] if states.shape[1] > d else 0.0
        for q, member in enumerate(range(m)[members]):
            _complete_velocities(recurrence, run, y[member], p[member], float(run.step[q]), q)
        if run.form == SPLITTING:
            p[members, -1] = block.state[d:].T[:real]

    _, _, overflowed = forward(recurrence, keep=keep, nodes=True)
    if (overflowed >= 0).any():
        raise first_overflow(recurrence, int(np.argmax(overflowed >= 0)))
    return Trajectory(
        y.reshape(*recurrence.shape, nodes, d),
        p.reshape(*recurrence.shape, nodes, d),
        recurrence.steps.reshape(recurrence.shape),
        recurrence.scheme.name,
    )


def _complete_velocities(recurrence: Recurrence, run: Run, y: Float, p: Float, h: float, column: int) -> None:
    """Give every p_i the share of the kick at its own node: all of F(y_i) where the state is y alone."""
    field, operations = recurrence.system, len(run.body)
    if run.form == FIRST_ORDER:
        first, weight = 0, 1.0
        p[:] = 0.0
    elif run.form == SPLITTING and run.closing != 0.0:
        first, weight = 1, run.closing * h
    else:
        return
    d, m_inputs = field.dim, run.inputs.shape[2]
    for start in range(first, y.shape[0], NODES_AT_ONCE):
        nodes = np.arange(start, min(start + NODES_AT_ONCE, y.shape[0]))
        x = np.zeros((field.n_inputs, nodes.size))
        if run.rows.size:
            rows = run.rows[np.minimum(nodes * operations, run.rows.size - 1)]
            x = np.ascontiguousarray(run.inputs[rows, :, min(column, m_inputs - 1)].T)
        none = np.zeros((d, 0, nodes.size))
        velocities = p[nodes].T.copy()
        field.kick(field.packed, y[nodes].T.copy(), x, np.full(nodes.size, weight), velocities, none, none)
        p[nodes] = velocities.T
