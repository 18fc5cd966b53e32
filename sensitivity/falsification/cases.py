"""Networks to try a bound on: drawn at random, or moved by an optimiser."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from integrators.fields.activations import ACTIVATIONS
from integrators.fields.neural import NeuralField
from integrators.schemes.table import SCHEMES
from integrators.singular_values import singular_values, spectral_norm
from integrators.values import ByValue

from .extended import extended_jacobian, largest

__all__ = [
    "MEMBERS",
    "MOST_PHASE",
    "Trial",
    "continuous",
    "draw",
    "draw_fast_start",
    "moved",
    "scaled_weight",
]

Float = NDArray[np.float64]
Block = Literal["position", "phase"]
MEMBERS = 8
SMALLEST_STEP, LARGEST_STEP = 1e-3, 5.0
LEAST_NORM, MOST_NORM = 0.1, 10.0
# How far Wy + b may move in a step, for the flow to be resolved.
MOST_PHASE = 0.05
MOST_STEPS, INPUTS, MOST_D = 60, 2, 6
# Most cases go to the schemes that theorems B to D are about.
FAVOURITES = ("leapfrog", "leapfrog", "leapfrog", "euler", "euler")
# Bounded by one, as theorem 3.2 asks.
BOUNDED = tuple(name for name, record in ACTIVATIONS.items() if record.bound <= 1.0)


@dataclass(frozen=True, eq=False)
class Trial(ByValue):
    """A network, a scheme and several steps; every step is a case of its own.

    Attributes
    ----------
    W, b, V : ndarray
        V has no columns where the network is not driven.
    activation, scheme : str
    steps : ndarray, shape (m,)
    n_steps : int
    y0, p0 : ndarray, shape (d,)
    inputs : ndarray, shape (n_steps, n_inputs), or None
    """

    W: Float
    b: Float
    V: Float
    activation: str
    scheme: str
    steps: Float
    n_steps: int
    y0: Float
    p0: Float
    inputs: Float | None

    @cached_property
    def field(self) -> NeuralField:
        return NeuralField(self.W, self.b, self.V if self.V.size else None, self.activation)

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Arguments of `jacobian` and its relatives."""
        return self.field, self.scheme, self.steps, self.n_steps, self.y0, self.p0, self.inputs

    def log_norm(self, block: Block = "position", along: bool = False) -> Float:
        """log ‖J‖₂ in extended precision for every step, `along` the computed trajectory or the exact one."""
        return largest(self._jacobian(block, along))

    def _jacobian(self, block: Block, along: bool) -> Any:
        y0, p0 = self.y0, self.p0
        return extended_jacobian(
            self.field, self.scheme, self.steps, self.n_steps, y0, p0, self.inputs, block=block, along=along
        )

    def singular_values(self, block: Block = "position") -> tuple[Float, Float]:
        """Smallest and largest singular value of a block for every step; NaN outside float64."""
        with np.errstate(over="ignore", invalid="ignore"):
            values = singular_values(self._jacobian(block, False).astype(np.float64))
        return values[:, -1], values[:, 0]

    def only(self, member: int) -> Trial:
        """The case of one step."""
        return replace(self, steps=self.steps[member : member + 1])

    @property
    def vector(self) -> Float:
        """See `continuous`."""
        return continuous(self)

    def moved(self, vector: Float) -> Trial:
        """See `moved`."""
        return moved(self, vector)

    def to_dict(self) -> dict[str, Any]:
        """Everything that is needed to build it again, in plain numbers."""
        names = ("activation", "scheme", "n_steps", "steps", "W", "b", "V", "y0", "p0", "inputs")
        values = {name: getattr(self, name) for name in names}
        return {name: v.tolist() if isinstance(v, np.ndarray) else v for name, v in values.items()}

    def __str__(self) -> str:
        driven = "driven" if self.inputs is not None else "not driven"
        step = f"{self.steps[0]:.6g}" if self.steps.size == 1 else f"{self.steps.size} steps"
        norm = spectral_norm(self.W)
        return (
            f"{self.activation}, d = {len(self.W)}, ‖W‖ = {norm:.4g}, {self.scheme}, ε = {step}, "
            f"N = {self.n_steps}, {driven}"
        )


