"""A piece of work for every library: a cell with its weights, sequences, and what is asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MODELS", "Task", "tasks"]

Float = NDArray[np.float64]

MODELS = ("lstm", "gru", "cornn", "lem", "exprnn", "unicornn")


@dataclass(frozen=True)
class Task:
    """What is computed, as plain arrays, so that other libraries need none of our modules.

    Attributes
    ----------
    what : {"jacobian", "norm", "gradient"}
        ∂s_N/∂s_0 of the block that the cell shows by default, for every sequence; its largest singular value;
        or the gradient of the mean cross-entropy of a softmax read-out R h_N + r by all weights.
    model : str
        A name of `MODELS`.
    d : int
    step : float
        Δt of cells that have one.
    part : tuple of int
        First and last row of the block.
    size : int
        D, the length of the whole state.
    weights : mapping
        Our parameters by name; of a gradient also R and r.
    inputs : ndarray, shape (sequences, N, n_inputs)
    labels : ndarray, shape (sequences,)
        Of a gradient, else empty.
    least : mapping
        Asked for: how many times faster than "JAX", "JAX, default flags" or "PyTorch".
    """

    what: str
    model: str
    d: int
    step: float
    part: tuple[int, int]
    size: int
    weights: Mapping[str, Float]
    inputs: Float
    labels: NDArray[np.int64]
    least: Mapping[str, float]

    @property
    def title(self) -> str:
        sequences, n_steps = self.inputs.shape[:2]
        return f"{self.what}, {self.model}, d = {self.d}, N = {n_steps}, {sequences} sequences"


def tasks(small: bool = False) -> list[Task]:
    """All of them; small ones only to see that everything runs and agrees."""
    # The cells are ours; the processes of other libraries import this file only for `Task`.
    from sensitivity import cell

    found = []
    d, n_steps, sequences = (8, 20, 4) if small else (64, 200, 64)
    kinds = [("jacobian", model, 1.3, sequences) for model in MODELS]
    kinds += [("norm", model, 4.0, sequences) for model in MODELS]
    kinds.append(("norm", "lstm", 4.0, 4 * sequences))  # as many as a validation set has
    for what, model, jax, count in kinds:
        made = cell(model, d, 3, rng=0)
        part = made.blocks.get(made.default_block, slice(0, made.dim))
        inputs = np.random.default_rng(1).normal(size=(count, n_steps, 3))
        least = {"JAX, default flags": jax, "PyTorch": 4.0}
        found.append(
            Task(what, model, d, made.step_size, (part.start, part.stop), made.dim, dict(made.parameters),
                 inputs, np.zeros(0, np.int64), least)
        )  # fmt: skip
    d, n_steps, sequences = (8, 20, 9) if small else (75, 500, 100)
    for model in ("lstm", "gru"):
        made, rng = cell(model, d, 1, rng=0), np.random.default_rng(1)
        read = {"R": rng.uniform(-1.0, 1.0, (10, d)) / np.sqrt(d), "r": np.zeros(10)}
        inputs, labels = rng.normal(size=(sequences, n_steps, 1)), rng.integers(0, 10, sequences)
        least = {"JAX, default flags": 1.5, "PyTorch": 1.5}
        found.append(
            Task("gradient", model, d, 1.0, (0, d), made.dim, {**made.parameters, **read}, inputs, labels,
                 least)
        )  # fmt: skip
    return found
