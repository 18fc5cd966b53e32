"""The Jacobians ∂s_{i+1}/∂s_i of the single steps of a run, many steps at a time.

The steps of a run are taken as a batch: each begins at the state that the run has there. A scheme may end a
step with a kick that is merged with the one that begins the next step. The states here are those with the
kick of their own node complete, at the input of the step that begins there, so that the product of the
matrices is ∂s_j/∂s_i for a run that begins at step i.
"""

from __future__ import annotations

from copy import copy
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from integrators.engine.blocks import Ticker
from integrators.engine.drivers import Block, Run
from integrators.engine.program import SPLITTING
from integrators.run.forward import forward
from integrators.run.recurrence import Recurrence
from sensitivity.analysis.neurons import condensed

__all__ = ["Stack", "StepJacobians"]

Float = NDArray[np.float64]
Counts = NDArray[np.int64]


class Stack(NamedTuple):
    """Matrices ``values · 2^exponents[..., None, :]``, an exponent for each column.

    Attributes
    ----------
    values : ndarray, shape (members, steps, groups, n, n)
        One group of n = D; of a cell whose neurons do not see one another a group for each neuron.
    exponents : ndarray of int, shape (members, steps, groups, n)
    """

    values: Float
    exponents: Counts


class StepJacobians:
    """The one-step Jacobians of a run, computed when they are asked for.

    Parameters
    ----------
    recurrence : Recurrence

    Attributes
    ----------
    states : ndarray, shape (members, N + 1, D)
    overflowed : ndarray of bool, shape (members,)
        Members whose trajectory left the range of float64; their Jacobians mean nothing.
    groups, size : int
        As in `Stack`: groups · size = D.
    """

    def __init__(self, recurrence: Recurrence) -> None:
        self._recurrence = recurrence
        m, D = recurrence.members, recurrence.state_size
        self.states = np.empty((m, recurrence.n_steps + 1, D))
        _, _, overflowed = forward(recurrence, keep=self._keep, nodes=True)
        self.states[:, 0] = recurrence.start
        self.overflowed = recurrence.check_overflow(overflowed)
        # Where the Jacobian is the same everywhere it does not matter that a state has left float64.
        lost = ~np.isfinite(self.states).all(axis=(1, 2))
        self.states[lost] = 0.0
        self._complete()
        self.groups = recurrence.system.d if recurrence.system.decoupled else 1
        self.size = D // self.groups
        self._unit = condensed(self.size, self.groups) if self.groups > 1 else np.eye(D)

    def _keep(self, members: slice, run: Run, tape: Float, states: Float, block: Block, _: Ticker) -> None:
        self.states[members, 1:] = states[1:].transpose(2, 0, 1)[: members.stop - members.start]

    def _complete(self) -> None:
        """Give the momentum at every node after the start the kick of that node that ends a step."""
        for start in range(0, self._recurrence.n_steps, 4096):
            stop = min(start + 4096, self._recurrence.n_steps)
            self._close(start, stop, self.states[:, start + 1 : stop + 1, :, None].copy(), of_state=True)

    def __call__(self, start: int, stop: int) -> Stack:
        """Those of the steps start … stop − 1."""
        recurrence, n, m = self._recurrence, stop - start, self._recurrence.members
        if n == 0 or m == 0:
            shape = m, n, self.groups, self.size
            return Stack(np.zeros((*shape, self.size)), np.zeros(shape, np.int64))
        if callable(recurrence.inputs):
            values, exponents = self._one_by_one(start, stop)
        else:
            steps = _as_batch(recurrence, self.states[:, start:stop], start, self._rows(start, stop))
            _, end, _ = forward(steps, self._unit, close=False)
            k = self._unit.shape[1]
            values = end.values.reshape(m, n, -1, k)
            exponents = end.exponents.reshape(m, n, k)
        self._close(start, stop, values)
        if self.groups > 1:
            values = np.moveaxis(values.reshape(m, n, self.size, self.groups, self.size), 2, 3)
            exponents = np.repeat(exponents[:, :, None], self.groups, axis=2)
            return Stack(np.ascontiguousarray(values), exponents)
        return Stack(values[:, :, None], exponents[:, :, None])

    def _rows(self, start: int, stop: int) -> Float:
        """Input rows of some steps, (n_inputs and clock rows, members, steps)."""
        inputs = self._recurrence.inputs[start:stop]
        rows = inputs.transpose(1, 2, 0)
        return np.broadcast_to(rows, (rows.shape[0], self._recurrence.members, rows.shape[2]))

    def _one_by_one(self, start: int, stop: int) -> tuple[Float, Counts]:
        """Of a field whose input is a function of time, which begins anew at every step."""
        recurrence, given = self._recurrence, self._recurrence.inputs
        m, n, (D, k) = recurrence.members, stop - start, self._unit.shape
        values, exponents = np.empty((m, n, D, k)), np.empty((m, n, k), np.int64)
        for member, alone in enumerate(recurrence.alone()):
            h = float(alone.steps[0])
            for i in range(start, stop):
                step = _as_batch(alone, self.states[member : member + 1, i : i + 1], i, None)
                step.inputs = lambda t, i=i, h=h: given(i * h + t)
                _, end, _ = forward(step, self._unit, close=False)
                values[member, i - start], exponents[member, i - start] = end.values[0], end.exponents[0]
        return values, exponents

    def _close(self, start: int, stop: int, values: Float, of_state: bool = False) -> None:
        """Add the kick that ends each step, to columns (members, steps, D, k) or to the states themselves."""
        recurrence = self._recurrence
        program = recurrence.program()
        if program.form != SPLITTING or program.closing == 0.0:
            return
        field, d, m = recurrence.system, recurrence.system.dim, recurrence.members
        nodes = np.arange(start + 1, stop + 1)
        n, k = nodes.size, values.shape[3]
        theta = recurrence.theta.astype(np.float64, copy=False)
        for member in range(m):
            h = float(recurrence.steps[member])
            y = self.states[member, nodes, :d].T.copy()
            weight = np.full(n, float(program.closing) * h)
            x = self._inputs_at(member, nodes, h)
            columns = np.ascontiguousarray(values[member].transpose(1, 2, 0))  # (D, k, n)
            dy, dp = columns[:d].copy(), columns[d:].copy()
            if of_state:
                p, none = dp[:, 0].copy(), np.zeros((d, 0, n))
                field.kick(theta, y, x, weight, p, none, none)
                self.states[member, nodes, d:] = p.T
            else:
                field.kick(theta, y, x, weight, np.zeros((d, n)), dy, dp)
                values[member, :, d:] = dp.reshape(d, k, n).transpose(2, 0, 1)

    def _inputs_at(self, member: int, nodes: NDArray[np.int64], h: float) -> Float:
        """The input that the kick at each node sees, (n_inputs, nodes)."""
        recurrence = self._recurrence
        given: Any = recurrence.inputs
        n_inputs = recurrence.system.n_inputs
        if n_inputs == 0:
            return np.zeros((0, nodes.size))
        if not isinstance(given, np.ndarray):
            samples = [np.asarray(given(i * h), dtype=np.float64).reshape(n_inputs) for i in nodes.tolist()]
            return np.ascontiguousarray(np.array(samples).T)
        rows = np.minimum(nodes, recurrence.n_steps - 1)
        return np.ascontiguousarray(given[rows, :, min(member, given.shape[2] - 1)].T)


def _as_batch(recurrence: Recurrence, states: Float, start: int, rows: Float | None) -> Recurrence:
    """Steps from `states` (members, n, D) as a batch of members · n runs of one step."""
    m, n, D = states.shape
    part = copy(recurrence)
    part.n_steps, part.shape, part.members, part.progress = 1, (m * n,), m * n, False
    part.steps = np.repeat(recurrence.steps, n)
    part.start = np.ascontiguousarray(states).reshape(m * n, D)
    if rows is not None:
        part.inputs = np.ascontiguousarray(rows.reshape(1, len(rows), m * n))
    return part
