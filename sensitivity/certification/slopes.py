"""The slopes of theorem F along the exact trajectory, enclosed in ball arithmetic."""

from __future__ import annotations

import numpy as np
from flint import arb, arb_mat
from numpy.typing import NDArray

from integrators.fields.neural import NeuralField
from integrators.run.recurrence import Recurrence
from integrators.singular_values import spectral_norm

from .balls import BallField, Undecided, ball_trajectory, precision
from .extra import DEFAULT_PRECISION, FIRST_PRECISION

__all__ = ["exact_slopes"]

Float = NDArray[np.float64]
EPS = float(np.finfo(np.float64).eps)
# How well slopes have to be known, which are 1 at most for most σ: about as well as float64 can say.
NARROW = 2.0**-52


class _Recording(BallField):
    """A field that notes σ' at every kick: midpoints in float64, and what these leave out."""

    def __init__(self, field: NeuralField) -> None:
        super().__init__(field)
        self.middle: list[list[float]] = []
        self.radius: list[float] = []

    def norms(self, W: Float) -> Float:
        """‖D W‖₂ ≤ ‖D̂ W‖₂ + max |D − D̂| ‖W‖₂ at every kick, rounded up."""
        d = len(W)
        middle, radius = np.array(self.middle).reshape(-1, d), np.array(self.radius)
        rounded = 1.0 + 8.0 * (d - 1) * EPS  # of the products and the singular values; d = 1 rounds once
        found = spectral_norm(middle[:, :, None] * W) * rounded + radius * (spectral_norm(W) * rounded)
        return np.nextafter(found, np.inf)

    def kick(self, y: arb_mat, x: Float, c: arb, dy: arb_mat) -> tuple[arb_mat, arb_mat]:
        pairs = self.activities(y, x)
        middle = [float(slope.mid()) for _, slope in pairs]
        left = [float((slope - arb(m)).abs_upper()) for (_, slope), m in zip(pairs, middle, strict=True)]
        self.middle.append(middle)
        self.radius.append(max(left) * (1.0 + NARROW))
        return arb_mat(len(pairs), 1, [c * value for value, _ in pairs]), dy


def exact_slopes(recurrence: Recurrence) -> Float:
    """λ_k ≥ ‖DF(y_k, x_k)‖₂ at the kicks of the exact trajectory, rounded up, shape (kicks,).

    Parameters
    ----------
    recurrence : Recurrence
        With a `NeuralField` and one step size.

    Raises
    ------
    ArithmeticError
        If the slopes are not known after the precision was doubled often, or if the sign of a pre-activation
        of relu cannot be decided.
    """
    field = recurrence.system
    assert isinstance(field, NeuralField)
    bits, obstacle = FIRST_PRECISION, ""
    while bits <= DEFAULT_PRECISION:
        noted = _Recording(field)
        with precision(bits):
            try:
                ball_trajectory(recurrence, noted, close=False)
                if max(noted.radius, default=0.0) <= NARROW:
                    return noted.norms(field.W)
                obstacle = "the slopes were enclosed in wide balls only"
            except Undecided as error:
                obstacle = str(error)
        bits *= 2
    raise ArithmeticError(f"{DEFAULT_PRECISION} bits are not enough: {obstacle}.")
