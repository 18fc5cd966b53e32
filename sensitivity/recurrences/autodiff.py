"""One step of a recurrence as a function of PyTorch or JAX, with the derivatives that these libraries give.

Every call is for one batch member, so that no result depends on which others share its block; the columns of
a member go together.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Number
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from integrators.naming import shown
from sensitivity.weights.entries import as_numpy

__all__ = ["Arrangement", "Library", "Tree", "library_of", "made"]

Float = NDArray[np.float64]


# ------------------------------------------------------------------------------------------------ trees


@dataclass(frozen=True, eq=False)
class Tree:
    """Nested tuples, lists and mappings of arrays, and the flat vector of all their numbers.

    Attributes
    ----------
    template : object
        The containers, with the number of a leaf in the place of each array; other values as they are.
    shapes : tuple of tuple of int
    names : tuple of str
        The way to each leaf: keys and positions with points between them.
    values : ndarray
        The numbers of all leaves.
    """

    template: Any
    shapes: tuple[tuple[int, ...], ...]
    names: tuple[str, ...]
    values: Float

    @classmethod
    def of(cls, given: Any, argument: str) -> Tree:
        """Take a tree apart.

        Raises
        ------
        TypeError, ValueError
            If a leaf holds no finite real numbers.
        """
        leaves: list[Float] = []
        names: list[str] = []

        def walk(node: Any, path: tuple[str, ...]) -> Any:
            if isinstance(node, Mapping):
                return {key: walk(value, (*path, str(key))) for key, value in node.items()}
            if isinstance(node, (tuple, list)) and not _numbers(node):
                parts = [walk(value, (*path, str(i))) for i, value in enumerate(node)]
                return _like(node, parts)
            if node is None or isinstance(node, (str, bool, int)):
                return node
            leaves.append(as_numpy(node, ".".join((argument, *path))))
            names.append(".".join(path) or argument)
            return _Leaf(len(leaves) - 1)

        template = walk(given, ())
        arrays = [np.asarray(leaf, dtype=np.float64) for leaf in leaves]
        for name, leaf in zip(names, arrays, strict=True):
            if not np.isfinite(leaf).all():
                raise ValueError(f"{argument} has an entry in {name} that is not finite.")
        flat = np.concatenate([np.zeros(0), *(leaf.ravel() for leaf in arrays)])
        return cls(template, tuple(leaf.shape for leaf in arrays), tuple(names), flat)

    @property
    def slices(self) -> dict[str, slice]:
        """Where each leaf lies in the flat vector."""
        found, start = {}, 0
        for name, shape in zip(self.names, self.shapes, strict=True):
            size = int(np.prod(shape))
            found[name] = slice(start, start + size)
            start += size
        return found

    def rebuilt(self, flat: Any) -> Any:
        """The tree of a flat vector of any library."""
        where = list(self.slices.values())
        return _filled(self.template, [flat[w].reshape(s) for w, s in zip(where, self.shapes, strict=True)])

    def leaves_of(self, tree: Any) -> list[Any] | None:
        """The leaves of another tree of the same form; None if it has another."""
        found: list[Any] = []

        def walk(template: Any, node: Any) -> bool:
            if isinstance(template, _Leaf):
                found.append(node)
                return not isinstance(node, (tuple, list, Mapping)) or _numbers(node)
            if isinstance(template, Mapping):
                same = isinstance(node, Mapping) and list(node) == list(template)
                return same and all(walk(template[key], node[key]) for key in template)
            if isinstance(template, (tuple, list)):
                same = isinstance(node, (tuple, list)) and len(node) == len(template)
                return same and all(map(walk, template, node))
            return True

        return found if walk(self.template, tree) else None


@dataclass(frozen=True)
class _Leaf:
    number: int


def _numbers(node: Any) -> bool:
    """Whether a list holds plain numbers, so that it is an array."""
    return len(node) > 0 and all(isinstance(value, Number) and not isinstance(value, bool) for value in node)


def _like(node: Any, parts: list[Any]) -> Any:
    """A container as `node` is; named tuples take their entries one by one."""
    return type(node)(*parts) if hasattr(node, "_fields") else type(node)(parts)


def _filled(template: Any, leaves: Sequence[Any]) -> Any:
    if isinstance(template, _Leaf):
        return leaves[template.number]
    if isinstance(template, Mapping):
        return {key: _filled(value, leaves) for key, value in template.items()}
    if isinstance(template, (tuple, list)):
        return _like(template, [_filled(value, leaves) for value in template])
    return template


# ------------------------------------------------------------------------------------------- arguments

_ROLES = {
    "params": {"params", "parameters", "p", "theta", "weights", "variables"},
    "state": {"s", "h", "state", "carry", "hidden", "hx", "y", "z", "prev", "h_prev", "s_prev"},
    "input": {"x", "u", "input", "inputs", "inp", "x_t", "xt"},
}


class Arrangement(tuple):
    """In which order a step takes "state", "input" and "params"; it may leave out the last two."""

    @classmethod
    def of(cls, step: Any, has_params: bool) -> Arrangement:
        """From the names of the arguments, or else from their number: (s), (s, x), (s, x, params).

        Raises
        ------
        TypeError
            If the step takes no such arguments.
        """
        function = step.forward if hasattr(step, "forward") else step
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            parameters = []
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        listed = [p for p in parameters if p.kind in kinds]
        by_name = [next((r for r, known in _ROLES.items() if p.name.lower() in known), None) for p in listed]
        needed = sum(p.default is inspect.Parameter.empty for p in listed)
        roles = [role for role, p in zip(by_name, listed, strict=True)
                 if role is not None or p.default is inspect.Parameter.empty]  # fmt: skip
        if "state" in roles and None not in roles and len(set(roles)) == len(roles):
            if has_params or "params" not in roles:
                return cls(roles)
        usual = {1: ("state",), 2: ("state", "params") if has_params else ("state", "input"),
                 3: ("state", "input", "params")}  # fmt: skip
        count = needed or len(listed)
        if count not in usual or (count == 3 and not has_params):
            none = "" if has_params else " and no params"
            raise TypeError(
                "step must take (s), (s, x), (s, params) or (s, x, params), the state, the input and the "
                f"parameters; got {shown(step)} with {count} arguments{none}."
            )
        return cls(usual[count])

    def call(self, step: Any, state: Any, x: Any, params: Any) -> Any:
        given = {"state": state, "input": x, "params": params}
        return step(*(given[role] for role in self))


# ------------------------------------------------------------------------------------------- libraries


class Library(Protocol):
    """The step of one batch member, and its derivatives; all arrays are NumPy's."""

    def value(self, theta: Float, s: Float, x: Float) -> Float:
        """s', shape (D,)."""
        ...

    def push(self, theta: Float, s: Float, x: Float, columns: Float) -> tuple[Float, Float]:
        """s' and ∂s'/∂s V for V of shape (D, k)."""
        ...

    def pull(
        self, theta: Float, s: Float, x: Float, columns: Float, by_theta: bool
    ) -> tuple[Float, Float, Float]:
        """(∂s'/∂s)ᵀ Λ, (∂s'/∂x)ᵀ Λ and, if asked for, the sum over the columns of (∂s'/∂θ)ᵀ Λ."""
        ...


