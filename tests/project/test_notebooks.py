"""The notebooks: pairs in step, small outputs without errors, no numerics of their own, and they run."""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

jupytext = pytest.importorskip("jupytext")
nbformat = pytest.importorskip("nbformat")

from docs.execute import SCRIPTS, executed  # noqa: E402
from sensitivity.cli import main  # noqa: E402

NAMES = [script.stem for script in SCRIPTS]
QUICK = {"01_gradients", "06_exercises", "07_from_lstm_to_linoss"}
"""What every run of the tests executes; `make test-slow` and `make notebooks` execute all."""
ALLOWED = {"leapgrad", "matplotlib", "numpy", "os", "pathlib", "tempfile"}
LARGEST = 700_000


def pair(name):
    (script,) = (path for path in SCRIPTS if path.stem == name)
    return jupytext.read(script), nbformat.read(script.with_suffix(".ipynb"), as_version=4)


def test_there_are_eight():
    assert [name[:2] for name in NAMES] == ["01", "02", "03", "04", "05", "06", "07", "08"]


@pytest.mark.parametrize("name", NAMES)
def test_script_and_notebook_are_in_step_and_outputs_are_whole(name):
    script, notebook = pair(name)
    assert [(c.cell_type, c.source) for c in script.cells] == [
        (c.cell_type, c.source) for c in notebook.cells
    ], f"run: python docs/execute.py {name}"
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert outputs and not any(output.output_type == "error" for output in outputs)
    assert not any(output.get("name") == "stderr" for output in outputs), "a warning in the outputs"
    assert len(nbformat.writes(notebook)) < LARGEST


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_compute_nothing_themselves(name):
    """They import leapgrad, Matplotlib and NumPy; no functions, and loops only to print and to draw."""
    script, _ = pair(name)
    code = "\n".join(c.source for c in script.cells if c.cell_type == "code")
    for node in ast.walk(ast.parse(code)):
        assert not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.While | ast.AugAssign), ast.unparse(
            node
        )
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module] if isinstance(node, ast.ImportFrom) else []
        assert {module.split(".")[0] for module in modules} <= ALLOWED
        if isinstance(node, ast.Attribute):
            assert node.attr not in ("linalg", "fft", "einsum", "matmul"), ast.unparse(node)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in NAMES]
)
def test_notebook_runs_in_fast_mode(name):
    (script,) = (path for path in SCRIPTS if path.stem == name)
    start = time.perf_counter()
    notebook = executed(script, fast=True)
    print(f"{name}: {time.perf_counter() - start:.1f} s")  # asked: at most a minute
    assert not any(o.output_type == "error" for c in notebook.cells for o in c.get("outputs", []))


def test_solutions_are_hidden():
    _, notebook = pair("06_exercises")
    solutions = [cell for cell in notebook.cells if cell.metadata.get("jupyter", {}).get("source_hidden")]
    exercises = [cell for cell in notebook.cells if cell.source.startswith("## ")]
    assert len(solutions) == len(exercises) >= 6
    assert all("hide-cell" in cell.metadata["tags"] for cell in solutions)


# ------------------------------------------------------------------------------------ leapgrad notebooks


def test_command_copies_and_refuses_to_overwrite(tmp_path, capsys):
    target = tmp_path / "course"
    assert main(["notebooks", str(target), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["files"] == [f"{name}.ipynb" for name in NAMES] and shown["folder"] == str(target)
    before = {path.name: path.read_bytes() for path in target.iterdir()}
    (script,) = (path for path in SCRIPTS if path.stem == "06_exercises")
    assert before["06_exercises.ipynb"] == script.with_suffix(".ipynb").read_bytes()
    (target / "06_exercises.ipynb").write_text("mine")
    assert main(["notebooks", str(target)]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and "already holds" in captured.err
    assert (target / "06_exercises.ipynb").read_text() == "mine"


def test_without_outputs(tmp_path, capsys):
    assert main(["notebooks", str(tmp_path / "c"), "--no-outputs"]) == 0
    assert "8 notebooks in" in capsys.readouterr().out
    for path in (tmp_path / "c").iterdir():
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        assert not any(cell.get("outputs") for cell in notebook.cells)


def test_student_copy_has_an_empty_cell_for_each_solution(tmp_path, capsys):
    assert main(["notebooks", str(tmp_path / "c"), "--no-solutions"]) == 0
    for name in NAMES:
        _, whole = pair(name)
        student = nbformat.read(tmp_path / "c" / f"{name}.ipynb", as_version=4)
        nbformat.validate(student)
        for cell, copy in zip(whole.cells, student.cells, strict=True):
            if "solution" in cell.metadata.get("tags", ()):
                assert (copy.cell_type, copy.source, copy.outputs) == ("code", "# Your solution", [])
                assert not copy.metadata, "hidden or collapsed, so that nobody finds where to write"
            else:
                assert copy == cell
    capsys.readouterr()


# Catches: a cell after an exercise that needs what only its solution defines, so that students meet an error.
@pytest.mark.parametrize("name", NAMES)
def test_no_cell_needs_what_a_solution_defines(name):
    script, _ = pair(name)
    defined: set[str] = set()
    solved: set[str] = set()
    for cell in (cell for cell in script.cells if cell.cell_type == "code"):
        own = {node.id for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Name)}
        if "solution" in cell.metadata.get("tags", ()):
            solved |= _bound(cell.source) - defined
        else:
            needed = own - _bound(cell.source)
            assert not needed & (solved - defined), f"{name}: {needed & (solved - defined)}"
            defined |= _bound(cell.source)


def _bound(code):
    """The names that some code assigns, imports or takes as arguments."""
    nodes = list(ast.walk(ast.parse(code)))
    found = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    found |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    return found | {
        alias.asname or alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names
    }


def test_lab_copies_once_and_opens_the_folder_each_time(tmp_path, capsys, monkeypatch):
    started = []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(
        subprocess, "run", lambda words, check: started.append(words) or SimpleNamespace(returncode=3)
    )
    target = tmp_path / "course"
    assert main(["notebooks", str(target), "--lab"]) == 3
    assert started == [[sys.executable, "-m", "jupyterlab", str(target)]]
    (target / "06_exercises.ipynb").write_text("mine")
    assert main(["notebooks", str(target), "--lab"]) == 3 and len(started) == 2
    assert (target / "06_exercises.ipynb").read_text() == "mine"
    assert "stay as they are" in capsys.readouterr().out
    (target / "01_gradients.ipynb").unlink()
    assert main(["notebooks", str(target), "--lab"]) == 2 and len(started) == 2


def test_lab_without_jupyterlab_is_one_sentence_and_copies_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["notebooks", str(tmp_path / "c"), "--lab"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "pip install 'leapgrad[notebooks]'" in said
    assert not (tmp_path / "c").exists()
