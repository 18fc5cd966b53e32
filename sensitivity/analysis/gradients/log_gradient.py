"""What a gradient of logarithms is: values, gradients by parameter and by the initial state, conditioning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.cells.cell import Cell
from integrators.engine.column_scale import LOG_2, bits_of_shift, from_scaled
from integrators.fields.neural import NeuralField
from integrators.fields.potential import PotentialField
from integrators.values import ByValue
from sensitivity.analysis.memory.gradient_rows import GradientRows

from .frames import Adjoint

__all__ = ["LogGradient", "log_gradient", "shapes_of"]

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LogGradient(ByValue):
    """Logarithms of norms or singular values, or growth exponents, with their gradients.

    Attributes
    ----------
    value : ndarray, shape batch or (*batch, n)
        One number for a norm, n for singular values and exponents.
    parameters : mapping of str to ndarray
        By name of the parameter, the gradient by it: the shape of `value`, then that of the parameter. The
        names are those of `parameter_sensitivity`.
    s0 : ndarray
        The gradient by the initial state: the shape of `value`, then (D,).
    log_norms : mapping of str to ndarray
        ln of the Frobenius norm of each gradient, and of that by s0 under "s0", in the shape of `value`. They
        are finite where a gradient is too large for float64; −inf for zero.
    gap : ndarray, in the shape of `value`
        Distance of the logarithm (for an exponent, of the growth over all steps) to the next other one. Where
        it is zero, a singular value has no gradient. Round-off is amplified by about 1 + 1/gap.

    Examples
    --------
    >>> import leapgrad as lg
    >>> cell = lg.cell("vanilla", 1, activation="identity").with_parameters(W=[[0.5]])
    >>> found = lg.log_norm_gradient(lg.unroll(cell, n_steps=10))
    >>> found.value.round(4), found.parameters["W"]
    (np.float64(-6.9315), array([[20.]]))
    """

    value: Float
    parameters: Mapping[str, Float]
    s0: Float
    log_norms: Mapping[str, Float]
    gap: Float

    def __repr__(self) -> str:
        shape = np.shape(self.value)
        value = f"{float(self.value):.6g}" if not shape else f"of shape {shape}"
        return f"<LogGradient: value {value}, by {', '.join(self.parameters)} and s0>"


def shapes_of(system: Any) -> dict[str, tuple[int, ...]]:
    """The shape of every parameter that a gradient is by."""
    if isinstance(system, Cell):
        layers = system.unpack_free(system.free)
        number = (lambda n: str(n)) if len(layers) > 1 else (lambda n: "")
        return {
            f"{name}{number(n)}": value.shape
            for n, layer in enumerate(layers)
            for name, value in layer.items()
        }
    if isinstance(system, NeuralField | PotentialField):
        shapes = {"W": system.W.shape, "V": system.V.shape, "b": system.b.shape}
        return {name: shape for name, shape in shapes.items() if 0 not in shape}
    return {"theta": system.packed.shape} if system.packed.size else {}


def log_gradient(
    system: Any, value: Float, found: Adjoint, gap: Float, shape: tuple[int, ...], factor: float = 1.0
) -> LogGradient:
    """The record of an adjoint.

    Parameters
    ----------
    system : Field or Cell
    value, gap : ndarray, shape `shape`
    found : Adjoint
        With a row for each entry of the last axis, or one.
    shape : tuple of int
        That of the values.
    factor : float
        On the gradients.
    """
    gradients, logs = _by_parameter(system, found.gradient, shape, factor)
    s0 = factor * _unscaled(found.s0, found.exponent)
    logs["s0"] = _logs(found.s0, found.exponent, factor).reshape(shape)
    return LogGradient(value, gradients, s0.reshape(*shape, s0.shape[-1]), logs, gap)


def _by_parameter(
    system: Any, rows: GradientRows, shape: tuple[int, ...], factor: float
) -> tuple[dict[str, Float], dict[str, Float]]:
    gradients, logs = {}, {}
    shapes, trained = shapes_of(system), _trained(system)
    for name, own in rows.by_free().items():
        values = own.values if trained.get(name, True) else np.zeros_like(own.values)
        gradients[name] = (factor * _unscaled(values, own.exponents)).reshape((*shape, *shapes[name]))
        logs[name] = _logs(values, own.exponents, factor).reshape(shape)
    return gradients, logs


def _trained(system: Any) -> dict[str, bool]:
    """Which parameters have a gradient."""
    if not isinstance(system, Cell):
        return {}
    marks = system.unpack_free(system.free_trainable)  # pyright: ignore[reportArgumentType]
    number = (lambda n: str(n)) if len(marks) > 1 else (lambda n: "")
    return {
        f"{name}{number(n)}": bool(own.all()) for n, layer in enumerate(marks) for name, own in layer.items()
    }


def _unscaled(values: Float, exponents: NDArray[np.int64]) -> Float:
    return from_scaled(values, bits_of_shift(exponents)[..., None])


def _logs(values: Float, exponents: NDArray[np.int64], factor: float) -> Float:
    """ln ‖·‖ along the last axis."""
    size = np.abs(values).max(axis=-1, initial=0.0)
    safe = np.where(size > 0.0, size, 1.0)
    with np.errstate(divide="ignore"):
        norm = np.linalg.norm(values / safe[..., None], axis=-1)
        return np.log(norm) + np.log(safe) + LOG_2 * exponents + np.log(abs(factor))