Flat = Callable[[Any, Any, Any], Any]
"""Of flat vectors θ, s and x of a library the flat vector s'."""


def library_of(*values: Any) -> str | None:
    """ "torch" or "jax", by what the values, or the leaves of trees, are; None where nothing tells."""
    for value in values:
        if isinstance(value, Mapping):
            found = library_of(*value.values())
        elif isinstance(value, (tuple, list)):
            found = library_of(*value)
        else:
            origins = {part.__module__.partition(".")[0] for part in type(value).__mro__}
            found = "torch" if "torch" in origins else "jax" if origins & {"jax", "jaxlib"} else None
        if found:
            return found
    return None


def made(library: str, flat: Callable[[Any], Flat]) -> Library:
    """The step by one of the libraries; `flat` makes it of a module with the name ``concatenate``."""
    return _ByTorch(flat) if library == "torch" else _ByJax(flat)


# Forward derivatives of PyTorch are levels of one stack for the whole process.
_ONE_AT_A_TIME = threading.RLock()


class _ByTorch:
    """By PyTorch's `torch.func`."""

    def __init__(self, flat: Callable[[Any], Flat]) -> None:
        self._torch = importlib.import_module("torch")
        self._flat = flat(lambda parts: self._torch.cat([part.reshape(-1) for part in parts]))

    def _tensors(self, *arrays: Float) -> list[Any]:
        return [self._torch.from_numpy(np.array(a, dtype=np.float64)) for a in arrays]

    def value(self, theta: Float, s: Float, x: Float) -> Float:
        with _ONE_AT_A_TIME, self._torch.no_grad(), _quiet():
            return _plain(self._flat(*self._tensors(theta, s, x)))

    def push(self, theta: Float, s: Float, x: Float, columns: Float) -> tuple[Float, Float]:
        value = self.value(theta, s, x)  # the same bits with columns and without
        t, at, drive, rows = self._tensors(theta, s, x, columns.T)
        func = self._torch.func

        def along(v: Any) -> Any:
            return func.jvp(lambda z: self._flat(t, z, drive), (at,), (v,))[1]

        with _ONE_AT_A_TIME, _quiet():
            try:
                found = self._over(along, rows)
            except (RuntimeError, NotImplementedError):  # an operation without a forward derivative
                unit = np.eye(value.size)
                return value, self.pull(theta, s, x, unit, False)[0].T @ columns
        return value, _plain(found).T

    def pull(
        self, theta: Float, s: Float, x: Float, columns: Float, by_theta: bool
    ) -> tuple[Float, Float, Float]:
        t, at, drive, rows = self._tensors(theta, s, x, columns.T)
        func = self._torch.func
        with _ONE_AT_A_TIME, _quiet():
            if by_theta:
                _, back = func.vjp(self._flat, t, at, drive)
                by_t, by_s, by_x = self._over(back, rows)
                return _plain(by_s).T, _plain(by_x).T, _plain(by_t.sum(0))
            _, back = func.vjp(lambda z, u: self._flat(t, z, u), at, drive)
            by_s, by_x = self._over(back, rows)
        return _plain(by_s).T, _plain(by_x).T, np.zeros(0)

    def _over(self, function: Callable[[Any], Any], rows: Any) -> Any:
        """A function of every row; one by one where PyTorch cannot take them together."""
        try:
            return self._torch.func.vmap(function)(rows)
        except (RuntimeError, NotImplementedError):
            found = [function(row) for row in rows]
            if isinstance(found[0], tuple):
                return tuple(self._torch.stack(parts) for parts in zip(*found, strict=True))
            return self._torch.stack(found)


