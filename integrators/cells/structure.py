"""Structured parameters of a cell: matrices that are functions of free parameters, and gradients by those.

An orthogonal cell is not trained by the entries of W but by those of an antisymmetric A with W = exp(A). A
`Structure` says so beside a kind of cell: which parameters of the compiled code it *makes*, from which
*free* ones (`assemble`), and how a gradient by the made ones becomes one by the free ones (`pullback`, the
transposed derivative of `assemble`). What compiled code reads, `Cell.theta`, stays what it is.

A structure of your own, a positive parameter r = exp(ρ) of the cell `logistic`:

>>> class Positive(Structure):
...     makes = ("r",)
...     def shapes(self, d):
...         return {"rho": (d,)}
...     def assemble(self, free):
...         return {"r": np.exp(free["rho"])}
...     def pullback(self, free, gradient):
...         return {"rho": gradient["r"] * np.exp(free["rho"])}
>>> positive = logistic.structured(Positive(), rho=[1.36])
>>> positive.free_parameters["rho"], positive.with_free(positive.free - 0.1)
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.engine.blocks import one_blas_thread
from integrators.validation import as_array

__all__ = ["Joint", "Structure", "check_structure", "completed"]

Float = NDArray[np.float64]
Arrays = Mapping[str, Float]

TOLERANCE = 1e-12
"""What a given matrix may be off the one that its free parameters make, in units of its largest entry."""

CHECKED = 1e-6
"""What a pullback may be off differences of `assemble`, which are good to about 1e-10."""


class Structure(ABC):
    """Base class of rules that make some parameters of a cell from free parameters.

    A subclass defines `makes`, `shapes`, `assemble` and `pullback`; see `Cell.structured`.

    Attributes
    ----------
    makes : tuple of str
        Names of the parameters that it makes, of those in `Kind.shapes`.
    fixed : tuple of str
        Free parameters that are never trained, such as a permutation. Their gradient is zero.

    Examples
    --------
    >>> import numpy as np
    >>> import leapgrad as lg
    >>> class Squared(lg.Structure):
    ...     makes = ("b",)
    ...     def shapes(self, d):
    ...         return {"root": (d,)}
    ...     def assemble(self, free):
    ...         return {"b": free["root"] ** 2}
    ...     def pullback(self, free, gradient):
    ...         return {"root": 2 * free["root"] * gradient["b"]}
    ...
    >>> cell = lg.cell("vanilla", 2).structured(Squared(), root=[0.5, 2.0])
    >>> cell.parameters["b"]
    array([0.25, 4.  ])
    >>> cell.free_parameters["root"]
    array([0.5, 2. ])
    """

    makes: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()

    @abstractmethod
    def shapes(self, d: int) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the free parameters for d neurons, in their order in `Cell.free`."""

    @abstractmethod
    def assemble(self, free: Arrays) -> dict[str, Float]:
        """The parameters that it makes, from the free ones by name."""

    @abstractmethod
    def pullback(self, free: Arrays, gradient: Arrays) -> dict[str, Float]:
        """∂C/∂(free), by name, from ∂C/∂(made) at these free parameters; the fixed ones may be left out."""

    def behind(self, names: Iterable[str]) -> list[Structure]:
        """The parts of this structure that make some of these parameters: itself, or none."""
        return [self] if set(names) & set(self.makes) else []

    def sized(self, d: int, n_inputs: int) -> Structure:
        """The structure of a cell of this size; itself, unless what it makes depends on the inputs."""
        return self

    def start(self, d: int) -> dict[str, Float]:
        """Values of the free parameters where none are given; zero by default."""
        return {name: np.zeros(shape) for name, shape in self.shapes(d).items()}

    def read(self, name: str, value: Any, d: int) -> Float:
        """A value that a user gives for a free parameter, checked, in its own shape.

        Raises
        ------
        ValueError, TypeError
            For another shape, and for values without the structure.
        """
        shape = self.shapes(d)[name]
        array = as_array(value, name, tuple(range(33)))
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}; {type(self).__name__} asks for {shape}.")
        return array

    def recover(self, made: Arrays, given: Arrays) -> dict[str, Float]:
        """Free parameters that make `made`; `given` holds those that are known, the fixed ones among them.

        Raises
        ------
        ValueError
            If there are none, or they cannot be told.
        """
        names = ", ".join(self.makes)
        asked = ", ".join(name for name in self.shapes(_neurons(made)) if name not in self.fixed)
        raise ValueError(f"{names} alone does not tell the free parameters; give {asked} instead.")

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        mine, theirs = vars(self), vars(other)
        return mine.keys() == theirs.keys() and all(np.array_equal(mine[k], theirs[k]) for k in mine)

    def __hash__(self) -> int:
        return hash(type(self))


