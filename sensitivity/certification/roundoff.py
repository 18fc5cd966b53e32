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
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from integrators.fields.neural import NeuralField
from integrators.run.recurrence import Recurrence

__all__ = ["CURVATURE", "stated_log_error"]

Float = NDArray[np.float64]
UNIT = 2.0**-53
# Units in the last place that the activations may err by, with a margin; the largest found is 2.
ACTIVATION_UNITS = 6.0
SAFETY = 2.0
# A state error of this size has no digit left.
LOST = 1e140

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


@dataclass
class _Stage:
    """y ← y + drift · p, and `kick` · σ(z) added to p (or to y, where the state is y alone)."""

    drift: float = 0.0
    kick: float = 0.0
    x: Float | None = None


@dataclass
class _Linear:
    """The derivative of a stage, as a matrix on the full state."""

    W: Float
    target: slice
    size: int

    def factor(self, stage: _Stage, slope: Float) -> Float:
        d, matrix = len(self.W), np.eye(self.size)
        if stage.drift:
            matrix[:d, d:] += stage.drift * np.eye(d)
        if stage.kick:
            matrix[self.target, :d] += stage.kick * slope[:, None] * self.W
        return matrix


def _stages(recurrence: Recurrence, close: bool) -> Iterator[_Stage]:
    """Elementary stages of the run, in the order of the compiled drivers."""
    program = recurrence.program(close)
    run, h = recurrence.driver_run(np.array([0]), program), float(recurrence.steps[0])
    for stage, weight, _, entry, _ in program:
        if stage == "drift":
            yield _Stage(drift=weight * h)
            continue
        x = run.inputs[run.rows[entry], :, 0] if run.rows.size else None
        yield _Stage(weight * h if stage == "explicit" else 0.0, weight * h, x)


def stated_log_error(recurrence: Recurrence, block: str) -> float:
    """Natural logarithm of the stated bound on ‖J_float64 − J‖_F; inf where float64 has lost every digit.

    Parameters
    ----------
    recurrence : Recurrence
        With a `NeuralField` and one step size.
    block : {"position", "phase"}
    """
    field = recurrence.system
    assert isinstance(field, NeuralField)
    d, first_order, phase = field.dim, recurrence.first_order, block == "phase"
    size = d if first_order else 2 * d
    frozen = field.constant_jacobian  # the tangents do not see the state: its errors do not matter
    y, p = (np.zeros(d), np.zeros(d)) if frozen else recurrence.initial_value
    T = np.eye(size, size if phase else d)
    Q, exponent, count = np.zeros((size, size)), 0, 0
    target = slice(0, d) if first_order else slice(d, 2 * d)
    rows = np.linalg.norm(field.W, axis=1)
    absolute, abs_V, abs_b = np.abs(field.W), np.abs(field.V), np.abs(field.b)
    terms = d + field.n_inputs + 2
    errors: list[float] = []
    slopes: list[Float] = []  # with the stages they give the factors again, in a d-th of the memory
    stages = list(_stages(recurrence, phase))
    linear = _Linear(field.W, target, size)
    with np.errstate(all="ignore"):
        for stage in stages:
            old_y, slope = y, np.zeros(0)
            local, tangent = 0.0, 0.0
            if stage.drift:
                moved = stage.drift * p
                y = y + moved
                local += UNIT * 2.0 * (np.linalg.norm(y) + np.linalg.norm(moved))
                tangent += UNIT * 2.0 * (np.linalg.norm(T[:d]) + abs(stage.drift) * np.linalg.norm(T[d:]))
            if stage.kick:
                drive = 0.0 if stage.x is None else field.V @ stage.x
                z = np.zeros(d) if frozen else field.W @ old_y + drive + field.b
                value, slope = field.activation.value_and_derivative(z)
                bend = np.abs(CURVATURE[field.activation.name](z, value, slope))
                size_z = absolute @ np.abs(old_y) + abs_b
                if stage.x is not None:
                    size_z = size_z + abs_V @ np.abs(stage.x)
                delta = math.sqrt(max(count, 1) * max(float(np.trace(Q[:d, :d])), 0.0))
                round_z = terms * UNIT * size_z
                if not field.activation.smooth and (np.abs(z) < round_z + rows * delta).any():
                    return math.inf  # the kink may have been passed on the other side
                if not delta < LOST:
                    return math.inf
                c = abs(stage.kick)
                local += c * np.linalg.norm(slope * round_z + ACTIVATION_UNITS * UNIT * np.abs(value))
                forward = absolute @ np.abs(T[:d])
                tangent += c * (terms + ACTIVATION_UNITS) * UNIT * np.linalg.norm(slope[:, None] * forward)
                uncertain = bend * (round_z + rows * delta)
                tangent += c * np.linalg.norm(uncertain[:, None] * (field.W @ T[:d]))
                pushed = stage.kick * value
                if first_order:
                    y = y + pushed
                else:
                    p = p + pushed
                local += UNIT * 2.0 * np.linalg.norm(y if first_order else p)
            if frozen:
                local = 0.0
            factor = linear.factor(stage, slope)
            T = factor @ T
            tangent += 2.0 * UNIT * float(np.linalg.norm(T))
            Q = factor @ Q @ factor.T + local**2 * np.eye(size)
            count += 1
            errors.append(_log(tangent) + exponent * math.log(2.0))
            slopes.append(slope)
            shift = math.frexp(float(np.abs(T).max(initial=0.0)))[1]
            if abs(shift) > 300:
                T, exponent = np.ldexp(T, -shift), exponent + shift
    back = np.eye(size) if phase else np.eye(d, size)
    # log Σ_t ‖P_{N,t}‖_F E_t, walked from the end.
    total, exponent = -math.inf, 0
    for stage, slope, error in zip(reversed(stages), reversed(slopes), reversed(errors), strict=True):
        reach = _log(np.linalg.norm(back)) + exponent * math.log(2.0)
        total = float(np.logaddexp(total, reach + error))
        back = back @ linear.factor(stage, slope)
        shift = math.frexp(float(np.abs(back).max(initial=0.0)))[1]
        if abs(shift) > 300:
            back, exponent = np.ldexp(back, -shift), exponent + shift
    return _log(SAFETY) + total


def _log(value: float | np.floating) -> float:
    return math.log(value) if value > 0.0 else -math.inf if value == 0.0 else math.inf