class _ByJax:
    """By JAX, in float64 whatever its setting is, compiled once for each number of columns."""

    def __init__(self, flat: Callable[[Any], Flat]) -> None:
        self._jax = jax = importlib.import_module("jax")
        step = flat(lambda parts: jax.numpy.concatenate([part.reshape(-1) for part in parts]))

        def push(t: Any, s: Any, x: Any, rows: Any) -> Any:
            _, linear = jax.linearize(lambda z: step(t, z, x), s)
            return jax.vmap(linear)(rows)

        def pull(t: Any, s: Any, x: Any, rows: Any) -> Any:
            return jax.vmap(jax.vjp(lambda z, u: step(t, z, u), s, x)[1])(rows)

        def gradient(t: Any, s: Any, x: Any, rows: Any) -> Any:
            by_t, by_s, by_x = jax.vmap(jax.vjp(step, t, s, x)[1])(rows)
            return by_s, by_x, by_t.sum(0)

        self._value, self._push, self._pull, self._gradient = map(jax.jit, (step, push, pull, gradient))

    @contextlib.contextmanager
    def _double(self) -> Iterator[None]:
        jax = self._jax
        switch = getattr(jax, "enable_x64", None)
        if switch is None:
            switch = importlib.import_module("jax.experimental").enable_x64
        with switch(True):
            yield

    def value(self, theta: Float, s: Float, x: Float) -> Float:
        with self._double():
            return _plain(self._value(theta, s, x))

    def push(self, theta: Float, s: Float, x: Float, columns: Float) -> tuple[Float, Float]:
        with self._double():
            return _plain(self._value(theta, s, x)), _plain(self._push(theta, s, x, columns.T)).T

    def pull(
        self, theta: Float, s: Float, x: Float, columns: Float, by_theta: bool
    ) -> tuple[Float, Float, Float]:
        with self._double():
            if by_theta:
                by_s, by_x, by_t = self._gradient(theta, s, x, columns.T)
                return _plain(by_s).T, _plain(by_x).T, _plain(by_t)
            by_s, by_x = self._pull(theta, s, x, columns.T)
            return _plain(by_s).T, _plain(by_x).T, np.zeros(0)


def _plain(value: Any) -> Float:
    detached = value.detach().cpu().numpy() if hasattr(value, "detach") else value
    return np.array(detached, dtype=np.float64)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """PyTorch warns that an operation has no fast batched form, which here is no fault of the caller."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*batching rule.*")
        yield
