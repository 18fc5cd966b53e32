"""Every command that takes --model, with every kind of model: the library's numbers, or one sentence."""

import csv
import json

import numpy as np
import pytest

from integrators import NeuralField, kepler, pendulum
from sensitivity import (
    Study,
    bounds,
    cell,
    certify,
    compare,
    gradient_profile,
    growth_exponents,
    jacobian_norm,
    save_weights,
    singular_values,
    unroll,
)
from sensitivity.cli import main
from sensitivity.recurrences.registry import FIELDS, drawn_inputs, names, reference

N = 12
OWN = """
from integrators import Field, symbolic_field
from sensitivity import cell
import sympy
def mine(d, n_inputs=0, rng=0, gamma=0.5):
    return cell("antisymmetric", d, n_inputs, rng, gamma=gamma)
def duffing(d, n_inputs=0, rng=0, k=1.0):
    q, stiffness = sympy.symbols("q k")
    return symbolic_field([q - stiffness * q**3], [q], parameters={stiffness: k}, name="duffing")
"""
W, B = np.array([[0.3, -0.2], [0.1, 0.4]]), np.array([0.1, -0.3])
# Kind of model → its words, and the arguments of the library's verbs with the step sizes of the words.
KINDS = {
    "network": (["--d", "3"], lambda: (NeuralField.random(3), "leapfrog")),
    "network by name": (
        ["--model", "hamiltonian", "--d", "3", "--scheme", "yoshida4", "--set", "activation=sin"],
        lambda: (NeuralField.random(3, activation="sin"), "yoshida4"),
    ),
    "network of a file": (["--model", "hamiltonian=net.npz"], lambda: (NeuralField(W, B), "leapfrog")),
    "potential form": (
        ["--model", "hamiltonian_potential", "--d", "2", "--scheme", "euler"],
        lambda: (cell("hamiltonian_potential", 2), "euler"),
    ),
    "textbook field": (
        ["--model", "pendulum", "--set", "omega=1.5", "--y0", "1"],
        lambda: (pendulum(1.5), "leapfrog", [1.0], None),
    ),
    "singular field": (
        ["--model", "kepler", "--scheme", "euler", "--y0=1,0"],
        lambda: (kepler(), "euler", [1.0, 0.0], None),
    ),
    "field of one's own": (
        ["--model", "matrix_models:duffing", "--set", "k=0.5", "--y0", "0.5"],
        lambda: (made("duffing")(1, k=0.5), "leapfrog", [0.5], None),
    ),
    "cell": (["--model", "cornn", "--d", "3", "--set", "gamma=2"], lambda: (cell("cornn", 3, gamma=2),)),
    "bounded cell": (["--model", "leaky", "--d", "2", "--seed", "4"], lambda: (cell("leaky", 2, 0, 4),)),
    "gated cell with inputs": (
        ["--model", "lstm", "--d", "2", "--n-inputs", "2"], lambda: (cell("lstm", 2, 2),)
    ),
    "cell of a file": (["--model", "gru=gru.npz"], lambda: (cell("gru", 2, 1, 5),)),
    "cell of a file by itself": (["--weights", "gru.npz"], lambda: (cell("gru", 2, 1, 5),)),
    "cell of one's own": (
        ["--model", "matrix_models:mine", "--d", "2", "--set", "gamma=0.25"],
        lambda: (made("mine")(2, gamma=0.25),),
    ),
}  # fmt: skip
FIELD = {kind for kind in KINDS if "field" in kind or "network" in kind or "potential" in kind}
NETWORK = {kind for kind in KINDS if "network" in kind}
PROVED = FIELD - {"singular field", "field of one's own"}


def made(name):
    import matrix_models  # pyright: ignore[reportMissingImports]

    return getattr(matrix_models, name)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "matrix_models.py").write_text(OWN)
    monkeypatch.delitem(__import__("sys").modules, "matrix_models", raising=False)
    np.savez("net.npz", W=W, b=B)
    save_weights("gru.npz", cell("gru", 2, 1, 5))


