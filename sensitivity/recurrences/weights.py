"""Weights from and to the layouts of PyTorch and Keras: vanilla, LSTM and GRU, any number of layers.

PyTorch keeps ``weight_ih_l0`` (gates·d, n_inputs), ``weight_hh_l0`` (gates·d, d) and two biases; rows i, f,
g, o or r, z, n. Keras keeps the transposed ``kernel``, ``recurrent_kernel`` and ``bias``; columns i, f, c, o
or z, r, h.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.activations import ACTIVATIONS
from integrators.cells import Cell, Kind
from integrators.validation import as_array

from .gated import GRU, GRU_BEFORE, LSTM
from .vanilla import VANILLA

__all__ = ["from_keras", "from_torch", "to_torch"]

Float = NDArray[np.float64]
Parameters = dict[str, Float]

_NAME = re.compile(r"(?:.*\.)?(weight_ih|weight_hh|bias_ih|bias_hh|weight_hr)(?:_l(\d+))?(_reverse)?")
_GATES = {"vanilla": 1, "lstm": 4, "gru": 3, "gru_before": 3}
_KINDS: dict[str, Kind] = {"vanilla": VANILLA, "lstm": LSTM, "gru": GRU, "gru_before": GRU_BEFORE}


def from_torch(weights: Mapping[str, ArrayLike], model: str | None = None, activation: str = "tanh") -> Cell:
    """The cell with the weights of an ``nn.RNN``, ``nn.LSTM``, ``nn.GRU`` or one of their cells.

    Parameters
    ----------
    weights : mapping
        A state dict as NumPy arrays, by PyTorch's names, with or without a prefix. Other entries are ignored.
    model : {"vanilla", "lstm", "gru"}, optional
        Told by the shapes where it is left out.
    activation : str
        Of a vanilla RNN: its ``nonlinearity``.

    Raises
    ------
    ValueError
        For bidirectional networks, LSTMs with a projection, and arrays that are missing or do not fit.
    """
    layers: dict[int, dict[str, Float]] = {}
    for name, value in weights.items():
        match = _NAME.fullmatch(name)
        if match is None:
            continue
        kind, layer, reverse = match.groups()
        if reverse:
            raise ValueError(
                f"{name} belongs to a bidirectional network, which is not one recurrence forwards."
            )
        if kind == "weight_hr":
            raise ValueError(
                f"{name} belongs to an LSTM with a projection (proj_size), which is not supported."
            )
        layers.setdefault(int(layer or 0), {})[kind] = as_array(value, name, (1, 2))
    if sorted(layers) != list(range(len(layers))) or not layers:
        raise ValueError(
            "expected weight_ih_l0, weight_hh_l0, … for layers 0, 1, …; got "
            f"{', '.join(weights) or 'nothing'}."
        )
    return _assembled(model, [_torch_layer(layers[i], i) for i in range(len(layers))], activation)


def _torch_layer(arrays: Mapping[str, Float], layer: int) -> tuple[Float, Float, Float, Float]:
    """V, W and the two biases, zero where there are none."""
    for name in ("weight_ih", "weight_hh"):
        if name not in arrays:
            raise ValueError(f"{name}_l{layer} is missing.")
    V, W = arrays["weight_ih"], arrays["weight_hh"]
    none = np.zeros(W.shape[0])
    return V, W, arrays.get("bias_ih", none), arrays.get("bias_hh", none)


def from_keras(
    weights: Sequence[ArrayLike], model: str | None = None, reset_after: bool = True, activation: str = "tanh"
) -> Cell:
    """The cell with the weights of one Keras layer, in the order of ``layer.get_weights()``.

    Parameters
    ----------
    weights : kernel (m, gates·d), recurrent_kernel (d, gates·d), and bias, if there is one
    model, activation
        As for `from_torch`.
    reset_after : bool
        Of a GRU; False gives the cell "gru_before".
    """
    if not 2 <= len(weights) <= 3:
        raise ValueError(f"weights must be kernel, recurrent_kernel and bias; got {len(weights)} arrays.")
    V, W = (
        as_array(w, name, 2).T for w, name in zip(weights[:2], ("kernel", "recurrent_kernel"), strict=True)
    )
    bias = as_array(weights[2], "bias", (1, 2)) if len(weights) == 3 else np.zeros(W.shape[0])
    b_in, b_hidden = (bias[0], bias[1]) if bias.ndim == 2 else (bias, np.zeros_like(bias))
    if (model or _guess(W)).startswith("gru"):
        model = "gru" if reset_after else "gru_before"
        V, W = _swapped(V), _swapped(W)
        b_in, b_hidden = _swapped(b_in), _swapped(b_hidden)
    return _assembled(model, [(V, W, b_in, b_hidden)], activation)


def _swapped(rows: Float) -> Float:
    """Gates z, r, h as r, z, n."""
    z, r, h = np.split(rows, 3)
    return np.concatenate([r, z, h])


def _guess(W: Float) -> str:
    known = {1: "vanilla", 3: "gru", 4: "lstm"}
    gates, rest = divmod(W.shape[0], max(1, W.shape[1]))
    if rest or gates not in known:
        raise ValueError(f"weight_hh has shape {W.shape}; it must be (d, d), (3d, d) or (4d, d).")
    return known[gates]


def _assembled(
    model: str | None, layers: Sequence[tuple[Float, Float, Float, Float]], activation: str
) -> Cell:
    model = _guess(layers[0][1]) if model is None else model
    if model not in _KINDS:
        raise ValueError(f"model {model!r} has no such layout; use {', '.join(_KINDS)}.")
    d, n_inputs = layers[0][1].shape[1], layers[0][0].shape[1]
    parts: list[Mapping[str, ArrayLike]] = []
    for layer, (V, W, b_in, b_hidden) in enumerate(layers):
        rows = _GATES[model] * d
        shapes = ("weight_ih", V, (rows, d if layer else n_inputs)), ("weight_hh", W, (rows, d))
        for name, array, wanted in (*shapes, ("bias_ih", b_in, (rows,)), ("bias_hh", b_hidden, (rows,))):
            if array.shape != wanted:
                raise ValueError(
                    f"{name} of layer {layer} has shape {array.shape}; {model} asks for {wanted}."
                )
        parts.append(_own(model, V, W, b_in, b_hidden, activation))
    return _KINDS[model].layers(d, n_inputs, parts)


def _own(
    model: str, V: Float, W: Float, b_in: Float, b_hidden: Float, activation: str
) -> dict[str, ArrayLike]:
    """Our parameters of a layer."""
    if model == "vanilla":
        return {"W": W, "V": V, "b": b_in + b_hidden, "activation": ACTIVATIONS[activation].code}
    if model == "lstm":
        return {"W": W, "V": V, "b": b_in + b_hidden}
    two = 2 * W.shape[1]
    if model == "gru":
        b = np.concatenate([b_hidden[two:], b_in[:two] + b_hidden[:two], b_in[two:]])
        return {"W": np.concatenate([W[two:], W[:two]]), "V": V, "b": b}
    return {"W": W[:two], "R": W[two:], "V": V, "b": b_in + b_hidden}


def to_torch(cell: Cell) -> dict[str, Float]:
    """The weights by PyTorch's names; ``nn.RNN``, ``nn.LSTM`` or ``nn.GRU`` take them as a state dict.

    The sum of two biases goes into ``bias_ih`` (but for that inside the reset product of a GRU).

    Raises
    ------
    ValueError
        For cells that PyTorch does not have, and cells without inputs.
    """
    model = cell.kind.name
    if model not in ("vanilla", "lstm", "gru") or cell.n_inputs == 0:
        raise ValueError(f"PyTorch has no layout for {cell!r}: vanilla, lstm or gru with n_inputs ≥ 1.")
    result: dict[str, Float] = {}
    for layer, own in enumerate(cell.unpack(cell.theta)):
        W, b, d = own["W"], own["b"], cell.d
        b_hidden = np.zeros(W.shape[0])
        if model == "gru":
            b_hidden[2 * d :] = b[:d]
            W, b = np.concatenate([W[d:], W[:d]]), b[d:]
        result |= {f"weight_ih_l{layer}": own["V"].copy(), f"weight_hh_l{layer}": W.copy()}
        result |= {f"bias_ih_l{layer}": b.copy(), f"bias_hh_l{layer}": b_hidden}
    return result
