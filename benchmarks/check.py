"""``python -m benchmarks.check``: our derivatives against those that JAX finds by itself.

JAX differentiates the definition of a scheme, stage by stage and without merged kicks, in reverse mode.
Compared are ∂⟨λ, s_N⟩/∂(W, V, b), ∂⟨λ, s_N⟩/∂s_0 and the Jacobian, for driven fields and several schemes.
"""

# pyright: reportMissingImports=false
# The libraries compared with are not part of the development set-up.

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from integrators import NeuralField, Scheme, get_scheme
from sensitivity import OdeRecurrence

from .table import markdown

__all__ = ["SCHEMES", "TOLERANCE", "Difference", "cases", "compare", "relative"]

jax.config.update("jax_enable_x64", True)

Array = Any
Float = NDArray[np.float64]

TOLERANCE = 1e-11
SCHEMES = (
    "euler",
    "explicit_euler",
    "symplectic_euler",
    "leapfrog",
    "position_verlet",
    "yoshida4",
    "kahan_li8",
)
ACTIVATIONS = {"tanh": jnp.tanh, "logistic": jax.nn.sigmoid, "sin": jnp.sin, "identity": lambda z: z}


@dataclass(frozen=True)
class Difference:
    """Largest difference over the largest entry, for each part of a case.

    Attributes
    ----------
    parts : dict
        "W", "V", "b", "state" (the pullback of λ) and "Jacobian" → relative difference.
    """

    case: str
    parts: dict[str, float]

    @property
    def worst(self) -> float:
        return max(self.parts.values())


def last_state(scheme: Scheme, sigma: Any, n_steps: int, h: float) -> Any:
    """(W, V, b, s_0, inputs) → s_N, by the definition of the scheme: every stage of every step."""
    drift, kick = (np.array(weights, dtype=float) for weights in (scheme.drift, scheme.kick))
    last_drift = np.flatnonzero(drift)[-1] if scheme.form == "splitting" else len(kick)

    def run(W: Array, V: Array, b: Array, start: Array, inputs: Array) -> Array:
        d = W.shape[0]

        def step(state: Array, rows: Array) -> tuple[Array, None]:
            y, p = state
            for s, (a, c) in enumerate(zip(drift, kick, strict=True)):
                # After the last drift a kick acts on y_{i+2}, and takes the row of the next step.
                x = rows[1] if s >= last_drift else rows[0]
                if scheme.form == "first_order":
                    y = y + c * h * sigma(W @ y + V @ x + b)
                elif scheme.form == "explicit":
                    y, p = y + a * h * p, p + c * h * sigma(W @ y + V @ x + b)
                else:
                    y = y + a * h * p
                    p = p + c * h * sigma(W @ y + V @ x + b)
            return (y, p), None

        later = jnp.concatenate([inputs[1:], inputs[-1:]])
        first = (start, jnp.zeros(0)) if scheme.form == "first_order" else (start[:d], start[d:])
        end, _ = lax.scan(step, first, jnp.stack([inputs, later], axis=1), length=n_steps)
        return jnp.concatenate(end)

    return run


def compare(
    name: str, d: int = 12, n_inputs: int = 3, n_steps: int = 60, h: float = 0.2, activation: str = "tanh"
) -> Difference:
    """One case: random weights, initial values, inputs and cotangent."""
    rng, scheme = np.random.default_rng([d, n_steps]), get_scheme(name)
    W, V = rng.normal(size=(d, d)) / np.sqrt(d), rng.normal(size=(d, n_inputs))
    b, inputs = rng.normal(size=d), rng.normal(size=(n_steps, n_inputs))
    size = d if scheme.form == "first_order" else 2 * d
    start, lam = rng.normal(size=size), rng.normal(size=size)
    p0 = None if size == d else start[d:]

    recurrence = OdeRecurrence(NeuralField(W, b, V, activation), scheme, h, n_steps, start[:d], p0, inputs)
    gradient = recurrence.parameter_gradient(lam)
    ends = np.cumsum([W.size, V.size, b.size])
    ours: dict[str, Float] = {
        "W": gradient[: ends[0]].reshape(W.shape),
        "V": gradient[ends[0] : ends[1]].reshape(V.shape),
        "b": gradient[ends[1] : ends[2]],
        "state": recurrence.pullback(lam[:, None]).unscaled()[:, 0],
        "Jacobian": recurrence.pushforward(np.eye(size)).unscaled(),
    }

    run = last_state(scheme, ACTIVATIONS[activation], n_steps, h)
    arguments = [jnp.asarray(part) for part in (W, V, b, start, inputs)]
    loss = jax.jit(jax.grad(lambda *given: run(*given) @ lam, argnums=(0, 1, 2, 3)))
    theirs = dict(zip(("W", "V", "b", "state"), loss(*arguments), strict=True))
    theirs["Jacobian"] = jax.jit(jax.jacrev(run, argnums=3))(*arguments)
    return Difference(
        f"{name}, {activation}, d = {d}, {n_inputs} inputs, N = {n_steps}",
        {part: relative(found, np.asarray(theirs[part])) for part, found in ours.items()},
    )


def relative(found: Float, expected: Float) -> float:
    if not (np.isfinite(found).all() and np.isfinite(expected).all()):
        return float("inf")
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def cases() -> list[Difference]:
    """Every scheme; then other activations, sizes and lengths with leapfrog."""
    found = [compare(name) for name in SCHEMES]
    found += [compare("leapfrog", activation=name) for name in ACTIVATIONS if name != "tanh"]
    found += [compare("leapfrog", d=1, n_inputs=1), compare("leapfrog", d=70, n_steps=30)]
    return [*found, compare("leapfrog", n_steps=1), compare("yoshida4", n_steps=400, h=0.02)]


def main(given: list[str] | None = None) -> int:
    """Print all differences; 1 if one is above the tolerance."""
    argparse.ArgumentParser(prog="python -m benchmarks.check", description=__doc__).parse_args(given)
    found = cases()
    parts = list(found[0].parts)
    rows = [[case.case, *(f"{case.parts[part]:.1e}" for part in parts)] for case in found]
    print(markdown(["case", *(f"∂/∂{part}" if len(part) == 1 else part for part in parts)], rows))
    largest = max(case.worst for case in found)
    print(f"\nlargest relative difference {largest:.1e}; asked: at most {TOLERANCE:g}")
    return 0 if largest <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
