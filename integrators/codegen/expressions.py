"""SymPy expressions of a map, made ready to be compiled: checked, differentiated, printed as Python."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from numbers import Number
from typing import TYPE_CHECKING, Any

from integrators.naming import shown
from integrators.validation import as_array

from .compiled import helper

if TYPE_CHECKING:
    import sympy

__all__ = ["Expressions", "compiled", "digest", "listed", "prepared", "source", "symbols"]

# Functions that compile: SymPy's name for what Python's math module has.
_COMPILABLE = frozenset(
    "sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh exp log erf erfc".split()
)
# Rewritten piece by piece, since they are continuous and have a derivative on either side of the kink. At it
# Abs has the slope 0, and so have Max(0, a) and Min(1, a) where a reaches the number, as in PyTorch.
_KINKED = "Abs", "Max", "Min"
_JUMPING = "sign", "Heaviside", "floor", "ceiling", "frac", "DiracDelta", "Mod"


@dataclass(frozen=True)
class Expressions:
    """The components of a map in symbols of our own, y_i, x_i and theta_i: real, the same in every process.

    Attributes
    ----------
    values : list
        The components.
    state, drive, constants : list of Symbol
    names : list of str
        What was given for all three, in that order.
    theta : list of float
        Values of the constants.
    """

    values: list[Any]
    state: list[Any]
    drive: list[Any]
    constants: list[Any]
    names: list[str]
    theta: list[float]
    given: list[Any]

    @property
    def symbols(self) -> list[Any]:
        """All of ours."""
        return [*self.state, *self.drive, *self.constants]

    def derivatives(self, by: Sequence[Any]) -> list[Any]:
        """∂F_i/∂s_j row by row, all of them printable."""
        try:
            return _derivatives(self.values, by, self.given)
        except RecursionError:
            raise _too_deep() from None


def prepared(
    expressions: Any, y: Any, x: Any, parameters: Mapping[Any, float] | None, what: str
) -> Expressions:
    """The expressions after every check that they allow; `what` they make, for messages.

    Raises
    ------
    ValueError, TypeError
        As for `symbolic_field`.
    """
    import sympy

    state, drive = symbols(y, "y"), symbols(x, "x")
    values = _mapping(parameters)
    constants = symbols(list(values), "parameters")
    theta = [_number(values[s], f"parameters[{s}]") for s in constants]
    every = [*state, *drive, *constants]
    twice = sorted({str(s) for s in every if every.count(s) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} occurs more than once among y, x and parameters.")
    if not state:
        raise ValueError(f"y is empty; a {what} has at least one component.")

    ours = {s: sympy.Symbol(f"y_{i}", real=True) for i, s in enumerate(state)}
    ours |= {s: sympy.Symbol(f"x_{i}", real=True) for i, s in enumerate(drive)}
    ours |= {s: sympy.Symbol(f"theta_{i}", real=True) for i, s in enumerate(constants)}
    given = listed(expressions, "expressions", (sympy.Expr, Number))
    if len(given) != len(state):
        raise ValueError(
            f"expressions has {len(given)} entries for {len(state)} of y; a {what} has one for each."
        )
    own = [[ours[s] for s in row] for row in (state, drive, constants)]
    try:
        components = [_prepared(e, f"expressions[{i}]", ours) for i, e in enumerate(given)]
    except RecursionError:
        raise _too_deep() from None
    return Expressions(
        components,
        own[0],
        own[1],
        own[2],
        list(map(str, every)),
        theta,
        given,
    )


def digest(sources: Sequence[str]) -> str:
    """Of the sources: two maps of one name each keep their own cache file."""
    return hashlib.sha256("\n".join(sources).encode()).hexdigest()[:16]


def _too_deep() -> ValueError:
    return ValueError(
        "expressions are nested too deeply for SymPy; split them, or raise sys.setrecursionlimit()."
    )


def _mapping(parameters: Any) -> dict[Any, Any]:
    if isinstance(parameters, str):
        raise TypeError(f"parameters must be a mapping Symbol → number, got the text {shown(parameters)}.")
    try:
        return dict(parameters or {})
    except (TypeError, ValueError):
        raise TypeError(f"parameters must be a mapping Symbol → number, got {shown(parameters)}.") from None


def _number(value: Any, where: str) -> float:
    """A parameter's value; SymPy's numbers, fractions and decimals are rounded to float64."""
    import sympy

    constant = isinstance(value, sympy.Expr) and value.is_number
    if constant or isinstance(value, (Fraction, Decimal)):
        try:
            value = float(value)
        except (TypeError, ValueError, OverflowError):
            raise TypeError(f"{where} is {value}; pass a real number.") from None
    return float(as_array(value, where, 0))


def listed(given: Any, argument: str, single: type | tuple[type, ...]) -> list[Any]:
    if isinstance(given, single):
        return [given]
    if isinstance(given, (str, bytes)):
        raise TypeError(f"{argument} is the text {shown(given)}; pass SymPy objects.")
    if isinstance(given, (Set, Mapping)):
        raise TypeError(f"{argument} must be a sequence, whose order is known; got {shown(given)}.")
    try:
        return list(given)
    except TypeError:
        raise TypeError(f"{argument} must be a sequence, got {shown(given)}.") from None


def symbols(given: Any, argument: str) -> list[sympy.Symbol]:
    import sympy

    found = listed(given, argument, sympy.Symbol)
    for symbol in found:
        if not isinstance(symbol, sympy.Symbol):
            raise TypeError(f"{argument} must hold SymPy symbols, got {shown(symbol)}.")
    return found


def _prepared(given: Any, where: str, ours: Mapping[sympy.Symbol, sympy.Symbol]) -> sympy.Expr:
    """One component of F in our own real symbols, kinks spelled out, after every check that it allows."""
    import sympy

    if isinstance(given, str):
        raise TypeError(f"{where} is the text {shown(given)}; pass a SymPy expression.")
    # SymPy takes text for Python code and runs it: that in tuples, sets and dicts even with strict=True.
    if not isinstance(given, (sympy.Basic, Number)):
        raise TypeError(f"{where} is {shown(given)}; pass a scalar SymPy expression.")
    try:
        expression = sympy.sympify(given, strict=True)
    except (sympy.SympifyError, TypeError, ValueError):
        raise TypeError(f"{where} is {shown(given)}; pass a scalar SymPy expression.") from None
    if not isinstance(expression, sympy.Expr) or getattr(expression, "is_Matrix", False):
        raise TypeError(f"{where} is {shown(given)}; pass a scalar SymPy expression.")
    unknown = sorted(map(str, expression.free_symbols - set(ours)))
    if unknown:
        raise ValueError(
            f"{where} holds {', '.join(unknown)}, which is neither in y nor in x nor in parameters."
        )
    expression = expression.xreplace(dict(ours)).doit()
    for kinked in _KINKED:
        expression = _spelled_out(expression, getattr(sympy, kinked))
    unreal = sympy.I, sympy.zoo, sympy.nan, sympy.oo, -sympy.oo, sympy.re, sympy.im, sympy.conjugate
    if expression.has(*unreal) or expression.is_real is False:
        raise ValueError(f"{where} is not a real, finite expression: {given}.")
    for name in _JUMPING:
        if expression.has(getattr(sympy, name)):
            raise ValueError(
                f"{where} holds {name}, which jumps, so that it has no derivative: {given}. Use a smooth "
                "function such as tanh, or Piecewise for a force of several branches."
            )
    wrong = _not_compilable(expression)
    if wrong:
        raise ValueError(
            f"{where} holds {wrong}, which cannot be compiled: {given}. Known "
            f"functions: {', '.join(sorted((*_COMPILABLE, *_KINKED, 'Piecewise')))}."
        )
    try:
        _printed(expression)
    except NotImplementedError:
        raise ValueError(
            f"{where} cannot be written as Python code: {given}. Write conditions of Piecewise with "
            "<, >, & and |."
        ) from None
    return expression


def _printed(expression: Any) -> str:
    from sympy.printing.pycode import PythonCodePrinter

    return str(PythonCodePrinter().doprint(expression))


def _spelled_out(expression: Any, kinked: Any) -> Any:
    """`expression` with every Abs, Max or Min written as a Piecewise, innermost first."""
    import sympy

    def pieces(*arguments: Any) -> Any:
        if kinked is sympy.Abs:
            (a,) = arguments
            return sympy.Piecewise((a, a > 0), (-a, a < 0), (0, sympy.Eq(a, 0)))
        result, *rest = arguments
        for a in rest:
            better = result >= a if kinked is sympy.Max else result <= a
            result = sympy.Piecewise((result, better), (a, True))
        return result

    return expression.replace(kinked, pieces)


def _not_compilable(expression: Any) -> str:
    """Names of what Python's math module does not have, separated by commas."""
    import sympy

    found = expression.atoms(
        sympy.Function, sympy.Derivative, sympy.Integral, sympy.Sum, sympy.Product, sympy.Subs
    )
    return ", ".join(sorted({type(f).__name__ for f in found} - _COMPILABLE - {"Piecewise"}))


