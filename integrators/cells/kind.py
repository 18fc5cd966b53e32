"""Kinds of recurrent cells: the table of names, dependences and kernels that a new cell brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from inspect import signature
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.codegen.compiled import Kernel
from integrators.values import ByValue

from .kind_fields import check_fields
from .layout import Layout, no_middle
from .structure import Structure

if TYPE_CHECKING:
    from .cell import Cell

__all__ = ["Kind"]

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Kind(ByValue):
    """A family of recurrent cells: its names, which value depends on which, and its pointwise rule.

    Nearly every recurrent cell is a product with W, a product with V, a bias, and a rule that acts on each
    neuron by itself. The kind brings the rule and a table of what it depends on; products, tangents,
    cotangents, gradients, layers and batches are common to all cells. Calling a kind with d and parameters
    makes a `Cell`.

    Attributes
    ----------
    name : str
    state : tuple of str
        Names of the state blocks s_b, of d numbers each.
    rows : tuple of str
        Names of the pre-activations of the first stage.
    point : kernel
        The pointwise rule, compiled with the signature `POINT`.
    depends : mapping
        State block → names, separated by blanks, of what its new value depends on: pre-activations, state
        blocks and vectors. The table is compared with the rule when the kind is first used.
    recurrent : int
        The first so many rows have a product with W.
    source : int
        W multiplies the first so many state blocks.
    second, hidden, middle :
        For cells of two stages: names of the pre-activations of the second stage; the hidden blocks u between
        the stages, with what they depend on; and the kernel that computes u, with the signature `POINT`. The
        second stage is R u.
    tied : bool
        Whether R is Wᵀ.
    inputs, biases : tuple of int, optional
        The rows [from, to), of both stages together, that V and b fill; all by default, none for (0, 0).
    vectors : tuple of str
        Names of the parameter vectors of length d.
    constants : mapping
        Names and defaults of numbers that the rule reads and that are not trained.
    substeps : int
        How many maps of this rule a step applies in turn to one state, each with parameters of its own: W,
        V, b, … for the first, W_2, V_2, b_2, … for the second. Numbers in `constants` are then listed with
        these endings as well.
    step : float, optional
        The default step size of cells that have one.
    clock : callable, optional
        ``clock(cell, n_steps)`` → (n_steps, clock_rows): numbers that change from step to step. The rule
        finds them below the step size in v.
    clock_rows : int
        How many numbers the clock gives for each step.
    groups : mapping, optional
        Names for several neighbouring state blocks together, such as the columns of a matrix.
    block : str
        The block, or group of blocks, that Jacobians show by default; "state" for the whole state.
    reference : str
        Where the cell was published.
    bound : callable, optional
        ``bound(cell, h, n_steps)`` → the logarithm of a proved bound on the norm of the default block of
        ∂s_N/∂s_0 for step sizes h, which holds for every state and input. With a fourth argument, ``start``,
        it is told the largest entry of every block of the initial state in absolute value, by name, and holds
        for all initial states within that.
    linear : bool or callable
        Whether the new state is a linear function of pre-activations and state, with coefficients of the
        parameters alone; or a function of the cell that says so, where constants decide, such as the
        activation. Without a clock the Jacobian is then the same at every step. The rule is checked for it.
    fixed : tuple of str
        Parameters that are not trained.
    inverse : callable, optional
        Cell → the cell whose step undoes its step for the same input; it allows reversed backward sweeps.
    structure : Structure, optional
        How some of the parameters are made from free ones.

    Raises
    ------
    TypeError, ValueError
        If an attribute has a wrong type or does not fit the others; the message names it.

    Examples
    --------
    >>> from integrators import POINT, TANH, Kind, activate, kernel
    >>> @kernel(POINT)
    ... def point(constants, v, out, slopes):
    ...     activate(TANH, v[0], out[0], slopes[0, 0])
    ...
    >>> elman = Kind(name="elman", state=("h",), rows=("a",), point=point, depends={"h": "a"}, recurrent=1)
    >>> cell = elman(2, 1, W=[[0.5, -0.25], [1.0, 0.125]], V=[[1.0], [0.0]], b=[0.0, 0.1])
    >>> cell.step([0.1, -0.2], [1.0]).round(6)
    array([0.800499, 0.173235])
    """

    cell_type: ClassVar[type[Cell]]  # given by its own file, which needs this one
    name: str
    state: tuple[str, ...]
    rows: tuple[str, ...]
    point: Kernel
    depends: Mapping[str, str]
    recurrent: int
    source: int = 1
    second: tuple[str, ...] = ()
    hidden: Mapping[str, str] | None = None
    middle: Kernel = no_middle
    tied: bool = False
    inputs: tuple[int, int] | None = None
    biases: tuple[int, int] | None = None
    vectors: tuple[str, ...] = ()
    constants: Mapping[str, float] | None = None
    substeps: int = 1
    step: float | None = None
    clock: Callable[[Cell, int], Float] | None = None
    clock_rows: int = 0
    groups: Mapping[str, tuple[str, ...]] | None = None
    block: str = "state"
    reference: str = ""
    bound: Callable[..., Float] | None = None
    linear: bool | Callable[[Cell], bool] = False
    fixed: tuple[str, ...] = ()
    inverse: Callable[[Cell], Cell] | None = None
    structure: Structure | None = None

    def __post_init__(self) -> None:
        check_fields(self)

    @cached_property
    def locals(self) -> tuple[str, ...]:
        """Names of the locals, in the order of the rows of v."""
        return (*self.rows, *self.second, *self.state, *self.vectors)

    @cached_property
    def bound_needs_start(self) -> bool:
        """Whether the bound depends on the size of the initial state."""
        return self.bound is not None and "start" in signature(self.bound).parameters

    def layout(self, layers: int = 1) -> Layout:
        """The layout of such a cell with some number of layers, for compiled code."""
        rows = (0, len(self.rows) + len(self.second))
        return Layout(
            layers,
            len(self.state),
            self.source,
            len(self.rows),
            len(self.second),
            self.recurrent,
            self.tied,
            *(self.inputs or rows),
            *(self.biases or rows),
            len(self.hidden or {}),
            len(self.vectors),
            len(self.constants or {}) // self.substeps,
            self.clock_rows,
            self.substeps,
            self._pairs(self.state, self.depends),
            self._pairs(tuple(self.hidden or {}), self.hidden or {}),
        )

    def _pairs(self, names: tuple[str, ...], depends: Mapping[str, str]) -> NDArray[np.int64]:
        twice = sorted({name for name in self.locals if self.locals.count(name) > 1})
        if twice:
            raise ValueError(f"{self.name}: two locals (rows, state, vectors) are called {twice[0]!r}.")
        strange = sorted(set(depends) - set(names))
        if strange:
            raise ValueError(f"{self.name}: depends[{strange[0]!r}] is no block; they are {names}.")
        for name in names:
            listed = depends.get(name, "").split()
            unknown = set(listed) - set(self.locals)
            if name not in depends or unknown or len(set(listed)) < len(listed):
                raise ValueError(
                    f"{self.name}: depends[{name!r}] must list some of {', '.join(self.locals)}, each once; "
                    f"got {depends.get(name)!r}."
                )
        pairs = [(b, self.locals.index(v)) for b, name in enumerate(names) for v in depends[name].split()]
        return np.array(pairs, dtype=np.int64).reshape(-1, 2)

    def shapes(self, d: int, n_inputs: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameters of one layer, in their order in theta; empty ones left out."""
        layout = self.layout()
        shapes: dict[str, tuple[int, ...]] = {
            "W": (layout.recurrent * d, layout.source * d),
            "V": ((layout.input_to - layout.input_from) * d, n_inputs),
            "b": ((layout.bias_to - layout.bias_from) * d,),
            "R": (0 if layout.tied else layout.second * d, layout.hidden * d),
        }
        shapes = {name: shape for name, shape in shapes.items() if 0 not in shape}
        shapes |= {name: (d,) for name in self.vectors}
        if self.substeps == 1:
            return shapes | {name: () for name in self.constants or {}}
        own = list(self.constants or {})
        found: dict[str, tuple[int, ...]] = {}
        for number in range(self.substeps):
            end, each = f"_{number + 1}" if number else "", len(own) // self.substeps
            found |= {name + end: shape for name, shape in shapes.items()}
            found |= {name: () for name in own[number * each : (number + 1) * each]}
        return found

    def free_shapes(self, d: int, n_inputs: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the free parameters of one layer, in their order in `Cell.free`.

        Those of the structure, then the parameters that it does not make, as `shapes` has them.

        Raises
        ------
        ValueError
            If the structure does not fit the kind.
        """
        shapes = self.shapes(d, n_inputs)
        if self.structure is None:
            return shapes
        structure = self.structure.sized(d, n_inputs)
        unknown = next((name for name in structure.makes if name not in shapes), None)
        if unknown is not None:
            raise ValueError(
                f"{type(structure).__name__} makes {unknown!r}, which {self.name} does not have; it has "
                f"{', '.join(shapes)}."
            )
        own = structure.shapes(d)
        rest = {name: shape for name, shape in shapes.items() if name not in structure.makes}
        twice = next((name for name in own if name in rest), None)
        if twice is not None:
            raise ValueError(
                f"{self.name} has a parameter {twice!r} beside that of its structure; rename one."
            )
        return own | rest

    def __call__(
        self, d: int, n_inputs: int = 0, *, step: ArrayLike | None = None, **parameters: ArrayLike
    ) -> Cell:
        """The cell with d neurons and the given parameters; others are zero, constants their default."""
        return self.cell_type(self, d, n_inputs, [parameters], step=step)

    def layers(
        self,
        d: int,
        n_inputs: int,
        parameters: Sequence[Mapping[str, ArrayLike]],
        *,
        step: ArrayLike | None = None,
    ) -> Cell:
        """Layers of d neurons each; those above the first take the first state block below as their input."""
        return self.cell_type(self, d, n_inputs, parameters, step=step)

    def __repr__(self) -> str:
        return f"Kind({self.name}: {', '.join(self.state)})"
