"""The neural field σ(W y + V x + b): the right-hand side of the paper's recurrent networks."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .activations import ACTIVATIONS, activate
from .arithmetic import fma
from .compiled import helper, kernel
from .fields import KICK, KICK_ADJOINT, Field, Float
from .validation import as_array, as_count

__all__ = ["BLAS_DIM", "NeuralField"]

# From this dimension on matrix products go to BLAS, below it to the loops here.
BLAS_DIM = 32


@helper
def unpack(theta, d, n_inputs):
    """(activation code, W (d, d), V (d, n_inputs), b (d,)) as views of the flat parameters."""
    w_end = d * d
    v_end = w_end + d * n_inputs
    b_end = v_end + d
    return (
        int(theta[b_end]),
        theta[:w_end].reshape(d, d),
        theta[w_end:v_end].reshape(d, n_inputs),
        theta[v_end:b_end],
    )


@helper
def accumulate_product(A, B, out):
    """out += A B for A (r, c), B (c, n), with the sum over c in order for every entry."""
    rows, n = out.shape
    for i in range(rows):
        for j in range(A.shape[1]):
            a = A[i, j]
            for q in range(n):
                out[i, q] = fma(a, B[j, q], out[i, q])


@helper
def linearise(theta, y, x, s, ds):
    """Fill s = σ(z) and ds = σ'(z), z = W y + V x + b, all (d, m)."""
    d, m = y.shape
    code, W, V, b = unpack(theta, d, x.shape[0])
    z = np.empty((d, m))
    if d >= BLAS_DIM:
        if m == 1:
            # A matrix–vector product of its own shape: the state does not depend on the tangents' width.
            z[:, 0] = np.dot(W, y.reshape(d))
        else:
            np.dot(W, y, z)
        for i in range(d):
            for q in range(m):
                z[i, q] += b[i]
    else:
        for i in range(d):
            z[i, :] = b[i]
        accumulate_product(W, y, z)
    accumulate_product(V, x, z)
    activate(code, z.reshape(d * m), s.reshape(d * m), ds.reshape(d * m))


@kernel(KICK)
def neural_kick(theta, y, x, c, p, dy, dp):
    """p += c σ(z); dp += c σ'(z) W dy, with z = W y + V x + b."""
    d, m = y.shape
    k = dy.shape[1]
    s = np.empty((d, m))
    ds = np.empty((d, m))
    linearise(theta, y, x, s, ds)
    for i in range(d):
        for q in range(m):
            p[i, q] = fma(c[q], s[i, q], p[i, q])
    if k == 0:
        return
    _, W, _, _ = unpack(theta, d, x.shape[0])
    if d >= BLAS_DIM:
        w_dy = np.empty((d, k * m))
        np.dot(W, dy.reshape(d, k * m), w_dy)
    else:
        w_dy = np.zeros((d, k * m))
        accumulate_product(W, dy.reshape(d, k * m), w_dy)
    for i in range(d):
        for q in range(m):
            ds[i, q] *= c[q]
        if m == 1:
            slope = ds[i, 0]
            for r in range(k):
                dp[i, r, 0] = fma(slope, w_dy[i, r], dp[i, r, 0])
        else:
            for r in range(k):
                for q in range(m):
                    dp[i, r, q] = fma(ds[i, q], w_dy[i, r * m + q], dp[i, r, q])


@kernel(KICK_ADJOINT)
def neural_kick_adjoint(theta, y, x, c, lam_p, lam_y, grad_theta):
    """With g = c σ'(z) lam_p: lam_y += Wᵀ g; ∂W += g yᵀ, ∂V += g xᵀ, ∂b += g."""
    d, m = y.shape
    k = lam_p.shape[1]
    n_inputs = x.shape[0]
    s = np.empty((d, m))
    ds = np.empty((d, m))
    linearise(theta, y, x, s, ds)
    _, W, _, _ = unpack(theta, d, n_inputs)
    g = np.empty((d, k * m))
    for i in range(d):
        for r in range(k):
            for q in range(m):
                g[i, r * m + q] = c[q] * ds[i, q] * lam_p[i, r, q]
    if d >= BLAS_DIM:
        lam_y += np.dot(W.T, g).reshape(d, k, m)
    else:
        accumulate_product(W.T, g, lam_y.reshape(d, k * m))
    if grad_theta.size == 0:
        return
    _, grad_W, grad_V, grad_b = unpack(grad_theta, d, n_inputs)
    for i in range(d):
        for r in range(k):
            for q in range(m):
                value = g[i, r * m + q]
                grad_b[i] += value
                for j in range(d):
                    grad_W[i, j] += value * y[j, q]
                for j in range(n_inputs):
                    grad_V[i, j] += value * x[j, q]


