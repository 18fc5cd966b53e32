"""The ledgers of all papers but the first: every verdict is computed, and falls with what it rests on."""

import json
import shlex
from dataclasses import replace

import numpy as np
import pytest
import sympy

from proofs import check
from proofs.decide import undecided
from sensitivity.cli import main
from sensitivity.cli.entry import build_parser
from sensitivity.cli.registry import COMMANDS
from sensitivity.files import replacing_folder
from sensitivity.papers import oscillators
from sensitivity.papers.catalogue import PAPERS, paper
from sensitivity.papers.ledger import ClaimVerdict

OTHERS = [name for name in PAPERS if name != "hamiltonian"]
VERDICTS = {
    "linoss": "PROVED ONLY ONLY PROVED ONLY ONLY REFUTED REFUTED ONLY",
    "dlinoss": "PROVED PROVED ONLY ONLY ONLY",
    "hdnn": "ONLY ONLY CONFIRMED",
    "memory": "PROVED PROVED ONLY",
    "mingru": "PROVED PROVED ONLY",
    "unicornn": "ONLY PROVED ONLY ONLY UNMEASURED UNMEASURED",
    "antisymmetric": "PROVED ONLY PROVED ONLY PROVED CONFIRMED UNMEASURED",
}


@pytest.fixture(scope="module")
def judged():
    return {name: paper(name).evaluate(check) for name in OTHERS}


@pytest.mark.parametrize("name", OTHERS)
def test_verdicts(name, judged):
    short = {ClaimVerdict.HOLDS_ONLY_IF: "ONLY", ClaimVerdict.NOT_MEASURED: "UNMEASURED"}
    found = [short.get(one.finding.verdict, str(one.finding.verdict)) for one in judged[name]]
    assert " ".join(found) == VERDICTS[name], [one.finding.evidence for one in judged[name]]
    for one in judged[name]:
        assert one.finding.evidence and all(one.finding.evidence)
        assert bool(one.finding.condition) == (one.finding.verdict is ClaimVerdict.HOLDS_ONLY_IF)
    page = paper(name).to_markdown(judged[name])
    assert all(f"\n## {one.claim.name}\n" in page for one in judged[name])
    json.dumps(paper(name).to_json(judged[name]), allow_nan=False)


@pytest.mark.parametrize("name", OTHERS)
def test_the_command_of_a_claim_shows_it(name):
    parser = build_parser(COMMANDS)
    for claim in paper(name).claims.values():
        program, *arguments = shlex.split(claim.command)
        args = parser.parse_args(arguments)
        assert program == "leapgrad" and args.names == [claim.name] and args.paper == name


def test_numbers_of_the_oscillators(judged):
    numbers = {one.claim.name: one.finding.numbers for one in judged["linoss"]}
    assert numbers["no_blow_up"]["peak"] == pytest.approx(99.218, abs=1e-3)
    assert numbers["step_limit"]["radius"] == pytest.approx((7 + np.sqrt(45)) / 2, abs=1e-12)
    damped = {one.claim.name: one.finding.numbers for one in judged["dlinoss"]}
    assert damped["clamp"]["peak"] == pytest.approx(15.414, abs=1e-3)
    assert {one.claim.name: one.finding.numbers for one in judged["memory"]}["parameter"][
        "at_0.99"
    ] == pytest.approx(251262.6, abs=0.1)


# Catches: a verdict that does not rest on the step of the paper, or not on the shipped cell.
@pytest.mark.parametrize(
    ("step", "names"),
    [
        ("linoss_im", ("implicit_eigenvalues", "no_blow_up")),
        ("linoss_imex", ("symplectic", "values_of_frequencies", "time_varying")),
    ],
)
def test_another_step_decides_nothing(step, names, monkeypatch):
    changed = oscillators.STEPS[step] + sympy.Matrix([[0, oscillators.dt**2 * oscillators.A], [0, 0]])
    monkeypatch.setitem(oscillators.STEPS, step, changed)
    for one in paper("linoss").evaluate(check, names):
        assert one.finding.verdict is ClaimVerdict.UNDECIDED, one.claim.name
    assert not oscillators.agrees_with_cell(step)


def test_a_damped_step_of_another_kind_decides_nothing(monkeypatch):
    monkeypatch.setitem(oscillators.STEPS, "dlinoss", oscillators.STEPS["linoss_imex"])
    names = ("eigenvalues", "stability", "bijection")
    for one in paper("dlinoss").evaluate(check, names):
        assert one.finding.verdict is ClaimVerdict.UNDECIDED, one.claim.name


# Catches: a row that keeps its verdict when the proposition that it rests on is no longer proved.
@pytest.mark.parametrize(("name", "kept"), [("unicornn", {"constant", "accuracy"}),
                                            ("antisymmetric", {"parameters", "accuracy"})])  # fmt: skip
def test_rows_fall_with_their_proposition(name, kept):
    def broken(proposition):
        whole = check(proposition)
        steps = tuple(replace(one, decision=undecided(None, "not decided")) for one in whole.steps)
        return replace(whole, steps=steps, problems=("a step is undecided",))

    for one in paper(name).evaluate(broken):
        assert (one.finding.verdict is ClaimVerdict.UNDECIDED) == (one.claim.name not in kept), one.claim.name


def test_folders_of_results_are_filled_again(tmp_path):
    for text in ("first", "second"):
        with replacing_folder(tmp_path / "out") as folder:
            (folder / "linoss").mkdir()
            (folder / "linoss" / "claims.md").write_text(text)
        assert (tmp_path / "out" / "linoss" / "claims.md").read_text() == text
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["linoss"]


def test_the_command_takes_one_paper_or_all(tmp_path, capsys):
    assert main(["claims", "--paper", "memory", "state", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["claims"][0]["verdict"] == "PROVED"
    assert main(["claims", "--paper", "all", "--list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {name: list(listed[name]) for name in PAPERS} == {
        name: list(paper(name).claims) for name in PAPERS
    }
    assert main(["claims", "--paper", "dlinoss", "--out", str(tmp_path / "found")]) == 0
    assert {path.name for path in (tmp_path / "found").iterdir()} == {"claims.md", "claims.json"}
    capsys.readouterr()
    for words, said in (
        (["--paper", "linos"], "Did you mean 'linoss'?"),
        (["--paper", "all", "state"], "name a paper to choose some of its claims"),
        (["--paper", "memory", "stat"], "Did you mean 'state'?"),
    ):
        assert main(["claims", *words]) == 2
        assert said in capsys.readouterr().err
