"""The file of a kernel: its name, a digest of all that the machine code depends on, and its content.

Why not Numba's own cache: it notices a change only in the file that holds the kernel, not in the helpers it
calls from elsewhere, and a damaged cache file stops the program. Here the key is a digest of the kernel's
byte code *and of everything it refers to*, each file carries a checksum against damage, and whatever goes
wrong with the cache ends in a compilation, never in an error. `kernel_cache` says where the files lie and
which of them are believed.
"""

from __future__ import annotations

import errno
import pickle
import platform
import re
import sys
import types as python_types
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numba
import numpy as np
from numba import types
from numba.core import config
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.environment import Environment
from numba.core.runtime.nrt import rtsys
from numba.core.serialize import dumps

from integrators.engine.bars import progress_bar_on_stderr

from . import kernel_cache
from .kernel_cache import digest as _digest
from .symbols import all_defined, symbols_of

__all__ = ["OPTIONS", "KernelFiles", "Told", "code_digest"]

# Numba makes these names when it is imported, out of a checker's sight.
_NUMBA: Any = numba
_CONFIG: Any = config
_CACHE: Any = _Cache

# error_model: with Python's one the zero-division check keeps LLVM from vectorising (6 times on tanh).
# nogil: blocks of members run in threads. fastmath stays off: it would break NaN checks and the tanh.
OPTIONS: dict[str, Any] = {"error_model": "numpy", "nogil": True}
# Part of the key of every kernel that is kept; kernels from before `compiled._own_symbols` are not loaded.
SYMBOLS = "counted by each process for itself; object code alone; no modules of Numba"
# Of Numba, by the names of its environment variables without NUMBA_.
SETTINGS = (
    "OPT", "BOUNDSCHECK", "LOOP_VECTORIZE", "SLP_VECTORIZE", "ENABLE_AVX", "USING_SVML", "DEBUGINFO_DEFAULT",
    "ENABLE_PROFILING",
)  # fmt: skip

# What the next process would meet as well.
DISK_TROUBLE = {getattr(errno, name, None) for name in ("ENOSPC", "EDQUOT", "EROFS", "EIO")}


class Told:
    """A line on a terminal, while it lasts, that says why the first run in an environment takes longer."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._bar: Any = None

    def begin(self) -> None:
        """No file holds the kernel."""
        text = f"compiling the numerical code, once: {self._name.lstrip('_')}"
        self._bar = progress_bar_on_stderr(None, desc=text, bar_format="{desc}", leave=False)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


class KernelFiles(_CACHE):
    """One file per kernel and machine: checksum, then the pickled compile result."""

    def __init__(self, function: Callable[..., None], places: kernel_cache.Places, told: Told) -> None:
        self._function = function
        self._places = places
        self._told = told

    @property
    def cache_path(self) -> str:
        return str(self._places.writable)

    def _names(self, signature: Any, target: Any) -> tuple[str, str]:
        """The name of the file, and what it shares with those of older code, which it replaces."""
        machine = _digest(repr((target.codegen().magic_tuple(), platform.machine(), _settings())).encode())
        # The name of a NamedTuple type does not tell its fields.
        fields = [getattr(argument, "fields", ()) for argument in signature.args]
        code_key = code_digest(self._function, f"{signature} {fields}")[:24]
        whole = f"{self._function.__module__}.{self._function.__qualname__}"
        name = re.sub(r"[^A-Za-z0-9_.]", "_", whole)[-80:]
        # Two installations that share a folder do not displace each other's kernels.
        origin = _digest(f"{whole} {self._function.__code__.co_filename}".encode())
        # A kernel compiled for two types of arrays has two files, which do not displace each other.
        precision = "float32." if "float32" in str(signature) else ""
        stem = f"leapgrad.{name}.{precision}{machine[:12]}.{origin[:8]}."
        return f"{stem}{code_key}.kernel", stem

    def load_overload(self, sig: Any, target_context: Any) -> CompileResult | None:
        rtsys.initialize(target_context)
        name, _ = self._names(sig, target_context)
        for folder in self._places.readable:
            content = kernel_cache.read(folder, name)
            if content is not None:
                # Whatever is wrong with it (written by a library that is no more), compiling mends it.
                with suppress(Exception):
                    return _loaded(content, target_context)
        if self._places.writable is None:
            kernel_cache.say_once("; ".join(self._places.refused))
        self._told.begin()
        return None

    def save_overload(self, sig: Any, data: CompileResult) -> None:
        folder = self._places.writable
        if folder is None:
            return
        name, stem = self._names(sig, data.target_context)
        try:
            kernel_cache.write(folder, name, _kept(data), stem)
        except OSError as error:
            # A full or vanished disk costs the next process a compilation, not this one its run.
            if error.errno in DISK_TROUBLE:
                kernel_cache.say_once(f"{folder}: {error.strerror}")

    def enable(self) -> None: ...

    def disable(self) -> None: ...

    def flush(self) -> None: ...


def _kept(data: CompileResult) -> bytes:
    """What is written to disk: the object code without the LLVM code beside it.

    Numba keeps the latter for callers into which a function is copied, which kernels have none of. Reading it
    took half of the time to the first Jacobian of a process. Where the symbols cannot be read from the object
    code, they are read from there.
    """
    (name, kind, (code, whole)), *rest, called = data._reduce()
    rest.append(tuple(map(_Lean, called)))
    if symbols_of(code) is None:
        return dumps(((name, kind, (code, whole)), *rest))
    empty = llvm.parse_assembly(str(data.target_context.codegen()._create_empty_module(name)))
    return dumps(((name, kind, (code, empty.as_bitcode())), *rest))


class _Lean:
    """The names and constants that a called function sees, pickled without its module where that is Numba's.

    Names are looked up by code that calls Python back, which no kernel does; importing the modules of Numba
    that implement arrays takes 16 ms.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def __reduce__(self) -> tuple[Any, ...]:
        make, (module, *rest) = self._environment.__reduce__()
        return make, ("numba" if module.startswith("numba.") else module, *rest)


