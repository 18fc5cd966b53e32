"""A paper: its ledger, the verdicts of its claims, and these as Markdown, as data and as a short table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integrators.naming import nearest

from .ledger import MEANING, Claim, ClaimVerdict, Finding, Judged, Report

__all__ = ["Paper", "summary"]


@dataclass(frozen=True)
class Paper:
    """What a paper claims.

    Attributes
    ----------
    title : str
        A short name, for headings.
    citation : str
        In Markdown.
    notes : tuple of str
        Paragraphs before the table: how its evidence can be seen, and its notation.
    claims : mapping
        Name → claim, in the order of the paper.
    tools : callable
        ``tools(check, **options)`` makes what the rows compute with.
    """

    title: str
    citation: str
    notes: tuple[str, ...]
    claims: Mapping[str, Claim]
    tools: Callable[..., Any]

    @property
    def plain(self) -> str:
        """The citation without marks."""
        return self.citation.replace("*", "")

    def chosen(self, names: Iterable[str] = ()) -> list[Claim]:
        """The claims of these names, or all of them; a ValueError names the nearest to an unknown one."""
        if isinstance(names, (str, bytes)) or not isinstance(names, Iterable):
            known = next(iter(self.claims))
            raise TypeError(f"names must be several names of claims, as in [{known!r}], got {names!r}.")
        found = []
        for name in names or self.claims:
            if name not in self.claims:
                raise ValueError(str(nearest("claim", name, self.claims)))
            found.append(self.claims[name])
        return found

    def evaluate(
        self,
        check: Callable[[str], Report],
        names: Iterable[str] = (),
        tick: Callable[[str], None] | None = None,
        **options: Any,
    ) -> list[Judged]:
        """Decide claims now.

        Parameters
        ----------
        check : callable
            Name of a proposition → its report (``proofs.check``).
        names : iterable of str
            Claims to decide; all of them if there are none.
        tick : callable, optional
            Called with the name of each claim before it is decided.
        **options
            Of the paper's tools.

        Raises
        ------
        ValueError
            If a name is not in the ledger; the message says the nearest one.
        """
        claims, tools = self.chosen(names), self.tools(check, **options)
        found = []
        for claim in claims:
            if tick is not None:
                tick(claim.name)
            found.append(Judged(claim, _decided(claim, tools)))
        return found

    def to_markdown(self, judged: Sequence[Judged]) -> str:
        """A page to be read alone: what the verdicts mean, the table, and every claim with its evidence."""
        lines = [
            f"# {self.title}: what the paper claims, and what was found",
            "",
            f"The paper: {self.citation}. Equation, example, figure and table numbers are its own.",
            "Claims are stated in our words. Every verdict was computed by `leapgrad claims` when it wrote "
            "this page. The command under a claim shows its evidence.",
            *self.notes,
            "",
            "What the verdicts say:",
            "",
            *(f"- **{verdict}**: {meaning}" for verdict, meaning in MEANING.items()),
            "",
            "| claim | place in the paper | verdict |",
            "|---|---|---|",
        ]
        for one in judged:
            name, headline = one.claim.name, one.finding.headline.replace("|", "\\|")
            lines.append(f"| [{name}](#{name}) | {one.claim.place} | {headline} |")
        for one in judged:
            lines += [
                "",
                f"## {one.claim.name}",
                "",
                one.claim.text,
                "",
                f"- Place: {one.claim.place}",
                f"- Verdict: **{one.finding.headline}**",
                *(f"- Evidence: {text}" for text in one.finding.evidence),
                f"- Check it: `{one.claim.command}`",
            ]
        return "\n".join([*lines, ""])

    def to_json(self, judged: Sequence[Judged]) -> dict[str, Any]:
        """The same as data."""
        return {
            "paper": self.plain,
            "counts": {str(verdict): count for verdict, count in _counts(judged).items()},
            "meaning": {str(verdict): meaning for verdict, meaning in MEANING.items()},
            "claims": [
                {
                    "name": one.claim.name,
                    "place": one.claim.place,
                    "claim": one.claim.text,
                    "verdict": str(one.finding.verdict),
                    "condition": one.finding.condition,
                    "evidence": list(one.finding.evidence),
                    "numbers": dict(one.finding.numbers),
                    "command": one.claim.command,
                }
                for one in judged
            ],
        }


def _decided(claim: Claim, tools: Any) -> Finding:
    """The finding; a check that breaks down decides nothing, and must not hide the other rows."""
    try:
        return claim.decide(tools)
    except Exception as error:
        return Finding(ClaimVerdict.UNDECIDED, (f"{type(error).__name__}: {error}",))


def summary(judged: Sequence[Judged]) -> str:
    """A short table, one claim a line, for the end of a run."""
    width = max((len(one.claim.name) for one in judged), default=0)
    lines = [f"{one.claim.name.ljust(width)}  {_short(one.finding.headline)}" for one in judged]
    counts = ", ".join(f"{count} {verdict}" for verdict, count in _counts(judged).items())
    return "\n".join([*lines, "", f"{len(judged)} claims: {counts}"])


def _counts(judged: Sequence[Judged]) -> dict[ClaimVerdict, int]:
    counted = Counter(one.finding.verdict for one in judged)
    return {verdict: counted[verdict] for verdict in ClaimVerdict if counted[verdict]}


def _short(text: str, width: int = 76) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
