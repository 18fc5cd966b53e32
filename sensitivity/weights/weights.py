"""Weights from and to the layouts of other libraries: vanilla, LSTM and GRU, any number of layers.

PyTorch keeps ``weight_ih_l0`` (gates·d, n_inputs), ``weight_hh_l0`` (gates·d, d) and two biases; rows i, f,
g, o or r, z, n. Equinox has the same rows, one bias, and ``bias_n`` inside the reset product of its GRU.
Keras keeps the transposed ``kernel``, ``recurrent_kernel`` and ``bias``; columns i, f, c, o or z, r, h. Flax
keeps a transposed kernel a gate: ``ii``, ``if``, …, ``hn``, or all in ``dense_i`` and ``dense_h``.

Entries are put together by their prefix; see `sensitivity.weights.groups` for what is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.cells.cell import Cell, Kind
from integrators.fields.activations import ACTIVATIONS
from integrators.naming import nearest, shown
from sensitivity.recurrences.cells.gated import GRU, GRU_BEFORE, LSTM
from sensitivity.recurrences.cells.vanilla import VANILLA

from .entries import as_weights, entries_of, parts_of
from .groups import Group, chosen, groups_of, refuse_leftovers
from .layouts import GATES, Layer, keras_layer, layers_of

__all__ = ["from_keras", "from_named", "from_torch", "names_of", "refuse_activation", "same_kind", "to_torch"]

Float = NDArray[np.float64]

_KINDS: dict[str, Kind] = {"vanilla": VANILLA, "lstm": LSTM, "gru": GRU, "gru_before": GRU_BEFORE}
_ALSO_CALLED = {"rnn": "vanilla", "simplernn": "vanilla", "simple_rnn": "vanilla", "elman": "vanilla"}
_LIBRARIES = {"torch": "PyTorch or Equinox", "keras": "Keras", "flax": "Flax"}


def from_torch(
    weights: Mapping[str, Any] | Any,
    model: str | None = None,
    activation: str | None = None,
    *,
    prefix: str | Sequence[str] | None = None,
    ignore: Sequence[str] = (),
) -> Cell:
    """The cell with the weights of an ``nn.RNN``, ``nn.LSTM``, ``nn.GRU`` or one of their cells.

    Parameters
    ----------
    weights : mapping or module
        A state dict, of tensors or arrays, or the ``nn.Module`` itself, which may hold more than the
        recurrent layer: other layers are left out, and so is dropout, as in ``eval()`` mode. Names may have
        the prefixes of wrappers such as DataParallel and ``torch.compile``. Weights under ``weight_norm`` and
        pruning are computed.
    model : {"vanilla", "lstm", "gru"}, optional
        "rnn" is another name for "vanilla". Told by the shapes where it is left out.
    activation : str, optional
        Of a vanilla RNN, its ``nonlinearity``: a module says it itself, for a state dict it is tanh by
        default.
    prefix : str or sequence of str, optional
        Which of several recurrent networks to read, as in "encoder.rnn"; several become the layers of one.
        The cells of a ``ModuleList``, ``cells.0``, ``cells.1``, …, are layers without being asked.
    ignore : sequence of str
        Entries, or prefixes of entries, that stand among the weights and are to be left out.

    Returns
    -------
    Cell
        Its state is (h, c) for an LSTM and h otherwise, layer after layer; ``unroll(cell, s0=(h_0, c_0))``
        takes the initial state in PyTorch's own form.

    Raises
    ------
    ValueError, TypeError
        For bidirectional networks, LSTMs with a projection, several networks without `prefix`, names that are
        not known, and arrays that are missing, do not fit, or are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> import leapgrad as lg
    >>> rng = np.random.default_rng(0)
    >>> state_dict = {  # of torch.nn.LSTM(3, 8); the module itself is taken, too
    ...     "weight_ih_l0": rng.normal(size=(32, 3)),
    ...     "weight_hh_l0": rng.normal(size=(32, 8)),
    ...     "bias_ih_l0": np.zeros(32),
    ...     "bias_hh_l0": np.zeros(32),
    ... }
    >>> lg.from_torch(state_dict)
    Cell(lstm, d=8, n_inputs=3)
    """
    return from_named(weights, model, activation, prefix=prefix, ignore=ignore, layouts=("torch",))


def from_keras(
    weights: Any,
    model: str | None = None,
    reset_after: bool | None = None,
    activation: str | None = None,
    *,
    cudnn: bool | None = None,
    prefix: str | Sequence[str] | None = None,
    ignore: Sequence[str] = (),
) -> Cell:
    """The cell with the weights of one Keras layer.

    Parameters
    ----------
    weights : sequence, layer or mapping
        ``layer.get_weights()``: kernel (m, gates·d), recurrent_kernel (d, gates·d), and bias, if there is
        one; the layer itself, which also says its activation; or a mapping by Keras's names.
    model, activation, prefix, ignore
        As for `from_torch`.
    reset_after : bool, optional
        Of a GRU, told by its bias: (2, 3d) is True, Keras's default, and (3d,) is False, the cell
        "gru_before". Needed only where there is no bias.
    cudnn : bool, optional
        Whether a bias of twice the columns comes with kernels as CuDNNLSTM and CuDNNGRU keep them.

    Raises
    ------
    ValueError, TypeError
        If the bias says otherwise than `reset_after`, for layers that compute something else (another
        recurrent activation, ``go_backwards``), and as for `from_torch`.

    Examples
    --------
    >>> import numpy as np
    >>> import leapgrad as lg
    >>> rng = np.random.default_rng(0)
    >>> weights = [rng.normal(size=(3, 32)), rng.normal(size=(8, 32)), np.zeros(32)]  # layer.get_weights()
    >>> lg.from_keras(weights)
    Cell(lstm, d=8, n_inputs=3)
    """
    reset_after, cudnn = _flag(reset_after, "reset_after"), _flag(cudnn, "cudnn")
    if callable(getattr(weights, "get_weights", None)):
        config, name = _keras_config(weights), type(weights).__name__
        weights = weights.get_weights()
        if not len(weights):
            raise ValueError(f"{name} has no weights yet; call it on an input first.")
        activation = _agreed("activation", activation, config.get("activation"))
        reset_after = _agreed("reset_after", reset_after, config.get("reset_after"))
    if isinstance(weights, Mapping):
        return from_named(
            weights, model, activation, prefix=prefix, ignore=ignore, layouts=("keras",),
            reset_after=reset_after, cudnn=cudnn,
        )  # fmt: skip
    if not isinstance(weights, (list, tuple, np.ndarray)):
        raise TypeError(
            "weights must be get_weights() of a Keras layer, the layer, or a mapping of names to arrays, got "
            f"{shown(weights)}."
        )
    given = list(weights)
    if not 2 <= len(given) <= 3:
        raise ValueError(
            f"weights must be kernel, recurrent_kernel and bias of one layer; got {len(given)} arrays."
        )
    if prefix is not None or names_of(ignore):
        raise ValueError("prefix and ignore choose among names; get_weights() of one layer has none.")
    kernel, recurrent = (
        as_weights(w, name, 2) for w, name in zip(given[:2], ("kernel", "recurrent_kernel"), strict=True)
    )
    bias = as_weights(given[2], "bias", (1, 2)) if len(given) == 3 else None
    asked = _model(model)
    if asked == "gru_before":
        reset_after = _agreed("reset_after", reset_after, False)
    layer = keras_layer(kernel, recurrent, bias, reset_after, cudnn)
    return _assembled(asked, [layer], activation)


def from_named(
    weights: Mapping[str, Any] | Any,
    model: str | None = None,
    activation: str | None = None,
    *,
    prefix: str | Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    layouts: Sequence[str] = ("torch", "keras", "flax"),
    **details: Any,
) -> Cell:
    """The cell of the one recurrent network among named weights, in any layout that is known.

    Parameters
    ----------
    weights, model, activation, prefix, ignore
        As for `from_torch`.
    layouts : sequence of {"torch", "keras", "flax"}
        What to accept.
    **details
        ``reset_after``, ``cudnn`` of Keras.
    """
    ignore = names_of(ignore)
    details = {name: _flag(value, name) for name, value in details.items()}
    entries, owners = entries_of(weights), _modules(weights)
    groups = chosen(groups_of(entries), prefix, [entry.name for entry in entries])
    layers: list[Layer] = []
    asked = _model(model)
    for group in groups:
        if group.layout not in layouts:
            raise ValueError(
                f"{group.where or 'these '}weights have the names of {_LIBRARIES[group.layout]}, not of "
                f"{_LIBRARIES[layouts[0]]}; from_arrays reads them."
            )
        refuse_leftovers(group, entries, ignore)
        if group.layout != "keras" and (
            wrong := next((k for k, v in details.items() if v is not None), None)
        ):
            raise ValueError(
                f"{wrong!r} is no setting of {_LIBRARIES[group.layout].split()[0]}'s layout; leave it out."
            )
        own = dict(details) if group.layout == "keras" else {}
        if asked == "gru_before" and group.layout == "keras":
            own["reset_after"] = _agreed("reset_after", own.get("reset_after"), False)
        owner = owners.get(group.prefix)
        activation = _agreed("activation", activation, getattr(owner, "nonlinearity", None))
        layers += layers_of(group, **own, computed=_computed(group, owner))
    return _assembled(asked, layers, activation)


def names_of(ignore: str | Sequence[str]) -> Sequence[str]:
    """The names of entries to leave out: one, or a sequence of them."""
    names = (ignore,) if isinstance(ignore, str) else ignore
    if not isinstance(names, (list, tuple, set, frozenset)) or not all(isinstance(n, str) for n in names):
        raise TypeError(f"ignore must be a list of names, got {shown(ignore)}.")
    return tuple(names)


def _flag(value: Any, name: str) -> bool | None:
    """True, False, or None where the weights are to tell."""
    if value is None or isinstance(value, (bool, np.bool_)):
        return None if value is None else bool(value)
    raise TypeError(f"{name} must be True, False or None, got {shown(value)}.")


def _agreed(name: str, asked: Any, told: Any) -> Any:
    """What was asked for, or what the weights say; they must not contradict each other."""
    if told is None or asked is None:
        return told if asked is None else asked
    if name == "activation":
        if ACTIVATIONS[asked] is ACTIVATIONS[told]:
            return asked
    elif asked == told:
        return asked
    raise ValueError(f"{name}={asked!r} contradicts the weights, which are of {name}={told!r}; leave it out.")


# --------------------------------------------------------------------------------------------------- modules


def _modules(weights: Any) -> dict[tuple[str, ...], Any]:
    """The modules below a PyTorch module by their path, without wrappers."""
    if not callable(getattr(weights, "named_modules", None)):
        return {}
    return {parts_of(name): module for name, module in weights.named_modules()}


def _computed(group: Group, owner: Any) -> dict[str, Any]:
    """Weights that a module computes from a parametrization; in training that may change the module."""
    if not hasattr(owner, "parametrizations") or getattr(owner, "training", True):
        return {}
    ends = {f"{name}{'' if layer is None else f'_l{layer}'}" for name, layer, form in group.parts if form}
    return {name: getattr(owner, name) for name in ends if hasattr(owner, name)}


def _keras_config(layer: Any) -> dict[str, Any]:
    """The configuration of a recurrent layer of Keras, or of the cell in it.

    Raises
    ------
    TypeError, ValueError
        For other layers, and for what no cell of ours computes.
    """
    kind = type(layer).__name__
    outer = layer.get_config() if callable(getattr(layer, "get_config", None)) else {}
    cell = getattr(layer, "cell", layer)
    config = {**outer, **(cell.get_config() if callable(getattr(cell, "get_config", None)) else {})}
    if "backward_layer" in outer or hasattr(layer, "backward_layer"):
        raise ValueError(f"{kind} is not one recurrence forwards; pass its forward_layer.")
    if "units" not in config or "recurrent_initializer" not in config:
        raise TypeError(f"weights is a {kind}; pass one SimpleRNN, LSTM or GRU layer, or its get_weights().")
    if config.get("go_backwards"):
        raise ValueError(
            f"{kind} runs with go_backwards=True; reverse the inputs and pass its get_weights()."
        )
    recurrent = config.get("recurrent_activation", "sigmoid")
    if recurrent != "sigmoid":
        raise ValueError(
            f"{kind} has recurrent_activation={recurrent!r}; the gates of our cells are sigmoid."
        )
    if ("lstm" in kind.lower() or "gru" in kind.lower()) and config.get("activation") != "tanh":
        raise ValueError(f"{kind} has activation={config.get('activation')!r}; that of our cells is tanh.")
    return config


# ------------------------------------------------------------------------------------------------- the cell


def _model(model: str | None) -> str | None:
    """The name of a layout; PyTorch says RNN where we say vanilla."""
    if model is None:
        return None
    lower = model.strip().lower() if isinstance(model, str) else ""
    lower = _ALSO_CALLED.get(lower, lower)
    if lower not in _KINDS:
        raise nearest("model", model, (*_KINDS, "rnn"))
    return lower


def _assembled(model: str | None, layers: Sequence[Layer], activation: str | None) -> Cell:
    model = _told(model, layers)
    refuse_activation(model, activation)
    code = ACTIVATIONS["tanh" if activation is None else activation].code
    d, n_inputs = layers[0].W.shape[1], layers[0].V.shape[1]
    parts: list[Mapping[str, ArrayLike]] = []
    for number, layer in enumerate(layers):
        rows = GATES[model] * d
        for name, array, wanted in (
            ("weight_ih", layer.V, (rows, d if number else n_inputs)),
            ("weight_hh", layer.W, (rows, d)),
            ("bias_ih", layer.b_in, (rows,)),
            ("bias_hh", layer.b_hidden, (rows,)),
        ):
            if array.shape != wanted:
                raise ValueError(
                    f"{layer.where}{name} of layer {number} has shape {array.shape}; {model} asks for "
                    f"{wanted}."
                )
        parts.append(_own(model, layer) | ({"activation": code} if model == "vanilla" else {}))
    return _KINDS[model].layers(d, n_inputs, parts)


def refuse_activation(model: str, activation: str | None) -> None:
    """Raise for an activation of an LSTM or a GRU that is not theirs."""
    if model != "vanilla" and activation is not None and ACTIVATIONS[activation].name != "tanh":
        raise ValueError(
            f"activation={activation!r} has no effect on {model}, whose activation is tanh; it belongs to "
            "vanilla, PyTorch's RNN."
        )


def _told(model: str | None, layers: Sequence[Layer]) -> str:
    """The model, as the shapes tell it and as it was asked for."""
    W, before = layers[0].W, {layer.before for layer in layers}
    gates, rest = divmod(W.shape[0], max(1, W.shape[1]))
    told = {1: "vanilla", 3: "gru_before" if True in before else "gru", 4: "lstm"}.get(gates)
    if rest or told is None:
        raise ValueError(
            f"{layers[0].where}weight_hh has shape {W.shape}; it must be (d, d), (3d, d) or (4d, d) of an "
            "RNN, "
            "a GRU or an LSTM."
        )
    if len(before) > 1:
        raise ValueError("some layers of the GRU reset before the product and some after it.")
    if model == "gru_before" and told == "gru":
        raise ValueError(
            "these are weights of a GRU that resets after the product; model 'gru_before' is another."
        )
    if model is not None and model != told and (model, told) != ("gru", "gru_before"):
        raise ValueError(
            f"{layers[0].where}weight_hh has shape {W.shape}, that of {told}{_torch_name(told)}, not of "
            f"{model}."
        )
    return told


def _torch_name(model: str) -> str:
    return " (PyTorch's RNN)" if model == "vanilla" else ""


def _sum(a: Float, b: Float) -> Float:
    """a + b, with the bits of the other where one is zero."""
    return np.where(b == 0.0, a, np.where(a == 0.0, b, a + b))


def _own(model: str, layer: Layer) -> dict[str, ArrayLike]:
    """Our parameters of a layer."""
    V, W, b_in, b_hidden = layer.V, layer.W, layer.b_in, layer.b_hidden
    two = 2 * W.shape[1]
    if model == "gru":
        b = np.concatenate([b_hidden[two:], _sum(b_in, b_hidden)[:two], b_in[two:]])
        return {"W": np.concatenate([W[two:], W[:two]]), "V": V, "b": b}
    b = _sum(b_in, b_hidden)
    if model == "gru_before":
        return {"W": W[:two], "R": W[two:], "V": V, "b": b}
    return {"W": W, "V": V, "b": b}


def same_kind(kind: Kind, known: Kind) -> bool:
    """Whether a kind has the name and the rule of another: copies have, own cells of that name have not."""
    return kind is known or (kind.name == known.name and kind.point.function is known.point.function)


def to_torch(cell: Cell) -> dict[str, Float]:
    """The parameters of a cell as a state dict of PyTorch's ``nn.RNN``, ``nn.LSTM`` or ``nn.GRU``.

    PyTorch has two biases where leapgrad has one. Their sum is stored in ``bias_ih`` and zeros in
    ``bias_hh``, except for the bias inside the reset product of a GRU. A vanilla cell with relu needs
    ``nn.RNN(…, nonlinearity="relu")``; a state dict does not record the activation.

    Parameters
    ----------
    cell : Cell
        A "vanilla", "lstm" or "gru" cell with inputs.

    Returns
    -------
    dict
        PyTorch's name → array.

    Raises
    ------
    TypeError
        If `cell` is not a cell.
    ValueError
        If PyTorch does not have such a cell: another model, another activation, or no inputs.

    Notes
    -----
    ``module.load_state_dict({name: torch.from_numpy(w) for name, w in to_torch(cell).items()})`` hands them
    to a module, in the type of the module.

    Examples
    --------
    >>> import leapgrad as lg
    >>> {name: array.shape for name, array in lg.to_torch(lg.cell("lstm", 8, 3)).items()}
    {'weight_ih_l0': (32, 3), 'weight_hh_l0': (32, 8), 'bias_ih_l0': (32,), 'bias_hh_l0': (32,)}
    """
    if not isinstance(cell, Cell):
        raise TypeError(f"cell must be a Cell such as sensitivity.cell makes it, got {shown(cell)}.")
    model, layers = cell.kind.name, cell.unpack(cell.theta)
    if (
        model not in ("vanilla", "lstm", "gru")
        or not same_kind(cell.kind, _KINDS[model])
        or cell.n_inputs == 0
    ):
        raise ValueError(
            f"PyTorch has no layout for {cell!r}: vanilla (its RNN), lstm or gru with n_inputs ≥ 1."
        )
    codes = {float(own["activation"]) for own in layers} if model == "vanilla" else set()
    if codes - {ACTIVATIONS["tanh"].code} and codes - {ACTIVATIONS["relu"].code}:
        raise ValueError(
            f"PyTorch has no layout for {cell!r}: the activation of its RNN is tanh or relu in all layers."
        )
    result: dict[str, Float] = {}
    for number, own in enumerate(layers):
        W, b, d = own["W"], own["b"], cell.d
        b_hidden = np.zeros(W.shape[0])
        if model == "gru":
            b_hidden[2 * d :] = b[:d]
            W, b = np.concatenate([W[d:], W[:d]]), b[d:]
        result |= {f"weight_ih_l{number}": own["V"].copy(), f"weight_hh_l{number}": W.copy()}
        result |= {f"bias_ih_l{number}": b.copy(), f"bias_hh_l{number}": b_hidden}
    return result
