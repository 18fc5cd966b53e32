"""`leapgrad reproduce mnist`: settings by trials on validation images, test images once, runs that go on."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from sensitivity.cli import main
from sensitivity.papers.hamiltonian.heuristic import budget
from sensitivity.papers.hamiltonian.heuristic.budget import (
    BUDGET,
    BudgetPlan,
    Contender,
    ImageRun,
    Setup,
    page,
    run_budget,
    write_budget,
)
from sensitivity.papers.kept import committed
from sensitivity.papers.runs import UNFINISHED, TrainingRuns
from sensitivity.training.data.sequences import Sequences
from sensitivity.training.recipes import BUDGET_RECIPES
from sensitivity.training.trainer import Split

SLOW, FAST = Setup("antisymmetric", 2, 1e-3, {"step": 0.1}), Setup("antisymmetric", 2, 0.1, {"step": 0.1})
PLAN = BudgetPlan(
    (Contender("one", 100.0, (SLOW, FAST)), Contender("two", 400.0, (Setup("vanilla", 2, 0.01),))),
    hours=0.1, seeds=2, trial=12, trial_epochs=1, validation=9, batch=4, tasks=("mnist", "pmnist"),
)  # fmt: skip


@pytest.fixture
def images(monkeypatch):
    """Forty short sequences of two classes in place of the images."""
    rng = np.random.default_rng(0)

    def part(n):
        labels = np.arange(n) % 2
        values = (rng.normal(size=(6, 1, n)) + 2.0 * labels - 1.0)[:, :, :]
        return Sequences(values, labels.astype(np.int64), 2)

    split = Split(part(40), part(20), part(20))
    monkeypatch.setattr(budget, "digits", lambda folder, task, validation: split)
    return split


def fake(monkeypatch, accuracy):
    """Runs whose numbers are given, and the list of what was asked for."""
    seen = []

    def compute(job):
        seen.append(job)
        validation, test = accuracy(job)
        return {"outcome": np.array([validation, np.nan if job.images else test, 7.0])}

    monkeypatch.setattr(ImageRun, "compute", compute)
    return seen


# Catches: a setting chosen by test images, by trials that fresh runs share their seed with, or anew for a
# task that has no trials; fresh runs of settings that were not chosen.
def test_settings_are_chosen_by_trials_on_validation_images(monkeypatch):
    seen = fake(
        monkeypatch, lambda job: (0.9 if job.setup == FAST else 0.8, 0.7 if job.setup == FAST else 1.0)
    )
    bought = {(one.contender, one.task): one for one in run_budget(PLAN, threads=1, progress=False)}
    trials, fresh = [job for job in seen if job.images], [job for job in seen if not job.images]
    assert {(job.setup, job.recipe.seed, job.recipe.epochs, job.task) for job in trials} == {
        (setup, 2, 1, "mnist") for one in PLAN.contenders for setup in one.setups
    }
    assert {job.recipe.seed for job in fresh} == {0, 1} and SLOW not in {job.setup for job in fresh}
    assert bought["one", "pmnist"].setup == FAST and bought["one", "pmnist"].test == (0.7, 0.7)
    assert bought["one", "mnist"].text() == "70.00 % (70.00–70.00, 2 runs)"
    assert replace(bought["one", "mnist"], test=(0.7,)).text() == "70.00 % (1 run)"
    assert dict(bought["one", "mnist"].trials) == {SLOW: 0.8, FAST: 0.9}
    # The first task with its first seed comes first, so that a row is there early.
    assert [(job.task, job.recipe.seed) for job in fresh[:4]] == [("mnist", 0)] * 2 + [("mnist", 1)] * 2


def test_every_network_has_as_many_seconds():
    one, two = PLAN.contenders
    assert PLAN.epochs(one) == pytest.approx(4 * PLAN.epochs(two), abs=4)
    for contender in BUDGET.contenders:
        plan = replace(BUDGET, hours=2.0)
        setup = contender.setups[0]
        recipe = plan.recipe(setup, plan.epochs(contender), 0)
        job = ImageRun("mnist", setup, recipe, plan.validation, 0, contender.microseconds)
        epoch = job.seconds / recipe.epochs  # an estimate from the plan: no clock is read here
        assert 7200.0 - epoch < job.seconds <= 7200.0
        assert recipe.cosine and recipe.clip == 1.0 and recipe.factors == setup.factors


def test_every_setting_makes_a_network_that_starts():
    data = Sequences(np.zeros((5, 1, 3), np.uint8), np.zeros(3, np.int64), 10, 1 / 255)
    for contender in BUDGET.contenders:
        for setup in contender.setups:
            network = setup.network(data)
            assert np.isfinite(setup.start.draw(network, 0)).all() and network.n_classes == 10
    assert len({one.name for one in BUDGET.contenders}) == len(BUDGET.contenders)


# Catches: a stopped run that begins anew or ends elsewhere, a checkpoint that stays, a number that depends
# on where the data or the checkpoint lie.
def test_a_stopped_run_goes_on_from_its_last_epoch(images, tmp_path, monkeypatch):
    recipe = PLAN.recipe(FAST, 4, 0)
    whole = ImageRun("mnist", FAST, recipe, 9).compute()["outcome"]
    job = ImageRun("mnist", FAST, recipe, 9, data="elsewhere", place=str(tmp_path))
    assert job.address == ImageRun("mnist", FAST, recipe, 9).address
    true, calls = budget.train, []

    def stopped(network, data, recipe, theta, *, checkpoint):
        calls.append(data)
        true(
            network, data, replace(recipe, epochs=4), theta, checkpoint=checkpoint, watch=at_the_third_look()
        )

    def at_the_third_look():
        looks = []

        def watch(theta):
            looks.append(theta)
            if len(looks) == 4:
                raise KeyboardInterrupt
            return {}

        return watch

    monkeypatch.setattr(budget, "train", stopped)
    with pytest.raises(KeyboardInterrupt):
        job.compute()
    assert len(list(tmp_path.iterdir())) == 1
    epochs = []
    monkeypatch.setattr(
        budget, "train", lambda *given, **more: epochs.append(true(*given, **more)) or epochs[0]
    )
    again = job.compute()["outcome"]
    assert np.array_equal(again, whole) and not list(tmp_path.iterdir())
    assert epochs[0].trace.iteration[-1] == 4 * (len(images.train) // recipe.batch)
    # Along the way nothing but training images is looked at.
    assert calls[0].watched is None and calls[0].watched_name == "training"


def test_files_and_what_is_there_so_far(images, tmp_path):
    plan = replace(PLAN, hours=1e-7)
    bought, _ = write_budget(tmp_path / "all", plan, command="leapgrad reproduce mnist", progress=False)
    kept = json.loads((tmp_path / "all" / "budget.json").read_text(encoding="utf-8"))["bought"]
    assert [tuple(one["test"]) for one in kept] == [one.test for one in bought]
    assert all(len(one.test) == 2 and one.hidden for one in bought)
    text = (tmp_path / "all" / "README.md").read_text(encoding="utf-8")
    assert all(one.text() in text for one in bought) and "leapgrad reproduce mnist" in text
    runs = TrainingRuns(tmp_path / "part" / UNFINISHED, progress=False)
    run_budget(replace(plan, seeds=1, seed=1, tasks=("mnist",), contenders=plan.contenders[:1]), runs)
    half, _ = write_budget(tmp_path / "part", replace(plan, seeds=1, seed=1), so_far=True)
    assert [len(one.test) for one in half] == [1, 0, 0, 0] and half[2].setup is None
    assert "not run" in page(half, plan, "") and "not searched" in page(half, plan, "")
    assert "so far: 7 of 8 runs" in page(half, plan, "") and "so far" not in text
    assert (tmp_path / "part" / UNFINISHED / "study.sqlite").exists()


def test_the_command_refuses_what_it_does_not_know(capsys):
    for words, said in (
        (["--network", "Hamiltonan"], "Did you mean 'Hamiltonian'"),
        (["--task", "mnst"], "Did you mean 'mnist'"),
        (["--hours", "0"], "--hours must be positive"),
        (["--seeds", "0"], "--seeds"),
    ):
        assert main(["reproduce", "mnist", *words]) == 2
        assert said in capsys.readouterr().err


# Catches: a recipe that says other than what the kept experiment chose, or that it does not bear out.
def test_the_recipe_of_the_budget_is_what_the_kept_result_chose():
    kept = committed("mnist", "budget.json")
    assert kept is not None
    mine = next(one for one in kept["bought"] if (one["contender"], one["task"]) == ("LEM", "mnist"))
    setup, recipe = mine["setup"], BUDGET_RECIPES["mnist-lem"]
    asked = {name: recipe[name] for name in ("model", "d", "rate", "epochs")}
    assert asked == {**{name: setup[name] for name in ("model", "d", "rate")}, "epochs": mine["epochs"]}
    assert setup["settings"] == {"step": float(recipe["step"])} and setup["start"]["kind"] == recipe["start"]
    plan = kept["manifest"]["parameters"]
    assert recipe["batch"] == plan["batch"] == BUDGET.batch and recipe["validation"] == plan["validation"]
    assert len(mine["test"]) == 3 and min(mine["test"]) > 0.97
    best = {one["contender"]: np.mean(one["test"]) for one in kept["bought"]
            if one["task"] == "mnist" and one["test"]}  # fmt: skip
    assert max(best, key=lambda name: best[name]) == "LEM"
