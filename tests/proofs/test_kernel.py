"""The kernel of the proofs: formulas, rules, the link from steps to verdict, and generated mutants."""

from dataclasses import FrozenInstanceError, replace

import pytest
import sympy as sp

from proofs import CATALOGUE, Outcome, Proposition, Step, Verdict, check
from proofs.axioms import AXIOMS
from proofs.decide import follows
from proofs.kernel.formulas import (
    All,
    AtMost,
    Below,
    Bounded,
    Equal,
    Implies,
    Known,
    Limit,
    Not,
    claim,
    identity,
)
from proofs.kernel.mutants import SORTS, generated, sharpened
from proofs.kernel.norms import D, P, T, W, norm, operations, tangent, y
from proofs.kernel.rules import RULES, SMOOTH
from proofs.kernel.survey import survey
from proofs.proposition import concluded
from proofs.symbols import dsigma
from proofs.theorems import theorem_b

a, b, c = sp.symbols("a b c", nonnegative=True)
x = sp.Symbol("x", real=True)
i, n = sp.Symbol("i", integer=True, nonnegative=True), sp.Symbol("n", integer=True, positive=True)
NAMES = tuple(CATALOGUE)


def outcome(rule, claim, premises=(), **numbers):
    return RULES[rule].apply(claim, premises, numbers).outcome


PROVED, REFUTED, UNDECIDED = Outcome.PROVED, Outcome.REFUTED, Outcome.UNDECIDED


# ------------------------------------------------------------------------------------------ generated mutants


@pytest.mark.parametrize("name", NAMES)
def test_no_generated_mutant_is_proved(name):
    """Conclusion, hypothesis, premise, step: whatever is changed, the proposition is not established."""
    proposition = CATALOGUE[name]
    found = survey(proposition)
    survivors = {key: names for key, names in found.items() if key[1] == "survives"}
    assert not survivors
    counted = {sort: sum(len(v) for key, v in found.items() if key[0] == sort) for sort in SORTS}
    assert counted["step"] == len(proposition.steps)
    assert counted["hypothesis"] == len(proposition.hypotheses) >= 1
    assert counted["references"] == len(proposition.steps) + len(proposition.hypotheses)
    assert counted["conclusion"] >= 2
    assert counted["premise"] >= len(proposition.steps)


# Catches: claims that simplify to the same expression and are taken for one another.
def test_claims_that_simplify_to_the_same_are_different_claims():
    @claim
    def determinant():
        return identity(sp.Integer(1), 1)

    @claim
    def trace():
        return identity(sp.Integer(1), 1)

    one, other = (Step(f.__name__, f.__name__, f) for f in (determinant, trace))
    whole = concluded((one, other))
    both = Proposition("p", "p", whole.claim, {}, (one, other, whole), "ours")
    assert check(both).verdict is Verdict.PROVED
    less = replace(whole, premises=(one.claim,))
    assert check(replace(both, steps=(one, less))).verdict is not Verdict.PROVED
    assert "both sides simplify to 1" in str(one.claim)


def test_survey_sees_a_proposition_that_proves_too_much():
    """A remark that is left over, and a statement that is asserted, are what the survey is there to find."""
    step = Step("square", AtMost(0, x**2))
    idle = Step("other", AtMost(0, x**4))
    sound = Proposition("p", "p", step.claim, {}, (step,), "ours")
    assert check(sound).verdict is Verdict.PROVED
    assert check(replace(sound, steps=(idle, step))).verdict is Verdict.UNDECIDED
    assert check(replace(sound, hypotheses={"idle": Below(0, a)})).verdict is Verdict.UNDECIDED
    assert check(replace(sound, statement=AtMost(0, x**2 - 1))).verdict is Verdict.UNDECIDED
    weak = Step("weak", AtMost(0, sp.Integer(4)))
    found = survey(Proposition("p", "p", weak.claim, {}, (weak,), "ours"))
    assert ("conclusion", "survives") not in found


