"""The import arrows: integrators ← sensitivity, integrators ← proofs, and nothing points back."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# What each folder may import of ours, besides itself.
ARROWS = {
    "integrators": set(),
    "sensitivity": {"integrators"},
    "proofs": {"integrators"},
    "leapgrad": {"integrators", "sensitivity", "proofs"},
    "benchmarks": {"integrators", "sensitivity", "proofs"},
    "notebooks": {"leapgrad"},
}
OURS = {*ARROWS, "tests"}
# The command line is the edge of the program: the one place where calculations and proofs meet.
EDGE = {"sensitivity/cli/": {"proofs"}}
# Modules that hold no numerics, and the libraries they therefore have no use for.
WITHOUT = {
    "sensitivity/figures/plots.py": {"numba", "scipy"},
    "sensitivity/papers/hamiltonian/figures.py": {"numba", "scipy"},
}


def imported(source: str) -> set[str]:
    """Top-level names of the packages that `source` imports anywhere in it, by statement or by importlib."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            function = ast.unparse(node.func)
            if function == "__import__" or function.split(".")[-1] == "import_module":
                names.add(str(node.args[0].value))
    return {name.split(".")[0] for name in names}


def violations(root: Path) -> list[str]:
    """One line for each import under `root` that points the wrong way."""
    found = []
    for folder, allowed in ARROWS.items():
        for path in sorted((root / folder).rglob("*.py")):
            module = path.relative_to(root).as_posix()
            extra = set().union(*(names for edge, names in EDGE.items() if module.startswith(edge)))
            forbidden = (OURS - allowed - extra - {folder}) | WITHOUT.get(module, set())
            names = imported(path.read_text(encoding="utf-8"))
            found += [f"{module} imports {name}" for name in sorted(names & forbidden)]
    return found


def test_imports_point_one_way():
    for package in ("integrators", "leapgrad", "sensitivity", "proofs"):
        assert (ROOT / package / "__init__.py").is_file(), f"{package} was not looked at"
    assert violations(ROOT) == []


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("integrators/flow.py", "import sensitivity.jacobian as j", "sensitivity"),
        ("integrators/flow.py", "def f():\n    from proofs import check", "proofs"),
        ("sensitivity/bounds.py", "from proofs.proposition import Step", "proofs"),
        ("sensitivity/recurrences/ode.py", "if True:\n    import proofs", "proofs"),
        ("proofs/lemma.py", "from sensitivity import jacobian", "sensitivity"),
        ("proofs/lemma.py", "import numpy, tests.naive", "tests"),
        ("sensitivity/studies/grid.py", "from benchmarks import timing", "benchmarks"),
        ("sensitivity/cli.py", "import importlib\nimportlib.import_module('proofs.report')", "proofs"),
        ("sensitivity/cli.py", "__import__('notebooks')", "notebooks"),
        ("sensitivity/cli/papers/prove.py", "from benchmarks import timing", "benchmarks"),
        (
            "sensitivity/papers/hamiltonian/claims/ledger.py",
            "def f():\n    from proofs import check",
            "proofs",
        ),
        ("benchmarks/norms.py", "from tests import naive", "tests"),
        ("sensitivity/figures/plots.py", "import scipy.linalg", "scipy"),
        ("sensitivity/figures/plots.py", "def f():\n    from numba import njit", "numba"),
    ],
)
def test_a_wrong_import_is_found(tmp_path, module, source, expected):
    path = tmp_path / module
    path.parent.mkdir(parents=True)
    path.write_text(source, encoding="utf-8")
    assert violations(tmp_path) == [f"{module} imports {expected}"]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "integrators/flow.py",
            "from . import schemes\nfrom .fields import Field\nimport numba",
        ),
        (
            "sensitivity/jacobian.py",
            "import scipy\nfrom integrators import SCHEMES\nimport sensitivity",
        ),
        ("sensitivity/figures/plots.py", "import numpy as np\nfrom matplotlib import pyplot"),
        ("sensitivity/cli/papers/prove.py", "def run(args):\n    from proofs import check"),
        (
            "proofs/lemma.py",
            "import sympy\nfrom integrators.schemes.table import SCHEMES\nprint('import tests')",
        ),
        ("benchmarks/norms.py", "import sensitivity, proofs, integrators, benchmarks"),
    ],
)
def test_a_right_import_passes(tmp_path, module, source):
    path = tmp_path / module
    path.parent.mkdir(parents=True)
    path.write_text(source, encoding="utf-8")
    assert violations(tmp_path) == []
