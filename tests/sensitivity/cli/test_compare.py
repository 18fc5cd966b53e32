"""Cells by name on the command line and in studies; many of them side by side; what is proved of each."""

import csv
import json

import numpy as np
import pytest

from sensitivity import gradient_profile, growth_exponents, jacobian, log_jacobian_norm
from sensitivity.analysis.comparison import compare
from sensitivity.cli import main
from sensitivity.recurrences.case import case_of, model_of
from sensitivity.recurrences.cell import unroll
from sensitivity.recurrences.registry import MODELS, drawn_inputs, make
from sensitivity.studies import Study
from sensitivity.weights.weight_files import save_weights

# The models without a bound.
UNPROVED = "slstm adam_rnn rmsprop_rnn momentum_lstm nesterov_lstm".split()
# Bounds that need what the structure keeps: rates that are not positive.
NEED_STRUCTURE = ("s6", "rg_lru")
N = 60
DRIVE = drawn_inputs(N, 1, 0)


def grown(cell, seed):
    """Parameters well away from the start, where a bound with a wrong constant is broken."""
    rng = np.random.default_rng(seed)
    if cell.name in NEED_STRUCTURE:
        return cell.with_free(cell.free + cell.free_trainable * rng.normal(size=cell.free.size))
    cell = cell.unstructured()  # the bounds hold for every W
    return cell.with_theta(cell.theta + cell.trainable * rng.normal(size=cell.theta.size))


@pytest.mark.parametrize("name", MODELS)
def test_proved_bounds_hold(name):
    for seed in range(4):
        cell = grown(make(name, 3, 1, seed), seed)
        s0 = np.random.default_rng(seed).normal(size=cell.dim)
        for n_steps in (0, 1, 12):
            bound = cell.log_bound(cell.step_size, n_steps, s0)
            if name in UNPROVED:
                assert np.isnan(bound)
                continue
            run = unroll(cell, n_steps, s0, DRIVE[:n_steps])
            assert log_jacobian_norm(run) <= bound
            assert n_steps or bound == pytest.approx(0.0, abs=1e-12)


def test_bounds_are_attained():
    """One state each in which the bound is the norm: a larger constant would show."""
    d = 3
    W = np.diag([2.0, 1.0, 0.5])
    names = "vanilla euler leaky gated_antisymmetric scornn unicornn urnn sbo".split()
    kinds = {name: make(name, d).unstructured().kind for name in names}
    linear = {"activation": 1.0 * _code("identity")}
    still, open_gate = np.zeros(d), np.repeat([0.0, 50.0], d)
    cases = [
        (kinds["vanilla"](d, W=W, **linear), 7),
        (kinds["euler"](d, W=W, step=0.3, **linear), 7),
        (kinds["leaky"](d, W=W, step=0.3, **linear), 7),
        (kinds["gated_antisymmetric"](d, W=W, step=0.3, b=open_gate), 7),
        (kinds["unicornn"](d, w=[-3.0, 0.0, 0.0], alpha=-1.0, step=0.4), 7),  # k = w σ'(0) + α at rest
        (kinds["scornn"](d, W=W, b=still + 0.1), 7),
        (kinds["sbo"](d, W=-2.0 * np.eye(d), b=still + 1.0, alpha=1.5, eta=1.0), 1),  # 1 − η (α + 2)²
    ]
    for cell, n_steps in cases:
        run = unroll(cell, n_steps)
        assert cell.log_bound(cell.step_size, n_steps) == pytest.approx(log_jacobian_norm(run), rel=1e-10)
    # modReLU: the tangential gain (m + b)/(m + e) at m² = |z|² + inside.
    cell = kinds["urnn"](d, W=np.eye(2 * d), b=[0.5] * d, inside=0.04, outside=0.1)
    tight = np.linalg.norm(cell.linearise(np.zeros(2 * d))[1], 2)
    assert np.exp(cell.log_bound(1.0, 1)) == pytest.approx(tight, rel=1e-10)


def _code(name):
    from integrators.fields.activations import ACTIVATIONS

    return ACTIVATIONS[name].code


@pytest.fixture(scope="module")
def pair():
    return {
        name: case_of(name, model_of(name, 4, 1), N, inputs=DRIVE).recurrence
        for name in ("lstm", "hamiltonian")
    }


def test_a_comparison_is_what_the_verbs_say(pair):
    found = compare(pair)
    for model in found.models:
        run = pair[model.name]
        assert model.log_norms[-1] == pytest.approx(log_jacobian_norm(run), rel=1e-10)
        profile = gradient_profile(run)
        assert np.abs(model.log_profile - profile.log_norms.ravel()[found.index]).max() <= 1e-10
        growth = growth_exponents(run, k=3)
        assert np.array_equal(model.exponents, growth.exponents.ravel())
    n = int(found.steps[5])
    short = unroll(pair["lstm"].cell, n, inputs=DRIVE[:n])
    assert found.models[0].log_norms[5] == pytest.approx(
        np.log(np.linalg.norm(jacobian(short), 2)), rel=1e-12
    )
    assert found.models[1].block == "position" and pair["hamiltonian"].step == 1.0 / N
    columns = found.columns()
    assert len({len(column) for column in columns.values()}) == 1
    assert set(columns["quantity"]) == {"log_norm", "log_profile", "exponent"}
    figure = found.figure("t")
    assert [text.get_text() for text in figure.axes[2].get_yticklabels()] == [
        "hamiltonian (position)",
        "lstm",
    ]
    for axes, values in zip(figure.axes[:2], ("log_norms", "log_profile"), strict=True):
        drawn = sorted(float(line.get_ydata()[-1]) for line in axes.lines[:2])
        assert drawn == sorted(getattr(model, values)[-1] for model in found.models)


