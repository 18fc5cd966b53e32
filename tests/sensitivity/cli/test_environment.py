"""Whatever a process is started with: closed streams, readers that leave, Matplotlib's variables, no home."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_runs import LONG, RUNS

from integrators.engine.bars import progress_bar_on_stderr
from sensitivity.cli import main

ROOT = Path(__file__).resolve().parents[3]
SHELL = pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")

STUDY = """
quantities = ["log_norm"]
[grid]
d = [2, 3]
n_steps = 5
step = [0.1]
"""
LINES = {name: f"{name} {'--help' if name in LONG else words}" for name, words in RUNS.items()}


def shell(command, folder, **environment):
    ours = f'"{sys.executable}" -m sensitivity.cli'
    line = re.sub(r"(?<![\w./-])leapgrad(?![\w./-])", lambda _: ours, command, count=1)  # not in a path
    return subprocess.run(
        ["sh", "-c", line],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        check=False,
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "study.toml").write_text(STUDY)
    assert main(["sweep", str(tmp_path / "study.toml"), "--out", str(tmp_path / "study"), "--json"]) == 0
    return tmp_path


FAST = {("sweep", "2>&-"), ("train", "2>&-"), ("demo", "0<&- 1>&- 2>&-")}
STREAMS = ("2>&-", "1>&-", "0<&-", "0<&- 1>&- 2>&-")
CASES = [(name, streams) for name in LINES for streams in STREAMS]


# Catches: a bar, a warning or a flush that ends a command for lack of a stream.
@SHELL
@pytest.mark.parametrize(
    ("name", "streams"),
    [case if case in FAST else pytest.param(*case, marks=pytest.mark.slow) for case in CASES],
)
def test_every_command_runs_without_a_stream(name, streams, folder):
    done = shell(f"leapgrad {LINES[name]} {streams}", folder)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    if streams == "2>&-":
        assert done.stdout.strip()


@SHELL
@pytest.mark.parametrize(("arguments", "streams"), [("nrom", "2>&-"), ("norm --d 0", "0<&- 1>&- 2>&-")])
def test_a_mistake_without_a_stream_keeps_its_status(arguments, streams, tmp_path):
    assert shell(f"leapgrad {arguments} {streams}", tmp_path).returncode == 2


@SHELL
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_under_the_output_is_one_line(tmp_path):
    done = shell("leapgrad schemes > /dev/full", tmp_path)
    assert (done.returncode, done.stderr) == (2, "leapgrad: error: No space left on device\n")
    assert shell("leapgrad norm --d 0 2> /dev/full", tmp_path).returncode == 2


# Catches: a file that is opened under the number of a stream, into which others then write.
@SHELL
def test_no_file_takes_the_number_of_a_stream(tmp_path):
    script = (
        "import os, sys; from sensitivity.cli import entry; from sensitivity.cli.command import Command; "
        "run = lambda args: int(os.open('x', os.O_CREAT | os.O_WRONLY) < 3); "
        "entry.COMMANDS = (Command('spam', 'fry', run=run),); sys.exit(entry.main(['spam']))"
    )
    assert shell(f'"{sys.executable}" -c "{script}" 0<&- 1>&- 2>&-', tmp_path).returncode == 0


class Broken:
    """A stream whose reader has left."""

    closed = False

    def isatty(self):
        return True

    def write(self, text):
        raise BrokenPipeError

    def flush(self):
        raise BrokenPipeError


class Closed(Broken):
    closed = True

    def isatty(self):
        raise ValueError("I/O operation on closed file")


@pytest.mark.parametrize("stream", [None, Broken(), Closed()], ids=["none", "broken", "closed"])
@pytest.mark.parametrize("shown", [None, True])
def test_a_bar_without_a_place_to_be(stream, shown, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream)
    with progress_bar_on_stderr(shown, total=3, desc="bar") as bar:
        for _ in range(3):
            bar.update()
        bar.set_postfix_str("more")


@pytest.mark.parametrize("name", ["stdin", "stdout", "stderr"])
def test_the_entry_point_called_in_a_process_without_a_stream(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, name, None)
    assert main(["norm", "--d", "2", "--n-steps", "3", "--step", "0.1"]) == 0
    assert main(["norm", "--d", "0"]) == 2
    assert getattr(sys, name) is None, "the caller's"


# ------------------------------------------------------------------------------------------- Matplotlib

BACKENDS = [
    "module://matplotlib_inline.backend_inline",
    "module://no.such",
    "nonsense",
    "TkAgg",
    "WebAgg",
    "svg",
]


@pytest.mark.parametrize(
    "backend", [*BACKENDS[:2], *(pytest.param(name, marks=pytest.mark.slow) for name in BACKENDS[2:])]
)
def test_pictures_are_written_whatever_the_backend(backend, tmp_path):
    arguments = ["norm", "--d", "2", "--n-steps", "3", "--step", "0.1,0.2", "--plot"]
    script = (
        "import sys; from sensitivity.cli import main; *words, files = sys.argv[1:]; "
        "sys.exit(max(main([*words, file]) for file in files.split()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments, "a.png a.pdf a.svg"],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": backend, "DISPLAY": ""},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    heads = [(tmp_path / name).read_bytes()[:5] for name in ("a.png", "a.pdf", "a.svg")]
    assert heads == [b"\x89PNG\r", b"%PDF-", b"<?xml"]


STATE = """
import os, sys
{before}
import numpy as np
from integrators import NeuralField
from sensitivity import gradient_profile, recommend_step
from sensitivity.figures.plots import norms, save
from pathlib import Path
step = np.array([0.1, 0.2])
save(norms(step, [("a", step, "b", step)], title="t"), Path("a.png"))
recommend_step(NeuralField.random(2, rng=0), 3).plot()
import matplotlib
print(os.environ.get("MPLBACKEND"), dict.__getitem__(matplotlib.rcParams, "backend"))
print("matplotlib.pyplot" in sys.modules)
{after}
"""


@pytest.mark.parametrize(
    ("environment", "before", "after", "found"),
    [
        ("template", "", "", ["template", "template", "False"]),
        ("nonsense", "", "", ["nonsense", "False"]),
        (
            "",
            "import matplotlib; matplotlib.use('svg'); matplotlib.rcParams['lines.linewidth'] = 7.0\n"
            "old = dict(matplotlib.rcParams)",
            "assert dict(matplotlib.rcParams) == old",
            ["svg", "False"],
        ),
    ],
    ids=["a backend in the environment", "none that there is", "a choice of the caller's"],
)
def test_the_caller_s_matplotlib_is_as_it_was(environment, before, after, found, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", STATE.format(before=before, after=after)],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": environment},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert set(found) <= set(done.stdout.split())


# Catches: an import that MPLBACKEND can end.
def test_only_one_module_imports_matplotlib():
    found = set()
    for path in (ROOT / "sensitivity").rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:  # not those for types, nor in functions
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            if any(name.split(".")[0] == "matplotlib" for name in names):
                found.add(path.name)
    assert found == {"plots.py"}


# ------------------------------------------------------------------------------------------------- demo


def test_the_demo_says_where_its_picture_goes_before_it_is_there(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    said = []
    monkeypatch.setattr(
        "sensitivity.cli.papers.demo._curve",
        lambda *_: said.append(capsys.readouterr().out) or (_ for _ in ()).throw(ValueError("enough")),
    )
    assert main(["demo"]) == 2
    assert said == [
        f"The picture goes to {tmp_path / 'leapgrad-demo.png'}; --plot FILE names another place.\n\n"
    ]
    (tmp_path / "leapgrad-demo.png").touch()
    assert main(["demo"]) == 2
    assert "in place of the file that is there" in said[-1]
    assert np.all([path.stat().st_size == 0 for path in tmp_path.iterdir()])


# Catches: a traceback for Ctrl-C while the command is still being imported, or for the second one.
def test_ctrl_c_before_and_after_a_command_is_one_line(monkeypatch, capsys):
    def interrupted(argv):
        raise KeyboardInterrupt

    monkeypatch.setattr("sensitivity.cli.entry.main", interrupted)
    assert main(["norm"]) == 130
    assert capsys.readouterr().err == "leapgrad: interrupted\n"
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["norm"]) == 130
