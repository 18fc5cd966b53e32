"""The error bound that a float64 Jacobian is stated with: a running first-order error analysis.

Every stage of a step is linearised as the recurrence does it, and the roundings it commits are bounded from
the numbers that occur: e_t for the state after stage t, E_t for the tangent columns T_t. With P_{t,r} the
propagator from stage r to stage t,

    ‖δs_t‖ ≤ Σ_r ‖P_{t,r}‖ e_r ≤ √(t · tr Q_t),   Q_{t+1} = F_t Q_t F_tᵀ + e_t² I     (Cauchy–Schwarz),
    ‖δT_N‖ ≤ Σ_t ‖P_{N,t}‖_F (E_t + ‖D²F_t‖ ‖δs_t‖ ‖T_t‖),

where D²F enters through σ''(z) at the computed pre-activations. Products of errors are dropped, and the sum
is doubled for them. Norms may leave float64: matrices carry a power of two.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from integrators.engine.column_scale import LOG_2
from integrators.fields.neural import NeuralField
from integrators.run.recurrence import Recurrence

__all__ = ["CURVATURE", "stated_log_error"]

Float = NDArray[np.float64]
UNIT = 2.0**-53
# Units in the last place that the activations may err by, with a margin; the largest found is 2.
ACTIVATION_UNITS = 6.0
SAFETY = 2.0
# A state with an error of this size has no digit left.
NO_DIGIT_LEFT = 1e140

CURVATURE: dict[str, Callable[[Float, Float, Float], Float]] = {
    "tanh": lambda z, s, ds: -2.0 * s * ds,
    "logistic": lambda z, s, ds: (1.0 - 2.0 * s) * ds,
    "relu": lambda z, s, ds: np.zeros_like(z),
    "identity": lambda z, s, ds: np.zeros_like(z),
    "sin": lambda z, s, ds: -s,
    "arctan": lambda z, s, ds: -2.0 * z * ds * ds,
    "softsign": lambda z, s, ds: -2.0 * ds / (1.0 + np.abs(z)),
    "erf": lambda z, s, ds: -2.0 * z * ds,
}
"""Name → σ'' from z, σ(z) and σ'(z)."""


class _Applied(NamedTuple):
    """An operation of the program with the step taken into its weight, and the input row that it sees."""

    stage: str
    size: float
    x: Float | None

    @property
    def drifts(self) -> bool:
        """Whether y moves by ``size`` times p."""
        return self.stage in ("drift", "explicit") and self.size != 0.0

    @property
    def kicks(self) -> bool:
        """Whether ``size`` times σ(z) is added, to p or, where the state is y alone, to y."""
        return self.stage != "drift" and self.size != 0.0


def _operations(recurrence: Recurrence, close: bool) -> list[_Applied]:
    """The operations of the run, in the order of the compiled drivers."""
    program = recurrence.program(close)
    run, h = recurrence.driver_run(np.array([0]), program), float(recurrence.steps[0])
    return [
        _Applied(
            stage, weight * h, run.inputs[run.rows[entry], :, 0] if entry >= 0 and run.rows.size else None
        )
        for stage, weight, _, entry, _ in program
    ]


def stated_log_error(recurrence: Recurrence, block: str) -> float:
    """Natural logarithm of the stated bound on ‖J_float64 − J‖_F; inf where float64 has lost every digit.

    Parameters
    ----------
    recurrence : Recurrence
        With a `NeuralField` and one step size.
    block : {"position", "phase"}
    """
    phase = block == "phase"
    operations = _operations(recurrence, phase)
    errors = _Errors(recurrence, phase)
    with np.errstate(all="ignore"):
        if not all(errors.apply(operation) for operation in operations):
            return math.inf
    return _log(SAFETY) + errors.at_the_end(operations)


