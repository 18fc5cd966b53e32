"""Gradients of log norms, of log singular values and of growth exponents by the parameters."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.cells.cell import Cell
from integrators.engine.blocks import one_blas_thread
from integrators.naming import shown
from integrators.run.recurrence import Recurrence
from integrators.validation import as_array, as_count
from sensitivity.analysis.growth import first_frame, growth_exponents
from sensitivity.analysis.memory.asked import as_run
from sensitivity.analysis.memory.gradient_rows import GradientRows
from sensitivity.analysis.singular import block_of

from .frames import Adjoint, Frames
from .log_gradient import LogGradient, log_gradient
from .right_vectors import right_vectors

__all__ = [
    "can_differentiate",
    "exponent_gradient",
    "log_norm_gradient",
    "log_singular_value_gradient",
    "of_sum",
]

Float = NDArray[np.float64]

# Singular values below this share of the largest one add nothing to the square of a Frobenius norm.
NEGLIGIBLE = 46.0


def can_differentiate(run: Any) -> Recurrence:
    """The run, if its steps can be differentiated twice.

    Raises
    ------
    TypeError, ValueError
        If it is no recurrence, or not one in float64 whose step has a source that is known here.
    """
    run = as_run(run)
    if isinstance(run.system, Cell) and not run.system.compiled:
        raise ValueError(
            f"{run.system.name} is a stack or a function of another library, which gives first derivatives "
            "only; gradients of norms and exponents need second ones. Take a cell or a field of leapgrad."
        )
    if run.dtype != np.float64:
        raise ValueError("gradients of norms and exponents are computed in float64; leave out dtype.")
    return run


def exponent_gradient(
    run: Recurrence, k: int | None = None, *, burn_in: int | None = None, weights: ArrayLike | None = None
) -> LogGradient:
    """The first k finite-time growth exponents of a run, and their gradients by all parameters and by s_0.

    Parameters
    ----------
    run : Recurrence
        As `unroll` makes it, of a cell or of a field under a scheme.
    k : int, optional
        Number of exponents, at most D; all by default.
    burn_in : int, optional
        Steps at the beginning that are not counted; a tenth of them by default.
    weights : array_like, shape (k,), optional
        For one weighted sum of the exponents instead of all of them; k times as fast.

    Returns
    -------
    LogGradient
        ``value`` has the exponents, shape (*batch, k), as `growth_exponents` finds them with the same k and
        burn_in; shape batch with `weights`.

    Raises
    ------
    TypeError, ValueError
        If an argument makes no sense, or the step cannot be differentiated twice: a cell of `from_function`.
    TrajectoryOverflow
        If the state leaves the range of float64. In a batch this gives NaN and a warning instead.

    Notes
    -----
    The derivative of the QR iteration that runs, by its exact adjoint, up to round-off: a factorisation after
    each step, the cotangent of every frame, and second derivatives of the steps, for which the source of the
    pointwise rules runs on dual numbers. The frame to start from is held fixed. Where a rule has a kink, as
    relu has, its slopes have the derivative that they have beside it, and jumps of the slopes are not seen.

    Where nearby states part, the gradient grows with the number of steps like their distance does: that of a
    chaotic run says little about its limit. NaN where one of the k exponents is −inf.

    Time is about that of N products of D × D matrices with k columns for each exponent, and some calls from
    Python a step. Memory is D (D + k) numbers for each of some steps at a time, and a frame for each of these
    pieces.

    The idea of training with exponents is from R. Engelken, *Gradient flossing: improving gradient descent
    through dynamic control of Jacobians*, NeurIPS 2023.

    Examples
    --------
    >>> import leapgrad as lg
    >>> run = lg.unroll(lg.cell("vanilla", 3, rng=0), n_steps=50)
    >>> found = lg.exponent_gradient(run, k=2)
    >>> found.value.round(4), found.parameters["W"].shape
    (array([-0.6039, -1.8532]), (2, 3, 3))
    """
    run = can_differentiate(run)
    size = run.state_size
    steps = as_count(run.n_steps, "n_steps", least=1)
    count = size if k is None else as_count(k, "k", least=1)
    if count > size:
        raise ValueError(f"k must be at most {size}, the length of the state, got {count}.")
    skip = steps // 10 if burn_in is None else as_count(burn_in, "burn_in")
    if skip >= steps:
        raise ValueError(f"burn_in must be less than n_steps = {steps}, got {skip}.")
    given = None if weights is None else as_array(weights, "weights", 1)
    if given is not None and given.shape != (count,):
        raise ValueError(f"weights has shape {given.shape}; {count} exponents ask for ({count},).")
    with one_blas_thread():
        frames = Frames(run, first_frame(size, count), skip)
        order = np.argsort(-frames.logs, axis=1, kind="stable")
        logs = np.take_along_axis(frames.logs, order, axis=1)
        chosen = np.eye(count)[order]
        if given is not None:
            chosen = given @ chosen
            chosen = chosen[:, None]
        singular = np.logical_not(np.isfinite(logs).all(axis=1))
        found = frames.adjoint(chosen)
    # A column that has become zero has no direction, and the growth of those behind it depends on which one
    # it is given; growth_exponents leaves it out.
    known = growth_exponents(run, k=count, burn_in=skip).exponents.reshape(logs.shape)
    singular |= np.logical_not(np.isfinite(known).all(axis=1))
    logs = np.where(singular[:, None], known * (steps - skip), logs)
    found = _lost(found, singular)
    value, gap = logs / (steps - skip), _gaps(logs)
    shape = (*run.shape, count)
    if given is not None:
        value, gap, shape = value @ given, gap.min(axis=1), run.shape
    return log_gradient(
        run.system, value.reshape(shape)[()], found, gap.reshape(shape)[()], shape, 1.0 / (steps - skip)
    )


def log_norm_gradient(
    run: Recurrence, *, block: str | None = None, norm: Literal["spectral", "frobenius"] = "spectral"
) -> LogGradient:
    """ln ‖∂s_N/∂s_0‖ of a run, and its gradient by all parameters and by s_0.

    Parameters
    ----------
    run : Recurrence
        As `unroll` makes it, of a cell or of a field under a scheme.
    block : str, optional
        Which block of the state, as for `jacobian`; by default ``run.default_block``.
    norm : {"spectral", "frobenius"}
        The largest singular value, or the root of the sum of their squares.

    Returns
    -------
    LogGradient
        ``value`` has the shape of the batch.

    Raises
    ------
    TypeError, ValueError, TrajectoryOverflow
        As `exponent_gradient`; if `norm` is neither.

    Notes
    -----
    With J v = σ u the gradient of ln σ is uᵀ dJ v/σ. It is computed as that of a QR iteration whose first
    frame is v, so that neither the norm nor a product of Jacobians needs to fit into float64. If the two
    largest singular values are equal, ``gap`` is zero and the spectral norm has no gradient. If J is zero,
    the gradient is NaN.

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField.random(3, rng=0)
    >>> run = lg.unroll(field, scheme="leapfrog", step=0.1, n_steps=50)
    >>> found = lg.log_norm_gradient(run)
    >>> bool(abs(found.value - lg.log_jacobian_norm(run)) < 1e-12)
    True
    >>> found.parameters["b"].round(4)
    array([-0.4819, -1.4643, -1.2002])
    """
    if not isinstance(norm, str) or norm not in ("spectral", "frobenius"):
        raise ValueError(f"norm must be 'spectral' or 'frobenius', got {shown(norm)}.")
    run = can_differentiate(run)
    spectral = norm == "spectral"
    asked = _Asked.of(run, block, [0] if spectral else None)
    value, found, gap = asked.gradients()
    return log_gradient(
        run.system, value[:, 0].reshape(run.shape)[()], found, gap[:, 0].reshape(run.shape)[()], run.shape
    )


def log_singular_value_gradient(
    run: Recurrence, which: int | Sequence[int] = 0, *, block: str | None = None
) -> LogGradient:
    """Logarithms of some singular values of ∂s_N/∂s_0, and their gradients by all parameters and by s_0.

    Parameters
    ----------
    run : Recurrence
        As `unroll` makes it, of a cell or of a field under a scheme.
    which : int or sequence of int
        Ranks, 0 for the largest one.
    block : str, optional
        Which block of the state, as for `jacobian`; by default ``run.default_block``.

    Returns
    -------
    LogGradient
        ``value`` has the shape of the batch for one rank, and (*batch, ranks) for several.

    Raises
    ------
    TypeError, ValueError, TrajectoryOverflow
        As `log_norm_gradient`; if there is no singular value of such a rank.

    Notes
    -----
    As `log_norm_gradient`, with a frame of the leading right singular vectors, and accurate for singular
    values that lie any number of powers of ten apart. The gradient of a singular value is undefined where
    another one equals it: see ``gap``. Of one that is zero, the gradient is NaN.

    Examples
    --------
    >>> import leapgrad as lg
    >>> run = lg.unroll(lg.cell("lstm", 3, 2, rng=0), n_steps=20)
    >>> found = lg.log_singular_value_gradient(run, [0, 2])
    >>> found.value.shape, found.parameters["W"].shape
    ((2,), (2, 12, 3))
    """
    run = can_differentiate(run)
    part, _ = block_of(run, block)
    several = not isinstance(which, (int, np.integer)) or isinstance(which, bool)
    try:
        given: list[Any] = list(which) if several else [which]  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"which must be a rank or a sequence of ranks, got {shown(which)}.") from None
    ranks = [as_count(rank, "which") for rank in given]
    width = part.stop - part.start
    if not ranks or max(ranks) >= width:
        raise ValueError(f"which must hold ranks from 0 to {width - 1}, got {shown(which)}.")
    value, found, gap = _Asked.of(run, block, ranks).gradients()
    shape = (*run.shape, len(ranks)) if several else run.shape
    return log_gradient(run.system, value.reshape(shape)[()], found, gap.reshape(shape)[()], shape)


def of_sum(run: Recurrence, k: int, slope: Callable[[Float], Float]) -> tuple[Float, dict[str, Float]]:
    """The first k exponents of every member, and the gradient by the parameters of a function of them.

    Parameters
    ----------
    run : Recurrence
    k : int
    slope : callable
        Exponents, shape (members, k) in descending order → the derivative of the function by each of them;
        zero in members that do not count.

    Returns
    -------
    exponents : ndarray, shape (members, k)
    gradient : dict of str to ndarray
        Summed over the members, by the names of `LogGradient.parameters`.
    """
    run = can_differentiate(run)
    with one_blas_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of members that overflow, whose exponents are NaN
        frames = Frames(run, first_frame(run.state_size, k))
        order = np.argsort(-frames.logs, axis=1, kind="stable")
        exponents = np.take_along_axis(frames.logs, order, axis=1) / run.n_steps
        by_rank = slope(exponents)
        weights = np.zeros_like(by_rank)
        np.put_along_axis(weights, order, by_rank / run.n_steps, axis=1)
        counts = (weights != 0.0).any(axis=1)
        found = frames.adjoint(weights[:, None])
    found.gradient.values[~counts] = 0.0
    shape = (run.members, 1)
    every = log_gradient(run.system, weights[:, :1], found, weights[:, :1], shape)
    return exponents, {name: own.sum(axis=(0, 1)) for name, own in every.parameters.items()}


def _gaps(logs: Float) -> Float:
    """Distance of each of some descending logarithms to the next; inf where there is one."""
    with np.errstate(invalid="ignore"):
        apart = -np.diff(logs, axis=1)
    end = np.full((len(logs), 1), np.inf)
    return np.minimum(np.concatenate([end, apart], axis=1), np.concatenate([apart, end], axis=1))


def _lost(found: Adjoint, lost: NDArray[np.bool_]) -> Adjoint:
    """NaN for some members."""
    found.gradient.values[lost] = np.nan
    found.s0[lost] = np.nan
    return found


class _Asked(NamedTuple):
    """Which singular values of which block of a run; None for the Frobenius norm."""

    run: Recurrence
    part: slice
    rows: str | None
    ranks: list[int] | None

    @classmethod
    def of(cls, run: Recurrence, block: str | None, ranks: list[int] | None) -> _Asked:
        return cls(run, *block_of(run, block), ranks)

    def gradients(self) -> tuple[Float, Adjoint, Float]:
        """Values (m, W), their gradients, and gaps (m, W)."""
        run, m = self.run, self.run.members
        vectors, logs = right_vectors(run, self.part, self.rows)
        W = 1 if self.ranks is None else len(self.ranks)
        rows = GradientRows(run.system, m, W)
        rows.values[:] = np.nan
        whole = Adjoint(rows, np.full((m, W, run.state_size), np.nan), np.zeros((m, W), np.int64))
        counts = np.array([self._columns(own) for own in logs])
        with one_blas_thread():
            for k in sorted(set(counts[counts > 0].tolist())):
                self._of_group(counts == k, k, vectors, logs, whole)
        if self.ranks is None:
            with np.errstate(invalid="ignore"):
                top = np.where(np.isfinite(logs[:, :1]), logs[:, :1], 0.0)
                squares = np.exp(2.0 * (logs - top)).sum(axis=1, keepdims=True)
            with np.errstate(divide="ignore"):
                return top + 0.5 * np.log(squares), whole, np.full((m, 1), np.inf)
        return logs[:, self.ranks], whole, _gaps(logs)[:, self.ranks]

    def _columns(self, logs: Float) -> int:
        """How many vectors of a member the frame needs; 0 where there is no gradient."""
        if self.ranks is None:
            return int((logs > logs[0] - NEGLIGIBLE).sum()) if np.isfinite(logs[0]) else 0
        # Values of zero have no gradient, which the others do not suffer from.
        return min(max(self.ranks) + 1, int(np.isfinite(logs).sum()))

    def _of_group(
        self, members: NDArray[np.bool_], k: int, vectors: list[Float], logs: Float, whole: Adjoint
    ) -> None:
        run, part = self.run, self.part
        some = run if members.all() else run.select(members)
        frame = np.zeros((some.members, run.state_size, k))
        frame[:, part] = [vectors[i][:, :k] for i in np.flatnonzero(members)]
        frames = Frames(some, frame, part=None if part == slice(0, run.state_size) else part)
        if self.ranks is None:
            weights = np.exp(2.0 * (logs[members][:, :k] - logs[members][:, :1]))
            weights = (weights / weights.sum(axis=1, keepdims=True))[:, None]
        else:
            weights = np.zeros((some.members, len(self.ranks), k))
            for w, rank in enumerate(self.ranks):
                weights[:, w, rank if rank < k else 0] = 1.0 if rank < k else np.nan
        found = frames.adjoint(weights)
        whole.gradient.values[members] = found.gradient.values
        whole.gradient.exponents[members] = found.gradient.exponents
        whole.s0[members], whole.exponent[members] = found.s0, found.exponent
