"""The experiment on ε ∝ 1/N: its arithmetic on curves with known optima, its files, its reproducibility."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from sensitivity.cli import main
from sensitivity.cli.experiments import heuristic as command
from sensitivity.papers.hamiltonian.heuristic import images
from sensitivity.papers.hamiltonian.heuristic.experiment import AccuracyRun, Scan, run_experiment
from sensitivity.papers.hamiltonian.heuristic.optimum import optimum, power_laws
from sensitivity.papers.hamiltonian.heuristic.plan import (
    DAMPING,
    FROZEN,
    FULL,
    IMAGES,
    NORMALISED,
    PAPER,
    QUICK,
)
from sensitivity.papers.hamiltonian.heuristic.report import findings, interval, write_experiment
from sensitivity.training.data.sequences import Sequences
from sensitivity.training.trainer import Split, accuracy, train

TINY = replace(
    QUICK, lengths=(10, 20), control_lengths=(10, 20), seeds=2, a_decade=1, epochs=1, collapse_length=10,
    scales=(0.25, 4.0), trace_length=10,
)  # fmt: skip


def curves(exponent, factor=3.0, seeds=6, noise=0.0, width=1.0):
    """Accuracies with their optimum at factor · N^exponent."""
    rng, lengths = np.random.default_rng(0), (10, 20, 40, 80, 160, 320)
    grid = 10.0 ** (np.arange(-24, 9) / 8)
    steps, accuracy = [], []
    for n in lengths:
        distance = np.log(grid / (factor * n**exponent))
        mean = 0.5 + 0.4 * np.exp(-((distance / width) ** 2))
        steps.append(grid)
        accuracy.append(mean[:, None] + noise * rng.normal(size=(grid.size, seeds)))
    return lengths, steps, accuracy


@pytest.mark.parametrize("exponent", [-1.0, -0.5, 0.0])
@pytest.mark.parametrize("centre", [True, False])
def test_a_known_law_is_found(exponent, centre):
    law = power_laws(*curves(exponent))["centre" if centre else "best"]
    assert law.exponent == pytest.approx(exponent, abs=0.05)
    assert law.interval[0] <= law.exponent <= law.interval[1]
    if exponent == -1.0:
        assert law.factor == pytest.approx(3.0, rel=0.05)


def test_noise_widens_the_interval_which_holds_the_truth():
    quiet, loud = (power_laws(*curves(-1.0, noise=noise))["centre"] for noise in (0.0, 0.03))
    assert quiet.interval[1] - quiet.interval[0] < 1e-9 < loud.interval[1] - loud.interval[0]
    assert loud.interval[0] <= -1.0 <= loud.interval[1]


def test_the_set_within_one_standard_error():
    steps = np.array([0.01, 0.1, 1.0, 10.0])
    accuracy = np.array([[0.5, 0.5], [0.88, 0.88], [0.85, 0.95], [0.86, 0.84]])
    found = optimum(steps, accuracy)
    assert (found.best, found.low, found.high) == pytest.approx((1.0, 0.1, 10.0))
    assert found.centre == pytest.approx(1.0) and found.error == pytest.approx(0.05)
    tied = optimum(steps, np.array([[0.5], [0.9], [0.9], [0.1]]))
    assert tied.best == pytest.approx(np.sqrt(0.1)) and tied.error == 0.0


def test_the_grid_of_epsilon_is_common_to_all_lengths():
    """Otherwise ε ∝ 1/N would be built in."""
    grids = [QUICK.grid(n) for n in QUICK.lengths]
    logs = np.concatenate([np.log10(grid) * QUICK.a_decade for grid in grids])
    assert np.abs(logs - logs.round()).max() < 1e-9
    for n, grid in zip(QUICK.lengths, grids, strict=True):
        assert 0.24 < n * grid[0] < 0.5 and 20.0 < n * grid[-1] < 40.1


@pytest.fixture(scope="module")
def experiment():
    return run_experiment("gaussian_mean", TINY, threads=1, progress=False)


def test_the_control_scans_the_same_steps_at_every_length(experiment):
    """In a network of fixed memory: a window in Nε would build a law into it."""
    setting = TINY.control_setting()
    network = setting.network(20, 0.1)
    theta = setting.start.draw(network, 0)
    W = network.weights(theta)
    assert np.array_equal(W + W.T, -2.0 * DAMPING * np.eye(10)) and network.scheme.name == "euler"
    assert experiment.control.variable == TINY.control_lengths
    for steps in experiment.control.steps:
        assert np.array_equal(steps, [0.01, 0.1, 1.0])
    for plan in (QUICK, FULL):
        grid = plan.control_grid()
        assert grid[0] == pytest.approx(0.01) and grid[-1] == pytest.approx(1.0)


def test_same_seeds_same_numbers_on_any_number_of_threads(experiment):
    again = run_experiment("gaussian_mean", TINY, threads=3, progress=False)
    for first, second in zip(experiment.main.accuracy, again.main.accuracy, strict=True):
        assert np.array_equal(first, second)
    assert experiment.traces == again.traces


def test_the_gradient_is_followed_below_its_bound(experiment):
    for trace in experiment.traces:
        assert len(trace.norm) == TINY.epochs + 1 == len(trace.accuracy)
        assert all(norm <= bound for norm, bound in zip(trace.norm, trace.bound, strict=True))


def test_collapse_spread_sees_a_collapse(experiment):
    """Curves that are one function of ε√s have no spread on that variable."""
    scales = (0.25, 1.0, 4.0)
    steps = [np.geomspace(1e-3, 1e2, 200) / np.sqrt(s) for s in scales]
    accuracy = [
        np.exp(-(np.log(h * np.sqrt(s)) ** 2))[:, None] * np.ones(2)
        for h, s in zip(steps, scales, strict=True)
    ]
    made = replace(experiment, collapse={"made": Scan.of(scales, steps, accuracy)})
    apart, together = made.spread("made")
    assert together < 1e-9 < 0.1 < apart
    assert made.collapse["made"].law.exponent == pytest.approx(-0.5, abs=0.02)


def test_files_agree_with_the_manifest_and_with_the_findings(tmp_path, capsys):
    found, data, _ = write_experiment(tmp_path, plan=TINY, command="leapgrad heuristic", progress=False)
    record = json.loads((tmp_path / "manifest.json").read_text())
    names = {"README.md", "accuracy.csv", "figure_4.pdf", "figure_4.png", "heuristic.json"}
    assert set(record["sha256"]) == names
    for name, digest in record["sha256"].items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest
    rows = (tmp_path / "accuracy.csv").read_text().splitlines()
    scans = [found.main, found.control, *found.collapse.values()]
    assert len(rows) == 1 + sum(one.size for scan in scans for one in scan.accuracy)
    page = (tmp_path / "README.md").read_text()
    assert all(f"- {label}: {value}\n" in page for label, value in findings(found).items())
    assert data["findings"] == findings(found) and "theorem G: -0.5" in page
    law = found.main.law
    interval = f"{law.exponent:.2f} [{law.interval[0]:.2f}, {law.interval[1]:.2f}]"
    inside = law.interval[0] <= -1.0 <= law.interval[1]
    said = findings(found)["α of ε* = c N^α on gaussian_mean"]
    assert said == f"{interval}; −1 is {'inside' if inside else 'outside'}"


def test_the_command_refuses_what_it_does_not_know(capsys):
    assert main(["heuristic", "--task", "gausian_mean"]) == 2
    assert "Did you mean 'gaussian_mean'" in capsys.readouterr().err
    assert main(["heuristic", "--seeds", "1"]) == 2
    assert "--seeds must be at least 2" in capsys.readouterr().err


# Catches: ε chosen by the accuracies that are reported, or by those of other sequences than it says.
def test_the_step_is_chosen_on_validation_and_told_on_test_sequences():
    steps = [np.array([0.1, 0.2])] * 2
    validation = [np.array([[0.9, 0.9], [0.7, 0.7]])] * 2
    test = [np.array([[0.6, 0.8], [1.0, 1.0]])] * 2
    scan = Scan.of((10, 20), steps, validation, test)
    assert [one.best for one in scan.optima] == pytest.approx([0.1, 0.1])
    assert scan.reached == pytest.approx([0.7, 0.7])
    setting = TINY.setting("gaussian_mean")
    run = AccuracyRun(replace(setting, test=50), 10, 0.5, 0)
    data = run.setting.split(10, 0)
    assert data.validation is not None and not np.array_equal(data.validation.values, data.test.values)
    found = run.compute()["accuracy"]
    network, theta = run.setting.begun(10, 0.5, 0, data)
    best = train(network, replace(data, validation=None, blind=True), run.setting.recipe, theta).theta
    assert found.tolist() == [accuracy(network, best, one) for one in (data.validation, data.test)]


def test_edges_lie_between_points_and_nothing_learned_has_no_law():
    steps = np.array([0.01, 0.1, 1.0, 10.0])
    found = optimum(steps, np.array([[0.5], [0.9], [0.9], [0.7]]))
    assert found.edges == pytest.approx((0.1 * 10**-0.25, 10**0.5))
    assert np.isnan(optimum(steps, np.array([[0.8], [0.9], [0.8], [0.5]])).edges[0])
    guessing = np.full((4, 2), 0.51)
    laws = power_laws((10, 20, 40), [steps] * 3, [guessing] * 3)
    assert (
        all(np.isnan(law.exponent) for law in laws.values()) and interval(laws["best"]) == "none in the grid"
    )


def test_further_scans_change_what_they_say():
    """W stays 0; a normalised read-out begins with scores of root mean square one."""
    frozen = TINY.further(FROZEN, "gaussian_mean")
    data = frozen.split(10, 0)
    network, theta = frozen.begun(10, 0.3, 0, data)
    moved = train(network, data, replace(frozen.recipe, epochs=2), theta).theta
    assert np.abs(network.weights(moved)).max() < 1e-10 and not np.array_equal(moved, theta)
    normal = TINY.further(NORMALISED, "gaussian_mean")
    for step in (0.01, 1.0):
        network, theta = normal.begun(10, step, 0, data)
        scores = network.scores(theta, data.train.batch(slice(0, 200))[0])
        assert np.sqrt((scores**2).mean()) == pytest.approx(1.0, rel=1e-12)
    assert [len(grid) for grid in TINY.grids(PAPER)] == [100, 100] and len(TINY.seeds_of(PAPER)) == 2
    assert np.array_equal(*TINY.grids("xor")) and TINY.further("xor", "gaussian_mean").task == "xor"
    assert list(replace(TINY, seed=7).seeds_of()) == [7, 8]


def test_scans_of_other_networks_are_run_and_drawn(tmp_path):
    plan = replace(TINY, also=(FROZEN, NORMALISED))
    found, data, _ = write_experiment(tmp_path, plan=plan, command="leapgrad heuristic", progress=False)
    assert set(found.also) == {FROZEN, NORMALISED} and (tmp_path / "ceilings.png").stat().st_size > 10_000
    assert list(data["without_training"]["tanh"]) == ["10"] and len(data["rows"]) == 4
    assert "| W = 0, 2 seeds |" in (tmp_path / "README.md").read_text()


# Catches: pixels in another order than row by row, training images among those that choose ε, other images
# for another number of steps, which would change the task along with N.
def test_images_are_read_some_pixels_at_a_time(monkeypatch):
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (784, 1, 60), dtype=np.uint8)
    labels = np.arange(60) % 10
    part = Sequences(pixels, labels, 10, 1 / 255)
    split = Split(part.part(slice(0, 20)), part.part(slice(20, 40)), part.part(slice(40, 60)))
    monkeypatch.setattr(images, "digits", lambda: split)
    by_rows, by_pairs = (images.digits_in_steps(n, 4, 10, 8) for n in (28, 392))
    assert by_rows.train.values.shape == (28, 28, 10) and by_pairs.train.values.shape == (392, 2, 10)
    for rows, pairs, whole in zip(
        (by_rows.train, by_rows.test, by_rows.validation),
        (by_pairs.train, by_pairs.test, by_pairs.validation),
        (split.train, split.test, split.validation),
        strict=True,
    ):
        flat = rows.values.reshape(784, -1)
        assert np.array_equal(flat, pairs.values.reshape(784, -1)) and rows.scale == 1 / 255
        known = {whole.values[:, 0, q].tobytes(): whole.labels[q] for q in range(20)}
        own = [known[np.ascontiguousarray(flat[:, q]).tobytes()] for q in range(len(rows))]
        assert own == rows.labels.tolist() and len(set(own)) > 3
    assert not np.array_equal(by_rows.train.values, images.digits_in_steps(28, 5, 10, 8).train.values)
    setting = FULL.further(IMAGES, "gaussian_mean")
    network = setting.network(56, 0.1)
    assert (network.n_inputs, network.n_classes, setting.classes) == (14, 10, 10)
    assert FULL.lengths_of(IMAGES) != FULL.lengths and all(784 % n == 0 for n in FULL.lengths_of(IMAGES))
    assert len(FULL.grids(IMAGES)) == len(FULL.lengths_of(IMAGES)) and FULL.lengths_of("xor") == FULL.lengths


def test_what_counts_as_learned_and_edges_depend_on_guessing():
    """Best 0.5 of ten classes: the edges are at 0.1 + 0.75 · 0.4 = 0.4; of two classes that is guessing."""
    steps = np.array([1.0, 10.0, 100.0])
    curve = np.array([0.3, 0.5, 0.3])[:, None] * np.ones(2)
    ten, two = optimum(steps, curve, 0.1), optimum(steps, curve)
    assert ten.learned and not two.learned
    assert ten.edges == pytest.approx((10**0.5, 10**1.5))
    scan = Scan.of((10, 20), [steps] * 2, [curve] * 2, guess=0.1)
    assert scan.laws["upper edge"].exponent == pytest.approx(0.0, abs=1e-12) and scan.optima[0].learned
    assert np.isnan(Scan.of((10, 20), [steps] * 2, [curve] * 2).laws["upper edge"].exponent)


def test_images_that_are_not_there_are_left_out_and_that_is_said(monkeypatch, capsys):
    monkeypatch.setenv("LEAPGRAD_DATA", "/nowhere")
    images.digits.cache_clear()
    plan = replace(TINY, also=(FROZEN, IMAGES))
    assert command._without_missing_images(plan).also == (FROZEN,)
    assert "MNIST is left out" in capsys.readouterr().err
    assert command._without_missing_images(TINY) is TINY
