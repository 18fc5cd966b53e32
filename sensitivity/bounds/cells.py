"""The bounds of a recurrence as it is, such as a cell: from its weights alone, and along its trajectory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from integrators.run.recurrence import Recurrence
from sensitivity.analysis.singular import block_of
from sensitivity.text import block_symbol

from .bound import Bound, Of
from .products import log_step_product, log_weighted_product
from .rounding import upward
from .segments import log_segment_product

__all__ = ["cell_bound", "of_recurrence"]

Float = NDArray[np.float64]


def cell_bound(recurrence: Recurrence, block: str | None = None) -> Bound | None:
    """The bound that the kind of a cell brings, from its weights alone; None where there is none.

    Parameters
    ----------
    recurrence : Recurrence
        Of a cell.
    block : str, optional
        Of the state. The bound is of the default block, and of the state of each cell of a stack.
    """
    cell = recurrence.cell
    if cell is None:
        return None
    same = block_of(recurrence, block)[0] == block_of(recurrence, None)[0]
    name = recurrence.default_block if same or block is None else block
    log_value = cell.log_bound_of(name, recurrence.step, recurrence.n_steps, recurrence.start)
    if np.isnan(log_value).all():
        return None
    depends = getattr(cell.kind, "bound_needs_start", True)  # a stack may hold such a cell
    starts = "initial values as large as this one" if depends else "every initial value"
    statement = f"{_norm(recurrence, block)} ≤ a product of bounds of a step, from the weights of {cell.name}"
    return _bound(cell.name, "cell", log_value, statement, (f"for every input, and {starts}",))


def of_recurrence(recurrence: Recurrence, block: str | None = None) -> list[Bound]:
    """The upper bounds that hold for ‖∂s_N/∂s_0‖ of a recurrence: that of its cell, and theorems H and K.

    Parameters
    ----------
    recurrence : Recurrence
        Such as ``unroll(cell, n_steps)``, with any batch. `applicable` has the bounds of a field.
    block : str, optional
        Block of the state; as for `jacobian`.

    Returns
    -------
    list of Bound
        A bound from the weights alone holds for every input and initial value, of LSTM, GRU and LEM for
        initial values as large as that of the run; one of the kind "product" holds for the computed
        trajectory.

    Raises
    ------
    TypeError
        If this is no recurrence.
    ValueError
        If the recurrence has no such block.

    Examples
    --------
    >>> import leapgrad as lg
    >>> run = lg.unroll(lg.cell("vanilla", 4), n_steps=20)
    >>> [bound.name for bound in lg.bounds.of_recurrence(run)]
    ['vanilla', 'step_product', 'weighted_product', 'segment_product']
    >>> all(bound.log_tightness(lg.log_jacobian_norm(run)) >= 0 for bound in lg.bounds.of_recurrence(run))
    True
    """
    if not isinstance(recurrence, Recurrence):
        raise TypeError(
            f"recurrence must be a Recurrence such as unroll(cell, n_steps), got {type(recurrence).__name__}."
        )
    norm = _norm(recurrence, block)
    rows = [
        ("step_product", "H", log_step_product, f"{norm} ≤ Π ‖J_n‖"),
        ("weighted_product", "H", log_weighted_product, f"{norm} ≤ ‖E P⁻¹‖ Π ‖P J_n P⁻¹‖ ‖P E‖"),
        ("segment_product", "K", log_segment_product, f"{norm} ≤ Π ‖K_j‖ in a weighted norm"),
    ]
    own, along_this = cell_bound(recurrence, block), ("for the computed trajectory",)
    along = [
        _bound(name, theorem, log(recurrence, block=block), text, along_this, "product")
        for name, theorem, log, text in rows
    ]
    return along if own is None else [own, *along]


def _norm(recurrence: Recurrence, block: str | None) -> str:
    part = block_of(recurrence, block)[1]
    name = block_symbol(part)
    return f"‖∂{name}_N/∂{name}_0‖"


def _bound(
    name: str, theorem: str, log_value: Float, statement: str, checked: tuple[str, ...], of: Of = "recursion"
) -> Bound:
    with np.errstate(over="ignore"):
        value = upward(np.exp(log_value))
    return Bound(name, theorem, value, log_value, statement, "upper", of, checked)
