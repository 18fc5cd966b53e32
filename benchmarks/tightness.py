"""How far the proved bounds are from the norm: the tables of docs/verifier.md.

``python -m benchmarks.tightness`` prints them.

ln bound − ln norm of ∂y_N/∂y_0 at N = 1000 and total times Nε = 1, 5, 20: of theorem F, of the best bound by
single steps (F and H), and of the best of all, with segments of 64 steps (theorem K); and of a trained LSTM
along sequences of several lengths.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from integrators import NeuralField
from sensitivity import SequenceClassifier, bounds, log_jacobian_norm, unroll

__all__ = ["gaps", "main", "networks", "table", "trained_lstm"]

N_STEPS, TIMES = 1000, (1.0, 5.0, 20.0)
LENGTHS = (20, 50, 100)


def networks() -> dict[str, NeuralField]:
    """The networks of the table; everything random is drawn with seed 0."""
    rng = np.random.default_rng(0)
    A, b = rng.normal(size=(10, 10)) / np.sqrt(10.0), 0.1 * rng.normal(size=10)
    return {
        "paper's weights, d = 10": NeuralField.random(10, rng=0),
        "paper's weights, d = 100": NeuralField.random(100, rng=0),
        "W = A": NeuralField(A, b),
        "W = −AAᵀ": NeuralField(-A @ A.T, b),
        "W = A − Aᵀ − 0.01 I": NeuralField(A - A.T - 0.01 * np.eye(10), b),
        "W = −I": NeuralField(-np.eye(10), np.ones(10)),
    }


def gaps(field: NeuralField, scheme: str) -> tuple[NDArray[np.float64], ...]:
    """ln bound − ln norm at every total time: of theorem F, with theorem H, and with theorem K."""
    case = (field, scheme, np.array(TIMES) / N_STEPS, N_STEPS)
    norm, before = log_jacobian_norm(*case), bounds.log_aposteriori(*case)
    steps = np.minimum(before, bounds.log_weighted_product(*case))
    segments = np.minimum(steps, bounds.log_segment_product(*case))
    return before - norm, steps - norm, segments - norm


def table(fields: Mapping[str, NeuralField]) -> Iterator[str]:
    """The rows for neural fields, in Markdown."""
    yield "| network | Euler: F | steps | segments | leapfrog: F | steps | segments |"
    yield "|---|---|---|---|---|---|---|"
    for name, field in fields.items():
        cells = [_row(gap) for scheme in ("euler", "leapfrog") for gap in gaps(field, scheme)]
        yield f"| {name} | {' | '.join(cells)} |"


def trained_lstm(sequences: int = 400, epochs: int = 8) -> Iterator[str]:
    """The same for an LSTM trained on the sign of a mean: from its weights, and products of steps."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(sequences, 50)) + rng.choice([-0.3, 0.3], size=(sequences, 1))
    network = SequenceClassifier("lstm", d=8, epochs=epochs, random_state=0).fit(X, X.mean(axis=1) > 0.0)
    cell = network.trained_
    yield "| N | ln norm | weights alone | products of steps | of segments |"
    yield "|---|---|---|---|---|"
    for n in LENGTHS:
        run = unroll(cell, inputs=rng.normal(size=(n, cell.n_inputs)))
        norm = float(log_jacobian_norm(run, block="state"))
        found = {bound.name: float(bound.log_value) - norm for bound in bounds.of_recurrence(run)}
        products = min(found.pop(name) for name in ("step_product", "weighted_product"))
        segments = found.pop("segment_product")
        weights = min(found.values(), default=np.inf)
        yield f"| {n} | {norm:.3g} | {weights:.3g} | {products:.3g} | {segments:.2g} |"


def _row(gap: NDArray[np.float64]) -> str:
    return ", ".join(f"{value:.2f}" if value < 1.0 else f"{value:.3g}" for value in gap)


def main() -> None:
    print(*table(networks()), "", *trained_lstm(), sep="\n")


if __name__ == "__main__":
    main()
