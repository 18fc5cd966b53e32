"""The gradient profile: how much every earlier state, or every input, still moves the last state."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.cells.cell import Cell
from integrators.engine.column_scale import Scaled, from_scaled, log_scaled
from integrators.fields.field import Field
from integrators.run.checkpoint import MEMORY_BYTES
from integrators.run.inputs import Inputs
from integrators.run.recurrence import Recurrence, as_recurrence
from integrators.run.sweeps import Handed, input_cotangents, node_cotangents
from integrators.schemes.table import Scheme
from integrators.validation import as_vector
from integrators.values import ByValue
from sensitivity.bounds import Bound, applicable, log_upper_bound
from sensitivity.bounds.rounding import EPS, log_upward
from sensitivity.figures.drawn import Drawn
from sensitivity.recurrences.powers import power_cotangents, powers_pay
from sensitivity.text import from_log

from .neurons import condensed, neuron_norms
from .norms import spectral_norms
from .singular import block_of

__all__ = ["GradientProfile", "gradient_profile"]

Float = NDArray[np.float64]
Of = Literal["state", "inputs"]


@dataclass(frozen=True, repr=False, eq=False)
class GradientProfile(ByValue, Drawn):
    """The result of `gradient_profile`: ‖∂y_N/∂y_i‖₂ for all i, or the norms of another quantity.

    Attributes
    ----------
    norms : ndarray, shape (*step.shape, n)
        One norm for each entry of `index`; inf or 0 where float64 cannot hold it.
    log_norms : ndarray, same shape
        Natural logarithms, which neither overflow nor underflow; −inf for zero.
    index : ndarray of int, shape (n,)
        i = 0 … N for states, 1 … N for inputs.
    step : ndarray
        ε.
    n_steps : int
        N.
    quantity : str
        What the norms are of.
    field : Field or Cell
    scheme : Scheme or None
        None for a cell.
    bound : Bound or None
        The theorem that holds at i = 0, hence, with N − i steps in place of N, at every i.
    factor : float
        What the theorem is multiplied by: the length of the cotangent, or 1.

    Examples
    --------
    >>> import leapgrad as lg
    >>> profile = lg.gradient_profile(lg.NeuralField.random(4), "leapfrog", 0.1, 50, at=[0, 25, 50])
    >>> profile.index, profile.norms.round(4)
    (array([ 0, 25, 50]), array([12.4463,  2.0181,  1.    ]))
    >>> bool((profile.log_norms <= profile.log_bounds()).all())
    True
    """

    norms: Float
    log_norms: Float
    index: NDArray[np.int64]
    step: Float
    n_steps: int
    quantity: str
    field: Field | Cell
    scheme: Scheme | None
    bound: Bound | None
    factor: float

    def log_bounds(self, index: ArrayLike | None = None) -> Float:
        """Natural logarithm of the bound at the given i, all by default: shape (*step.shape, n).

        Theorem E with N − i steps, which is B for leapfrog and D for Euler. Each i takes about 0.15 ms.

        Raises
        ------
        ValueError
            If no theorem bounds this profile, or `index` holds anything but whole numbers from 0 to N.
        """
        if self.bound is None or self.scheme is None or isinstance(self.field, Cell):
            raise ValueError(f"no theorem bounds {self.quantity} here.")
        chosen = self.index if index is None else _whole_numbers(index, "index", 0, self.n_steps)
        rows = [log_upper_bound(self.field, self.scheme, self.step, self.n_steps - int(i)) for i in chosen]
        with np.errstate(divide="ignore"):
            factor = np.log(self.factor)
        shape = (*self.step.shape, 0)
        found = np.stack(rows, axis=-1) if rows else np.zeros(shape)
        return found + (0.0 if self.factor == 1.0 else log_upward(factor, 4.0 * EPS))

    def __array__(self, dtype=None, copy=None) -> NDArray:
        return np.array(self.norms, dtype=dtype, copy=copy)

    @property
    def model(self) -> str:
        """Name of the scheme, or of the cell."""
        return self.field.name if self.scheme is None else self.scheme.name

    @property
    def setting(self) -> str:
        """The model, its dimension and the length of the run."""
        return f"{self.model}, d = {getattr(self.field, 'd', self.field.dim)}, N = {self.n_steps}"

    def __repr__(self) -> str:
        return f"<GradientProfile {self.quantity}, {self.model}, N = {self.n_steps}: {self._summary()}>"

    def _summary(self) -> str:
        logs = self.log_norms
        if logs.size == 0:
            return "no values"
        if self.step.ndim:
            low, high = from_log(np.nanmin(logs)), from_log(np.nanmax(logs))
            alike = np.unique(self.step).size < self.step.size
            text = f"{self.step.size} {'batch members' if alike else 'step sizes'}, from {low} to {high}"
        else:
            first, peak = self.index[0], int(np.argmax(logs))
            text = f"{from_log(logs[0])} at i = {first}, {from_log(logs[-1])} at i = {self.n_steps}"
            if logs[peak] > max(logs[0], logs[-1]):
                text += f", largest {from_log(logs[peak])} at i = {self.index[peak]}"
        if self.bound is None:
            return text
        limit = from_log(self.log_bounds([0]).max())
        return f"{text}; theorem {self.bound.theorem}: at most {limit} at i = 0"


def gradient_profile(
    field: Field | Recurrence,
    scheme: str | Scheme | None = None,
    step: ArrayLike | None = None,
    n_steps: int | None = None,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
    inputs: Inputs = None,
    *,
    cotangent: ArrayLike | None = None,
    of: Of = "state",
    block: str | None = None,
    at: ArrayLike | None = None,
    memory_bytes: int = MEMORY_BYTES,
    threads: int | None = None,
    progress: bool | None = None,
) -> GradientProfile:
    """The norms ‖∂y_N/∂y_i‖₂ for i = 0, …, N: how strongly each earlier state acts on the last one.

    Parameters not listed and errors are those of `jacobian`.

    Parameters
    ----------
    cotangent : array_like, shape (d,), optional
        The gradient ∂C/∂y_N of a loss C. The norms are then ‖∂C/∂y_i‖₂, from a backward sweep of one column
        instead of d columns.
    of : {"state", "inputs"}
        With "inputs" the norms are ‖∂y_N/∂x_i‖₂ (or ‖∂C/∂x_i‖₂) for i = 1, …, N, where x_i is row i − 1 of
        `inputs`. The field must have input weights V.
    block : str, optional
        Which block of the states of a recurrence, "state" for the whole; y for a field.
    at : array_like of int, optional
        Which i, in ascending order; all by default. The sweeps are the same, but fewer norms are computed,
        which for large matrices take longer than the sweeps.
    memory_bytes : int
        Memory for the trajectory. A longer trajectory is computed twice, one segment at a time.

    Returns
    -------
    GradientProfile

    Raises
    ------
    ValueError
        Also for ``of="inputs"`` if the field has no input weights, or if `inputs` is a function of time.

    Notes
    -----
    One forward sweep of the state and one backward sweep of d columns give all these matrices, because
    ∂y_N/∂(y_i, p_i) = ∂y_N/∂(y_{i+1}, p_{i+1}) · ∂(y_{i+1}, p_{i+1})/∂(y_i, p_i). The norms are then computed
    in batches. ∂y_N/∂y_i is the `jacobian` of the remaining N − i steps started at (y_i, p_i), so that
    theorems B, D and E hold for it with N − i in place of N.

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField.random(10, rng=0)
    >>> profile = lg.gradient_profile(field, "leapfrog", step=0.1, n_steps=100)
    >>> profile.norms.shape, profile.norms[[0, 50, 100]].round(4)
    ((101,), array([84.3072,  1.5814,  1.    ]))
    """
    if of not in ("state", "inputs"):
        raise ValueError(f"of={of!r} is not known; use 'state' or 'inputs'.")
    recurrence = as_recurrence(
        field, scheme, step, n_steps, y0, p0, inputs, threads=threads, progress=progress
    )
    if not isinstance(recurrence, Recurrence):
        raise TypeError(f"profiles are made of fields and cells, and {type(recurrence).__name__} is neither.")
    part, own = _rows(recurrence, block), recurrence.cell is None
    system = recurrence.system
    # Of a cell whose neurons do not see one another the cotangents of all neurons go together.
    neurons = system.d if system.decoupled and cotangent is None and of == "state" else 0
    if neurons:
        unit = condensed(system.dim // neurons, neurons)[:, part.start // neurons : part.stop // neurons]
    else:
        unit = np.eye(system.dim)[:, part]
    columns = unit if cotangent is None else unit @ as_vector(cotangent, "cotangent", unit.shape[1])[:, None]
    index = _index(at, 1 if of == "inputs" else 0, recurrence.n_steps)
    mantissa, exponent = _norms(recurrence, columns, of, part, index, memory_bytes, neurons)
    norms, log_norms = from_scaled(mantissa, exponent), log_scaled(mantissa, exponent)
    shape = (*recurrence.shape, index.size)
    return GradientProfile(
        norms.reshape(shape),
        log_norms.reshape(shape),
        index,
        recurrence.steps.reshape(recurrence.shape),
        recurrence.n_steps,
        _quantity("y" if own else recurrence.default_block if block is None else block, of, cotangent),
        recurrence.system,
        recurrence.scheme,
        _bound(recurrence) if own and of == "state" else None,
        1.0 if cotangent is None else math.hypot(*columns.ravel().tolist()),
    )


def _norms(
    recurrence: Recurrence,
    columns: Float,
    of: Of,
    part: slice,
    index: NDArray[np.int64],
    memory: int,
    neurons: int,
) -> tuple[Float, NDArray[np.int64]]:
    """Norms of the cotangents at the places `index` as mantissa and exponent, (members, places) each."""
    shape = recurrence.members, index.size
    mantissa, exponent = np.empty(shape), np.zeros(shape, np.int64)
    if of == "state" and powers_pay(recurrence, columns.shape[1], index.size):
        for members, place, values, powers in power_cotangents(recurrence, columns, index):
            norm = spectral_norms(Scaled.of(values[part], powers))
            mantissa[members, place], exponent[members, place] = norm
        return mantissa, exponent
    rows = slice(None) if of == "inputs" else part

    def consume(kept: Handed) -> None:
        entries = slice(*np.searchsorted(index, (kept.first, kept.first + len(kept.values))))
        here = index[entries] - kept.first
        values = kept.values[here][:, rows] if len(here) < len(kept.values) else kept.values[:, rows]
        powers = kept.exponents[here].transpose(2, 0, 1)
        scaled = Scaled.of(values.transpose(3, 0, 1, 2), powers)
        norms = neuron_norms(scaled, neurons) if neurons else spectral_norms(scaled)
        mantissa[kept.members, entries], exponent[kept.members, entries] = norms

    sweep = input_cotangents if of == "inputs" else node_cotangents
    overflowed = sweep(recurrence, columns, consume, memory_bytes=memory)
    recurrence.check_overflow(overflowed, mantissa)
    return mantissa, exponent


def _quantity(block: str, of: Of, cotangent: object) -> str:
    """What the norms are of, as a formula."""
    last = {"state": "s"}.get(block, block)
    below = "∂x_i" if of == "inputs" else f"∂{last}_i"
    return f"‖∂{last}_N/{below}‖" if cotangent is None else f"‖∂C/{below}‖"


def _index(at: ArrayLike | None, first: int, last: int) -> NDArray[np.int64]:
    """The i that are asked for."""
    if at is None:
        return np.arange(first, last + 1)
    index = _whole_numbers(at, "at", first, last)
    if (np.diff(index) <= 0).any():
        raise ValueError(f"at must hold whole numbers, ascending; got {at!r}.")
    return index


def _whole_numbers(given: ArrayLike, argument: str, first: int, last: int) -> NDArray[np.int64]:
    """Whole numbers from `first` to `last`, one or several."""
    try:
        index = np.atleast_1d(np.asarray(given))
    except ValueError:  # ragged
        raise ValueError(f"{argument} must hold whole numbers, ascending; got {given!r}.") from None
    if index.dtype.kind not in "iu" or index.ndim != 1:
        raise ValueError(f"{argument} must hold whole numbers, ascending; got {given!r}.")
    if index.size and not first <= index.min() <= index.max() <= last:
        raise ValueError(
            f"{argument} must lie between {first} and {last}; got {index.min()} to {index.max()}."
        )
    return index.astype(np.int64)  # of unsigned numbers no difference is negative


def _rows(recurrence: Recurrence, block: str | None) -> slice:
    """Rows of the first half of the state, y or all there is, that belong to a block."""
    part, _ = block_of(recurrence, block)
    if part.stop > recurrence.system.dim:
        raise ValueError(
            f"block={block!r}: profiles of second-order systems are of 'position', at fixed p_i."
        )
    return part


def _bound(recurrence: Recurrence) -> Bound | None:
    """The theorem that bounds ‖∂y_N/∂y_0‖ of the recursion itself."""
    steps = recurrence.steps.reshape(recurrence.shape)
    found = applicable(recurrence.system, recurrence.scheme, steps, recurrence.n_steps, of=("recursion",))
    return next((bound for bound in found if bound.side == "upper"), None)