def arguments(kind, step):
    """What the verbs of the library take for the model of a kind."""
    model, *scheme = KINDS[kind][1]()
    if kind in FIELD:
        return (model, scheme[0], step, N, *scheme[1:])
    inputs = drawn_inputs(N, model.n_inputs, 0) if model.n_inputs else None
    steps = step if model.kind.step is not None else None
    return (unroll(model, N, np.zeros((1, model.dim)), inputs, steps),)


def steps_of(kind):
    """The words of --step, where the model has step sizes, and their values."""
    if kind in FIELD or "cell" in (kind, kind.removeprefix("bounded ")) or "own" in kind:
        return ["--step", "0.1,0.2"], np.array([0.1, 0.2])
    return [], None


@pytest.fixture
def shown(capsys):
    def call(command, kind, *more):
        words, step = steps_of(kind)
        status = main([command, *KINDS[kind][0], *words, "--n-steps", str(N), *more, "--json"])
        out, err = capsys.readouterr()
        assert (status, err) == (0, ""), err
        return json.loads(out), arguments(kind, step)

    return call


@pytest.mark.parametrize("kind", KINDS)
def test_norm(kind, shown):
    found, case = shown("norm", kind)
    assert found["results"]["norm"] == np.atleast_1d(jacobian_norm(*case)).tolist()
    assert found["violations"] == 0
    proved = PROVED | {kind for kind in KINDS if "cell" in kind}
    assert (found["results"]["bound"][0] is not None) == (kind in proved)


@pytest.mark.parametrize("kind", KINDS)
def test_profile(kind, shown):
    found, case = shown("profile", kind)
    assert found["results"]["log_norm"] == gradient_profile(*case).log_norms.tolist()
    assert (found["bounds"] is not None) == (kind in PROVED)


@pytest.mark.parametrize("kind", KINDS)
def test_growth(kind, shown):
    found, case = shown("growth", kind, "--burn-in", "2")
    expected = growth_exponents(*case, burn_in=2).exponents
    assert np.array_equal(np.array(found["results"]["exponents"], float), expected)
    assert found["violations"] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_bound(kind, shown):
    found, case = shown("bound", kind)
    logs = singular_values(*case, method="full").log
    assert found["log_norm"] == logs[:, 0].tolist() and found["violations"] == 0
    names_of = [bound["name"] for bound in found["bounds"]]
    if kind in FIELD:
        assert names_of == [bound.name for bound in bounds.applicable(*case)]
        assert bool(set(names_of) & {"majorant"}) == (kind in PROVED)
    elif names_of:
        run = case[0]
        assert found["bounds"][0]["log_value"] == run.cell.log_bound(run.step, N).tolist()
    else:
        assert "leapgrad bound has one for" in "".join(found["do_not_hold"].values())


