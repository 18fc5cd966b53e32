"""Vanilla and identity-initialised RNN."""

from __future__ import annotations

import numpy as np

from integrators.cells.cell import Cell, Kind
from integrators.cells.layout import POINT
from integrators.codegen.compiled import kernel
from integrators.fields.activations import ACTIVATIONS, activate
from sensitivity.recurrences.majorants import log_power
from sensitivity.recurrences.settings import cites, published_start

from .initial import activation_of, spectral, uniform

__all__ = ["VANILLA", "irnn", "vanilla"]


@kernel(POINT)
def _point(constants, v, out, slopes):
    activate(int(constants[0]), v[0], out[0], slopes[0, 0])


def _bound(cell, h, n_steps):
    """(sup|σ'| ‖W‖₂)^N: the paper's bound below equation (1)."""
    return log_power(activation_of(cell).lipschitz * spectral(cell), n_steps, h.shape)


def _linear(cell: Cell) -> bool:
    return int(cell.parameters["activation"]) == ACTIVATIONS["identity"].code


VANILLA = Kind(
    name="vanilla",
    state=("h",),
    rows=("a",),
    point=_point,
    depends={"h": "a"},
    recurrent=1,
    constants={"activation": ACTIVATIONS["tanh"].code},
    reference="J. L. Elman, Cognitive Science 14 (1990) 179–211",
    bound=_bound,
    linear=_linear,
)


@published_start
def vanilla(d: int, n_inputs: int = 0, rng: int | np.random.Generator = 0, activation: str = "tanh") -> Cell:
    """h' = σ(W h + V x + b), J = D[σ'(a)] W; PyTorch's start, all uniform on ±1/√d.

    Equation (1) of Rusch, Pearson, Zygalakis (2019).
    """
    code = ACTIVATIONS[activation].code
    return VANILLA(d, n_inputs, **uniform(VANILLA, d, n_inputs, rng), activation=code)


@cites("Q. V. Le, N. Jaitly, G. E. Hinton, arXiv:1504.00941 (2015)")
@published_start
def irnn(
    d: int,
    n_inputs: int = 0,
    rng: int | np.random.Generator = 0,
    scale: float = 1.0,
    activation: str = "relu",
) -> Cell:
    """h' = relu(W h + V x + b) with W = scale · I, b = 0 and V ~ N(0, 0.001²): Le, Jaitly, Hinton (2015)."""
    V = 1e-3 * np.random.default_rng(rng).normal(size=(d, n_inputs))
    given = {"V": V} if n_inputs else {}
    return VANILLA(d, n_inputs, W=scale * np.eye(d), activation=ACTIVATIONS[activation].code, **given)
