"""The notebooks as lessons: what is learnt, questions before answers, exercises with solutions, sliders."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

jupytext = pytest.importorskip("jupytext")
nbformat = pytest.importorskip("nbformat")

from docs.execute import ROOT, SCRIPTS  # noqa: E402

EXERCISE = re.compile(r"(?:### Exercise \d · |\*)(easy|medium|hard), (\d+) minutes")
TIME = re.compile(
    r"\*Difficulty: [^.]+\. Time: (\d+) minutes(?:, and (\d+) more for the exercises| in all)\."
)


@pytest.fixture(params=SCRIPTS, ids=lambda script: script.stem)
def lesson(request) -> Path:
    return request.param


def cells_of(script):
    return jupytext.read(script).cells


# Catches: a lesson without its goals, and a lecturer's plan whose minutes are not those of the lesson.
def test_the_top_says_what_is_learnt_and_how_long_it_takes(lesson):
    top = cells_of(lesson)[0].source
    number = int(lesson.stem[:2])
    assert top.startswith(f"# {number} ") and "**What you will learn" in top and "You need: " in top
    reading, exercises = TIME.search(top.replace("\n", " ")).groups()
    minutes = reading if exercises is None else f"{reading} + {exercises}"
    page = (ROOT / "docs" / "teacher.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if re.match(rf"\| {number} [A-Z]", line)]
    assert f"| {minutes} |" in row
    own = sum(int(found[1]) for cell in cells_of(lesson) for found in EXERCISE.findall(cell.source))
    assert own == int(exercises or reading)


def test_questions_stand_before_what_answers_them(lesson):
    cells = cells_of(lesson)
    asked = [i for i, cell in enumerate(cells) if "**Question.**" in cell.source]
    assert len(asked) >= (0 if lesson.stem == "06_exercises" else 4)
    for i in asked:
        assert cells[i].cell_type == "markdown" and cells[i + 1].cell_type == "code"
        assert "solution" not in cells[i + 1].metadata.get("tags", ())


def test_every_exercise_has_a_hidden_solution_of_its_own(lesson):
    cells = cells_of(lesson)
    exercises = [i for i, cell in enumerate(cells) if EXERCISE.search(cell.source)]
    solutions = [i for i, cell in enumerate(cells) if "solution" in cell.metadata.get("tags", ())]
    assert len(exercises) >= 3 and solutions == [i + 1 for i in exercises]
    for i in solutions:
        assert cells[i].cell_type == "code" and cells[i].metadata["jupyter"]["source_hidden"]
        assert "hide-cell" in cells[i].metadata["tags"]


# Catches: kept outputs that show nothing without a kernel.
def test_kept_outputs_have_pictures_in_place_of_sliders(lesson):
    notebook = nbformat.read(lesson.with_suffix(".ipynb"), as_version=4)
    assert "widgets" not in notebook.metadata
    for cell in notebook.cells:
        kinds = {kind for output in cell.get("outputs", []) for kind in output.get("data", {})}
        assert not any("widget" in kind for kind in kinds)
        if cell.cell_type == "code" and "lg.explore(" in cell.source:
            assert "image/png" in kinds


def test_most_lessons_have_a_slider():
    assert sum("lg.explore(" in script.read_text(encoding="utf-8") for script in SCRIPTS) >= 4
