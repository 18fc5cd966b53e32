"""Stacks by name: the blocks of LinOSS, LRU and S5 with the settings of their publications, and any other."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.cells.cell import Cell
from integrators.naming import nearest, shown
from integrators.validation import as_count, as_generator
from sensitivity.recurrences.marked import CELLS
from sensitivity.recurrences.settings import SETTINGS, Check, checked_start, one_of, positive

from .assemble import ACTIVATIONS_OF_STACKS, GATES, NORMS, OUTPUTS, Design, Draw, assembled_stack

__all__ = ["STACKS", "STACK_SETTINGS", "build_stack"]

Float = NDArray[np.float64]


@dataclass(frozen=True)
class StackRow:
    """A stack of the table.

    Attributes
    ----------
    name : str
    text : str
        What it is, for its documentation.
    layer : str
        The cell.
    design : Design
        The blocks as published.
    layers : tuple of str
        The cells that may stand in the place of `layer`; none if there is no choice.
    own : tuple of str
        Settings that go to the cell.
    normal : bool
        Whether C ~ N(0, 1/rows) at the start; else uniform on ±1/√rows.
    reference : str
    """

    name: str
    text: str
    layer: str
    design: Design = field(default_factory=Design)
    layers: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    normal: bool = False
    reference: str = ""


LINOSS = ("linoss_im", "linoss_imex", "linoss_vv", "dlinoss")

ROWS = (
    StackRow(
        "linoss_block",
        "Blocks of LinOSS: batch norm without weights, oscillators, GELU, gated linear unit, skip.",
        "linoss_imex",
        Design(norm="batch", affine=False, activation="gelu_tanh"),
        LINOSS,
        reference="T. K. Rusch, D. Rus, ICLR 2025",
    ),
    StackRow(
        "lru_block",
        "Blocks of linear recurrent units: batch norm, LRU, GELU, gated linear unit, skip.",
        "lru",
        Design(norm="batch", activation="gelu_tanh"),
        own=("r_min", "r_max"),
        normal=True,
        reference="A. Orvieto et al., ICML 2023",
    ),
    StackRow(
        "s5_block",
        "Blocks of S5: batch norm, a diagonal state space model, GELU, a gate by itself, skip.",
        "s4d",
        Design(norm="batch", activation="gelu_tanh", gate="half_glu"),
        own=("discretisation",),
        normal=True,
        reference="J. T. H. Smith, A. Warrington, S. W. Linderman, ICLR 2023",
    ),
    StackRow(
        "stack",
        "Blocks of any cell: norm, cell, read-out with a skip, activation, gate, skip.",
        "linoss_imex",
        layers=("*",),
        reference="blocks in the form of A. Gu, K. Goel, C. Ré, ICLR 2022",
    ),
)


def _width(value: Any, name: str, d: int) -> int:
    return d if value is None else as_count(value, name, least=1)


def _named(value: Any, allowed: tuple[str, ...]) -> str:
    """The name of a cell in upper or lower case, or an error with the nearest known name."""
    name = value.strip().lower() if isinstance(value, str) else value
    if isinstance(name, str) and name in allowed:
        return name
    raise nearest("model", value, allowed)


def _layer(allowed: tuple[str, ...]) -> Check:
    def check(value: Any, name: str, d: int) -> str:
        return _named(value, tuple(CELLS) if allowed == ("*",) else allowed)

    return check


def _any_flag(value: Any, name: str, d: int) -> bool:
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise TypeError(f"{name} must be True or False, got {shown(value)}.")


OF_BLOCKS: Mapping[str, Check] = {
    "layers": SETTINGS["layers"],
    "width": _width,
    "norm": one_of(*NORMS),
    "prenorm": _any_flag,
    "affine": _any_flag,
    "epsilon": positive,
    "activation": one_of(*ACTIVATIONS_OF_STACKS),
    "gate": one_of(*GATES),
    "output": one_of(*OUTPUTS),
}
"""The settings of every stack: how many blocks, how wide, and the attributes of `Design`."""

STACK_SETTINGS: Mapping[str, Mapping[str, Check]] = {
    row.name: {
        **{name: SETTINGS[name] for name in ("d", "n_inputs", "rng", *row.own)},
        **({"layer": _layer(row.layers)} if row.layers else {}),
        **OF_BLOCKS,
    }
    for row in ROWS
}
"""Name of a stack → its settings."""


def _drawn(generator: np.random.Generator, normal: bool) -> Draw:
    """C at its start."""

    def draw(width: int, rows: int) -> Float:
        scale = 1.0 / np.sqrt(rows)
        if normal:
            return generator.normal(size=(width, rows)) * scale
        return generator.uniform(-scale, scale, (width, rows))

    return draw


def _built(row: StackRow, **given: Any) -> Cell:
    """The stack of a row with all of its settings."""
    layer, own = given.get("layer", row.layer), {name: given[name] for name in row.own}
    design = Design(**{part.name: given[part.name] for part in fields(Design)})
    make = partial(CELLS[layer], **own)
    return _of_cells(row.name, row, make, given, design)


def _of_cells(
    name: str, row: StackRow, make: Callable[..., Cell], given: Mapping[str, Any], design: Design
) -> Cell:
    generator, n_inputs, width = given["rng"], given["n_inputs"], given["width"]
    cells = [
        make(given["d"], width if number or n_inputs else 0, generator) for number in range(given["layers"])
    ]
    return assembled_stack(
        name, cells, n_inputs, generator, design, _drawn(generator, row.normal), row.reference
    )


def _builder(row: StackRow) -> Callable[..., Cell]:
    """``(d, n_inputs=0, rng=0, **settings)`` → the stack, with the published settings as defaults."""

    def build(*args: Any) -> Cell:
        return _built(row, **dict(zip(defaults_of_all, args, strict=True)))

    defaults: dict[str, Any] = {"n_inputs": 0, "rng": 0}
    defaults |= {"layer": row.layer} if row.layers else {}
    defaults |= {"layers": 1, "width": None, **vars(row.design)}
    own = inspect.signature(CELLS[row.layer]).parameters
    defaults |= {name: own[name].default for name in row.own}
    defaults_of_all = ("d", *defaults)
    parameters = [inspect.Parameter("d", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    parameters += [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=value)
        for name, value in defaults.items()
    ]
    build.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    build.__name__ = build.__qualname__ = row.name
    build.__doc__ = row.text
    found = checked_start(STACK_SETTINGS[row.name])(build)
    found.__dict__["reference"] = row.reference
    return found


STACKS: Mapping[str, Callable[..., Cell]] = MappingProxyType({row.name: _builder(row) for row in ROWS})
"""Stacks by name: name → constructor at the published start."""


def build_stack(
    layer: str | Sequence[Cell], d: int | None = None, n_inputs: int = 0, rng: Any = 0, **settings: Any
) -> Cell:
    """Blocks of recurrent cells with pointwise layers between them, as one cell.

    A block takes a signal e to e' = e + g with

        x = norm(e),  s' = Φ(s, x),  y = C s' + D ∘ x,  a = σ(y),  g = (W₁ a + b₁) ∘ σ̂(W₂ a + b₂),

    and the first e is an affine map of the input. The state of the stack is that of all its cells, lowest
    block first; norms, activations and gates have none.

    Parameters
    ----------
    layer : str or sequence of Cell
        The name of a model, such as "lru", for cells at their published start; or the cells themselves, of
        one kind and one number of neurons, each with as many inputs as the stack is wide.
    d : int
        Neurons of a cell; for a sequence of cells that of these.
    n_inputs : int
        Length of each input. Without inputs the first cell has none, and its block neither norm nor skip.
    rng : int or numpy.random.Generator
    **settings
        layers (1): the number of blocks. width (d): the length of e. norm ("layer"): "layer", "rms", "batch"
        (in evaluation form, with fixed mean and variance) or "none". prenorm (True): whether the norm stands
        before the cell, or else after the skip. affine (True): whether the norm has trained weights. epsilon
        (1e-5): the number below its root. activation ("gelu"): "gelu", "gelu_tanh", "silu" or a name of
        `ACTIVATIONS`. gate ("glu"): "glu", "half_glu" for a ∘ σ̂(W₂ a + b₂), or "none". output ("none"):
        "last" or "mean" keeps the last e, or its mean over all steps, in a block "out" of the state, which
        a classifier reads. All others are settings of the cell.

    Returns
    -------
    Cell
        Its parameters are named ``layer0.V``, ``layer0.C``, ``layer0.gate.W``, ``encoder.W`` and so on. The
        Jacobian of a step is block lower triangular: a cell depends on those below it. No bound is proved
        for the whole of it.

    Raises
    ------
    ValueError, TypeError
        If a setting is not known or makes no sense, or if the cells do not go together.

    Examples
    --------
    >>> import numpy as np
    >>> import leapgrad as lg
    >>> stack = lg.stack("lru", 8, 3, layers=2, width=4, norm="rms")
    >>> stack
    CellStack(stack, 2 × lru, d=8, n_inputs=3)
    >>> J = lg.jacobian(lg.unroll(stack, inputs=np.ones((10, 3))))
    >>> J.shape, bool((J[:16, 16:] == 0.0).all())
    ((32, 32), True)
    >>> lg.cell("linoss_block", 8, 3, layers=4).dim
    64
    """
    row = ROWS[-1]
    given = {name: settings.pop(name) for name in OF_BLOCKS if name in settings}
    if not isinstance(layer, str):
        if settings:
            raise ValueError(f"{next(iter(settings))!r} is no setting of a stack of given cells.")
        return _of_given(layer, n_inputs, rng, given)
    name = _named(layer, tuple(CELLS))
    signature = inspect.signature(STACKS["stack"]).parameters
    everything = {"layers": 1, "width": None, **vars(row.design), **given, "d": d, "n_inputs": n_inputs}
    neurons = as_count(d, "d", least=1)
    checked: dict[str, Any] = {
        key: STACK_SETTINGS["stack"][key](everything.get(key, signature[key].default), key, neurons)
        for key in signature
        if key not in ("layer", "rng")
    } | {"rng": as_generator(rng, "rng")}
    design = Design(**{part.name: checked[part.name] for part in fields(Design)})
    return _of_cells("stack", row, partial(CELLS[name], **settings), checked, design)


def _of_given(cells: Any, n_inputs: int, rng: Any, given: dict[str, Any]) -> Cell:
    """The stack of cells that are there already."""
    if not isinstance(cells, Sequence) or not cells or not all(isinstance(cell, Cell) for cell in cells):
        raise TypeError(f"layer must be the name of a model or a sequence of cells, got {shown(cells)}.")
    count, generator = as_count(n_inputs, "n_inputs"), as_generator(rng, "rng")
    widths = [cell.n_inputs for cell in cells]
    width = _width(given.pop("width", None), "width", widths[-1] or cells[0].d)
    layers = given.pop("layers", len(cells))
    if layers != len(cells):
        raise ValueError(f"layers must be left out with {len(cells)} cells, got {shown(layers)}.")
    for number, own in enumerate(widths):
        wanted = width if number or count else 0
        if own != wanted:
            raise ValueError(
                f"cell {number} of the stack takes {own} inputs; with width = {width} and n_inputs = {count} "
                f"it must take {wanted}."
            )
    design = Design(**{key: OF_BLOCKS[key](value, key, cells[0].d) for key, value in given.items()})
    return assembled_stack("stack", list(cells), count, generator, design, _drawn(generator, False))
