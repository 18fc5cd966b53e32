"""Name → cell, one line each: a new model is a file with its kind and start, and a line here."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.cells.cell import Cell
from integrators.naming import nearest, shown
from integrators.run.recurrence import OdeRecurrence, Recurrence
from integrators.validation import as_count

from .cell import unroll

__all__ = [
    "HAMILTONIAN",
    "MODELS",
    "builder",
    "canonical",
    "drawn_inputs",
    "hyperparameters",
    "make",
    "make_recurrence",
    "names",
    "reference",
]

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
    "staggered": "staggered:staggered",
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
"""Every cell by name: ``module:function`` in the folder ``cells``; the function has the published start."""

REFERENCES = {
    "irnn": "Q. V. Le, N. Jaitly, G. E. Hinton, arXiv:1504.00941 (2015)",
    "residual": "B. Yue, J. Fu, J. Liang, Information 9 (2018) 56",
    "antisymmetric": "B. Chang, M. Chen, E. Haber, E. H. Chi, ICLR 2019",
}
"""Where a model comes from that shares its kind with one of another paper."""

ALSO_CALLED = {"rnn": "vanilla"}
"""What other libraries call a model."""

HAMILTONIAN = {"hamiltonian": "neural:NeuralField", "hamiltonian_potential": "potential:PotentialField"}
"""Second-order systems by name: ``module:field`` in `integrators`, for any scheme."""


def names() -> tuple[str, ...]:
    """Everything that `make_recurrence` knows."""
    return (*HAMILTONIAN, *MODELS)


def canonical(name: Any, known: Iterable[str] = MODELS, *, own: bool = True) -> str:
    """The name of a model as its table has it: "LSTM" is "lstm", and PyTorch's "RNN" is "vanilla".

    A ``module:function`` is what it is, unless the table takes no models of your `own`.

    Raises
    ------
    UnknownNameError
        With the nearest of the `known` names.
    """
    known = tuple(known)
    if isinstance(name, str):
        if name in known or (own and ":" in name):
            return name
        lower = name.strip().lower()
        lower = ALSO_CALLED.get(lower, lower)
        if lower in known:
            return lower
    raise nearest("model", name, known)


def reference(name: str) -> str:
    """Where a model comes from."""
    name = canonical(name)
    return REFERENCES.get(name) or make(name, 2).kind.reference


def builder(name: str) -> Callable[..., Cell]:
    """The function ``(d, n_inputs=0, rng=0, **hyperparameters)`` that makes the cell of that name.

    Raises
    ------
    UnknownNameError
        With the nearest known name.
    ValueError
        If a module of yours or its function is not there, or is no such function.

    Notes
    -----
    A model of your own goes by ``module:function``, and must be importable.
    """
    name = canonical(name)
    if name not in MODELS:
        return _own_builder(name)
    module, function = MODELS[name].split(":")
    return getattr(importlib.import_module(f"{__package__}.cells.{module}"), function)


def _own_builder(name: str) -> Callable[..., Cell]:
    """The function of a user's module, so wrapped that whatever goes wrong in it is told in one sentence."""
    module, name_there = name.split(":", 1)
    try:
        function = getattr(importlib.import_module(module), name_there)
    except (Exception, SystemExit) as error:  # a module may do anything while it is imported
        said = str(error).rstrip(".") or type(error).__name__
        raise ValueError(f"model {name!r} cannot be had: {said}; write MODULE:FUNCTION.") from None
    wanted = "it must be a function (d, n_inputs, rng, **settings) that returns a Cell"
    try:
        signature = inspect.signature(function)
        signature.bind(1, 0, None)
    except (TypeError, ValueError):
        raise ValueError(f"model {name!r} is {shown(function)}; {wanted}.") from None

    @functools.wraps(function)
    def build(*args: Any, **settings: Any) -> Cell:
        try:
            made = function(*args, **settings)
        except (Exception, SystemExit) as error:
            said = " ".join(str(error).split()).rstrip(".")
            raise ValueError(f"model {name!r} cannot be made: {type(error).__name__}: {said}.") from error
        if not isinstance(made, Cell):
            raise ValueError(f"model {name!r} returned {shown(made)}; {wanted}.")
        return made

    build.__signature__ = signature  # pyright: ignore[reportAttributeAccessIssue]
    return build


