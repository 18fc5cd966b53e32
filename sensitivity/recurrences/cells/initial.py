"""Published starts that several cells share, and what their bounds need."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from integrators.cells.cell import Cell, Kind
from integrators.fields.activations import ACTIVATIONS, Activation
from integrators.fields.neural import NeuralField
from integrators.singular_values import spectral_norm

__all__ = ["activation_of", "as_in_the_paper", "spectral", "uniform"]


def uniform(
    kind: Kind, d: int, n_inputs: int, rng: int | np.random.Generator, limit: float | None = None
) -> dict[str, NDArray[np.float64]]:
    """All parameters but the constants uniform on ±limit, 1/√d by default: PyTorch's start of its cells."""
    generator = np.random.default_rng(rng)
    bound = 1.0 / math.sqrt(d) if limit is None else limit
    shapes = kind.shapes(d, n_inputs)
    return {
        name: generator.uniform(-bound, bound, shape)
        for name, shape in shapes.items()
        if name not in (kind.constants or {})
    }


def as_in_the_paper(
    d: int, n_inputs: int, rng: int | np.random.Generator
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """W, and b and, for a driven cell, V by name: the weights of `NeuralField.random`."""
    field = NeuralField.random(d, rng, n_inputs)
    return field.W, {"b": field.b, "V": field.V} if n_inputs else {"b": field.b}


def activation_of(cell: Cell) -> Activation:
    """The activation that the constant of that name stands for."""
    code = int(cell.parameters["activation"])
    return next(record for record in ACTIVATIONS.values() if record.code == code)


def spectral(cell: Cell) -> float:
    """‖W‖₂."""
    return float(spectral_norm(cell.parameters["W"]))