def test_a_wrong_premise_with_its_conclusion_is_refuted():
    """Half an increment, a quarter of the first kick, half a deviation, half a kick, half of K."""
    B, C, E, F, U = (
        CATALOGUE[name] for name in ("theorem_b", "theorem_c", "theorem_e", "theorem_f", "unicornn_step")
    )

    def changed(proposition, name, new):
        old = next(step.claim for step in proposition.steps if step.name == name)
        put = lambda formula: new if formula == old else formula  # noqa: E731
        steps = tuple(
            replace(step, claim=put(step.claim), premises=tuple(map(put, step.premises)))
            for step in proposition.steps
        )
        return check(replace(proposition, steps=steps, mutants=()))

    eps = theorem_b.eps
    half_kick = Equal(P(i + 2), P(i + 1) + eps / 2 * D(i + 1) * W * T(i + 1))
    quarter = Equal(P(1), P(0) + eps / 4 * D(0) * W * T(0))
    cases = [
        changed(B, "tangent_kick", half_kick),
        changed(B, "tangent_first_kick", quarter),
        changed(B, "first_velocity", Equal(P(1), eps / 4 * D(0) * W)),
        changed(C, "norm_deviation", AtMost(*_halved(C, "norm_deviation"))),
        changed(E, "norm_kick", AtMost(*_halved(E, "norm_kick"))),
        changed(E, "tangent_drift", next(sharpened(_claim(E, "tangent_drift")))),
        changed(F, "norm_kick", AtMost(*_halved(F, "norm_kick"))),
        changed(U, "norm_momentum", AtMost(*_halved(U, "norm_momentum"))),
    ]
    assert [report.verdict for report in cases] == [Verdict.REFUTED] * 8


def _claim(proposition, name):
    return next(step.claim for step in proposition.steps if step.name == name)


def _halved(proposition, name):
    claim = _claim(proposition, name)
    return claim.small, claim.large / 2


@pytest.mark.parametrize("name", ["theorem_b", "theorem_3_2", "claim_linear_growth", "scheme_orders"])
def test_sentences_in_place_of_formulas_prove_nothing(name):
    proposition = replace(CATALOGUE[name], mutants=())
    said = {key: str(formula) for key, formula in proposition.hypotheses.items()}
    for other in (
        replace(proposition, statement=str(proposition.statement)),
        replace(proposition, hypotheses=said),
        replace(proposition, steps=()),
        replace(proposition, steps=proposition.steps[::-1]),
        replace(proposition, steps=tuple(replace(step, claim=str(step.claim)) for step in proposition.steps)),
    ):
        report = check(other)
        assert report.verdict is Verdict.UNDECIDED and not report.ok and report.problems
    with pytest.raises(FrozenInstanceError):
        proposition.statement = None


def test_a_report_prints_what_is_missing_and_every_axiom():
    proposition = CATALOGUE["theorem_d"]
    text = str(check(replace(proposition, steps=proposition.steps[1:], mutants=())))
    assert "✗ step tangent: a premise is neither a hypothesis nor the claim of an earlier step" in text
    report = check(proposition)
    assert all(f"Axiom {axiom}: {AXIOMS[axiom]}" in str(report) for axiom in report.axioms)
    assert (
        set(report.to_dict()["axioms"]) == set(report.axioms) >= {"triangle", "chain_rule", "diagonal_norm"}
    )


def test_a_symbol_that_a_hypothesis_fixes_is_not_instantiated():
    given, general = Equal(a, 2), AtMost(a * b, 2 * b)
    steps = (
        Step("general", general, rule="linear", premises=(given,), numbers={"multipliers": (-b,)}),
        Step("wrong", general.at({a: 3}), rule="instance", premises=(general,), numbers={"values": {a: 3}}),
    )
    report = check(Proposition("p", "p", steps[1].claim, {"given": given}, steps, "ours"))
    assert report.verdict is Verdict.UNDECIDED
    assert report.problems == ("step wrong changes a, of which a hypothesis speaks",)


