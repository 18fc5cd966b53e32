"""What PyTorch calls the parameters of a cell that it has as well: of its RNN, LSTM and GRU."""

from __future__ import annotations

from typing import Any

from integrators.cells.cell import Cell
from sensitivity.recurrences.cells.gated import GRU, LSTM
from sensitivity.recurrences.cells.vanilla import VANILLA

from .weights import same_kind

__all__ = ["in_both", "rows_of", "torch_names"]

_NAMES = {"W": "weight_hh_l{0}", "V": "weight_ih_l{0}", "b": "bias_ih_l{0} + bias_hh_l{0}"}
# The last bias of PyTorch's GRU stands inside of the reset product, and is a row of its own.
_APART = {"b": "bias_ih_l{0}, bias_hh_l{0}"}
_KINDS = {"vanilla": (VANILLA, {}), "lstm": (LSTM, {}), "gru": (GRU, _APART)}
_ROWS = {
    "lstm": "d each for the input gate i, the forget gate f, the cell g and the output gate o",
    "gru": "d each for the new state n, the reset gate r and the update gate z",
}


def torch_names(system: Any) -> dict[str, str]:
    """Our name of each parameter, with the number of the layer where there are several, to PyTorch's.

    Parameters
    ----------
    system : Cell or Field

    Returns
    -------
    dict of str to str
        Empty for whatever PyTorch does not have.

    Examples
    --------
    >>> import leapgrad as lg
    >>> torch_names(lg.cell("lstm", 8, 3))["W"]
    'weight_hh_l0'
    """
    kind, apart = _KINDS.get(getattr(system, "name", ""), (None, {}))
    if kind is None or not isinstance(system, Cell) or not same_kind(system.kind, kind):
        return {}
    layers, names = system.layout.layers, {**_NAMES, **apart}
    if not system.n_inputs and layers == 1:
        del names["V"]
    return {
        f"{own}{number}" if layers > 1 else own: theirs.format(number)
        for number in range(layers)
        for own, theirs in names.items()
    }


def rows_of(system: Any) -> str:
    """A sentence on what the rows of the parameters stand for; "" where they are of one sort."""
    said = _ROWS.get(system.name, "") if torch_names(system) else ""
    return f"\nRows: {said}." if said else ""


def in_both(name: str, theirs: dict[str, str]) -> str:
    """A name with PyTorch's behind it, where there is one."""
    return f"{name} ({theirs[name]})" if name in theirs else name
