"""Covariant Lyapunov vectors, which the tangent map carries along, by Ginelli's method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from integrators.engine.blocks import one_blas_thread
from integrators.engine.column_scale import LOG_2
from integrators.run.recurrence import Recurrence
from integrators.singular_values import singular_values
from integrators.validation import as_count
from integrators.values import ByValue
from sensitivity.analysis.factoring import factor_product
from sensitivity.figures.drawn import Drawn

from .asked import as_run

__all__ = ["CovariantVectors", "covariant_vectors"]

Float = NDArray[np.float64]
Counts = NDArray[np.int64]

# Steps between two factorisations: vectors are known at these.
MOST_EVERY = 16


@dataclass(frozen=True, eq=False)
class CovariantVectors(ByValue, Drawn):
    """Covariant Lyapunov vectors along a run: the result of `covariant_vectors`.

    Attributes
    ----------
    steps : ndarray of int, shape (places,)
        The i at which the vectors are given: those of the middle of the run, where they have converged.
    vectors : ndarray, shape (*batch, places, D, k)
        Columns of length one; column j spans the direction that grows at the j-th rate.
    exponents : ndarray, shape (*batch, k)
        Mean logarithmic growth per step of each vector between the first and the last of `steps`.
    local : ndarray, shape (*batch, places − 1, k)
        Logarithmic growth per step between one place and the next.
    error : ndarray, shape (*batch, k)
        How much the vectors at the last of `steps` still depend on where the backward pass began: the largest
        sine of the angle between the vectors from two different ends. It falls at the earlier ones.
    backward : int
        Steps at the end of the run in which the backward pass forgets where it began.

    Examples
    --------
    >>> import leapgrad as lg
    >>> cell = lg.cell("vanilla", 2, activation="identity")
    >>> cell = cell.with_parameters(W=[[2.0, 1.0], [0.0, 0.5]], b=[0.0, 0.0])
    >>> found = lg.covariant_vectors(lg.unroll(cell, n_steps=200))
    >>> found.exponents.round(6)
    array([ 0.693147, -0.693147])
    >>> abs(found.vectors[0, :, 1].round(4))
    array([0.5547, 0.8321])
    """

    steps: NDArray[np.int64]
    vectors: Float
    exponents: Float
    local: Float
    error: Float
    backward: int

    def angles(self) -> Float:
        """The angle between every two vectors, in radians from 0 to π/2: (*batch, places, k, k)."""
        cosines = np.abs(np.swapaxes(self.vectors, -1, -2) @ self.vectors)
        sines = np.sqrt(np.maximum(_squared_sines(self.vectors), 0.0))
        return np.arctan2(sines, cosines)

    def hyperbolicity(self, split: int) -> Float:
        """The least angle between the first `split` vectors and the others, at every place: (*batch, places).

        The angle between what grows faster and what grows more slowly. It stays away from zero along a
        hyperbolic trajectory; with `split` as the number of directions that do not decay it separates what a
        network remembers from what it forgets.

        Parameters
        ----------
        split : int
            From 1 to k − 1.

        Raises
        ------
        TypeError, ValueError
            If it is not.
        """
        k = self.vectors.shape[-1]
        split = as_count(split, "split", least=1)
        if split >= k:
            raise ValueError(f"split must be from 1 to {k - 1}, with {k} vectors; got {split}.")
        fast, slow = (
            np.linalg.qr(part)[0] for part in (self.vectors[..., :split], self.vectors[..., split:])
        )
        # The sine is the least singular value of what of the one lies outside of the other, which is accurate
        # for small angles.
        small, large = (fast, slow) if split <= k - split else (slow, fast)
        outside = small - large @ (np.swapaxes(large, -1, -2) @ small)
        sine = singular_values(outside)[..., -1]
        cosine = singular_values(np.swapaxes(large, -1, -2) @ small)[..., 0]
        return np.arctan2(sine, cosine)

    def __repr__(self) -> str:
        k = self.vectors.shape[-1]
        return f"<CovariantVectors: {k} at {self.steps.size} places, known to {np.nanmax(self.error):.1g}>"


def _squared_sines(vectors: Float) -> Float:
    """1 − cos² of every two columns of length one, without cancellation for small angles."""
    v, w = vectors[..., :, :, None], vectors[..., :, None, :]
    sign = np.where((v * w).sum(axis=-3, keepdims=True) < 0.0, -1.0, 1.0)
    less, more = v - sign * w, v + sign * w
    return (less**2).sum(axis=-3) * (more**2).sum(axis=-3) / 4.0


def covariant_vectors(
    run: Recurrence, k: int | None = None, *, burn_in: int | None = None, backward: int | None = None
) -> CovariantVectors:
    """The first k covariant Lyapunov vectors along the middle of a run, with angles and growth.

    Parameters
    ----------
    run : Recurrence
        As `unroll` makes it, of a cell or of a field under a scheme.
    k : int, optional
        Number of vectors, at most D, the length of the state; all by default.
    burn_in : int, optional
        Steps at the beginning in which the frame aligns; a quarter of N by default.
    backward : int, optional
        Steps at the end in which the backward pass converges; a quarter of N by default.

    Returns
    -------
    CovariantVectors
        With a measure of convergence.

    Raises
    ------
    TypeError, ValueError
        If `run` is no recurrence, or `k`, `burn_in` or `backward` leave nothing to compute.
    TrajectoryOverflow
        If the state leaves the range of float64. In a batch this gives NaN and a warning instead.

    Notes
    -----
    The forward pass factors the tangent map, J_n Q_{n−1} = Q_n R_n; the backward pass takes an upper
    triangular C_n back by C_{n−1} = R_n⁻¹ C_n, with columns of length one, and V_n = Q_n C_n (F. Ginelli et
    al., *Phys. Rev. Lett.* 99 (2007) 130601). Vector j converges as fast as the exponents λ_j and λ_{j+1} lie
    apart. A second backward pass from a random C beside that from the unit matrix shows how far it has.

    Where a direction is lost, since a step is singular to round-off, the vectors that need it are NaN.

    Memory is that of Q and R at the places: 8 (D + k) k bytes for every sixteen steps (every step of a run of
    fewer than 4000) and batch member.

    Examples
    --------
    >>> import leapgrad as lg
    >>> found = lg.covariant_vectors(lg.unroll(lg.cell("lstm", 4, rng=0), n_steps=400), k=2)
    >>> found.vectors.shape, found.angles().shape
    ((201, 8, 2), (201, 2, 2))
    """
    run = as_run(run)
    N, size = as_count(run.n_steps, "n_steps", least=1), run.state_size
    count = size if k is None else as_count(k, "k", least=1)
    if count > size:
        raise ValueError(f"k must be at most {size}, the length of the state, got {count}.")
    first = N // 4 if burn_in is None else as_count(burn_in, "burn_in")
    tail = N // 4 if backward is None else as_count(backward, "backward")
    if first + tail >= N:
        raise ValueError(f"burn_in + backward must be less than n_steps = {N}, got {first} + {tail}.")
    every = 1 if N < 4000 else MOST_EVERY
    stops = _stops(N, first, N - tail, every)
    frame = np.linalg.qr(np.random.default_rng(0).normal(size=(size, count)))[0]
    kept = _Kept(np.array(stops), run.members, size, count)
    with one_blas_thread():
        kept.frames[:, 0] = frame
        last = factor_product(run, frame, stops, kept, frames=kept.frame)
        lost = np.isnan(last).any(axis=(1, 2))
        places = np.array([0, *stops])
        low, high = int(np.searchsorted(places, first)), int(np.searchsorted(places, N - tail))
        vectors = np.full((run.members, high - low + 1, size, count), np.nan)
        local = np.full((run.members, high - low, count), np.nan)
        error = np.full((run.members, count), np.nan)
        for member in np.flatnonzero(~lost).tolist():
            vectors[member], local[member], error[member] = _backward(kept, member, low, high)
    gaps = np.diff(places[low : high + 1])
    return CovariantVectors(
        places[low : high + 1],
        vectors.reshape(*run.shape, *vectors.shape[1:]),
        (local.sum(axis=1) / gaps.sum()).reshape(*run.shape, count),
        (local / gaps[:, None]).reshape(*run.shape, *local.shape[1:]),
        error.reshape(*run.shape, count),
        tail,
    )


def _stops(n_steps: int, low: int, high: int, every: int) -> list[int]:
    """Last steps of the panels, with `low` and `high` among them."""
    marks = sorted({*range(every, n_steps, every), low, high, n_steps} - {0})
    return marks


class _Kept:
    """Q and R · diag(2^powers) of every panel: receives the factors of `factor_product`.

    A panel may be factored in several pieces; their triangular factors are multiplied.
    """

    def __init__(self, stops: Counts, members: int, size: int, k: int) -> None:
        self._stops = stops
        self.frames = np.zeros((members, stops.size + 1, size, k))
        self.factors = np.zeros((members, stops.size, k, k))
        self.powers = np.zeros((members, stops.size), np.int64)
        self._tried = np.zeros((members, k, k))
        self._powers = np.zeros(members, np.int64)
        self.k = k

    def begin(self, members: NDArray[np.intp]) -> None:
        self._tried[members], self._powers[members] = np.eye(self.k), 0

    def take(self, members: NDArray[np.intp], factors: Float, powers: Counts, error: Float) -> None:
        top = powers.max(axis=1)
        scaled = np.ldexp(factors, (powers - top[:, None])[:, None, :].astype(np.int32))
        self._tried[members] = scaled @ self._tried[members]
        self._powers[members] += top

    def frame(self, members: NDArray[np.intp], stop: int, frames: Float) -> None:
        """The orthonormal columns at the end of a panel."""
        self.frames[members, int(np.searchsorted(self._stops, stop)) + 1] = frames

    def keep(self, members: NDArray[np.intp], stop: int, state: Counts) -> None:
        place = int(np.searchsorted(self._stops, stop))
        self.factors[members, place], self.powers[members, place] = (
            self._tried[members],
            self._powers[members],
        )


def _backward(kept: _Kept, member: int, low: int, high: int) -> tuple[Float, Float, Float]:
    """Vectors at the places low … high, their growth between these, and how far they have converged."""
    k, panels = kept.k, kept.factors.shape[1]
    random = np.triu(np.random.default_rng(1).normal(size=(k, k)))
    coefficients, other = _of_length_one(np.eye(k)), _of_length_one(random)
    vectors, growth = np.empty((high - low + 1, kept.frames.shape[2], k)), np.empty((high - low, k))
    error = np.full(k, np.nan)
    for place in range(panels, low - 1, -1):
        if place == high:
            error = np.sqrt(_sine_squared(coefficients, other))
        if place <= high:
            vectors[place - low] = _of_length_one(kept.frames[member, place] @ coefficients)
        if place == low:
            break
        R = kept.factors[member, place - 1]
        with np.errstate(all="ignore"):
            coefficients, lengths = _back(R, coefficients)
            other, _ = _back(R, other)
        if place <= high:
            growth[place - 1 - low] = LOG_2 * kept.powers[member, place - 1] - np.log(lengths)
    return vectors, growth, error


def _back(R: Float, coefficients: Float) -> tuple[Float, Float]:
    """R⁻¹ C with columns of length one, and the lengths that they had; NaN from the first zero of R on."""
    k = len(R)
    live = int(np.argmax(np.append(np.diagonal(R) == 0.0, True)))
    found = np.full((k, k), np.nan)
    if live:
        found[:, :live] = 0.0
        found[:live, :live] = solve_triangular(
            R[:live, :live], coefficients[:live, :live], check_finite=False
        )
    lengths = np.sqrt((found**2).sum(axis=0))
    return found / lengths, lengths


def _of_length_one(columns: Float) -> Float:
    return columns / np.sqrt((columns**2).sum(axis=0))


def _sine_squared(a: Float, b: Float) -> Float:
    """sin² of the angle between each two columns of length one."""
    sign = np.where((a * b).sum(axis=0) < 0.0, -1.0, 1.0)
    return ((a - sign * b) ** 2).sum(axis=0) * ((a + sign * b) ** 2).sum(axis=0) / 4.0
