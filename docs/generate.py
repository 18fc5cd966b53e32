"""Write the pages that are made from the code: theory, claims, commands, API, gallery; copy the notebooks.

``python docs/generate.py`` fills docs/_generated. What takes long (claims, figures, proofs) is kept until a
source of the packages changes.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
# The script runs by its path, so that its own package is not found without this; hence the late imports.
sys.path.insert(0, str(ROOT))

from docs import api, gallery, map, theory  # noqa: E402
from sensitivity.cli import main as leapgrad  # noqa: E402
from sensitivity.cli.command import leaves  # noqa: E402
from sensitivity.cli.registry import COMMANDS  # noqa: E402
from sensitivity.papers.catalogue import PAPERS, paper  # noqa: E402

TARGET = HERE / "_generated"
PACKAGES = ("integrators", "leapgrad", "sensitivity", "proofs")


def write(name: str, text: str) -> None:
    """A page, only touched when it changes, so that Sphinx reads again what is new."""
    path = TARGET / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def digest() -> str:
    """Of all sources of the packages and of these scripts."""
    found = hashlib.sha256()
    for folder in ("docs", *PACKAGES):
        for path in sorted((ROOT / folder).rglob("*.py")):
            found.update(path.read_bytes())
    return found.hexdigest()


def once(name: str, sources: str, make: Callable[[], None]) -> None:
    """Make what takes long, unless the same sources made it already."""
    stamp = TARGET / f".{name}"
    if stamp.exists() and stamp.read_text() == sources:
        return
    stamp.unlink(missing_ok=True)
    make()
    stamp.write_text(sources)


def output_of(*arguments: str) -> str:
    """What a command prints; it must succeed."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = leapgrad(arguments)
    if status:
        raise RuntimeError(f"leapgrad {' '.join(arguments)} ended with status {status}")
    return out.getvalue()


def claims() -> None:
    """The ledger of every paper with its verdicts, computed now, and a page that lists them."""
    output_of("claims", "--paper", "all", "--out", str(TARGET / "papers"))
    text = (
        "# Papers\n\nWhat papers claim about gradients of recurrent networks, and what leapgrad finds. Every "
    )
    text += "verdict is computed by `leapgrad claims --paper NAME` when this page is made.\n\n"
    text += "| paper | `--paper` | ledger |\n|---|---|---|\n"
    for name in PAPERS:
        one = paper(name)
        text += f"| {one.citation} | `{name}` | [{len(one.claims)} claims](papers/{name}/claims.md) |\n"
    toctree = "\n".join(f"papers/{name}/claims" for name in PAPERS)
    write("claims.md", f"{text}\n```{{toctree}}\n:hidden:\n\n{toctree}\n```\n")


def commands() -> None:
    """The help of every command, as it prints it."""
    text = "# The command `leapgrad`\n\nThe same texts: `leapgrad COMMAND --help`. "
    text += "Exit status, JSON and completion are the same for all: [Shell](../shell.md).\n"
    for path in leaves(COMMANDS):
        text += f"\n## leapgrad {' '.join(path)}\n\n```text\n{output_of(*path, '--help').rstrip()}\n```\n"
    write("commands.md", text)


def performance() -> None:
    """A place for the measurements, which are kept in docs/performance.md."""
    there = (HERE / "performance.md").exists()
    text = "```{include} ../performance.md\n:relative-images:\n```\n" if there else (
        "# Performance\n\n`make bench` measures; this checkout holds no results.\n"
    )  # fmt: skip
    write("performance.md", text)


def notebooks() -> None:
    """Copies, because Sphinx reads only what lies below this folder."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        (TARGET / "notebooks").mkdir(exist_ok=True)
        shutil.copy2(path, TARGET / "notebooks" / path.name)


def main() -> int:
    TARGET.mkdir(exist_ok=True)
    sources = digest()
    once("claims", sources, claims)
    once("gallery", sources, lambda: gallery.draw(TARGET / "gallery"))
    once("theory", sources, lambda: theory.pages(write))
    api.pages(write)
    write("gallery/index.md", gallery.page())
    write("map.md", "# Every file\n" + map.page())
    commands()
    performance()
    notebooks()
    return 0


if __name__ == "__main__":
    sys.exit(main())
