"""A gradient step by JAX: value_and_grad of a scan over time, all sequences of the batch in one product.

Tried beside it: unrolling the scan by eight.
"""

# pyright: reportMissingImports=false
# The libraries compared with are not part of the development set-up.

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from .training import Batch, Run
from .worker import Timing, timed_round

__all__ = ["names", "prepare", "time"]

jax.config.update("jax_enable_x64", True)

UNROLL = {"jit(value_and_grad(scan))": 1, "the same, unrolled by 8": 8}
_RUNS: dict[str, Run] = {}


def names() -> list[str]:
    return list(UNROLL)


def loss(batch: Batch, unroll: int, parts: Any, inputs: Any, labels: Any) -> Any:
    """Mean cross-entropy after leapfrog with its end kicks merged: y (d, size), columns are sequences."""
    W, V, b, R, r = (parts[name] for name in ("W", "V", "b", "R", "r"))
    h = batch.step

    def kick(y: Any, x: Any) -> Any:
        return h * jnp.tanh(W @ y + V @ x + b[:, None])

    def step(state: Any, x: Any) -> Any:
        y, p = state
        p = p + kick(y, x)
        return (y + h * p, p), None

    y = jnp.zeros((batch.d, batch.size))
    p = 0.5 * kick(y, inputs[0])
    (y, _), _ = lax.scan(step, (y + h * p, p), inputs[1:], unroll=unroll)
    scores = jax.nn.log_softmax(R @ y + r[:, None], axis=0)
    return -scores[labels, jnp.arange(batch.size)].mean()


def prepare(name: str, batch: Batch, cores: int) -> NDArray[np.float64]:
    """Compile the call that is timed; what it returns."""
    inputs, labels = map(jnp.asarray, batch.data())
    parts = {key: jnp.asarray(part) for key, part in batch.parts().items()}
    gradient = jax.jit(jax.value_and_grad(partial(loss, batch, UNROLL[name])))

    def run() -> Any:
        return jax.block_until_ready(gradient(parts, inputs, labels))

    _RUNS[name] = run
    _, found = run()
    return np.concatenate([np.asarray(found[key]).ravel() for key in parts])


def time(name: str) -> Timing:
    return timed_round(_RUNS[name])
