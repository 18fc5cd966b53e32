"""The networks that can be trained, by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

from integrators.cells.cell import Cell
from integrators.fields.neural import NeuralField
from integrators.schemes.table import get_scheme
from sensitivity.recurrences.case import model_of
from sensitivity.recurrences.registry import MODELS as CELLS
from sensitivity.recurrences.registry import STACKS, canonical, hyperparameters, make, names

from .networks.cell_network import CellNetwork
from .networks.network import Network
from .networks.ode_network import OdeNetwork

__all__ = [
    "MODELS",
    "Model",
    "Shape",
    "is_equation_from_file",
    "make_network",
    "model_named",
    "network_from_weights",
    "parse_step",
    "trainable",
]  # fmt: skip

FIRST_ORDER, SECOND_ORDER = ("euler",), ("leapfrog", "explicit_euler")
"""Schemes that a message names for equations of either order."""


@dataclass(frozen=True)
class Shape:
    """The sizes of a network and of its inputs and outputs.

    Attributes
    ----------
    d, n_steps, n_inputs, n_classes : int
    threads : int, optional
    """

    d: int
    n_steps: int
    n_inputs: int = 1
    n_classes: int = 2
    threads: int | None = None


@dataclass(frozen=True)
class Model:
    """A kind of network.

    Attributes
    ----------
    build : callable
        ``build(shape, **options)``.
    options : tuple of str
        Names of the options that it takes; "step" is among them where there is an ε.
    scheme : str, optional
        The scheme of a differential equation, unless another is asked for.
    """

    build: Callable[..., Network]
    options: tuple[str, ...]
    scheme: str | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the options that have no default."""
        return () if self.scheme is None else ("step",)

    @property
    def first_order(self) -> bool:
        """Whether the scheme is one for ẏ = F, such as Euler's method, or one for ÿ = F."""
        return self.scheme is not None and get_scheme(self.scheme).form == "first_order"


def _equation(scheme: str, **defaults: object) -> Model:
    """A scheme applied to σ(W y + V x + b)."""

    def build(shape: Shape, step: float, **options: object) -> Network:
        size = {"n_inputs": shape.n_inputs, "n_classes": shape.n_classes, "threads": shape.threads}
        given = {"scheme": scheme, **defaults, **options}
        return OdeNetwork(shape.d, shape.n_steps, step, **size, **given)  # type: ignore[arg-type]

    return Model(build, ("step", "scheme", "activation", *defaults), scheme)


def _cell(name: str) -> Model:
    """Any cell of the registry or of one's own functions, with its own settings as options."""

    # Published stacks are read out by the mean of their output over all steps.
    usual = {"output": "mean"} if name in STACKS else {}

    def build(shape: Shape, **options: object) -> Network:
        published = partial(make, name, shape.d, shape.n_inputs, **(usual | options))
        cell, size = published(0), {"n_classes": shape.n_classes, "threads": shape.threads}
        if not isinstance(cell, Cell):
            raise _not_trained(name)
        return CellNetwork(cell, shape.n_steps, published=published, **size)  # type: ignore[arg-type]

    return Model(build, tuple(hyperparameters(name)))


MODELS: Mapping[str, Model] = MappingProxyType(
    {
        **{name: _cell(name) for name in CELLS},
        "hamiltonian": _equation("leapfrog"),
        "euler": _equation("euler"),
        "antisymmetric": _equation("euler", gamma=0.0),
    }
)
"""Name → kind of network: every cell of the registry, and the differential equations."""


def _not_trained(name: str) -> ValueError:
    able = ", ".join(one for one in MODELS if MODELS[one].scheme is not None)
    return ValueError(f"{name} cannot be trained; take {able}, or a cell.")


def trainable(model: str) -> str:
    """The name of a model as `MODELS` has it, or ``module:function``.

    Raises
    ------
    ValueError
        For a field that has no read-out here, with those that can be trained; for an unknown name.
    """
    name = canonical(model, (*MODELS, *names()))
    if name in MODELS or name in STACKS or ":" in name:
        return name
    raise _not_trained(name)


