"""Kinds of recurrent cells: the table of names, dependences and kernels that a new cell brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.codegen.compiled import Kernel
from integrators.values import ByValue

from .kind_fields import check_fields
from .layout import Plan, no_middle
from .structure import Structure

if TYPE_CHECKING:
    from .cell import Cell

__all__ = ["Kind"]

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Kind(ByValue):
    """A family of cells: its rows, what depends on what, and its pointwise kernel.

    Attributes
    ----------
    name : str
    state : tuple of str
        Names of the blocks s_b, d numbers each; W multiplies the first `source` of them.
    rows : tuple of str
        Names of the first-stage pre-activations; the first `recurrent` of them have a product with W.
    point : Kernel
        Compiled with the signature `POINT`.
    depends : mapping
        State block → names, separated by blanks, of the locals (rows, second rows, state blocks, vectors)
        that it depends on after the step. At the first use of a kind its rules are compared with this table
        and with differences of their values; see `integrators.cells.kind_check`.
    second, hidden, middle :
        Two-stage cells: names of the second-stage rows; hidden blocks u with the locals that they depend on;
        and the kernel, of the same signature, that fills u.
    tied : bool
        R is Wᵀ.
    inputs, biases : tuple of int, optional
        The rows [from, to), of both stages together, that V and b fill; all by default. (0, 0) means none.
    vectors : tuple of str
        Names of the parameter vectors of length d.
    constants : mapping
        Names and defaults of numbers that the pointwise kernel takes.
    step : float, optional
        Default of the step size, where the cell has one; lanes may have their own.
    clock : callable, optional
        ``clock(cell, n_steps)`` → (n_steps, n): numbers that change from step to step, rows after the step
        size in v.
    block : str
        The block that Jacobians show by default ("state": the whole state).
    reference : str
        Where the cell comes from.
    bound : callable, optional
        ``bound(cell, h, n_steps)`` → ln of a proved bound on the norm of the default block of ∂s_N/∂s_0, for
        step sizes h of shape (lanes,) and every state and input; where one is known.
    fixed : tuple of str
        Parameters that are not trained.
    inverse : callable, optional
        Cell → the cell of one stage whose step undoes its step for the same input; see
        `integrators.run.rewind`.
    structure : Structure, optional
        How some of the parameters are made from free ones, by which gradients are then taken; see
        `integrators.cells.structure`.

    Raises
    ------
    TypeError, ValueError
        If an attribute is of another type, or counts more than there is, naming it.
    """

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
    step: float | None = None
    clock: Callable[[Cell, int], Float] | None = None
    clock_rows: int = 0
    block: str = "state"
    reference: str = ""
    bound: Callable[[Cell, Float, int], Float] | None = None
    fixed: tuple[str, ...] = ()
    inverse: Callable[[Cell], Cell] | None = None
    structure: Structure | None = None

    def __post_init__(self) -> None:
        check_fields(self)

    @cached_property
    def locals(self) -> tuple[str, ...]:
        """Names of the locals, in the order of the rows of v."""
        return (*self.rows, *self.second, *self.state, *self.vectors)

    def plan(self, layers: int = 1) -> Plan:
        """What the compiled code is told."""
        rows = (0, len(self.rows) + len(self.second))
        return Plan(
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
            len(self.constants or {}),
            self.clock_rows,
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
        plan = self.plan()
        shapes: dict[str, tuple[int, ...]] = {
            "W": (plan.recurrent * d, plan.source * d),
            "V": ((plan.input_to - plan.input_from) * d, n_inputs),
            "b": ((plan.bias_to - plan.bias_from) * d,),
            "R": (0 if plan.tied else plan.second * d, plan.hidden * d),
        }
        shapes = {name: shape for name, shape in shapes.items() if 0 not in shape}
        shapes |= {name: (d,) for name in self.vectors}
        return shapes | {name: () for name in self.constants or {}}

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
        unknown = next((name for name in self.structure.makes if name not in shapes), None)
        if unknown is not None:
            raise ValueError(
                f"{type(self.structure).__name__} makes {unknown!r}, which {self.name} does not have; it has "
                f"{', '.join(shapes)}."
            )
        own = self.structure.shapes(d)
        rest = {name: shape for name, shape in shapes.items() if name not in self.structure.makes}
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
        from .cell import Cell

        return Cell(self, d, n_inputs, [parameters], step=step)

    def layers(
        self,
        d: int,
        n_inputs: int,
        parameters: Sequence[Mapping[str, ArrayLike]],
        *,
        step: ArrayLike | None = None,
    ) -> Cell:
        """Layers of d neurons each; those above the first take the first state block below as their input."""
        from .cell import Cell

        return Cell(self, d, n_inputs, parameters, step=step)

    def __repr__(self) -> str:
        return f"Kind({self.name}: {', '.join(self.state)})"
