"""The rooms: few files in each, every class name once, no function too long to be read at one sight."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("integrators", "leapgrad", "proofs", "sensitivity")
MOST_FILES = 15
MOST_LINES = 60


def modules(root: Path) -> dict[str, Path]:
    """Dotted name → file, of all packages."""
    found = {}
    for path in sorted(p for package in PACKAGES for p in (root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def test_every_class_name_stands_once():
    places = defaultdict(list)
    for name, path in modules(ROOT).items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(name)
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_no_folder_holds_too_many_files():
    folders = defaultdict(int)
    for path in modules(ROOT).values():
        folders[path.parent.relative_to(ROOT).as_posix()] += 1
    assert {folder: count for folder, count in folders.items() if count > MOST_FILES} == {}


def lines_of(node: ast.FunctionDef) -> int:
    """Lines of a function without its docstring."""
    own = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node) is None:
        return own
    text = node.body[0]
    return own - ((text.end_lineno or text.lineno) - text.lineno + 1)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_function_is_too_long(package):
    long = {}
    for name, path in modules(ROOT).items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if name.split(".")[0] == package and isinstance(node, ast.FunctionDef):
                if lines_of(node) > MOST_LINES:
                    long[f"{name}.{node.name}"] = lines_of(node)
    assert long == {}
