"""A checkpoint belongs to one run: what differs is named, more epochs are welcome, nonsense is refused."""

from __future__ import annotations

import io
import json
import os
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from sensitivity.cli import main
from sensitivity.training.data.sequences import Sequences
from sensitivity.training.data.tasks import TASKS
from sensitivity.training.models import Shape, make_network
from sensitivity.training.start import Start
from sensitivity.training.trainer import Recipe, Split, train

N_STEPS = 8
RECIPE = Recipe(0.02, 50, 3, 5)


def sample(task, seed=0, n=200):
    return TASKS[task].sample(n, N_STEPS, seed)


def split(task="shock_std", seed=0):
    return Split(sample(task, seed), sample(task, 7, 60), sample(task, 8, 40))


def make(model="hamiltonian", d=4, step=1.0, **options):
    return make_network(model, Shape(d, N_STEPS, threads=1), step=step, **options)


def run(path, *, data=None, network=None, recipe=RECIPE, seed=2, **options):
    network = network or make()
    return train(network, data or split(), recipe, Start().draw(network, seed), checkpoint=path, **options)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "run.npz"
    run(path, about={"task": "shock_std"})
    return path


def with_(part, **changes):
    """A split whose training part has other entries."""
    data = split()
    return replace(data, **{part: replace(getattr(data, part), **changes)})


def test_the_same_run_is_taken_up(path):
    before = path.read_bytes()
    assert run(path, about={"task": "shock_std"}).trace.iteration[-1] == 12 and path.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"data": split("xor")}, "other training inputs"),
        ({"data": split(seed=1)}, "other training inputs"),
        ({"data": with_("train", labels=1 - sample("shock_std").labels)}, "other training labels"),
        ({"data": with_("train", values=-sample("shock_std").values)}, "other training inputs"),
        ({"data": with_("train", scale=0.5)}, "other training inputs"),
        ({"data": with_("train", weights=np.linspace(0.5, 1.5, 200))}, "other training weights"),
        ({"data": with_("test", labels=1 - sample("shock_std", 7, 60).labels)}, "other test labels"),
        ({"data": with_("validation", values=sample("xor", 8, 40).values)}, "other validation inputs"),
        ({"data": replace(split(), train=sample("shock_std", 0, 150))}, "training sequences 200, not 150"),
        ({"data": replace(split(), validation=None)}, "looked at 'validation', not 'test'"),
        ({"network": make(step=0.5)}, "step 1.0, not 0.5"),
        ({"network": make(scheme="yoshida4")}, "scheme 'leapfrog', not 'yoshida4'"),
        ({"network": make(activation="relu")}, "activation 'tanh', not 'relu'"),
        ({"network": make(d=3)}, "d 4, not 3"),
        ({"network": make(d=40)}, "d 4, not 40"),
        ({"network": make("vanilla", step=None)}, "not 'vanilla'"),
        ({"recipe": replace(RECIPE, rate=0.01)}, "rate 0.02, not 0.01"),
        ({"recipe": replace(RECIPE, seed=6)}, "seed 5, not 6"),
        ({"recipe": replace(RECIPE, batch=40)}, "batch 50, not 40"),
        ({"recipe": replace(RECIPE, clip=None)}, "clip 1.0, not None"),
        ({"recipe": replace(RECIPE, cosine=True)}, "cosine False, not True"),
        ({"recipe": replace(RECIPE, threshold=0.9)}, "threshold None, not 0.9"),
        ({"recipe": replace(RECIPE, epochs=2)}, "has run 3 epochs, more than the 2 asked for"),
        ({"seed": 3}, "other first parameters"),
        ({"about": {"task": "xor"}}, "task 'shock_std', not 'xor'"),
        ({"about": {}}, "task 'shock_std', not None"),
    ],
)
def test_a_run_that_differs_is_refused_by_name(path, change, told):
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"checkpoint .*run\.npz ") as caught:
        run(path, **{"about": {"task": "shock_std"}, **change})
    assert told in str(caught.value) and path.read_bytes() == before


def test_cells_that_differ_in_a_setting_alone_are_told_apart(tmp_path):
    path = tmp_path / "run.npz"
    run(path, network=make("vanilla", step=None, activation="tanh"))
    with pytest.raises(ValueError, match="activation"):
        run(path, network=make("vanilla", step=None, activation="relu"))


def test_a_run_can_be_continued_to_more_epochs(path):
    network = make()
    whole = train(network, split(), replace(RECIPE, epochs=5), Start().draw(network, 2))
    more = run(path, recipe=replace(RECIPE, epochs=5), about={"task": "shock_std"})
    assert np.array_equal(more.theta, whole.theta)
    assert more.trace.accuracy == whole.trace.accuracy and more.trace.loss[1:] == whole.trace.loss[1:]


def test_a_rate_along_a_cosine_is_laid_out_for_its_epochs(tmp_path):
    path, recipe = tmp_path / "run.npz", replace(RECIPE, cosine=True)
    run(path, recipe=recipe)
    with pytest.raises(ValueError, match="epochs 3, not 4"):
        run(path, recipe=replace(recipe, epochs=4))


