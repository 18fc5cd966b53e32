"""`leapgrad notebooks`: the notebooks, copied for a class."""

from __future__ import annotations

import argparse
from pathlib import Path

from sensitivity.cli.command import Command
from sensitivity.cli.output import print_json

__all__ = ["COMMAND", "source_folder"]

EXAMPLES = """\
  leapgrad notebooks course
  leapgrad notebooks course --no-outputs"""


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


def run(args: argparse.Namespace) -> int:
    from sensitivity.files import replacing_folder

    target, sources = Path(args.folder), sorted(source_folder().glob("*.ipynb"))
    taken = [path.name for path in sources if (target / path.name).exists()]
    if taken:
        raise FileExistsError(
            f"{target} already holds {', '.join(taken)}; name another folder, or move them away first."
        )
    with replacing_folder(target) as folder:
        for path in sources:
            text = path.read_text(encoding="utf-8")
            (folder / path.name).write_text(_bare(text) if args.no_outputs else text, encoding="utf-8")
    names = [path.name for path in sources]
    if args.json:
        print_json({"folder": str(target), "files": names})
    else:
        print("\n".join(names))
        print(f"\n{len(names)} notebooks in {target}; open them with: jupyter lab {target}")
    return 0


def _bare(text: str) -> str:
    """A notebook without outputs."""
    import json

    notebook = json.loads(text)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


COMMAND = Command("notebooks", "copy the notebooks into a folder", add_arguments, run, examples=EXAMPLES)
