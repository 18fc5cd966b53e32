"""What a study can run: a table of models, each from the parameters of one cell to a case.

A model is one row here: the axes it takes, and a function that builds its case from their values. Quantities
ask a case only for what `Case` lists, so that a recurrence that is no scheme × field becomes a model by
answering that, with axes of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from integrators.engine.program import Program
from integrators.fields import textbook
from integrators.fields.field import Field
from integrators.fields.neural import NeuralField
from integrators.run.recurrence import OdeRecurrence
from integrators.schemes.table import get_scheme
from sensitivity.analysis.cost import SWEEPS_OF_A_FIELD, USUAL
from sensitivity.analysis.graded import log_singular_values
from sensitivity.analysis.growth import GrowthExponents, growth_exponents
from sensitivity.analysis.jacobians import norm_and_exponent
from sensitivity.analysis.profile import gradient_profile
from sensitivity.bounds import log_majorant, no_vanishing

from . import recurrences

__all__ = ["MODELS", "Case", "Model", "OdeCase", "Size"]

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Size:
    """How large a case is, for the estimates of time and memory.

    Attributes
    ----------
    d : int
        Columns of ∂y_N/∂y_0.
    state : int
        D, the length of the full state.
    n_steps : int
    kicks : int
        Evaluations of the right-hand side in a run.
    inputs : int
        Input components.
    parameters : int
        Numbers in θ.
    sweeps, iterations : int
        Of Lanczos: products with each matrix in an iteration, and iterations that it usually takes; see
        `sensitivity.analysis.cost`.
    """

    d: int
    state: int
    n_steps: int
    kicks: int
    inputs: int = 0
    parameters: int = 0
    sweeps: int = SWEEPS_OF_A_FIELD
    iterations: int = USUAL


class Case(Protocol):
    """A network with its step sizes (lanes): what the quantities of a study are asked of."""

    def norm(self) -> tuple[Float, NDArray[np.int64]]:
        """‖∂y_N/∂y_0‖₂ as mantissa · 2^exponent, shape (lanes,) each."""
        ...

    def log_singular_values(self) -> Float:
        """log σ of ∂y_N/∂y_0, descending, shape (lanes, d)."""
        ...

    def exponents(self) -> GrowthExponents:
        """Growth per step of the full state."""
        ...

    def log_profile(self) -> Float:
        """log ‖∂y_N/∂y_i‖₂, shape (lanes, N + 1)."""
        ...

    def log_bound(self, steps_left: int | None = None) -> Float:
        """The proved bound on log ‖∂y_N/∂y_i‖₂ with N − i steps left (N by default), NaN where none is."""
        ...

    def least_singular_value(self) -> Float:
        """The proved lower bound on every singular value of ∂y_N/∂y_0, NaN where none is."""
        ...


@dataclass(frozen=True)
class OdeCase:
    """A field advanced by a scheme.

    Attributes
    ----------
    field : Field
    scheme : str
    steps : ndarray, shape (lanes,)
    n_steps : int
    y0, p0 : float
        Of every component.
    inputs : ndarray or None, shape (n_steps, n_inputs)
    """

    field: Field
    scheme: str
    steps: Float
    n_steps: int
    y0: float
    p0: float
    inputs: Float | None = None

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """The case as keyword arguments of `jacobian` and its like; one thread, no bar."""
        d = self.field.dim
        return {
            "field": self.field,
            "scheme": self.scheme,
            "step": self.steps,
            "n_steps": self.n_steps,
            "y0": np.full(d, self.y0),
            "p0": np.full(d, self.p0),
            "inputs": self.inputs,
            "threads": 1,
            "progress": False,
        }

    @cached_property
    def _norm(self) -> tuple[Float, NDArray[np.int64]]:
        return norm_and_exponent(OdeRecurrence(**self.arguments), "position")

    def norm(self) -> tuple[Float, NDArray[np.int64]]:
        return self._norm

    def log_singular_values(self) -> Float:
        return log_singular_values(**self.arguments)

    def exponents(self) -> GrowthExponents:
        return growth_exponents(**self.arguments)

    def log_profile(self) -> Float:
        return gradient_profile(**self.arguments).log_norms

    def log_bound(self, steps_left: int | None = None) -> Float:
        if self.field.lipschitz is None:
            return np.full(self.steps.shape, np.nan)
        n_steps = self.n_steps if steps_left is None else steps_left
        return log_majorant(self.field, self.scheme, self.steps, n_steps)

    def least_singular_value(self) -> Float:
        if self.field.lipschitz is None:
            return np.full(self.steps.shape, np.nan)
        return no_vanishing(self.field, self.steps, self.n_steps, self.scheme)


@dataclass(frozen=True)
class Model:
    """A kind of network.

    Attributes
    ----------
    name : str
    axes : tuple of str
        Names of `AXES`; other axes are no part of the model, and its cells do not depend on them.
    build : callable
        ``build(parameters, steps)`` → `Case`, with a value for every axis but the step.
    size : callable
        ``size(parameters)`` → `Size`.
    """

    name: str
    axes: tuple[str, ...]
    build: Callable[[Mapping[str, Any], Sequence[float]], Case]
    size: Callable[[Mapping[str, Any]], Size]


def _neural(parameters: Mapping[str, Any], steps: Sequence[float]) -> OdeCase:
    """σ(Wy + Vx + b): W, b, V as `NeuralField.random` draws them, W scaled, then made antisymmetric."""
    drawn = NeuralField.random(parameters["d"], parameters["seed"], parameters["inputs"])
    V = drawn.V if drawn.n_inputs else None
    W, activation = parameters["weight_scale"] * drawn.W, parameters["activation"]
    gamma = parameters["gamma"]
    if gamma is None:
        field = NeuralField(W, drawn.b, V, activation)
    else:
        field = NeuralField.antisymmetric(W, drawn.b, gamma, V, activation)
    return _ode(field, parameters, steps)


def _ode(field: Field, parameters: Mapping[str, Any], steps: Sequence[float]) -> OdeCase:
    n_steps, inputs = parameters["n_steps"], None
    if field.n_inputs:
        # A stream of its own: the inputs are the same for every width and scale of the weights.
        rng = np.random.default_rng([parameters["seed"], 1])
        inputs = rng.standard_normal((n_steps, field.n_inputs))
    return OdeCase(
        field, parameters["scheme"], np.array(steps), n_steps, parameters["y0"], parameters["p0"], inputs
    )


def _ode_size(d: int | None, parameters: Mapping[str, Any]) -> Size:
    scheme = get_scheme(parameters["scheme"])
    n_steps = parameters["n_steps"]
    kicks = Program.of(scheme, n_steps).n_entries
    width, inputs, numbers = d or parameters["d"], 0, 0
    if d is None:
        inputs = parameters["inputs"]
        numbers = width * (width + 1 + inputs)
    state = width if scheme.form == "first_order" else 2 * width
    return Size(width, state, n_steps, kicks, inputs, numbers)


def _textbook(name: str, d: int) -> Model:
    field = getattr(textbook, name)

    def build(parameters: Mapping[str, Any], steps: Sequence[float]) -> OdeCase:
        return _ode(field(), parameters, steps)

    return Model(name, ("scheme", "n_steps", "y0", "p0", "step"), build, partial(_ode_size, d))


def _cell(name: str) -> Model:
    def size(parameters: Mapping[str, Any]) -> Size:
        return Size(**recurrences.size(name, parameters))

    return Model(name, recurrences.AXES_OF_CELLS, partial(recurrences.build, name), size)


_NEURAL_AXES = (
    "scheme", "activation", "d", "n_steps", "seed", "gamma", "weight_scale", "y0", "p0", "inputs", "step",
)  # fmt: skip

MODELS = {
    model.name: model
    for model in (
        Model("neural", _NEURAL_AXES, _neural, partial(_ode_size, None)),
        _textbook("harmonic", 1),
        _textbook("pendulum", 1),
        _textbook("henon_heiles", 2),
        _textbook("kepler", 2),
        *map(_cell, recurrences.MODELS),
    )
}
"""Every model by name."""