def test_a_comparison_survives_an_overflow_and_refuses_what_differs(pair):
    cell = make("euler", 2)
    wild = cell.with_theta(np.array([1e200, 0, 0, 1e200, 1, 1, _code("identity")]))
    found = compare({"wild": unroll(wild, N), "calm": unroll(cell, N)})
    assert np.isnan(found.models[0].log_norms).all() and np.isfinite(found.models[1].log_norms).all()
    with pytest.raises(ValueError, match="one length"):
        compare({"a": unroll(cell, 3), "b": unroll(cell, 4)})
    with pytest.raises(ValueError, match=r"a has a batch of shape \(2,\)"):
        compare({"a": unroll(cell, 3, s0=np.zeros((2, 2)))})
    with pytest.raises(ValueError, match="at must lie between 0 and 60"):
        gradient_profile(pair["lstm"], at=[0, 61])


def test_the_command(tmp_path, capsys):
    weights = tmp_path / "w.npz"
    save_weights(weights, make("lstm", 3, 2, rng=7))
    files = [tmp_path / name for name in ("all.csv", "all.png")]
    words = ["compare", "gru", f"lstm={weights}", "hamiltonian", "--d", "3", "--n-steps", "30"]
    assert main([*words, "--out", str(files[0]), "--plot", str(files[1]), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    run = unroll(make("lstm", 3, 2, rng=7), inputs=drawn_inputs(30, 2, 0))
    assert shown["results"][f"lstm={weights}"]["log_norms"][-1] == pytest.approx(log_jacobian_norm(run))
    rows = list(csv.DictReader(files[0].open(encoding="utf-8")))
    last = [row for row in rows if row["model"] == "gru" and row["quantity"] == "log_norm"][-1]
    assert float(last["value"]) == shown["results"]["gru"]["log_norms"][-1] and last["index"] == "30.0"
    assert files[1].read_bytes().startswith(b"\x89PNG")
    assert main(["compare", "--list", "LSTM", "gru=w.npz"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split()[0] for row in rows] == [
        "lstm",
        "gru",
    ]  # those that are named, in the order of the list
    assert main(["compare", "--list"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in MODELS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compare", "lstn"], "Did you mean 'lstm'"),
        (["compare", "gru", "gru"], "named twice"),
        (["compare", "lstm", "--n-steps", "0"], "--n-steps"),
        (["norm", "--model", "lstm", "--scheme", "euler"], "--scheme belongs to fields"),
        (["norm", "--model", "cornn", "--set", "gama=1"], "no hyperparameter 'gama'"),
        (["norm", "--model", "cornn", "--set", "gamma"], "KEY=VALUE"),
        (["norm", "--model", "lstm", "--step", "0.1"], "lstm has no step size"),
        (["norm", "--model", "lstm", "--dtype", "float32"], "float64"),
        (["norm", "--model", "lstm", "--plot", "x.png"], "leapgrad compare lstm"),
        (["norm", "--set", "gamma=1"], "--model"),
        (["norm", "--block", "c"], "position or phase"),
    ],
)
def test_mistakes_are_named(words, message, capsys):
    assert main(words) == 2
    assert message in capsys.readouterr().err


def test_norms_of_cells_by_name(tmp_path, capsys):
    def norms(*words):
        assert main(["norm", *words, "--n-steps", "40", "--json"]) == 0
        return json.loads(capsys.readouterr().out)["results"]

    drive = drawn_inputs(40, 2, 0)
    found = norms("--model", "cornn", "--d", "3", "--n-inputs", "2", "--set", "gamma=2", "--step", "0.1,0.2",
                  "--block", "state", "--k", "2")  # fmt: skip
    run = unroll(make("cornn", 3, 2, gamma=2), inputs=drive, step=[0.1, 0.2])
    assert found["log_norm"] == pytest.approx(log_jacobian_norm(run, block="state").tolist())
    assert found["log_sigma_1"] == pytest.approx(found["log_norm"])
    assert found["log_bound"] == [None, None]
    assert norms("--model", "scornn", "--d", "3")["log_bound"][0] == pytest.approx(0.0, abs=1e-9)
    path = tmp_path / "own.npz"
    save_weights(path, make("lem", 3, 2, rng=4))
    kept = norms("--model", "lem", "--weights", str(path))
    assert kept["norm"][0] == pytest.approx(
        np.linalg.norm(jacobian(unroll(make("lem", 3, 2, 4), 40, inputs=drive)), 2)
    )
    assert main(["norm", "--model", "slstm", "--d", "2", "--n-steps", "3"]) == 0
    assert "bound" not in capsys.readouterr().out  # none is proved


def test_cells_in_a_study(tmp_path):
    grid = {"model": ["lstm", "unicornn"], "d": 2, "n_steps": 20, "inputs": 1, "step": [0.1, 0.2]}
    results = Study(grid, ["log_norm", "profile", "singular_values", "exponents", "bounds"]).run(tmp_path)
    drive = drawn_inputs(20, 1, 0)
    results.to_csv(tmp_path / "all.csv")
    table = list(csv.DictReader((tmp_path / "all.csv").open(encoding="utf-8")))
    oscillator = [float(row["log_norm"]) for row in table if row["model"] == "unicornn"]
    expected = log_jacobian_norm(unroll(make("unicornn", 2, 1), inputs=drive, step=[0.1, 0.2]))
    assert oscillator == expected.tolist()
    gated = [float(row["log_norm"]) for row in table if row["model"] == "lstm"]
    assert gated == [float(log_jacobian_norm(unroll(make("lstm", 2, 1), inputs=drive)))] * 2
    assert main(["verify", str(tmp_path)]) == 0