# ------------------------------------------------------------------------------------------------------- text


def test_text_is_made_from_the_expressions():
    bound = AtMost(norm(T(n)), sp.cosh(n * sp.sqrt(a)) / 2)
    assert str(bound) == "‖T_n‖ ≤ cosh(√(a)·n)/2"
    assert str(bound.at({n: 3})) == "‖T_3‖ ≤ cosh(3·√(a))/2"
    assert str(Implies(bound, Below(0, a)).called("so")) == f"so: if {bound}, then 0 < a"
    assert str(AtMost(sp.Abs(dsigma(x)), b**2)) == "|σ'(x)| ≤ b²"
    for name in NAMES:
        for step in CATALOGUE[name].steps:
            other = next(sharpened(step.claim), None)
            if (
                other is not None
                and "too long" not in step.claim.text
                and " more of the kind" not in step.claim.text
            ):
                assert str(other) != str(step.claim), (name, step.name)


# ------------------------------------------------------------------------------------------------------ rules


@pytest.mark.parametrize(
    ("claim", "premises", "numbers", "expected"),
    [
        (AtMost(a, b + 1), [AtMost(a, b)], {"multipliers": (1,), "slack": 1}, PROVED),
        (AtMost(a, b + 1), [AtMost(a, b)], {"multipliers": (1,)}, REFUTED),
        (AtMost(a, b), [AtMost(a, b + 1)], {"multipliers": (1,), "slack": -1}, UNDECIDED),
        (AtMost(-a, -b), [AtMost(a, b)], {"multipliers": (-1,)}, UNDECIDED),
        (AtMost(a, c), [AtMost(a, b), AtMost(b, c)], {}, PROVED),
        (AtMost(a, b), [AtMost(a, b), AtMost(b, c)], {"multipliers": (1, 0)}, UNDECIDED),
        (AtMost(a, b), [AtMost(a, b)], {"multipliers": (1, 1)}, UNDECIDED),
        (Below(a, b), [AtMost(a, b)], {}, UNDECIDED),
        (Equal(a, c), [Equal(a, b), Equal(b, c)], {}, PROVED),
        (Equal(a, b), [AtMost(a, b)], {}, UNDECIDED),
        # Premises that contradict each other prove nothing, also where that takes several of them.
        (AtMost(1, 0), [AtMost(1, 0)], {}, UNDECIDED),
        (AtMost(1, 0), [AtMost(1, a), AtMost(a, 0)], {}, UNDECIDED),
        (AtMost(1, 0), [Equal(a, b), AtMost(a, c), AtMost(c + 1, b)], {"multipliers": (1, 1, 1)}, UNDECIDED),
        (Implies(AtMost(a, b), AtMost(2 * a, 2 * b)), [], {"multipliers": (2,)}, PROVED),
        (AtMost(1 / b, 1 / a), [AtMost(a, b), Below(0, a)], {"multipliers": (1 / (a * b),)}, UNDECIDED),
    ],
)
def test_linear(claim, premises, numbers, expected):
    assert outcome("linear", claim, premises, **numbers) is expected


def test_follows_refuses_contradictory_premises():
    assert follows((1, 0), [(1, 0)], [1]).outcome is UNDECIDED
    assert follows((1, 0), [(1, a), (a, 0)], [1, 1]).outcome is UNDECIDED
    assert follows((a, b), [(a, b)], [1]).outcome is PROVED


@pytest.mark.parametrize(
    ("right", "bound", "expected"),
    [
        (T(i) + 2 * D(i) * W * T(i), norm(T(i)) + 2 * norm(D(i)) * norm(W) * norm(T(i)), PROVED),
        (T(i) - 2 * P(i), norm(T(i)) + 2 * norm(P(i)), PROVED),
        (T(i) - 2 * P(i), norm(T(i)) - 2 * norm(P(i)), REFUTED),
        (x * T(i), sp.Abs(x) * norm(T(i)), PROVED),
        (x * T(i), x * norm(T(i)), REFUTED),
        (D(i) * W, norm(W), REFUTED),
        (sp.Integer(1), sp.Integer(1), PROVED),
        (sp.Integer(0), sp.Integer(0), PROVED),
        (W**2, norm(W) ** 2, PROVED),
    ],
)
def test_norms(right, bound, expected):
    assert outcome("norm", AtMost(norm(P(i + 1)), bound), [Equal(P(i + 1), right)]) is expected


