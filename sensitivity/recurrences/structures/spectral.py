"""Structures by the eigenvalues of a matrix: exponentials, and matrices of spectral radius one.

They need SciPy, which takes longer to load than the matrices of `matrices` should wait for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.cells.structure import Structure
from integrators.engine.blocks import one_blas_thread

from .matrices import (
    above_diagonal,
    antisymmetric,
    cayley,
    cayley_slope,
    check_orthogonal,
    from_cayley,
    read_antisymmetric,
    side_of,
)

__all__ = ["EigenNormalised", "Exponential"]

Float = NDArray[np.float64]
Arrays = Mapping[str, Float]

DRIFT = 1e-13
"""Largest entry of WᵀW − I that is left in an exponential."""


@dataclass(frozen=True)
class Exponential(Structure):
    """W = exp(A) with an antisymmetric A: an orthogonal matrix with determinant 1.

    The free parameters are the entries of A above the diagonal, row by row; a whole matrix A may be given,
    too.

    Examples
    --------
    >>> import numpy as np
    >>> import leapgrad as lg
    >>> cell = lg.cell("vanilla", 4).structured(lg.Exponential(), A=np.arange(6.0))
    >>> W = cell.with_free(cell.free - 0.1).parameters["W"]
    >>> bool(np.allclose(W.T @ W, np.eye(4)))
    True
    """

    makes = ("W",)

    def shapes(self, d: int) -> dict[str, tuple[int, ...]]:
        return {"A": (d * (d - 1) // 2,)}

    def read(self, name: str, value: Any, d: int) -> Float:
        return read_antisymmetric(name, value, d)

    def assemble(self, free: Arrays) -> dict[str, Float]:
        W = np.asarray(_linalg().expm(antisymmetric(free["A"], side_of(free["A"]))), np.float64)
        # The squarings lose about ‖A‖ units of round-off, and a step of Newton and Schulz finds them again.
        gram = W.T @ W
        if np.abs(gram - np.eye(len(W))).max() > DRIFT:
            W = W @ (3.0 * np.eye(len(W)) - gram) / 2.0
        return {"W": W}

    def pullback(self, free: Arrays, gradient: Arrays) -> dict[str, Float]:
        """By the theorem of Daleckii and Krein, in the unitary basis U of the eigenvectors of A = U iΩ U*.

        With dW = U (Φ ∘ U* dA U) U*, Φ_jk = (e^{iω_j} − e^{iω_k})/(iω_j − iω_k) = e^{i(ω_j + ω_k)/2}
        sin(δ)/δ, δ = (ω_j − ω_k)/2, the transposed map is Z = U (Φ̄ ∘ U* G U) U*, and no digits are lost
        where two eigenvalues meet.
        """
        A = antisymmetric(free["A"], side_of(free["A"]))
        omega, U = np.linalg.eigh(-1j * A)
        mean, half = omega[:, None] / 2.0 + omega / 2.0, omega[:, None] / 2.0 - omega / 2.0
        slope = np.exp(-1j * mean) * np.sinc(half / math.pi)
        Z = (U @ (slope * (U.conj().T @ gradient["W"] @ U)) @ U.conj().T).real
        return {"A": above_diagonal(Z - Z.T)}

    def recover(self, made: Arrays, given: Arrays) -> dict[str, Float]:
        """The principal logarithm: rotations by angles in [−π, π]."""
        W = made["W"]
        check_orthogonal(W)
        T, Z = _linalg().schur(W, output="real")[:2]
        L, i, reflected = np.zeros_like(W), 0, []
        while i < len(W):
            if i + 1 < len(W) and T[i + 1, i] != 0.0:
                angle = math.atan2(T[i + 1, i] - T[i, i + 1], T[i, i] + T[i + 1, i + 1])
                L[i, i + 1], L[i + 1, i] = -angle, angle
                i += 2
            else:
                reflected += [i] if T[i, i] < 0.0 else []
                i += 1
        if len(reflected) % 2:
            raise ValueError("no A makes this W, since det W = −1 and exp(A) has the determinant 1.")
        for p, q in zip(reflected[::2], reflected[1::2], strict=True):
            L[p, q], L[q, p] = -math.pi, math.pi
        A = Z @ L @ Z.T
        return {"A": above_diagonal((A - A.T) / 2.0)}


@dataclass(frozen=True)
class EigenNormalised(Structure):
    """W = [[W₁, W₃], [0, W₂/ρ(W₂)]], W₁ = (I + A)⁻¹ (I − A) orthogonal, ρ the spectral radius.

    Free are A, W₂ and W₃; the zero block stays zero. ρ is not differentiable where eigenvalues of different
    real parts or opposite sign tie for the largest modulus; the gradient is that of one of them there.

    Attributes
    ----------
    split : int, optional
        Size of W₁; d/2 by default.

    Examples
    --------
    >>> import leapgrad as lg
    >>> cell = lg.cell("enrnn", 6)
    >>> sorted(cell.free_parameters)
    ['A', 'W2', 'W3', 'b']
    """

    split: int | None = None
    makes = ("W",)

    def _parts(self, d: int) -> tuple[int, int]:
        first = d // 2 if self.split is None else self.split
        return first, d - first

    def shapes(self, d: int) -> dict[str, tuple[int, ...]]:
        d1, d2 = self._parts(d)
        shapes = {"A": (d1 * (d1 - 1) // 2,), "W2": (d2, d2), "W3": (d1, d2)}
        return {name: shape for name, shape in shapes.items() if name == "A" or 0 not in shape}

    def start(self, d: int) -> dict[str, Float]:
        d2 = self._parts(d)[1]
        return {**super().start(d), **({"W2": np.eye(d2)} if d2 else {})}

    def read(self, name: str, value: Any, d: int) -> Float:
        if name == "A":
            return read_antisymmetric(name, value, self._parts(d)[0])
        array = super().read(name, value, d)
        if name == "W2" and np.abs(np.linalg.eigvals(array)).max() == 0.0:
            raise ValueError("W2 has the spectral radius 0, by which it cannot be divided.")
        return array

    def _sizes(self, free: Arrays) -> tuple[int, int]:
        d2 = len(free["W2"]) if "W2" in free else 0
        return len(free["W3"]) if "W3" in free else (side_of(free["A"]) if not d2 else 0), d2

    def assemble(self, free: Arrays) -> dict[str, Float]:
        d1, d2 = self._sizes(free)
        W = np.zeros((d1 + d2, d1 + d2))
        W[:d1, :d1] = cayley(antisymmetric(free["A"], d1), np.ones(d1))
        if d2:
            radius = np.abs(np.linalg.eigvals(free["W2"])).max()
            if radius == 0.0:
                raise ValueError("W2 has the spectral radius 0, by which it cannot be divided.")
            W[d1:, d1:] = free["W2"] / radius
        if d1 and d2:
            W[:d1, d1:] = free["W3"]
        return {"W": W}

    def pullback(self, free: Arrays, gradient: Arrays) -> dict[str, Float]:
        (d1, d2), G = self._sizes(free), gradient["W"]
        A, one = antisymmetric(free["A"], d1), np.ones(d1)
        Z = cayley_slope(A, cayley(A, one), one, G[:d1, :d1])
        found = {"A": above_diagonal(Z - Z.T)}
        if d2:
            radius, slope = _radius_slope(free["W2"])
            own = G[d1:, d1:]
            found["W2"] = own / radius - float(np.sum(own * free["W2"])) / radius**2 * slope
        if d1 and d2:
            found["W3"] = G[:d1, d1:].copy()
        return found

    def recover(self, made: Arrays, given: Arrays) -> dict[str, Float]:
        W = made["W"]
        d1, d2 = self._parts(len(W))
        if W[d1:, :d1].any():
            raise ValueError(f"rows {d1} … of W must be zero in the first {d1} columns.")
        check_orthogonal(W[:d1, :d1])
        found = {"A": above_diagonal(from_cayley(W[:d1, :d1]))}
        if d2:
            radius = np.abs(np.linalg.eigvals(W[d1:, d1:])).max()
            if abs(radius - 1.0) > 1e-9:
                raise ValueError(f"the last {d2} rows of W have the spectral radius {radius:.6g}, not 1.")
            found["W2"] = W[d1:, d1:].copy()
        return found | ({"W3": W[:d1, d1:].copy()} if d1 and d2 else {})


def _linalg() -> Any:
    """`scipy.linalg`, loaded when it is needed, which takes 0.3 s; its BLAS has one thread where ours has."""
    import scipy.linalg

    with one_blas_thread():
        return scipy.linalg


def _radius_slope(W: Float) -> tuple[float, Float]:
    """ρ(W) and ∂ρ/∂W = Re(λ̄ v̄ uᵀ/(v*u))/|λ|, with the right and left eigenvectors u and v of λ, |λ| = ρ."""
    found: Any = _linalg().eig(W, left=True, right=True)
    values, left, right = found
    k = int(np.abs(values).argmax())
    value, u, v = values[k], right[:, k], left[:, k]
    meeting = abs(np.vdot(v, u))  # of unit vectors
    if meeting < 1e-14:
        raise ValueError(
            "the largest eigenvalue of W2 is defective, where its spectral radius has no derivative; move W2 "
            "a little."
        )
    slope = (np.conj(value) * np.outer(v.conj(), u) / np.vdot(v, u)).real / abs(value)
    return float(abs(value)), slope
