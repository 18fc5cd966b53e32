"""Name → cell, one line each: a new model is a file with its kind and start, and a line here."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

from integrators.cells import Cell
from integrators.naming import nearest

__all__ = ["MODELS", "builder", "hyperparameters", "make"]

MODELS = {
    "vanilla": "vanilla:vanilla",
    "irnn": "vanilla:irnn",
    "euler": "residual:euler",
    "residual": "residual:residual",
    "antisymmetric": "residual:antisymmetric",
    "gated_antisymmetric": "residual:gated_antisymmetric",
    "leaky": "residual:leaky",
    "lstm": "gated:lstm",
    "gru": "gated:gru",
    "gru_before": "gated:gru_before",
    "cornn": "oscillators:cornn",
    "cornn_imex": "oscillators:cornn_imex",
    "unicornn": "oscillators:unicornn",
    "lem": "oscillators:lem",
    "scornn": "orthogonal:scornn",
    "exprnn": "orthogonal:exprnn",
    "enrnn": "orthogonal:enrnn",
    "urnn": "orthogonal:urnn",
    "scurnn": "orthogonal:scurnn",
    "momentum_rnn": "momentum:momentum_rnn",
    "nesterov_rnn": "momentum:nesterov_rnn",
    "restart_rnn": "momentum:restart_rnn",
    "nesterov_preactivation_rnn": "momentum:nesterov_preactivation_rnn",
    "adam_rnn": "momentum:adam_rnn",
    "rmsprop_rnn": "momentum:rmsprop_rnn",
    "momentum_lstm": "momentum:momentum_lstm",
    "nesterov_lstm": "momentum:nesterov_lstm",
    "sbo": "descent:sbo",
    "sbo_heavy_ball": "descent:sbo_heavy_ball",
    "sbo_nesterov": "descent:sbo_nesterov",
}
"""Every cell by name: ``module:function`` in this package; the function has the published start."""


def builder(name: str) -> Callable[..., Cell]:
    """The function ``(d, n_inputs=0, rng=0, **hyperparameters)`` that makes the cell of that name.

    Raises
    ------
    UnknownNameError
        With the nearest known name.
    """
    if name not in MODELS:
        raise nearest("model", name, MODELS)
    module, function = MODELS[name].split(":")
    return getattr(importlib.import_module(f".{module}", __package__), function)


def hyperparameters(name: str) -> dict[str, Any]:
    """What the builder takes besides d, n_inputs and rng, with its defaults."""
    return {
        parameter.name: parameter.default
        for parameter in inspect.signature(builder(name)).parameters.values()
        if parameter.name not in ("d", "n_inputs", "rng")
    }


def make(name: str, d: int, n_inputs: int = 0, rng: Any = 0, **details: Any) -> Cell:
    """The cell of that name with d neurons at its published start.

    Raises
    ------
    ValueError
        For an unknown name or hyperparameter.
    """
    known = hyperparameters(name)
    unknown = sorted(set(details) - set(known))
    if unknown:
        listed = ", ".join(known) or "none"
        raise ValueError(f"{name} has no hyperparameter {unknown[0]!r}; it has {listed}.")
    return builder(name)(d, n_inputs, rng, **details)
