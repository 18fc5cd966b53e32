"""The recipes of docs/extend.md: their files are written into a copy of leapgrad and run there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "extend.md").read_text(encoding="utf-8")
FILE = re.compile(r"```python\n# (file|row of|end of): ([^\s,]+)(?:, (\w+))?\n(.*?)```", re.DOTALL)
COPIED = ("integrators", "leapgrad", "proofs", "sensitivity", "tests", "pyproject.toml")


def recipes():
    """Title of each recipe → its files (how, path, text) and its commands."""
    found = {}
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        title = section.splitlines()[0]
        if files := FILE.findall(section):
            shell = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
            found[title] = files, [line for block in shell for line in block.splitlines()]
    return found


def with_row(source, table, row):
    """The source of a file with one more row at the end of a table of its."""
    lines = source.splitlines()
    start = next(number for number, line in enumerate(lines) if re.match(rf"{table}\b.* = [({{]$", line))
    end = next(number for number in range(start, len(lines)) if lines[number] in (")", "}"))
    return "\n".join([*lines[:end], row.rstrip("\n"), *lines[end:], ""])


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """A copy of leapgrad with the files of all recipes, and a function that runs Python there."""
    folder = tmp_path_factory.mktemp("extended")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / name, folder / name)
    for files, _ in recipes().values():
        for how, path, table, text in files:
            target = folder / path
            before = target.read_text(encoding="utf-8") if target.exists() else ""
            assert bool(before) == (how != "file"), path
            if how == "row of":
                text = with_row(before, table, text)
            elif how == "end of":
                text = before + "\n\n" + text
            target.write_text(text, encoding="utf-8")
    kernels = ROOT / "integrators" / "codegen" / "__pycache__"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(folder / "tests")])}
    environment.setdefault("LEAPGRAD_CACHE", str(kernels))

    def python(*arguments):
        return subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, cwd=folder, env=environment
        )

    return python


@pytest.mark.slow
@pytest.mark.parametrize("title", recipes())
def test_the_commands_of_a_recipe_run(extended, title):
    for line in recipes()[title][1]:
        words = shlex.split(line)
        assert words[0] == "leapgrad"
        done = extended("-m", "leapgrad", *words[1:])
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
def test_the_tests_of_the_recipes_pass(extended):
    own = [path for files, _ in recipes().values() for _, path, _, _ in files if "/test_" in path]
    of_tables = ["tests/integrators/cells/test_cells.py", "tests/integrators/schemes/test_schemes.py"]
    named = "test_quartic or test_exponential or elman or ruth3"
    done = extended("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", named, *own, *of_tables)
    assert done.returncode == 0, done.stdout[-3000:]
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > len(own) + 3


def test_each_recipe_touches_as_many_files_as_the_table_says():
    table = dict(re.findall(r"^\| (\w+) \| (\d) \|", PAGE, re.MULTILINE))
    counts = {title.split()[-1]: len(files) for title, (files, _) in recipes().items()}
    counts["bound"] += 1  # its proof, which has a recipe of its own
    assert {name: int(count) for name, count in table.items()} == counts