def hyperparameters(name: str) -> dict[str, Any]:
    """What the builder takes besides d, n_inputs and rng, with its defaults."""
    return {
        parameter.name: parameter.default
        for parameter in inspect.signature(builder(name)).parameters.values()
        if parameter.name not in ("d", "n_inputs", "rng")
    }


def make(name: str, d: int, n_inputs: int = 0, rng: Any = 0, **details: Any) -> Cell:
    """The recurrent cell of a given name with d neurons, with parameters drawn as in its publication.

    Parameters
    ----------
    name : str
        A name of the table of models, such as "lstm", "gru", "cornn" or "exprnn" (``leapgrad compare --list``
        shows all), or ``module:function`` for a function of your own that returns a `Cell`. Upper and lower
        case are the same, and "RNN" is another name for "vanilla".
    d : int
        Number of neurons.
    n_inputs : int
        Length of each input; 0 for a network without inputs.
    rng : int or numpy.random.Generator
        Seed of the random parameters.
    **details
        Settings of this model, such as ``step`` and ``gamma`` of "cornn" or ``activation`` of "vanilla".

    Returns
    -------
    Cell

    Raises
    ------
    ValueError
        If the name or a setting is not known; the message suggests the nearest name or lists the settings.

    Examples
    --------
    >>> import leapgrad as lg
    >>> lg.cell("lstm", 20, 3)
    Cell(lstm, d=20, n_inputs=3)
    >>> lg.cell("cornn", 16, 2, gamma=3.0, step=0.1)
    Cell(cornn, d=16, n_inputs=2)
    >>> lg.cell("RNN", 8, activation="relu")
    Cell(vanilla, d=8)
    """
    name = canonical(name)
    known = hyperparameters(name)
    unknown = sorted(set(details) - set(known))
    if unknown:
        listed = ", ".join(known) or "none"
        raise ValueError(f"{name} has no hyperparameter {unknown[0]!r}; it has {listed}.")
    return builder(name)(d, n_inputs, rng, **details)


def drawn_inputs(n_steps: int, n_inputs: int, seed: int) -> NDArray[np.float64]:
    """Inputs N(0, 1), shape (n_steps, n_inputs), from a stream of their own: the same for every model."""
    return np.random.default_rng([seed, 1]).standard_normal((n_steps, n_inputs))


def make_recurrence(
    name: str,
    d: int,
    n_steps: int,
    seed: int = 0,
    inputs: NDArray[np.float64] | None = None,
    scheme: str = "leapfrog",
    **options: Any,
) -> Recurrence:
    """Any model by name at its published start, unrolled over N steps from the zero state.

    Parameters
    ----------
    name : str
        Of `MODELS`, or of `HAMILTONIAN` for ÿ = F(y, x) with `scheme` and the step 1/N of equation (14).
    d, n_steps, seed : int
    inputs : ndarray, shape (n_steps, n_inputs), optional
        The autonomous model by default.
    **options
        ``threads``, ``progress``.

    Raises
    ------
    ValueError
        For an unknown name, with the nearest known one.
    """
    n_steps, n_inputs = as_count(n_steps, "n_steps"), 0 if inputs is None else inputs.shape[-1]
    name = canonical(name, names())
    if name in HAMILTONIAN:
        module, field = HAMILTONIAN[name].split(":")
        kind = getattr(importlib.import_module(f"integrators.fields.{module}"), field)
        step = 1.0 / max(n_steps, 1)
        return OdeRecurrence(kind.random(d, seed, n_inputs), scheme, step, n_steps, inputs=inputs, **options)
    return unroll(make(name, as_count(d, "d", least=1), n_inputs, seed), n_steps, inputs=inputs, **options)
