"""`leapgrad notebooks`: the lessons, copied for a class, and JupyterLab to read them in."""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sensitivity.cli.command import Command
from sensitivity.cli.output import print_json

__all__ = ["COMMAND", "source_folder"]

EXAMPLES = """\
  leapgrad notebooks course --lab
  leapgrad notebooks students --no-solutions --no-outputs"""

ANSWER = "# Your solution"
"""What stands in the cell of a solution that is left out."""


def source_folder() -> Path:
    """The folder of the notebooks: inside the installed package, or beside it in a checkout.

    Raises
    ------
    FileNotFoundError
        If this copy of leapgrad came without them.
    """
    package = Path(__file__).resolve().parents[2]
    for folder in (package / "notebooks", package.parent / "notebooks"):
        if any(folder.glob("*.ipynb")):
            return folder
    raise FileNotFoundError("this copy of leapgrad has no notebooks; install it from a wheel or a checkout.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", help="folder to copy to; it is made if need be")
    parser.add_argument("--no-outputs", action="store_true", help="without results, for students to run")
    parser.add_argument(
        "--no-solutions",
        action="store_true",
        help="without the solutions of the exercises; an empty cell stands in place of each",
    )
    parser.add_argument(
        "--lab",
        action="store_true",
        help="open JupyterLab in DIR; if DIR has the notebooks already, they stay as they are",
    )


def run(args: argparse.Namespace) -> int:
    if args.lab and importlib.util.find_spec("jupyterlab") is None:
        raise ValueError("--lab needs the package jupyterlab: pip install 'leapgrad[notebooks]'.")
    if args.lab and args.json:
        raise ValueError("--lab and --json do not go together: JupyterLab writes to the terminal.")
    target, sources = Path(args.folder), sorted(source_folder().glob("*.ipynb"))
    names = [path.name for path in sources]
    taken = [name for name in names if (target / name).exists()]
    if args.lab and len(taken) == len(names):
        print(f"The {len(names)} notebooks in {target} stay as they are.", flush=True)
        return _open(target)
    if taken:
        raise FileExistsError(
            f"{target} already holds {', '.join(taken)}; name another folder, move them away "
            "first, or open the folder as it is with --lab."
        )
    _copy(sources, target, outputs=not args.no_outputs, solutions=not args.no_solutions)
    if args.json:
        print_json({"folder": str(target), "files": names})
        return 0
    print("\n".join(names))
    end = "" if args.lab else f"; open them with: leapgrad notebooks {target} --lab"
    print(f"\n{len(names)} notebooks in {target}{end}", flush=True)
    return _open(target) if args.lab else 0


def _copy(sources: Sequence[Path], target: Path, *, outputs: bool, solutions: bool) -> None:
    """Copy the notebooks, byte by byte where nothing is left out."""
    import json

    from sensitivity.files import replacing_folder

    with replacing_folder(target) as folder:
        for path in sources:
            text = path.read_text(encoding="utf-8")
            if not (outputs and solutions):
                notebook = json.loads(text)
                for cell in notebook["cells"]:
                    _leave_out(cell, outputs=outputs, solutions=solutions)
                text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
            (folder / path.name).write_text(text, encoding="utf-8")


def _leave_out(cell: dict[str, Any], *, outputs: bool, solutions: bool) -> None:
    """Empty a cell that holds a solution, and take the results out of the others, as asked."""
    solved = "solution" in cell["metadata"].get("tags", ())
    if solved and not solutions:
        cell["cell_type"], cell["source"], cell["metadata"] = "code", [ANSWER], {}
    if cell["cell_type"] == "code" and (not outputs or (solved and not solutions)):
        cell["outputs"], cell["execution_count"] = [], None


def _open(folder: Path) -> int:
    """Run JupyterLab in the folder until it is stopped; its exit status."""
    return subprocess.run([sys.executable, "-m", "jupyterlab", str(folder)], check=False).returncode


COMMAND = Command(
    "notebooks", "copy the lessons into a folder, and open them", add_arguments, run, examples=EXAMPLES
)
