"""`import leapgrad as lg`: every public name, lazily, and only from packages that are ours."""

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import leapgrad as lg

ROOT = Path(__file__).resolve().parents[2]


def python(code: str, *path: Path) -> subprocess.CompletedProcess[str]:
    """Run `code` with the given folders, then this checkout, first on sys.path."""
    places = [str(place) for place in (*path, ROOT)]
    script = f"import sys\nsys.path[:0] = {places!r}\n{code}"
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT.parent
    )


@pytest.mark.parametrize("package", ["integrators", "sensitivity", "proofs"])
def test_every_public_name_of_a_package_is_handed_on(package):
    module = importlib.import_module(package)
    for name in module.__all__:
        assert getattr(lg, name) is getattr(module, name), name
    assert set(module.__all__) <= set(lg.__all__) <= set(dir(lg))


def test_no_name_is_listed_that_does_not_exist():
    packages = [importlib.import_module(name) for name in ("integrators", "sensitivity", "proofs")]
    assert set(lg.__all__) == {name for package in packages for name in package.__all__}
    assert "__version__" in dir(lg) and lg.__version__.count(".") == 2
    with pytest.raises(AttributeError, match="'leapgrad' has no attribute 'jacobain'"):
        _ = lg.jacobain


def test_the_import_loads_no_library():
    done = python("import leapgrad\nprint(*sorted(name.partition('.')[0] for name in sys.modules))")
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "leapgrad" in loaded
    assert not loaded & {
        "numpy",
        "numba",
        "scipy",
        "sympy",
        "matplotlib",
        "integrators",
        "sensitivity",
        "proofs",
    }


FOREIGN = {
    "a package": ("proofs/__init__.py", "proofs"),
    "a module": ("integrators.py", "integrators"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_a_package_of_somebody_else_is_named(case, tmp_path):
    file, name = FOREIGN[case]
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("raise SystemExit('this file must not run')\n")
    done = python("import leapgrad", tmp_path)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ImportError: the package {name!r} at {tmp_path / file} is not the one that")
    assert "Rename that file or folder" in last


def test_a_namespace_folder_of_the_same_name_does_no_harm(tmp_path):
    (tmp_path / "proofs").mkdir()
    done = python("import leapgrad; print(leapgrad.SCHEMES['leapfrog'].order)", tmp_path)
    assert done.stdout == "2\n", done.stderr


def test_a_distribution_that_overwrote_ours_is_named(tmp_path):
    for package in ("leapgrad", "sensitivity", "integrators", "proofs"):
        source = (ROOT / package / "__init__.py").read_text(encoding="utf-8")
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text(source, encoding="utf-8")
    (tmp_path / "leapgrad" / "_owner.py").write_text(
        (ROOT / "leapgrad" / "_owner.py").read_text(encoding="utf-8"), encoding="utf-8"
    )
    (tmp_path / "proofs" / "__init__.py").write_text("check = print\n")
    info = tmp_path / "theorems-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theorems\nVersion: 1.0\n")
    (info / "RECORD").write_text("proofs/__init__.py,,\n")
    done = python("import leapgrad\nleapgrad.check('lemma_3_1')", tmp_path)
    last = done.stderr.strip().splitlines()[-1]
    assert "the package 'proofs' at" in last and "It belongs to theorems. Uninstall theorems" in last


def test_cells_and_fields_become_recurrences_by_one_function():
    lstm = lg.unroll(lg.cell("lstm", 3, 2, rng=4), inputs=np.zeros((5, 7, 2)))
    assert lg.jacobian(lstm, block="state").shape == (5, 6, 6)
    field = lg.NeuralField.random(3, rng=1)
    run = lg.unroll(field, scheme="leapfrog", step=[0.1, 0.2], n_steps=9, s0=[1, 2, 3, 4, 5, 6])
    direct = lg.OdeRecurrence(field, "leapfrog", [0.1, 0.2], 9, [1, 2, 3], [4, 5, 6])
    assert (run.run() == direct.run()).all()
    assert (
        lg.jacobian(run) == lg.jacobian(field, "leapfrog", [0.1, 0.2], 9, y0=[1, 2, 3], p0=[4, 5, 6])
    ).all()
    euler = lg.unroll(field, scheme="euler", step=0.1, n_steps=4, s0=[1, 2, 3])
    assert euler.run().shape == (3,)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": "lstm"}, TypeError, "model must be a cell or a field, got str"),
        ({"n_steps": 3, "step": 0.1}, TypeError, "scheme is missing: a field becomes a recurrence"),
        ({"n_steps": 3, "scheme": "euler"}, TypeError, "step is missing: a field becomes"),
        ({"step": 0.1, "scheme": "euler"}, TypeError, "n_steps is needed"),
        (
            {"step": 0.1, "scheme": "euler", "n_steps": 3, "s0": [1, 2]},
            ValueError,
            "s0 has 2 entries; the state y",
        ),
        (
            {"step": 0.1, "scheme": "leapfrog", "n_steps": 3, "s0": [1, 2, 3]},
            ValueError,
            r"the state \(y, p\)",
        ),
        ({"step": 0.1, "scheme": "leapfrg", "n_steps": 3, "s0": [1]}, ValueError, "'leapfrog'"),
        (
            {"model": lg.cell("gru", 2), "scheme": "euler", "n_steps": 3},
            TypeError,
            "'euler' belongs to fields",
        ),
    ],
)
def test_what_unroll_does_not_understand_is_named(arguments, error, message):
    model = arguments.pop("model", lg.NeuralField.random(3))
    with pytest.raises(error, match=message):
        lg.unroll(model, **arguments)


def test_python_m_leapgrad_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "leapgrad", "--version"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0 and "leapgrad" in done.stdout, done.stderr
