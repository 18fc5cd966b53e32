"""The recurrence in ball arithmetic: the map that float64 approximates, with every rounding enclosed.

Weights of the scheme, parameters of the field, step, initial values and inputs are the float64 numbers they
are; activations are the exact functions; kicks at one place are one kick of the exact sum of their weights.
Each ball holds the exact value, whatever the working precision; a higher one gives smaller balls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from flint import arb, arb_mat, ctx, fmpq
from numpy.typing import NDArray

from integrators.engine.program import Program
from integrators.fields.neural import NeuralField
from integrators.run.recurrence import Recurrence

__all__ = ["ACTIVATIONS", "BallField", "Undecided", "ball_jacobian", "ball_trajectory", "matrix", "precision"]

Float = NDArray[np.float64]
# Balls are looked at this often, to give up early on a precision that will not do.
LOOK_EVERY = 32


class Undecided(ArithmeticError):
    """The precision was not enough to decide something: a sign, or a single digit of the state."""


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Work with `bits` bits inside the block."""
    before = ctx.prec
    ctx.prec = bits
    try:
        yield
    finally:
        ctx.prec = before


# ------------------------------------------------------------------------------------------- activations


def _tanh(z: arb) -> tuple[arb, arb]:
    return z.tanh(), z.sech() ** 2


def _logistic(z: arb) -> tuple[arb, arb]:
    # 1/(2 + e^z + e^−z) does not cancel in either tail.
    return 1 / (1 + (-z).exp()), 1 / (2 + z.exp() + (-z).exp())


def _relu(z: arb) -> tuple[arb, arb]:
    if z > 0:
        return z, arb(1)
    if z < 0 or z.is_zero():  # σ'(0) is taken as 0, as in the recurrence
        return arb(0), arb(0)
    raise Undecided(f"the sign of a pre-activation of relu is undecided: {z}")


def _softsign(z: arb) -> tuple[arb, arb]:
    w = 1 / (1 + abs(z))
    return z * w, w * w


def _erf(z: arb) -> tuple[arb, arb]:
    return z.erf(), 2 * (-z * z).exp() / arb.const_sqrt_pi()


ACTIVATIONS: dict[str, Callable[[arb], tuple[arb, arb]]] = {
    "tanh": _tanh,
    "logistic": _logistic,
    "relu": _relu,
    "identity": lambda z: (z, arb(1)),
    "sin": lambda z: (z.sin(), z.cos()),
    "arctan": lambda z: (z.atan(), 1 / (1 + z * z)),
    "softsign": _softsign,
    "erf": _erf,
}
"""Name → z ↦ (σ(z), σ'(z))."""


# --------------------------------------------------------------------------------------------- the field


def matrix(values: Float) -> arb_mat:
    """A float64 matrix (or vector, as a column) as exact balls."""
    table = np.atleast_2d(values) if values.ndim == 2 else values[:, None]
    return arb_mat(table.shape[0], table.shape[1], [float(v) for v in table.ravel()])


class BallField:
    """σ(W y + V x + b) with its derivative, acting on balls."""

    def __init__(self, field: NeuralField) -> None:
        self.W, self.b, self.V = matrix(field.W), matrix(field.b), field.V
        self.activate = ACTIVATIONS[field.activation.name]

    def activities(self, y: arb_mat, x: Float) -> list[tuple[arb, arb]]:
        """σ(z) and σ'(z) of every unit."""
        z = self.W * y + self.b
        if x.size:
            z += matrix(self.V) * matrix(x)
        return [self.activate(entry) for entry in z.entries()]

    def kick(self, y: arb_mat, x: Float, c: arb, dy: arb_mat) -> tuple[arb_mat, arb_mat]:
        """c σ(z) and c σ'(z) W dy."""
        pairs = self.activities(y, x)
        rows, columns = dy.nrows(), dy.ncols()
        product = (self.W * dy).entries()
        slopes = [c * slope for _, slope in pairs]
        tangent = [slopes[i] * product[i * columns + j] for i in range(rows) for j in range(columns)]
        return arb_mat(rows, 1, [c * value for value, _ in pairs]), arb_mat(rows, columns, tangent)


# ----------------------------------------------------------------------------------------------- the run


@dataclass
class _BallState:
    """(y, p) and the tangent columns of both."""

    y: arb_mat
    p: arb_mat
    dy: arb_mat
    dp: arb_mat

    def drift(self, c: arb) -> None:
        self.y += self.p * c
        self.dy += self.dp * c

    def look(self) -> None:
        """Raise once a ball of the state or of the columns says nothing about its value."""
        for part in (self.y, self.p, self.dy, self.dp):
            if not all(entry.is_finite() for entry in part.entries()):
                raise Undecided("a ball grew without limit")


def ball_jacobian(recurrence: Recurrence, block: str) -> arb_mat:
    """Enclosure of ∂y_N/∂y_0 (block "position") or ∂(y_N, p_N)/∂(y_0, p_0) ("phase"), at the set precision.

    Parameters
    ----------
    recurrence : Recurrence
        With a `NeuralField` and one step size.
    block : {"position", "phase"}

    Raises
    ------
    Undecided
        If the precision does not decide the sign of a pre-activation of relu, or not a digit of the state.
    """
    assert isinstance(recurrence.system, NeuralField)
    d, phase = recurrence.system.dim, block == "phase"
    columns = 2 * d if phase else d
    unit = np.eye(2 * d, columns)
    y, p = recurrence.initial_value
    state = _BallState(matrix(y), matrix(p), matrix(unit[:d]), matrix(unit[d:]))
    _run(recurrence, BallField(recurrence.system), state, phase)
    if not phase:
        return state.dy
    return arb_mat(2 * d, columns, [*state.dy.entries(), *state.dp.entries()])


def ball_trajectory(recurrence: Recurrence, field: BallField, close: bool) -> None:
    """Take the states of the run alone through the kicks of `field`."""
    y, p = recurrence.initial_value
    none = arb_mat(recurrence.system.dim, 0)
    _run(recurrence, field, _BallState(matrix(y), matrix(p), none, none), close)


def _run(recurrence: Recurrence, field: BallField, state: _BallState, close: bool) -> None:
    """The operations of the run, with the exact sum of the weights of kicks at one place."""
    scheme = recurrence.scheme
    a, b = (np.array([Fraction(float(w)) for w in part]) for part in (scheme.drift, scheme.kick))
    program = Program.unrolled(scheme.form, a, b, recurrence.n_steps, close)
    run, h, step = (
        recurrence.driver_run(np.array([0]), recurrence.program(close)),
        arb(float(recurrence.steps[0])),
        0,
    )
    for stage, weight, _, entry, of_step in program:
        c = arb(fmpq(weight.numerator, weight.denominator)) * h
        if of_step > step:
            step = of_step
            if (step - 1) % LOOK_EVERY == 0:
                state.look()
        if stage == "drift":
            state.drift(c)
            continue
        x = run.inputs[run.rows[entry], :, 0] if run.rows.size else np.zeros(0)
        force, tangent = field.kick(state.y, x, c, state.dy)
        if stage == "increment":
            state.y += force
            state.dy += tangent
        else:
            if stage == "explicit":
                state.drift(c)
            state.p += force
            state.dp += tangent
