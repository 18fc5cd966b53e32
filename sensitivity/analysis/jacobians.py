"""Jacobians of a recurrence, their spectral norms, and the logarithms of these norms."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from integrators.engine.column_scale import Scaled, from_scaled, log_scaled
from integrators.fields.field import Field
from integrators.run.inputs import Inputs
from integrators.run.recurrence import OdeRecurrence, Recurrence, as_recurrence
from integrators.schemes.table import Scheme
from integrators.singular_values import frobenius_norm, scaled_norm, svd
from integrators.validation import as_count
from sensitivity.recurrences.arguments import needs_field

from .singular import (
    Block,
    Method,
    SingularValues,
    block_of,
    blocks_of_neurons,
    full_at_once,
    leading,
    scaled_jacobian,
)

__all__ = [
    "float32_error",
    "jacobian",
    "jacobian_norm",
    "log_jacobian_norm",
    "norm_and_exponent",
    "norm_and_log",
    "singular_values",
]

Float = NDArray[np.float64]


def norm_and_exponent(
    recurrence: Recurrence, block: str | None, method: Method = "auto", tol: float = 1e-10
) -> tuple[Float, NDArray[np.int64]]:
    """Spectral norm of a block of ∂s_N/∂s_0 as mantissa · 2^exponent, for every batch member."""
    part, rows = block_of(recurrence, block)
    if recurrence.system.decoupled and method == "auto":
        norm, exponent = blocks_of_neurons(recurrence, part).norms()
        return norm.reshape(recurrence.shape), exponent.reshape(recurrence.shape)
    full = full_at_once(recurrence, part.stop - part.start, method, tol)
    triplets = None if full else leading(recurrence, part, rows, 1, method, tol)
    if triplets is None:
        return _norm_of(scaled_jacobian(recurrence, block))
    norm, exponent, rest = triplets.values[:, 0], triplets.exponent, ~triplets.converged
    if rest.any():
        norm[rest], exponent[rest] = _norm_of(scaled_jacobian(recurrence.select(rest), block))
    return norm.reshape(recurrence.shape), exponent.reshape(recurrence.shape)


def _norm_of(columns: Scaled) -> tuple[Float, NDArray[np.int64]]:
    """Spectral norm of scaled columns as mantissa and exponent; NaN and inf stay what they are."""
    columns = columns.aligned()
    norm, exponent = scaled_norm(columns.values)
    return norm, columns.exponent + exponent


def norm_and_log(
    field: Field | Recurrence,
    scheme: str | Scheme | None = None,
    step: ArrayLike | None = None,
    n_steps: int | None = None,
    *,
    block: str | None = None,
    method: Method = "auto",
    tol: float = 1e-10,
    **details: Any,
) -> tuple[Float, Float]:
    """‖∂y_N/∂y_0‖₂ and its natural logarithm from one run, shape (steps,) each.

    Parameters are those of `jacobian_norm`. The logarithm of a norm that float64 cannot hold comes from the
    mantissa and the exponent of the norm.
    """
    recurrence = as_recurrence(field, scheme, step, n_steps, **details)
    mantissa, exponent = norm_and_exponent(recurrence, block, method, tol)
    norm = np.atleast_1d(from_scaled(mantissa, exponent))
    with np.errstate(divide="ignore"):
        log_norm = np.log(norm)
    # Norms below the least normal number have fewer digits.
    beyond = np.isinf(log_norm) | (norm < np.finfo(np.float64).tiny)
    return norm, np.where(beyond, log_scaled(mantissa, exponent), log_norm)


def jacobian(
    field: Field | Recurrence,
    scheme: str | Scheme | None = None,
    step: ArrayLike | None = None,
    n_steps: int | None = None,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
    inputs: Inputs = None,
    block: str | None = None,
    *,
    dtype: DTypeLike | None = None,
    threads: int | None = None,
    progress: bool | None = None,
) -> Float:
    """The hidden-state gradient ∂y_N/∂y_0: the exact product of the N one-step Jacobians.

    Parameters
    ----------
    field : Field or Recurrence
        The right-hand side F of ÿ = F(y, x), or of ẏ = F(y, x) for first-order schemes, for example a
        `NeuralField`. A recurrence such as ``unroll(cell("lstm", 64), n_steps=1000)`` may be given instead;
        the arguments from `scheme` to `inputs` are then left out.
    scheme : str or Scheme
        A name of `SCHEMES`, or a scheme of your own.
    step : float or array_like
        Step sizes ε > 0. The shape of an array leads the shape of the result.
    n_steps : int
        N ≥ 0. The result for N = 0 is the identity.
    y0, p0 : array_like, shape (d,), optional
        Initial value y_0 and initial velocity ẏ_0; zero by default.
    inputs : array_like, shape (n_steps, n_inputs), or callable t → (n_inputs,), optional
        Row i is x_{i+1}; see `integrate`.
    block : str, optional
        Which block of the state. For a field, "position" is ∂y_N/∂y_0 at fixed ẏ_0, of shape (d, d), and the
        default; "phase" or "state" is ∂(y_N, p_N)/∂(y_0, p_0), of shape (2d, 2d). A cell has blocks such as
        "h" and "c", and "state" for all.
    dtype : {"float64", "float32"}
        Arithmetic of the recurrence. The result is float64 in both cases; `float32_error` measures the loss.
    threads : int, optional
        Number of worker threads. The result has the same bits for any number.
    progress : bool, optional
        Whether to show a progress bar; by default it appears on a terminal after two seconds.

    Returns
    -------
    ndarray, shape (*step.shape, d, d) or (*step.shape, 2d, 2d)
        An entry beyond the range of float64 is ±inf; `log_jacobian_norm` still gives the size of the matrix.
        An entry may become zero if it falls more than about 2^1000 below the largest entry of its column.

    Raises
    ------
    ValueError, TypeError
        If an argument makes no sense; the message names it.
    TrajectoryOverflow
        If the state leaves the range of float64. In a batch this gives NaN and a warning instead.

    Notes
    -----
    For leapfrog T_{i+1} = 2 T_i − T_{i−1} + ε² D_i W T_i with T_1 = I + (ε²/2) D_0 W, the derivative of
    equation (11) of Rusch, Pearson, Zygalakis (2019). It is computed in kick–drift–kick form. The relative
    error is about N units in the last place times the condition number of the product.

    Where the Jacobian of a step is the same at every state and input (a field with the identity as its
    activation, a linear cell) and N is large, the N factors are multiplied by repeated squaring, in twice the
    precision of float64 and rounded once: O(d³ log N) for `jacobian`, norms and singular values, and for each
    i of `gradient_profile` with few of them. The result then differs from that of the loop by the rounding of
    the loop.

    Memory does not grow with N. It is 24 bytes for each entry of the result, and on each thread six arrays of
    the size of a block's columns, at most max(128 d², 2^20) bytes each (with 2d in place of d for "phase").

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField.random(3, rng=0)
    >>> lg.jacobian(field, "leapfrog", step=0.1, n_steps=50).round(4)
    array([[3.705 , 1.5955, 0.6783],
           [1.1443, 5.9062, 5.0259],
           [3.4092, 4.6277, 4.6839]])
    >>> lg.jacobian(field, "leapfrog", step=[0.1, 0.2], n_steps=50, block="phase").shape
    (2, 6, 6)
    >>> lstm = lg.unroll(lg.cell("lstm", 4, 2), n_steps=20)
    >>> lg.jacobian(lstm, block="state").shape
    (8, 8)
    """
    recurrence = as_recurrence(
        field, scheme, step, n_steps, y0, p0, inputs, dtype=dtype, threads=threads, progress=progress
    )
    return scaled_jacobian(recurrence, block).unscaled()


def log_jacobian_norm(
    field: Field | Recurrence,
    scheme: str | Scheme | None = None,
    step: ArrayLike | None = None,
    n_steps: int | None = None,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
    inputs: Inputs = None,
    block: str | None = None,
    *,
    method: Method = "auto",
    tol: float = 1e-10,
    dtype: DTypeLike | None = None,
    threads: int | None = None,
    progress: bool | None = None,
) -> Float:
    """The natural logarithm of ‖∂y_N/∂y_0‖₂. It neither overflows nor underflows.

    Parameters, errors and shapes are those of `jacobian_norm`. The logarithm of a zero matrix is −inf.

    Notes
    -----
    Growth is counted in exact powers of two beside the columns. Where the unscaled product is finite, the
    scaled product has the same bits.

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField([[4.0]], [0.0], activation="identity")
    >>> lg.log_jacobian_norm(field, "leapfrog", step=1.0, n_steps=1000).round(3)
    np.float64(1762.054)
    >>> lg.jacobian_norm(field, "leapfrog", step=1.0, n_steps=1000)
    np.float64(inf)
    """
    recurrence = as_recurrence(
        field, scheme, step, n_steps, y0, p0, inputs, dtype=dtype, threads=threads, progress=progress
    )
    return log_scaled(*norm_and_exponent(recurrence, block, method, tol))


def jacobian_norm(
    field: Field | Recurrence,
    scheme: str | Scheme | None = None,
    step: ArrayLike | None = None,
    n_steps: int | None = None,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
    inputs: Inputs = None,
    block: str | None = None,
    *,
    method: Method = "auto",
    tol: float = 1e-10,
    certified: bool = False,
    dtype: DTypeLike | None = None,
    threads: int | None = None,
    progress: bool | None = None,
) -> Float:
    """The spectral norm ‖∂y_N/∂y_0‖₂ of the hidden-state gradient, for every step size.

    Parameters not listed and errors are those of `jacobian`.

    Parameters
    ----------
    method : {"auto", "full", "lanczos"}
        "full" computes the matrix and its largest singular value. "lanczos" carries single columns forwards
        and backwards along a stored trajectory, which is much faster for large d. "auto" takes what should
        cost less, and falls back to the full matrix where Lanczos has not converged in the time that this
        would take, or where one trajectory needs more than 1 GiB.
    tol : float
        Relative accuracy that Lanczos has to reach. The full matrix gives the norm up to round-off.
    certified : bool
        Compute each norm in ball arithmetic instead (see `certify`; for a `NeuralField` or a cell, extra
        ``certify``). The result is proved to be within one unit in the last place of the norm of the exact
        map. This is slow.

    Returns
    -------
    ndarray, shape step.shape
        A NumPy float for a single step size; inf or 0 where the norm is outside the range of float64.

    Notes
    -----
    With Lanczos each thread stores the trajectories of eight batch members at a time, or of as many as fit
    into 4 MiB, at 8 · kicks · d bytes each, and two vectors for each iteration. All threads together take 1
    GiB at most, unless a single trajectory needs more. The memory for the full matrix is that of `jacobian`.

    Examples
    --------
    >>> import numpy as np
    >>> import leapgrad as lg
    >>> field = lg.NeuralField.random(10, rng=0)
    >>> step = np.array([0.001, 0.01, 0.1])
    >>> norm = lg.jacobian_norm(field, "leapfrog", step, n_steps=100)
    >>> norm.round(4)
    array([ 1.0028,  1.2943, 84.3072])
    >>> bool((norm <= lg.bounds.chebyshev(field, step, 100)).all())
    True
    """
    recurrence = as_recurrence(
        field, scheme, step, n_steps, y0, p0, inputs, dtype=dtype, threads=threads, progress=progress
    )
    if certified:
        if method != "auto" or (dtype is not None and np.dtype(dtype) != np.float64):
            raise ValueError(
                f"certified=True is about the exact map, in ball arithmetic; method={method!r} and "
                f"dtype={dtype!r} have no effect on it. Leave both out."
            )
        return _certified_norm(field, scheme, recurrence, n_steps, y0, p0, inputs, block)
    return from_scaled(*norm_and_exponent(recurrence, block, method, tol))


def _certified_norm(
    field: Field | Recurrence,
    scheme: str | Scheme | None,
    recurrence: Recurrence,
    n_steps: int | None,
    y0: ArrayLike | None,
    p0: ArrayLike | None,
    inputs: Inputs,
    block: str | None,
) -> Float:
    """The middle of the enclosure of every norm."""
    from sensitivity.certification import certify

    # The middle of so narrow an enclosure, rounded, is the float64 nearest to the norm or its neighbour.
    width = 0.125 * float(np.finfo(np.float64).eps)
    if isinstance(field, Field):
        found = [
            certify(field, scheme, float(h), n_steps, y0, p0, inputs, block, width=width)
            for h in recurrence.steps
        ]
    elif recurrence.cell is not None:
        found = [certify(one, block=block, width=width) for one in recurrence.alone()]
    else:
        raise TypeError("certified=True needs a field with a scheme and a step, or a recurrence of a cell.")
    return np.array([float(one.norm_ball.mid()) for one in found]).reshape(recurrence.shape)[()]


def singular_values(
    field: Field | Recurrence,
    scheme: str | Scheme | None = None,
    step: ArrayLike | None = None,
    n_steps: int | None = None,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
    inputs: Inputs = None,
    block: str | None = None,
    *,
    k: int | None = None,
    smallest: bool = False,
    method: Method = "auto",
    tol: float = 1e-10,
    dtype: DTypeLike | None = None,
    threads: int | None = None,
    progress: bool | None = None,
) -> SingularValues:
    """Singular values and singular vectors of ∂y_N/∂y_0: all of them, or the k largest or smallest.

    Parameters not listed are those of `jacobian`.

    Parameters
    ----------
    k : int, optional
        How many; all by default.
    smallest : bool
        Whether to return the k smallest, in ascending order. They are computed from the full matrix, whose
        rounding error is about N · 2^-53 · ‖J‖₂. Use `log_singular_values` for values below that.
    method : {"auto", "full", "lanczos"}
        As for `jacobian_norm`. Lanczos finds largest values only.
    tol : float
        Relative accuracy that Lanczos has to reach.

    Returns
    -------
    SingularValues

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField.random(5, rng=0)
    >>> lg.singular_values(field, "leapfrog", step=0.1, n_steps=50, k=2).unscaled().round(4)
    array([11.4057,  2.6634])
    """
    recurrence = as_recurrence(
        field, scheme, step, n_steps, y0, p0, inputs, dtype=dtype, threads=threads, progress=progress
    )
    part, rows = block_of(recurrence, block)
    width = part.stop - part.start
    full = full_at_once(recurrence, width, method, tol)
    count = width if k is None else as_count(k, "k", least=1)
    if count > width:
        raise ValueError(f"k must be at most {width}, the size of the block, got {count}.")
    if smallest and method == "lanczos":
        raise ValueError(
            "method='lanczos' finds the largest singular values; use method='auto' for smallest."
        )
    full = full or smallest or 2 * count > width
    triplets = None if full else leading(recurrence, part, rows, count, method, tol)
    if triplets is None:
        found = _from_full(recurrence, block, count, smallest)
    else:
        found = [triplets.values, triplets.exponent, triplets.left, triplets.right]
        if (rest := ~triplets.converged).any():
            full = _from_full(recurrence.select(rest), block, count, smallest)
            for whole, again in zip(found, full, strict=True):
                whole[rest] = again
    return SingularValues(*(array.reshape((*recurrence.shape, *array.shape[1:])) for array in found))


def _from_full(recurrence: Recurrence, block: str | None, k: int, smallest: bool) -> list[NDArray]:
    """Values, exponents, left and right vectors from the full matrix, batch members flattened."""
    columns = scaled_jacobian(recurrence, block).aligned()
    left, values, right = svd(columns.values.reshape(-1, *columns.values.shape[-2:]))
    order = slice(None, -k - 1, -1) if smallest else slice(0, k)
    right = np.swapaxes(right, -1, -2)
    return [values[:, order], columns.exponent.reshape(-1), left[..., order], right[..., order]]


@needs_field
def float32_error(
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
    """The relative error of the float32 Jacobian, ‖J₃₂ − J₆₄‖_F / ‖J₆₄‖_F, measured by running both.

    Parameters are those of `jacobian`.

    Returns
    -------
    ndarray, shape step.shape

    Examples
    --------
    >>> import leapgrad as lg
    >>> bool(lg.float32_error(lg.NeuralField.random(5), "leapfrog", step=0.1, n_steps=50) < 1e-5)
    True
    """
    single, double = (
        scaled_jacobian(
            OdeRecurrence(
                field, scheme, step, n_steps, y0, p0, inputs, dtype=dtype, threads=threads, progress=progress
            ),
            block,
        ).aligned()
        for dtype in (np.float32, np.float64)
    )
    shifted = from_scaled(single.values, (single.exponent - double.exponent)[..., None, None])
    _, top = np.frexp(np.abs(double.values).max(axis=(-2, -1), initial=0.0))
    difference, reference = (
        frobenius_norm(np.ldexp(values, -top[..., None, None]))
        for values in (shifted - double.values, double.values)
    )
    return (difference / np.where(reference == 0.0, 1.0, reference))[()]
