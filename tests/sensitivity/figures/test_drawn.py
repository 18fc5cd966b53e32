"""Results that draw themselves and show themselves in notebooks."""

import base64
import itertools
import os
import re
import subprocess
import sys
from html import escape
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import leapgrad as lg
from sensitivity.figures import analysis

ROOT = Path(__file__).resolve().parents[3]
DRIVE = np.random.default_rng(0).normal(size=(4, 12, 2))


@pytest.fixture(scope="module")
def results():
    field = lg.NeuralField.random(3)
    run = lg.unroll(lg.cell("lstm", 3, 2), inputs=DRIVE[0])
    return {
        1: [lg.gradient_profile(field, "leapfrog", [0.1, 0.2], 12), lg.recommend_step(field, 10)],
        2: [lg.growth_exponents(field, "leapfrog", 0.1, 200, k=2)],
        3: [lg.compare({"lstm": run})],
    }


# Catches: a plot that draws elsewhere than it was told, returns something else, or leaves a panel empty.
@pytest.mark.parametrize("panels", [1, 2, 3])
def test_a_plot_draws_into_the_axes_of_the_caller_and_returns_them(results, panels):
    for found in results[panels]:
        axes = Figure().subplots(1, panels)
        assert found.plot(axes) is axes and found.plot(ax=axes, title="own title") is axes
        drawn = np.ravel(axes)
        assert all(one.lines or one.containers for one in drawn)
        assert any(one.get_title(loc="left") == "own title" for one in drawn)
        figure = found.figure("own title")
        assert len(figure.axes) == panels
        own = found.plot()
        assert np.size(own) == panels


def test_axes_that_do_not_fit_are_refused(results):
    (growth,) = results[2]
    with pytest.raises(ValueError, match="ax must hold 2 axes, as many as there are panels; got 1"):
        growth.plot(Figure().subplots())
    with pytest.raises(TypeError, match="ax must be Matplotlib axes"):
        growth.plot("title")


# Catches: colours of the caller's own lines that change because a result was drawn beside them.
def test_what_the_caller_drew_before_stays(results):
    (profile, _) = results[1]
    axes = Figure().subplots()
    (mine,) = axes.plot([0, 1], color="C1")
    profile.plot(axes)
    assert mine.get_color() == "C1"
    assert all(not str(line.get_color()).startswith("C") for line in axes.lines[1:])


# Catches: a legend that says "ε = 1" for each of four sequences.
def test_members_of_one_step_size_are_numbered():
    found = lg.gradient_profile(lg.unroll(lg.cell("lstm", 3, 2), inputs=DRIVE))
    axes = found.plot()
    assert [text.get_text() for text in axes.get_legend().texts] == [f"member {i}" for i in range(4)]
    assert axes.get_title(loc="left") == "lstm, d = 3, N = 12"
    assert "4 batch members" in repr(found)
    steps = lg.gradient_profile(lg.NeuralField.random(3), "euler", [0.1, 0.2], 5)
    assert "2 step sizes" in repr(steps)
    assert [text.get_text() for text in steps.plot().get_legend().texts][::2] == [
        r"$\varepsilon$ = 0.1",
        r"$\varepsilon$ = 0.2",
    ]


# Catches: a legend of eight sequences in which four looks stand twice.
def test_no_two_curves_of_a_profile_look_alike():
    drive = np.random.default_rng(0).normal(size=(20, 12, 2))
    axes = lg.gradient_profile(lg.unroll(lg.cell("lstm", 3, 2), inputs=drive)).plot()
    named = {line.get_label(): line for line in axes.lines if line.get_label().startswith("member")}
    assert len(named) == 8
    looks = {(to_hex(line.get_color()), str(line.get_linestyle())) for line in named.values()}
    assert len(looks) == 8


# Catches: a report whose verdict and numbers a notebook shows only after print.
def test_a_notebook_shows_what_a_report_says():
    found = lg.report(lg.cell("gru", 3, 1), n_steps=20)
    html = found._repr_html_()
    assert escape(found.sentence) in html and "<td>growth exponent 1 per step</td>" in html


def test_notebooks_get_a_summary_a_table_and_the_picture(results):
    for found in [one for group in results.values() for one in group]:
        html = found._repr_html_()
        (data,) = re.findall(r'src="data:image/png;base64,([^"]*)"', html)
        assert base64.b64decode(data) == found._repr_png_() and found._repr_png_()[:4] == b"\x89PNG"
        assert html.startswith("<pre>") and repr(found).strip("<>").split()[0] in html
    assert "<th>λ_i per step</th>" in results[2][0]._repr_html_()


def test_results_without_a_picture_show_their_table():
    field = lg.NeuralField.random(2)
    bound = lg.bounds.applicable(field, "leapfrog", 0.1, 10)[0]
    assert "<td>hypothesis</td>" in bound._repr_html_() and "<img" not in bound._repr_html_()
    html = lg.check("lemma_3_1")._repr_html_()
    assert html.count("<tr>") == 1 + len(lg.check("lemma_3_1").steps)
    assert "<script" not in html and "&#x27;" in html  # ẏ' is escaped
    many = lg.check("theorem_b")._repr_html_()
    assert many.count("<tr>") == 22 and "… " in many


# Catches: plt.show() that shows nothing; and pyplot imported, or figures kept, for a script without it.
@pytest.mark.parametrize(("first", "known"), [("import matplotlib.pyplot", 1), ("", None)])
def test_pyplot_knows_a_plot_where_a_script_uses_pyplot(first, known):
    code = f"""
import sys
from html import escape
{first}
import leapgrad as lg
from sensitivity.figures import analysis
found = lg.gradient_profile(lg.NeuralField.random(2), "leapfrog", 0.1, 5)
found.plot()
found.figure()
found._repr_html_()
pyplot = sys.modules.get("matplotlib.pyplot")
print(pyplot and len(pyplot.get_fignums()))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False,
        env={**os.environ, "MPLBACKEND": "agg"},
    )  # fmt: skip
    assert (done.stdout.strip(), done.returncode) == (str(known), 0), done.stderr


# Catches: models that colour alone tells apart, or two of one look among all that are compared by default.
def test_lines_of_a_comparison_differ_in_dashes_too():
    looks = [analysis._look(number) for number in range(48)]
    assert len({(look["color"], str(look["linestyle"])) for look in looks}) == 48
    assert all(one["linestyle"] != two["linestyle"] for one, two in itertools.pairwise(looks[:24]))
