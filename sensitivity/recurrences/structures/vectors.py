"""Vectors of a linear recurrence from the free parameters of their publications: poles, rates, step sizes.

Each is an `integrators.cells.structure.Structure`: free parameters → vectors, and the gradient by the
vectors → the one by the free parameters. The state-space cells hold the numbers of one step, so that no
exponential has to be computed anew at each of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.cells.structure import Structure

__all__ = [
    "DampedOscillator",
    "Decays",
    "LogSigmoid",
    "Oscillator",
    "Ring",
    "Sampled",
    "SharedRows",
    "clamp",
    "logit",
]

Float = NDArray[np.float64]
Arrays = Mapping[str, Float]


def logit(share: Any) -> Any:
    """ln(p/(1 − p)), the inverse of the logistic function."""
    return np.log(share) - np.log1p(-share)


def _logistic(x: Float) -> Float:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0.0, 1.0, e) / (1.0 + e)


def _step_size(made: Arrays) -> Float:
    """The logit of a step size between 0 and 1."""
    dt = made["dt"]
    if not ((dt > 0.0) & (dt < 1.0)).all():
        raise ValueError(
            f"dt holds {dt.min() if dt.min() <= 0.0 else dt.max():g}, and a logistic function gives numbers "
            "between 0 and 1; take unstructured() for other steps."
        )
    return logit(dt)


def _not_negative(made: Arrays, name: str) -> Float:
    if made[name].min() < 0.0:
        raise ValueError(
            f"{name} holds {made[name].min():g}, and max(0, ·) is not negative; take unstructured() for that."
        )
    return made[name].copy()


@dataclass(frozen=True)
class Oscillator(Structure):
    """A = max(0, Â) and Δt = 1/(1 + e^−ŝ), the frequencies and step sizes of LinOSS.

    The free parameters are called A_free and dt_logit. Oscillators whose Â is negative have A = 0.
    """

    makes = ("A", "dt")

    def shapes(self, d: int) -> dict[str, tuple[int, ...]]:
        return {"A_free": (d,), "dt_logit": (d,)}

    def assemble(self, free: Arrays) -> dict[str, Float]:
        return {"A": np.maximum(free["A_free"], 0.0), "dt": _logistic(free["dt_logit"])}

    def pullback(self, free: Arrays, gradient: Arrays) -> dict[str, Float]:
        dt = _logistic(free["dt_logit"])
        slope = dt * _logistic(-free["dt_logit"])
        return {"A_free": gradient["A"] * (free["A_free"] > 0.0), "dt_logit": gradient["dt"] * slope}

    def recover(self, made: Arrays, given: Arrays) -> dict[str, Float]:
        return {"A_free": _not_negative(made, "A"), "dt_logit": _step_size(made)}


def clamp(G: Any, dt: Any) -> tuple[Any, Any]:
    """A_low, A_high = (2 + ΔtG ∓ 2√(1 + ΔtG))/Δt², between which the poles of D-LinOSS are complex.

    The lower one is written (ΔtG/(1 + √(1 + ΔtG)))²/Δt², without cancellation.
    """
    root = np.sqrt(1.0 + dt * G)
    return (G / (1.0 + root)) ** 2, ((1.0 + root) / dt) ** 2


@dataclass(frozen=True)
class DampedOscillator(Structure):
    """G = max(0, Ĝ), Δt = 1/(1 + e^−ŝ), and A = Â cut to [A_low, A_high] of `clamp`: those of D-LinOSS.

    The free parameters are called A_free, G_free and dt_logit.
    """

    makes = ("A", "G", "dt")

    def shapes(self, d: int) -> dict[str, tuple[int, ...]]:
        return {"A_free": (d,), "G_free": (d,), "dt_logit": (d,)}

    def assemble(self, free: Arrays) -> dict[str, Float]:
        G, dt = np.maximum(free["G_free"], 0.0), _logistic(free["dt_logit"])
        low, high = clamp(G, dt)
        return {"A": np.minimum(np.maximum(free["A_free"], low), high), "G": G, "dt": dt}

    def pullback(self, free: Arrays, gradient: Arrays) -> dict[str, Float]:
        G, dt = np.maximum(free["G_free"], 0.0), _logistic(free["dt_logit"])
        low, high = clamp(G, dt)
        below, above = free["A_free"] < low, free["A_free"] > high
        # With t = ΔtG and A = (2 + t ∓ 2√(1 + t))/Δt² at an end: ∂A/∂t = (1 ∓ 1/√(1 + t))/Δt².
        at_end = np.where(below | above, gradient["A"], 0.0)
        by_t = at_end * (1.0 + np.where(below, -1.0, 1.0) / np.sqrt(1.0 + dt * G)) / dt**2
        end = np.where(below, low, high)
        by_G = gradient["G"] + by_t * dt
        by_dt = gradient["dt"] + by_t * G - 2.0 * at_end * end / dt
        return {
            "A_free": np.where(below | above, 0.0, gradient["A"]),
            "G_free": by_G * (free["G_free"] > 0.0),
            "dt_logit": by_dt * dt * _logistic(-free["dt_logit"]),
        }

    def recover(self, made: Arrays, given: Arrays) -> dict[str, Float]:
        G, logits = _not_negative(made, "G"), _step_size(made)
        low, high = clamp(G, made["dt"])
        slack = 1e-12 * high
        if ((made["A"] < low - slack) | (made["A"] > high + slack)).any():
            raise ValueError(
                "A lies outside [A_low, A_high] of these G and dt; take unstructured() for that."
            )
        return {"A_free": made["A"].copy(), "G_free": G, "dt_logit": logits}


@dataclass(frozen=True)
class Ring(Structure):
    """λ = exp(−e^ν + i e^θ) and γ = √(1 − |λ|²), the poles and the input gains of the LRU.

    It makes a_re and a_im of λ, and g_re = γ; g_im is zero. The free parameters are nu and theta.
    """

    makes = ("a_re", "a_im", "g_re", "g_im")

    def shapes(self, d: int) -> dict[str, tuple[int, ...]]:
        return {"nu": (d,), "theta": (d,)}

    def assemble(self, free: Arrays) -> dict[str, Float]:
        rate, phase = np.exp(free["nu"]), np.exp(free["theta"])
        radius = np.exp(-rate)
        gain = np.sqrt(-np.expm1(-2.0 * rate))
        made = {"a_re": radius * np.cos(phase), "a_im": radius * np.sin(phase), "g_re": gain}
        return made | {"g_im": np.zeros_like(gain)}

    def pullback(self, free: Arrays, gradient: Arrays) -> dict[str, Float]:
        rate, phase = np.exp(free["nu"]), np.exp(free["theta"])
        radius, c, s = np.exp(-rate), np.cos(phase), np.sin(phase)
        gain = np.sqrt(-np.expm1(-2.0 * rate))
        by_radius = gradient["a_re"] * c + gradient["a_im"] * s
        by_phase = radius * (gradient["a_im"] * c - gradient["a_re"] * s)
        by_rate = -radius * by_radius + gradient["g_re"] * radius**2 / gain
        return {"nu": by_rate * rate, "theta": by_phase * phase}

    def recover(self, made: Arrays, given: Arrays) -> dict[str, Float]:
        radius = np.hypot(made["a_re"], made["a_im"])
        phase = np.arctan2(made["a_im"], made["a_re"])
        if not ((radius > 0.0) & (radius < 1.0)).all() or (phase == 0.0).any():
            raise ValueError(
                "λ must lie inside the unit circle and off the positive real axis; give nu, theta."
            )
        return {
            "nu": np.log(-np.log(radius)),
            "theta": np.log(np.where(phase < 0.0, phase + 2.0 * math.pi, phase)),
        }


@dataclass(frozen=True)
class Sampled(Structure):
    """x' = a x + u in steps of Δ, with a = −exp(log_decay) + i frequency: pole and gain of S4D and S5.

    With zero-order hold Ā = e^{aΔ} and the gain is (Ā − 1)/a; with the bilinear rule Ā = (1 +
    aΔ/2)/(1 − aΔ/2) and the gain is Δ/(1 − aΔ/2). The free parameters are log_dt, log_decay and
    frequency.

    Attributes
    ----------
    discretisation : {"zoh", "bilinear"}
    """

    discretisation: str = "zoh"
    makes = ("a_re", "a_im", "g_re", "g_im")

    def shapes(self, d: int) -> dict[str, tuple[int, ...]]:
        return {"log_dt": (d,), "log_decay": (d,), "frequency": (d,)}

    def assemble(self, free: Arrays) -> dict[str, Float]:
        pole, gain, *_ = self._sampled(free)
        return {"a_re": pole.real, "a_im": pole.imag, "g_re": gain.real, "g_im": gain.imag}

    def _sampled(self, free: Arrays) -> tuple[Any, ...]:
        """Ā, the gain g, and ∂Ā/∂a, ∂Ā/∂Δ, ∂g/∂a, ∂g/∂Δ."""
        dt, a = np.exp(free["log_dt"]), -np.exp(free["log_decay"]) + 1j * free["frequency"]
        z = a * dt
        if self.discretisation == "bilinear":
            w = 1.0 / (1.0 - 0.5 * z)
            square = w * w
            return (1.0 + 0.5 * z) * w, dt * w, dt * square, a * square, 0.5 * dt**2 * square, square
        pole = np.exp(z)
        share, slope = _average(z)
        return pole, dt * share, dt * pole, a * pole, dt**2 * slope, pole

    def pullback(self, free: Arrays, gradient: Arrays) -> dict[str, Float]:
        dt, decay = np.exp(free["log_dt"]), np.exp(free["log_decay"])
        _, _, pole_a, pole_dt, gain_a, gain_dt = self._sampled(free)
        by_pole = gradient["a_re"] - 1j * gradient["a_im"]
        by_gain = gradient["g_re"] - 1j * gradient["g_im"]
        by_a = by_pole * pole_a + by_gain * gain_a  # dC = Re(by_a da)
        by_dt = (by_pole * pole_dt + by_gain * gain_dt).real
        return {"log_dt": by_dt * dt, "log_decay": -by_a.real * decay, "frequency": -by_a.imag}

    def recover(self, made: Arrays, given: Arrays) -> dict[str, Float]:
        raise ValueError(
            "a step does not tell the rates, since frequencies alias; give log_dt, log_decay and frequency, "
            "or take unstructured() first."
        )


def _average(z: Any) -> tuple[Any, Any]:
    """φ(z) = (e^z − 1)/z and φ'(z), by their series where |z| < 1/2 and the quotients cancel."""
    small = np.abs(z) < 0.5
    inner, outer = np.where(small, z, 0.0), np.where(small, 1.0, z)
    value, slope = np.zeros_like(inner), np.zeros_like(inner)
    for k in range(18, -1, -1):  # φ = Σ z^k/(k + 1)!, φ' = Σ (k + 1) z^k/(k + 2)!
        value = value * inner + 1.0 / math.factorial(k + 1)
        slope = slope * inner + (k + 1) / math.factorial(k + 2)
    quotient = np.expm1(outer) / outer
    return np.where(small, value, quotient), np.where(small, slope, (np.exp(outer) - quotient) / outer)


