"""The penalty on growth exponents: its gradient, its place in the training, the same bits after a stop."""

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import leapgrad as lg
from sensitivity.cli import main
from sensitivity.training import trainer
from sensitivity.training.data.tasks import get_task
from sensitivity.training.flossing import Flossing
from sensitivity.training.models import Shape, make_network
from sensitivity.training.networks.cell_network import CellNetwork
from sensitivity.training.networks.ode_network import OdeNetwork
from sensitivity.training.start import Start
from sensitivity.training.trainer import Recipe, Split, train
from sensitivity.training.units import InUnits

N = 8
QUICK = ["--n-steps", "8", "--train", "60", "--test", "20", "--epochs", "2", "--batch", "20", "--d", "4"]


def networks():
    gated = lg.cell("lstm", 3, 1, rng=0)
    yield "vanilla", CellNetwork(lg.cell("vanilla", 4, 1, rng=1), N)
    yield "lstm", CellNetwork(gated, N, n_classes=3)
    yield "exprnn", CellNetwork(lg.cell("exprnn", 3, 1, rng=1), N)
    yield (
        "stacked",
        CellNetwork(gated.kind.layers(3, 1, [gated.parameters, lg.cell("lstm", 3, 3).parameters]), N),
    )
    yield "hamiltonian", OdeNetwork(3, N, 0.3)
    yield "antisymmetric", OdeNetwork(3, N, 0.3, scheme="euler", gamma=0.1)
    yield "in units", InUnits(OdeNetwork(3, N, 0.3), {"W": 4.0, "b": 0.5})


