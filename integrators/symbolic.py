"""A field from SymPy expressions: its derivatives are derived, printed and compiled."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numba.core.errors import NumbaError
from numpy.typing import ArrayLike

from .compiled import first_reason, helper
from .field_check import check_field
from .fields import Field
from .textbook import leaves
from .validation import as_array

if TYPE_CHECKING:
    import sympy

__all__ = ["symbolic_field"]

# Functions that compile: SymPy's name for what Python's math module has.
_COMPILABLE = frozenset(
    "sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh exp log erf erfc".split()
)
# Rewritten piece by piece, since they are continuous and have a derivative on either side of the kink.
_KINKED = "Abs", "Max", "Min"
_JUMPING = "sign", "Heaviside", "floor", "ceiling", "frac", "DiracDelta", "Mod"


def symbolic_field(
    expressions: Any,
    y: Any,
    x: Any = (),
    parameters: Mapping[Any, float] | None = None,
    *,
    name: str = "symbolic",
    lipschitz: float | None = None,
    check_at: ArrayLike | None = None,
) -> Field:
    """The field whose force F(y, x; θ) is given by SymPy expressions.

    DF, its transpose and ∂F/∂θ come from SymPy's differentiation, share their common subexpressions, and are
    compiled to the same kind of leaves as a field written by hand.

    Parameters
    ----------
    expressions : sequence of SymPy expressions, length d
        The components of F; a single expression stands for d = 1.
    y : sequence of Symbol, length d
        The components of the state.
    x : sequence of Symbol, optional
        The components of the input; none make an autonomous field.
    parameters : mapping Symbol → float, optional
        Values of all other symbols, in the order of ``theta``.
    name : str
        Shown by ``repr`` and in messages.
    lipschitz : float, optional
        A bound on sup ‖DF‖₂, where one is known; see `Field`.
    check_at : array_like, shape (d,), optional
        A point inside the domain of F, where the compiled leaves are checked; see `Field`.

    Returns
    -------
    Field

    Raises
    ------
    ValueError, TypeError
        For symbols that are neither in y, x nor parameters, another number of expressions than of y,
        expressions that are not real or not differentiable, and functions that cannot be compiled.

    Notes
    -----
    Abs, Max and Min are differentiated piece by piece; at the kink itself the derivative is that of one of
    the two sides.

    Examples
    --------
    >>> import sympy
    >>> u, k = sympy.symbols("u k")
    >>> spring = symbolic_field([-k * u**3], [u], parameters={k: 2.0}, name="cubic spring")
    >>> spring.force([0.5])
    array([-0.25])
    """
    import sympy

    state, drive = _symbols(y, "y"), _symbols(x, "x")
    values = dict(parameters or {})
    constants = _symbols(values, "parameters")
    theta = [float(as_array(values[s], f"parameters[{s}]", 0)) for s in constants]
    listed = [*state, *drive, *constants]
    twice = sorted({str(s) for s in listed if listed.count(s) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} occurs more than once among y, x and parameters.")
    if not state:
        raise ValueError("y is empty; a field has at least one component.")

    # Names and assumptions of our own: real, and the same in every process.
    ours = {s: sympy.Symbol(f"y_{i}", real=True) for i, s in enumerate(state)}
    ours |= {s: sympy.Symbol(f"x_{i}", real=True) for i, s in enumerate(drive)}
    ours |= {s: sympy.Symbol(f"theta_{i}", real=True) for i, s in enumerate(constants)}
    given = _listed(expressions, "expressions", sympy.Expr)
    if len(given) != len(state):
        raise ValueError(f"expressions has {len(given)} entries for {len(state)} of y; F has one for each.")
    force = [_prepared(e, f"expressions[{i}]", ours) for i, e in enumerate(given)]

    own_state, own_drive, own_constants = ([ours[s] for s in row] for row in (state, drive, constants))
    jacobian = _derivatives(force, own_state, given)
    slopes = _derivatives(force, own_constants, given)
    sources = (
        _source("linearise", list(ours.values()), len(state), {"force": force, "jacobian": jacobian}),
        _source("by_theta", list(ours.values()), len(state), {"slopes": slopes}),
    )
    # Of two fields, each keeps its own cache file: the name holds a digest of the source.
    key = hashlib.sha256("\n".join(sources).encode()).hexdigest()[:16]
    linearise, by_theta = map(_compiled, sources)
    kick, kick_adjoint = leaves(linearise, by_theta, f"{re.sub(r'[^0-9A-Za-z]+', '_', name)}_{key}")
    field = Field(len(state), kick, kick_adjoint, theta, n_inputs=len(drive), lipschitz=lipschitz, name=name)
    field.constant_jacobian = not any(e.free_symbols & {*own_state, *own_drive} for e in jacobian)
    try:
        check_field(field, check_at)
    except NumbaError as error:
        reason = first_reason(error)
        raise ValueError(f"{name}: the expressions do not compile to real functions: {reason}") from error
    return field


def _listed(given: Any, argument: str, single: type) -> list[Any]:
    if isinstance(given, single):
        return [given]
    try:
        return list(given)
    except TypeError:
        raise TypeError(f"{argument} must be a sequence, got {given!r}.") from None


def _symbols(given: Any, argument: str) -> list[sympy.Symbol]:
    import sympy

    symbols = _listed(given, argument, sympy.Symbol)
    for symbol in symbols:
        if not isinstance(symbol, sympy.Symbol):
            raise TypeError(f"{argument} must hold SymPy symbols, got {symbol!r}.")
    return symbols


def _prepared(given: Any, where: str, ours: Mapping[sympy.Symbol, sympy.Symbol]) -> sympy.Expr:
    """One component of F in our own real symbols, kinks spelled out, after every check that it allows."""
    import sympy

    if isinstance(given, str):
        raise TypeError(f"{where} is the text {given!r}; pass a SymPy expression.")
    try:
        expression = sympy.sympify(given)
    except sympy.SympifyError:
        raise TypeError(f"{where} is {given!r}; pass a SymPy expression.") from None
    if not isinstance(expression, sympy.Expr):
        raise TypeError(f"{where} is {given!r}; pass a scalar SymPy expression.")
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
    return expression


def _spelled_out(expression: Any, kinked: Any) -> Any:
    """`expression` with every Abs, Max or Min written as a Piecewise, innermost first."""
    import sympy

    def pieces(*arguments: Any) -> Any:
        if kinked is sympy.Abs:
            (a,) = arguments
            return sympy.Piecewise((a, a >= 0), (-a, True))
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


def _source(function: str, symbols: Sequence[Any], d: int, entries: Mapping[str, Sequence[Any]]) -> str:
    """Python source that fills the arrays named in `entries` for every lane, common subexpressions once."""
    import sympy
    from sympy.printing.pycode import PythonCodePrinter

    printer = PythonCodePrinter()
    expressions = [_with_default(e) for row in entries.values() for e in row]
    shared, finals = sympy.cse(expressions, symbols=sympy.numbered_symbols("t_", real=True))
    lines = [f"def {function}(theta, y, x, {', '.join(entries)}):", "    for q in range(y.shape[1]):"]
    for symbol in symbols:
        array, index = str(symbol).split("_")
        lines.append(f"        {symbol} = {array}[{index}{'' if array == 'theta' else ', q'}]")
    lines += [f"        {symbol} = {printer.doprint(e)}" for symbol, e in shared]
    remaining = iter(finals)
    for array, row in entries.items():
        for number in range(len(row)):
            i, j = divmod(number, len(row) // d)
            place = f"{i}, q" if array == "force" else f"{i}, {j}, q"
            lines.append(f"        {array}[{place}] = {printer.doprint(next(remaining))}")
    return "\n".join([*lines, "        pass", ""])


def _with_default(expression: Any) -> Any:
    """`expression` with NaN where no branch of a Piecewise applies (SymPy would print None)."""
    import sympy

    def total(*branches: Any) -> Any:
        if branches[-1].cond != True:  # noqa: E712  SymPy's truth
            branches = (*branches, (sympy.Symbol("math.nan"), True))
        return sympy.Piecewise(*branches)

    return expression.replace(sympy.Piecewise, total)


def _compiled(source: str) -> Any:
    """The helper that `source` defines."""
    namespace: dict[str, Any] = {"math": math, "__name__": __name__}
    exec(compile(source, "<leapgrad symbolic field>", "exec"), namespace)
    return helper(namespace[source.split("(")[0].removeprefix("def ")])
