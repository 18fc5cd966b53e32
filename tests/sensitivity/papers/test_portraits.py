"""Areas, ellipses, funnels and orders against closed forms; films that play; colours that stay."""

import math
import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from PIL import Image

from integrators import SCHEMES, NeuralField, harmonic, henon_heiles, integrate, pendulum
from sensitivity import bounds, jacobian, jacobian_norm
from sensitivity.analysis.convergence import convergence, energy_error
from sensitivity.figures import plots as figures
from sensitivity.figures.analysis import plot_convergence, plot_funnel
from sensitivity.figures.film import SIGNS, Film
from sensitivity.figures.phase_plane import ellipse_film, plot_areas, plot_ellipses
from sensitivity.figures.plots import plot_curves
from sensitivity.papers.hamiltonian.funnel import funnel_in_length, funnel_in_step
from sensitivity.papers.hamiltonian.pictures import PICTURES, draw_picture
from sensitivity.papers.hamiltonian.portraits import phase_area, sensitivity_ellipses

SPLITTINGS = [name for name, scheme in SCHEMES.items() if scheme.form == "splitting"]


# -------------------------------------------------------------------------------------------------- areas


@pytest.mark.parametrize("scheme", SPLITTINGS)
def test_splitting_schemes_keep_the_area(scheme):
    """Of a linear map even the polygon's; explicit Euler grows by 1 + ε² a step."""
    assert phase_area(harmonic(), scheme, 0.3, 12, points=8).ratio == pytest.approx(1.0, abs=1e-13)


def test_explicit_euler_inflates_the_area_by_its_determinant():
    found = phase_area(harmonic(), "explicit_euler", 0.1, 50, (1.0, 0.2), 0.5, points=16)
    assert found.areas / found.areas[0] == pytest.approx(1.01 ** np.arange(51), rel=1e-12)
    assert found.areas[0] == pytest.approx(0.5 * 16 * 0.25 * math.sin(2 * math.pi / 16))
    assert found.outlines.shape == (51, 16, 2) and "area × 1.64" in repr(found)


def test_area_of_a_nonlinear_field_up_to_the_polygon():
    coarse, fine = (phase_area(pendulum(), "leapfrog", 0.1, 60, (1.0, 0.0), 0.5, n).ratio for n in (40, 160))
    assert abs(fine - 1.0) < abs(coarse - 1.0) / 8.0 < 1e-2


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ({"field": henon_heiles()}, "d = 1"),
        ({"scheme": "euler"}, "no phase plane"),
        ({"radius": 0.0}, "radius must be positive"),
        ({"points": 2}, "points must be at least 3"),
        ({"centre": (1.0, 2.0, 3.0)}, "centre"),
    ],
)
def test_mistakes_about_areas(case, said):
    given = {"field": pendulum(), "scheme": "leapfrog", "step": 0.1, "n_steps": 3, **case}
    with pytest.raises(ValueError, match=said):
        phase_area(**given)


# ----------------------------------------------------------------------------------------------- ellipses


def test_ellipses_are_the_jacobians_along_the_way():
    found = sensitivity_ellipses(pendulum(), "leapfrog", 0.1, 40, [1.2], [0.3], frames=5)
    assert found.steps.tolist() == [0, 10, 20, 30, 40]
    for step, matrix in zip(found.steps, found.jacobians, strict=True):
        expected = jacobian(pendulum(), "leapfrog", 0.1, int(step), [1.2], [0.3], block="phase")
        assert np.array_equal(matrix, expected)
    assert found.areas == pytest.approx(1.0, abs=1e-12)
    assert found.axes[-1, 0] == pytest.approx(
        jacobian_norm(pendulum(), "leapfrog", 0.1, 40, [1.2], [0.3], block="phase")
    )


def test_outline_is_the_image_of_the_circle():
    """To first order in the radius it is where perturbed trajectories end."""
    found, radius = sensitivity_ellipses(pendulum(), "leapfrog", 0.1, 30, [1.0], [0.0], frames=[30]), 1e-6
    run = integrate(pendulum(), "leapfrog", [1.0 + radius], [0.0], 0.1, 30)
    end = np.array([run.y[-1, 0], run.p[-1, 0]])
    assert found.outlines(radius)[0, 0] == pytest.approx(end, abs=1e-10)


@pytest.mark.parametrize("frames", [[31], [-1], [], 0])
def test_frames_outside_the_run(frames):
    with pytest.raises(ValueError, match="frames"):
        sensitivity_ellipses(pendulum(), "leapfrog", 0.1, 30, frames=frames)


# ------------------------------------------------------------------------------------------------ funnels


def test_funnel_holds_every_singular_value_and_closes():
    field, step = NeuralField.random(4, rng=2), np.geomspace(1e-4, 1e-2, 6)
    found = funnel_in_step(field, "leapfrog", step, 200)
    assert found.violations == 0 and found.values.shape == (6, 4)
    assert np.array_equal(found.upper, bounds.chebyshev(field, step, 200))
    assert found.values[:, 0] == pytest.approx(jacobian_norm(field, "leapfrog", step, 200))
    assert (np.diff(found.tightness) > 0).all() and found.tightness[0] == pytest.approx(1.0, abs=1e-4)
    below = found.values[:, 0] * (1.0 - 1e-9)
    narrowed = type(found)("step", step, found.values, below, found.lower, found.met, "leapfrog")
    assert narrowed.violations == 6


