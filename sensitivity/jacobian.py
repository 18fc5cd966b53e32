"""Jacobians of a recurrence, their spectral norms, and the logarithms of these norms."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.blocks import one_blas_thread
from integrators.fields import Field
from integrators.problem import Inputs
from integrators.schemes import Scheme

from .recurrence import Recurrence, Scaled
from .recurrences.ode import OdeRecurrence

__all__ = ["jacobian", "jacobian_norm", "log_jacobian_norm", "log_norm", "scaled_jacobian"]

Float = NDArray[np.float64]
Block = Literal["position", "phase"]


def scaled_jacobian(recurrence: Recurrence, block: str) -> Scaled:
    """The block of ∂s_N/∂s_0 that `block` names, every lane with a power of two taken out.

    Parameters
    ----------
    recurrence : Recurrence
    block : str
        One of the recurrence's named blocks (rows and columns of it), or "phase" for the whole state.
    """
    blocks = recurrence.blocks
    if block == "phase":
        if len(blocks) == 1:
            raise ValueError(
                f"block='phase' asks for a second-order system, but the state here is {next(iter(blocks))!r} "
                f"alone; use block={next(iter(blocks))!r}."
            )
        return recurrence.pushforward(np.eye(recurrence.state_size))
    if block not in blocks:
        known = ", ".join(repr(name) for name in (*blocks, "phase"))
        raise ValueError(f"block {block!r} is not known; this recurrence has {known}.")
    return recurrence.pushforward(np.eye(recurrence.state_size)[:, blocks[block]], rows=block)


def log_norm(columns: Scaled) -> Float:
    """Natural logarithm of the spectral norm of every lane, −inf for a zero matrix; shape lanes."""
    largest = np.abs(columns.values).max(axis=(-2, -1), initial=0.0)
    # Halfway scaling by powers of two keeps the singular values of the mantissa in range, exactly.
    _, shift = np.frexp(largest)
    shift = np.where(np.isfinite(largest), shift, 0)
    scaled = np.ldexp(columns.values, -shift[..., None, None])
    with np.errstate(divide="ignore"):
        return np.log(_spectral_norm(scaled)) + math.log(2.0) * (columns.exponent + shift)


def _spectral_norm(matrices: Float) -> Float:
    if matrices.shape[-2:] == (1, 1):
        return np.abs(matrices[..., 0, 0])
    finite = np.isfinite(matrices).all(axis=(-2, -1))
    safe = np.where(finite[..., None, None], matrices, 0.0)
    with one_blas_thread():  # the bits of a product may depend on the number of BLAS threads
        norms = np.linalg.svd(safe, compute_uv=False)[..., 0]
    overflowed = np.where(np.isnan(matrices).any(axis=(-2, -1)), np.nan, np.inf)
    return np.where(finite, norms, overflowed)


def jacobian(
    field: Field,
    scheme: str | Scheme,
    step: ArrayLike,
    n_steps: int,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
    inputs: Inputs = None,
    block: Block = "position",
    *,
    threads: int | None = None,
    progress: bool | None = None,
) -> Float:
    """The hidden-state gradient ∂y_N/∂y_0 of the recurrence, exactly: the product of its one-step Jacobians.

    Parameters
    ----------
    field : Field
        F of ÿ = F(y, x) (or ẏ = F(y, x) for the scheme "euler"), for example a `NeuralField`.
    scheme : str or Scheme
        A name of `SCHEMES` or a record of your own.
    step : float or array_like
        ε > 0; the shape of an array leads the shape of the result.
    n_steps : int
        N ≥ 0; N = 0 gives the identity.
    y0, p0 : array_like, shape (d,), optional
        Initial value and velocity ẏ(0); zero by default.
    inputs : array_like, shape (n_steps, n_inputs), or callable t → (n_inputs,), optional
        Row i is x_{i+1}; see `integrators.integrate`.
    block : {"position", "phase"}
        ∂y_N/∂y_0 at fixed ẏ_0, shape (d, d), or ∂(y_N, p_N)/∂(y_0, p_0), shape (2d, 2d).
    threads : int, optional
        Worker threads; the result does not depend on it, to the last bit.
    progress : bool, optional
        Force or forbid the progress bar; by default it shows on a terminal after two seconds.

    Returns
    -------
    ndarray, shape (*step.shape, d, d) or (*step.shape, 2d, 2d)
        ±inf where an entry leaves float64; `log_jacobian_norm` still has its size.

    Raises
    ------
    ValueError, TypeError
        For an argument that makes no sense; the message names it.
    TrajectoryOverflow
        If the trajectory itself leaves float64 (a lane of several becomes NaN, with a warning).

    Notes
    -----
    For leapfrog T_{i+1} = 2 T_i − T_{i−1} + ε² D_i W T_i with T_1 = I + (ε²/2) D_0 W, the derivative of
    (11) in Rusch, Pearson, Zygalakis (2019), carried in kick–drift–kick form. The relative error is about
    N units in the last place times the condition of the product.
    """
    recurrence = OdeRecurrence(
        field, scheme, step, n_steps, y0, p0, inputs, threads=threads, progress=progress
    )
    return scaled_jacobian(recurrence, block).unscaled()


def log_jacobian_norm(
    field: Field,
    scheme: str | Scheme,
    step: ArrayLike,
    n_steps: int,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
    inputs: Inputs = None,
    block: Block = "position",
    *,
    threads: int | None = None,
    progress: bool | None = None,
) -> Float:
    """Natural logarithm of ‖∂y_N/∂y_0‖₂, which neither overflows nor underflows.

    Parameters, errors and shapes are those of `jacobian_norm`. Growth is counted in exact powers of two
    beside the columns, so the rescaled product has the same bits as the plain one wherever that is finite.
    """
    recurrence = OdeRecurrence(
        field, scheme, step, n_steps, y0, p0, inputs, threads=threads, progress=progress
    )
    return log_norm(scaled_jacobian(recurrence, block))[()]


def jacobian_norm(
    field: Field,
    scheme: str | Scheme,
    step: ArrayLike,
    n_steps: int,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
    inputs: Inputs = None,
    block: Block = "position",
    *,
    threads: int | None = None,
    progress: bool | None = None,
) -> Float:
    """Spectral norm ‖∂y_N/∂y_0‖₂ of the hidden-state gradient, for every step size.

    Parameters and errors are those of `jacobian`.

    Returns
    -------
    ndarray, shape step.shape
        A NumPy float for a scalar step; inf or 0 where the norm leaves float64.

    Examples
    --------
    >>> field = NeuralField.random(10)
    >>> jacobian_norm(field, "leapfrog", np.logspace(-3, 0, 100), n_steps=1000).shape
    (100,)
    """
    recurrence = OdeRecurrence(
        field, scheme, step, n_steps, y0, p0, inputs, threads=threads, progress=progress
    )
    columns = scaled_jacobian(recurrence, block)
    with np.errstate(over="ignore", under="ignore"):
        return np.ldexp(_spectral_norm(columns.values), columns.exponent)[()]