class _Errors:
    """The float64 run, with bounds on the roundings that every operation commits.

    Attributes
    ----------
    y, p : ndarray
        The state; zeros where DF is the same everywhere and errors of the state do not matter.
    T, exponent
        The tangent columns, T · 2^exponent.
    Q : ndarray
        √(count · tr Q) bounds the error of the state after so many operations.
    """

    def __init__(self, recurrence: Recurrence, phase: bool) -> None:
        field = recurrence.system
        assert isinstance(field, NeuralField)
        d = field.dim
        self.field, self.first_order, self.phase = field, recurrence.first_order, phase
        self.frozen = field.constant_jacobian
        self.size = d if self.first_order else 2 * d
        self.target = slice(0, d) if self.first_order else slice(d, 2 * d)
        self.y, self.p = (np.zeros(d), np.zeros(d)) if self.frozen else recurrence.initial_value
        self.T, self.exponent = np.eye(self.size, self.size if phase else d), 0
        self.Q, self.count = np.zeros((self.size, self.size)), 0
        self._rows, self._terms = np.linalg.norm(field.W, axis=1), d + field.n_inputs + 2
        self._logs: list[float] = []  # of the error that each operation adds to the columns
        self._slopes: list[Float] = []  # with them the factors are made again, in a d-th of the memory

    def apply(self, operation: _Applied) -> bool:
        """Carry an operation out; False once the error of the state leaves nothing known."""
        before, slope = self.y, np.zeros(0)
        local, tangent = self._drift(operation.size) if operation.drifts else (0.0, 0.0)
        if operation.kicks:
            kicked = self._kick(operation, before, local, tangent)
            if kicked is None:
                return False
            local, tangent, slope = kicked
        factor = self._factor(operation, slope)
        self.T = factor @ self.T
        tangent += 2.0 * UNIT * float(np.linalg.norm(self.T))
        local = 0.0 if self.frozen else local
        self.Q = factor @ self.Q @ factor.T + local**2 * np.eye(self.size)
        self.count += 1
        self._logs.append(_log(tangent) + self.exponent * LOG_2)
        self._slopes.append(slope)
        self.T, self.exponent = _in_range(self.T, self.exponent)
        return True

    def _drift(self, size: float) -> tuple[float, float]:
        """y ← y + size · p; the errors that it adds to the state and to the columns."""
        d = self.field.dim
        moved = size * self.p
        self.y = self.y + moved
        local = UNIT * 2.0 * (np.linalg.norm(self.y) + np.linalg.norm(moved))
        tangent = UNIT * 2.0 * (np.linalg.norm(self.T[:d]) + abs(size) * np.linalg.norm(self.T[d:]))
        return float(local), float(tangent)

    def _kick(
        self, operation: _Applied, y: Float, local: float, tangent: float
    ) -> tuple[float, float, Float] | None:
        """Add ``size`` times σ(z) at the given y; the errors grown by it, and σ'(z)."""
        field, d, x, c = self.field, self.field.dim, operation.x, abs(operation.size)
        drive = 0.0 if x is None else field.V @ x
        z = np.zeros(d) if self.frozen else field.W @ y + drive + field.b
        value, slope = field.activation.value_and_derivative(z)
        absolute, size_z = np.abs(field.W), np.abs(field.W) @ np.abs(y) + np.abs(field.b)
        if x is not None:
            size_z = size_z + np.abs(field.V) @ np.abs(x)
        delta = math.sqrt(max(self.count, 1) * max(float(np.trace(self.Q[:d, :d])), 0.0))
        round_z = self._terms * UNIT * size_z
        moved_z = round_z + self._rows * delta
        if not field.activation.smooth and (np.abs(z) < moved_z).any():
            return None  # the kink may have been passed on the other side
        if not delta < NO_DIGIT_LEFT:
            return None
        local += c * float(np.linalg.norm(slope * round_z + ACTIVATION_UNITS * UNIT * np.abs(value)))
        forward = absolute @ np.abs(self.T[:d])
        units = self._terms + ACTIVATION_UNITS
        tangent += c * units * UNIT * float(np.linalg.norm(slope[:, None] * forward))
        uncertain = np.abs(CURVATURE[field.activation.name](z, value, slope)) * moved_z
        tangent += c * float(np.linalg.norm(uncertain[:, None] * (field.W @ self.T[:d])))
        pushed = operation.size * value
        if self.first_order:
            self.y = self.y + pushed
        else:
            self.p = self.p + pushed
        local += UNIT * 2.0 * float(np.linalg.norm(self.y if self.first_order else self.p))
        return local, tangent, slope

    def _factor(self, operation: _Applied, slope: Float) -> Float:
        """The derivative of an operation, as a matrix on the full state."""
        d, matrix = self.field.dim, np.eye(self.size)
        if operation.drifts:
            matrix[:d, d:] += operation.size * np.eye(d)
        if operation.kicks:
            matrix[self.target, :d] += operation.size * slope[:, None] * self.field.W
        return matrix

    def at_the_end(self, operations: list[_Applied]) -> float:
        """log Σ_t ‖P_{N,t}‖_F E_t, walked from the end."""
        back = np.eye(self.size) if self.phase else np.eye(self.field.dim, self.size)
        total, exponent = -math.inf, 0
        known = zip(reversed(operations), reversed(self._slopes), reversed(self._logs), strict=True)
        for operation, slope, error in known:
            reach = _log(np.linalg.norm(back)) + exponent * LOG_2
            total = float(np.logaddexp(total, reach + error))
            back, exponent = _in_range(back @ self._factor(operation, slope), exponent)
        return total


def _in_range(matrix: Float, exponent: int) -> tuple[Float, int]:
    """The same matrix · 2^exponent with entries far from the ends of float64."""
    shift = math.frexp(float(np.abs(matrix).max(initial=0.0)))[1]
    return (np.ldexp(matrix, -shift), exponent + shift) if abs(shift) > 300 else (matrix, exponent)


def _log(value: float | np.floating) -> float:
    return math.log(value) if value > 0.0 else -math.inf if value == 0.0 else math.inf
