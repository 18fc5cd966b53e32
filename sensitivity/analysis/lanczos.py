"""Largest singular values of ∂s_N/∂s_0 without forming it: Golub–Kahan–Lanczos on sweeps.

Every iteration costs one sweep forwards and one backwards along a stored trajectory, for all members at once,
so that each product with W is a matrix product. Full reorthogonalisation keeps the Ritz values free of copies
(G. H. Golub, W. Kahan, *SIAM J. Numer. Anal.* B 2 (1965) 205–224; Golub, Van Loan, *Matrix Computations*,
4th ed., section 10.4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from integrators.engine.blocks import one_blas_thread
from integrators.engine.column_scale import Scaled, from_scaled
from integrators.singular_values import svd
from integrators.values import ByValue

__all__ = ["JacobianBlock", "SingularTriplets", "golub_kahan_lanczos", "repeated_triplets"]

Float = NDArray[np.float64]

# Of the start vector that is random, however far it leans.
START_SHARE = 1e-3
# Round-off of two sweeps along one trajectory stays far below this, what underflow loses does not.
ADJOINT_ERROR = 1e-6


class Linearised(Protocol):
    """J = ∂s_N/∂s_0 as an operator, with columns of its own for every batch member."""

    @property
    def overflowed(self) -> NDArray[np.bool_]:
        """Batch members whose trajectory left the range of float64."""
        ...

    def pushforward(self, columns: Float) -> Scaled:
        """J V for V of shape (members, D, k)."""
        ...

    def pullback(self, cotangents: Float) -> Scaled:
        """Jᵀ Λ for Λ of shape (members, D, k)."""
        ...

    def start_vector(self, vector: Float) -> Float:
        """A (D,) vector turned towards what J amplifies most, where that is known beforehand."""
        ...


@dataclass(frozen=True, eq=False)
class SingularTriplets(ByValue):
    """The k largest singular values of every member, σ = values · 2^exponent.

    Attributes
    ----------
    values : ndarray, shape (members, k)
    exponent : ndarray of int, shape (members,)
    left, right : ndarray, shape (members, rows, k), (members, columns, k)
        Singular vectors: J right = left · σ.
    error : ndarray, shape (members, k)
        Residual over value, a bound on the relative distance to a singular value.
    converged : ndarray of bool, shape (members,)
        Whether a member's values are within the tolerance; the others mean nothing.
    iterations : int
        Sweeps in each direction.
    """

    values: Float
    exponent: NDArray[np.int64]
    left: Float
    right: Float
    error: Float
    converged: NDArray[np.bool_]
    iterations: int


class JacobianBlock(NamedTuple):
    """The block J[rows, columns] of ∂s_N/∂s_0, by sweeps along a stored trajectory.

    Attributes
    ----------
    linearised : Linearised
    members : int
        Number of batch members.
    size : int
        Length of the full state.
    rows, columns : slice
    """

    linearised: Linearised
    members: int
    size: int
    rows: slice
    columns: slice

    @property
    def shape(self) -> tuple[int, int]:
        rows, columns = (len(range(*s.indices(self.size))) for s in (self.rows, self.columns))
        return rows, columns


class _Bidiagonalisation:
    """J V = U B, one column more of each with every iteration, for all batch members together.

    One fixed power of two is taken out of J for each member. What `known` holds is left out of J.
    """

    def __init__(self, block: JacobianBlock, known: SingularTriplets | None) -> None:
        self._block = block
        self.exponent: NDArray[np.int64] | None = None
        self._left_out = [] if known is None else list(known.left.transpose(2, 0, 1))
        self._right_out = [] if known is None else list(known.right.transpose(2, 0, 1))
        start = _start(block.linearised, block.size, len(self._left_out))[block.columns]
        v = np.broadcast_to(start, (block.members, block.shape[1]))
        self.V, self.U = [_unit(_orthogonal(v, self._right_out))[0]], []
        self.alphas: list[Float] = []
        self.betas: list[Float] = []

    @property
    def limit(self) -> int:
        """Iterations after which the factorisation is complete."""
        return min(self._block.shape) - len(self._left_out)

    def forwards(self) -> Float:
        """The first half of an iteration: the next α, and the next column of U."""
        u = self._product(
            self.V[-1], self._block.linearised.pushforward, self._block.columns, self._block.rows
        )
        if self.U:
            u = u - self.betas[-1][:, None] * self.U[-1]
        u, alpha = _unit(_orthogonal(u, self._left_out + self.U))
        self.alphas.append(alpha)
        return u

    def backwards(self) -> tuple[Float, Float]:
        """The second half: the next β. Returns Jᵀu, and the next column of V."""
        block = self._block
        pulled = self._product(self.U[-1], block.linearised.pullback, block.rows, block.columns)
        v = pulled - self.alphas[-1][:, None] * self.V[-1]
        v, beta = _unit(_orthogonal(v, self._right_out + self.V))
        self.betas.append(beta)
        return pulled, v

    def _product(self, vector: Float, sweep, source: slice, target: slice) -> Float:
        columns = np.zeros((self._block.members, self._block.size, 1))
        columns[:, source, 0] = vector
        result: Scaled = sweep(columns)
        values = result.values[:, target, 0]
        scale = self.exponent
        if scale is None:
            # The first product sets the scale: a random vector meets the largest singular value.
            _, top = np.frexp(np.abs(values).max(axis=1, initial=0.0))
            scale = self.exponent = result.exponent + top
        return from_scaled(values, (result.exponent - scale)[:, None])


def golub_kahan_lanczos(
    block: JacobianBlock,
    k: int = 1,
    tol: float = 1e-10,
    max_iterations: int | None = None,
    tick: Callable[[], object] = lambda: None,
    known: SingularTriplets | None = None,
) -> SingularTriplets:
    """The k largest singular values of a block of the Jacobian, for every batch member.

    Parameters
    ----------
    block : JacobianBlock
    k : int
        How many values.
    tol : float
        Relative accuracy of each of them.
    max_iterations : int, optional
        Leave members open after so many; by default the smaller dimension of the block, after which
        the factorisation is complete.
    tick : callable
        Called after every iteration.
    known : SingularTriplets, optional
        Triplets that are left out: the largest values of what remains of J without them.

    Notes
    -----
    One start vector sees each value once, however often it is repeated: for k > 1 take `repeated_triplets`.

    With J V = U B, some singular value lies within the residual r_i = β |e_sᵀ p_i| of the i-th Ritz value
    θ_i, or, half an iteration earlier, r_i = α |e_sᵀ q_i|; the iteration stops at r_i ≤ tol θ_i. The error
    r_i²/gap that one expects of a separated value would stop it in half the iterations, but the gap to a
    value that has not shown itself yet is not known: with σ₂ = (1 − 1e-7) σ₁ that rule stopped 6.5e-8 short.
    """
    parts = _Bidiagonalisation(block, known)
    allowed = parts.limit if max_iterations is None else min(max_iterations, parts.limit)
    overflowed = block.linearised.overflowed
    found = _Found(~overflowed, *block.shape, k, tol)
    done, next_look = 0, k
    with one_blas_thread():
        while found.open.any() and done < allowed:
            u = parts.forwards()
            done += 1
            look = done > k and done >= next_look
            if look and not found.look(parts):
                break
            parts.U.append(u)
            pulled, v = parts.backwards()
            found.compare(pulled, parts.V[-1], parts.alphas[-1])
            if look or done == k or done == allowed:
                next_look = done + max(1, done // 8)  # the small problem should cost less than the sweeps
                found.look(parts, whole=done == parts.limit)
            parts.V.append(v)
            tick()
    converged = ~(found.open | found.given_up | overflowed)
    exponent = np.zeros(block.members, np.int64) if parts.exponent is None else parts.exponent
    return SingularTriplets(
        found.values, exponent, found.left, found.right, found.error, converged, len(parts.U)
    )


def _start(linearised: Linearised, size: int, seed: int) -> Float:
    """A random vector of length `size` that leans towards what J amplifies most.

    It keeps a share of every direction, or a value might stay hidden until the others have converged. With
    the paper's weights at d = 100 it takes 3 iterations at most step sizes and 7 at the smallest; the random
    vector alone takes 4 and 9.
    """
    vector = np.random.default_rng(seed).normal(size=size)
    turned = linearised.start_vector(vector)
    return turned / np.linalg.norm(turned) + START_SHARE * vector / np.linalg.norm(vector)


def repeated_triplets(
    block: JacobianBlock,
    k: int = 1,
    tol: float = 1e-10,
    max_iterations: int | None = None,
    tick: Callable[[], object] = lambda: None,
) -> SingularTriplets:
    """`golub_kahan_lanczos`, where a member with a repeated value among its k largest has not converged.

    What remains of J without the triplets found has the norm σ_{k+1}: where a second iteration, from another
    vector, finds more than σ_k, a copy of some value was missed.
    """
    found = golub_kahan_lanczos(block, k, tol, max_iterations, tick)
    if k == 1:
        return found
    rest = golub_kahan_lanczos(block, 1, tol, max_iterations, tick, known=found)
    beyond = from_scaled(rest.values[:, 0], rest.exponent - found.exponent)
    complete = rest.converged & (beyond <= found.values[:, -1] * (1.0 + 10.0 * tol))
    return replace(found, converged=found.converged & complete)


class _Found:
    """Triplets of the members that have converged, each taken when it did: members do not see each other."""

    def __init__(self, open_: NDArray[np.bool_], n_rows: int, n_columns: int, k: int, tol: float) -> None:
        self._k, self._tol = k, tol
        self.open, members = open_, open_.size
        self.given_up = np.zeros(members, bool)
        self.values, self.error = np.zeros((members, k)), np.full((members, k), np.inf)
        self.left, self.right = np.zeros((members, n_rows, k)), np.zeros((members, n_columns, k))

    def compare(self, pulled: Float, v: Float, alpha: Float) -> None:
        """Give up members where ⟨Jᵀu, v⟩ is not ⟨u, Jv⟩ = α: entries of a column left float64."""
        with np.errstate(over="ignore", invalid="ignore"):
            error = np.abs(np.einsum("ld,ld->l", pulled, v) - alpha)
            given_up = error > ADJOINT_ERROR * (np.linalg.norm(pulled, axis=1) + alpha)
        self.given_up |= given_up & self.open
        self.open &= ~self.given_up

    def look(self, parts: _Bidiagonalisation, whole: bool = False) -> bool:
        """Take the open members whose first k Ritz values are within tol, or all if the space is used up.

        With as many α as β the residual is the last β times the last row of p; in the middle of an iteration,
        with an α more, the last α times that of q. Returns whether a member is still open.
        """
        alphas, betas, U, V = parts.alphas, parts.betas, parts.U, parts.V
        *known, rest = (betas, alphas)[(half := len(alphas) > len(betas))]
        diagonal, beside = (known, betas) if half else (alphas, known)
        members = np.flatnonzero(self.open & np.isfinite(alphas[-1]) & np.isfinite(rest))
        p, theta, q = svd(_bidiagonal([a[members] for a in diagonal], [b[members] for b in beside]))
        k = self._k
        ends = q[:, :k, -1] if half else p[:, -1, :k]
        error = np.zeros((members.size, k)) if whole else _relative(rest[members], ends, theta[:, :k])
        taken = (error <= self._tol).all(axis=1)
        chosen = members[taken]
        self.values[chosen], self.error[chosen] = theta[taken, :k], error[taken]
        for member, small_left, small_right in zip(chosen, p[taken], q[taken], strict=True):
            self.left[member] = np.array([u[member] for u in U]).T @ small_left[:, :k]
            self.right[member] = np.array([v[member] for v in V]).T @ small_right[:k].T
        self.open[chosen] = False
        return bool(self.open.any())


def _unit(vectors: Float) -> tuple[Float, Float]:
    """Unit vectors and their lengths; a zero vector stays zero (an invariant subspace was found)."""
    length = np.linalg.norm(vectors, axis=1)
    return vectors / np.where(length == 0.0, 1.0, length)[:, None], length


def _orthogonal(vectors: Float, basis: list[Float]) -> Float:
    """Vectors made orthogonal to a basis, member by member; twice is enough."""
    for _ in range(2 if basis else 0):
        stack = np.array(basis)
        vectors = vectors - np.einsum("sld,sl->ld", stack, np.einsum("sld,ld->sl", stack, vectors))
    return vectors


def _bidiagonal(alphas: list[Float], betas: list[Float]) -> Float:
    """B of J V = U B: upper bidiagonal, shape (members, number of α, 1 + number of β)."""
    matrix = np.zeros((alphas[0].size, len(alphas), len(betas) + 1))
    index = np.arange(len(alphas))
    matrix[:, index, index] = np.array(alphas).T
    if betas:
        index = np.arange(len(betas))
        matrix[:, index, index + 1] = np.array(betas).T
    return matrix


def _relative(rest: Float, ends: Float, theta: Float) -> Float:
    """Residual over value, shape (members, k); zero for an invariant subspace."""
    residual = rest[:, None] * np.abs(ends)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(residual == 0.0, 0.0, residual / theta)