@pytest.mark.parametrize("kind", KINDS)
def test_certify(kind, shown, capsys):
    if kind in NETWORK:
        found, case = shown("certify", kind, "--width", "1e-6")
        one = certify(*case[:2], 0.1, N, width=1e-6)
        assert found["certificates"][0]["norm"] == one.norm_ball.str(30)
        return
    if kind not in FIELD:
        found, case = shown("certify", kind, "--width", "1e-6")
        balls = [certify(run, width=1e-6).norm_ball.str(30) for run in case[0].alone()]
        assert [one["norm"] for one in found["certificates"]] == balls
        return
    assert main(["certify", *KINDS[kind][0], "--n-steps", str(N)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("leapgrad certify takes hamiltonian.")


@pytest.mark.parametrize("kind", KINDS)
def test_recommend(kind, shown, capsys):
    status = main(["recommend", *KINDS[kind][0], "--n-steps", str(N)])
    err = capsys.readouterr().err
    assert status == (0 if kind in PROVED else 2)
    assert status == 0 or err.count("\n") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_compare(kind, capsys):
    words = KINDS[kind][0]
    if "--weights" in words or "--model" not in words:
        return  # the word of a comparison is a name
    status = main(["compare", *words, "--n-steps", str(N), "--n-inputs", "0", "--json"])
    out, err = capsys.readouterr()
    assert (status, err) == (0, ""), err
    (found,) = json.loads(out)["results"].values()
    model, *rest = KINDS[kind][1]()
    if kind in FIELD:
        scheme, *start = rest
        s0 = None if not start else np.concatenate([start[0], np.zeros(model.dim)])
        s0 = s0 if s0 is None or scheme != "euler" else s0[: model.dim]
        run = unroll(model, N, s0, step=1.0 / N, scheme=scheme)
    else:
        model = cell("lstm", 2) if "gated" in kind else model
        run = unroll(model, N, inputs=drawn_inputs(N, model.n_inputs, 0) if model.n_inputs else None)
    assert found["log_norms"] == compare({"it": run}).models[0].log_norms.tolist()


# A study takes one number for the start of all components, and no model unless one is named.
SWEPT = set(KINDS) - {"singular field", "network"}


@pytest.mark.parametrize("kind", KINDS)
def test_sweep(kind, capsys):
    words = ["sweep", *KINDS[kind][0], "--n-steps", str(N), "--step", "0.1,0.2", "--out", "study"]
    status = main([*words, "--csv", "all.csv", "--json"])
    err = capsys.readouterr().err
    if kind not in SWEPT:
        assert status == 2 and err.count("\n") == 1, err
        return
    assert (status, err) == (0, ""), err
    rows = list(csv.DictReader(open("all.csv", encoding="utf-8")))
    norms = np.atleast_1d(jacobian_norm(*arguments(kind, np.array([0.1, 0.2]))))
    assert [float(row["norm"]) for row in rows] == np.broadcast_to(norms, 2).tolist()


TRAINED = {"network", "network by name", "cell", "bounded cell", "cell of a file", "cell of a file by itself"}
TRAINED |= {"gated cell with inputs", "cell of one's own"}


@pytest.mark.parametrize("kind", KINDS)
def test_train(kind, capsys):
    words, left_out = list(KINDS[kind][0]), ("--n-inputs", "--y0")
    for option in left_out:
        if option in words:
            del words[words.index(option) : words.index(option) + 2]
    words = [word for word in words if not word.startswith("--y0=")]
    small = ["--train", "20", "--test", "10", "--epochs", "1", "--batch", "10", "--n-steps", "5", "--json"]
    status = main(["train", "xor", *words, *small])
    out, err = capsys.readouterr()
    if kind in TRAINED:
        assert (status, err) == (0, ""), err
        assert json.loads(out)["model"]
    else:
        assert status == 2 and err.count("\n") == 1, err


def test_a_field_of_a_study_is_that_of_the_library(tmp_path):
    """The potential form is a model of a study as the network is; "hamiltonian" is what was "neural"."""
    grid = {"d": 2, "n_steps": N, "inputs": 1, "step": [0.1, 0.2], "scheme": "euler"}
    for name in ("hamiltonian", "hamiltonian_potential"):
        results = Study({"model": name, **grid}, "norm").run(tmp_path / name)
        results.to_csv(tmp_path / f"{name}.csv")
        lines = (tmp_path / f"{name}.csv").read_text(encoding="utf-8").splitlines()
        column = lines[0].split(",").index("norm")
        expected = jacobian_norm(
            cell(name, 2, 1), "euler", [0.1, 0.2], N, inputs=drawn_inputs(N, 1, 0), method="auto"
        )
        assert [float(line.split(",")[column]) for line in lines[1:]] == expected.tolist()
    assert Study({"model": "hamiltonian"}) == Study({"model": "neural"})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("norm --model lstm=", "must be NAME or NAME=FILE"),
        ("norm --model lstm=gru.npz", "lstm was asked for, but gru"),
        ("norm --model gru=gru.npz --weights gru.npz", "name two files"),
        ("norm --model gru=gru.npz --d 3", "--d cannot go with --model"),
        ("norm --model gru=nowhere.npz", "nowhere.npz"),
        ("norm --model hamiltonian=nowhere.npz", "--model: No such file or directory: nowhere.npz"),
        ("norm --model hamiltonian=gru.npz", "holds a recurrent cell and no field"),
        ("norm --model kepler=net.npz", "kepler has no weights that a file could hold"),
        ("norm --model kepler", "kepler is singular at y = 0; give --y0"),
        ("norm --model kepler --y0 1 --d 3", "kepler has d = 2, got 3"),
        ("norm --model kepler --y0 1 --n-inputs 1", "kepler has n_inputs = 0, got 1"),
        ("norm --model pendulum --set mu=1", "pendulum has no hyperparameter 'mu'; it has omega"),
        ("norm --model pendulum --gamma 1", "pendulum has no hyperparameter 'gamma'"),
        ("norm --model lstm --activation tanh", "lstm has no hyperparameter 'activation'"),
        ("growth --model lstm --p0 1", "--p0 belongs to fields and schemes"),
        ("profile --model lstn", "Did you mean 'lstm'"),
        ("profile --model lstm --of inputs", "inputs"),
        ("bound --model lstm --scheme euler", "--scheme belongs to fields"),
        ("sweep --out o", "give a file STUDY.toml, or a model"),
        ("sweep --model lstm=gru.npz --out o", "lstm was asked for, but gru"),
        ("sweep --model gru=gru.npz --d 3 --out o", "axis 'd' is none of gru=gru.npz"),
        ("sweep --model gru=nowhere.npz --out o", "nowhere.npz"),
        ("sweep --model gru --model lstm --weights gru.npz --out o", "--weights goes with one model"),
        ("sweep --model nowhere_at_all:mine --out o", "no file of a module 'nowhere_at_all'"),
        ("sweep --model cornn --set gamma=-x --out o", "gamma has dtype"),
        ("sweep --model leaky --set tau=0 --out o", "tau must be positive, got 0"),
        ("sweep --model pendulum --set omega=true --out o", "omega"),
        ("sweep --model lstm --inputs x.npy --out o", "inputs: No such file or directory: x.npy"),
        ("sweep --model lstm --y0 1,2 --out o", "--y0 '1,2' is not one number"),
        ("sweep --model lstm --gama 1 --out o", "unrecognized arguments"),
        ("sweep --model lstm --set gamma=1 --out o", "axis 'gamma' is none of lstm"),
        ("train xor --model kepler", "kepler cannot be trained; take euler, antisymmetric, hamiltonian"),
        ("train xor --model gru=gru.npz --d 3", "--d cannot go with weights from gru.npz"),
        ("train xor --model hamiltonian=net.npz", "the field in net.npz takes 0 inputs, but the sequences"),
        ("train xor --model antisymmetric=net.npz", "does not say the step size of antisymmetric"),
        ("train xor --model hamiltonian=net.npz --d 3", "--d cannot go with weights from net.npz"),
        (
            "train xor --model matrix_models:duffing",
            "duffing cannot be trained; take euler",
        ),
        ("train xor --model nowhere_at_all:mine", "No module named 'nowhere_at_all'"),
        ("train xor --model matrix_models:mine --set k=1", "has no option k; it takes gamma"),
        ("train xor --model leaky --set gain=1", "model 'leaky' has no option gain"),
    ],
)
def test_mistakes_are_named(line, message, capsys):
    assert main(line.split()) == 2
    out, err = capsys.readouterr()
    assert message in err and err.count("\n") == 1 and not out


def test_every_model_has_a_reference_and_every_field_a_case():
    assert all(reference(name) for name in names())
    assert {"hamiltonian", "hamiltonian_potential", "harmonic", "pendulum", "henon_heiles", "kepler"} == set(
        FIELDS
    )
