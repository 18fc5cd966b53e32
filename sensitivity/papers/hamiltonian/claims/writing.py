"""The ledger as Markdown, as JSON-ready data, and as a short table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from .row import MEANING, Judged, Verdict

__all__ = ["summary", "to_json", "to_markdown"]

PAPER = (
    "K. Rusch, J. W. Pearson, K. C. Zygalakis, *Constructing Gradient Controllable Recurrent Neural Networks "
    "Using Hamiltonian Dynamics* (November 2019)"
)


def to_markdown(judged: Sequence[Judged]) -> str:
    """A page that can be read alone: what the verdicts mean, the table, and every claim with its evidence."""
    used = [verdict for verdict in Verdict if any(j.finding.verdict is verdict for j in judged)]
    lines = [
        "# What the paper claims, and what was found",
        "",
        f"The paper: {PAPER}. Equation, example, figure and table numbers are its own.",
        "Claims are stated in our words. Every verdict was computed by `leapgrad claims` when it wrote this "
        "page. The command under a claim shows its evidence, `leapgrad claims NAME` decides one claim again, "
        "and `leapgrad reproduce figures` draws the curves of Figures 1 to 3 on a finer grid of steps.",
        "y is the hidden state, W the recurrent matrix, b the bias, σ the activation (tanh where the paper "
        "prints none), ε the step, N the sequence length, T = Nε the final time, d the hidden dimension; ‖·‖ "
        "is the spectral norm. Further u = Wy + b, D(u) = diag(σ'(u)), F(y) = σ(u) with derivative "
        "DF = D(u)W, S(t) = ∂y(t)/∂y(0), L = sup|σ'|, C_N the Chebyshev polynomial of the first kind, and "
        "σ_0 the value of σ(u) at the start.",
        "",
        *(f"- **{verdict}**: {MEANING[verdict]}" for verdict in used),
        "",
        "| claim | place in the paper | verdict |",
        "|---|---|---|",
        *(f"| {_link(j)} | {j.claim.place} | {_cell(j.finding.headline)} |" for j in judged),
        "",
    ]
    for j in judged:
        lines += [
            f"## {j.claim.name}",
            "",
            f"{j.claim.text}",
            "",
            f"- Place: {j.claim.place}",
            f"- Verdict: **{j.finding.headline}**",
            *(f"- Evidence: {text}" for text in j.finding.evidence),
            f"- Check it: `{j.claim.command}`",
            "",
        ]
    return "\n".join(lines)


def to_json(judged: Sequence[Judged]) -> dict[str, Any]:
    """The same as data."""
    return {
        "paper": PAPER.replace("*", ""),
        "counts": {str(verdict): count for verdict, count in _counts(judged).items()},
        "claims": [
            {
                "name": j.claim.name,
                "place": j.claim.place,
                "claim": j.claim.text,
                "verdict": str(j.finding.verdict),
                "condition": j.finding.condition,
                "evidence": list(j.finding.evidence),
                "numbers": dict(j.finding.numbers),
                "command": j.claim.command,
            }
            for j in judged
        ],
    }


def summary(judged: Sequence[Judged]) -> str:
    """A short table, one claim a line, for the end of a run."""
    width = max((len(j.claim.name) for j in judged), default=0)
    lines = [f"{j.claim.name.ljust(width)}  {_short(j.finding.headline)}" for j in judged]
    counts = ", ".join(f"{count} {verdict}" for verdict, count in _counts(judged).items())
    return "\n".join([*lines, "", f"{len(judged)} claims: {counts}"])


def _counts(judged: Sequence[Judged]) -> dict[Verdict, int]:
    counted = Counter(j.finding.verdict for j in judged)
    return {verdict: counted[verdict] for verdict in Verdict if counted[verdict]}


def _link(judged: Judged) -> str:
    return f"[{judged.claim.name}](#{judged.claim.name})"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _short(text: str, width: int = 76) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
