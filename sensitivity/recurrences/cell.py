"""Recurrent cells unrolled over a sequence, as recurrences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.cells.cell import Cell
from integrators.codegen.threads import thread_count
from integrators.fields.field import Field
from integrators.run.backpropagation import Gradients, backpropagate, trajectory
from integrators.run.cell_problem import CellProblem
from integrators.run.problem import Inputs
from integrators.run.reversed import ReversedSweep
from integrators.schemes.table import Scheme, get_scheme
from integrators.validation import as_array, as_count

from .ode import OdeRecurrence
from .states import as_state

__all__ = ["CellRecurrence", "unroll"]

Float = NDArray[np.float64]


class CellRecurrence(OdeRecurrence):
    """s_{i+1} = Φ(s_i, x_{i+1}) for i = 0 … N − 1: a cell unrolled over a sequence, with a batch of lanes.

    Parameters
    ----------
    cell, n_steps, s0, inputs, step
        As for `integrators.run.cell_problem.CellProblem`; made by ``unroll(cell, n_steps, …)``.
    threads, progress
        As for `OdeRecurrence`.
    """

    problem: CellProblem

    def __init__(
        self,
        cell: Cell,
        n_steps: int,
        s0: ArrayLike | None = None,
        inputs: ArrayLike | None = None,
        step: ArrayLike | None = None,
        *,
        threads: int | None = None,
        progress: bool | None = None,
    ) -> None:
        self.problem = CellProblem(cell, n_steps, s0, inputs, step)
        self.threads, self.progress = None if threads is None else thread_count(threads), progress

    @property
    def cell(self) -> Cell:
        return self.problem.cell

    @property
    def blocks(self) -> Mapping[str, slice]:
        return self.cell.blocks

    @property
    def default_block(self) -> str:
        return self.cell.default_block

    def drive(self) -> Float:
        """The inputs, shape (lanes or 1, N, n_inputs)."""
        return self.problem.drive.transpose(2, 0, 1)[:, :, : self.cell.n_inputs]

    def piece(self, s0: ArrayLike, start: int, stop: int) -> CellRecurrence:
        """Steps [start, stop) from other initial states, (*lanes, D)."""
        drive = self.drive()[:, start:stop]
        own = drive.reshape(*self.shape, *drive.shape[1:]) if len(drive) == self.problem.n_lanes else drive[0]
        return CellRecurrence(
            self.cell,
            stop - start,
            s0,
            own if self.cell.n_inputs else None,
            self.step if self.cell.kind.step is not None else None,
            threads=self.threads,
            progress=self.progress,
        )

    def states(self) -> Float:
        """s_0 … s_N, shape (*lanes, N + 1, D)."""
        kept = trajectory(self.problem, threads=self.threads, progress=self.progress)
        return kept.transpose(2, 0, 1).reshape(*self.shape, *kept.shape[:2])

    def backpropagate(self, cotangents: ArrayLike, *, inputs: bool = False) -> Gradients:
        """Gradients of a scalar loss C of the states, by one sweep back: for training.

        Parameters
        ----------
        cotangents : array_like, shape (*lanes, N + 1, D) or (*lanes, D)
            ∂C/∂s_i, i = 0 … N, of every lane; or ∂C/∂s_N of a loss of the last state alone.
        inputs : bool
            Also the gradients by the inputs.

        Returns
        -------
        Gradients
            theta (F,), by the free parameters of the cell (`Cell.free`; θ itself where it has no structure),
            summed over the lanes; s0 (*lanes, D); inputs (*lanes, N, n_inputs). The same bits for every
            number of threads. Constants and fixed parameters have entries too, all zero.
        """
        given = as_array(cotangents, "cotangents", (len(self.shape) + 1, len(self.shape) + 2))
        whole = (*self.shape, self.n_steps + 1, self.cell.dim)
        if given.shape not in (whole, (*self.shape, self.cell.dim)):
            raise ValueError(
                f"cotangents has shape {given.shape}; this run asks for {whole}, or for "
                f"{(*self.shape, self.cell.dim)} of the last state."
            )
        flat = given.reshape(self.problem.n_lanes, *given.shape[len(self.shape) :])
        found = backpropagate(
            self.problem,
            np.moveaxis(flat, 0, -1),
            inputs=inputs,
            threads=self.threads,
            progress=self.progress,
        )
        s0, by_input = (part.reshape(*self.shape, *part.shape[1:]) for part in (found.s0, found.inputs))
        return Gradients(self.cell.gradient_by_free(found.theta), s0, by_input)

    def parameter_gradient(self, cotangent: ArrayLike) -> Float:
        """∂⟨λ, s_N⟩/∂(free) for one cotangent λ of shape (D,), packed as ``cell.free``: (*lanes, F)."""
        return self.cell.gradient_by_free(super().parameter_gradient(cotangent))

    def reversed_pullback(
        self, cotangents: ArrayLike, *, gradient: bool = False, compare: bool = True
    ) -> ReversedSweep:
        """As `OdeRecurrence.reversed_pullback`; its gradient is by ``cell.free``."""
        found = super().reversed_pullback(cotangents, gradient=gradient, compare=compare)
        return replace(found, gradient=self.cell.gradient_by_free(found.gradient)) if gradient else found

    def __repr__(self) -> str:
        return f"CellRecurrence({self.cell!r}, n_steps={self.problem.n_steps}, lanes={self.shape})"


@overload
def unroll(
    model: Cell,
    n_steps: int | None = None,
    s0: ArrayLike | None = None,
    inputs: ArrayLike | None = None,
    step: ArrayLike | None = None,
    *,
    threads: int | None = None,
    progress: bool | None = None,
) -> CellRecurrence: ...
@overload
def unroll(
    model: Field,
    n_steps: int | None = None,
    s0: ArrayLike | None = None,
    inputs: Inputs = None,
    step: ArrayLike | None = None,
    *,
    scheme: str | Scheme,
    threads: int | None = None,
    progress: bool | None = None,
) -> OdeRecurrence: ...


def unroll(
    model: Cell | Field,
    n_steps: int | None = None,
    s0: ArrayLike | None = None,
    inputs: Inputs = None,
    step: ArrayLike | None = None,
    *,
    scheme: str | Scheme | None = None,
    threads: int | None = None,
    progress: bool | None = None,
) -> OdeRecurrence:
    """A cell, or a field under a scheme, unrolled over N steps: a recurrence.

    Every function of `sensitivity` that takes a field, a scheme, a step size and a length takes the result in
    their place.

    Parameters
    ----------
    model : Cell or Field
    n_steps : int, optional
        N; the length of `inputs` where they are given.
    s0 : array_like, shape (D,) or, for cells, (*batch, D), optional
        The initial state; zero by default. The state of a field is (y, p) under a second-order scheme and y
        under a first-order one. That of a cell may also be given in PyTorch's form, as (h_0, c_0) for an LSTM
        or h_0 for others, each of shape (layers, *batch, d); see `sensitivity.recurrences.states`.
    inputs : array_like, shape (N, n_inputs) or, for cells, (*batch, N, n_inputs), optional
        Row i is x_{i+1}; zero by default. For fields also a function t → x(t).
    step : array_like, optional
        Step sizes ε > 0, of any shape; that shape leads the shape of every result. Fields need it; cells that
        have a step size have a default.
    scheme : str or Scheme
        For fields: a name of `SCHEMES`, such as "leapfrog".
    threads : int, optional
        Worker threads; no result depends on it.
    progress : bool, optional
        Force or forbid the progress bar.

    Returns
    -------
    CellRecurrence or OdeRecurrence

    Raises
    ------
    TypeError
        If `model` is neither a cell nor a field, or if a field comes without `scheme`, `step` or `n_steps`.
    ValueError
        If a shape or a name does not fit.

    Examples
    --------
    >>> from sensitivity import cell, jacobian_norm, unroll
    >>> jacobian_norm(unroll(cell("gru", 8, 3), inputs=np.zeros((16, 20, 3)))).shape
    (16,)
    >>> from integrators import NeuralField
    >>> unroll(NeuralField.random(5), scheme="leapfrog", step=0.1, n_steps=10).run().shape
    (10,)
    """
    options = {"threads": threads, "progress": progress}
    if isinstance(model, Cell):
        if scheme is not None:
            raise TypeError(f"scheme = {scheme!r} belongs to fields; {model!r} is a cell: leave scheme out.")
        n = _length(n_steps, inputs)
        return CellRecurrence(
            model, n, as_state(model, s0), cast("ArrayLike | None", inputs), step, **options
        )
    if not isinstance(model, Field):
        raise TypeError(
            f"model must be a cell or a field, got {type(model).__name__}; cell(name, d, n_inputs) makes the "
            "first, NeuralField(W, b) the second."
        )
    if scheme is None or step is None:
        missing = "scheme" if scheme is None else "step"
        raise TypeError(
            f"{missing} is missing: a field becomes a recurrence by a scheme and a step size, as in "
            'unroll(field, scheme="leapfrog", step=0.1, n_steps=100).'
        )
    y0, p0 = _position_and_velocity(model, get_scheme(scheme), s0)
    return OdeRecurrence(model, scheme, step, _length(n_steps, inputs), y0, p0, inputs, **options)


def _length(n_steps: int | None, inputs: Inputs) -> int:
    """N, told by the inputs where it is left out."""
    if n_steps is None:
        if inputs is None or callable(inputs):
            raise TypeError("n_steps is needed where there are no rows of inputs to tell the length.")
        given = as_array(inputs, "inputs", tuple(range(33)))
        n_steps = given.shape[max(given.ndim - 2, 0)] if given.ndim else 0
    return as_count(n_steps, "n_steps")


def _position_and_velocity(
    field: Field, scheme: Scheme, s0: ArrayLike | None
) -> tuple[Float | None, Float | None]:
    """The two halves of a state (y, p), or y alone under a first-order scheme."""
    if s0 is None:
        return None, None
    size = field.dim if scheme.form == "first_order" else 2 * field.dim
    state = as_array(s0, "s0", 1)
    if state.size != size:
        of = "y" if size == field.dim else "(y, p)"
        raise ValueError(f"s0 has {state.size} entries; the state {of} of this recurrence has {size}.")
    return state[: field.dim], state[field.dim :] if size > field.dim else None
