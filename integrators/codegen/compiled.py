"""Compile once, keep on disk: every kernel of the toolkit has one explicit signature and one cache file.

Two kinds of function exist.

``@helper``
    An ordinary ``njit`` function that other compiled functions call. It is compiled into its callers.
``@kernel(signature)``
    A function that Python calls, or that is handed to a kernel as an argument of type `Callback`. It is
    compiled (or loaded) on first use, for its one signature.

`kernel_files` says what is kept of a kernel, and when it is compiled anew.
"""

from __future__ import annotations

import itertools
import os
import pickle
import re
import threading
import types as python_types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numba
import numpy as np
from numba import njit, types
from numba.core import cgutils, config
from numba.core.bytecode import FunctionIdentity
from numba.core.compiler_lock import global_compiler_lock
from numba.core.errors import NumbaError
from numba.core.registry import CPUDispatcher
from numba.core.typing.templates import Signature
from numba.experimental.function_type import FunctionModel
from numba.extending import NativeValue, register_model, unbox

from integrators.naming import shown
from integrators.values import found, portable

from . import kernel_cache
from .kernel_files import OPTIONS, KernelFiles, Told, code_digest
from .threads import interruptible

__all__ = [
    "JIT_DISABLED",
    "Callback",
    "Kernel",
    "compiling_ours",
    "helper",
    "inlined",
    "kernel",
    "shared",
    "user_function",
    "user_kernel",
]

# Numba makes this name when it is imported, out of a checker's sight.
_CONFIG: Any = config

JIT_DISABLED: bool = bool(_CONFIG.DISABLE_JIT)


def _own_symbols() -> None:
    """Let Numba count functions from a number that no other process begins with.

    The count tells functions of one name apart in machine code, which may differ in what they close over.
    Every process counts from 1 by itself. A kernel kept by another one may then bring symbols that this
    process has given to other functions, and the linker takes the first of each.
    """
    FunctionIdentity._unique_ids = itertools.count(int.from_bytes(os.urandom(6), "big") << 16)  # pyright: ignore


_own_symbols()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_own_symbols)


class _Helper(CPUDispatcher):
    """A compiled function with one specialisation for 0, 1 and any other integer, False and True.

    Numba compiles a function anew for every constant among the arguments of a call, although LLVM is told
    none of them: the product of a matrix and columns was compiled six times for one gradient profile. The
    first call in an environment took half as long again.
    """

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """What Numba asks for when it meets a call: the types without the values of constants."""
        plain = [types.unliteral(argument) for argument in args]
        return super().get_call_template(plain, {name: types.unliteral(kind) for name, kind in kws.items()})


def helper(function: Callable[..., Any]) -> Any:
    """Decorator for functions that only compiled code calls."""
    return function if JIT_DISABLED else _Helper(function, targetoptions={"nopython": True, **OPTIONS})


inlined: Callable[..., Any] = njit(inline="always", **OPTIONS)
"""`helper`, copied into its callers before they are compiled: each level of helpers costs LLVM a pass over
all that stands below it."""


_COMPILING = threading.RLock()
_THREAD = threading.local()


@contextmanager
def _ours() -> Iterator[None]:
    """While a kernel of ours is compiled, on this thread."""
    before = compiling_ours()
    _THREAD.ours = True
    try:
        yield
    finally:
        _THREAD.ours = before


def compiling_ours() -> bool:
    """Whether this thread compiles a kernel, whose cache file is loaded after the code it refers to.

    Numba's own cache knows nothing of such code.
    """
    return getattr(_THREAD, "ours", False)


def _hold_compilers() -> None:
    """Wait for the compilation of other threads, and let none begin."""
    global_compiler_lock.acquire()  # in the order of `Kernel._compile`
    _COMPILING.acquire()


def _let_compilers_go() -> None:
    _COMPILING.release()
    global_compiler_lock.release()


if hasattr(os, "register_at_fork"):
    # A child has no thread that would end what another began: it would wait for these locks for ever, and
    # half a function of LLVM's is of no use to it.
    os.register_at_fork(
        before=_hold_compilers, after_in_parent=_let_compilers_go, after_in_child=_let_compilers_go
    )


class Callback(types.FunctionType):
    """Type of a compiled function as an argument, in Python the address of its code.

    Numba's own type calls Python back for the address in every call: that takes longer than a short run, and
    a Ctrl-C in the middle of it is lost.
    """


register_model(Callback)(FunctionModel)


@unbox(Callback)
def _unbox_leaf(kind, address, c):
    value = cgutils.create_struct_proxy(kind)(c.context, c.builder)
    value.c_addr = c.pyapi.long_as_voidptr(address)
    value.py_addr = cgutils.get_null_value(value.py_addr.type)
    value.jit_addr = cgutils.get_null_value(value.jit_addr.type)
    return NativeValue(value._getvalue(), is_error=cgutils.is_not_null(c.builder, c.pyapi.err_occurred()))


# Kernels whose machine code others refer to by symbol: they are loaded before any other (see `shared`).
_SHARED: list[Kernel] = []