def _neurons(made: Arrays) -> int:
    return max((value.shape[0] for value in made.values() if value.ndim), default=1)


class Joint(Structure):
    """Several structures of one cell as one, each with its own parameters.

    Parameters
    ----------
    *parts : Structure
        No two of them may make the same parameter, or have free parameters of the same name.

    Examples
    --------
    >>> import numpy as np
    >>> import leapgrad as lg
    >>> both = lg.Joint(lg.Exponential(), lg.Positive("b"))
    >>> both.makes, both.shapes(3)
    (('W', 'b'), {'A': (3,), 'log_b': (3,)})
    >>> cell = lg.cell("vanilla", 3).structured(both, A=np.zeros(3), log_b=np.zeros(3))
    >>> cell.parameters["W"], cell.parameters["b"]
    (array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]]), array([1., 1., 1.]))
    """

    def __init__(self, *parts: Structure) -> None:
        self.parts = parts
        self.makes = tuple(name for part in parts for name in part.makes)
        self.fixed = tuple(name for part in parts for name in part.fixed)
        names = [*self.makes, *(name for part in parts for name in part.shapes(2))]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two parts of a Joint have {twice!r}; each needs names of its own.")

    def shapes(self, d: int) -> dict[str, tuple[int, ...]]:
        return {name: shape for part in self.parts for name, shape in part.shapes(d).items()}

    def behind(self, names: Iterable[str]) -> list[Structure]:
        asked = set(names)
        return [found for part in self.parts for found in part.behind(asked)]

    def sized(self, d: int, n_inputs: int) -> Structure:
        return Joint(*(part.sized(d, n_inputs) for part in self.parts))

    def start(self, d: int) -> dict[str, Float]:
        return {name: value for part in self.parts for name, value in part.start(d).items()}

    def read(self, name: str, value: Any, d: int) -> Float:
        return next(part for part in self.parts if name in part.shapes(d)).read(name, value, d)

    def assemble(self, free: Arrays) -> dict[str, Float]:
        return {name: value for part in self.parts for name, value in part.assemble(free).items()}

    def pullback(self, free: Arrays, gradient: Arrays) -> dict[str, Float]:
        return {name: value for part in self.parts for name, value in part.pullback(free, gradient).items()}

    def recover(self, made: Arrays, given: Arrays) -> dict[str, Float]:
        parts = self.behind(made)
        return {name: value for part in parts for name, value in part.recover(made, given).items()}


def completed(
    structure: Structure, d: int, given: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], name: str
) -> tuple[dict[str, Float], dict[str, Float]]:
    """The free parameters and what they make, from what a user gives of either.

    Parameters
    ----------
    structure : Structure
    d : int
    given : mapping
        Free parameters, or the made ones where the free ones can be recovered from them.
    shapes : mapping
        Of the made ones.
    name : str
        Of the cell, for messages.

    Raises
    ------
    ValueError, TypeError
        In one sentence, if a value is not of the structure, or two values contradict one another.
    """
    free_shapes = structure.shapes(d)
    stated = {key: structure.read(key, given[key], d) for key in free_shapes if key in given}
    wanted = {}
    for key in structure.makes:
        if key in given:
            wanted[key] = as_array(given[key], key, len(shapes[key]))
            if wanted[key].shape != shapes[key]:
                raise ValueError(f"{key} has shape {wanted[key].shape}; {name} asks for {shapes[key]}.")
    free = structure.start(d)
    fixed = {key: free[key] for key in structure.fixed}
    free |= stated
    behind = structure.behind(wanted)
    untold = [
        key for part in behind for key in part.shapes(d) if key not in structure.fixed and key not in stated
    ]
    if untold:
        missing = [key for part in behind for key in part.makes if key not in wanted]
        if missing:
            raise ValueError(f"{name} needs {missing[0]} beside {next(iter(wanted))}, or {untold[0]}.")
        try:
            with one_blas_thread():
                free |= {
                    key: value
                    for key, value in structure.recover(wanted, fixed | stated).items()
                    if key not in stated
                }
        except ValueError as error:
            said = _misfit(structure, d, shapes) or str(error)
            raise ValueError(f"{name}: {said}") from None
        if any(key in free and np.shape(free[key]) != free_shapes[key] for key in untold):
            said = _misfit(structure, d, shapes) or "the structure recovers parameters of other shapes."
            raise ValueError(f"{name}: {said}")
    made = assembled(structure, free, shapes, name)
    for key, value in wanted.items():
        off = float(np.abs(made[key] - value).max(initial=0.0))
        if off > TOLERANCE * max(1.0, float(np.abs(value).max(initial=0.0))) * max(1.0, d**0.5):
            known = ", ".join(stated) or ", ".join(free_shapes)
            raise ValueError(
                f"{name}: {key} is {off:.2g} off what {known} make of it; leave {key} out, or correct one."
            )
    return free, made


