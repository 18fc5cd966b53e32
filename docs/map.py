"""The map: every file of the packages with the first sentence of its docstring, folder by folder."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

__all__ = ["FOLDERS", "entries", "page"]

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("leapgrad", "integrators", "sensitivity", "proofs", "benchmarks", "docs")
"""Top folders, in the order of the page."""


def entries(folder: str) -> Iterator[tuple[Path, str]]:
    """Each Python file below a top folder, and the first paragraph of its docstring, on one line."""
    for path in sorted((ROOT / folder).rglob("*.py"), key=lambda path: (path.parent, path.name)):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        yield path.relative_to(ROOT), " ".join(text.split("\n\n")[0].split())


def page() -> str:
    """A section for each folder, with a table of its files."""
    lines: list[str] = []
    for top in FOLDERS:
        parent = None
        for path, sentence in entries(top):
            if path.parent != parent:
                parent = path.parent
                lines += ["", f"## {parent.as_posix()}", ""]
                lines += ["| file | what it holds |", "|---|---|"]
            lines.append(f"| `{path.name}` | {_safe(sentence)} |")
    return "\n".join([*lines, ""])


def _safe(text: str) -> str:
    for sign in "\\|*_<$":
        text = text.replace(sign, f"\\{sign}")
    return text
