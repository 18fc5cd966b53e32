"""Recurrent cells s' = Φ(s, x): what one is, and how a new one is written.

A *kind* of cell (`Kind`) is a table of names and one pointwise kernel (two for a two-stage cell); see
`integrators.cells.layout` for the step they stand for. The kernel

``point(constants, v, out, slopes)``
    fills out[b, f] = s'_b and slopes[b, l, f] = ∂s'_b/∂v_l for every neuron and member, f < d·m, where the
    rows of v are the *locals*: the pre-activations (first stage, then second), the state blocks, the
    parameter vectors; and after them, without a slope, the member's step size and the clock. Only the slopes
    that the kind's table lists are read, and all of those must be filled, at every point. At the first use of
    a kind that is checked at some points, and the slopes are compared with differences. Where a rule has a
    kink, its slope there is the limit from both sides if they agree (modReLU with b = 0 at 0), else 0 for
    relu and abs, as in PyTorch.

Everything else (products with the weights, tangents, adjoints, gradients by all parameters and by the
input, layers, members, checkpoints) is common and compiled once. A `Cell` is a kind with numbers:

>>> cell = ELMAN(W=W, V=V, b=b)          # parameters by name
>>> cell.parameters["W"]                  # named views of the flat cell.theta
>>> cell.step(s, x), cell.linearise(s, x) # one step, and its Jacobian

Parameters of every kind, flat in this order, layer after layer: W (recurrent rows · d, source blocks · d),
V (input rows · d, n_inputs), b, R (second-stage rows · d, hidden blocks · d), the vectors, the constants
(which are part of theta so that kernels find them, but have no gradient).

Where a kind has a *structure* (`integrators.cells.structure`), some of these are made from free parameters,
which `Cell.free` holds with all that is not made; gradients by the parameters are by those.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.engine.column_scale import bits_from_one, column_counts
from integrators.engine.drivers import NOTHING, Block, Run, Taps
from integrators.engine.program import Program
from integrators.fields.activations import ACTIVATIONS
from integrators.naming import shown
from integrators.validation import as_array, as_count, as_steps, as_vector
from integrators.values import ByValue

from .kind import Kind
from .kind_check import bound_of, check_bound, check_kind
from .stage import cells_backward, cells_forward
from .structure import Structure, assembled, check_structure, completed, pulled

__all__ = ["Cell", "Kind"]

Float = NDArray[np.float64]


def _flat(layers: Iterable[Mapping[str, Float]]) -> Float:
    """Parameters of all layers in one vector."""
    return np.concatenate([np.zeros(0), *(part.ravel() for layer in layers for part in layer.values())])


def _of(structure: Structure, free: Mapping[str, Float], d: int) -> dict[str, Float]:
    """Those free parameters of a layer that are the structure's."""
    return {name: free[name] for name in structure.shapes(d)}


def _check_activation(code: float) -> None:
    """Whether a number is the code of an activation; compiled code would cut it, or compute nothing."""
    codes = {one.code: name for name, one in ACTIVATIONS.items()}
    if code not in codes:
        known = ", ".join(f"{number} ({name})" for number, name in codes.items())
        raise ValueError(f"activation must be the code of an activation, got {code:g}; they are {known}.")


