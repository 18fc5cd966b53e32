"""What a worker does: cells in, the bytes of their files out. The same on a thread, a process, a cluster."""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from integrators.blocks import one_blas_thread

from .cell import Cell, encode
from .models import MODELS, Case
from .quantities import checked

__all__ = ["LOST_LANES", "arrays_of", "case_of", "compute_files"]

LOST_LANES = r"\d+ of \d+ lanes are NaN"
"""The warning for trajectories that leave float64; a study stores NaN and counts them."""


def case_of(cell: Cell) -> Case:
    """The network that a cell describes."""
    return MODELS[cell.model].build(cell.parameters, cell.steps)


def arrays_of(cell: Cell) -> dict[str, NDArray[np.float64]]:
    """Every variable of every quantity of a cell."""
    # Also for the norms of weights while the case is built: the bits of a product may depend on BLAS threads.
    with one_blas_thread():
        case = case_of(cell)
        return {
            variable.name: array
            for quantity in checked(cell.quantities)
            for variable, array in zip(quantity.variables, quantity.compute(case), strict=True)
        }


def compute_files(cells: Sequence[Cell]) -> list[bytes]:
    """The file of every cell."""
    if multiprocessing.parent_process() is not None:  # elsewhere the run itself keeps the warning down
        warnings.filterwarnings("ignore", LOST_LANES, RuntimeWarning)
    return [encode(cell, arrays_of(cell)) for cell in cells]