@pytest.mark.parametrize(
    ("name", "network"), list(networks()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_the_gradient_of_the_penalty_against_differences(name, network):
    rng = np.random.default_rng(2)
    theta, direction = 0.6 * rng.normal(size=network.n_parameters), rng.normal(size=network.n_parameters)
    inputs = rng.normal(size=(N, 1, 3))
    flossing = Flossing(k=2, weight=0.7, target=(0.1, -0.2))
    value, gradient = flossing.penalty(network, theta, inputs)
    exponents = lg.growth_exponents(network.recurrence(theta, inputs), k=2, burn_in=0).exponents
    assert value == pytest.approx(0.7 * ((exponents - [0.1, -0.2]) ** 2).sum(axis=1).mean(), rel=1e-12)

    def slope(h):
        up, down = (
            flossing.penalty(network, theta + sign * h * direction, inputs)[0] for sign in (1.0, -1.0)
        )
        return (up - down) / (2.0 * h)

    first, second, third = (slope(1e-3 / scale) for scale in (1.0, 2.0, 4.0))
    assert gradient @ direction == pytest.approx((64.0 * third - 20.0 * second + first) / 45.0, rel=1e-8)
    readout = network.named(gradient)
    assert all((readout[part] == 0.0).all() for part in network.readout)


def test_the_state_of_a_network_and_of_its_run_are_one():
    """The exponents are those of what is trained: the recurrence ends where the network's read-out begins."""
    rng = np.random.default_rng(3)
    for name, network in networks():
        theta, inputs = 0.4 * rng.normal(size=network.n_parameters), rng.normal(size=(N, 1, 2))
        end = network.recurrence(theta, inputs).run()
        inner: Any = network.network if isinstance(network, InUnits) else network
        own = theta * network.units if isinstance(network, InUnits) else theta
        parts = inner.named(own)
        R, r = (parts[part] for part in inner.readout)
        assert np.allclose(
            R @ end[:, inner.read].T + r[:, None], network.scores(theta, inputs), atol=1e-13
        ), name


def data():
    task = get_task("xor")
    return Split(task.sample(60, N, 0), task.sample(40, N, 1))


def vanilla(threads=1):
    return make_network("vanilla", Shape(4, N, threads=threads))


FLOSSING = Flossing(k=2, every=2, before=5, sequences=3)
RECIPE = Recipe(0.01, 20, 3, 5, flossing=FLOSSING)


def test_flossing_before_the_training_moves_the_exponents_to_their_target(monkeypatch):
    network, split = vanilla(), data()
    theta = Start("uniform", weight_scale=0.3).draw(network, 0)
    inputs = split.train.batch(np.arange(20))[0]

    def largest(theta):
        return lg.growth_exponents(network.recurrence(theta, inputs), k=1, burn_in=0).exponents.mean()

    seen = []
    recipe = Recipe(0.02, 20, 1, flossing=Flossing(k=1, every=None, before=150, target=-0.1))
    monkeypatch.setattr(trainer._Loop, "_look", lambda self, state, *rest: seen.append(state.theta.copy()) or
                        state.trace.iteration.append(0))  # fmt: skip
    monkeypatch.setattr(trainer.TrainingRun, "accuracy", None)
    train(network, split, recipe, theta)
    assert largest(theta) < -1.0 and abs(largest(seen[0]) + 0.1) < 0.05


def test_an_iteration_with_the_penalty_has_the_sum_of_both_gradients():
    network, split = vanilla(), data()
    theta = Start().draw(network, 0)
    loop = trainer._Loop(network, split, RECIPE, None)
    chosen = np.array([7, 3, 11, 40])
    plain = loop._gradient(theta, chosen, None)
    _, penalty = FLOSSING.penalty(network, theta, split.train.batch(chosen[:3])[0])
    assert np.array_equal(loop._penalised(theta, chosen, plain, 2).gradient, plain.gradient + penalty)
    assert loop._penalised(theta, chosen, plain, 3) is plain
    assert loop._penalised(theta, chosen, plain, 2).loss == plain.loss


class Stops(Exception):
    pass


def test_the_same_bits_with_any_threads_and_after_a_stop(tmp_path, monkeypatch):
    split = data()
    theta = Start().draw(vanilla(), 0)
    whole = train(vanilla(), split, RECIPE, theta)
    assert np.array_equal(train(vanilla(threads=2), split, RECIPE, theta).theta, whole.theta)
    without = train(vanilla(), split, Recipe(0.01, 20, 3, 5), theta)
    assert not np.array_equal(whole.theta, without.theta)
    path, save = tmp_path / "run.npz", trainer.save_checkpoint

    def stop_after_one(*args):
        save(*args)
        raise Stops

    monkeypatch.setattr(trainer, "save_checkpoint", stop_after_one)
    with pytest.raises(Stops):
        train(vanilla(), split, RECIPE, theta, checkpoint=path)
    monkeypatch.setattr(trainer, "save_checkpoint", save)
    assert np.array_equal(train(vanilla(), split, RECIPE, theta, checkpoint=path).theta, whole.theta)
    with pytest.raises(ValueError, match=r"is of another run: .*flossing"):
        train(vanilla(), split, Recipe(0.01, 20, 3, 5), theta, checkpoint=path)


@pytest.mark.parametrize(
    ("flossing", "message"),
    [
        (Flossing(k=0), "flossing: k must be at least 1"),
        (Flossing(k=5), "flossing: k must be at most 4, the length of the state, got 5"),
        (Flossing(weight=0.0), "flossing: weight must be positive, got 0.0"),
        (Flossing(weight=np.inf), "flossing: weight must be finite"),
        (Flossing(k=2, target=(0.1, 0.2, 0.3)), "flossing: target has 3 numbers for k = 2"),
        (Flossing(every=0), "flossing: every must be at least 1"),
        (Flossing(every=None), "leave nothing to do"),
        (Flossing(before=-1), "flossing: before must be at least 0"),
        (Flossing(sequences=0), "flossing: sequences must be at least 1"),
    ],
)
def test_what_makes_no_sense_is_refused_before_the_training(flossing, message):
    network = vanilla()
    with pytest.raises(ValueError, match=message):
        train(network, data(), Recipe(flossing=flossing), Start().draw(network, 0))


def test_types_are_refused_in_a_sentence():
    network, wrongs = vanilla(), cast(list[Any], [3, "yes", {"k": 2}, "a"])
    for wrong in wrongs[:3]:
        with pytest.raises(TypeError, match="flossing must be a Flossing, such as"):
            train(network, data(), Recipe(flossing=wrong), Start().draw(network, 0))
    with pytest.raises(TypeError, match="flossing: weight must be a number, got 'a'"):
        train(network, data(), Recipe(flossing=Flossing(weight=wrongs[3])), Start().draw(network, 0))


def test_members_without_an_exponent_do_not_count():
    """With W = 0 every step is singular."""
    network = vanilla()
    value, gradient = Flossing().penalty(network, np.zeros(network.n_parameters), np.ones((N, 1, 2)))
    assert value == 0.0 and (gradient == 0.0).all()


def test_the_command(capsys, tmp_path):
    options = ["--model", "vanilla", "--floss", "2", "--floss-every", "3", "--floss-before", "4"]
    out = str(tmp_path / "run")
    assert main(["train", "xor", *QUICK, *options, "--floss-target=-0.1,-0.2", "--out", out, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert main(["train", "xor", *QUICK, "--model", "vanilla", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["loss"][1:] != found["loss"][1:]
    record = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert "--floss 2" in record["command"] and "--floss-every 3" in record["command"]
    assert record["parameters"]["recipe"]["flossing"]["target"] == [-0.1, -0.2]
    for wrong, message in (
        (["--floss-weight", "2"], "--floss-weight is for --floss K"),
        (["--floss", "2", "--floss-every", "x"], "--floss-every must be a whole number or off"),
        (["--floss", "2", "--floss-target", "a"], "--floss-target must be numbers"),
        (["--floss", "9"], "k must be at most 4"),
    ):
        assert main(["train", "xor", *QUICK, "--model", "vanilla", *wrong]) == 2
        assert message in capsys.readouterr().err


def test_the_page_on_the_experiment_has_the_numbers_that_are_kept():
    folder = Path(__file__).resolve().parents[3] / "docs" / "results" / "flossing"
    found = json.loads((folder / "flossing.json").read_text(encoding="utf-8"))
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert len(found["rows"]) == 12
    for row in found["rows"]:
        shown = ", ".join(f"{100 * value:.1f}" for value in row["test"])
        arm = [
            "yes" if row["flossing"] else "no",
            row["steps"],
            f"{row['rate']:g}",
            f"{row['weight_scale']:g}",
        ]
        assert f"| {' | '.join(map(str, [row['task'], row['n_steps'], *arm, shown]))} |" in page
        chosen = max(choice[2] for choice in row["validation_of_choices"])
        assert [row["rate"], row["weight_scale"], chosen] in row["validation_of_choices"]
