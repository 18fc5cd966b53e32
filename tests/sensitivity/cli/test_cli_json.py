"""`--json` on every command: one object on standard output, nothing else; completion from the same parser."""

import json
import shutil
import subprocess

import pytest
from command_runs import RUNS

from sensitivity.cli import main
from sensitivity.cli.command import leaves
from sensitivity.cli.parser import build_parser
from sensitivity.cli.registry import COMMANDS
from sensitivity.papers.hamiltonian import plan
from sensitivity.papers.hamiltonian.heuristic import contest_plan
from sensitivity.papers.hamiltonian.heuristic import plan as heuristic

STUDY = 'quantities = ["log_norm"]\n[grid]\nd = 2\nn_steps = 10\nstep = [0.1, 0.2]\n'
CASES = {tuple(name.split()): tuple(words.split()) for name, words in RUNS.items()}


def test_every_command_has_a_row():
    assert {" ".join(path) for path in leaves(COMMANDS)} == set(RUNS)


@pytest.fixture
def short(tmp_path, monkeypatch):
    """An empty folder with a study in it, and small plans for the long experiments."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plan, "QUICK", plan.FigurePlan({1: 1}, points=3, n_steps=10))
    small = heuristic.ScanPlan((10, 20), (10, 20), 2, 2, (0.5, 5.0), 1, (0.25, 1.0), 10, trace_length=10)
    monkeypatch.setattr(heuristic, "QUICK", small)
    settings = (contest_plan.Candidate("hamiltonian", 3, 1e-2, 10.0),)
    small_contest = contest_plan.ContestPlan(
        {"xor": (4,)}, (contest_plan.Entrant("mine", settings),), seeds=1, search_seeds=1, iterations=4,
        search_iterations=4, train=100, test=50, every=2,
    )  # fmt: skip
    monkeypatch.setattr(contest_plan, "QUICK", small_contest)
    (tmp_path / "study.toml").write_text(STUDY)


@pytest.mark.parametrize("path", CASES, ids=" ".join)
def test_json_is_one_object_and_nothing_else(path, short, capsys):
    if path == ("verify",):
        assert main(["sweep", *CASES[("sweep",)]]) == 0
        capsys.readouterr()
    assert main([*path, *CASES[path], "--json"]) == 0
    captured = capsys.readouterr()
    shown = json.loads(captured.out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    # Catches: a command whose object does not begin as all others do.
    assert list(shown)[:3] == ["schema_version", "leapgrad", "command"] and len(shown) > 3
    assert (shown["schema_version"], shown["command"]) == (1, " ".join(path))
    assert "Traceback" not in captured.err


# --------------------------------------------------------------------------------------------- completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_names_every_command_and_the_shell_can_read_it(shell, tmp_path, capsys):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for command in COMMANDS:
        assert command.name in script
    assert "--n-steps" in script or "n-steps" in script
    if interpreter := shutil.which(shell):
        (tmp_path / "script").write_text(script, encoding="utf-8")
        subprocess.run([interpreter, "-n", tmp_path / "script"], check=True)


def complete(script, *words):
    """What bash offers for the last word."""
    listed = " ".join(f"'{word}'" for word in words)
    before = words[-2]
    code = f"""
source '{script}'
COMP_WORDS=({listed}); COMP_CWORD={len(words) - 1}
_shtab_leapgrad leapgrad '{words[-1]}' '{before}'
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True, cwd=script.parent)
    return set(done.stdout.split())


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands_options_and_files(tmp_path, capsys):
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "leapgrad.bash"
    script.write_text(capsys.readouterr().out, encoding="utf-8")
    (tmp_path / "mine.npz").write_text("")
    assert complete(script, "leapgrad", "no") == {"norm", "notebooks"}
    assert complete(script, "leapgrad", "norm", "--ste") == {"--step"}
    assert complete(script, "leapgrad", "reproduce", "fi") == {"figures"}
    assert "mine.npz" in complete(script, "leapgrad", "norm", "--weights", "mi")
    assert complete(script, "leapgrad", "norm", "--scheme", "yoshida4") == {"yoshida4"}
    assert complete(script, "leapgrad", "growth", "--model", "linoss") >= {"linoss_im", "linoss_imex"}
    assert complete(script, "leapgrad", "norm", "--activation", "ta") == {"tanh"}
    assert complete(script, "leapgrad", "prove", "theorem_3") == {"theorem_3_2"}
    assert "table_1_counts" in complete(script, "leapgrad", "claims", "table_1")
    assert complete(script, "leapgrad", "claims", "--paper", "dl") == {"dlinoss"}


def test_without_shtab_one_line_says_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert "pip install 'leapgrad[completion]'" in captured.err


def test_exit_statuses_are_documented_alike(capsys):
    """The help, the module and the page name the same five."""
    from pathlib import Path

    import sensitivity.cli
    from sensitivity.cli import entry

    page = (Path(__file__).parents[3] / "docs" / "shell.md").read_text(encoding="utf-8")
    statuses = {entry.DONE, 1, entry.WRONG_ARGUMENTS, entry.INTERRUPTED, entry.OUTPUT_CLOSED}
    foot = build_parser(COMMANDS).epilog or ""
    for status in statuses:
        assert f"| {status} |" in page and f"{status} " in foot and f"{status} " in sensitivity.cli.__doc__
