"""A model of the time of the two ways to the largest singular values: full product and Lanczos sweeps.

Lanczos pays where a sweep of single columns is much cheaper than the product of all of them, and few sweeps
do. A sweep of one batch member takes as long as one of eight, since its products are with vectors. So the
model counts products with d × d matrices, pointwise work and the size of a group, and it knows how many
iterations a kind of recurrence usually takes.
"""

from __future__ import annotations

from dataclasses import dataclass

from integrators.cells.cell import Cell
from integrators.fields.neural import NeuralField
from integrators.run.recurrence import Recurrence

__all__ = [
    "ITERATIONS",
    "SWEEPS",
    "USUAL",
    "StepWork",
    "expected_iterations",
    "iterations_that_pay",
    "structure_of",
]

# Seconds, measured with ``python -m benchmarks.norm_methods`` on one core of 2 GHz (AVX-512); only their
# ratios matter. Full product: an operation of a product with large matrices, the size at which such a product
# takes twice as long, a slope applied to a column, an SVD over d³.
FULL_PRODUCT, HALF_SPEED, FULL_SLOPE, SVD = 8e-12, 60, 5e-11, 3e-10
# An iteration of a group: Python; an entry of a matrix in a product with up to 16 vectors; a pointwise
# number, for the group and for each member. With 50 steps and d = 100 so many iterations take the time of the
# full product, in the model and measured: vanilla 1.9 (2.4), gru 2.4 (3.3), lstm 5.7 (6.0), cornn 2.2 (3.4)
# and the neural field 1.9 (2.5) with one member, 21 (23), 20 (27), 45 (51), 18 (19) and 21 (26) with sixteen.
CALL, SWEEP_ENTRY, MEMBERS_AT_ONCE, POINT, POINT_OF_A_MEMBER = 4.5e-4, 1.8e-10, 16, 4e-9, 2.5e-9
# Products with W in an iteration, there and back, times two for multiplying and adding.
SWEEPS = 4

# Iterations to 1e-10 at the published start, d = 48 … 200; 6 where nothing else is known.
USUAL = 6
ITERATIONS = {
    "irnn": 1,
    "scornn": 1,
    "enrnn": 1,
    "urnn": 1,
    "scurnn": 4,
    "exprnn": 7,
    "leaky": 8,
    "staggered": 10,
    "antisymmetric": 11,
    "gated_antisymmetric": 19,
    "nesterov_lstm": 26,
    "cornn": 30,
    "cornn_imex": 30,
    "momentum_lstm": 50,
    "sbo": 100,
    "sbo_heavy_ball": 100,
    "sbo_nesterov": 100,
    "unicornn": 200,
}


@dataclass(frozen=True)
class StepWork:
    """The operations of a step.

    Attributes
    ----------
    d : int
        Neurons.
    products : float
        Products with d × d matrices in a step.
    pointwise : float
        Numbers computed and slopes applied, for a neuron.
    """

    d: int
    products: float
    pointwise: float


def structure_of(recurrence: Recurrence) -> StepWork | None:
    """The structure of a cell or of a network's field; None for a field of which nothing is known."""
    system = recurrence.system
    if isinstance(system, Cell):
        if not system.compiled:
            return None
        layout = system.layout
        own = layout.recurrent * layout.source + layout.second * (
            layout.recurrent if layout.tied else layout.hidden
        )
        above = (layout.layers - 1) * (layout.input_to - layout.input_from)
        pointwise = layout.first + layout.second + len(layout.out_pairs) + len(layout.hidden_pairs)
        maps = layout.layers * layout.substeps
        return StepWork(system.d, maps * own + above, maps * pointwise)
    if isinstance(system, NeuralField):
        return StepWork(system.dim, 1.0, 2.0)
    return None


def iterations_that_pay(structure: StepWork, steps: int, width: int, group: int) -> float:
    """Lanczos iterations that take as long as the full product.

    Parameters
    ----------
    structure : StepWork
    steps : int
        Evaluations of it in a run.
    width : int
        Columns of the full product.
    group : int
        Batch members that are iterated together.
    """
    d, s = structure.d, structure
    full = width**3 * SVD + steps * width * (
        2.0 * s.products * d * (d + HALF_SPEED) * FULL_PRODUCT + s.pointwise * d * FULL_SLOPE
    )
    entries = SWEEPS * s.products * d * d * max(1.0, group / MEMBERS_AT_ONCE)
    point = s.pointwise * d * (POINT + POINT_OF_A_MEMBER * group)
    return full * group / (CALL + steps * (entries * SWEEP_ENTRY + point))


def expected_iterations(recurrence: Recurrence, k: int) -> float:
    """Iterations that a recurrence of this kind takes for its k largest values."""
    one = USUAL if recurrence.cell is None else ITERATIONS.get(recurrence.cell.kind.name, USUAL)
    return one if k == 1 else 2.0 * (one + 2.0 * (k - 1))
