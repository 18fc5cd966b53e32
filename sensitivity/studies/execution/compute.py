"""What a worker does: cells in, the bytes of their files out. The same on a thread, a process, a cluster."""

from __future__ import annotations

import multiprocessing
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from integrators.engine.blocks import Cancelled, Ticker, one_blas_thread, part_of
from sensitivity.studies.models import MODELS, Case
from sensitivity.studies.quantities import checked
from sensitivity.studies.storage.cell import Cell, encode

__all__ = ["LOST_LANES", "Computed", "arrays_of", "case_of", "compute_cells", "compute_files", "compute_one"]

LOST_LANES = r"\d+ of \d+ lanes are NaN"
"""The warning for trajectories that leave float64; a study stores NaN and counts them."""


@dataclass(frozen=True)
class Computed:
    """What became of a cell.

    Attributes
    ----------
    content : bytes or None
        Its file.
    failure : str
        Why there is none.
    seconds : float
    """

    content: bytes | None
    failure: str
    seconds: float


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


def compute_one(cell: Cell) -> Computed:
    """A cell, or what went wrong with it, which is no reason to give up the others."""
    began = time.perf_counter()
    try:
        (content,), failure = compute_files([cell]), ""
    except Cancelled:
        raise
    except Exception as error:
        content, failure = None, _sentence(error)
    return Computed(content, failure, time.perf_counter() - began)


def _sentence(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return f"not enough memory ({str(error) or 'MemoryError'})"
    text = " ".join(str(error).split())
    return text if isinstance(error, (ValueError, TypeError)) and text else f"{type(error).__name__}: {text}"


def compute_cells(cells: Sequence[Cell], ticker: Ticker | None = None) -> list[Computed]:
    """`compute_one` of all cells, or of those that were finished when the ticker was cancelled."""
    if ticker is None:
        return [compute_one(cell) for cell in cells]
    done: list[Computed] = []
    try:
        with part_of(ticker):
            for cell in cells:
                ticker(0)
                done.append(compute_one(cell))
    except Cancelled:
        pass
    return done
