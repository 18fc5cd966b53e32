"""``python -m benchmarks.check_training``: the trainer's loss and gradient against JAX, for every network.

JAX differentiates the definition of each network, sequence by sequence; nothing of ours takes part in it.
"""

# pyright: reportMissingImports=false
# The libraries compared with are not part of the development set-up.

from __future__ import annotations

import argparse
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from sensitivity.training.models import Shape, make_network
from sensitivity.training.networks.network import Network
from sensitivity.training.networks.ode_network import OdeNetwork

from .check import TOLERANCE, Difference, last_state, relative
from .table import markdown

__all__ = ["cases", "compare"]

Array = Any


def last_hidden(network: Network, model: str, parts: dict[str, Array], inputs: Array) -> Array:
    """y_N, or h_N, of one sequence (n_steps, n_inputs) from rest."""
    d, W = network.d, parts["W"]
    if isinstance(network, OdeNetwork):
        if network.gamma is not None:
            upper = jnp.zeros((d, d)).at[np.triu_indices(d, 1)].set(W)
            W = upper - upper.T - network.gamma * jnp.eye(d)
        scheme = network.scheme
        start = jnp.zeros(d if scheme.form == "first_order" else 2 * d)
        run = last_state(scheme, jnp.tanh, network.n_steps, network.step or 0.0)
        return run(W, parts["V"], parts["b"], start, inputs)[:d]

    def vanilla(state: Array, x: Array) -> tuple[Array, None]:
        h, c = state
        return (jnp.tanh(W @ h + parts["V"] @ x + parts["b"]), c), None

    def lstm(state: Array, x: Array) -> tuple[Array, None]:
        h, c = state
        i, f, g, o = jnp.split(W @ h + parts["V"] @ x + parts["b"].ravel(), 4)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    rest = jnp.zeros(d), jnp.zeros(d)
    return lax.scan({"lstm": lstm, "vanilla": vanilla}[model], rest, inputs)[0][0]


def compare(model: str, d: int = 12, n_steps: int = 60, batch: int = 20, **options: Any) -> Difference:
    """One network with random weights on a random batch."""
    network = make_network(model, Shape(d, n_steps, n_inputs=3, n_classes=4), **options)
    rng = np.random.default_rng([d, n_steps])
    theta = rng.normal(size=network.n_parameters) / np.sqrt(d)
    inputs = rng.normal(size=(n_steps, 3, batch))
    labels = rng.integers(0, 4, batch)
    found = network.gradient(theta, inputs, labels)
    shapes, ends = network.shapes, np.cumsum([int(np.prod(shape)) for shape in network.shapes.values()])

    def loss(values: Array) -> Array:
        pieces = jnp.split(values, ends[:-1].tolist())
        parts = {name: piece.reshape(shapes[name]) for name, piece in zip(shapes, pieces, strict=True)}
        R, r = (parts[name] if name in parts else parts[f"{name}_out"] for name in ("R", "r"))
        last = jax.vmap(lambda x: last_hidden(network, model, parts, x))(
            jnp.asarray(inputs.transpose(2, 0, 1))
        )
        scores = jax.nn.log_softmax(last @ R.T + r, axis=1)
        return -scores[jnp.arange(batch), labels].mean()

    value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.asarray(theta))
    text = ", ".join([model, *(f"{name} = {value:g}" if not isinstance(value, str) else value
                               for name, value in options.items() if name != "step")])  # fmt: skip
    parts = {"loss": relative(np.array([found.loss]), np.array([float(value)])),
             "gradient": relative(found.gradient, np.asarray(gradient))}  # fmt: skip
    return Difference(f"{text}, d = {d}, N = {n_steps}", parts)


def cases() -> list[Difference]:
    """Every network, several schemes, small and large d."""
    found = [
        compare("hamiltonian", step=0.1, scheme=name) for name in ("leapfrog", "symplectic_euler", "yoshida4")
    ]
    found += [compare("hamiltonian", d=d, step=0.1) for d in (1, 70)]
    found += [compare("euler", step=0.1), *(compare("antisymmetric", step=0.1, gamma=g) for g in (0.0, 0.01))]
    return [*found, compare("lstm"), compare("lstm", d=48), compare("vanilla")]


def main(given: list[str] | None = None) -> int:
    """Print all differences; 1 if one is above the tolerance."""
    argparse.ArgumentParser(prog="python -m benchmarks.check_training", description=__doc__).parse_args(given)
    found = cases()
    rows = [[case.case, *(f"{value:.1e}" for value in case.parts.values())] for case in found]
    print(markdown(["network", "loss", "gradient"], rows))
    largest = max(case.worst for case in found)
    print(f"\nlargest relative difference {largest:.1e}; asked: at most {TOLERANCE:g}")
    return 0 if largest <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
