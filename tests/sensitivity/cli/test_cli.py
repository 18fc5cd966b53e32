"""The command line: results equal to the library's, one line for each mistake, and a quick --help."""

import csv
import json
import math
import os
import subprocess
import sys
import warnings
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from integrators import SCHEMES, NeuralField
from sensitivity import bounds, jacobian_norm, log_jacobian_norm
from sensitivity.bounds import table
from sensitivity.cli import main
from sensitivity.cli.command import Command, leaves
from sensitivity.cli.network import parse_steps
from sensitivity.cli.output import from_log, print_table
from sensitivity.cli.parser import build_parser
from sensitivity.cli.registry import COMMANDS
from sensitivity.papers.hamiltonian import plan

SMALL = ("--d", "3", "--n-steps", "50")


@pytest.fixture
def leapgrad(tmp_path, monkeypatch, capsys):
    """Run a command in an empty folder: status, out, err."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        status = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return SimpleNamespace(status=status, out=out, err=err)

    return call


@pytest.fixture
def weights(tmp_path):
    """An .npz file with W, b, V, and the field in it."""
    rng = np.random.default_rng(4)
    W, b, V = rng.normal(size=(4, 4)), rng.normal(size=4), rng.normal(size=(4, 2))
    np.savez(tmp_path / "mine.npz", W=W, b=b, V=V)
    np.save(tmp_path / "x.npy", rng.normal(size=(50, 2)))
    return NeuralField(W, b, V)


def process(*arguments, **options):
    command = [sys.executable, "-m", "sensitivity.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


# ------------------------------------------------------------------------------------------------ grammar


@pytest.mark.parametrize("path", list(leaves(COMMANDS)), ids=" ".join)
def test_every_command_has_help_and_json(path, leapgrad):
    result = leapgrad(*path, "--help")
    assert result.status == 0 and "--json" in result.out and result.err == ""
    listed = leapgrad(*path[:-1], "--help").out
    assert f"    {path[-1]}" in listed


# Catches: a command whose name stands alone on a line, as if nothing were said of it.
def test_each_line_of_help_has_a_command_and_what_it_does(leapgrad, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = leapgrad("--help").out.splitlines()
    for command in COMMANDS:
        (line,) = [line for line in lines if line.startswith(f"    {command.name} ")]
        assert command.help.startswith(line.split(maxsplit=1)[1])


def test_help_loads_nothing_heavy():
    """The time of `leapgrad --help` is that of its imports; one at the top of a command is seen here."""
    heavy = "{'numpy', 'scipy', 'numba', 'matplotlib', 'sympy', 'tqdm', 'integrators'}"
    script = (
        f"import sys; from sensitivity.cli import main; main(['--help']); print({heavy} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
    assert all(command.name in done.stdout for command in COMMANDS)


def test_a_command_is_one_record_in_the_registry(capsys):
    def run(args):
        print(args.eggs, args.json)
        return 0

    spam = Command("spam", "fry eggs", lambda parser: parser.add_argument("--eggs", type=int), run)
    args = build_parser([spam, Command("more", "others", subcommands=(spam,))]).parse_args(
        ["more", "spam", "--eggs", "3", "--json"]
    )
    assert args.run(args) == 0 and capsys.readouterr().out == "3 True\n"


def test_version_is_that_of_the_distribution(leapgrad):
    from importlib.metadata import version

    assert leapgrad("--version").out == f"leapgrad {version('leapgrad')}\n"


# ----------------------------------------------------------------------------------------------- mistakes

MISTAKES = {
    "no command": ([], "COMMAND"),
    "unknown command": (["nrom"], "did you mean 'norm'?"),
    "unknown target": (["reproduce", "figure"], "did you mean 'figures'?"),
    "unknown option": (["norm", "--stepp", "1"], "unrecognized arguments: --stepp"),
    "shortened option": (["norm", "--act", "tanh"], "unrecognized arguments: --act"),
    "missing value": (["norm", "--step"], "expected one argument"),
    "d is a word": (["norm", "--d", "ten"], "--d: invalid int value: 'ten'"),
    "d = 0": (["norm", "--d", "0"], "d must be at least 1"),
    "negative d": (["norm", "--d", "-3"], "d must be at least 1"),
    "fractional N": (["norm", "--n-steps", "2.5"], "--n-steps"),
    "negative N": (["norm", "--n-steps", "-1"], "n_steps must be at least 0"),
    "step is a word": (["norm", "--step", "small"], "--step 'small'"),
    "step = 0": (["norm", "--step", "0"], "step must be positive"),
    "negative step": (["norm", "--step", "0.1,-0.2"], "step must be positive"),
    "step is nan": (["norm", "--step", "nan"], "step holds nan"),
    "half a range": (["norm", "--step", "1e-3:1"], "low:high:count"),
    "range from 0": (["norm", "--step", "0:1:5"], "must be positive"),
    "empty range": (["norm", "--step", "1e-3:1:0"], "0 step sizes"),
    "huge range": (["norm", "--step", "1e-3:1:99999999999"], "take 1 to"),
    "unknown scheme": (["norm", "--scheme", "leapfrgo"], "Did you mean 'leapfrog'?"),
    "unknown activation": (["norm", "--activation", "tan"], "Did you mean 'tanh'?"),
    "gamma is nan": (["norm", "--gamma", "nan"], "gamma"),
    "unknown block": (["norm", "--block", "speed"], "--block 'speed' is not known"),
    "phase of a first-order scheme": (["norm", *SMALL, "--scheme", "euler", "--block", "phase"], "phase"),
    "y0 too long": (["norm", *SMALL, "--y0", "1,2,3,4"], "y0 has shape (4,)"),
    "y0 is a word": (["norm", *SMALL, "--y0", "zero"], "--y0 'zero'"),
    "p0 missing file": (["norm", *SMALL, "--p0", "p.npy"], "No such file or directory: p.npy"),
    "no weights": (["norm", "--weights", "gone.npz"], "No such file or directory: gone.npz"),
    "weights and d": (["norm", "--weights", "gone.npz", "--d", "3"], "--d cannot go with --weights"),
    "weights and seed": (["norm", "--weights", "gone.npz", "--seed", "3"], "--seed cannot go with --weights"),
    "out in no folder": (
        ["norm", *SMALL, "--out", "no/where.csv"],
        "folder of this file does not exist: no/",
    ),
    "out is a folder": (["norm", *SMALL, "--out", "."], "this is a folder"),
    "plot as text": (["norm", *SMALL, "--plot", "a.txt"], "must end in .png"),
    "overflow": (["norm", *SMALL, "--activation", "relu", "--step", "1e160"], "overflowed at step"),
    "demo without an ending": (["demo", "--out", "a"], "--out 'a' must end in .png, .pdf, .svg."),
    "demo in no folder": (["demo", "--out", "no/a.png"], "folder of this file does not exist"),
    "no draws": (["reproduce", "figures", "--draws", "0"], "--draws must be at least 1"),
    "unknown scheme shown": (["schemes", "verlett"], "Did you mean 'verlet'?"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line_and_status_2(case, leapgrad):
    arguments, fragment = MISTAKES[case]
    result = leapgrad(*arguments)
    assert result.status == 2 and result.out == ""
    assert result.err.startswith("leapgrad: error: ") and result.err.count("\n") == 1
    assert fragment in result.err


def spoiled(folder):
    """Files that look like weights and are none: name → (bytes or arrays, fragment of the message)."""
    good = {"W": np.eye(2), "b": np.zeros(2)}
    np.savez(folder / "good.npz", **good)
    content = (folder / "good.npz").read_bytes()
    flipped = bytearray(content)
    place = content.index(np.eye(2).tobytes())
    flipped[place : place + 8] = b"\xff" * 8
    return {
        "empty.npz": (b"", "cannot be read as an .npz file"),
        "text.npz": (b"W = 1\n", "is no NumPy file"),
        "cut.npz": (content[: len(content) // 2], "cannot be read as an .npz file"),
        "flipped.npz": (bytes(flipped), "W in flipped.npz cannot be read"),
        "unnamed.npz": ({"weight": np.eye(2), "bias": np.zeros(2)}, "holds weight, bias, but no W and no b"),
        "no_b.npz": ({"W": np.eye(2)}, "holds W, but no b"),
        "shape.npz": ({"W": np.ones((2, 3)), "b": np.zeros(2)}, "W has shape (2, 3)"),
        "b_shape.npz": ({"W": np.eye(2), "b": np.zeros(3)}, "b has shape (3,)"),
        "complex.npz": ({"W": np.eye(2) * 1j, "b": np.zeros(2)}, "W is complex"),
        "nan.npz": ({"W": np.eye(2) * np.nan, "b": np.zeros(2)}, "W holds nan"),
        "pickled.npz": ({"W": np.array([[None]]), "b": np.zeros(1)}, "W in pickled.npz cannot be read"),
        "words.npz": ({"W": np.array([["a"]]), "b": np.zeros(1)}, "W has dtype"),
        "nothing.npz": ({}, "holds nothing"),
    }


def test_spoiled_weights_are_named(leapgrad, tmp_path):
    for name, (content, fragment) in spoiled(tmp_path).items():
        if isinstance(content, bytes):
            (tmp_path / name).write_bytes(content)
        else:
            np.savez(tmp_path / name, **content)
        result = leapgrad("norm", "--weights", name)
        assert result.status == 2 and result.err.count("\n") == 1, name
        assert fragment in result.err, (name, result.err)
    np.save(tmp_path / "one.npy", np.eye(2))
    assert "holds one array" in leapgrad("norm", "--weights", "one.npy").err
    assert "give a .npy file" in leapgrad("norm", "--inputs", "good.npz").err
    assert "--inputs needs V" in leapgrad("norm", "--weights", "good.npz", "--inputs", "one.npy").err
    shape = leapgrad("norm", "--d", 3, "--n-steps", 7, "--inputs", "one.npy").err
    assert "inputs has shape (2, 2)" in shape


def test_debugging_shows_the_traceback(leapgrad, monkeypatch):
    monkeypatch.setenv("LEAPGRAD_DEBUG", "1")
    with pytest.raises(ValueError, match="d must be at least 1"):
        leapgrad("norm", "--d", 0)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (KeyboardInterrupt(), 130, "leapgrad: interrupted\n"),
        (
            MemoryError("8 TiB"),
            2,
            "leapgrad: error: not enough memory; use a smaller d or fewer steps (8 TiB)\n",
        ),
        (ValueError("two\nlines"), 2, "leapgrad: error: two lines\n"),
        (
            OSError(28, "No space left on device", "a.csv"),
            2,
            "leapgrad: error: No space left on device: a.csv\n",
        ),
        (BrokenPipeError(), 141, ""),
    ],
)
def test_what_goes_wrong_in_a_run(error, status, said, capfd, monkeypatch):
    def run(args):
        raise error

    monkeypatch.setattr("sensitivity.cli.entry.COMMANDS", (Command("spam", "fry", run=run),))
    monkeypatch.setattr("sensitivity.cli.entry._close_output", lambda: None)
    assert main(["spam"]) == status
    err = capfd.readouterr().err
    assert err.endswith(said) and err.count("\n") == said.count("\n")


def test_a_bug_keeps_its_traceback(monkeypatch):
    def run(args):
        raise AttributeError("ours")

    monkeypatch.setattr("sensitivity.cli.entry.COMMANDS", (Command("spam", "fry", run=run),))
    with pytest.raises(AttributeError):
        main(["spam"])


def test_processes_end_with_the_status_and_without_a_traceback(tmp_path):
    wrong = process("norm", "--d", "0", cwd=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (2, "") and "Traceback" not in wrong.stderr
    plain = {**os.environ, "PYTHONIOENCODING": "ascii"}
    greek = process("norm", *SMALL, "--step", "0.1", cwd=tmp_path, env=plain)
    assert greek.returncode == 0 and "bound B" in greek.stdout


@pytest.mark.skipif(os.name == "nt", reason="there is no head")
def test_a_reader_that_goes_away_is_no_error(tmp_path):
    command = f"{sys.executable} -m sensitivity.cli norm --d 1 --n-steps 1 --step 1e-3:1:5000 | head -n 1"
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
    )
    assert done.stdout.count("\n") == 1 and done.stderr == ""


# ---------------------------------------------------------------------------------------------------- norm


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("0.1", 0.1),
        ("0.1,0.25,1e-3", [0.1, 0.25, 1e-3]),
        ("1e-3:1:4", [1e-3, 1e-2, 1e-1, 1.0]),
        ("1:0.01:3", [1.0, 0.1, 0.01]),
        ("0.5:2:1", [0.5]),
    ],
)
def test_step_takes_a_number_a_list_or_a_range(text, steps):
    parsed = parse_steps(text)
    assert np.shape(parsed) == np.shape(steps) and parsed == pytest.approx(steps)


def test_a_range_has_both_ends_exactly():
    steps = parse_steps("1e-3:0.7:33")
    assert isinstance(steps, np.ndarray) and (steps[0], steps[-1]) == (1e-3, 0.7)


@pytest.mark.parametrize(
    ("options", "scheme", "theorem", "gamma"),
    [
        ((), "leapfrog", "B", None),
        (("--scheme", "euler"), "euler", "D", None),
        (("--scheme", "euler", "--gamma", "0.1"), "euler", "D", 0.1),
        (("--scheme", "yoshida4", "--activation", "sin", "--seed", "5"), "yoshida4", "E", None),
    ],
)
def test_norm_is_that_of_the_library(options, scheme, theorem, gamma, leapgrad):
    result = leapgrad("norm", *SMALL, "--step", "1e-2:1:5", "--json", *options)
    seed, activation = (5, "sin") if "--seed" in options else (0, "tanh")
    field = NeuralField.random(3, seed, activation=activation)
    if gamma is not None:
        field = NeuralField.antisymmetric(field.W, field.b, gamma)
    step = np.geomspace(1e-2, 1, 5)
    shown = json.loads(result.out)
    assert result.status == 0 and shown["violations"] == 0
    assert shown["parameters"]["theorem"] == theorem and shown["parameters"]["scheme"] == scheme
    assert shown["results"]["step"] == step.tolist()
    assert shown["results"]["norm"] == jacobian_norm(field, scheme, step, 50).tolist()
    assert shown["results"]["log_bound"] == bounds.log_majorant(field, scheme, step, 50).tolist()
    ratio = np.array(shown["results"]["bound"]) / shown["results"]["norm"]
    assert shown["results"]["tightness"] == pytest.approx(ratio) and (ratio >= 1).all()


def test_norm_of_your_own_driven_network(leapgrad, weights, tmp_path):
    options = ("--weights", "mine.npz", "--inputs", "x.npy", "--y0", "0.5", "--p0=-1,0,1,2", "--n-steps", 50)
    result = leapgrad("norm", *options, "--step", "0.1,0.2", "--block", "phase", "--json")
    details = {"y0": np.full(4, 0.5), "p0": [-1, 0, 1, 2], "inputs": np.load(tmp_path / "x.npy")}
    expected = jacobian_norm(weights, "leapfrog", [0.1, 0.2], 50, **details, block="phase")
    shown = json.loads(result.out)
    assert shown["results"]["norm"] == expected.tolist()
    bound = bounds.log_majorant(weights, "leapfrog", [0.1, 0.2], 50, block="phase")
    assert shown["results"]["log_bound"] == bound.tolist()
    assert shown["parameters"] | {"weights": "mine.npz", "d": 4, "inputs": 2} == shown["parameters"]


def test_inputs_without_weights_draw_v(leapgrad, weights, tmp_path):
    shown = json.loads(leapgrad("norm", *SMALL, "--inputs", "x.npy", "--step", "0.1", "--json").out)
    field = NeuralField.random(3, 0, inputs=2)
    norm = jacobian_norm(field, "leapfrog", 0.1, 50, inputs=np.load(tmp_path / "x.npy"))
    assert shown["results"]["norm"] == [norm]


def test_table_and_csv_show_the_same_numbers(leapgrad, tmp_path):
    result = leapgrad("norm", *SMALL, "--step", "0.1,1", "--out", "a.csv", "--plot", "a.pdf")
    assert result.status == 0 and result.err == ""
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as stream:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(stream)]
    assert list(rows[0]) == ["step", "norm", "log_norm", "bound", "log_bound", "tightness"]
    assert [row["norm"] for row in rows] == jacobian_norm(
        NeuralField.random(3), "leapfrog", [0.1, 1], 50
    ).tolist()
    lines = result.out.splitlines()
    assert "d = 3" in lines[0] and "bound B" in lines[1]
    for line, row in zip(lines[3:5], rows, strict=True):
        shown = [float(text) for text in line.split()]
        assert shown == pytest.approx([row["step"], row["norm"], row["bound"], row["tightness"]], rel=1e-5)
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "a.pdf"}


def test_norms_beyond_float64_are_still_shown(leapgrad):
    options = ("--d", 2, "--activation", "identity", "--n-steps", 3000, "--step", "1")
    field = NeuralField.random(2, activation="identity")
    log_norm = float(log_jacobian_norm(field, "leapfrog", 1.0, 3000))
    assert log_norm > 710
    table = leapgrad("norm", *options)
    assert from_log(log_norm) in table.out and f"e+{math.floor(log_norm / math.log(10))}" in table.out
    shown = json.loads(leapgrad("norm", *options, "--json").out)
    assert shown["results"]["norm"] == [None] and shown["results"]["log_norm"] == pytest.approx([log_norm])
    logarithms = leapgrad("norm", *options, "--log").out.splitlines()
    assert "ln" in logarithms[1] and float(logarithms[3].split()[1]) == pytest.approx(log_norm, rel=1e-5)


def test_overflowed_members_are_a_warning_of_one_line(leapgrad):
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        result = leapgrad("norm", *SMALL, "--activation", "relu", "--step", "1e-2,1e160", "--json")
    assert result.status == 0 and json.loads(result.out)["results"]["norm"][1] is None
    assert (
        result.err.startswith("leapgrad: warning: 1 of 2 batch members are NaN")
        and result.err.count("\n") == 1
    )


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_norm_above_its_bound_is_status_1(options, leapgrad, monkeypatch):
    monkeypatch.setattr(
        "sensitivity.recurrences.case.log_upper_bound", lambda *args, **_: np.array([0.0, 100.0])
    )
    assert leapgrad("norm", *SMALL, "--step", "0.1,0.2", *options).status == 1


@pytest.mark.parametrize(
    ("log_value", "text"),
    [
        (0.0, "1"),
        (math.log(1234.5678), "1234.57"),
        (1000 * math.log(10), "1.00000e+1000"),
        (math.log(2.5) - 400 * math.log(10), "2.50000e-400"),
        (999.9999999999 * math.log(10), "1.00000e+1000"),
        (math.inf, "inf"),
        (-math.inf, "0"),
        (math.nan, "nan"),
    ],
)
def test_numbers_beyond_float64_are_written_from_their_logarithm(log_value, text):
    assert from_log(log_value) == text


def test_tables_are_aligned(capsys):
    print_table(("name", "value"), [("a", "1"), ("long one", "22")], left=1)
    assert capsys.readouterr().out.splitlines() == [
        "name      value",
        "────────  ─────",
        "a             1",
        "long one     22",
    ]


# Catches: nan for what is not known, and a column without a single entry.
def test_tables_have_dashes_and_no_empty_columns(capsys):
    print_table(("name", "", "error"), [("a", "", "nan"), ("b", "", "2")], left=2)
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["name", "error"], ["────", "─────"], ["a", "–"], ["b", "2"],
    ]  # fmt: skip


def test_the_first_row_of_a_training_and_short_comparisons_have_no_nan(leapgrad):
    words = ("--n-steps", 10, "--train", 100, "--test", 100, "--d", 2, "--epochs", 1)
    assert "nan" not in leapgrad("train", "xor", *words).out
    assert "nan" not in leapgrad("compare", "lstm", "--d", 2, "--n-steps", 20).out


# --------------------------------------------------------------------------------------- the other commands


# Catches: −ln of the ratio in the column of 1 − ratio, and a bound without a case among those that held.
def test_falsify_shows_the_distance_from_one_and_what_was_not_tested(leapgrad, monkeypatch):
    from sensitivity.falsification import FalsifierReport, Worst

    case: Any = SimpleNamespace()
    found = {
        "half": Worst(math.log(0.5), 0.5, case, "random", 3, 0),
        "equal": Worst(0.0, 1.0, case, "search", 3, 4),
        "never": Worst(-math.inf, -math.inf, None, "", 0, 0),
    }
    monkeypatch.setattr("sensitivity.falsification.falsify", lambda *_, **__: FalsifierReport(found, 0))
    rows = leapgrad("falsify", "--cases", 3).out.splitlines()
    assert rows[2].split()[:4] == ["half", "0.500000", "5.0e-01", "0.500000"]
    assert rows[3].split()[:4] == ["equal", "1.000000", "0.0e+00", "1.000000"]
    assert rows[4].split() == ["never", "–", "–", "–", "not", "tested", "0"]
    assert rows[-1].endswith("no bound was broken; no case was about never: give more --cases")


def test_bound_lists_values_and_reasons(leapgrad):
    result = leapgrad("bound", "--d", 1, "--step", "1e-3", "--json")
    shown = json.loads(result.out)
    field = NeuralField.random(1)
    values = {bound["name"]: bound["value"] for bound in shown["bounds"]}
    assert values["chebyshev"] == [bounds.chebyshev(field, 1e-3, 1000)]
    assert values["no_vanishing"] == [bounds.no_vanishing(field, 1e-3, 1000)]
    assert "p0 = 0 and T = 1" in shown["do_not_hold"]["theorem_3_2"]
    assert shown["log_norm"] == pytest.approx([np.log(jacobian_norm(field, "leapfrog", 1e-3, 1000))])
    for bound in shown["bounds"]:
        about = shown["log_norm"] if bound["side"] == "upper" else shown["log_smallest"]
        ratio = bound["value"][0] / np.exp(about[0])
        assert bound["tightness"] == pytest.approx([ratio if bound["side"] == "upper" else 1 / ratio])
        assert bound["tightness"][0] >= 1.0
    table = leapgrad("bound", "--d", 1, "--step", "1e-3", "--p0", 2).out
    assert "3.2      theorem_3_2" in table and "euler: it is about the scheme 'euler'" in table
    assert "tightness" in table and f"{jacobian_norm(field, 'leapfrog', 1e-3, 1000, p0=[2]):.6g}" in table


def test_bound_takes_inputs_and_outlives_an_overflow(leapgrad, tmp_path):
    np.save("x.npy", np.sin(np.arange(50.0))[:, None])
    driven = json.loads(leapgrad("bound", "--d", 2, "--inputs", "x.npy", "--n-steps", 50, "--json").out)
    field = NeuralField.random(2, inputs=1)
    norm = jacobian_norm(field, "leapfrog", [1e-3, 1e-2, 1e-1, 1], 50, inputs=np.load("x.npy"))
    assert np.exp(driven["log_norm"]) == pytest.approx(norm) and driven["violations"] == 0
    lost = leapgrad("bound", "--d", 2, "--activation", "relu", "--scheme", "euler", "--step", "1",
                    "--n-steps", 3000)  # fmt: skip
    assert lost.status == 0 and "overflowed at step" in lost.err and "e+387" in lost.out


def test_bound_fails_if_a_bound_is_crossed(leapgrad, monkeypatch):
    too_low = [
        replace(row, log=lambda case: np.full(case.step.shape, -1.0)) if row.name == "majorant" else row
        for row in table.TABLE
    ]
    monkeypatch.setattr(table, "TABLE", too_low)
    result = leapgrad("bound", "--d", 2, "--step", "1e-2")
    assert result.status == 1 and "1 computed values cross a proved bound" in result.out


def test_schemes_lists_every_scheme_and_shows_one(leapgrad):
    table = leapgrad("schemes").out
    assert [line.split()[0] for line in table.splitlines()[2:]] == list(SCHEMES)
    shown = json.loads(leapgrad("schemes", "verlet", "--json").out)["schemes"]
    assert [scheme["name"] for scheme in shown] == ["leapfrog"] and shown[0]["kick"] == [0.5, 0.5]
    details = leapgrad("schemes", "yoshida4").out
    assert (
        "order 4" in details and "Forest" in details and repr(float(SCHEMES["yoshida4"].drift[1])) in details
    )


def test_demo_is_a_table_a_picture_and_what_they_show(leapgrad, tmp_path):
    result = leapgrad("demo")
    assert result.status == 0 and result.err == ""
    assert (tmp_path / "leapgrad-demo.png").read_bytes().startswith(b"\x89PNG")
    assert "Picture: leapgrad-demo.png" in result.out and "No norm exceeds its bound." in result.out
    assert "levels off at 23" in result.out and "grows linearly from ε = 0.04" in result.out
    shown = json.loads(leapgrad("demo", "--json", "--out", "b.png").out)
    norm = jacobian_norm(NeuralField.random(10), "leapfrog", [1e-3, 1.0], 1000)
    assert shown["results"]["leapfrog"][:: len(shown["results"]["leapfrog"]) - 1] == pytest.approx(norm)
    assert shown["picture"] == "b.png" and shown["violations"] == 0


def test_reproduce_figures_writes_and_tells(leapgrad, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "QUICK", plan.FigurePlan({1: 1, 2: 1}, points=4, n_steps=20))
    result = leapgrad("reproduce", "figures", "--quick", "--draws", 2, "--out", "f")
    assert result.status == 0 and result.err == ""
    assert all(f"Figure {number}. " in result.out for number in (1, 2, 3)) and "11 files in f" in result.out
    record = json.loads((tmp_path / "f" / "manifest.json").read_text(encoding="utf-8"))
    assert record["command"] == "leapgrad reproduce figures --quick --draws 2"
    assert record["parameters"]["seeds"] == {"1": [0, 1], "2": [0, 1]}
    (tmp_path / "a file").write_text("")
    assert "name a folder" in leapgrad("reproduce", "figures", "--out", "a file").err


@pytest.mark.parametrize("crossed", [False, True])
def test_reproduce_fails_if_a_bound_is_crossed(crossed, leapgrad, monkeypatch):
    monkeypatch.setattr(plan, "QUICK", plan.FigurePlan({1: 1}, points=4, n_steps=20))
    monkeypatch.setattr("sensitivity.papers.hamiltonian.reproduce.draw", lambda *_: None)
    if crossed:
        monkeypatch.setattr("sensitivity.bounds.log_majorant", lambda *case: np.full(case[2].shape, -99.0))
    result = leapgrad("reproduce", "figures", "--quick", "--out", "f", "--json")
    shown = json.loads(result.out)
    assert result.status == int(crossed) and shown["violations"] == (24 if crossed else 0)
    assert ("4 of 4 values lie above bound B" in shown["captions"]["1"]) == crossed
    assert shown["files"] == ["README.md", "figure_1.csv", "figure_2.csv", "figure_3.csv", "manifest.json"]
