"""One step of every cell for one sequence, as it would be written down, for any library of arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from .task import Task

__all__ = ["step_of"]

Array = Any
Weights = Mapping[str, Array]


def lstm(o: SimpleNamespace, p: Weights, task: Task, s: Array, x: Array) -> Array:
    d = task.d
    a = p["W"] @ s[:d] + p["V"] @ x + p["b"]
    i, f, g, out = o.sigmoid(a[:d]), o.sigmoid(a[d : 2 * d]), o.tanh(a[2 * d : 3 * d]), o.sigmoid(a[3 * d :])
    c = f * s[d:] + i * g
    return o.cat([out * o.tanh(c), c])


def gru(o: SimpleNamespace, p: Weights, task: Task, s: Array, x: Array) -> Array:
    d = task.d
    own, driven, b = p["W"] @ s, p["V"] @ x, p["b"]
    r = o.sigmoid(own[d : 2 * d] + driven[:d] + b[d : 2 * d])
    z = o.sigmoid(own[2 * d :] + driven[d : 2 * d] + b[2 * d : 3 * d])
    new = o.tanh(driven[2 * d :] + b[3 * d :] + r * (own[:d] + b[:d]))
    return (1.0 - z) * new + z * s


def cornn(o: SimpleNamespace, p: Weights, task: Task, s: Array, x: Array) -> Array:
    y, z, h = s[: task.d], s[task.d :], task.step
    z = z + h * (o.tanh(p["W"] @ s + p["V"] @ x + p["b"]) - p["gamma"] * y - p["epsilon"] * z)
    return o.cat([y + h * z, z])


def lem(o: SimpleNamespace, p: Weights, task: Task, s: Array, x: Array) -> Array:
    d, y, z = task.d, s[: task.d], s[task.d :]
    driven = p["V"] @ x + p["b"]
    a = p["W"] @ y + driven[: 3 * d]
    fast, slow = task.step * o.sigmoid(a[:d]), task.step * o.sigmoid(a[d : 2 * d])
    z = z + slow * (o.tanh(a[2 * d :]) - z)
    y = y + fast * (o.tanh(p["R"] @ z + driven[3 * d :]) - y)
    return o.cat([y, z])


def exprnn(o: SimpleNamespace, p: Weights, task: Task, s: Array, x: Array) -> Array:
    a = p["W"] @ s + p["V"] @ x
    return o.sign(a) * o.relu(o.abs(a) + p["b"])


def unicornn(o: SimpleNamespace, p: Weights, task: Task, s: Array, x: Array) -> Array:
    y, z, size = s[: task.d], s[task.d :], task.step * o.sigmoid(p["c"])
    z = z - size * (o.tanh(p["w"] * y + p["V"] @ x + p["b"]) + p["alpha"] * y)
    return o.cat([y + size * z, z])


_STEPS = {step.__name__: step for step in (lstm, gru, cornn, lem, exprnn, unicornn)}


def step_of(task: Task, o: SimpleNamespace, weights: Weights) -> Callable[[Array, Array], Array]:
    """(s, x) → the next state; `o` has the functions of the library."""
    return lambda s, x: _STEPS[task.model](o, weights, task, s, x)