def draw(rng: np.random.Generator) -> Trial:
    """A random case: any activation, d ≤ 6, ‖W‖ in [0.1, 10], ε in [10⁻³, 5], any scheme, driven or not."""
    d, n = int(rng.integers(1, MOST_D + 1)), int(np.exp(rng.uniform(0.0, np.log(MOST_STEPS + 1))))
    W = rng.normal(size=(d, d))
    if rng.random() < 0.3:  # where the theorems come close to equality
        W = W @ W.T
    driven, resting = rng.random() < 0.5, rng.random() < 0.3
    scheme = str(rng.choice([*FAVOURITES, str(rng.choice(list(SCHEMES)))]))
    return Trial(
        scaled_weight(W, 10.0 ** rng.uniform(-1.0, 1.0)),
        np.zeros(d) if resting else rng.normal(size=d),
        rng.normal(size=(d, INPUTS if driven else 0)),
        str(rng.choice(list(ACTIVATIONS))),
        scheme,
        np.exp(rng.uniform(np.log(SMALLEST_STEP), np.log(LARGEST_STEP), MEMBERS)),
        n,
        np.zeros(d) if resting else rng.normal(size=d),
        np.zeros(d) if resting else rng.normal(size=d),
        rng.normal(size=(n, INPUTS)) if driven else None,
    )


def draw_fast_start(rng: np.random.Generator) -> Trial:
    """A random case of theorem 3.2: d = 1, |σ| ≤ 1, not driven, ẏ(0) > T; the flow, to order 8."""
    n, excess = 400, 10.0 ** rng.uniform(-6.0, 1.0)
    W = scaled_weight(rng.normal(size=(1, 1)), 10.0 ** rng.uniform(-1.0, 1.0))
    # The largest step with ε |W| (ẏ_0 + T) = MOST_PHASE, and steps down to a hundredth of it.
    largest = np.sqrt(MOST_PHASE / (n * (2.0 + excess) * abs(W[0, 0])))
    steps = largest * 10.0 ** rng.uniform(-2.0, 0.0, MEMBERS)
    speed = n * steps.max() * (1.0 + excess)
    return Trial(
        W,
        rng.normal(size=1), np.zeros((1, 0)), str(rng.choice(BOUNDED)), "kahan_li8", steps, n,
        rng.normal(size=1), np.array([speed]), None,
    )  # fmt: skip


def scaled_weight(W: Float, norm: float) -> Float:
    """W scaled to a spectral norm inside [0.1, 10]."""
    size = spectral_norm(W)
    target = min(max(norm, LEAST_NORM), MOST_NORM)
    return W * (target / size) if size > 0.0 else target * np.eye(len(W))


def moved(case: Trial, vector: Float) -> Trial:
    """The case with its continuous part replaced by `vector` (see `continuous`), brought back into range."""
    d = len(case.W)
    parts = np.split(vector, np.cumsum([1, d * d, d, d]))
    W = parts[1].reshape(d, d)
    # Two members: a single lost one would be an error rather than a number.
    step = np.clip(np.exp(parts[0]), SMALLEST_STEP, LARGEST_STEP)
    return replace(
        case,
        steps=np.repeat(step, 2),
        W=scaled_weight(W, float(spectral_norm(W))),
        b=parts[2].copy(),
        y0=parts[3].copy(),
        p0=parts[4].copy(),
    )


def continuous(case: Trial) -> Float:
    """log ε, W, b, y_0, p_0 of a case of one step, as one vector."""
    return np.concatenate([np.log(case.steps[:1]), case.W.ravel(), case.b, case.y0, case.p0])