def model_named(name: str) -> Model:
    """The kind of network of a name that is `trainable`."""
    return MODELS[name] if name in MODELS else _cell(name)


def is_equation_from_file(model: str) -> bool:
    """Whether a file of weights makes the model a differential equation; all others are cells then."""
    return model not in CELLS and model not in STACKS and ":" not in model


def network_from_weights(
    model: str, file: str | Path, shape: Shape, settings: Mapping[str, object] | None = None
) -> Network:
    """A network that starts from the weights of a file.

    Parameters
    ----------
    model : str
        A cell, among them "euler" and "antisymmetric", or "hamiltonian".
    file : path
        Of a cell as for `sensitivity.load_weights`; for "hamiltonian" an .npz file with W, b and V.
    shape : Shape
        Its d is that of the file.
    settings : mapping, optional
        Settings of the model; for "hamiltonian" these are "step", which is needed, "scheme" and "activation".

    Raises
    ------
    ValueError, TypeError, OSError
        For a model that cannot be trained, a file that cannot be read, or one with other inputs than the
        sequences have.
    """
    model, given = trainable(model), {k: v for k, v in (settings or {}).items() if v is not None}
    own = {key: given[key] for key in ("activation",) if key in given}
    found = model_of(model, file=file, settings=own if is_equation_from_file(model) else given)
    if found.n_inputs != shape.n_inputs:
        what = "cell" if isinstance(found, Cell) else "field"
        raise ValueError(
            f"the {what} in {file} takes {found.n_inputs} inputs, but the sequences have {shape.n_inputs}."
        )
    if isinstance(found, NeuralField):
        own_shape = replace(shape, d=found.dim)
        network = make_network(model, own_shape, **given)
        assert isinstance(network, OdeNetwork)
        network.first = found
        return network
    if not isinstance(found, Cell):
        raise _not_trained(model)
    return CellNetwork(found, shape.n_steps, n_classes=shape.n_classes, threads=shape.threads)


def make_network(model: str, shape: Shape, **options: object) -> Network:
    """A network by name; options that are None are left to their defaults.

    Raises
    ------
    ValueError
        For an unknown model, an option that it does not take, a scheme for equations of another order, or a
        missing ε.
    """
    model = trainable(model)
    kind, given = model_named(model), {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in kind.options:
            takes = ", ".join(kind.options) or "none"
            raise ValueError(f"model {model!r} has no option {name}; it takes {takes}.")
    if "step" in kind.needs and "step" not in given:
        raise ValueError(f"model {model!r} needs a step ε: a number, or c/N as in 10/N.")
    if "scheme" in given:
        _check_scheme(model, kind, given["scheme"])
    return kind.build(shape, **given)


def _check_scheme(model: str, kind: Model, name: object) -> None:
    """Raise where the scheme would make another model of it: Euler's method on a Hamiltonian network."""
    scheme = get_scheme(name)  # type: ignore[arg-type]
    if (scheme.form == "first_order") != kind.first_order:
        equations = "ẏ = F (first order)" if kind.first_order else "ÿ = F (second order)"
        able = FIRST_ORDER if kind.first_order else SECOND_ORDER
        equations_too = {other: one for other, one in MODELS.items() if one.scheme is not None}
        others = [other for other, one in equations_too.items() if one.first_order != kind.first_order]
        raise ValueError(
            f"model {model!r} solves {equations}, which scheme {scheme.name!r} does not; take scheme "
            f"{' or '.join(able)}, or model {' or '.join(others)}."
        )


def parse_step(text: str | float, n_steps: int) -> float:
    """ε from a number, or from "c/N" with a number c: "1/N" is 1/n_steps, "N" alone means nothing.

    Raises
    ------
    ValueError
        If it is neither, or not positive.
    """
    match = re.fullmatch(r"\s*([^/\s]+)\s*(/\s*N)?\s*", str(text))
    try:
        number = float(match[1]) if match else float("nan")
    except ValueError:
        number = float("nan")
    if not 0.0 < number < float("inf"):
        raise ValueError(f"step must be a positive number or c/N, as in 0.01 or 10/N; got {text!r}.")
    return number / n_steps if match and match[2] else number
