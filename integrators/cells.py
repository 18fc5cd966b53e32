"""Recurrent cells s' = Φ(s, x): what one is, and how a new one is written.

A *kind* of cell (`Kind`) is a table of names and one pointwise kernel (two for a two-stage cell); see
`integrators.cell_algebra` for the step they stand for. The kernel

``point(constants, v, out, slopes)``
    fills out[b, f] = s'_b and slopes[b, l, f] = ∂s'_b/∂v_l for every neuron and lane, f < d·m, where the
    rows of v are the *locals*: the pre-activations (first stage, then second), the state blocks, the
    parameter vectors; and after them, without a slope, the lane's step size and the clock. Only the slopes
    that the kind's table lists are read, and all of those must be filled.

Everything else (products with the weights, tangents, adjoints, gradients by all parameters and by the
input, layers, lanes, checkpoints) is common and compiled once. A `Cell` is a kind with numbers:

>>> cell = ELMAN(W=W, V=V, b=b)          # parameters by name
>>> cell.parameters["W"]                  # named views of the flat cell.theta
>>> cell.step(s, x), cell.linearise(s, x) # one step, and its Jacobian

Parameters of every kind, flat in this order, layer after layer: W (recurrent rows · d, source blocks · d),
V (input rows · d, n_inputs), b, R (second-stage rows · d, hidden blocks · d), the vectors, the constants
(which are part of theta so that kernels find them, but have no gradient).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .cell_flow import Taps, advance_cell, retreat_cell
from .flow import Lanes, Record, Run
from .kinds import Kind
from .schedule import FIRST_ORDER
from .validation import as_array, as_count, as_steps, as_vector

__all__ = ["Cell", "Kind"]

Float = NDArray[np.float64]


class Cell:
    """A recurrence s' = Φ(s, x; θ): a kind of cell with numbers.

    Parameters
    ----------
    kind : Kind
    d : int
        Neurons of a layer.
    n_inputs : int
        Length of x; 0 for the autonomous cell.
    layers : sequence of mappings
        Parameters by name, layer by layer; see `Kind.shapes`. Layers above the first take the first state
        block of the layer below as their input.
    step : float, optional
        Step size; the kind's by default. Cells without one ignore it.

    Attributes
    ----------
    theta : ndarray, shape (P,)
        All parameters, read-only.
    dim : int
        D, the length of the full state.
    blocks : mapping
        Name → slice of the full state. With several layers the names end in the layer's number.

    Raises
    ------
    ValueError, TypeError
        For unknown parameters and wrong shapes, naming them.
    """

    vectorised = True
    constant_jacobian = False
    lipschitz = None
    condense = None

    def __init__(
        self,
        kind: Kind,
        d: int,
        n_inputs: int,
        layers: Sequence[Mapping[str, ArrayLike]],
        *,
        step: ArrayLike | None = None,
    ) -> None:
        self.kind, self.d = kind, as_count(d, "d", least=1)
        self.n_inputs = as_count(n_inputs, "n_inputs")
        self.plan = kind.plan(len(layers))
        default = 1.0 if kind.step is None else kind.step
        self.step_size = float(as_steps(default if step is None else as_array(step, "step", 0)))
        self.name = kind.name
        parts = [self._packed(given, layer) for layer, given in enumerate(layers)]
        values = [part.ravel() for layer in parts for part in layer.values()]
        self.packed = np.concatenate([np.zeros(0), *values])
        size = len(kind.state) * self.d
        self.dim = len(layers) * size
        self.default_block = kind.block if len(layers) == 1 else "state"
        self.blocks = {
            name + (str(layer) if len(layers) > 1 else ""): slice(start, start + self.d)
            for layer in range(len(layers))
            for name, start in zip(kind.state, range(layer * size, (layer + 1) * size, self.d), strict=True)
        }

    def _packed(self, given: Mapping[str, ArrayLike], layer: int) -> dict[str, Float]:
        shapes = self.kind.shapes(self.d, self.n_inputs if layer == 0 else self.d)
        unknown = sorted(set(given) - set(shapes))
        if unknown:
            raise ValueError(
                f"{self.name} has no parameter {unknown[0]!r} with d = {self.d} and n_inputs = "
                f"{self.n_inputs}; it has {', '.join(shapes)}."
            )
        parts = {}
        for name, shape in shapes.items():
            default = (self.kind.constants or {}).get(name, 0.0)
            value = as_array(given[name], name, len(shape)) if name in given else np.full(shape, default)
            if value.shape != shape:
                raise ValueError(f"{name} has shape {value.shape}; {self.name} asks for {shape}.")
            parts[name] = value
        return parts

    # ------------------------------------------------------------------------------------ parameters

    @property
    def theta(self) -> Float:
        """The flat parameter vector, read-only."""
        view = self.packed.view()
        view.flags.writeable = False
        return view

    def unpack(self, flat: Float) -> list[dict[str, Float]]:
        """Named views of a vector packed as theta, along its last axis; one mapping a layer."""
        start, layers = 0, []
        for layer in range(self.plan.layers):
            parts = {}
            for name, shape in self.kind.shapes(self.d, self.n_inputs if layer == 0 else self.d).items():
                size = int(np.prod(shape))
                parts[name] = flat[..., start : start + size].reshape((*flat.shape[:-1], *shape))
                start += size
            layers.append(parts)
        return layers

    @property
    def parameters(self) -> dict[str, Float]:
        """Named read-only views of theta (of the first layer; `unpack` has all)."""
        return self.unpack(self.theta)[0]

    @cached_property
    def trainable(self) -> NDArray[np.bool_]:
        """Which entries of theta are parameters, not constants; shape (P,)."""
        marks = np.ones(self.packed.size)
        for layer in self.unpack(marks):  # views
            for name in {*(self.kind.constants or {}), *self.kind.fixed} & set(layer):
                layer[name][...] = 0.0
        return marks.astype(bool)

    def with_theta(self, theta: ArrayLike) -> Cell:
        """The same cell with other parameters."""
        other = object.__new__(type(self))
        other.__dict__.update({k: v for k, v in self.__dict__.items() if k != "trainable"})
        other.packed = as_vector(theta, "theta", self.packed.size).copy()
        return other

    def log_bound(self, step: ArrayLike, n_steps: int) -> Float:
        """ln of the proved bound on the norm of the default block of ∂s_N/∂s_0, shape step.shape.

        NaN where none is proved, as for gated cells. It is one for the product as computed: N (D + 8) D units
        of round-off are added, which is what N products of D × D matrices can gain by rounding.
        """
        h = as_steps(step)
        if self.kind.bound is None or self.plan.layers > 1:
            return np.full(h.shape, np.nan)
        slack = n_steps * (self.dim + 8) * self.dim * 2.0**-53
        return np.broadcast_to(self.kind.bound(self, h, n_steps), h.shape) + slack

    def clock(self, n_steps: int) -> Float:
        """What the pointwise rule is told about each step besides the input: (n_steps, clock rows)."""
        return np.zeros((n_steps, 0)) if self.kind.clock is None else self.kind.clock(self, n_steps)

    # ---------------------------------------------------------------------------------------- drivers

    def advance(self, theta: Float, run: Run, lanes: Lanes, record: Record, start: int, stop: int) -> None:
        """Steps [start, stop) of a block of lanes, in place; see `advance_cell`."""
        kind = self.kind
        advance_cell(kind.point, kind.middle, self.plan, theta, run, lanes, record, start, stop)

    def retreat(
        self,
        theta: Float,
        run: Run,
        stations: Float,
        lam: Float,
        exponent: NDArray[np.int64],
        gradient: Float,
        start: int,
        stop: int,
        taps: Taps | None = None,
    ) -> None:
        """Steps [start, stop) backwards, in place; see `retreat_cell`."""
        kind = self.kind
        retreat_cell(
            kind.point, kind.middle, self.plan, theta, run, stations, lam, exponent, gradient,
            Taps.none() if taps is None else taps, start, stop,
        )  # fmt: skip

    # ---------------------------------------------------------------------------------------- one step

    def step(self, s: ArrayLike, x: ArrayLike | None = None, index: int = 0) -> Float:
        """Φ(s, x), shapes (D,), (n_inputs,) → (D,); `index` counts steps, where the cell has a clock."""
        return self.linearise(s, x, index)[0]

    def linearise(self, s: ArrayLike, x: ArrayLike | None = None, index: int = 0) -> tuple[Float, Float]:
        """Φ(s, x) and the one-step Jacobian ∂Φ/∂s: shapes (D,) and (D, D)."""
        run, state = self._one_step(s, x, index)
        columns = np.eye(self.dim)[:, :, None].copy()
        lanes = Lanes(state, np.zeros((0, 1)), columns, np.zeros((0, 0, 1)), np.zeros(1, np.int64),
                      np.full(1, -1, np.int64))  # fmt: skip
        nothing = np.zeros((0, self.dim, 1))
        self.advance(self.packed, run, lanes, Record(nothing, nothing, nothing), 0, 1)
        return state[:, 0], np.ldexp(columns[:, :, 0], lanes.exponent[0])

    def adjoint(
        self, s: ArrayLike, x: ArrayLike | None, cotangent: ArrayLike, index: int = 0
    ) -> tuple[Float, Float, Float]:
        """(∂Φ/∂s)ᵀλ, (∂Φ/∂x)ᵀλ and (∂Φ/∂θ)ᵀλ for λ of shape (D,): shapes (D,), (n_inputs,) and (P,)."""
        run, state = self._one_step(s, x, index)
        lam = as_vector(cotangent, "cotangent", self.dim)[:, None, None].copy()
        gradient, by_input = np.zeros(self.packed.size), np.zeros((1, self.n_inputs, 1, 1))
        taps = Taps.none()._replace(inputs=by_input)
        self.retreat(self.packed, run, state[None], lam, np.zeros(1, np.int64), gradient, 0, 1, taps)
        return lam[:, 0, 0], by_input[0, :, 0, 0], gradient

    def _one_step(self, s: ArrayLike, x: ArrayLike | None, index: int) -> tuple[Run, Float]:
        state = as_vector(s, "s", self.dim)[:, None].copy()
        drive = np.concatenate([as_vector(x, "x", self.n_inputs), self.clock(index + 1)[index]])
        step = np.full(1, self.step_size)
        rows = np.zeros(1, np.int64)
        one, none = np.ones(1), np.zeros(1)
        # One step in the middle of a longer run: the range of the columns is not looked at.
        return Run(FIRST_ORDER, none, one, 0.0, 2, True, 1, 1, step, drive[None, :, None].copy(), rows, 2,
                   False), state  # fmt: skip

    def __repr__(self) -> str:
        driven = f", n_inputs={self.n_inputs}" if self.n_inputs else ""
        layers = f", layers={self.plan.layers}" if self.plan.layers > 1 else ""
        return f"Cell({self.name}, d={self.d}{driven}{layers})"