def test_diagonal_norm_needs_the_bound_for_every_argument():
    claim = AtMost(norm(D(i)), a)
    assert outcome("diagonal", claim, [AtMost(sp.Abs(dsigma(x)), a)]) is PROVED
    assert outcome("diagonal", AtMost(norm(D(i)), a / 2), [AtMost(sp.Abs(dsigma(x)), a)]) is REFUTED
    assert outcome("diagonal", claim, [AtMost(sp.Abs(dsigma(sp.Integer(0))), a)]) is UNDECIDED
    assert outcome("diagonal", claim, [AtMost(dsigma(x), a)]) is UNDECIDED
    assert outcome("diagonal", AtMost(norm(W), a), [AtMost(sp.Abs(dsigma(x)), a)]) is UNDECIDED


def test_differentiation_is_that_of_the_program():
    """The operations of leapfrog, as the program that runs has them, and their derivatives."""
    (kick_0, drift_0), (kick, drift) = operations("leapfrog", i)
    eps = theorem_b.eps
    assert [tangent(side) for side in kick_0] == [P(1), sp.expand(P(0) + eps / 2 * D(0) * W * T(0))]
    assert [tangent(side) for side in kick] == [P(i + 2), sp.expand(P(i + 1) + eps * D(i + 1) * W * T(i + 1))]
    assert [tangent(side) for side in drift] == [T(i + 2), T(i + 1) + eps * P(i + 2)]
    state, wrong = Equal(*drift_0), Equal(T(1), T(0) + 2 * eps * P(1))
    right = Equal(T(1), T(0) + eps * P(1))
    assert outcome("differentiated", right, [state, SMOOTH]) is PROVED
    assert outcome("differentiated", wrong, [state, SMOOTH]) is REFUTED
    assert outcome("differentiated", right, [state, Known("σ is continuous")]) is UNDECIDED
    assert outcome("program", Equal(y(1), y(0)), scheme="leapfrog", index=i) is REFUTED


def test_induction_needs_base_step_and_the_same_claim():
    def grown(index):
        return AtMost(norm(T(index)), 2**index)

    step, base = Implies(grown(i), grown(i + 1)), grown(sp.Integer(0))
    assert outcome("induction", grown(i), [base, step], variable=i) is PROVED
    assert outcome("induction", grown(i), [step], variable=i) is UNDECIDED
    assert outcome("induction", grown(i), [AtMost(norm(T(0)), 2), step], variable=i) is REFUTED
    assert outcome("induction", grown(i), [base, Implies(grown(i), grown(i + 2))], variable=i) is REFUTED
    assert outcome("induction", grown(i), [base, Implies(grown(i + 1), grown(i + 1))], variable=i) is REFUTED
    assert outcome("induction", grown(n), [base, step], variable=n) is REFUTED


SQUARE = {"function": c**2, "variable": c}


