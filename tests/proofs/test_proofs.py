"""The catalogue of propositions: verdicts, mutants, reports."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

import proofs
from proofs import (
    CATALOGUE,
    Decision,
    Mutant,
    Outcome,
    Proposition,
    Role,
    Step,
    Verdict,
    check,
    check_mutants,
)
from proofs.axioms import AXIOMS
from proofs.catalogue import _MODULES
from proofs.latex import standalone, text
from proofs.report import decide_step

ROOT = Path(__file__).resolve().parents[2]
VERDICTS = {
    "lemma_3_1": "PROVED",
    "lemma_3_1_discrete": "PROVED",
    "theorem_3_2": "HOLDS ONLY IF ẏ(0) > T",
    "hamiltonian": "HOLDS ONLY IF D(u)W is symmetric for every y",
    "volume_and_reversibility": "PROVED",
    "theorem_a": "PROVED",
    "theorem_b": "PROVED",
    "theorem_c": "PROVED",
    "theorem_d": "PROVED",
    "theorem_e": "PROVED",
    "theorem_f": "PROVED",
    "theorem_g": "PROVED",
    "theorem_h": "PROVED",
    "theorem_i": "PROVED",
    "theorem_j": "PROVED",
    "theorem_k": "PROVED",
    "first_order_flow": "PROVED",
    "activation_bounds": "PROVED",
    "scheme_orders": "PROVED",
    "scheme_symmetry": "PROVED",
    "scheme_symplecticity": "HOLDS ONLY IF DF is symmetric at every kick",
    "tangent_is_derivative": "PROVED",
    "leapfrog_modified_hamiltonian": "PROVED",
    "scheme_stability": "PROVED",
    "unicornn_step": "PROVED",
    "antisymmetric_step": "HOLDS ONLY IF D = I (equal slopes)",
    "orthogonal_step": "HOLDS ONLY IF b ≤ 0 (complex states)",
    "readout_ceiling": "PROVED",
    "linoss_im": "PROVED",
    "linoss_imex": "PROVED",
    "linoss_shear": "PROVED",
    "linoss_varying": "PROVED",
    "dlinoss_stability": "HOLDS ONLY IF 1 + ΔG > 0",
    "gate_product": "PROVED",
    "hamiltonian_layers": "HOLDS ONLY IF the step is that of H2",
    "slow_hamiltonian": "PROVED",
    "claim_square_integrable": "REFUTED",
    "claim_hamiltonian_every_w": "REFUTED",
    "claim_linear_growth": "REFUTED",
    "claim_parameter_free": "REFUTED",
    "claim_figure_2": "NOT REPRODUCED",
}
NAMES = tuple(VERDICTS)
# Taking a step away, with or without its mutants, is a change of this table.
STEPS = dict(
    zip(
        NAMES,
        map(
            int,
            "12 14 19 9 10 11 32 50 24 42 29 10 18 15 17 19 19 6 9 7 10 24 7 7 "
            "37 10 16 11 8 17 10 8 7 16 10 10 5 7 9 7 16".split(),
        ),
        strict=True,
    )
)


@pytest.fixture(scope="module")
def reports():
    return {name: check(name) for name in CATALOGUE}


@pytest.fixture(scope="module")
def mutant_decisions():
    """(proposition, mutant) → {step: decision}, for the steps that the mutant alters."""
    found = {}
    for name, proposition in CATALOGUE.items():
        for mutant in proposition.mutants:
            steps = [decide_step(step) for step in proposition.changed_steps(mutant)]
            found[name, mutant.name] = {report.step.name: report.decision for report in steps}
    return found


def test_catalogue_is_complete():
    assert tuple(CATALOGUE) == NAMES
    modules = {
        ".".join(path.relative_to(ROOT / "proofs").with_suffix("").parts)
        for path in (ROOT / "proofs").rglob("*.py")
        if "\nPROPOSITION = " in path.read_text("utf-8")
    }
    assert modules == set(_MODULES.values())


@pytest.mark.parametrize("name", NAMES)
def test_verdict(reports, name):
    report = reports[name]
    undecided = [r.step.name for r in report.steps if r.decision.outcome is not Outcome.PROVED]
    assert not undecided, str(report)
    assert report.headline == VERDICTS[name]
    assert report.verdict is CATALOGUE[name].expected
    assert report.ok and report.sound


@pytest.mark.parametrize("name", NAMES)
def test_every_mutant_is_refuted_and_none_is_merely_undecided(mutant_decisions, name):
    mutants = CATALOGUE[name].mutants
    assert mutants
    for mutant in mutants:
        decisions = mutant_decisions[name, mutant.name]
        assert any(decision.refuted for decision in decisions.values()), f"{mutant.name} survives"
        undecided = {step: d.note for step, d in decisions.items() if d.outcome is Outcome.UNDECIDED}
        assert not undecided, f"{mutant.name}: {undecided}"


@pytest.mark.parametrize("name", NAMES)
def test_no_step_can_be_removed(mutant_decisions, name):
    """With the check of any one step replaced by "proved", some mutant is no longer refuted."""
    for step in CATALOGUE[name].steps:
        caught_by_it_alone = [
            mutant.name
            for mutant in CATALOGUE[name].mutants
            if [s for s, d in mutant_decisions[name, mutant.name].items() if d.refuted] == [step.name]
        ]
        assert caught_by_it_alone, f"nothing but its own check notices {step.name}"


def test_counts(mutant_decisions):
    steps = sum(len(proposition.steps) for proposition in CATALOGUE.values())
    assert len(mutant_decisions) >= steps >= 200
    assert {name: len(proposition.steps) for name, proposition in CATALOGUE.items()} == STEPS


@pytest.mark.parametrize("name", ["lemma_3_1", "theorem_c", "claim_parameter_free"])
def test_a_mutant_is_a_proposition_of_its_own(name):
    proposition = CATALOGUE[name]
    for mutant in proposition.mutants:
        report = check(proposition.mutated(mutant))
        assert report.verdict is Verdict.REFUTED and not report.sound
        assert report.refuted_steps == check_mutants(replace(proposition, mutants=(mutant,)))[mutant.name]
        assert report.counterexample is not None


@pytest.mark.parametrize("name", NAMES)
def test_refuted_statements_show_their_object(reports, name):
    report = reports[name]
    if report.verdict is not Verdict.PROVED:
        assert isinstance(report.counterexample, dict)
    telling = [r for r in report.steps if r.step.role in (Role.NECESSITY, Role.COUNTEREXAMPLE)]
    assert all(r.decision.counterexample for r in telling)


# Catches: a statement without words, and formulas that SymPy has simplified to 1 = 1 in the place of it.
@pytest.mark.parametrize("name", NAMES)
def test_a_report_begins_with_the_statement_in_words(reports, name):
    title, *stated = str(reports[name]).split("\n  Hypotheses:")[0].splitlines()
    assert title.startswith(CATALOGUE[name].title) and stated[0].startswith("  Statement: ")
    assert all(len(line) <= 110 for line in stated), max(stated, key=len)
    assert "both sides simplify" not in "".join(stated) and not stated[0].endswith("Statement:")
    words = CATALOGUE[name].statement.words
    assert " ".join(words.split()) in " ".join(" ".join(stated).split())


@pytest.mark.parametrize("name", NAMES)
def test_reports_serialise(reports, name):
    report = reports[name]
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert data["name"] == name and data["headline"] == VERDICTS[name] and data["ok"]
    assert [step["outcome"] for step in data["steps"]] == ["proved"] * len(report.steps)
    assert set(data["axioms"]) <= set(AXIOMS)
    assert str(report).endswith(f"Verdict: {report.headline}  ({report.seconds:.2f} s)")
    assert repr(report).startswith(f"Report({name}: ")


@pytest.mark.parametrize("name", NAMES)
def test_latex_is_well_formed(reports, name):
    source = reports[name].to_latex()
    assert source.isascii() and "[U+" not in source
    bare = re.sub(r"\\\\|\\[{}$%#&_^]", "", source)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert source.count(r"\begin{") == source.count(r"\end{")
    outside = re.sub(r"\$[^$]*\$", "", bare)
    assert not re.search(r"[_^<>|]", outside), "a symbol that only mathematics may use"
    assert outside.count(r"\item") >= len(reports[name].steps)


# Catches: ⁻² as two superscripts, which TeX refuses; a command that does not exist; an open brace.
def test_every_formula_is_one_that_tex_takes(reports):
    from matplotlib.mathtext import MathTextParser

    # What amsmath and amssymb have and matplotlib's TeX lacks; the rows of a matrix become one line.
    ours = {r"\tfrac12": "h", r"\tfrac14": "q", r"\mathbb R": "R", r"\mathbb C": "C", r"\surd": "r"}
    ours |= {r"\limits": "", r"\begin{matrix}": "", r"\end{matrix}": "", r"\\": ";", "&": ","}
    parser, formulas = MathTextParser("path"), set()
    for report in reports.values():
        formulas |= set(re.findall(r"(?<!\\)\$((?:[^$\\]|\\.)*)\$", report.to_latex()))
    assert len(formulas) > 150
    for formula in formulas:
        for name, other in ours.items():
            formula = formula.replace(name, other)
        formula = re.sub(r"\\(le|ge)(?![a-z])", r"\\\1q", formula)
        parser.parse(f"${formula}$")


def test_a_run_of_superscripts_is_one():
    assert text("κ⁻²y, σ₀") == r"$\kappa ^{-2}$y, $\sigma _{0}$"


def test_a_whole_latex_file(reports):
    source = standalone(reports.values())
    assert source.count(r"\section*{") == len(NAMES)
    assert source.startswith(r"\documentclass") and source.rstrip().endswith(r"\end{document}")


@pytest.mark.parametrize("name", NAMES)
def test_every_module_states_its_proposition(name):
    module, proposition = import_module(f"proofs.{_MODULES[name]}"), CATALOGUE[name]
    assert proposition.name == name
    assert len(module.__doc__.split()) >= 12
    assert proposition.statement and proposition.hypotheses and proposition.source
    assert all(other in NAMES for other in proposition.rests_on)
    assert all(str(step.claim).strip() for step in proposition.steps)


def test_propositions_do_not_rest_on_themselves():
    def ancestors(name, path=()):
        assert name not in path, f"circular: {path}"
        for other in CATALOGUE[name].rests_on:
            ancestors(other, (*path, name))

    for name in NAMES:
        ancestors(name)


def test_every_axiom_is_used():
    used = {
        axiom for proposition in CATALOGUE.values() for step in proposition.steps for axiom in step.axioms
    }
    assert used == set(AXIOMS)


def test_unknown_name_gives_the_nearest():
    with pytest.raises(ValueError, match="lemma_3_1"):
        check("lema_3_1")
    with pytest.raises(ValueError, match="proposition"):
        CATALOGUE[3]
    assert "lemma_3_2" not in CATALOGUE


def test_modules_are_imported_only_when_asked_for():
    code = "import proofs, sys; assert len(proofs.CATALOGUE) and not any('theorem' in m for m in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def _one_step(decide, **fields):
    return Proposition("p", "p", "p", {}, (Step("s", "s", decide, **fields),), "ours")


@pytest.mark.parametrize(
    ("outcome", "fields", "verdict"),
    [
        (Outcome.PROVED, {}, Verdict.PROVED),
        (Outcome.PROVED, {"role": Role.REMARK}, Verdict.PROVED),
        (Outcome.PROVED, {"role": Role.NECESSITY, "condition": "h"}, Verdict.HOLDS_ONLY_IF),
        (Outcome.PROVED, {"role": Role.COUNTEREXAMPLE}, Verdict.REFUTED),
        (Outcome.PROVED, {"role": Role.FIGURE}, Verdict.NOT_REPRODUCED),
        (Outcome.REFUTED, {"role": Role.FIGURE}, Verdict.REFUTED),
        (Outcome.UNDECIDED, {"role": Role.COUNTEREXAMPLE}, Verdict.UNDECIDED),
    ],
)
def test_the_verdict_is_read_off_outcomes_and_roles(outcome, fields, verdict):
    report = check(_one_step(lambda: Decision(outcome), **fields))
    assert report.verdict is verdict
    assert report.sound == (outcome is Outcome.PROVED)


def test_a_step_that_raises_is_undecided():
    report = check(_one_step(lambda: 1 / 0))
    assert report.verdict is Verdict.UNDECIDED and not report.ok
    assert "ZeroDivisionError" in report.steps[0].decision.note


def test_a_proposition_without_steps_is_not_proved():
    assert check(Proposition("p", "p", "p", {}, (), "ours")).verdict is Verdict.UNDECIDED


def test_malformed_propositions_are_rejected():
    def decide(weight=1):
        return Decision(Outcome.PROVED)

    step = Step("s", "s", decide)
    with pytest.raises(ValueError, match="two steps"):
        Proposition("p", "p", "p", {}, (step, step), "ours")
    with pytest.raises(ValueError, match="depends on"):
        Proposition("p", "p", "p", {}, (replace(step, depends_on=("later",)),), "ours")
    with pytest.raises(ValueError, match="axiom"):
        replace(step, axioms=("wishful_thinking",))
    with pytest.raises(ValueError, match="condition"):
        replace(step, role=Role.NECESSITY)
    for changes in ({}, {"sign": 1}):
        with pytest.raises(ValueError, match="changes nothing"):
            Proposition("p", "p", "p", {}, (step,), "ours", (Mutant("m", "m", changes),))


def test_public_names():
    assert set(proofs.__all__) <= set(dir(proofs))
