"""A cell of a study: one network with some of its step sizes, which is computed and stored by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.engine.blocks import one_blas_thread
from sensitivity.recurrences.case import ModelCase
from sensitivity.recurrences.sources import checksum, name_and_file

from .execution.cost import cost_of, size_of
from .models import build
from .quantities import checked
from .storage.job import Arrays, Job

__all__ = ["GridCell", "arrays_of", "case_of"]


@dataclass(frozen=True)
class GridCell(Job):
    """What to compute: a model with its parameters, step sizes and quantities.

    Attributes
    ----------
    model : str
    parameters : mapping
        A value for every axis of the model but the step.
    steps : tuple of float
        The members of the batch.
    quantities : tuple of str
    checksum : str
        Of the files that the model comes from; see `sensitivity.recurrences.sources.checksum`.
    """

    model: str
    parameters: Mapping[str, Any]
    steps: tuple[float, ...]
    quantities: tuple[str, ...]
    checksum: str = ""

    def facts(self) -> Mapping[str, Any]:
        return {
            # Not where the file of the weights lies, but what it holds.
            "model": name_and_file(self.model)[0],
            **({"checksum": self.checksum} if self.checksum else {}),
            "parameters": dict(self.parameters),
            "quantities": sorted(self.quantities),
            "steps": self.steps,
        }

    def compute(self) -> dict[str, NDArray[np.float64]]:
        if self.checksum and checksum(self.model) != self.checksum:
            raise ValueError(f"the file of model {self.model} has changed since the study was made.")
        return arrays_of(self)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        size = size_of(self)
        lengths = {"": (), "rank": (size.d,), "number": (size.state,), "index": (size.n_steps + 1,)}
        return {
            variable.name: (len(self.steps), *lengths[variable.dim])
            for quantity in checked(self.quantities)
            for variable in quantity.variables
        }

    @property
    def seconds(self) -> float:
        return cost_of(self).seconds

    def lost(self, arrays: Arrays) -> int:
        """Members of the batch of whose quantities all that depend on the trajectory are NaN."""
        counts = [
            int(np.isnan(array.reshape(len(array), -1)).all(axis=1).sum())
            for name, array in arrays.items()
            if name not in ("log_bound", "least_singular_value", "exponent_error")
        ]
        return max(counts, default=0)

    def __str__(self) -> str:
        values = ", ".join(f"{name}={value}" for name, value in self.parameters.items())
        return f"{self.model}({values}; {len(self.steps)} steps from {self.steps[0]:g})"


def case_of(cell: GridCell) -> ModelCase:
    """The network that a cell describes."""
    return build(cell.model, cell.parameters, cell.steps)


def arrays_of(cell: GridCell) -> dict[str, NDArray[np.float64]]:
    """Every variable of every quantity of a cell."""
    # Also for the norms of weights while the case is built: the bits of a product may depend on BLAS threads.
    with one_blas_thread():
        case = case_of(cell)
        return {
            variable.name: array
            for quantity in checked(cell.quantities)
            for variable, array in zip(quantity.variables, quantity.compute(case), strict=True)
        }