class Cell(ByValue):
    """A recurrent cell s' = Φ(s, x; θ): a `Kind` with its dimension and its parameters.

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
        All parameters as compiled code reads them, read-only.
    free : ndarray, shape (F,)
        The free parameters: theta, but for what a structure makes.
    dim : int
        D, the length of the full state.
    blocks : mapping
        Name → slice of the full state. With several layers the names end in the layer's number.

    Raises
    ------
    ValueError, TypeError
        For unknown parameters, wrong shapes and values that are not of the structure, naming them.

    Examples
    --------
    >>> import leapgrad as lg
    >>> cell = lg.cell("vanilla", 2, 1, rng=0)
    >>> cell, cell.theta.shape
    (Cell(vanilla, d=2, n_inputs=1), (9,))
    >>> {name: value.shape for name, value in cell.parameters.items()}
    {'W': (2, 2), 'V': (2, 1), 'b': (2,), 'activation': ()}
    >>> state, jacobian = cell.linearise([0.1, -0.2], [1.0])
    >>> jacobian.round(4)
    array([[ 0.1262, -0.2121],
           [-0.281 , -0.2959]])
    """

    # What the sweeps ask of every system; see `Field`.
    vectorised, pads_one_column = True, False
    lipschitz = None
    condenses = True

    compiled = True
    """Whether the step is one compiled pointwise rule; False for stacks and functions of other libraries."""

    details: Mapping[str, Any] = MappingProxyType({})
    """What a cell is made of beside its kind, in words; stacks have some."""

    start: Float | None = None
    """The initial state where none is given; zero if this is None."""

    def __init__(
        self,
        kind: Kind,
        d: int,
        n_inputs: int,
        layers: Sequence[Mapping[str, ArrayLike]],
        *,
        step: ArrayLike | None = None,
    ) -> None:
        if not isinstance(kind, Kind):
            raise TypeError(f"kind must be a Kind of cell, got {shown(kind)}.")
        self.d, self.n_inputs = as_count(d, "d", least=1), as_count(n_inputs, "n_inputs")
        self.kind = kind
        if kind.structure is not None:
            sized = kind.structure.sized(self.d, self.n_inputs)
            if len(layers) > 1 and kind.structure.sized(self.d, self.d) != sized:
                raise ValueError(
                    f"{kind.name} has rows of V that are the same for all neurons; layers of it need as many "
                    "inputs as neurons, or unstructured parameters."
                )
            self.kind = kind = kind if sized == kind.structure else replace(kind, structure=sized)
        listed = isinstance(layers, Sequence) and not isinstance(layers, (str, bytes))
        if not listed or not layers or not all(isinstance(given, Mapping) for given in layers):
            raise TypeError(
                f"layers must be a list of mappings of names to arrays, one a layer; got {shown(layers)}."
            )
        if kind.substeps > 1 and len(layers) > 1:
            raise ValueError(f"{kind.name} has one layer, which applies {kind.substeps} maps in turn.")
        self.layout = kind.layout(len(layers))
        # Without a product that takes the state, a neuron's new state depends on its own old one alone.
        alone = self.layout.recurrent == 0 and self.layout.second == 0 and len(layers) == 1
        self.decoupled = alone and self.d > 1
        default = 1.0 if kind.step is None else kind.step
        self.step_size = float(as_steps(default if step is None else as_array(step, "step", 0)))
        self.name = kind.name
        parts = [self._packed(given, layer) for layer, given in enumerate(layers)]
        self.packed = _flat(own for own, _ in parts)
        self._free = None if kind.structure is None else _flat(free for _, free in parts)
        size = len(kind.state) * self.d
        self.dim = len(layers) * size
        self.default_block = kind.block if len(layers) == 1 else "state"
        self.blocks = {
            name + (str(layer) if len(layers) > 1 else ""): slice(start, start + self.d)
            for layer in range(len(layers))
            for name, start in zip(kind.state, range(layer * size, (layer + 1) * size, self.d), strict=True)
        }
        for layer in range(len(layers)):
            number = str(layer) if len(layers) > 1 else ""
            for name, members in (kind.groups or {}).items():
                ends = [self.blocks[member + number] for member in (members[0], members[-1])]
                self.blocks[name + number] = slice(ends[0].start, ends[1].stop)

    def _packed(
        self, given: Mapping[str, ArrayLike], layer: int
    ) -> tuple[dict[str, Float], dict[str, Float]]:
        """The parameters of a layer as compiled code reads them, and its free ones."""
        width, structure = self._width(layer), self.kind.structure
        shapes, free_shapes = self.kind.shapes(self.d, width), self.kind.free_shapes(self.d, width)
        known = dict.fromkeys([*shapes, *free_shapes])
        unknown = sorted(map(str, set(given) - set(known)))
        if unknown:
            raise ValueError(
                f"{self.name} has no parameter {unknown[0]!r} with d = {self.d} and n_inputs = "
                f"{self.n_inputs}; it has {', '.join(known)}."
            )
        made, free = {}, {}
        if structure is not None:
            free, made = completed(structure, self.d, given, shapes, self.name)
        parts = {}
        for name, shape in shapes.items():
            default = (self.kind.constants or {}).get(name, 0.0)
            if name in made:
                value = made[name]
            else:
                value = as_array(given[name], name, len(shape)) if name in given else np.full(shape, default)
            if value.shape != shape:
                raise ValueError(f"{name} has shape {value.shape}; {self.name} asks for {shape}.")
            if name == "activation" and shape == () and name in (self.kind.constants or {}):
                _check_activation(float(value))
            parts[name] = value
        return parts, free | {name: value for name, value in parts.items() if name not in made}

    def _width(self, layer: int) -> int:
        """Inputs of a layer."""
        return self.n_inputs if layer == 0 else self.d

    # ------------------------------------------------------------------------------------ parameters

    @property
    def theta(self) -> Float:
        """The flat parameter vector, read-only."""
        view = self.packed.view()
        view.flags.writeable = False
        return view

    @property
    def free(self) -> Float:
        """The free parameters, flat and read-only, shape (F,). Gradients are taken by these.

        Where a structure makes some parameters from free ones (W = exp(A) from A), these are in here instead
        of what they make; for a cell without a structure it is `theta`.
        """
        view = (self.packed if self._free is None else self._free).view()
        view.flags.writeable = False
        return view

    def unpack(self, flat: Float) -> list[dict[str, Float]]:
        """Named views of a vector packed as theta, along its last axis; one mapping a layer."""
        self._check_size(flat, self.packed.size, "theta", "unpack_free")
        return self._views(flat, self.kind.shapes)

    def unpack_free(self, flat: Float) -> list[dict[str, Float]]:
        """Named views of a vector packed as `free`, such as a gradient, along its last axis; one a layer."""
        self._check_size(flat, self.free.size, "free", "unpack")
        return self._views(flat, self.kind.free_shapes)

    def _check_size(self, flat: Float, size: int, name: str, other: str) -> None:
        if np.shape(flat)[-1:] != (size,):
            raise ValueError(
                f"the vector has shape {np.shape(flat)}; {self!r} has {size} entries in {name}: "
                f"see also {other}."
            )

    def _views(
        self, flat: Float, shapes: Callable[[int, int], dict[str, tuple[int, ...]]]
    ) -> list[dict[str, Float]]:
        start, layers = 0, []
        for layer in range(self.layout.layers):
            parts = {}
            for name, shape in shapes(self.d, self._width(layer)).items():
                size = int(np.prod(shape))
                parts[name] = flat[..., start : start + size].reshape((*flat.shape[:-1], *shape))
                start += size
            layers.append(parts)
        return layers

    @property
    def parameters(self) -> dict[str, Float]:
        """Named read-only views of theta (of the first layer; `unpack` has all)."""
        return self.unpack(self.theta)[0]

    @property
    def free_parameters(self) -> dict[str, Float]:
        """Named read-only views of `free` (of the first layer; `unpack_free` has all)."""
        return self.unpack_free(self.free)[0]

    @cached_property
    def trainable(self) -> NDArray[np.bool_]:
        """Which entries of theta are parameters, not constants; shape (P,)."""
        return self._marks(self.unpack, self.packed.size, self.kind.fixed)

    @cached_property
    def free_trainable(self) -> NDArray[np.bool_]:
        """Which entries of `free` are trained, neither constants nor fixed; shape (F,)."""
        structure = self.kind.structure
        fixed = () if structure is None else structure.fixed
        return self._marks(self.unpack_free, self.free.size, (*self.kind.fixed, *fixed))

    def _marks(
        self, unpack: Callable[[Float], list[dict[str, Float]]], size: int, fixed: tuple[str, ...]
    ) -> NDArray[np.bool_]:
        marks = np.ones(size)
        for layer in unpack(marks):  # views
            for name in {*(self.kind.constants or {}), *fixed} & set(layer):
                layer[name][...] = 0.0
        return marks.astype(bool)

    def _with(self, packed: Float, free: Float | None, kind: Kind | None = None) -> Cell:
        other = object.__new__(type(self))
        cached = ("trainable", "free_trainable", "factor_bits", "constant_jacobian")
        other.__dict__.update({k: v for k, v in self.__dict__.items() if k not in cached})
        other.kind = self.kind if kind is None else kind
        other.packed, other._free = packed, free
        return other

    def with_theta(self, theta: ArrayLike) -> Cell:
        """The same cell with other parameters, as compiled code reads them.

        Of a structured cell the free parameters are recovered, so that its structure is kept. Where that is
        not possible, as for a W that is not orthogonal, the cell returned has no structure (every entry of W
        is then a parameter of its own), and a warning says so. `with_free` always keeps it.
        """
        packed = as_vector(theta, "theta", self.packed.size).copy()
        if self._free is None:
            return self._with(packed, None)
        layers = zip(*map(self.unpack, (packed, self.packed)), self.unpack_free(self._free), strict=True)
        try:
            found = [self._recovered(*layer) for layer in layers]
        except ValueError as error:
            warnings.warn(
                f"the cell with these parameters has no structure: {error} Take with_free to keep it, or "
                "unstructured() first to be without.",
                RuntimeWarning,
                stacklevel=2,
            )
            return self.unstructured()._with(packed, None)
        return self._with(_flat(own for own, _ in found), _flat(free for _, free in found))

    def _recovered(
        self, own: Mapping[str, Float], before: Mapping[str, Float], free: Mapping[str, Float]
    ) -> tuple[dict[str, Float], dict[str, Float]]:
        """Parameters and free ones of a layer from the former."""
        structure = self.kind.structure
        assert structure is not None
        if all(np.array_equal(own[name], before[name]) for name in structure.makes):
            return dict(own), {name: own.get(name, value) for name, value in free.items()}
        fixed = {name: free[name] for name in structure.fixed}
        shapes = {name: own[name].shape for name in structure.makes}
        made = {name: own[name] for name in structure.makes}
        found, made = completed(structure, self.d, made | fixed, shapes, self.name)
        return {**own, **made}, {name: found.get(name, own.get(name, value)) for name, value in free.items()}

    def with_free(self, free: ArrayLike) -> Cell:
        """The same cell with other free parameters, packed as `free`; the structure holds to round-off.

        Raises
        ------
        ValueError
            If they make something that is not finite.
        """
        flat = as_vector(free, "free", self.free.size).copy()
        return self._with(flat, None) if self._free is None else self._with(self._assembled(flat), flat)

    def _assembled(self, flat: Float) -> Float:
        """θ of these free parameters."""
        structure = self.kind.structure
        assert structure is not None
        packed = np.empty(self.packed.size)
        for own, free in zip(self.unpack(packed), self.unpack_free(flat), strict=True):
            shapes = {name: value.shape for name, value in own.items()}
            made = assembled(structure, _of(structure, free, self.d), shapes, self.name)
            for name, view in own.items():
                view[...] = made[name] if name in made else free[name]
        return packed

    def gradient_by_free(self, gradient: Float) -> Float:
        """∂C/∂(free) from ∂C/∂θ at this cell's parameters, shape (…, P) → (…, F)."""
        structure = self.kind.structure
        if structure is None or self._free is None:
            return gradient
        found = np.zeros((*gradient.shape[:-1], self._free.size))
        for index in np.ndindex(*gradient.shape[:-1]):
            own, at = self.unpack(gradient[index]), self.unpack_free(self._free)
            for layer, target in enumerate(self.unpack_free(found[index])):
                made = pulled(structure, _of(structure, at[layer], self.d), own[layer])
                for name, view in target.items():
                    view[...] = made[name] if name in made else own[layer][name]
        return found

    def with_parameters(self, **given: ArrayLike) -> Cell:
        """The same cell with some parameters replaced by name: free ones, or what they make.

        Of one layer. Where W is given and A is not, A is recovered; fixed ones, such as signs and
        permutations, stay.

        Raises
        ------
        ValueError, TypeError
            As when a cell is made.
        """
        if self.layout.layers > 1:
            raise ValueError("with_parameters is for cells of one layer; take with_theta or with_free.")
        structure, known = self.kind.structure, dict(self.free_parameters)
        if structure is not None and any(name in given for name in structure.makes):
            for part in structure.behind(given):
                for name in set(part.shapes(self.d)) - set(part.fixed):
                    del known[name]
        other = Cell(self.kind, self.d, self.n_inputs, [{**known, **given}], step=self.step_size)
        return self._with(other.packed, other._free)

    def structured(self, structure: Structure, **free: ArrayLike) -> Cell:
        """The same cell with some of its parameters made from free ones. This works for own cells, too.

        Parameters
        ----------
        structure : Structure
            Of `sensitivity.recurrences.structures.matrices`, or your own; its pullback is compared with
            differences.
        **free
            Free parameters; recovered from the cell's own where none are given.

        Raises
        ------
        ValueError
            If the structure does not fit, its pullback is not the derivative, or the cell's parameters are
            not of that structure.

        Examples
        --------
        >>> import numpy as np
        >>> import leapgrad as lg
        >>> cell = lg.cell("vanilla", 8, 2).structured(lg.Exponential(), A=np.zeros((8, 8)))
        >>> bool(np.allclose(cell.parameters["W"], np.eye(8)))  # exp(0)
        True
        """
        kind = replace(self.kind, structure=structure)
        layers = []
        for own in self.unpack(self.theta):
            left = () if not free else structure.makes
            layers.append({name: v for name, v in own.items() if name not in left} | free)
        other = Cell(kind, self.d, self.n_inputs, layers, step=self.step_size)
        for part in other.unpack_free(other.free):
            check_structure(structure, _of(structure, part, self.d), structure.makes, self.name)
        return self._with(other.packed, other._free, kind)

    def unstructured(self) -> Cell:
        """The same cell without a structure: every entry of theta is a parameter of its own."""
        return self._with(self.packed, None, replace(self.kind, structure=None))

    def log_bound(self, step: ArrayLike, n_steps: int, s0: ArrayLike | None = None) -> Float:
        """ln of the proved bound on the norm of the default block of ∂s_N/∂s_0, shape step.shape.

        Parameters
        ----------
        step : array_like
            Step sizes; cells without one ignore them.
        n_steps : int
            N ≥ 0.
        s0 : array_like, shape (..., D), optional
            Initial states that the bound is to hold for, zero by default. The bounds of LSTM, GRU and LEM
            depend on their largest entries, and hold for every state within these.

        Returns
        -------
        ndarray, shape step.shape
            NaN where none is proved, as for the momentum forms of the LSTM and for stacked layers. It is a
            bound of the product as computed: N (D + 8) D units of round-off are added, which is what N
            products of D × D matrices can gain by rounding, and those that the logarithm itself rounds.
        """
        h, n_steps = as_steps(step), as_count(n_steps, "n_steps")
        if self.kind.bound is None or self.layout.layers > 1:
            return np.full(h.shape, np.nan)
        check_bound(self)
        if n_steps == 0:  # the identity, also where the gain of a step is 0 or infinite
            return np.zeros(h.shape)[()]
        found = np.broadcast_to(bound_of(self, h, n_steps, s0), h.shape)
        slack = n_steps * ((self.dim + 8) * self.dim + 8) * 2.0**-53
        with np.errstate(invalid="ignore"):
            rounded = found + slack + 8.0 * 2.0**-53 * np.abs(found)
        return np.where(np.isinf(found), found, rounded)[()]

    def log_bound_of(self, block: str, step: ArrayLike, n_steps: int, s0: ArrayLike | None = None) -> Float:
        """`log_bound` for a named block of the state; NaN for all but the default block of this cell."""
        if block == self.default_block:
            return self.log_bound(step, n_steps, s0)
        return np.full(as_steps(step).shape, np.nan)

    @property
    def summand(self) -> float:
        """The size of what is summed, and may cancel, in a step's Jacobian besides what W brings.

        A cell whose new state depends on the old one other than through W has such a term, and others none.
        """
        first = self.layout.first + self.layout.second
        kept = any(first <= local < first + self.layout.states for _, local in self.layout.out_pairs)
        return 2.0 if kept else 0.0

    depth = 1
    """How many roundings of the size of a step's Jacobian follow one another in a step."""

    def clock(self, n_steps: int) -> Float:
        """Rows that the pointwise rule reads at each step besides the input: (n_steps, clock rows)."""
        if self.kind.clock is None:
            return np.zeros((n_steps, self.kind.clock_rows))
        told = np.asarray(self.kind.clock(self, n_steps), dtype=np.float64)
        if told.shape != (n_steps, self.kind.clock_rows):
            raise ValueError(
                f"the clock of the kind {self.kind.name!r} gives an array of shape {told.shape} for "
                f"{n_steps} steps; clock_rows asks for ({n_steps}, {self.kind.clock_rows})."
            )
        return told

    @property
    def readout(self) -> str:
        """The block that a network reads out by default: the first block of the last layer."""
        name = self.kind.state[0]
        return f"{name}{self.layout.layers - 1}" if self.layout.layers > 1 else name

    # ---------------------------------------------------------------------------------------- drivers

    @cached_property
    def constant_jacobian(self) -> bool:
        """Whether ∂Φ/∂s is the same everywhere, so that tangents outlive an overflow of the state."""
        linear = self.kind.linear
        return self.kind.clock is None and bool(linear(self) if callable(linear) else linear)

    @property
    def neurons(self) -> int:
        """Rows of the matrix that a step multiplies with."""
        return self.d

    @cached_property
    def factor_bits(self) -> int:
        """By how many powers of two the weights that columns are multiplied by differ from one."""
        found = (part[name] for part in self.unpack(self.theta) for name in ("W", "R") if name in part)
        return max(map(bits_from_one, found), default=0)

    @property
    def cached_rows(self) -> int:
        """Rows of a column that one step reads and writes."""
        return (self.layout.first + self.layout.second) * self.d + self.dim

    @property
    def condensed_rows(self) -> int:
        """Rows of a tape entry that holds the slopes, too; of cells of one layer, else the state alone."""
        pairs = len(self.layout.out_pairs) + len(self.layout.hidden_pairs)
        return (
            self.dim
            + (self.layout.layers * self.layout.substeps == 1) * (pairs + self.layout.hidden) * self.d
        )

    def seconds(self, k: int) -> float:
        """A rough estimate of the time of one step with k columns, for one batch member."""
        return 2.0 * self.packed.size * (k + 1) / 2e10 + 2e-8 * self.dim + 1e-7

    def forward(self, theta: Float, *rest: Any) -> None:
        """`sweep_forward` with this cell's stage: run, block, tape, nodes, and steps [start, stop)."""
        kind = self.kind
        cells_forward.entry(kind.point.pointer, kind.middle.pointer, self.layout, theta, *rest)

    def backward(self, theta: Float, *rest: Any) -> None:
        """`sweep_backward` with this cell's stage: run, tape, columns, exponent, gradient, taps, steps."""
        kind = self.kind
        cells_backward.entry(kind.point.pointer, kind.middle.pointer, self.layout, theta, *rest)

    # ---------------------------------------------------------------------------------------- one step

    def step(self, s: ArrayLike, x: ArrayLike | None = None, index: int = 0) -> Float:
        """Φ(s, x), shapes (D,), (n_inputs,) → (D,); `index` counts steps, where the cell has a clock."""
        return self.linearise(s, x, index)[0]

    def stepped(self, s: ArrayLike, x: ArrayLike | None = None, index: int = 0) -> Float:
        """Φ(s, x) alone, by a rule that need not fill its slopes, such as an inverse."""
        run, state = self._one_step(s, x, index)
        none, count = np.zeros((0, self.dim, 1)), np.zeros(1, np.int64)
        block = Block(state, np.zeros((self.dim, 0, 1)), count, count - 1)
        self.forward(self.packed, run, block, none, none, 0, 1)
        return state[:, 0]

    def linearise(self, s: ArrayLike, x: ArrayLike | None = None, index: int = 0) -> tuple[Float, Float]:
        """Φ(s, x) and the one-step Jacobian ∂Φ/∂s: shapes (D,) and (D, D)."""
        check_kind(self)
        run, state = self._one_step(s, x, index)
        columns, exponent = np.eye(self.dim)[:, :, None].copy(), column_counts(self.dim, 1)
        block, none = Block(state, columns, exponent, np.full(1, -1, np.int64)), np.zeros((0, self.dim, 1))
        self.forward(self.packed, run, block, none, none, 0, 1)
        return state[:, 0], np.ldexp(columns[:, :, 0], exponent)

    def adjoint(
        self, s: ArrayLike, x: ArrayLike | None, cotangent: ArrayLike, index: int = 0
    ) -> tuple[Float, Float, Float]:
        """(∂Φ/∂s)ᵀλ, (∂Φ/∂x)ᵀλ and (∂Φ/∂φ)ᵀλ for λ of shape (D,): shapes (D,), (n_inputs,) and (F,).

        φ are the free parameters, `free`: θ itself for a cell without a structure.
        """
        check_kind(self)
        run, state = self._one_step(s, x, index)
        lam = as_vector(cotangent, "cotangent", self.dim)[:, None, None].copy()
        gradient, by_input = np.zeros(self.packed.size), np.zeros((1, self.n_inputs, 1, 1))
        taps = Taps.none()._replace(inputs=by_input)
        exponent = column_counts(1, 1)
        self.backward(self.packed, run, state[None], lam, exponent, gradient, taps, 0, 1)
        return np.ldexp(lam[:, 0, 0], exponent), by_input[0, :, 0, 0], self.gradient_by_free(gradient)

    def _one_step(self, s: ArrayLike, x: ArrayLike | None, index: int) -> tuple[Run, Float]:
        state = as_vector(s, "s", self.dim)[:, None].copy()
        drive = np.concatenate([as_vector(x, "x", self.n_inputs), self.clock(index + 1)[index]])
        step = np.full(1, self.step_size)
        program = Program.of_map(2)
        # One step in the middle of a longer run: the range of the columns is not looked at.
        return Run(program.form, program.body, program.first, 0.0, 2, 0, step, drive[None, :, None].copy(),
                   np.zeros(1, np.int64), 2, 0, NOTHING), state  # fmt: skip

    def __repr__(self) -> str:
        driven = f", n_inputs={self.n_inputs}" if self.n_inputs else ""
        layers = f", layers={self.layout.layers}" if self.layout.layers > 1 else ""
        return f"Cell({self.name}, d={self.d}{driven}{layers})"


Kind.cell_type = Cell
