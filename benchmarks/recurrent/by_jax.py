"""Recurrent cells by JAX: jit(vmap(jacfwd(scan))) and jit(value_and_grad(scan)), and faster forms of them."""

# pyright: reportMissingImports=false
# The libraries compared with are not part of the development set-up.

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from benchmarks.worker import Timing, timed_round

from .steps import step_of
from .task import Task

__all__ = ["names", "prepare", "time"]

jax.config.update("jax_enable_x64", True)

Array = Any
OPS = SimpleNamespace(
    tanh=jnp.tanh, sigmoid=jax.nn.sigmoid, relu=jax.nn.relu, abs=jnp.abs, sign=jnp.sign, cat=jnp.concatenate
)
PLAIN, BY_THREADS, IN_BLOCKS = "jit(vmap(jacfwd))", "the same, threads", "blocks of 4, threads"
UNROLL = {"jit(value_and_grad(scan))": 1, "the same, unrolled by 8": 8}
_RUNS: dict[str, Callable[[], Any]] = {}


def names(task: Task) -> list[str]:
    return list(UNROLL) if task.what == "gradient" else [PLAIN, BY_THREADS, IN_BLOCKS]


def jacobians(task: Task) -> Callable[[Array, Array], Array]:
    """(weights, inputs) → the block of ∂s_N/∂s_0 for every sequence."""
    part, start = slice(*task.part), jnp.zeros(task.size)

    def last(weights: Array, block: Array, inputs: Array) -> Array:
        step = step_of(task, OPS, weights)
        return lax.scan(lambda s, x: (step(s, x), None), start.at[part].set(block), inputs)[0][part]

    return jax.vmap(jax.jacfwd(last, 1), (None, None, 0))


def _norms(J: Array) -> NDArray[np.float64]:
    """√λ_max(J Jᵀ), which costs a fraction of the singular values."""
    matrices = np.asarray(J)
    return np.sqrt(np.linalg.eigvalsh(matrices @ matrices.transpose(0, 2, 1))[:, -1])


def _prepare_jacobian(name: str, task: Task, cores: int) -> Callable[[], NDArray[np.float64]]:
    weights = {key: jnp.asarray(value) for key, value in task.weights.items()}
    block, propagate = jnp.zeros(task.part[1] - task.part[0]), jacobians(task)
    after = _norms if task.what == "norm" else np.asarray

    def in_blocks(weights: Array, block: Array, inputs: Array) -> Array:
        found = lax.map(
            lambda four: propagate(weights, block, four), inputs.reshape(-1, 4, *inputs.shape[1:])
        )
        return found.reshape(-1, *found.shape[2:])

    whole = len(task.inputs) % (4 * cores) == 0
    call = jax.jit(in_blocks if name == IN_BLOCKS and whole else propagate)
    parts = [jnp.asarray(part) for part in np.array_split(task.inputs, 1 if name == PLAIN else cores)]

    def part_of(inputs: Array) -> NDArray[np.float64]:
        return after(jax.block_until_ready(call(weights, block, inputs)))

    if len(parts) == 1:
        return lambda: part_of(parts[0])
    pool = ThreadPoolExecutor(len(parts))
    return lambda: np.concatenate(list(pool.map(part_of, parts)))


def _batch_step(task: Task) -> Callable[[Array, tuple[Array, ...], Array], tuple[Array, ...]]:
    """A step of all sequences in one product; sequences are rows."""

    def lstm(p: Array, state: tuple[Array, ...], x: Array) -> tuple[Array, ...]:
        h, c = state
        i, f, g, o = jnp.split(h @ p["W"].T + x @ p["V"].T + p["b"], 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c

    def gru(p: Array, state: tuple[Array, ...], x: Array) -> tuple[Array, ...]:
        (h,) = state
        q, r, z = jnp.split(h @ p["W"].T, 3, axis=1)
        to_r, to_z, to_n = jnp.split(x @ p["V"].T, 3, axis=1)
        b_q, b_r, b_z, b_n = jnp.split(p["b"], 4)
        z = jax.nn.sigmoid(z + to_z + b_z)
        return ((1.0 - z) * jnp.tanh(to_n + b_n + jax.nn.sigmoid(r + to_r + b_r) * (q + b_q)) + z * h,)

    return {"lstm": lstm, "gru": gru}[task.model]


def _prepare_gradient(name: str, task: Task, cores: int) -> Callable[[], NDArray[np.float64]]:
    weights = {key: jnp.asarray(task.weights[key]) for key in ("W", "V", "b", "R", "r")}
    inputs, labels = jnp.asarray(task.inputs.transpose(1, 0, 2)), jnp.asarray(task.labels)
    step, blocks, n = _batch_step(task), task.size // task.d, len(task.inputs)

    def loss(p: Array, inputs: Array, labels: Array) -> Array:
        rest = (jnp.zeros((n, task.d)),) * blocks
        h = lax.scan(lambda s, x: (step(p, s, x), None), rest, inputs, unroll=UNROLL[name])[0][0]
        scores = jax.nn.log_softmax(h @ p["R"].T + p["r"], axis=1)
        return -scores[jnp.arange(n), labels].mean()

    call = jax.jit(jax.value_and_grad(loss))

    def run() -> NDArray[np.float64]:
        gradient = jax.block_until_ready(call(weights, inputs, labels))[1]
        return np.concatenate([np.asarray(gradient[key]).ravel() for key in weights])

    return run


def prepare(name: str, task: Task, cores: int) -> NDArray[np.float64]:
    """Compile the call that is timed; what it returns."""
    make = _prepare_gradient if task.what == "gradient" else _prepare_jacobian
    _RUNS[name] = make(name, task, cores)
    return _RUNS[name]()


def time(name: str) -> Timing:
    return timed_round(_RUNS[name])
