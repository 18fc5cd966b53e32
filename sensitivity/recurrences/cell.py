"""Recurrent cells and fields unrolled over a sequence."""

from __future__ import annotations

from numpy.typing import ArrayLike

from integrators.cells.cell import Cell
from integrators.fields.field import Field
from integrators.run.inputs import Inputs
from integrators.run.recurrence import Recurrence
from integrators.schemes.table import Scheme
from integrators.validation import as_array, as_count

from .states import as_state

__all__ = ["unroll"]


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
) -> Recurrence:
    """Unroll a cell, or a field under a scheme, over N steps. The result is a recurrence.

    Functions that take a field, a scheme, a step size and a length, such as `jacobian`, take a recurrence in
    their place.

    Parameters
    ----------
    model : Cell or Field
    n_steps : int, optional
        N; by default the length of `inputs`.
    s0 : array_like, shape (D,) or, for cells, (*batch, D), optional
        Initial state; zero by default. The state of a field is (y, p) under a second-order scheme and y under
        a first-order one. For a cell, PyTorch's form is accepted, too: (h_0, c_0) for an LSTM, h_0 for
        others, each of shape (layers, *batch, d).
    inputs : array_like, shape (N, n_inputs) or, for cells, (*batch, N, n_inputs), optional
        Row i is x_{i+1}; zero by default. For a field also a function t → x(t). The order of the axes is that
        of PyTorch with ``batch_first=True``; without it, give ``x.transpose(0, 1)``.
    step : array_like, optional
        Step sizes ε > 0, of any shape, which leads the shape of every result. A field needs it. A cell that
        has a step size has a default.
    scheme : str or Scheme
        For a field: a name of `SCHEMES`, such as "leapfrog".
    threads : int, optional
        Number of worker threads. Results have the same bits for any number.
    progress : bool, optional
        Whether to show a progress bar; by default it appears on a terminal after two seconds.

    Returns
    -------
    Recurrence

    Raises
    ------
    TypeError
        If `model` is neither a cell nor a field, or if a field comes without `scheme`, `step` or `n_steps`.
    ValueError
        If a shape or a name does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> import leapgrad as lg
    >>> gru = lg.unroll(lg.cell("gru", 8, 3), inputs=np.zeros((16, 20, 3)))
    >>> lg.jacobian_norm(gru).shape
    (16,)
    >>> field = lg.unroll(lg.NeuralField.random(5), scheme="leapfrog", step=0.1, n_steps=10)
    >>> field.run().shape
    (10,)
    """
    options = {"threads": threads, "progress": progress}
    if isinstance(model, Cell):
        if scheme is not None:
            raise TypeError(f"scheme = {scheme!r} belongs to fields; {model!r} is a cell: leave scheme out.")
        n = _length(n_steps, inputs)
        return Recurrence(model, n, step=step, s0=as_state(model, s0), inputs=inputs, **options)
    if not isinstance(model, Field):
        if hasattr(model, "state_dict"):
            raise TypeError(
                f"model must be a cell or a field, got the module {type(model).__name__}; from_torch(module) "
                "makes a cell of it."
            )
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
    n = _length(n_steps, inputs)
    return Recurrence(model, n, scheme=scheme, step=step, s0=s0, inputs=inputs, **options)


def _length(n_steps: int | None, inputs: Inputs) -> int:
    """N, told by the inputs where it is left out."""
    if n_steps is None:
        if inputs is None or callable(inputs):
            raise TypeError("n_steps is needed where there are no rows of inputs to tell the length.")
        given = as_array(inputs, "inputs", tuple(range(33)))
        n_steps = given.shape[max(given.ndim - 2, 0)] if given.ndim else 0
    return as_count(n_steps, "n_steps")