@dataclass(frozen=True)
class Decays(Structure):
    """A = −exp(A_log): the negative rates of the states of a selective state-space cell.

    It makes A0, A1, … of d rates each from A_log, shape (states, d).

    Attributes
    ----------
    states : int
    """

    states: int = 16

    @property
    def makes(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return tuple(f"A{n}" for n in range(self.states))

    def shapes(self, d: int) -> dict[str, tuple[int, ...]]:
        return {"A_log": (self.states, d)}

    def assemble(self, free: Arrays) -> dict[str, Float]:
        return {f"A{n}": -np.exp(row) for n, row in enumerate(free["A_log"])}

    def pullback(self, free: Arrays, gradient: Arrays) -> dict[str, Float]:
        slopes = [-np.exp(row) * gradient[f"A{n}"] for n, row in enumerate(free["A_log"])]
        return {"A_log": np.array(slopes)}

    def recover(self, made: Arrays, given: Arrays) -> dict[str, Float]:
        rates = np.array([made[name] for name in self.makes])
        if not (rates < 0.0).all():
            raise ValueError(f"the rates A hold {rates.max():g}; every one must be negative.")
        return {"A_log": np.log(-rates)}


@dataclass(frozen=True)
class LogSigmoid(Structure):
    """log_a = ln(1/(1 + e^−Λ)), the slowest decay of a neuron of the RG-LRU; the free parameter is Lambda."""

    makes = ("log_a",)

    def shapes(self, d: int) -> dict[str, tuple[int, ...]]:
        return {"Lambda": (d,)}

    def assemble(self, free: Arrays) -> dict[str, Float]:
        return {"log_a": -np.logaddexp(0.0, -free["Lambda"])}

    def pullback(self, free: Arrays, gradient: Arrays) -> dict[str, Float]:
        return {"Lambda": gradient["log_a"] * _logistic(-free["Lambda"])}

    def recover(self, made: Arrays, given: Arrays) -> dict[str, Float]:
        log_a = made["log_a"]
        if not (log_a < 0.0).all():
            raise ValueError(f"log_a holds {log_a.max():g}; every entry must be negative.")
        return {"Lambda": log_a - np.log(-np.expm1(log_a))}


@dataclass(frozen=True)
class SharedRows(Structure):
    """Rows of V, or entries of b, that are the same for all neurons, such as the keys of an mLSTM.

    The parameter has `blocks` blocks of d rows. Those after the first `own` ones are d times one row each.
    Of V the free parameters are V_own, shape (own d, n_inputs), and V_shared, (blocks − own, n_inputs).

    Attributes
    ----------
    name : {"V", "b"}
    blocks, own : int
    d, n_inputs : int
        Of the cell; `sized` sets them.
    """

    name: str
    blocks: int
    own: int = 0
    d: int = 1
    n_inputs: int = 0

    @property
    def makes(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return (self.name,) if self.n_inputs or self.name != "V" else ()

    def sized(self, d: int, n_inputs: int) -> Structure:
        return replace(self, d=d, n_inputs=n_inputs)

    def shapes(self, d: int) -> dict[str, tuple[int, ...]]:
        if not self.makes:
            return {}
        row = (self.n_inputs,) if self.name == "V" else ()
        own = {f"{self.name}_own": (self.own * d, *row)} if self.own else {}
        return own | {f"{self.name}_shared": (self.blocks - self.own, *row)}

    def assemble(self, free: Arrays) -> dict[str, Float]:
        if not self.makes:
            return {}
        own = [free[f"{self.name}_own"]] if self.own else []
        shared = np.repeat(free[f"{self.name}_shared"], self.d, axis=0)
        return {self.name: np.concatenate([*own, shared])}

    def pullback(self, free: Arrays, gradient: Arrays) -> dict[str, Float]:
        own, shared = self._parts(gradient)
        return own | {name: part.sum(axis=1) for name, part in shared.items()}

    def recover(self, made: Arrays, given: Arrays) -> dict[str, Float]:
        own, shared = self._parts(made)
        return {name: part.copy() for name, part in own.items()} | {
            name: part[:, 0].copy() for name, part in shared.items()
        }

    def _parts(self, made: Arrays) -> tuple[dict[str, Float], dict[str, Float]]:
        """The part that is not shared, and the shared one by block and neuron; by the free parameters."""
        if not self.makes:
            return {}, {}
        array, cut = made[self.name], self.own * self.d
        shared = array[cut:].reshape(self.blocks - self.own, self.d, *array.shape[1:])
        own = {f"{self.name}_own": array[:cut]} if self.own else {}
        return own, {f"{self.name}_shared": shared}