def _loaded(content: bytes, target_context: Any) -> CompileResult:
    """A kept kernel, after everything that its code refers to was defined.

    Raises
    ------
    Exception
        If it is not a kernel that this process can run, of whatever class.

    Notes
    -----
    Beside ``import numba`` the first Jacobian of a process takes 0.1 s where nothing need be registered, and
    0.4 s otherwise.
    """
    library, *rest = pickle.loads(content)
    _, _, (code, _) = library
    engine, symbols = target_context.codegen()._engine, symbols_of(code)
    if symbols is None or not all_defined(symbols.undefined, engine):
        target_context.refresh()
    if symbols is not None:
        if not all_defined(symbols.undefined, engine):
            raise LookupError("the kernel refers to code that this process does not have")
        engine._defined_symbols |= symbols.defined  # Numba asks for the functions it is about to load
    return CompileResult._rebuild(target_context, library, *rest)


def _settings() -> tuple[Any, ...]:
    """What compiled code depends on beside its source and the processor.

    Without assertions (``python -O``) and documentation (``-OO``) the byte code of a kernel is another.
    """
    numba_settings = [getattr(_CONFIG, name, None) for name in SETTINGS]
    versions = _NUMBA.__version__, llvmlite.__version__, np.__version__, sys.version
    return *versions, sys.flags.optimize, *numba_settings


def code_digest(function: Any, extra: str = "") -> str:
    """Digest of a function's byte code and, recursively, of every global it refers to."""
    return _digest(
        "\n".join(_traits(function, set())).encode() + extra.encode() + f"{OPTIONS} {SYMBOLS}".encode()
    )


def _traits(thing: Any, seen: set[int]) -> Iterator[str]:
    """Lines that change when the behaviour of `thing` may change, and do not change between processes."""
    function = thing
    for wrapper in ("function", "py_func", "_defn"):  # Kernel, Dispatcher, intrinsic
        function = getattr(function, wrapper, function)
    if isinstance(function, python_types.FunctionType):
        if id(function) in seen:
            return
        seen.add(id(function))
        yield from _code_traits(function.__code__)
        yield from _traits(function.__defaults__ or (), seen)
        for cell in function.__closure__ or ():
            yield from _traits(cell.cell_contents, seen)
        package = function.__module__.split(".")[0]
        names = sorted(_names(function.__code__))
        for name, value in _referred(function.__globals__, names, package, set()):
            yield name
            yield from _traits(value, seen)
    elif isinstance(thing, tuple):
        for entry in thing:
            yield from _traits(entry, seen)
    elif isinstance(thing, python_types.ModuleType):
        yield f"{thing.__name__} {getattr(thing, '__version__', '')}"
    elif isinstance(thing, np.ndarray):
        yield f"{thing.dtype} {thing.shape} {_digest(np.ascontiguousarray(thing).tobytes())}"
    elif isinstance(thing, (int, float, complex, str, bytes, np.generic, types.Type)):
        yield repr(thing)
    else:
        yield f"{type(thing).__module__}.{type(thing).__qualname__}"


def _referred(
    namespace: dict[str, Any], names: list[str], package: str, seen: set[str]
) -> Iterator[tuple[str, Any]]:
    """What `names` stand for in a namespace, and in the modules of the same package that it holds."""
    for name in names:
        if name in namespace:
            value = namespace[name]
            yield name, value
            if isinstance(value, python_types.ModuleType) and value.__name__.split(".")[0] == package:
                if value.__name__ not in seen:
                    seen.add(value.__name__)
                    yield from _referred(vars(value), names, package, seen)


def _names(code: python_types.CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, python_types.CodeType):
            names |= _names(constant)
    return names


def _code_traits(code: python_types.CodeType) -> Iterator[str]:
    yield f"{code.co_name} {code.co_code.hex()} {code.co_names} {code.co_varnames}"
    for constant in code.co_consts:
        if isinstance(constant, python_types.CodeType):
            yield from _code_traits(constant)
        else:
            yield repr(constant)