def changed(path, **changes):
    """Write the checkpoint anew with some entries or facts changed; None takes a fact away."""
    with np.load(path) as kept:
        arrays = {name: kept[name] for name in kept.files}
    facts = json.loads(arrays.pop("facts").tobytes())
    arrays |= {name: value for name, value in changes.items() if name in arrays}
    facts |= {name: value for name, value in changes.items() if name not in arrays}
    facts = {name: value for name, value in facts.items() if value is not None}
    np.savez(path, **arrays, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8))


NAN = np.full(make().n_parameters, np.nan)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"theta": NAN}, "theta holds nan"),
        ({"first": NAN}, "first holds nan"),
        ({"second": np.full(NAN.size, np.inf)}, "second holds inf"),
        ({"second": np.full(NAN.size, -1.0)}, "second holds negative"),
        ({"theta": np.zeros(NAN.size - 1)}, "theta has type float64 and shape (33,)"),
        (dict.fromkeys(("theta", "first", "second"), np.zeros(NAN.size - 1)), "shape (33,)"),
        ({"theta": np.zeros((NAN.size, 1))}, "shape"),
        ({"theta": np.zeros(NAN.size, np.float32)}, "float32"),
        ({"theta": np.array(["a"] * NAN.size)}, "type"),
        ({"identity": None}, "does not say which run it belongs to"),
        ({"identity": "shock"}, "does not say which run it belongs to"),
        ({"format": None}, "does not say which data and start it belongs to; remove it or name another file"),
        ({"format": 99}, "written by another version"),
        ({"epoch": None}, "epoch is None"),
        ({"epoch": -1}, "epoch is -1"),
        ({"epoch": "3"}, "epoch is '3'"),
        ({"steps": 1.5}, "steps is 1.5"),
        ({"seconds": float("nan")}, "seconds is nan"),
        ({"trace": None}, "it has no trace"),
        ({"trace": {"story": []}}, "its trace is not that of a run"),
        ({"trace": {"iteration": [1, 2]}}, "different lengths"),
        ({"trace": {"iteration": 3}}, "its trace is not that of a run"),
    ],
)
def test_what_no_run_has_written_is_refused(path, changes, told):
    changed(path, **changes)
    with pytest.raises(ValueError, match=r"checkpoint .*run\.npz ") as caught:
        run(path, about={"task": "shock_std"})
    assert told in str(caught.value)


def _entry(name, content):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in ("theta", "first", "second", "facts"):
            archive.writestr(f"{entry}.npy", content if entry == name else b"")
    return stream.getvalue()


def _deep():
    stream = io.BytesIO()
    text = np.frombuffer(b"[" * 200_000, np.uint8)
    np.savez(stream, theta=NAN, first=NAN, second=NAN, facts=text)
    return stream.getvalue()


def _weights():
    stream = io.BytesIO()
    np.savez(stream, W=np.eye(3))
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"", b"PK", b"not a checkpoint", b"\x93NUMPY", _entry("theta", b"junk"), _deep(), _weights(),
     _entry("facts", bytes(300 * 2**20)), _entry("theta", bytes(2**20))],
    ids=["empty", "start of a zip", "text", "npy", "junk inside", "nested", "weights", "bomb", "large"],
)  # fmt: skip
def test_other_kinds_of_files_are_refused_and_stay(tmp_path, content):
    path = tmp_path / "run.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"checkpoint .*run\.npz (cannot be read|is)"):
        run(path)
    assert path.read_bytes() == content


def test_a_checkpoint_cut_short_anywhere_is_refused(path):
    whole = path.read_bytes()
    for length in range(0, len(whole), len(whole) // 23):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"cannot be read"):
            run(path, about={"task": "shock_std"})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_not_waited_for(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(ValueError, match="is not a regular file"):
        run(path)


QUICK = ["--n-steps", "10", "--train", "200", "--test", "100", "--epochs", "2", "--batch", "50", "--d", "4"]


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["xor", *QUICK], "task 'shock_std', not 'xor'"),
        (["shock", *QUICK], "task 'shock_std', not 'shock'"),
        (["shock_std", *QUICK, "--seed", "1"], "seed 0, not 1"),
        (["shock_std", *QUICK, "--model", "lstm"], "not 'lstm'"),
        (["shock_std", *QUICK, "--n-steps", "12"], "n_steps 10, not 12"),
        (["shock_std", *QUICK, "--start", "paper"], "kind 'published', not 'paper'"),
    ],
)
def test_on_the_command_line(capsys, tmp_path, argv, told):
    path = str(tmp_path / "run.npz")
    assert main(["train", "shock_std", *QUICK, "--recipe", "none", "--checkpoint", path]) == 0
    capsys.readouterr()
    assert main(["train", *argv, "--recipe", "none", "--checkpoint", path]) == 2
    out, err = capsys.readouterr()
    assert out == "" and told in err and err.count("\n") == 1


def test_sequences_are_not_told_apart_by_how_they_lie_in_memory(tmp_path):
    path, data = tmp_path / "run.npz", split()
    run(path, data=data)
    train_ = data.train
    other = Sequences(np.asfortranarray(train_.values), train_.labels.copy(), 2)
    run(path, data=replace(data, train=other))
