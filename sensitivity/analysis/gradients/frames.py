"""The QR iteration of a run and its exact adjoint.

With frames Q_0 given and A_i Q_i = Q_{i+1} R_{i+1}, a weighted sum L = Σ_i Σ_j c_j ln (R_i)_jj has the
gradient dL = Σ_i tr(Λ_{i+1}ᵀ dA_i Q_i), where the cotangent Λ of A_i Q_i is found backwards from Q̄_N = 0 by

    Λ_{i+1} = (Q̄ + Q (diag c − sym(Q̄ᵀ Q))) R⁻ᵀ,    Q̄_i = A_iᵀ Λ_{i+1},

with sym(X) the symmetric matrix that has X's lower triangle (S. F. Walter, L. Lehmann, R. Lamour, *Optim.
Methods Softw.* 27 (2012) 391–403). Nothing in it grows with N: R is the factor of one step. The states are
moved by the parameters as well. Their cotangent μ_i = A_iᵀ μ_{i+1} + g_i, with g_i the derivative of
tr(Λᵀ A_i(s) Q_i) by s, does grow where nearby states part, and carries a power of two.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from integrators.engine.column_scale import bits_of_shift
from integrators.run.recurrence import Recurrence
from sensitivity.analysis.memory.gradient_rows import GradientRows
from sensitivity.analysis.memory.step_jacobians import StepJacobians

from .cell_steps import CellSteps
from .field_steps import FieldSteps, StepOperation, closing_kick

__all__ = ["Adjoint", "Frames"]

Float = NDArray[np.float64]
Counts = NDArray[np.int64]

# Numbers that the steps of one piece may keep: columns, slopes and their derivatives.
NUMBERS_AT_ONCE = 1 << 21
MOST_STEPS = 256
# A factor R_jj so many units of round-off of its column is none.
NOISE = 64.0 * np.finfo(np.float64).eps
FAR = 300


class Adjoint(NamedTuple):
    """What the way back gives.

    Attributes
    ----------
    gradient : GradientRows
        By θ, with a row for each set of weights.
    s0 : ndarray, shape (m, W, D)
        By the initial state, up to the power of two.
    exponent : ndarray of int, shape (m, W)
    """

    gradient: GradientRows
    s0: Float
    exponent: Counts


class _Piece(NamedTuple):
    """Some consecutive steps, or a single kick at the node where counting begins.

    The columns of a splitting are counted at nodes whose kick, which is merged with that of the next step, is
    still to come, as everywhere else. Steps here end with that kick: it is taken back, and done once more.
    """

    start: int
    stop: int
    kick: StepOperation | None
    counts: bool  # of a kick


class Frames:
    """Orthonormal frames carried along a run.

    Parameters
    ----------
    run : Recurrence
    frame : ndarray, shape (m, D, k) or (D, k)
        Q_0.
    skip : int
        Steps before which ln R_jj does not count.
    part : slice, optional
        Rows of the last product that are looked at: those of a block.

    Attributes
    ----------
    logs : ndarray, shape (m, k)
        Σ ln R_jj. −inf where a factor is zero to round-off; NaN where the trajectory overflowed.
    """

    def __init__(self, run: Recurrence, frame: Float, skip: int = 0, part: slice | None = None) -> None:
        self.run, self._skip = run, skip
        # A step of a member is a piece of work of its own there, too small for handing it to other threads.
        self._along = StepJacobians(run.select(slice(0, run.members), threads=1))
        m, D = run.members, run.state_size
        k = frame.shape[-1]
        self.part = slice(0, D) if part is None else part
        layout = run.cell.layout if run.cell is not None else None
        locals_ = 8 if layout is None else 2 * (len(layout.out_pairs) + len(layout.hidden_pairs)) + 4
        numbers = max(1, m * (D * D + (k + 1) * D * (2 + locals_)))
        self._pieces = self._cut(max(1, min(MOST_STEPS, NUMBERS_AT_ONCE // numbers)))
        self._first: list[Float] = []
        self.logs = np.zeros((m, k))
        Q = np.broadcast_to(frame, (m, D, k)).copy()
        for piece in self._pieces:
            self._first.append(Q)
            for t, moved, R in _factors(self._matrices(piece), Q):
                Q = moved
                if self._counts(piece, t):
                    self._count(R)
        self._end, self._end_factor = _factored(Q[:, self.part])
        if part is not None:
            self._count(self._end_factor)
        self.logs[self._along.overflowed] = np.nan

    def _cut(self, size: int) -> list[_Piece]:
        """The pieces of a run, in order."""
        run, skip, found = self.run, self._skip, []
        kick = closing_kick(run) if skip > 0 else None
        ends = [0, run.n_steps] if kick is None else [0, skip, run.n_steps]
        for first, last in pairwise(ends):
            if first > 0 and kick is not None:
                back = kick._replace(weight=-kick.weight)
                found += [_Piece(skip - 1, skip, back, False), _Piece(skip - 1, skip, kick, True)]
            starts = range(first, last, size)
            found += [_Piece(start, min(start + size, last), None, False) for start in starts]
        return found

    def _counts(self, piece: _Piece, t: int) -> bool:
        return piece.counts if piece.kick is not None else piece.start + t >= self._skip

    def _steps(self, piece: _Piece, columns: Float, back: bool = True) -> Any:
        """The steps of a piece with columns (m, T, k, D) at their states."""
        run, states = self.run, self._along.states
        if run.cell is not None:
            return CellSteps(run, states[:, piece.start : piece.stop], columns, piece.start, back)
        if piece.kick is None:
            return FieldSteps(run, states[:, piece.start : piece.stop], columns, piece.start, back=back)
        node = states[:, piece.stop : piece.stop + 1]  # a kick does not read the momentum
        return FieldSteps(run, node, columns, piece.start, [piece.kick], back)

    def _matrices(self, piece: _Piece) -> Float:
        """The Jacobians of the steps of a piece, (m, T, D, D)."""
        D, T = self.run.state_size, piece.stop - piece.start
        unit = np.broadcast_to(np.eye(D), (self.run.members, T, D, D))
        found = self._steps(piece, unit, back=False).columns.swapaxes(-1, -2)
        found[self._along.overflowed] = np.eye(D)
        return found

    def _count(self, R: Float) -> None:
        with np.errstate(divide="ignore"):
            self.logs += np.log(np.diagonal(R, axis1=1, axis2=2))

    def adjoint(self, weights: Float) -> Adjoint:
        """The gradients of Σ_j c_j Σ_i ln (R_i)_jj for weights c of shape (m, W, k)."""
        run = self.run
        m, W, k = weights.shape
        D = run.state_size
        gradient = GradientRows(run.system, m, W)
        mu, exponent = np.zeros((m, W, D)), np.zeros((m, W), np.int64)
        whole = self.part == slice(0, D)
        bar = np.zeros((m, W, D, k))
        if not whole:
            bar[:, :, self.part] = _adjoint_of_qr(
                np.zeros((m, W, *self._end.shape[1:])), self._end, self._end_factor, weights
            )
        none = np.zeros_like(weights)
        for piece, first in zip(reversed(self._pieces), reversed(self._first), strict=True):
            A = self._matrices(piece)
            T = A.shape[1]
            Q, R = np.empty((m, T + 1, D, k)), np.empty((m, T, k, k))
            Q[:, 0] = first
            for t, q, r in _factors(A, first):
                Q[:, t + 1], R[:, t] = q, r
            lam = np.empty((W, m, T, k, D))
            for t in reversed(range(T)):
                own = weights if self._counts(piece, t) else none
                cotangent = _adjoint_of_qr(bar, Q[:, t + 1], R[:, t], own)
                lam[:, :, t] = np.moveaxis(cotangent, 1, 0).swapaxes(-1, -2)
                bar = np.swapaxes(A[:, t], 1, 2)[:, None] @ cotangent
            steps = self._steps(piece, np.ascontiguousarray(Q[:, :T].swapaxes(-1, -2)))
            mu, exponent = _through_states(steps, A, lam, mu, exponent, gradient)
        return Adjoint(gradient, mu, exponent)


def _factors(matrices: Float, Q: Float) -> Iterator[tuple[int, Float, Float]]:
    """(t, Q_{t+1}, R_{t+1}) of the steps of a piece."""
    for t in range(matrices.shape[1]):
        A = matrices[:, t]
        Q, R = _factored(A @ Q, np.abs(A) @ np.abs(Q))
        yield t, Q, R


def _through_states(
    steps: Any, A: Float, lam: Float, mu: Float, exponent: Counts, gradient: GradientRows
) -> tuple[Float, Counts]:
    """Take the cotangents of the states over a piece, and add its part to the gradient."""
    m, T = A.shape[:2]
    after, places = np.empty((m, T, A.shape[-1])), np.empty((m, T), np.int64)
    mu, exponent = mu.copy(), exponent.copy()
    for w, own in enumerate(lam):
        turned, _, by_theta = steps.pull(np.zeros_like(after), own)
        _add(gradient, w, by_theta, np.zeros(m, np.int64))
        at, place = mu[:, w], exponent[:, w]
        for t in reversed(range(T)):
            after[:, t], places[:, t] = at, place
            with np.errstate(under="ignore"):
                at = np.einsum("mji,mj->mi", A[:, t], at) + np.ldexp(
                    turned[:, t], bits_of_shift(-place)[:, None]
                )
            at, place = _near_one(at, place)
        mu[:, w], exponent[:, w] = at, place
        top = places.max(axis=1)
        with np.errstate(under="ignore"):
            near = np.ldexp(after, bits_of_shift(places - top[:, None])[..., None])
        _, _, by_theta = steps.pull(near, np.zeros_like(own))
        _add(gradient, w, by_theta, top)
    return mu, exponent


def _add(gradient: GradientRows, row: int, flat: Float, exponent: Counts) -> None:
    members = slice(0, len(flat))
    for name, where in gradient.blocks.items():
        gradient.add((members, row), name, flat[:, where], exponent)


def _near_one(at: Float, place: Counts) -> tuple[Float, Counts]:
    """Take out powers of two where a cotangent leaves 2^±FAR; below it, zeros stay as they are."""
    size = np.abs(at).max(axis=-1, initial=0.0)
    shift = np.frexp(np.where(np.isfinite(size), size, 1.0))[1].astype(np.int64)
    # What is small beside the terms to come is not brought up, or these would overflow.
    shift = np.where((np.abs(shift) > FAR) & (size > 0.0), shift, 0)
    shift = np.where(place + shift < 0, -place, shift)
    if not shift.any():
        return at, place
    return np.ldexp(at, -shift[:, None].astype(np.int32)), place + shift


def _factored(Y: Float, summed: Float | None = None) -> tuple[Float, Float]:
    """Q and R of Y, (m, D, k), with a diagonal that is not negative, and zero where it is round-off.

    With Y = A Q_0 the sizes of what is `summed` in its entries, |A| |Q_0|, say what round-off Y holds: where
    A nearly annihilates a column, all of that column is round-off.
    """
    Q, R = np.linalg.qr(Y)
    diagonal = np.diagonal(R, axis1=1, axis2=2)
    sign = np.where(diagonal < 0.0, -1.0, 1.0)
    Q, R = Q * sign[:, None, :], R * sign[:, :, None]
    size = np.linalg.norm(R, axis=1)
    if summed is not None:
        size = np.maximum(size, np.einsum("maj,maj->mj", np.abs(Q), summed))
    zero = ~(np.abs(diagonal) > NOISE * size)
    if zero.any():
        which = np.arange(R.shape[-1])
        R[:, which, which] = np.where(zero, 0.0, R[:, which, which])
    return Q, R


def _adjoint_of_qr(bar: Float, Q: Float, R: Float, weights: Float) -> Float:
    """Λ of the module: bar (m, W, D, k), Q (m, D, k), R (m, k, k), weights (m, W, k)."""
    inner = np.swapaxes(bar, -1, -2) @ Q[:, None]
    low = np.tril(inner)
    mixed = -(low + np.swapaxes(np.tril(inner, -1), -1, -2))
    which = np.arange(mixed.shape[-1])
    mixed[..., which, which] += weights
    total = bar + Q[:, None] @ mixed
    diagonal = np.diagonal(R, axis1=1, axis2=2)
    lost = np.logical_not((diagonal > 0.0).all(axis=1))
    safe = np.where(lost[:, None, None], np.eye(R.shape[-1]), R)
    found: Any = np.swapaxes(np.linalg.solve(safe[:, None], np.swapaxes(total, -1, -2)), -1, -2)
    found[lost] = np.nan
    return found
