"""How notebooks show a result: its summary in one line, a table, and a picture where there is one."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["Displayed", "Table"]

Table = tuple[Sequence[str], Iterable[Sequence[str]]]

# A notebook shows the beginning of longer tables.
MOST_ROWS = 20


class Displayed:
    """Mixin: Jupyter shows `repr` as text, the rows of `_table`, and the picture of `_repr_png_`.

    Colours and widths are those of the notebook's own style sheet, so that dark themes stay dark.
    """

    def _table(self) -> Table | None:
        """Header and rows, of text; None for a result that one line describes."""
        return None

    def _repr_png_(self) -> bytes | None:
        """The picture of the result as a PNG file; None if it has none."""
        return None

    def _repr_html_(self) -> str:
        summary = repr(self)
        if summary.startswith("<") and summary.endswith(">"):
            summary = summary[1:-1]
        parts = [f"<pre>{escape(summary)}</pre>"]
        if (table := self._table()) is not None:
            parts.append(_html(*table))
        if (picture := self._repr_png_()) is not None:
            data = base64.b64encode(picture).decode("ascii")
            name = escape(type(self).__name__, quote=True)
            style = "max-width: 100%; background: white"
            parts.append(f'<img alt="picture of {name}" style="{style}" src="data:image/png;base64,{data}">')
        return "\n".join(parts)


def _html(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table as HTML; the rows after the first MOST_ROWS are counted."""
    lines = ["<table>", _row("th", header)]
    left = 0
    for number, row in enumerate(rows):
        if number < MOST_ROWS:
            lines.append(_row("td", row))
        else:
            left += 1
    if left:
        lines.append(f'<tr><td colspan="{len(header)}">… {left} more</td></tr>')
    return "\n".join([*lines, "</table>"])


def _row(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