@pytest.mark.parametrize(
    ("rule", "claim", "premises", "numbers", "expected"),
    [
        ("instance", AtMost(0, n), [AtMost(0, i)], {"values": {i: n}}, PROVED),
        ("instance", AtMost(0, x), [AtMost(0, a)], {"values": {a: x}}, UNDECIDED),
        ("instance", AtMost(0, sp.Integer(-1)), [AtMost(0, a)], {"values": {a: -1}}, UNDECIDED),
        ("instance", AtMost(0, a / 2), [AtMost(0, i)], {"values": {i: a / 2}}, UNDECIDED),
        ("rising", AtMost(a, sp.sinh(a)), [], {"variable": a, "order": 3}, PROVED),
        ("rising", AtMost(sp.sinh(a), a), [], {"variable": a, "order": 3}, REFUTED),
        ("rising", AtMost(0, x + 1), [], {"variable": x, "order": 1}, UNDECIDED),
        ("monotone", AtMost(a**2, b**2), [AtMost(a, b), AtMost(0, 2 * c)], SQUARE, PROVED),
        ("monotone", AtMost(x**2, b**2), [AtMost(x, b), AtMost(0, 2 * c)], SQUARE, UNDECIDED),
        ("monotone", AtMost(a**2, b**2), [AtMost(a, b), AtMost(0, c)], SQUARE, UNDECIDED),
        ("substituted", AtMost(b, c), [AtMost(a, c), Equal(a, b)], {}, PROVED),
        ("substituted", AtMost(b, c), [AtMost(b, c), Equal(a, b)], {}, UNDECIDED),
        ("substituted", AtMost(c, b), [AtMost(a, c), Equal(a, b)], {}, REFUTED),
        ("part", AtMost(a, b), [All.of(AtMost(a, b), AtMost(b, c))], {}, PROVED),
        ("part", AtMost(a, c), [All.of(AtMost(a, b), AtMost(b, c))], {}, REFUTED),
        ("conjunction", All.of(AtMost(a, b)), [AtMost(a, b), AtMost(b, c)], {}, UNDECIDED),
        ("conjunction", All.of(AtMost(a, b), AtMost(b, c)), [AtMost(a, b)], {}, REFUTED),
        ("computation", AtMost(0, a), [AtMost(0, b)], {}, UNDECIDED),
        ("computation", Equal(sp.diff(dsigma(x), x), sp.diff(dsigma(x), x)), [], {}, UNDECIDED),
        ("computation", Not(Bounded(sp.exp(a), a)), [], {}, PROVED),
        ("computation", Not(Bounded(sp.exp(-a), a)), [], {}, REFUTED),
        ("computation", Limit(1 / a, a, sp.oo, 0), [], {}, PROVED),
        ("computation", Known("σ is smooth"), [], {}, UNDECIDED),
    ],
)  # fmt: skip
def test_rules(rule, claim, premises, numbers, expected):
    assert outcome(rule, claim, premises, **numbers) is expected


def test_integrals():
    t, r = sp.symbols("t r", nonnegative=True)
    s = sp.Function("s", real=True)
    area = sp.Integral(s(r), (r, 0, t))
    limits = {"variable": r, "end": t}
    assert outcome("integrated", AtMost(area, t), [AtMost(s(r), 1)], **limits) is PROVED
    assert outcome("integrated", AtMost(area, t / 2), [AtMost(s(r), 1)], **limits) is REFUTED
    square = sp.Integral(sp.tanh(x) ** 2, (x, -t, t))
    assert outcome("antiderivative", Equal(square, 2 * t - 2 * sp.tanh(t)), variable=t) is PROVED
    assert outcome("antiderivative", Equal(square, 2 * t - sp.tanh(t)), variable=t) is REFUTED
    assert outcome("antiderivative", Equal(square, 2 * t - 2 * sp.tanh(t) + 1), variable=t) is REFUTED
    solution = Equal(sp.cosh(t), 1 + sp.Integral((t - r) * sp.cosh(r), (r, 0, t)))
    assert outcome("solves", solution, variable=r, time=t) is PROVED
    assert outcome("solves", next(sharpened(solution)), variable=r, time=t) is REFUTED


def test_every_rule_has_words_and_known_axioms():
    for name, rule in RULES.items():
        assert rule.apply.__doc__, name
        assert set(rule.axioms) <= set(AXIOMS), name
    used = {step.rule for proposition in CATALOGUE.values() for step in proposition.steps}
    assert used == set(RULES)


def test_generated_mutants_differ_from_the_proposition():
    for name in NAMES:
        proposition = replace(CATALOGUE[name], mutants=())
        assert all(mutant != proposition for _, _, mutant in generated(proposition)), name
