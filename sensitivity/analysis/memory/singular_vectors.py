"""In which direction a change of the initial state, or of an input, moves the last state most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from integrators.display import Table
from integrators.engine.column_scale import ZERO, bits_of_shift, log_scaled
from integrators.run.recurrence import Recurrence
from integrators.singular_values import svd
from integrators.validation import as_count
from integrators.values import ByValue
from sensitivity.analysis.jacobians import singular_values
from sensitivity.analysis.singular import block_of
from sensitivity.figures.drawn import Drawn
from sensitivity.text import block_symbol, evenly_spread, from_log

from .asked import as_run
from .input_kernels import kernels_by_step

__all__ = ["SingularDirections", "singular_directions"]

Float = NDArray[np.float64]

USUAL_COUNT, MOST_NAMED, LEAST_NAMED = 3, 3, 0.1


@dataclass(frozen=True, eq=False)
class SingularDirections(ByValue, Drawn):
    """Leading singular vectors of ∂s_N/∂s_0, or of ∂s_N/∂x_i for every i: see `singular_directions`.

    Attributes
    ----------
    quantity : str
        The matrix, "∂h_N/∂h_0" or "∂h_N/∂x_i".
    log_values : ndarray, shape (*batch, k) or (*batch, N, k)
        ln σ_j, in descending order; −inf for zero.
    right : ndarray, shape (*batch, columns, k) or (*batch, N, columns, k)
        Right singular vectors: the directions of s_0, or of x_i, that act most.
    left : ndarray, shape (*batch, rows, k) or (*batch, N, rows, k)
        Left singular vectors: the directions in which s_N is moved. J · right = left · σ.
    row_names, column_names : tuple of str
        Names of the components: ``h[0]``, ``c[2]``, ``y[1]``, ``x[0]``.

    Examples
    --------
    >>> import leapgrad as lg
    >>> cell = lg.cell("vanilla", 2, activation="identity")
    >>> cell = cell.with_parameters(W=[[0.0, 2.0], [0.5, 0.0]], b=[0.0, 0.0])
    >>> found = lg.singular_directions(lg.unroll(cell, n_steps=1))
    >>> found.named(found.right[:, 0], found.column_names), found.named(found.left[:, 0], found.row_names)
    ('h[1]', 'h[0]')
    """

    quantity: str
    log_values: Float
    right: Float
    left: Float
    row_names: tuple[str, ...]
    column_names: tuple[str, ...]

    @staticmethod
    def named(vector: Float, names: tuple[str, ...]) -> str:
        """A vector of length one in words: its largest components with their weights.

        Parameters
        ----------
        vector : ndarray, shape (len(names),)
        names : tuple of str
            `row_names` for a left vector, `column_names` for a right one.

        Examples
        --------
        >>> from sensitivity import SingularDirections
        >>> SingularDirections.named([0.8, -0.6, 0.0], ("h[0]", "h[1]", "h[2]"))
        '0.80 h[0] − 0.60 h[1]'
        """
        vector = np.asarray(vector, dtype=np.float64)
        if np.isnan(vector).any():
            return "overflowed"
        order = np.argsort(-np.abs(vector), kind="stable")[:MOST_NAMED]
        text = ""
        for i in order.tolist():
            size = abs(float(vector[i]))
            if size < LEAST_NAMED:
                break
            sign = ("−" if vector[i] < 0.0 else "") if not text else (" − " if vector[i] < 0.0 else " + ")
            text += sign + (names[i] if size > 0.995 else f"{size:.2f} {names[i]}")
        rest = float(np.sum(vector**2) - np.sum(vector[order] ** 2)) > LEAST_NAMED**2
        if not text:
            return "spread evenly"
        return text + " + …" if rest else text

    @property
    def by_input(self) -> bool:
        """Whether there is a matrix for each i."""
        return self.quantity.endswith("x_i")

    def first_member(self) -> tuple[Float, Float, Float]:
        """log_values, right and left of the first batch member."""
        places = 1 + self.by_input
        return tuple(
            part.reshape(-1, *part.shape[part.ndim - own :])[0]
            for part, own in ((self.log_values, places), (self.right, places + 1), (self.left, places + 1))
        )  # pyright: ignore[reportReturnType]

    def _table(self) -> Table:
        logs, right, left = self.first_member()
        if self.by_input:
            steps = evenly_spread(len(logs), 11)
            rows = [(str(i + 1), logs[i, 0], right[i, :, 0], left[i, :, 0]) for i in steps.tolist()]
        else:
            rows = [(str(j + 1), logs[j], right[:, j], left[:, j]) for j in range(logs.size)]
        cause, effect = "direction of x_i" if self.by_input else "direction of s_0", "moves s_N along"
        return ("i" if self.by_input else "j", "σ", cause, effect), [
            (number, from_log(float(log)), self.named(v, self.column_names), self.named(u, self.row_names))
            for number, log, v, u in rows
        ]

    def __repr__(self) -> str:
        k, shape = self.log_values.shape[-1], self.log_values.shape[: -1 - self.by_input]
        return f"<SingularDirections: {k} of {self.quantity}{f', batch {shape}' if shape else ''}>"


def singular_directions(
    run: Recurrence, k: int | None = None, *, of: str = "state", block: str | None = None
) -> SingularDirections:
    """The leading singular vectors of ∂s_N/∂s_0, or of ∂s_N/∂x_i for every i, with names of components.

    The first right vector is the change of the initial state, or of an input, that moves the last state most
    for its size; the first left vector says where to.

    Parameters
    ----------
    run : Recurrence
        As `unroll` makes it, of a cell or of a field under a scheme.
    k : int, optional
        How many; by default three, or as many as there are.
    of : {"state", "inputs"}
        Whether the matrix is ∂s_N/∂s_0, or ∂s_N/∂x_i for i = 1, …, N.
    block : str, optional
        Which block of the state, as for `jacobian`; by default ``run.default_block``: y of a field, the whole
        state of most cells.

    Returns
    -------
    SingularDirections
        Its method `plot` shows the vectors as colours, component by component.

    Raises
    ------
    TypeError, ValueError
        If `run` is no recurrence, there are no k singular values or no such block; with ``of="inputs"`` also
        as for `memory_kernels`.
    TrajectoryOverflow
        If the state leaves the range of float64. In a batch this gives NaN and a warning instead.

    Notes
    -----
    A singular vector is determined up to its sign. Here the largest component of each left vector is
    positive; with ``of="inputs"`` this holds for i = N, and the other left vectors have the sign that makes
    them follow the vector of the step after.

    Examples
    --------
    >>> import numpy as np
    >>> import leapgrad as lg
    >>> run = lg.unroll(lg.cell("lstm", 4, 2, rng=0), inputs=np.ones((30, 2)))
    >>> lg.singular_directions(run)
    <SingularDirections: 3 of ∂s_N/∂s_0>
    >>> found = lg.singular_directions(run, 1, of="inputs", block="h")
    >>> found.right.shape, found.left.shape, found.column_names
    ((30, 2, 1), (30, 4, 1), ('x[0]', 'x[1]'))
    """
    run = as_run(run)
    if of not in ("state", "inputs"):
        raise ValueError(f"of must be 'state' or 'inputs', got {of!r}.")
    part, _ = block_of(run, block)
    rows = part.stop - part.start
    name = run.default_block if block is None else block
    s = block_symbol(name)
    row_names = component_names(run)[part]
    most = rows if of == "state" else min(rows, run.system.n_inputs or rows)
    count = min(most, USUAL_COUNT) if k is None else as_count(k, "k", least=1)
    if count > most:
        raise ValueError(f"k must be at most {most}, the number of singular values, got {count}.")
    if of == "state":
        values = singular_values(run, block=block, k=count)
        right, left, logs = values.right, values.left, values.log
        sign = _sign(left)
        named = (f"∂{s}_N/∂{s}_0", logs, right * sign, left * sign, row_names, row_names)
        return SingularDirections(*named)
    logs, right, left = _of_inputs(run, block, count)
    sign = _sign(left[..., -1:, :, :])
    turns = np.sign(np.sum(left[..., :-1, :, :] * left[..., 1:, :, :], axis=-2, keepdims=True))
    turns = np.where(turns == 0.0, 1.0, turns)
    back = np.cumprod(turns[..., ::-1, :, :], axis=-3)[..., ::-1, :, :]
    sign = np.concatenate([back, np.ones_like(sign)], axis=-3) * sign
    inputs = tuple(f"x[{i}]" for i in range(run.system.n_inputs))
    return SingularDirections(f"∂{s}_N/∂x_i", logs, right * sign, left * sign, row_names, inputs)


def _of_inputs(run: Recurrence, block: str | None, k: int) -> tuple[Float, Float, Float]:
    """ln σ, right and left vectors of ∂s_N/∂x_i for every i, whatever their sizes are."""
    values, exponents, overflowed = kernels_by_step(run, block)
    size = np.abs(values).max(axis=-1, initial=0.0)
    place = np.where(size > 0.0, np.frexp(np.where(np.isfinite(size), size, 1.0))[1] + exponents, ZERO)
    top = place.max(axis=-1)
    top = np.where(top == ZERO, 0, top)
    shift = bits_of_shift(exponents - top[..., None])
    with np.errstate(under="ignore", invalid="ignore"):
        values = np.ldexp(values, shift[..., None])
    run.check_overflow(overflowed, values)
    left, sigma, right = svd(values)
    logs = log_scaled(sigma[..., :k], top[..., None])
    found = logs, np.swapaxes(right, -1, -2)[..., :k], left[..., :k]
    logs, right, left = (part.reshape(*run.shape, *part.shape[1:]) for part in found)
    return logs, right, left


def _sign(vectors: Float) -> Float:
    """The sign of the largest component of each column, (…, 1, k)."""
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=-2)[..., None, :], axis=-2)
    return np.where(largest < 0.0, -1.0, 1.0)


def component_names(run: Recurrence) -> tuple[str, ...]:
    """The names of the D components of the state: that of their block, with a number from 0."""
    names = [f"s[{i}]" for i in range(run.state_size)]
    for block, part in run.blocks.items():
        for number, i in enumerate(range(part.start, part.stop)):
            names[i] = f"{block_symbol(block)}[{number}]"
    return tuple(names)