class Kernel:
    """A compiled function with one explicit signature, compiled or loaded when first used.

    Parameters
    ----------
    function : callable
        The Python function.
    signature : numba.core.typing.templates.Signature
        Its one signature; kernels write in place and return nothing.
    cached : bool
        Keep the machine code on disk.
    dtype : dtype
        float64, or float32 for a kernel that `for_dtype` made.
    recipe : tuple
        A function of a module and its arguments that make this kernel again in another process; for kernels
        that no module holds under the name of their function.

    Notes
    -----
    Kernels are pickled by name, or by their recipe, or with their function; copies are the kernel itself. Two
    are equal if they have one signature and the same byte code, that of everything they refer to included.
    """

    def __init__(
        self,
        function: Callable[..., None],
        signature: Any,
        cached: bool = True,
        dtype: Any = np.float64,
        recipe: tuple[Any, ...] = (),
    ) -> None:
        self.function, self.recipe = function, recipe
        self.signature = signature
        self.cached = cached
        self.dtype = np.dtype(dtype)
        self.__name__ = function.__name__
        self.__doc__ = function.__doc__
        self._dispatcher: Any = None
        self._narrow: Kernel | None = None

    @property
    def dispatcher(self) -> Any:
        """The Numba dispatcher, compiled (or the plain function under ``NUMBA_DISABLE_JIT=1``)."""
        if self._dispatcher is None:
            interruptible(self._compile)  # LLVM may take a second over one function
        return self._dispatcher

    def compile_here(self) -> None:
        """Compile on this thread: within a compilation of Numba's another would wait for ever."""
        if self._dispatcher is None:
            self._compile()

    def _compile(self) -> None:
        # Threads that need one kernel wait for one compilation. Numba's lock comes first: whoever compiles a
        # function that calls a kernel of ours has it already.
        with global_compiler_lock, _COMPILING, _ours():
            if self._dispatcher is None:
                dispatcher: Any = njit(**OPTIONS)(self.function)
                if not JIT_DISABLED:
                    for other in _SHARED:
                        if other.function is not self.function:
                            other.for_dtype(self.dtype).compile_here()
                    told = Told(self.__name__)
                    if self.cached and (places := kernel_cache.find_places()) is not None:
                        dispatcher._cache = KernelFiles(self.function, places, told)
                    else:
                        told.begin()
                    with told:
                        dispatcher.compile(self.signature)
                    dispatcher.disable_compile()
                self._dispatcher = dispatcher

    def for_dtype(self, dtype: Any) -> Kernel:
        """This kernel for arrays of another floating point type: the same code, compiled once more."""
        if np.dtype(dtype) == self.dtype:
            return self
        if self._narrow is None:
            signature = _narrowed(self.signature)
            self._narrow = Kernel(self.function, signature, self.cached, np.float32, self.recipe)
        return self._narrow

    @cached_property
    def pointer(self) -> Any:
        """The form in which a driver takes a callback: the address of its code."""
        dispatcher = self.dispatcher
        if JIT_DISABLED:
            return dispatcher
        compiled = dispatcher.get_compile_result(self.signature)
        return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_cfunc_wrapper_name)

    @cached_property
    def entry(self) -> Any:
        """What a call goes to: a driver's own code, or the dispatcher, which looks at all types first.

        The drivers' arguments are made here, and what Numba would find out about them is known. Callbacks are
        handed over as `pointer`.
        """
        dispatcher = self.dispatcher
        drives = any(isinstance(kind, Callback | types.NamedTuple) for kind in self.signature.args)
        if drives and not JIT_DISABLED:
            return dispatcher.get_compile_result(self.signature).entry_point
        return dispatcher

    def __call__(self, *arguments: Any) -> None:
        self.entry(*[a.pointer if isinstance(a, Kernel) else a for a in arguments])

    def __repr__(self) -> str:
        return f"Kernel({self.function.__module__}.{self.__name__})"

    @cached_property
    def digest(self) -> str:
        """Digest of the byte code."""
        return code_digest(self.function)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Kernel):
            return NotImplemented
        mine, theirs = ((k.signature, k.dtype, k.__name__) for k in (self, other))
        return mine == theirs and self.digest == other.digest

    def __hash__(self) -> int:
        return hash((self.__name__, self.dtype.str))

    def __copy__(self) -> Kernel:
        return self

    def __deepcopy__(self, memo: object) -> Kernel:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        name = self.function.__module__, self.function.__qualname__
        if self.recipe:
            maker, *arguments = self.recipe
            return _remade, (maker, tuple(map(portable, arguments)), self.dtype.str)
        try:
            if getattr(found(*name), "function", None) is self.function:
                return _known, (*name, _arguments(self.function), self.dtype.str)
        except pickle.UnpicklingError:
            pass
        return Kernel, (portable(self.function), self.signature, self.cached, self.dtype)


def _arguments(function: Any) -> tuple[str, ...]:
    code = function.__code__
    return code.co_varnames[: code.co_argcount]


