"""`explore`: sliders in a notebook, one picture of the middle values elsewhere."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

import leapgrad as lg
from sensitivity.figures import plots

ipywidgets = pytest.importorskip("ipywidgets")


@pytest.fixture
def notebook(monkeypatch):
    """What a notebook shows: `explore` believes that it runs in one."""
    shown = []
    monkeypatch.delenv("LEAPGRAD_STATIC", raising=False)
    monkeypatch.setattr(plots, "in_notebook", lambda: True)
    display = SimpleNamespace(display=shown.append)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return shown


def recorded():
    calls = []
    return calls, lambda **chosen: calls.append(chosen)


# Catches: a slider that starts elsewhere than the static picture, or whose picture does not follow it.
def test_sliders_go_through_the_values_and_redraw(notebook):
    calls, draw = recorded()
    lg.explore(draw, step=[0.001, 0.1, 10.0], n_steps=[10, 100])
    (shown,) = notebook
    step, length = shown.children[:2]
    assert [label for label, _ in step.options] == ["0.001", "0.1", "10"]
    assert (step.value, length.value) == (0.1, 100) and not step.continuous_update
    shown.update()
    step.value = 10.0
    assert calls[-1] == {"step": 10.0, "n_steps": 100} and {"step": 0.1, "n_steps": 100} in calls


# Catches: sliders in kept outputs, which show nothing without a kernel; silence about what is missing.
@pytest.mark.parametrize("why", ["script", "variable", "missing"])
def test_one_picture_of_the_middle_values_where_there_are_no_sliders(why, notebook, monkeypatch, capsys):
    if why == "script":
        monkeypatch.setattr(plots, "in_notebook", lambda: False)
    elif why == "variable":
        monkeypatch.setenv("LEAPGRAD_STATIC", "1")
    else:
        monkeypatch.setitem(sys.modules, "ipywidgets", None)
    calls, draw = recorded()
    lg.explore(draw, gamma=[0.0, 0.25, 1.0], n=range(3))
    assert calls == [{"gamma": 0.25, "n": 1}] and notebook == []
    said = capsys.readouterr().out
    assert "Picture for gamma = 0.25, n = 1; in a notebook with ipywidgets there are sliders" in said
    assert ('pip install "leapgrad[notebooks]"' in said) == (why == "missing")


# Catches: lengths that are written as 1e+05, and steps with sixteen digits.
def test_values_are_written_as_a_reader_writes_them(capsys):
    _, draw = recorded()
    lg.explore(draw, n=np.array([100_000]), step=np.geomspace(1.0, 3.0, 3), scheme=["leapfrog"])
    assert "Picture for n = 100000, step = 1.732, scheme = leapfrog;" in capsys.readouterr().out


def test_arguments_that_make_no_sense_are_refused():
    _, draw = recorded()
    with pytest.raises(ValueError, match="at least one argument"):
        lg.explore(draw)
    with pytest.raises(ValueError, match="step must have at least one value"):
        lg.explore(draw, step=[])
    with pytest.raises(TypeError, match=r"step must be a sequence of values, got 0\.1"):
        lg.explore(draw, step=0.1)
    with pytest.raises(TypeError, match="draw must be a function"):
        lg.explore(None, step=[0.1])
