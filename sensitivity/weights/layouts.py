"""From the entries of a group to V, W and two biases a layer, in PyTorch's order of rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .entries import Entry, as_weights
from .groups import TORCH_NAMES, Group, gates_of

__all__ = ["GATES", "Layer", "keras_layer", "layers_of"]

Float = NDArray[np.float64]
GATES = {"vanilla": 1, "gru": 3, "gru_before": 3, "lstm": 4}
"""Rows of pre-activations of a model, in d."""
_REMEDY = (
    "; pass the module itself in eval() mode, or remove it "
    "(torch.nn.utils.parametrize.remove_parametrizations)"
)


@dataclass(frozen=True)
class Layer:
    """One layer; rows in the order i, f, g, o or r, z, n.

    Attributes
    ----------
    V, W : ndarray, shapes (gates d, n_inputs), (gates d, d)
    b_in, b_hidden : ndarray, shape (gates d,)
    before : bool
        The reset of a GRU stands before the product.
    where : str
        What stands before the names of weights in messages.
    """

    V: Float
    W: Float
    b_in: Float
    b_hidden: Float
    before: bool = False
    where: str = ""


def layers_of(
    group: Group,
    reset_after: bool | None = None,
    cudnn: bool | None = None,
    computed: Mapping[str, Any] | None = None,
) -> list[Layer]:
    """The layers that a group describes.

    Parameters
    ----------
    group : Group
    reset_after, cudnn : bool, optional
        Of Keras; see `sensitivity.weights.weights.from_keras`.
    computed : mapping, optional
        Weights by name as a module of PyTorch computes them from its parametrizations.

    Raises
    ------
    ValueError, TypeError
        Naming what is missing, what does not fit, or which kind of layer is not supported.
    """
    if group.layout == "torch":
        return _torch_layers(group, computed or {})
    if group.layout == "keras":
        for name in group.parts:
            if name.isdigit():
                raise ValueError(f"{group.parts[name].name} is a fourth array, which no Keras layer has.")
        if "kernel" not in group.parts:
            raise ValueError(
                f"{group.where}kernel is missing; a Keras layer has kernel, recurrent_kernel, bias."
            )
        arrays = {name: entry.array(2 if name != "bias" else (1, 2)) for name, entry in group.parts.items()}
        if cudnn is None and any("cudnn" in part.replace("_", "").lower() for part in group.prefix):
            cudnn = True
        return [
            keras_layer(arrays["kernel"], arrays["recurrent_kernel"], arrays.get("bias"), reset_after, cudnn,
                        group.where)
        ]  # fmt: skip
    return [_flax_layer(group)]


# ------------------------------------------------------------------------------------------- PyTorch, Equinox


def _torch_layers(group: Group, computed: Mapping[str, Any]) -> list[Layer]:
    for (name, _, form), entry in group.parts.items():
        if name.endswith("_reverse"):
            raise ValueError(
                f"{entry.name} belongs to a bidirectional network, whose two directions are two recurrences; "
                "read one of them from the state dict w, for the first layer as in from_torch({name: v for "
                "name, v in w.items() if name.endswith('_l0')})."
            )
        if name == "weight_hr":
            raise ValueError(
                f"{entry.name} belongs to an LSTM with a projection (proj_size), which is not supported; "
                "from_function takes any step that PyTorch can differentiate."
            )
        if form == "raw":
            raise ValueError(
                f"{entry.name} is a weight before its dropout; save the layer inside the wrapper."
            )
    numbers = sorted({layer for _, layer, _ in group.parts if layer is not None})
    cells = any(layer is None for _, layer, _ in group.parts)
    if cells and numbers:
        names = ", ".join(entry.name for entry in list(group.parts.values())[:6])
        raise ValueError(f"{names} are names of a cell and of layers; keep those of one network.")
    if numbers != list(range(len(numbers))):
        raise ValueError(
            f"{group.where}expected weight_ih_l0, weight_hh_l0, … for layers 0, 1, …; got the layers "
            f"{', '.join(map(str, numbers))}."
        )
    return [_torch_layer(group, layer, computed) for layer in (numbers or [None])]


def _torch_layer(group: Group, layer: int | None, computed: Mapping[str, Any]) -> Layer:
    end = "" if layer is None else f"_l{layer}"
    found: dict[str, Float] = {}
    for name in (*TORCH_NAMES, "bias", "bias_n"):
        forms = {form: entry for (n, k, form), entry in group.parts.items() if (n, k) == (name, layer)}
        if forms:
            rank = 2 if name.startswith("weight") else 1
            found[name] = _plain(forms, rank, computed.get(f"{name}{end}"))
    for name in ("weight_ih", "weight_hh"):
        if name not in found:
            raise ValueError(f"{group.where}{name}{end} is missing.")
    V, W = found["weight_ih"], found["weight_hh"]
    if "bias" in found or "bias_n" in found:
        return Layer(V, W, *_equinox_biases(group, found), where=group.where)
    given = [name for name in ("bias_ih", "bias_hh") if name in found]
    if len(given) == 1:
        other = "bias_hh" if given == ["bias_ih"] else "bias_ih"
        raise ValueError(
            f"{group.where}{other}{end} is missing beside {given[0]}{end}; PyTorch has both or none: give "
            "zeros "
            "for a bias that is not there."
        )
    none = np.zeros(W.shape[0])
    return Layer(V, W, found.get("bias_ih", none), found.get("bias_hh", none), where=group.where)


def _equinox_biases(group: Group, found: Mapping[str, Float]) -> tuple[Float, Float]:
    """Equinox has one bias, and for the GRU another of d entries inside the reset product."""
    W, both = found["weight_hh"], [name for name in ("bias_ih", "bias_hh") if name in found]
    if both:
        raise ValueError(
            f"{group.where}bias of Equinox stands beside {both[0]} of PyTorch; keep one of the two."
        )
    d, rows, hidden = W.shape[1], W.shape[0], np.zeros(W.shape[0])
    gru = rows == 3 * d
    if gru != ("bias_n" in found) or "bias" not in found:
        wrong = "bias_n" if "bias" in found else "bias"
        raise ValueError(
            f"{group.where}{wrong} is "
            f"{'missing' if gru or wrong == 'bias' else 'of a GRU, which this is not'}; "
            "a GRU of Equinox has bias and bias_n, an LSTM has bias."
        )
    if gru:
        if found["bias_n"].shape != (d,):
            raise ValueError(f"{group.where}bias_n has shape {found['bias_n'].shape}; it must be ({d},).")
        hidden[2 * d :] = found["bias_n"]
    return found["bias"], hidden


def _plain(forms: Mapping[str | None, Entry], rank: int, computed: Any = None) -> Float:
    """The weight itself, computed from a norm and a direction or from a mask where it is kept so."""
    if set(forms) == {None}:
        return forms[None].array(rank)
    for pair in (("g", "v"), ("original0", "original1")):
        if set(forms) == set(pair):
            return _weight_norm(forms[pair[0]], forms[pair[1]], rank)
    if set(forms) == {"orig", "mask"}:
        weight, mask = forms["orig"].array(rank), forms["mask"].array(rank)
        if mask.shape != weight.shape:
            raise ValueError(f"{forms['mask'].name} has shape {mask.shape}, the weight {weight.shape}.")
        return weight * mask
    names = ", ".join(entry.name for entry in forms.values())
    if computed is not None:
        return as_weights(computed, names, rank)
    if "original" in forms or "u" in forms or any(form and "." in form for form in forms):
        raise ValueError(f"{names} are a parametrization other than weight_norm{_REMEDY}.")
    raise ValueError(f"{names} are only a part of a parametrized weight, or a weight twice{_REMEDY}.")


def _weight_norm(norm: Entry, direction: Entry, rank: int) -> Float:
    """g v/‖v‖, with the norm over the axes along which g has one entry."""
    v, g = direction.array(rank), norm.array(tuple(range(rank + 1)))
    g = g.reshape((1,) * (rank - g.ndim) + g.shape)
    if any(n not in (1, size) for n, size in zip(g.shape, v.shape, strict=True)):
        raise ValueError(
            f"{norm.name} has shape {g.shape}, which does not go with {v.shape} of {direction.name}."
        )
    axes = tuple(axis for axis, n in enumerate(g.shape) if n == 1)
    length = np.sqrt((v * v).sum(axis=axes, keepdims=True))
    if not length.all():
        raise ValueError(
            f"{direction.name} has a direction of length zero, so that weight_norm divides by 0."
        )
    return v * (g / length)


# ------------------------------------------------------------------------------------------------------ Keras


def keras_layer(
    kernel: Float,
    recurrent: Float,
    bias: Float | None,
    reset_after: bool | None,
    cudnn: bool | None,
    where: str = "",
) -> Layer:
    """A layer from kernel (m, gates d), recurrent_kernel (d, gates d) and bias as Keras has them."""
    d, columns = recurrent.shape
    gates, rest = divmod(columns, max(1, d))
    if rest or gates not in GATES.values():
        raise ValueError(
            f"{where}recurrent_kernel has shape {recurrent.shape}; it must be (d, d), (d, 3d) or (d, 4d)."
        )
    if kernel.shape[1] != columns:
        raise ValueError(
            f"{where}kernel has shape {kernel.shape}, recurrent_kernel {recurrent.shape}: they must have "
            "as many "
            "columns."
        )
    before = _reset_before(bias, gates, d, reset_after, where)
    double = bias is not None and bias.shape == (2 * columns,) and gates > 1
    if double and cudnn is None:
        raise ValueError(
            f"{where}bias has shape {bias.shape if bias is not None else ()}: twice the columns, as in "
            "CuDNNLSTM "
            "and CuDNNGRU, which keep the kernel of each gate transposed. Say cudnn=True for their "
            "kernels, or "
            "cudnn=False for those of LSTM and GRU with two biases in a row."
        )
    if cudnn and not double:
        raise ValueError(f"{where}cudnn=True asks for a bias of shape ({2 * columns},).")
    if double and bias is not None:
        bias = bias.reshape(2, columns)
        before = False
        if cudnn:
            kernel, recurrent = _by_gate(kernel, gates, _from_cudnn), _by_gate(recurrent, gates, np.transpose)
    wanted = ((columns,), (2, columns)) if gates == 3 or double else ((columns,),)
    if bias is not None and bias.shape not in wanted:
        raise ValueError(f"{where}bias has shape {bias.shape}; it must be {' or '.join(map(str, wanted))}.")
    none = np.zeros(columns)
    b_in, b_hidden = (none, none) if bias is None else (bias[0], bias[1]) if bias.ndim == 2 else (bias, none)
    order = _swapped if gates == 3 else np.asarray
    return Layer(order(kernel.T), order(recurrent.T), order(b_in), order(b_hidden), before, where)


def _reset_before(bias: Float | None, gates: int, d: int, reset_after: bool | None, where: str) -> bool:
    """Whether a GRU resets before the product: the bias says it, and must not say otherwise."""
    if gates != 3:
        if reset_after is not None:
            raise ValueError(f"{where}reset_after={reset_after} belongs to a GRU; this layer is none.")
        return False
    if bias is None:
        if reset_after is None:
            raise ValueError(
                f"{where}a GRU without bias does not say where its reset stands: say reset_after=True, the "
                "default of Keras, or False."
            )
        return not reset_after
    after = bias.shape != (3 * d,)
    if reset_after is not None and reset_after != after:
        raise ValueError(
            f"{where}bias has shape {bias.shape}, that of reset_after={after}; reset_after={reset_after} has "
            f"{(2, 3 * d) if reset_after else (3 * d,)}."
        )
    return not after


def _by_gate(kernel: Float, gates: int, change: Callable[[Float], Float]) -> Float:
    return np.concatenate([change(part) for part in np.split(kernel, gates, axis=1)], axis=1)


def _from_cudnn(kernel: Float) -> Float:
    """A gate's kernel (m, d): CuDNN's matrix (d, m), whose numbers lie in an array of the other shape."""
    return np.ascontiguousarray(kernel).reshape(kernel.shape[::-1]).T


def _swapped(rows: Float) -> Float:
    """Gates z, r, h as r, z, n."""
    z, r, h = np.split(rows, 3)
    return np.concatenate([r, z, h])


# ------------------------------------------------------------------------------------------------------- Flax

_FLAX_ORDER = {"lstm": "ifgo", "gru": "rzn"}


def _flax_layer(group: Group) -> Layer:
    kinds = gates_of(group)
    kind = next(
        (kind for kind, gates in kinds.items() if all((g, "kernel") in group.parts for g in gates)), None
    )
    if kind == "minimal gated unit":
        raise ValueError(
            f"{group.where}{', '.join(kinds[kind])} are a minimal gated unit, which is not supported."
        )
    if kind is None:
        held = sorted({gate for gate, name in group.parts if name == "kernel"})
        missing = [g for gates in list(kinds.values())[:1] for g in gates if (g, "kernel") not in group.parts]
        lacks = f"; missing: {', '.join(f'{gate}/kernel' for gate in missing)}" if missing else ""
        raise ValueError(f"{group.where}the kernels {', '.join(held)} are no cell of Flax{lacks}.")
    if kind == "dense":
        inputs, hidden = ["dense_i"], ["dense_h"]
    elif kind == "simple":
        inputs, hidden = ["i"], ["h"]
    else:
        inputs, hidden = ([side + gate for gate in _FLAX_ORDER[kind]] for side in "ih")
    V, W = (_stacked(group, gates) for gates in (inputs, hidden))
    rows = W.shape[0]
    alone = ["hn"] if kind == "gru" else []
    return Layer(V, W, _flax_bias(group, inputs, rows, []), _flax_bias(group, hidden, rows, alone), False,
                 group.where)  # fmt: skip


def _stacked(group: Group, gates: list[str]) -> Float:
    """The kernels of the gates, transposed, below each other."""
    entries = [group.parts[gate, "kernel"] for gate in gates]
    kernels = [entry.array(2) for entry in entries]
    for entry, kernel in zip(entries, kernels, strict=True):
        if kernel.shape != kernels[0].shape:
            raise ValueError(f"{entry.name} has shape {kernel.shape}, {entries[0].name} {kernels[0].shape}.")
    return np.concatenate([kernel.T for kernel in kernels])


def _flax_bias(group: Group, gates: list[str], rows: int, alone: list[str]) -> Float:
    """The biases of the gates, all or none of them, or those that may stand alone."""
    held = [gate for gate in gates if (gate, "bias") in group.parts]
    if held not in ([], gates, alone):
        missing = next(gate for gate in gates if gate not in held)
        raise ValueError(f"{group.where}{missing}/bias is missing beside {held[0]}/bias.")
    size = rows // len(gates)
    parts = [np.zeros(size)] * len(gates)
    for gate in held:
        bias = group.parts[gate, "bias"].array(1)
        if bias.shape != (size,):
            raise ValueError(
                f"{group.parts[gate, 'bias'].name} has shape {bias.shape}; it must be ({size},)."
            )
        parts[gates.index(gate)] = bias
    return np.concatenate(parts)
