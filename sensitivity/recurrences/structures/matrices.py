"""Orthogonal, unitary and other structured matrices from the free parameters of their publications.

Each is an `integrators.cells.structure.Structure`: free parameters → matrix, and the gradient by the matrix →
the one by the free parameters, exact. An antisymmetric matrix is held by its d(d − 1)/2 entries above the
diagonal, row by row, so that it stays antisymmetric whatever an optimiser does with them; where it is given,
it may be given as a matrix (d, d), too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.cells.structure import Structure
from integrators.singular_values import singular_values
from integrators.validation import as_array

__all__ = [
    "Antisymmetric",
    "Cayley",
    "ComplexMatrix",
    "FourierFactors",
    "Lipschitz",
    "Positive",
    "UnitaryCayley",
    "above_diagonal",
    "antisymmetric",
    "as_real",
    "cayley",
    "cayley_slope",
    "check_orthogonal",
    "from_cayley",
    "read_antisymmetric",
    "side_of",
]

Float = NDArray[np.float64]
Complex = NDArray[np.complex128]
Arrays = Mapping[str, Float]

ORTHOGONAL = 1e-12
"""Largest entry of WᵀW − I, in units of √d, up to which a given W counts as orthogonal."""


def cayley(A: Any, scale: Any) -> Any:
    """(I + A)⁻¹ (I − A) diag(scale): orthogonal or unitary for A = −A* and entries of size one."""
    unit = np.eye(len(A))
    return np.linalg.solve(unit + A, unit - A) * scale


def above_diagonal(matrix: Any) -> Any:
    """Entries above the diagonal, row by row."""
    return matrix[np.triu_indices(len(matrix), 1)]


def antisymmetric(entries: Float, d: int) -> Float:
    """A = −Aᵀ from its entries above the diagonal."""
    A = np.zeros((d, d))
    A[np.triu_indices(d, 1)] = entries
    return A - A.T


def as_real(W: Complex) -> Float:
    """[[Re W, −Im W], [Im W, Re W]]: what W does to (Re h, Im h)."""
    return np.block([[W.real, -W.imag], [W.imag, W.real]])


def _as_complex(W: Float) -> Complex:
    """The complex W of `as_real`.

    Raises
    ------
    ValueError
        If W is not of that form.
    """
    d = len(W) // 2
    off = max(np.abs(W[:d, :d] - W[d:, d:]).max(), np.abs(W[:d, d:] + W[d:, :d]).max())
    if off > ORTHOGONAL:
        raise ValueError(
            f"W is no complex matrix, [[X, −Y], [Y, X]] with real X and Y: the blocks differ by {off:.2g}."
        )
    return W[:d, :d] + 1j * W[d:, :d]


def _complex_gradient(G: Float) -> Complex:
    """The gradient by Re W plus i times that by Im W, from one by the entries of `as_real`."""
    d = len(G) // 2
    return (G[:d, :d] + G[d:, d:]) + 1j * (G[d:, :d] - G[:d, d:])


def check_orthogonal(W: Any) -> None:
    """Raise a ValueError if a matrix is not orthogonal, or unitary where it is complex, to round-off."""
    off = float(np.abs(W.conj().T @ W - np.eye(len(W))).max(initial=0.0))
    if off > ORTHOGONAL * math.sqrt(len(W)):
        kind, star = ("unitary", "W*W") if np.iscomplexobj(W) else ("orthogonal", "WᵀW")
        raise ValueError(
            f"W is not {kind}, {star} differs from I by {off:.2g}; give the nearest {kind} matrix, "
            "scipy.linalg.polar(W)[0], or the free parameters."
        )


def read_antisymmetric(name: str, value: Any, d: int) -> Float:
    """Entries above the diagonal of a given A, which is a matrix or these entries."""
    array = as_array(value, name, (1, 2))
    if array.shape == (d * (d - 1) // 2,):
        return array
    if array.shape != (d, d):
        raise ValueError(
            f"{name} has shape {array.shape}; give a matrix ({d}, {d}), or its {d * (d - 1) // 2} entries "
            "above the diagonal, row by row."
        )
    off = float(np.abs(array + array.T).max(initial=0.0))
    if off > 0.0:
        raise ValueError(f"{name} is not antisymmetric, A + Aᵀ has an entry {off:.2g}; give (A − Aᵀ)/2.")
    return above_diagonal(array)


def from_cayley(Q: Any) -> Any:
    """A with (I + A)⁻¹ (I − A) = Q, for Q without the eigenvalue −1."""
    if not len(Q):
        return Q
    unit = np.eye(len(Q))
    near = float(singular_values(unit + Q).min(initial=2.0))
    if near < 1e-7:
        raise ValueError(
            "no A makes this W, since W D has the eigenvalue −1 of no Cayley transform; give D, other signs."
        )
    A = np.linalg.solve((unit + Q).conj().T, (unit - Q).conj().T).conj().T
    return (A - A.conj().T) / 2.0


def cayley_slope(A: Any, W: Any, scale: Any, G: Any) -> Any:
    """Z with dC = Re tr(Z* dA) for W = (I + A)⁻¹ (I − A) diag(scale): Z = −(I + A)⁻* G (W + diag(scale))*."""
    unit = np.eye(len(A))
    return -np.linalg.solve((unit + A).conj().T, G @ (W + np.diag(scale)).conj().T)


@dataclass(frozen=True)
class Antisymmetric(Structure):
    """W = A − Aᵀ − γ I, the matrix of the antisymmetric network of Chang et al. (ICLR 2019).

    Only the differences A_ij − A_ji matter. The free parameters are therefore the entries of A above the
    diagonal, row by row; a whole matrix A may be given, too.

    Parameters
    ----------
    gamma : float
        γ ≥ 0, the damping, which is not trained.

    Examples
    --------
    >>> import leapgrad as lg
    >>> cell = lg.cell("antisymmetric", 4)
    >>> W = cell.parameters["W"]
    >>> sorted(cell.free_parameters), (W + W.T).diagonal().round(6)
    (['A', 'activation', 'b', 'gamma'], array([-0.02, -0.02, -0.02, -0.02]))
    """

    gamma: float = 0.0
    makes = ("W",)
    fixed = ("gamma",)

    def shapes(self, d: int) -> dict[str, tuple[int, ...]]:
        return {"A": (d * (d - 1) // 2,), "gamma": ()}

    def start(self, d: int) -> dict[str, Float]:
        return {"A": np.zeros(d * (d - 1) // 2), "gamma": np.array(float(self.gamma))}

    def read(self, name: str, value: Any, d: int) -> Float:
        if name == "A" and np.ndim(value) == 2 and np.shape(value) == (d, d):
            array = as_array(value, name, 2)
            return above_diagonal(array - array.T)
        return read_antisymmetric(name, value, d) if name == "A" else super().read(name, value, d)

    def assemble(self, free: Arrays) -> dict[str, Float]:
        d = side_of(free["A"])
        return {"W": antisymmetric(free["A"], d) - free["gamma"] * np.eye(d)}

    def pullback(self, free: Arrays, gradient: Arrays) -> dict[str, Float]:
        G = gradient["W"]
        return {"A": above_diagonal(G - G.T)}

    def recover(self, made: Arrays, given: Arrays) -> dict[str, Float]:
        W = made["W"] + given["gamma"] * np.eye(len(made["W"]))
        off = float(np.abs(W + W.T).max(initial=0.0))
        if off > ORTHOGONAL * max(1.0, float(np.abs(W).max(initial=0.0))):
            raise ValueError(
                f"W is not A − Aᵀ − γ I with γ = {float(given['gamma']):g}: W + γ I is antisymmetric up to "
                f"{off:.2g} only; give A and gamma, or another gamma."
            )
        return {"A": above_diagonal(W)}


def side_of(entries: Float) -> int:
    """d, from the d(d − 1)/2 entries above a diagonal."""
    return (1 + math.isqrt(1 + 8 * entries.size)) // 2


@dataclass(frozen=True)
class Cayley(Structure):
    """W = (I + A)⁻¹ (I − A) D, A antisymmetric, D diagonal of signs ±1, which are fixed: orthogonal.

    Half of the signs are −1 by default, the last ones, so that W may have the eigenvalue −1, which no Cayley
    transform has.

    Examples
    --------
    >>> import numpy as np
    >>> import leapgrad as lg
    >>> W = lg.cell("vanilla", 4).structured(lg.Cayley(), A=np.arange(6.0)).parameters["W"]
    >>> bool(np.allclose(W.T @ W, np.eye(4)))
    True
    """

    makes = ("W",)
    fixed = ("D",)

    def shapes(self, d: int) -> dict[str, tuple[int, ...]]:
        return {"A": (d * (d - 1) // 2,), "D": (d,)}

    def start(self, d: int) -> dict[str, Float]:
        return {"A": np.zeros(d * (d - 1) // 2), "D": np.repeat([1.0, -1.0], [d - d // 2, d // 2])}

    def read(self, name: str, value: Any, d: int) -> Float:
        if name == "A":
            return read_antisymmetric(name, value, d)
        signs = super().read(name, value, d)
        if (np.abs(signs) != 1.0).any():
            raise ValueError(f"D holds {signs[np.abs(signs) != 1.0][0]:g}; its entries must be 1 or −1.")
        return signs

    def assemble(self, free: Arrays) -> dict[str, Float]:
        return {"W": cayley(antisymmetric(free["A"], len(free["D"])), free["D"])}

    def pullback(self, free: Arrays, gradient: Arrays) -> dict[str, Float]:
        D = free["D"]
        A = antisymmetric(free["A"], len(D))
        Z = cayley_slope(A, cayley(A, D), D, gradient["W"])
        return {"A": above_diagonal(Z - Z.T)}

    def recover(self, made: Arrays, given: Arrays) -> dict[str, Float]:
        check_orthogonal(made["W"])
        return {"A": above_diagonal(from_cayley(made["W"] * given["D"]))}


@dataclass(frozen=True)
class UnitaryCayley(Structure):
    """W = (I + A)⁻¹ (I − A) diag(e^{iθ}) in ℂ^{d×d}, A = −A*: unitary; makes the real matrix of `as_real`.

    Free are A, by its d² real numbers (real parts above the diagonal, row by row, then imaginary parts on and
    above it), or given as a complex matrix; and the phases θ.

    Examples
    --------
    >>> import numpy as np
    >>> import leapgrad as lg
    >>> W = lg.cell("scurnn", 3).parameters["W"]
    >>> W.shape, bool(np.allclose(W.T @ W, np.eye(6)))
    ((6, 6), True)
    """

    makes = ("W",)

    def shapes(self, d: int) -> dict[str, tuple[int, ...]]:
        return {"A": (d * d,), "phases": (d,)}

    def read(self, name: str, value: Any, d: int) -> Float:
        if name != "A" or np.ndim(value) != 2:
            return super().read(name, value, d)
        A: Any = np.asarray(value)
        parts = as_array(A.real, "the real part of A", 2) + 1j * as_array(
            A.imag, "the imaginary part of A", 2
        )
        if parts.shape != (d, d):
            raise ValueError(f"A has shape {parts.shape}; give a complex matrix ({d}, {d}).")
        off = float(np.abs(parts + parts.conj().T).max())
        if off > 0.0:
            raise ValueError(f"A is not skew-Hermitian, A + A* has an entry {off:.2g}; give (A − A*)/2.")
        return self._entries(parts)

    @staticmethod
    def _entries(A: Complex) -> Float:
        return np.concatenate([above_diagonal(A.real), A.imag[np.triu_indices(len(A))]])

    @staticmethod
    def matrix(entries: Float) -> Complex:
        """A from its d² numbers."""
        d = math.isqrt(entries.size)
        n = d * (d - 1) // 2
        A = antisymmetric(entries[:n], d).astype(np.complex128)
        imaginary = np.zeros((d, d))
        imaginary[np.triu_indices(d)] = entries[n:]
        A.imag = imaginary + np.triu(imaginary, 1).T
        return A

    def assemble(self, free: Arrays) -> dict[str, Float]:
        return {"W": as_real(cayley(self.matrix(free["A"]), np.exp(1j * free["phases"])))}

    def pullback(self, free: Arrays, gradient: Arrays) -> dict[str, Float]:
        A, scale = self.matrix(free["A"]), np.exp(1j * free["phases"])
        W, G = cayley(A, scale), _complex_gradient(gradient["W"])
        Z = cayley_slope(A, W, scale, G)
        imaginary = Z.imag + Z.imag.T
        imaginary[np.diag_indices(len(A))] /= 2.0
        by_A = np.concatenate([above_diagonal(Z.real - Z.real.T), imaginary[np.triu_indices(len(A))]])
        return {"A": by_A, "phases": -(G.conj() * W).imag.sum(axis=0)}

    def recover(self, made: Arrays, given: Arrays) -> dict[str, Float]:
        """θ as given; or one phase for all, by which −1 is far from the spectrum of W diag(e^{−iθ})."""
        W = _as_complex(made["W"])
        check_orthogonal(W)
        phases = given.get("phases")
        if phases is None:
            angles = np.sort(np.angle(np.linalg.eigvals(W)))
            gaps = np.diff(angles, append=angles[0] + 2.0 * math.pi)
            middle = angles[gaps.argmax()] + gaps.max() / 2.0
            phases = np.full(len(W), middle - math.pi)
        A = from_cayley(W * np.exp(-1j * phases))
        return {"A": self._entries(A), "phases": phases}


@dataclass(frozen=True)
class FourierFactors(Structure):
    """W = D₃ R₂ F⁻¹ D₂ Π R₁ F D₁ in ℂ^{d×d}, unitary; makes the real matrix of `as_real`.

    D_k = diag(e^{iθ}) by their phases, called D1, D2, D3; R = I − 2 v v*/‖v‖² by their vectors, called R1,
    R2, as (2, d), real and imaginary parts, or complex (d,); F the unitary Fourier transform; Π takes the
    entries in the order `permutation`, which is fixed.

    Examples
    --------
    >>> import numpy as np
    >>> import leapgrad as lg
    >>> cell = lg.cell("urnn", 3)
    >>> W = cell.parameters["W"]
    >>> W.shape, bool(np.allclose(W.T @ W, np.eye(6)))
    ((6, 6), True)
    """

    makes = ("W",)
    fixed = ("permutation",)

    def shapes(self, d: int) -> dict[str, tuple[int, ...]]:
        phases = {f"D{k}": (d,) for k in (1, 2, 3)}
        return {**phases, "R1": (2, d), "R2": (2, d), "permutation": (d,)}

    def start(self, d: int) -> dict[str, Float]:
        one = np.stack([np.ones(d), np.zeros(d)])
        return {**super().start(d), "R1": one, "R2": one.copy(), "permutation": np.arange(d, dtype=float)}

    def read(self, name: str, value: Any, d: int) -> Float:
        if name in ("R1", "R2") and np.ndim(value) == 1:
            given: Any = np.asarray(value)
            value = np.stack([given.real, given.imag])
        array = super().read(name, value, d)
        if name in ("R1", "R2") and not array.any():
            raise ValueError(f"{name} is zero; a reflection needs a vector of positive length.")
        if name == "permutation" and not np.array_equal(np.sort(array), np.arange(d)):
            raise ValueError(f"permutation must hold each of 0 … {d - 1} once.")
        return array

    def _chain(self, free: Arrays) -> list[Complex]:
        """F D₁, R₁ F D₁, Π R₁ F D₁, F⁻¹ D₂ Π R₁ F D₁, R₂ F⁻¹ …"""
        first = np.fft.fft(np.diag(np.exp(1j * free["D1"])), axis=0, norm="ortho")
        reflected = _reflect(first, _vector(free["R1"]))
        moved = reflected[free["permutation"].astype(np.intp)]
        back = np.fft.ifft(np.exp(1j * free["D2"])[:, None] * moved, axis=0, norm="ortho")
        return [first, moved, back, _reflect(back, _vector(free["R2"]))]

    def assemble(self, free: Arrays) -> dict[str, Float]:
        return {"W": as_real(np.exp(1j * free["D3"])[:, None] * self._chain(free)[-1])}

    def pullback(self, free: Arrays, gradient: Arrays) -> dict[str, Float]:
        G = _complex_gradient(gradient["W"])
        first, moved, back, last = self._chain(free)
        found = {"D3": _by_phases(free["D3"], last, G)}
        G, found["R2"] = _reflect_back(np.exp(-1j * free["D3"])[:, None] * G, back, _vector(free["R2"]))
        G = np.fft.fft(G, axis=0, norm="ortho")
        found["D2"] = _by_phases(free["D2"], moved, G)
        G = np.exp(-1j * free["D2"])[:, None] * G
        unmoved = np.empty_like(G)
        unmoved[free["permutation"].astype(np.intp)] = G
        G, found["R1"] = _reflect_back(unmoved, first, _vector(free["R1"]))
        G = np.fft.ifft(G, axis=0, norm="ortho")
        found["D1"] = -(np.diag(G).conj() * np.exp(1j * free["D1"])).imag
        return found

    def recover(self, made: Arrays, given: Arrays) -> dict[str, Float]:
        raise ValueError("W alone does not tell its factors; give D1, D2, D3, R1, R2 and permutation.")


def _vector(parts: Float) -> Complex:
    return parts[0] + 1j * parts[1]


def _reflect(columns: Complex, v: Complex) -> Complex:
    """(I − 2 v v*/‖v‖²) columns."""
    return columns - 2.0 * np.outer(v, v.conj() @ columns) / np.vdot(v, v).real


def _reflect_back(G: Complex, columns: Complex, v: Complex) -> tuple[Complex, Float]:
    """The gradients by the columns and by v of what `_reflect` made, from the one G by its result."""
    n = np.vdot(v, v).real
    row = v.conj() @ columns
    along = float((row @ (G.conj().T @ v)).real)
    by_v = -2.0 / n * (G @ row.conj() + columns @ (G.conj().T @ v)) + 4.0 * along / n**2 * v
    return _reflect(G, v), np.stack([by_v.real, by_v.imag])


def _by_phases(phases: Float, columns: Complex, G: Complex) -> Float:
    """The gradient by θ of diag(e^{iθ}) columns."""
    return -(G.conj() * (np.exp(1j * phases)[:, None] * columns)).imag.sum(axis=1)


@dataclass(frozen=True)
class ComplexMatrix(Structure):
    """A complex matrix W, with its real and its imaginary part as free parameters.

    The cell holds the real matrix [[Re W, −Im W], [Im W, Re W]], which does to (Re h, Im h) what W does to h.

    Examples
    --------
    >>> import leapgrad as lg
    >>> lg.ComplexMatrix().shapes(3)
    {'W_re': (3, 3), 'W_im': (3, 3)}
    """

    makes = ("W",)

    def shapes(self, d: int) -> dict[str, tuple[int, ...]]:
        return {"W_re": (d, d), "W_im": (d, d)}

    def assemble(self, free: Arrays) -> dict[str, Float]:
        return {"W": as_real(free["W_re"] + 1j * free["W_im"])}

    def pullback(self, free: Arrays, gradient: Arrays) -> dict[str, Float]:
        G = _complex_gradient(gradient["W"])
        return {"W_re": G.real, "W_im": G.imag}

    def recover(self, made: Arrays, given: Arrays) -> dict[str, Float]:
        W = _as_complex(made["W"])
        return {"W_re": W.real.copy(), "W_im": W.imag.copy()}


@dataclass(frozen=True)
class Positive(Structure):
    """A vector of positive parameters: the exponential of a free vector, which is called log_<name>.

    Parameters
    ----------
    name : str
        Name of the vector.

    Examples
    --------
    >>> import leapgrad as lg
    >>> cell = lg.cell("vanilla", 2).structured(lg.Positive("b"), log_b=[0.0, 1.0])
    >>> cell.parameters["b"].round(4)
    array([1.    , 2.7183])
    """

    name: str

    @property
    def makes(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return (self.name,)

    def shapes(self, d: int) -> dict[str, tuple[int, ...]]:
        return {f"log_{self.name}": (d,)}

    def assemble(self, free: Arrays) -> dict[str, Float]:
        return {self.name: np.exp(free[f"log_{self.name}"])}

    def pullback(self, free: Arrays, gradient: Arrays) -> dict[str, Float]:
        key = f"log_{self.name}"
        return {key: gradient[self.name] * np.exp(free[key])}

    def recover(self, made: Arrays, given: Arrays) -> dict[str, Float]:
        value = made[self.name]
        if not (value > 0.0).all():
            raise ValueError(f"{self.name} holds {value.min():g}; every entry must be positive.")
        return {f"log_{self.name}": np.log(value)}


@dataclass(frozen=True)
class Lipschitz(Structure):
    """W = [[A], [W]], each (1 − β)(M + Mᵀ) + β(M − Mᵀ) − γ I: the two matrices of the Lipschitz RNN.

    The free parameters are the matrices M_A and M_W. β and γ are the same for both, and not trained.
    """

    beta: float = 0.75
    gamma: float = 0.001
    makes = ("W",)
    fixed = ("beta", "gamma")

    def shapes(self, d: int) -> dict[str, tuple[int, ...]]:
        return {"M_A": (d, d), "M_W": (d, d), "beta": (), "gamma": ()}

    def start(self, d: int) -> dict[str, Float]:
        fixed = {"beta": np.array(float(self.beta)), "gamma": np.array(float(self.gamma))}
        return {**super().start(d), **fixed}

    def assemble(self, free: Arrays) -> dict[str, Float]:
        beta, unit = free["beta"], free["gamma"] * np.eye(len(free["M_A"]))
        # (1 − β)(M + Mᵀ) + β(M − Mᵀ) = M + (1 − 2β) Mᵀ
        return {
            "W": np.concatenate([M + (1.0 - 2.0 * beta) * M.T - unit for M in (free["M_A"], free["M_W"])])
        }

    def pullback(self, free: Arrays, gradient: Arrays) -> dict[str, Float]:
        halves = zip(("M_A", "M_W"), np.split(gradient["W"], 2), strict=True)
        return {name: G + (1.0 - 2.0 * free["beta"]) * G.T for name, G in halves}

    def recover(self, made: Arrays, given: Arrays) -> dict[str, Float]:
        c, d = 1.0 - 2.0 * given["beta"], made["W"].shape[1]
        if abs(c) == 1.0:
            raise ValueError("W alone does not tell M_A and M_W where beta is 0 or 1; give these.")
        halves = [half + given["gamma"] * np.eye(d) for half in np.split(made["W"], 2)]
        return {
            name: (half - c * half.T) / (1.0 - c * c)
            for name, half in zip(("M_A", "M_W"), halves, strict=True)
        }
