"""Run the notebooks: pairs of a script (jupytext, py:percent) and an .ipynb with outputs.

``python docs/execute.py`` runs every script and writes its .ipynb; ``--fast`` runs short versions and writes
nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted((ROOT / "notebooks").glob("*.py"))
LIMIT = 300


def executed(script: Path, fast: bool) -> Any:
    """The notebook of a script after a run in a kernel of its own; CellExecutionError if a cell fails."""
    notebook = jupytext.read(script)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"  # random ones would change the file in every run
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    environment["LEAPGRAD_FAST"] = "1" if fast else "0"
    # Kept outputs are read without a kernel, and sliders need one; quick runs execute the sliders too.
    environment["LEAPGRAD_STATIC"] = "0" if fast else "1"
    client = NotebookClient(
        notebook,
        timeout=LIMIT,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(script.parent)}},
    )
    client.execute(env=environment)
    notebook.metadata.pop("language_info", None)
    return _joined(notebook)


def _joined(notebook: Any) -> Any:
    """Neighbouring pieces of one output stream as one: how they are cut depends on the machine's speed."""
    for cell in notebook.cells:
        outputs: list[Any] = []
        for output in cell.get("outputs", []):
            same = outputs and output.output_type == outputs[-1].output_type == "stream"
            if same and output.name == outputs[-1].name:
                outputs[-1].text += output.text
            else:
                outputs.append(output)
        if cell.cell_type == "code":
            cell.outputs = outputs
    return notebook


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="beginnings of names; all notebooks by default")
    parser.add_argument("--fast", action="store_true", help="short runs, nothing written")
    args = parser.parse_args(None if arguments is None else list(arguments))
    for script in SCRIPTS:
        if args.names and not script.name.startswith(tuple(args.names)):
            continue
        start = time.perf_counter()
        notebook = executed(script, args.fast)
        if not args.fast:
            nbformat.write(notebook, script.with_suffix(".ipynb"))
        print(f"{script.stem}: {time.perf_counter() - start:.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
