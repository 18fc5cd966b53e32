"""Norms and growth over all windows of a run, at a cost that does not depend on the width of the window.

The steps are cut into blocks as long as a window. A window from step i to step i + w is the end of one block
and the beginning of the next, so that its Jacobian is a product of two matrices: that of the first steps of a
block (a prefix) with that of the last steps of the block before (a suffix). Prefixes and suffixes take one
product of matrices a step each, hence three products a window in all, whatever w is (M. van Herk, *Pattern
Recognit. Lett.* 13 (1992) 517–521, for maxima in place of products).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from integrators.engine.blocks import Ticker, one_blas_thread, run_blocks
from integrators.engine.column_scale import ZERO, bits_of_shift, from_scaled, log_scaled
from integrators.run.recurrence import Recurrence
from integrators.singular_values import scaled_norm, singular_values
from integrators.validation import as_count
from sensitivity.analysis.neurons import largest
from sensitivity.analysis.norms import gram_norms
from sensitivity.analysis.singular import block_of

from .asked import as_run
from .step_jacobians import Stack, StepJacobians

__all__ = ["finite_time_exponents", "log_window_norms", "window_norms"]

Float = NDArray[np.float64]
Counts = NDArray[np.int64]

# Matrices of the steps that are looked at together, with their suffixes and copies, on one thread.
BYTES_AT_ONCE = 1 << 26
# Columns of products are brought near one where they leave 2^±FAR, so that one more product fits in.
FAR = 250
# Products of a block that are taken before their sizes are looked at.
PANEL = 16


class _Product(NamedTuple):
    """Matrices (…, n, n) with an exponent for each column, or for each row of a suffix: (…, n)."""

    values: Float
    exponents: Counts

    def flat(self, count: int) -> _Product:
        """(members, blocks, w, …) as the first `count` windows one after the other."""
        members = len(self.values)
        values = self.values.reshape(members, -1, *self.values.shape[3:])[:, :count]
        return _Product(values, self.exponents.reshape(members, -1, *self.exponents.shape[3:])[:, :count])

    def of(self, windows: slice) -> _Product:
        """Those of some windows."""
        return _Product(self.values[:, windows], self.exponents[:, windows])


def window_norms(run: Recurrence, width: int, *, block: str | None = None) -> Float:
    """The norms ‖∂s_{i+w}/∂s_i‖₂ over every window of w steps, i = 0, …, N − w.

    Parameters
    ----------
    run : Recurrence
        As `unroll` makes it, of a cell or of a field under a scheme.
    width : int
        w, from 1 to N.
    block : str, optional
        Which block of the state, as for `jacobian`; by default ``run.default_block``: y of a field, the whole
        state of most cells.

    Returns
    -------
    ndarray, shape (*batch, N − w + 1)
        Inf or 0 where a norm is outside the range of float64; see `log_window_norms`. NaN for batch members
        whose trajectory overflowed.

    Raises
    ------
    TypeError, ValueError
        If `run` is no recurrence, `width` is not from 1 to N, or there is no such block.

    Notes
    -----
    Each window is the product of a suffix and a prefix of two neighbouring blocks of w steps. The cost is
    that of the N one-step Jacobians, of at most two products of matrices for each step, and of one product
    and one norm for each window. It does not grow with w; where w approaches N it falls, since there are
    N − w + 1 windows. Norms are accurate to round-off, some D units in the last place.

    Memory is that of the states of the run and of some matrices for each step of a block: 32 w D² bytes on
    each thread, or some 128 MiB if that is more.

    Examples
    --------
    >>> import leapgrad as lg
    >>> run = lg.unroll(lg.cell("lstm", 4, rng=0), n_steps=100)
    >>> norms = lg.window_norms(run, 10)
    >>> norms.shape, bool(abs(norms[0] / lg.jacobian_norm(lg.unroll(run.cell, 10)) - 1.0) < 1e-12)
    ((91,), True)
    """
    return from_scaled(*_norms(run, width, block))


def log_window_norms(run: Recurrence, width: int, *, block: str | None = None) -> Float:
    """The natural logarithms of `window_norms`. They neither overflow nor underflow.

    Parameters, shapes and errors are those of `window_norms`. The logarithm of a zero matrix is −inf.

    Examples
    --------
    >>> import leapgrad as lg
    >>> cell = lg.cell("vanilla", 1, activation="identity").with_parameters(W=[[2.0]], b=[0.0])
    >>> lg.log_window_norms(lg.unroll(cell, n_steps=2001), 2000).round(3)
    array([1386.294, 1386.294])
    """
    return log_scaled(*_norms(run, width, block))


def finite_time_exponents(
    run: Recurrence, width: int, k: int | None = None, *, block: str | None = None
) -> Float:
    """Finite-time (local) growth exponents (1/w) ln σ_j of ∂s_{i+w}/∂s_i for every i = 0, …, N − w.

    Parameters not listed are those of `window_norms`.

    Parameters
    ----------
    k : int, optional
        The k largest, in descending order. By default the largest alone, without the last axis.

    Returns
    -------
    ndarray, shape (*batch, N − w + 1) or (*batch, N − w + 1, k)
        Natural logarithms, per step. Those after the first have the absolute accuracy of the singular values
        of one product: they lose their digits below 2^-53 of the largest value of their window.

    Raises
    ------
    ValueError
        Also if there are no k singular values.

    Notes
    -----
    Their average over i and w → ∞ is the largest growth exponent of `growth_exponents`, and their scatter
    says how evenly the run grows (E. Ott, *Chaos in Dynamical Systems*, Cambridge 2002, section 4.4).

    Examples
    --------
    >>> import leapgrad as lg
    >>> cell = lg.cell("vanilla", 2, activation="identity")
    >>> cell = cell.with_parameters(W=[[2.0, 0.0], [0.0, 0.5]], b=[0.0, 0.0])
    >>> lg.finite_time_exponents(lg.unroll(cell, n_steps=5), 4, k=2).round(6)
    array([[ 0.693147, -0.693147],
           [ 0.693147, -0.693147]])
    """
    if k is None:
        return np.asarray(log_window_norms(run, width, block=block) / width, dtype=np.float64)
    part, _ = block_of(as_run(run), block)
    count = as_count(k, "k", least=1)
    if count > part.stop - part.start:
        raise ValueError(f"k must be at most {part.stop - part.start}, the size of the block, got {count}.")

    def logs(values: Float, exponent: Counts) -> tuple[NDArray[Any], ...]:
        found = singular_values(values)  # (…, groups, n)
        found = log_scaled(found, exponent[..., None])
        found = np.sort(found.reshape(*found.shape[:-2], -1), axis=-1)[..., ::-1]
        return (found[..., :count],)

    (found,) = _over_windows(run, width, block, logs, [((count,), np.dtype(np.float64))])
    return np.asarray(found / width, dtype=np.float64)


def _norms(run: Recurrence, width: int, block: str | None) -> tuple[Float, Counts]:
    """Norms of all windows as mantissa · 2^exponent."""

    def norms(values: Float, exponent: Counts) -> tuple[NDArray[Any], ...]:
        mantissa, shift = scaled_norm(values, gram_norms)
        return largest(mantissa, shift + exponent)

    kinds = [((), np.dtype(np.float64)), ((), np.dtype(np.int64))]
    mantissa, exponent = _over_windows(run, width, block, norms, kinds)
    return mantissa, exponent


def _over_windows(
    run: Recurrence,
    width: int,
    block: str | None,
    measure: Callable[[Float, Counts], tuple[NDArray[Any], ...]],
    kinds: list[tuple[tuple[int, ...], np.dtype[Any]]],
) -> list[NDArray[Any]]:
    """``measure(values, exponent)`` of the matrices of all windows: arrays (*batch, windows, …).

    The matrices are (members, windows, groups, n, n), with an exponent for each group.
    """
    run, w = as_run(run), as_count(width, "width", least=1)
    part, _ = block_of(run, block)
    if w > run.n_steps:
        raise ValueError(f"width must be at most n_steps = {run.n_steps}, the length of the run, got {w}.")
    windows = run.n_steps - w + 1
    found: list[Any] = [np.empty((run.members, windows, *shape), dtype) for shape, dtype in kinds]
    D, groups = run.state_size, run.system.d if run.system.decoupled else 1
    entries = D * D // groups
    group = max(1, min(run.members, BYTES_AT_ONCE // (24 * entries * w)))
    blocks = max(1, min(1 + windows // w, BYTES_AT_ONCE // (24 * entries * w * group)))
    rows = slice(part.start // groups, part.stop // groups)

    def work(members: slice, ticker: Ticker) -> None:
        part = run.select(members, threads=1)
        part.progress = False
        lost = np.zeros(part.members, bool)
        for first, values, exponent in _matrices(part, w, blocks, rows, lost):
            ticker(0)
            last = first + values.shape[1]
            for whole, piece in zip(found, measure(values, exponent), strict=True):
                whole[members, first:last] = piece
        for whole in found:
            if whole.dtype.kind == "f":
                whole[members][lost] = np.nan
        ticker(part.members * run.n_steps)

    seconds = 4.0 * run.members * run.n_steps * (run.system.seconds(D) + 4e-10 * entries * D // groups)
    with one_blas_thread():
        run_blocks(
            run.members, group, work, total=run.members * run.n_steps, seconds=seconds, label="windows",
            threads=run.threads, progress=run.progress,
        )  # fmt: skip
    return [whole.reshape(*run.shape, *whole.shape[1:]) for whole in found]


def _matrices(
    run: Recurrence, w: int, most: int, rows: slice, lost: NDArray[np.bool_]
) -> Iterator[tuple[int, Float, Counts]]:
    """The matrices of all windows: the first of some, their values and exponents; `most` blocks at a time.

    `lost` receives which members have overflowed.
    """
    steps, n_steps = StepJacobians(run), run.n_steps
    lost[:] = steps.overflowed
    windows = n_steps - w + 1
    carried = steps(0, w)
    for first in range(0, windows, w * most):
        blocks = min(most, -(-(windows - first) // w))
        last = min(first + (blocks + 1) * w, n_steps)
        ahead = steps(first + w, last)
        suffixes = _suffixes(_blocks([carried, ahead], w, blocks))
        # Those of the following blocks, of which the last may be cut short by the end of the run. A single
        # block is itself no longer than the windows that are left.
        count = min(blocks * w, windows - first)
        prefixes = _prefixes(_blocks([ahead], min(w, count), blocks))
        carried = Stack(ahead.values[:, -w:], ahead.exponents[:, -w:])
        prefixes, suffixes = prefixes.flat(count), suffixes.flat(count)
        size = max(1, BYTES_AT_ONCE // (64 * run.members * steps.groups * steps.size**2))
        for at in range(0, count, size):
            some = slice(at, at + size)
            yield (first + at, *_joined(prefixes.of(some), suffixes.of(some), rows))


def _blocks(parts: list[Stack], w: int, blocks: int) -> Stack:
    """The matrices of consecutive steps as (members, blocks, w, groups, n, n), identities where they end."""
    values = np.concatenate([part.values for part in parts], axis=1)
    exponents = np.concatenate([part.exponents for part in parts], axis=1)
    missing = blocks * w - values.shape[1]
    if missing > 0:
        unit = np.broadcast_to(np.eye(values.shape[-1]), (len(values), missing, *values.shape[2:]))
        values = np.concatenate([values, unit], axis=1)
        none = np.zeros((len(values), missing, *exponents.shape[2:]), np.int64)
        exponents = np.concatenate([exponents, none], axis=1)
    values, exponents = values[:, : blocks * w], exponents[:, : blocks * w]
    return Stack(
        values.reshape(len(values), blocks, w, *values.shape[2:]),
        exponents.reshape(len(values), blocks, w, *exponents.shape[2:]),
    )


def _suffixes(steps: Stack) -> _Product:
    """J_{w−1} ⋯ J_j for every j of a block, with an exponent for each row."""
    w = steps.values.shape[2]
    found = _Product(np.empty_like(steps.values), np.zeros_like(steps.exponents))
    size = steps.values.shape[-1]
    total = _Product(np.broadcast_to(np.eye(size), steps.values[:, :, 0].shape), found.exponents[:, :, 0])
    for stop in range(w, 0, -PANEL):
        start = max(stop - PANEL, 0)
        order = range(stop - 1, start - 1, -1)
        if not _plainly(total, steps, found, order, left=False):
            for j in order:
                total = _further_left(total, steps.values[:, :, j], steps.exponents[:, :, j])
                found.values[:, :, j], found.exponents[:, :, j] = total
        total = _Product(found.values[:, :, start], found.exponents[:, :, start])
    return found


def _further_left(total: _Product, G: Float, exponents: Counts) -> _Product:
    """A suffix S that begins one step earlier: S · G, with an exponent for each row."""
    # (S G)ᵀ = Gᵀ Sᵀ: rows of S become columns, and the exponents of G belong to rows of the product.
    product, moved = total.values @ G, total.exponents
    if exponents.any():
        turned, moved = _with_rows(product.swapaxes(-1, -2), exponents, moved)
        product = turned.swapaxes(-1, -2)
    turned, moved = _near_one(product.swapaxes(-1, -2), moved)
    return _Product(np.ascontiguousarray(turned.swapaxes(-1, -2)), moved)


def _prefixes(steps: Stack) -> _Product:
    """J_{j−1} ⋯ J_0 for every j of a block, with an exponent for each column."""
    w = steps.values.shape[2]
    found = _Product(np.empty_like(steps.values), np.zeros_like(steps.exponents))
    found.values[:, :, 0] = np.eye(steps.values.shape[-1])
    total = _Product(found.values[:, :, 0], found.exponents[:, :, 0])
    for start in range(0, w - 1, PANEL):
        order = range(start, min(start + PANEL, w - 1))
        if not _plainly(total, steps, found, order, left=True):
            for j in order:
                columns, moved = total
                if (exponents := steps.exponents[:, :, j]).any():
                    columns, moved = _with_rows(columns, exponents, moved)
                total = _Product(*_near_one(steps.values[:, :, j] @ columns, moved))
                found.values[:, :, j + 1], found.exponents[:, :, j + 1] = total
        total = _Product(found.values[:, :, order.stop], found.exponents[:, :, order.stop])
    return found


def _plainly(total: _Product, steps: Stack, found: _Product, order: range, *, left: bool) -> bool:
    """Multiply `total` by some steps where no power of two has to be taken out; False where one has to.

    A block that is long has few others beside it, so that looking at the size of every product would take
    longer than the products themselves. Here they are all taken first and looked at together.
    """
    low, high = min(order[0], order[-1]), max(order[0], order[-1]) + 1
    if steps.exponents[:, :, low:high].any():
        return False
    current, axis = total.values, -2 if left else -1
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for j in order:
            G, target = steps.values[:, :, j], found.values[:, :, j + left]
            np.matmul(G, current, out=target) if left else np.matmul(current, G, out=target)
            current = target
    size = np.abs(found.values[:, :, low + left : high + left]).max(axis=axis)
    zero = (np.abs(total.values).max(axis=axis) == 0.0)[:, :, None]
    if not ((zero | (size > 2.0**-FAR)) & (size < 2.0**FAR)).all():
        return False
    found.exponents[:, :, low + left : high + left] = total.exponents[:, :, None]
    return True


def _with_rows(columns: Float, rows: Counts, exponents: Counts) -> tuple[Float, Counts]:
    """Columns (…, n, k) with exponents (…, k), whose rows have exponents (…, n) besides."""
    with np.errstate(invalid="ignore"):
        size = np.frexp(columns)[1]
    place = np.where(columns != 0.0, rows[..., :, None] + size, ZERO)
    top = place.max(axis=-2)
    top = np.where(top == ZERO, 0, top)
    shift = bits_of_shift(rows[..., :, None] - top[..., None, :])
    with np.errstate(under="ignore", over="ignore"):
        return np.ldexp(columns, np.where(columns != 0.0, shift, 0)), exponents + top


def _near_one(columns: Float, exponents: Counts) -> tuple[Float, Counts]:
    """Columns with their sizes in their exponents, where these have left 2^±FAR."""
    size = np.abs(columns).max(axis=-2)
    if 2.0**-FAR < size.min(initial=1.0) and size.max(initial=1.0) < 2.0**FAR:
        return columns, exponents
    shift = np.where((size > 0.0) & np.isfinite(size), np.frexp(size)[1], 0)
    shift = np.where(np.abs(shift) < FAR, 0, shift)
    with np.errstate(under="ignore"):
        return np.ldexp(columns, -shift[..., None, :].astype(np.int32)), exponents + shift


def _joined(prefix: _Product, suffix: _Product, rows: slice) -> tuple[Float, Counts]:
    """Rows and columns of prefix · suffix, with an exponent for each group."""
    left, right = prefix.values[..., rows, :], suffix.values[..., rows]
    inner = prefix.exponents + suffix.exponents
    if not inner.any():
        return left @ right, np.zeros(inner.shape[:-1], np.int64)
    sizes = [np.frexp(np.abs(part).max(axis=axis))[1] for part, axis in ((left, -2), (right, -1))]
    alive = (left != 0.0).any(axis=-2) & (right != 0.0).any(axis=-1)
    top = np.where(alive, inner + sizes[0] + sizes[1], ZERO).max(axis=-1)
    top = np.where(top == ZERO, 0, top)
    # Half of each shift on either side, so that neither leaves float64 before the product is taken.
    shift = np.where(alive, inner - top[..., None], 0)
    halves = bits_of_shift(shift // 2)
    rest = bits_of_shift(shift - shift // 2)
    with np.errstate(under="ignore", over="ignore"):
        scaled = np.ldexp(left, halves[..., None, :]) @ np.ldexp(right, rest[..., :, None])
    return scaled, top