def test_funnel_in_length_runs_each_length():
    field = NeuralField.random(3, rng=1)
    found = funnel_in_length(field, "euler", 2.0, [1, 10, 100])
    for row, n in enumerate((1, 10, 100)):
        assert found.values[row, 0] == pytest.approx(jacobian_norm(field, "euler", 2.0 / n, n))
        assert found.upper[row] == bounds.euler(field, 2.0 / n, n)
    with pytest.raises(ValueError, match="time"):
        funnel_in_length(field, "euler", 0.0, [1])


# ------------------------------------------------------------------------------------- orders and energies


def test_measured_orders_are_the_claimed_ones():
    found = convergence(
        henon_heiles(), ["leapfrog", "yoshida4", "kahan_li6"], [0.1, 0.2], [0.3, 0.1], 5.0, (20, 40, 80)
    )
    for one in found:
        assert one.order == pytest.approx(one.scheme.order, abs=0.15), one
        assert one.kicks.tolist() == [n * one.scheme.n_kicks for n in (20, 40, 80)]
    with pytest.raises(ValueError, match="euler"):
        convergence(henon_heiles(), ["euler"], [0.1, 0.2], [0.3, 0.1], 5.0, (20, 40))


def test_energy_error_of_the_oscillator_is_known():
    """Explicit Euler multiplies H by 1 + ε² in every step."""
    run = integrate(harmonic(), "explicit_euler", [1.0], [0.5], 0.1, 20)
    assert energy_error(harmonic(), run) == pytest.approx(1.01 ** np.arange(21) - 1.0)
    with pytest.raises(TypeError, match="no energy"):
        energy_error(NeuralField.random(1), run)


# ------------------------------------------------------------------------------------------------ pictures


def some_figures():
    areas = [phase_area(pendulum(), s, 0.1, 10, points=8) for s in ("explicit_euler", "leapfrog")]
    ellipses = [sensitivity_ellipses(pendulum(), "leapfrog", 0.1, 10, [1.0], [0.0], frames=5)]
    yield "areas", plot_areas(areas)
    yield "ellipses", plot_ellipses(ellipses)
    yield "funnel", plot_funnel(funnel_in_step(NeuralField.random(2), "leapfrog", [0.01, 0.02], 20))
    run = convergence(pendulum(), ["leapfrog"], [1.0], [0.0], 1.0, (5, 10))
    yield "orders", plot_convergence(run)
    yield "curves", plot_curves([1, 2], [("a", [1, 2]), ("b", [2, 1])], xlabel="x", ylabel="y")


@pytest.mark.parametrize(
    ("name", "figure"), list(some_figures()), ids=lambda v: v if isinstance(v, str) else ""
)
def test_a_picture_looks_the_same_inside_and_outside_the_house(name, figure, tmp_path):
    """ "C1" must mean our blue, also where the reader's own settings are in force."""
    import matplotlib

    with matplotlib.rc_context({"axes.prop_cycle": "cycler('color', ['00ff00'])"}):
        figure.savefig(tmp_path / "a.png")
    pixels = imread(tmp_path / "a.png")[..., :3].reshape(-1, 3)
    green = (pixels[:, 1] > 0.8) & (pixels[:, 0] < 0.6) & (pixels[:, 2] < 0.6)
    assert not green.any() and (pixels < 0.9).any(), name


@pytest.mark.parametrize("suffix", [".gif", ".html"])
def test_film_has_all_frames_and_they_differ(suffix, tmp_path):
    film = ellipse_film(sensitivity_ellipses(pendulum(), "leapfrog", 0.2, 8, [1.5], [0.0], frames=3))
    assert film.frames == 3
    film.save(tmp_path / f"film{suffix}")
    if suffix == ".gif":
        with Image.open(tmp_path / "film.gif") as picture:
            seen = []
            for frame in range(picture.n_frames):
                picture.seek(frame)
                seen.append(np.asarray(picture.convert("RGB")).tobytes())
        assert len(set(seen)) == 3
    else:
        text = (tmp_path / "film.html").read_text(encoding="utf-8")
        assert text.count("data:image/png;base64") == 3
        # Catches: buttons that are blank without a network, because their signs come from a font on a server.
        assert "http" not in re.sub(r"data:image[^']*", "", text) and text.count("<button") == 9
        assert all(sign in text for sign in SIGNS.values())
    assert [path.name for path in tmp_path.iterdir()] == [f"film{suffix}"]


def test_a_film_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must end in"):
        Film(Figure(), lambda frame: None, 1).save(tmp_path / "film.mp4")


def test_every_picture_has_a_sentence_and_one_is_drawn(tmp_path):
    assert all(picture.about.endswith(".") for picture in PICTURES.values())
    assert draw_picture("closing", tmp_path) == ["closing.png"]
    assert figures.STYLE.is_file() and imread(tmp_path / "closing.png").shape[0] > 300