class NeuralField(Field):
    """F(y, x) = σ(W y + V x + b), applied componentwise.

    Parameters
    ----------
    W : array_like, shape (d, d)
    b : array_like, shape (d,)
    V : array_like, shape (d, n_inputs), optional
        Input weights; without them the field is autonomous.
    activation : str
        A name of `ACTIVATIONS`.

    Attributes
    ----------
    W, V, b : ndarray
        Read-only copies.
    activation : Activation
    lipschitz : float
        sup|σ'| ‖W‖₂, a bound on ‖DF‖₂.

    Raises
    ------
    ValueError, TypeError
        If a shape does not fit, an entry is not finite or not real, or the activation is unknown.

    Notes
    -----
    DF = D(z) W with D(z) = diag σ'(z), z = W y + V x + b. The parameters are packed into ``theta`` as W, V,
    b row by row, then the activation's code. Equations (1)–(4) and (11)–(13) of Rusch, Pearson,
    Zygalakis (2019) all use this field.
    """

    def __init__(
        self, W: ArrayLike, b: ArrayLike, V: ArrayLike | None = None, activation: str = "tanh"
    ) -> None:
        matrix = as_array(W, "W", 2)
        d = matrix.shape[0]
        if d == 0 or matrix.shape != (d, d):
            raise ValueError(f"W has shape {matrix.shape}; it must be square and not empty.")
        bias = as_array(b, "b", 1)
        if bias.shape != (d,):
            raise ValueError(f"b has shape {bias.shape}; W of shape {matrix.shape} asks for ({d},).")
        weights = np.zeros((d, 0)) if V is None else as_array(V, "V", 2)
        if weights.shape[0] != d:
            raise ValueError(f"V has shape {weights.shape}; W of shape {matrix.shape} asks for ({d}, n_inputs).")
        self.activation = ACTIVATIONS[activation]
        self.W, self.b, self.V = matrix, bias, weights
        for array in (self.W, self.b, self.V):
            array.flags.writeable = False
        # BLAS may sum in another order for another width, and lanes must not see each other.
        self.one_lane_blocks = d >= BLAS_DIM
        self.constant_jacobian = self.activation.name == "identity"
        super().__init__(
            d,
            neural_kick,
            neural_kick_adjoint,
            np.concatenate([matrix.ravel(), weights.ravel(), bias, [self.activation.code]]),
            n_inputs=weights.shape[1],
            lipschitz=self.activation.lipschitz * float(np.linalg.norm(matrix, 2)),
            name=self.activation.name,
        )

    @classmethod
    def random(
        cls, d: int, rng: int | np.random.Generator = 0, inputs: int = 0, activation: str = "tanh"
    ) -> NeuralField:
        """The paper's random set-up (Examples 1 and 2): W, then b, then V, each uniform on (0, 1/d).

        Parameters
        ----------
        d : int
            Hidden dimension.
        rng : int or numpy.random.Generator
            Seed, as for ``numpy.random.default_rng``.
        inputs : int
            Number of input components; 0 for an autonomous field.
        activation : str
            The paper prints none for its figures; tanh satisfies all that it asks of σ.
        """
        d = as_count(d, "d", least=1)
        inputs = as_count(inputs, "inputs")
        generator = np.random.default_rng(rng)
        W = generator.uniform(0.0, 1.0 / d, (d, d))
        b = generator.uniform(0.0, 1.0 / d, d)
        V = generator.uniform(0.0, 1.0 / d, (d, inputs)) if inputs else None
        return cls(W, b, V, activation)

    @classmethod
    def antisymmetric(
        cls, W: ArrayLike, b: ArrayLike, gamma: float, V: ArrayLike | None = None, activation: str = "tanh"
    ) -> NeuralField:
        """The antisymmetric field: W replaced by W − Wᵀ − γ I (Chang et al., ICLR 2019; Example 3)."""
        matrix = as_array(W, "W", 2)
        if matrix.shape[0] != matrix.shape[1]:
            raise ValueError(f"W has shape {matrix.shape}; it must be square.")
        shift = float(as_array(gamma, "gamma", 0))
        return cls(matrix - matrix.T - shift * np.eye(matrix.shape[0]), b, V, activation)

    def __repr__(self) -> str:
        driven = f", n_inputs={self.n_inputs}" if self.n_inputs else ""
        return f"NeuralField(d={self.dim}{driven}, {self.activation.name}, sup‖DF‖≤{self.lipschitz:.4g})"