def _known(module: str, name: str, arguments: tuple[str, ...], dtype: str) -> Kernel:
    """A pickled kernel, found again by its name."""
    thing = found(module, name)
    if not isinstance(thing, Kernel) or _arguments(thing.function) != arguments:
        raise pickle.UnpicklingError(
            f"{module}.{name} takes other arguments than when it was pickled, by another version of "
            "leapgrad; make the object anew."
        )
    return thing.for_dtype(dtype)


def _remade(maker: Callable[..., Kernel], arguments: tuple[Any, ...], dtype: str) -> Kernel:
    """A pickled kernel, made again by its recipe."""
    return maker(*arguments).for_dtype(dtype)


def _narrowed(kind: Any) -> Any:
    """A signature or type with float32 in place of the float64 of every array."""
    if isinstance(kind, Signature):
        return kind.return_type(*[_narrowed(argument) for argument in kind.args])
    if isinstance(kind, Callback):
        return Callback(_narrowed(kind.signature))
    if isinstance(kind, types.NamedUniTuple):
        return types.NamedUniTuple(_narrowed(kind.dtype), kind.count, kind.instance_class)
    if isinstance(kind, types.NamedTuple):
        return types.NamedTuple([_narrowed(member) for member in kind.types], kind.instance_class)
    if isinstance(kind, types.Array) and kind.dtype == types.float64:
        return kind.copy(dtype=types.float32)
    return kind


def kernel(signature: Any) -> Callable[[Callable[..., None]], Kernel]:
    """Decorator that compiles a function for exactly one signature when it is first used.

    The compiled code is kept in the cache on disk, so that other processes need not compile it again.

    Parameters
    ----------
    signature : numba signature
        Types of the arguments, such as `POINT` for the pointwise rule of a cell.

    Returns
    -------
    callable
        The decorator. What it returns is called like the function itself.

    Raises
    ------
    TypeError
        If `signature` is not a signature of Numba.

    Examples
    --------
    >>> from integrators import POINT, Kind, kernel
    >>> @kernel(POINT)
    ... def point(constants, v, out, slopes):
    ...     for i in range(v.shape[1]):
    ...         out[0, i] = v[0, i] / (1.0 + abs(v[0, i]))
    ...         slopes[0, 0, i] = 1.0 / (1.0 + abs(v[0, i])) ** 2
    ...
    >>> softsign = Kind("softsign", state=("h",), rows=("a",), point=point, depends={"h": "a"}, recurrent=1)
    >>> softsign(1, W=[[2.0]]).linearise([0.5])
    (array([0.5]), array([[0.5]]))
    """
    if not isinstance(signature, Signature):
        raise TypeError(f"signature must be one of Numba's, such as POINT, got {shown(signature)}.")
    return lambda function: Kernel(function, signature)


def shared(made: Kernel) -> Kernel:
    """Decorator above ``@kernel``: its code defines symbols that other kernels refer to.

    Numba copies what a function calls into each of its callers and optimises it anew in every one, level by
    level. What is large and called everywhere is compiled once instead.
    """
    _SHARED.append(made)
    return made


def user_kernel(function: Any, signature: Any, argument: str) -> Kernel:
    """Turn a user's ``@njit`` (or plain) function into a kernel of the given signature.

    The user's own functions are compiled in every process, because what they refer to is not ours to track.

    Raises
    ------
    TypeError
        If it is not a function, or does not compile for `signature`.
    """
    if isinstance(function, Kernel):
        return function
    plain = _plain(function, argument)
    made = Kernel(plain, signature, cached=False)
    # Compile now: a user wants the error here, not in the first long run.
    _compiling(lambda: made.dispatcher, plain, signature.args, argument)
    return made


def user_function(function: Any, arguments: tuple[Any, ...], argument: str) -> python_types.FunctionType:
    """A user's ``@njit`` (or plain) function, after it was compiled for `arguments` and called with them.

    Raises
    ------
    TypeError
        If it is not a function, does not compile, or raises.
    """
    plain = _plain(function, argument)
    dispatcher = njit(**OPTIONS)(plain)
    kinds = tuple("array" if JIT_DISABLED else numba.typeof(a) for a in arguments)
    _compiling(lambda: interruptible(lambda: dispatcher(*arguments)), plain, kinds, argument)
    return plain


def _plain(function: Any, argument: str) -> python_types.FunctionType:
    function = getattr(function, "py_func", function)
    if not isinstance(function, python_types.FunctionType):
        raise TypeError(f"{argument} must be a function (plain or @njit), got {type(function).__name__}.")
    return function


def _compiling(
    call: Callable[[], object], function: Callable[..., Any], arguments: tuple[Any, ...], argument: str
) -> None:
    """``call()``, with one sentence for whatever stops it."""
    try:
        call()
    except Exception as error:
        known = isinstance(error, NumbaError | TypeError) or JIT_DISABLED
        reason = first_reason(error) if known else f"{type(error).__name__}: {first_reason(error)}"
        raise TypeError(
            f"{argument} ({function.__name__}) does not {'compile' if known else 'work'} for the arguments "
            f"({', '.join(str(a) for a in arguments)}): {reason}"
        ) from error


def first_reason(error: Exception) -> str:
    """The first line of a Numba error that says what is wrong rather than where."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    return next((line for line in lines if not line.startswith("Failed in")), str(error))