def _derivatives(force: Sequence[Any], by: Sequence[Any], given: Sequence[Any]) -> list[Any]:
    """∂F_i/∂s_j row by row, all of them printable."""
    import sympy

    result = []
    for i, component in enumerate(force):
        for symbol in by:
            derivative = sympy.diff(component, symbol)
            wrong = _not_compilable(derivative)
            if wrong:
                raise ValueError(
                    f"expressions[{i}] = {given[i]} cannot be differentiated in closed form: "
                    f"its derivative holds {wrong}."
                )
            result.append(derivative)
    return result


def source(function: str, symbols: Sequence[Any], d: int, entries: Mapping[str, Sequence[Any]]) -> str:
    """Python source that fills the arrays named in `entries` for every member, common subexpressions once."""
    import sympy

    expressions = [_with_default(e) for row in entries.values() for e in row]
    shared, finals = sympy.cse(expressions, symbols=sympy.numbered_symbols("t_", real=True))
    lines = [f"def {function}(theta, y, x, {', '.join(entries)}):", "    for q in range(y.shape[1]):"]
    for symbol in symbols:
        array, index = str(symbol).split("_")
        lines.append(f"        {symbol} = {array}[{index}{'' if array == 'theta' else ', q'}]")
    lines += [f"        {symbol} = {_printed(e)}" for symbol, e in shared]
    remaining = iter(finals)
    for array, row in entries.items():
        for number in range(len(row)):
            i, j = divmod(number, len(row) // d)
            place = f"{i}, q" if array in ("force", "out") else f"{i}, {j}, q"
            lines.append(f"        {array}[{place}] = {_printed(next(remaining))}")
    return "\n".join([*lines, "        pass", ""])


def _with_default(expression: Any) -> Any:
    """`expression` with NaN where no branch of a Piecewise applies (SymPy would print None)."""
    import sympy

    def total(*branches: Any) -> Any:
        if branches[-1].cond != True:  # noqa: E712  SymPy's truth
            branches = (*branches, (sympy.Symbol("math.nan"), True))
        return sympy.Piecewise(*branches)

    return expression.replace(sympy.Piecewise, total)


def compiled(source: str) -> Any:
    """The helper that `source` defines, under a name that no other source has.

    The linker knows a function by its name and a count that begins anew in every process: two of one name
    would be one symbol where kernels that two processes have kept on disk are loaded together.
    """
    plain = source.split("(")[0].removeprefix("def ")
    name = f"{plain}_{digest((source,))}"
    namespace: dict[str, Any] = {"math": math, "__name__": __name__}
    exec(compile(source.replace(plain, name, 1), "<leapgrad expressions>", "exec"), namespace)
    return helper(namespace[name])
