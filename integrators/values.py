"""Objects that are what their attributes are: compared by value, pickled, and copied independently."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from types import FunctionType, MappingProxyType
from typing import Any, ClassVar

import numpy as np

__all__ = ["ByValue", "equal", "fingerprint", "portable"]


class ByValue:
    """Mixin: ``==`` and ``hash`` by attributes, arrays entry by entry (NaN equals NaN), and pickling.

    Functions that can be imported are pickled by reference; others (lambdas, functions of functions and of
    ``__main__``) with their code. Arrays that are read-only stay so. Results of cached properties are neither
    compared nor pickled. The hash knows the shapes of arrays only: do not change an object that is a key.
    """

    _no_value: ClassVar[frozenset[str]] = frozenset()
    """Attributes that make no difference to what an object is worth, such as a number of threads."""

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(self) is not type(other):
            return NotImplemented
        skip = _cached(type(self)) | self._no_value
        mine, theirs = ({k: v for k, v in vars(o).items() if k not in skip} for o in (self, other))
        return equal(mine, theirs)

    def __hash__(self) -> int:
        skip = _cached(type(self)) | self._no_value
        return hash((type(self), *(fingerprint(v) for k, v in sorted(vars(self).items()) if k not in skip)))

    def __getstate__(self) -> dict[str, Any]:
        state = {k: portable(v) for k, v in vars(self).items() if k not in _cached(type(self))}
        fixed = [k for k, v in state.items() if isinstance(v, np.ndarray) and not v.flags.writeable]
        return {**state, _READ_ONLY: fixed} if fixed else state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        for key, value in state.items():
            if key != _READ_ONLY:
                self.__dict__[key] = _unwrapped(value)
        for key in state.get(_READ_ONLY, ()):
            self.__dict__[key].flags.writeable = False


_READ_ONLY = "arrays that are read-only"


def _cached(kind: type) -> frozenset[str]:
    """Names of the cached properties of a class."""
    found = _CACHED.get(kind)
    if found is None:
        names = (k for base in kind.__mro__ for k, v in vars(base).items() if isinstance(v, cached_property))
        found = _CACHED[kind] = frozenset(names)
    return found


_CACHED: dict[type, frozenset[str]] = {}


def equal(a: Any, b: Any) -> bool:
    """Whether two values are the same: arrays and floats entry by entry, containers member by member."""
    if a is b:
        return True
    mine, theirs = type(a), type(b)
    if mine != theirs:  # not by identity: two functions of SymPy of one name are of equal classes
        return False
    if isinstance(a, np.ndarray):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        return bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"))
    if isinstance(a, float | np.floating):
        return bool(a == b or (a != a and b != b))
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, partial):
        return all(equal(x, y) for x, y in ((a.func, b.func), (a.args, b.args), (a.keywords, b.keywords)))
    if isinstance(a, FunctionType):
        return _code_of(a) == _code_of(b)
    return bool(a == b)


def fingerprint(value: Any) -> Any:
    """Something hashable that is the same for equal values."""
    if isinstance(value, np.ndarray):
        return value.shape
    if isinstance(value, float | np.floating):
        return 0.0 if value != value else float(value)
    if isinstance(value, list | tuple):
        return tuple(map(fingerprint, value))
    if isinstance(value, str | int | ByValue):
        return hash(value)
    return type(value).__qualname__


def _code_of(function: FunctionType) -> tuple[Any, ...]:
    cells = tuple(str(cell.cell_contents) for cell in function.__closure__ or ())
    return function.__module__, function.__qualname__, function.__code__, function.__defaults__, cells


# ------------------------------------------------------------------------------------------- functions


def portable(value: Any) -> Any:
    """The value itself, or a form of it that every process unpickles.

    It differs for functions that `pickle` does not find, also in partial functions, lists, tuples and dicts.
    """
    if isinstance(value, MappingProxyType):
        return _Frozen(value)
    if type(value) in (list, tuple, dict):
        return _changed(value, portable)
    if isinstance(value, partial):
        parts = value.func, *value.args, *value.keywords.values()
        return value if all(portable(part) is part for part in parts) else _WithCode(value)
    if not isinstance(value, FunctionType):
        return value
    function = value
    stands = _standing(function)
    if stands is function:
        return value
    return _Compiled(function) if getattr(stands, "py_func", None) is function else _WithCode(function)


def _changed(container: Any, change: Callable[[Any], Any]) -> Any:
    """A list, tuple or dict with its members changed; itself where none is."""
    old = list(container.values()) if isinstance(container, dict) else list(container)
    new = [change(member) for member in old]
    if all(a is b for a, b in zip(old, new, strict=True)):
        return container
    return dict(zip(container, new, strict=True)) if isinstance(container, dict) else type(container)(new)


def _unwrapped(value: Any) -> Any:
    """What `portable` was given: a copy gets its result without a pickle in between."""
    if isinstance(value, _Wrapped):
        return value.function
    return _changed(value, _unwrapped) if type(value) in (list, tuple, dict) else value


def _standing(function: FunctionType) -> Any:
    """What other processes find under the module and the name of a function."""
    if function.__module__ in (None, "__main__", "__mp_main__"):
        return None
    try:
        return found(function.__module__, function.__qualname__)
    except pickle.UnpicklingError:
        return None


def found(module: str, name: str) -> Any:
    """What stands under a name in a module.

    Raises
    ------
    pickle.UnpicklingError
        If there is no such module, or nothing of that name in it.
    """
    try:
        thing: Any = importlib.import_module(module)
        for part in name.split("."):
            thing = getattr(thing, part)
    except (ImportError, AttributeError) as error:
        raise pickle.UnpicklingError(
            f"{module}.{name}, which the pickled object refers to, cannot be imported here: {error}. Put its "
            "module on the path of this process."
        ) from None
    return thing


class _Wrapped:
    """Something on its way through `pickle`, which gives the thing itself."""

    def __init__(self, function: Any) -> None:
        self.function = function


class _Frozen(_Wrapped):
    """A read-only view of a dict."""

    def __reduce__(self) -> tuple[Any, ...]:
        return MappingProxyType, (portable(dict(self.function)),)


class _Compiled(_Wrapped):
    """The Python function of one that a module holds under its name, compiled by Numba."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _python_function, (self.function.__module__, self.function.__qualname__)


def _python_function(module: str, name: str) -> Any:
    thing = found(module, name)
    return getattr(thing, "py_func", thing)


class _WithCode(_Wrapped):
    """A function that is pickled with its code; what it refers to goes along."""

    def __reduce__(self) -> tuple[Any, ...]:
        from numba.core.serialize import dumps  # cloudpickle, as Numba ships it

        try:
            return _from_code, (dumps(self.function),)
        except Exception as error:
            name = getattr(self.function, "__qualname__", repr(self.function))
            raise pickle.PicklingError(
                f"{name} cannot be pickled: {error}. Define it at the top of a module that can be imported."
            ) from error


def _from_code(content: bytes) -> Any:
    return pickle.loads(content)
