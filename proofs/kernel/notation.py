"""SymPy expressions as one line of plain text, ‖T_i‖ ≤ cosh(i·θ), or as mathematics for LaTeX."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import sympy as sp
from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

_GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "varepsilon": "ε", "theta": "θ", "kappa": "κ",
    "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ",
    "phi": "φ", "omega": "ω", "Delta": "Δ", "Omega": "Ω", "zeta": "z",
}  # fmt: skip
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_WORD = re.compile(rf"(?<![A-Za-z])({'|'.join(_GREEK)})(?![A-Za-z])")


_LONG = 150
"""A matrix with more operations than this is not printed."""


class _Text(StrPrinter):
    """Names of functions in the letters of the formulas; everything else as SymPy prints it."""

    def _print_Function(self, expr: Any) -> str:
        name, arguments = expr.func.__name__, [self._print(argument) for argument in expr.args]
        if name == "norm":
            return f"‖{arguments[0]}‖"
        if getattr(expr.func, "is_family", False):
            index = arguments[0]
            return f"{expr.func.letter}_{index if len(index) == 1 else f'{{{index}}}'}"
        plain = {"dsigma": "σ'", "ddsigma": "σ''", "primitive": "∫σ", "act": "σ"}.get(name, name)
        return f"{plain}({', '.join(arguments)})"

    def _print_Abs(self, expr: Any) -> str:
        return f"|{self._print(expr.args[0])}|"

    def _print_Pow(self, expr: Any, rational: bool = False) -> str:
        if expr.exp == sp.Rational(1, 2):
            return f"√({self._print(expr.base)})"
        return super()._print_Pow(expr, rational)

    def _print_Infinity(self, expr: Any) -> str:  # type: ignore[override]
        return "∞"


class _Latex(LatexPrinter):
    """The same names as `_Text` in LaTeX."""

    def __init__(self) -> None:
        super().__init__({"symbol_names": {sp.Symbol("zeta"): "z"}})

    def _print_Function(self, expr: Any, exp: Any = None) -> str:
        name = expr.func.__name__
        if name == "norm":
            printed = rf"\left\Vert {self._print(expr.args[0])} \right\Vert"
        elif getattr(expr.func, "is_family", False):
            printed = f"{expr.func.letter}_{{{self._print(expr.args[0])}}}"
        elif name in _LETTERS:
            printed = rf"{_LETTERS[name]}\left({self._print(expr.args[0])}\right)"
        else:
            return super()._print_Function(expr, exp)
        return printed if exp is None else f"{{{printed}}}^{{{exp}}}"


_LETTERS = {"dsigma": r"\sigma'", "ddsigma": r"\sigma''", "primitive": r"\int \sigma", "act": r"\sigma"}
_AS_LATEX: ContextVar[bool] = ContextVar("_AS_LATEX", default=False)


@contextmanager
def typesetting() -> Iterator[None]:
    """Within it, `show` gives mathematics between dollar signs, and so does the text of every formula."""
    token = _AS_LATEX.set(True)
    try:
        yield
    finally:
        _AS_LATEX.reset(token)


def is_typesetting() -> bool:
    """Whether `typesetting` is in force."""
    return _AS_LATEX.get()


def show(expression: Any) -> str:
    """Return an expression (or anything else) as one line of text."""
    if isinstance(expression, sp.MatrixBase) and sum(map(sp.count_ops, expression.flat())) > _LONG:
        return f"a {expression.rows}×{expression.cols} matrix, too long to print"
    if isinstance(expression, sp.MatrixBase) and not is_typesetting():
        return f"({'; '.join(', '.join(show(x) for x in expression.row(k)) for k in range(expression.rows))})"
    if not isinstance(expression, (sp.Basic, sp.MatrixBase)):
        return str(expression)
    if isinstance(expression, sp.Basic) and sp.count_ops(expression) > 10 * _LONG:
        return "an expression too long to print"
    if is_typesetting():
        return f"${_Latex().doprint(expression)}$"
    text = _Text().doprint(expression)
    text = re.sub(r"\*\*(-?\d+)(?![\d.])", lambda power: power.group(1).translate(_SUPERSCRIPT), text)
    text = text.replace("**", "^").replace("*", "·")
    return _WORD.sub(lambda word: _GREEK[word.group()], text).replace(" - ", " − ")
