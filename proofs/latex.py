"""LaTeX for teaching: a report as a fragment that needs only ``amsmath`` and ``amssymb``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import sympy as sp

from .kernel.formulas import stated
from .kernel.notation import typesetting

if TYPE_CHECKING:
    from .report import Report

_MATH = {
    "ẏ": r"\dot y", "ÿ": r"\ddot y", "ṗ": r"\dot p", "ż": r"\dot z", "α": r"\alpha", "β": r"\beta",
    "γ": r"\gamma", "δ": r"\delta", "ε": r"\varepsilon", "θ": r"\theta", "κ": r"\kappa", "λ": r"\lambda",
    "μ": r"\mu", "ν": r"\nu", "ξ": r"\xi", "π": r"\pi", "ρ": r"\rho", "σ": r"\sigma", "τ": r"\tau",
    "φ": r"\varphi", "ω": r"\omega", "Δ": r"\Delta", "Σ": r"\sum ", "Π": r"\prod ", "Φ": r"\Phi",
    "Ω": r"\Omega", "ℝ": r"\mathbb R", "ℂ": r"\mathbb C", "∂": r"\partial ", "∇": r"\nabla ",
    "∫": r"\int ", "√": r"\surd ", "∞": r"\infty", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ",
    "≡": r"\equiv ", "≈": r"\approx ", "∈": r"\in ", "∉": r"\notin ", "∘": r"\circ ", "×": r"\times ",
    "·": r"\cdot ", "→": r"\to ", "↦": r"\mapsto ", "⇒": r"\Rightarrow ", "⇔": r"\Leftrightarrow ",
    "∝": r"\propto ", "±": r"\pm ", "−": "-", "‖": r"\Vert ", "∮": r"\oint ", "ᵀ": r"^{\top}",
    "⁻": "^{-}", "¹": "^{1}", "²": "^{2}", "³": "^{3}", "⁴": "^{4}", "⁵": "^{5}", "⁶": "^{6}",
    "⁷": "^{7}", "⁸": "^{8}", "₀": "_{0}", "₁": "_{1}", "₂": "_{2}", "₃": "_{3}", "½": r"\tfrac12",
    "¼": r"\tfrac14", "C̃": r"\tilde C", "H̃": r"\tilde H", "…": r"\dots ", "⟨": r"\langle ",
    "⟩": r"\rangle ", "∀": r"\forall ", "←": r"\leftarrow ", "⋯": r"\cdots ", "⁰": "^{0}", "⊥": r"\perp ",
    "′": "'", "ⁿ": "^{n}", "ᴺ": "^{N}", "ᵢ": "_{i}", "∏": r"\prod ",
}  # fmt: skip
_TEXT = {
    "’": "'",
    "‘": "`",
    "“": "``",
    "”": "''",
    "–": "--",
    "—": "---",
    "é": r"\'e",
    "ö": r"\"o",
    "ü": r"\"u",
}
_RESERVED = {
    "&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}", "$": r"\$", "<": "$<$",
    ">": "$>$", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}",
    "|": r"$\vert$",
}  # fmt: skip
# Neighbouring raised (or lowered) characters are one superscript: TeX refuses two in a row.
_RUNS = "|".join(
    f"[{''.join(key for key, value in _MATH.items() if value.startswith(mark))}]+" for mark in ("^{", "_{")
)
_SYMBOLS = "|".join([_RUNS, *map(re.escape, sorted(_MATH, key=len, reverse=True))])
_SUBSCRIPTED = rf"(?<![A-Za-z_])(?:{_SYMBOLS}|[A-Za-z])_(?:\{{[^{{}}]*\}}|[A-Za-z0-9](?![A-Za-z0-9_]))"
_TOKEN = re.compile(f"{_SUBSCRIPTED}|{_SYMBOLS}|.", re.DOTALL)


def _symbol(token: str) -> str:
    """One symbol, or a run of raised or lowered ones, as mathematics."""
    if token in _MATH:
        return _MATH[token]
    parts = [_MATH[character] for character in token]
    return f"{parts[0][0]}{{{''.join(part[2:-1] for part in parts)}}}"


def text(sentence: str) -> str:
    """Return ``sentence`` as ASCII LaTeX text; symbols and subscripts become inline mathematics."""

    def convert(match: re.Match[str]) -> str:
        token = match.group()
        if re.fullmatch(_SYMBOLS, token):
            return f"${_symbol(token).strip()}$"
        if "_" in token[1:]:
            return f"${re.sub(_SYMBOLS, lambda found: _symbol(found.group()), token)}$"
        token = _TEXT.get(token, _RESERVED.get(token, token))
        return token if token.isascii() else f"[U+{ord(token):04X}]"

    return _TOKEN.sub(convert, sentence).replace("$$", " ")


def formula(value: object, limit: int = 400) -> str:
    """Return what a step computed, as inline mathematics where SymPy can print it and it is short enough."""
    if isinstance(value, Mapping):
        return "; ".join(f"{text(str(key))}: {formula(item, limit)}" for key, item in list(value.items())[:8])
    if isinstance(value, (sp.Basic, sp.MatrixBase)):
        printed = sp.latex(value)
        if len(printed) <= limit and printed.isascii():
            return f"${printed}$"
        return f"\\emph{{({len(printed)} characters)}}"
    shown = str(value)
    return text(shown if len(shown) <= limit else f"{shown[:limit]}…")


def standalone(reports: Iterable[Report]) -> str:
    """A complete LaTeX file with one section for each report. It needs the packages amsmath and amssymb only.

    Parameters
    ----------
    reports : iterable of Report
        What `check` returned.

    Returns
    -------
    str

    Raises
    ------
    TypeError
        If `reports` holds something else.

    Examples
    --------
    >>> import leapgrad as lg
    >>> text = lg.standalone([lg.check("lemma_3_1")])
    >>> "amsmath" in text
    True
    """
    reports = list(reports) if isinstance(reports, Iterable) else [reports]
    for report in reports:
        if not hasattr(report, "proposition"):
            raise TypeError(f"reports must hold what check(name) returns, got {report!r}.")
    head = "\\documentclass{article}\n\\usepackage{amsmath,amssymb}\n\\raggedright\n\\begin{document}\n"
    return head + "\n\n".join(map(document, reports)) + "\n\\end{document}\n"


def typeset(sentence: object, words: Callable[[str], str], limit: int = 600) -> str:
    """A formula with its words, as text with LaTeX between dollar signs.

    Parameters
    ----------
    sentence : Formula, or anything else
    words : callable
        Makes what lies between the formulas fit for where it goes.
    limit : int
        A plain text that is longer is cut off there, and not typeset.
    """
    shown = " ".join(str(sentence).split())
    if len(shown) > limit:
        return words(f"{shown[:limit]}…")
    with typesetting():
        parts = re.split(r"(\$[^$]*\$)", " ".join(str(sentence).split()))
    return "".join(_in_ascii(part) if part.startswith("$") else words(part) for part in parts)


def _in_ascii(formula: str) -> str:
    """A formula whose symbols have letters of their own, σ_0, in those of LaTeX."""
    return re.sub(_SYMBOLS, lambda found: _symbol(found.group()), formula)


def _short(sentence: object) -> str:
    return typeset(sentence, text)


def document(report: Report) -> str:
    """Return a LaTeX fragment for a report."""
    prop = report.proposition
    lines = [
        rf"\section*{{{text(prop.title)}}}",
        rf"\textbf{{Source.}} {text(prop.source)}.\par",
        rf"\textbf{{Statement.}} {'; '.join(map(_short, stated(prop.statement)))}\par",
    ]
    if prop.hypotheses:
        lines.append(r"\textbf{Hypotheses.}\begin{itemize}")
        lines += [
            rf"\item \emph{{{text(name)}}}: {_short(sentence)}" for name, sentence in prop.hypotheses.items()
        ]
        lines.append(r"\end{itemize}")
    lines.append(r"\textbf{Steps.}\begin{enumerate}")
    for item in report.steps:
        lines.append(rf"\item \emph{{{text(item.step.name)}}} ({item.step.role}). {_short(item.step.claim)}.")
        lines.append(
            rf"\\ {item.decision.outcome}: {text(item.decision.note)}. {formula(item.decision.computed)}"
        )
        if item.decision.counterexample is not None:
            lines.append(rf"\\ Counterexample: {formula(item.decision.counterexample)}")
    lines.append(r"\end{enumerate}")
    lines.append(rf"\textbf{{Verdict.}} {text(report.headline)}.")
    return "\n".join(lines)
