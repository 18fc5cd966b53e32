"""Blocks as published: normalisation, cell, read-out with a skip, activation, gate, skip; one on the other.

A block takes a signal e of some width to

    x = norm(e),  s' = Φ(s, x),  y = C s' + D ∘ x,  a = σ(y),  g = (W₁ a + b₁) ∘ σ̂(W₂ a + b₂),  e' = e + g,

with the norm after the skip where `prenorm` is false. The first e is an affine map of the input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from integrators.cells.cell import Cell
from integrators.cells.stacks.operations import GELU, GELU_TANH, SILU
from integrators.cells.stacks.stack import CellStack
from integrators.cells.stacks.wiring import BATCH_NORM, LAYER_NORM, RMS_NORM, Signal, Wiring
from integrators.fields.activations import ACTIVATIONS, LOGISTIC

__all__ = ["ACTIVATIONS_OF_STACKS", "GATES", "NORMS", "OUTPUTS", "READ", "Design", "assembled_stack"]

Float = NDArray[np.float64]

NORMS: Mapping[str, int | None] = {
    "layer": LAYER_NORM, "rms": RMS_NORM, "batch": BATCH_NORM, "none": None,
}  # fmt: skip
"""Normalisations by name. "batch" is batch normalisation in evaluation, with a fixed mean and variance."""

GATES = ("glu", "half_glu", "none")
"""(W₁ a + b₁) ∘ σ̂(W₂ a + b₂); a ∘ σ̂(W₂ a + b₂); a."""

OUTPUTS = ("none", "last", "mean")
"""What is kept of the last signal in the block "out" of the state: nothing, the last value, or the mean."""

ACTIVATIONS_OF_STACKS: Mapping[str, int] = {
    "gelu": GELU, "gelu_tanh": GELU_TANH, "silu": SILU,
    **{name: record.code for name, record in ACTIVATIONS.items()},
}  # fmt: skip
"""Activations by name: "gelu" is x Φ(x), "gelu_tanh" its approximation, the default of JAX."""

READ: Mapping[str, str] = {
    "linoss_im": "y", "linoss_imex": "y", "linoss_vv": "y", "dlinoss": "y", "lru": "state", "s4d": "state",
    "s6": "state", "h1": "state", "h2": "state", "mlstm": "C",
}  # fmt: skip
"""Which block of a cell's state is read out, where it is not the first one."""


@dataclass(frozen=True)
class Design:
    """What blocks are made of.

    Attributes
    ----------
    norm : str
        A name of `NORMS`.
    prenorm : bool
        Whether the norm stands before the cell, or after the skip.
    affine : bool
        Whether the norm has trained weights.
    epsilon : float
        The number below the root of the norm.
    activation : str
        A name of `ACTIVATIONS_OF_STACKS`.
    gate : str
        A name of `GATES`.
    output : str
        A name of `OUTPUTS`.
    """

    norm: str = "layer"
    prenorm: bool = True
    affine: bool = True
    epsilon: float = 1e-5
    activation: str = "gelu"
    gate: str = "glu"
    output: str = "none"


Draw = Callable[[int, int], Float]


def assembled_stack(
    name: str,
    cells: list[Cell],
    n_inputs: int,
    generator: np.random.Generator,
    design: Design,
    read_out: Draw,
    reference: str = "",
) -> CellStack:
    """The stack of these cells, with weights of the layers between them drawn.

    Parameters
    ----------
    name : str
    cells : list of Cell
        All with as many inputs as the stack is wide.
    n_inputs : int
        0 for a stack without inputs, whose first cell has none either.
    generator : numpy.random.Generator
    design : Design
    read_out : callable
        ``read_out(width, rows)`` → C at its start.
    reference : str

    Returns
    -------
    CellStack
        Affine maps start as those of PyTorch and Equinox do, W and b uniform on ±1/√(rows of the source), and
        D ~ N(0, 1).
    """
    wiring = Wiring(n_inputs, sum(cell.packed.size for cell in cells))
    width = cells[-1].n_inputs if len(cells) > 1 or n_inputs else cells[0].d
    blocks = _Blocks(wiring, generator, design, width)
    signal = blocks.affine("encoder", wiring.input, width) if n_inputs else None
    for number, cell in enumerate(cells):
        signal = blocks.block(number, cell, signal, read_out)
    assert signal is not None
    if design.output != "none":
        wiring.output(signal, design.output == "mean")
    return CellStack(name, cells, wiring, reference, {**vars(design), "layers": len(cells), "width": width})


@dataclass
class _Blocks:
    wiring: Wiring
    generator: np.random.Generator
    design: Design
    width: int

    def affine(self, name: str, source: Signal, rows: int) -> Signal:
        limit = 1.0 / math.sqrt(source.size)
        W = self.generator.uniform(-limit, limit, (rows, source.size))
        return self.wiring.affine(name, source, W, self.generator.uniform(-limit, limit, rows))

    def normalised(self, number: int, source: Signal) -> Signal:
        code, design = NORMS[self.design.norm], self.design
        if code is None:
            return source
        return self.wiring.normalise(code, f"layer{number}.norm", source, design.epsilon, design.affine)

    def block(self, number: int, cell: Cell, signal: Signal | None, read_out: Draw) -> Signal:
        """The signal after a block; without a signal before it there is neither a norm nor a skip."""
        wiring, name = self.wiring, f"layer{number}"
        x = Signal(0, 0) if signal is None else signal
        x = self.normalised(number, x) if self.design.prenorm and signal is not None else x
        state = wiring.cell(number, x, cell.dim)
        part = {**cell.blocks, "state": slice(0, cell.dim)}[READ.get(cell.kind.name, cell.kind.state[0])]
        rows = Signal(state.start + part.start, part.stop - part.start)
        y = wiring.affine(f"{name}.C", rows, read_out(self.width, rows.size))
        if signal is not None:
            y = wiring.add(y, wiring.scale(f"{name}.D", x, self.generator.normal(size=self.width)))
        g = self.gated(name, wiring.activate(ACTIVATIONS_OF_STACKS[self.design.activation], y))
        if signal is None:
            return g
        after = wiring.add(signal, g)
        return after if self.design.prenorm else self.normalised(number, after)

    def gated(self, name: str, a: Signal) -> Signal:
        """The activation through its gate."""
        wiring, gate = self.wiring, self.design.gate
        if gate == "none":
            return a
        value = self.affine(f"{name}.out", a, self.width) if gate == "glu" else a
        share = wiring.activate(LOGISTIC, self.affine(f"{name}.gate", a, self.width))
        return wiring.product(value, share)