def _misfit(structure: Structure, d: int, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """That a structure makes an array of another shape than the cell asks for; "" where it does not."""
    free = {key: np.zeros(shape) for key, shape in structure.shapes(d).items()} | structure.start(d)
    try:
        with np.errstate(all="ignore"):
            made = structure.assemble(free)
    except (ValueError, ArithmeticError, np.linalg.LinAlgError):  # there is none of zeros
        return ""
    for key in structure.makes:
        found = np.shape(made.get(key, ()))
        if math.prod(found) != math.prod(shapes[key]):
            return (
                f"{type(structure).__name__} makes {key} of shape {found} and the cell asks for "
                f"{shapes[key]}; take a structure for such a shape."
            )
    return ""


def assembled(
    structure: Structure, free: Arrays, shapes: Mapping[str, tuple[int, ...]], name: str
) -> dict[str, Float]:
    """`assemble`, its result checked: names, shapes, finite entries."""
    with one_blas_thread():  # the bits of a product may depend on the number of BLAS threads
        made = structure.assemble(free)
    for key in structure.makes:
        if key not in made or np.size(made[key]) != int(np.prod(shapes[key])):
            found = np.shape(made[key]) if key in made else "nothing"
            raise ValueError(f"{name}: assemble makes {found} of {key}; the cell asks for {shapes[key]}.")
        made[key] = np.asarray(made[key], np.float64).reshape(shapes[key])
        if not np.isfinite(made[key]).all():
            raise ValueError(f"{name}: {', '.join(structure.shapes(_neurons(made)))} make a {key} that is "
                             "not finite; take smaller ones.")  # fmt: skip
    return {key: made[key] for key in structure.makes}


def pulled(structure: Structure, free: Arrays, gradient: Arrays) -> dict[str, Float]:
    """`pullback`, with zeros for what it leaves out and for what is fixed."""
    with one_blas_thread():
        found = structure.pullback(free, gradient)
    return {
        name: np.zeros(value.shape)
        if name in structure.fixed or name not in found
        else np.asarray(found[name], np.float64).reshape(value.shape)
        for name, value in free.items()
    }


def check_structure(structure: Structure, free: Arrays, made: Sequence[str], name: str) -> None:
    """Raise ValueError unless `pullback` is the transposed derivative of `assemble`, along random directions.

    Compared are Richardson-extrapolated differences, one direction for each free parameter.
    """
    rng = np.random.default_rng(2019)
    here = structure.assemble(free)
    weights = {key: rng.normal(size=np.shape(here[key])) for key in made}
    found = pulled(structure, free, weights)
    for key, value in free.items():
        if key in structure.fixed or value.size == 0:
            continue
        direction = rng.normal(size=value.shape)

        def along(h: float, key: str = key, value: Float = value, direction: Float = direction) -> float:
            values = [structure.assemble({**free, key: value + sign * h * direction}) for sign in (1.0, -1.0)]
            return sum(float(np.sum(weights[k] * (values[0][k] - values[1][k]))) for k in made) / (2.0 * h)

        h = 1e-3 / max(1.0, float(np.abs(direction).max()))
        expected = (4.0 * along(h / 2.0) - along(h)) / 3.0
        slope = float(np.sum(found[key] * direction))
        if not abs(slope - expected) <= CHECKED * max(1.0, abs(expected)):
            raise ValueError(
                f"{name}: the pullback of {type(structure).__name__} gives {slope:.6g} along a direction of "
                f"{key} where assemble gives {expected:.6g}; correct one of the two."
            )
