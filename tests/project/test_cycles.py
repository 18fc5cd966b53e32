"""No two files import each other, not in a circle and not inside of a function either."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("integrators", "sensitivity", "proofs", "leapgrad")


def run_time(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below, without what stands under ``if TYPE_CHECKING``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for statement in child.orelse:
                yield statement
                yield from run_time(statement)
            continue
        yield child
        yield from run_time(child)


def imports(root: Path) -> dict[str, set[str]]:
    """File → the files of ours that it imports, at its top or inside of a function."""
    names = {}
    for package in PACKAGES:
        for path in (root / package).rglob("*.py"):
            parts = path.relative_to(root).with_suffix("").parts
            names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    graph = {}
    for name, path in names.items():
        package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
        found = set()
        for node in run_time(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                above = package[: len(package) - node.level + 1] if node.level else []
                source = ".".join([*above, *(node.module or "").split(".")]).rstrip(".")
                inside = {f"{source}.{alias.name}" for alias in node.names}
                found |= (inside & set(names)) or {source}
                if not inside <= set(names):
                    found.add(source)
            elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                if ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
                    found.add(str(node.args[0].value))
        graph[name] = (found & set(names)) - {name}
    return graph


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of files that reach each other."""
    reach = {name: set(below) for name, below in graph.items()}
    changed = True
    while changed:
        changed = False
        for below in reach.values():
            more = set().union(*(reach[one] for one in below)) - below
            if more:
                below |= more
                changed = True
    groups = {frozenset(b for b in reach[a] if a in reach[b]) for a in reach if a in reach[a]}
    return sorted(sorted(group) for group in groups)


def test_no_file_imports_itself_by_way_of_others():
    graph = imports(ROOT)
    assert len(graph) > 150
    assert cycles(graph) == []


@pytest.mark.parametrize(
    ("first", "second", "circle"),
    [
        ("from . import b", "from .a import x", True),
        ("import sensitivity.b", "def f():\n    from sensitivity.a import x", True),
        (
            "def f():\n    import importlib\n    importlib.import_module('sensitivity.b')",
            "from . import a",
            True,
        ),
        ("if TYPE_CHECKING:\n    from .b import T", "from .a import x", False),
        ("from .b import x", "import numpy", False),
    ],
)
def test_a_circle_is_found(tmp_path, first, second, circle):
    folder = tmp_path / "sensitivity"
    folder.mkdir()
    for name, text in (("__init__", ""), ("a", first), ("b", second)):
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    expected = [["sensitivity.a", "sensitivity.b"]] if circle else []
    assert cycles(imports(tmp_path)) == expected
