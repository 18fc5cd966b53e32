"""The ledger: complete, computed when asked, and readable alone; and the commands around it."""

import hashlib
import json
import math
import shlex
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from proofs import CATALOGUE, check
from sensitivity.cli.analysis import certify, falsify, recommend
from sensitivity.cli.papers import claims, prove
from sensitivity.cli.parser import build_parser
from sensitivity.cli.registry import COMMANDS
from sensitivity.papers import kept as results
from sensitivity.papers.hamiltonian.captions import order_one
from sensitivity.papers.hamiltonian.claims import (
    LEDGER,
    Tools,
    evaluate,
    summary,
    tables,
    to_json,
    to_markdown,
    trained,
)
from sensitivity.papers.hamiltonian.claims.ledger import PLAN
from sensitivity.papers.hamiltonian.claims.pictures import DIMENSIONS, GAMMAS
from sensitivity.papers.hamiltonian.curves import Curve
from sensitivity.papers.hamiltonian.plan import FigurePlan
from sensitivity.papers.ledger import MEANING, ClaimVerdict

OURS = (certify.COMMAND, claims.COMMAND, falsify.COMMAND, prove.COMMAND, recommend.COMMAND)
ALL = (*(c for c in COMMANDS if c.name not in {own.name for own in OURS}), *OURS)
# Short sequences, few steps: every row runs, though a figure may come out unlike at the N of the paper.
SMALL = FigurePlan({1: 1, 10: 1, 100: 1}, points=7, n_steps=60)


@pytest.fixture(scope="module")
def judged():
    return evaluate(check, plan=SMALL)


@pytest.fixture(scope="module")
def verdicts(judged):
    return {one.claim.name: one.finding.verdict for one in judged}


def run(capsys, *arguments):
    args = build_parser(ALL).parse_args(arguments)
    status = args.run(args)
    return status, capsys.readouterr().out


# ---------------------------------------------------------------------------------------------- the rows


def test_nothing_is_left_undecided(judged):
    assert [one.claim.name for one in judged if one.finding.verdict is ClaimVerdict.UNDECIDED] == []
    assert all(one.finding.evidence for one in judged)
    assert len(judged) == len(LEDGER) >= 35


def test_what_does_not_depend_on_a_figure_comes_out_as_proved(verdicts):
    expected = {
        "hamiltonian": ClaimVerdict.REFUTED,
        "hamiltonian_condition": ClaimVerdict.HOLDS_ONLY_IF,
        "lemma_3_1": ClaimVerdict.PROVED,
        "lemma_3_1_hypothesis": ClaimVerdict.REFUTED,
        "theorem_3_2": ClaimVerdict.HOLDS_ONLY_IF,
        "theorem_3_2_energy": ClaimVerdict.PROVED,
        "theorem_3_2_equation_9": ClaimVerdict.PROVED,
        "theorem_3_2_solution": ClaimVerdict.PROVED,
        "theorem_3_2_integral": ClaimVerdict.PROVED,
        "theorem_3_2_bound": ClaimVerdict.PROVED,
        "theorem_3_2_order": ClaimVerdict.HOLDS_ONLY_IF,
        "theorem_3_2_covers_the_network": ClaimVerdict.REFUTED,
        "linear_growth": ClaimVerdict.REFUTED,
        "parameter_free": ClaimVerdict.REFUTED,
        "no_rule_for_gamma": ClaimVerdict.HOLDS_ONLY_IF,
        "integrable_force": ClaimVerdict.HOLDS_ONLY_IF,
        "no_vanishing": ClaimVerdict.REFUTED,
        "driven_recursion": ClaimVerdict.HOLDS_ONLY_IF,
        "equation_13": ClaimVerdict.REFUTED,
        "euler_step": ClaimVerdict.HOLDS_ONLY_IF,
        "gated_cells": ClaimVerdict.REFUTED,
        "fewer_parameters": ClaimVerdict.HOLDS_ONLY_IF,
        "two_descriptions": ClaimVerdict.HOLDS_ONLY_IF,
        "step_grid": ClaimVerdict.HOLDS_ONLY_IF,
        "figure_2_reading": ClaimVerdict.CONFIRMED,
        "energy": ClaimVerdict.HOLDS_ONLY_IF,
        "step_rule": ClaimVerdict.HOLDS_ONLY_IF,
        "table_1_counts": ClaimVerdict.CONFIRMED,
        "table_2_counts": ClaimVerdict.CONFIRMED,
        "antisymmetric_count": ClaimVerdict.REFUTED,
        "xor_lengths": ClaimVerdict.REFUTED,
        "shock_threshold": ClaimVerdict.CONFIRMED,
    }
    assert {name: verdicts[name] for name in expected} == expected


def test_every_figure_has_its_rows():
    assert {f"figure_{n}_d{d}" for n in (1, 2) for d in DIMENSIONS} <= set(LEDGER)
    assert "figure_3" in LEDGER and PLAN.draws_of(3, 100) >= 5
    assert set(PLAN.draws) == set(DIMENSIONS)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A folder in place of the kept results, and what writes into it."""
    monkeypatch.setattr(results, "PLACES", (tmp_path,))

    def write(folder, name, data):
        (tmp_path / folder).mkdir(exist_ok=True)
        text = json.dumps(data).encode()
        (tmp_path / folder / name).write_bytes(text)
        made = {"command": "leapgrad made", "parameters": {"iterations": 500}}
        record = {**made, "sha256": {name: hashlib.sha256(text).hexdigest()}}
        (tmp_path / folder / "manifest.json").write_text(json.dumps(record))
        return tmp_path / folder / name

    return write


def decided(name):
    return evaluate(check, [name], plan=SMALL)[0].finding


def cell(task, n, entrant, median):
    run = {"reached": median, "best": 0.5, "hidden": 100}
    span = [median, median] if median else None
    return {"task": task, "n_steps": n, "entrant": entrant, "setting": {}, "outcomes": [run],
            "median": median, "span": span}  # fmt: skip


def test_what_needs_training_says_so_where_no_result_is_kept(kept):
    for claim in trained.ROWS:
        assert decided(claim.name).verdict is ClaimVerdict.NOT_MEASURED


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [((-1.1, -0.9), ClaimVerdict.CONFIRMED), ((-0.9, -0.7), ClaimVerdict.NOT_REPRODUCED)],
)
def test_figure_4_follows_the_interval(kept, interval, verdict):
    said = {"main": {"law": {"exponent": -0.95, "interval": interval}}}
    path = kept("heuristic", "heuristic.json", said)
    found = decided("figure_4")
    assert found.verdict is verdict and "leapgrad made" in found.evidence[-1]
    assert f"α = -0.95, 95 % interval [{interval[0]:.2f}, {interval[1]:.2f}]" in found.evidence[0]
    path.write_text(path.read_text() + " ")
    assert "not what its manifest was written for" in decided("figure_4").evidence[0]


def test_tables_follow_the_kept_cells(kept):
    """The paper's own pattern confirms all rows; one entry elsewhere, and they fall."""
    own = trained.RULE
    iterations = {
        own: (100, 110, 90, 120),
        "antisymmetric": (1000, 1500, 9000, None),
        "LSTM": (9000, *[None] * 3),
    }
    cells = [cell("shock", n, name, found[i])
             for name, found in iterations.items() for i, n in enumerate((100, 500, 2000, 5000))]  # fmt: skip
    xor = {own: (100, 100, 100, 100), "antisymmetric": (300, 300, 300, 300), "LSTM": (300, 300, 410, 480)}
    cells += [cell("xor", n, name, found[i])
              for name, found in xor.items() for i, n in enumerate((50, 100, 200, 500))]  # fmt: skip
    names = ("table_1_training", "figure_6", "table_2_training", "figure_7")
    kept("tables", "tables.json", {"cells": cells})
    assert {decided(name).verdict for name in names} == {ClaimVerdict.CONFIRMED}
    freed = [{**one, "entrant": trained.RULE_FREE} for one in cells if one["entrant"] == own]
    for one in cells:
        if one["entrant"] == own:
            one.update(median=None, span=None)
    kept("tables", "tables.json", {"cells": cells})
    assert {decided(name).verdict for name in names} == {ClaimVerdict.NOT_REPRODUCED}
    assert "at most 500 iterations" in decided("figure_6").evidence[-1]
    kept("tables", "tables.json", {"cells": cells + freed})
    assert {decided(name).verdict for name in names} == {ClaimVerdict.HOLDS_ONLY_IF}
    found = decided("table_1_training")
    assert found.condition == trained.LARGE and any(trained.RULE_FREE in text for text in found.evidence)
    plain = [one for one in cells if one["entrant"] != own or one["n_steps"] < 5000]
    kept("tables", "tables.json", {"cells": plain + freed})
    assert decided("figure_6").verdict is ClaimVerdict.HOLDS_ONLY_IF
    short = [one for one in cells if one["n_steps"] < 200]
    kept("tables", "tables.json", {"cells": short})
    assert decided("figure_7").verdict is decided("table_1_training").verdict is ClaimVerdict.NOT_MEASURED


# Catches: the smaller budget told where the larger one has the entries, or nothing told where it lacks them.
def test_the_larger_budget_decides_where_it_is_there(kept):
    names = (trained.RULE, trained.OPEN)
    slow = [cell("xor", n, name, 100) for n in (200, 500) for name in names]
    kept("tables", "tables.json", {"cells": slow})
    kept("tables-full", "tables.json", {"cells": [one for one in slow if one["n_steps"] == 200]})
    assert decided("figure_7").verdict is ClaimVerdict.NOT_REPRODUCED
    fast = [
        cell("xor", n, name, m)
        for n, most in ((200, 400), (500, 500))
        for name, m in zip(names, (100, most), strict=True)
    ]
    kept("tables-full", "tables.json", {"cells": fast})
    assert decided("figure_7").verdict is ClaimVerdict.CONFIRMED
    kept("tables", "tables.json", {"cells": []})
    kept("tables-full", "tables.json", {"cells": []})
    assert decided("figure_7").verdict is ClaimVerdict.NOT_MEASURED


# Catches: entries asked for that cannot change the verdict, or a verdict without those that can.
def test_a_claim_is_refuted_by_the_entries_that_refute_it(kept):
    own, freed = (
        [cell("shock", n, name, found) for n, found in zip((100, 500, 5000), numbers, strict=True)]
        for name, numbers in ((trained.RULE, (430, None, None)), (trained.RULE_FREE, (65, 70, 80)))
    )
    kept("tables", "tables.json", {"cells": own})
    assert decided("table_1_training").verdict is ClaimVerdict.NOT_REPRODUCED
    # With larger weights it may still be the only one that learns, which the verdict does not say.
    kept("tables", "tables.json", {"cells": own + freed})
    found = decided("table_1_training")
    assert found.verdict is ClaimVerdict.NOT_REPRODUCED
    assert f"where {trained.LARGE}, this is not decided without antisymmetric at N = 5000" in found.evidence
    assert any(f"{trained.RULE_FREE}, N = 5000: 90 % after 80" in said for said in found.evidence)
    learned = cell("shock", 5000, "antisymmetric", 900)
    kept("tables", "tables.json", {"cells": [*own, *freed, learned]})
    found = decided("table_1_training")
    assert found.verdict is ClaimVerdict.NOT_REPRODUCED and "not decided" not in "".join(found.evidence)
    assert any("antisymmetric, N = 5000: 90 % after 900" in said for said in found.evidence)
    lost = [cell("shock", 5000, name, None) for name in ("antisymmetric", "LSTM")]
    kept("tables", "tables.json", {"cells": [*own, *freed, lost[0]]})
    assert any("without LSTM at N = 5000" in said for said in decided("table_1_training").evidence)
    kept("tables", "tables.json", {"cells": [*own, *freed, *lost]})
    assert decided("table_1_training").verdict is ClaimVerdict.HOLDS_ONLY_IF
    # A network of one column is not judged by the lengths of another.
    kept("tables", "tables.json", {"cells": [*own, *freed[:2], *lost]})
    found = decided("table_1_training")
    assert any(f"without {trained.RULE_FREE} at N = 5000" in said for said in found.evidence)


# Catches: the LSTM judged by the start of its gates that is slower, or by the one that failed.
def test_the_faster_start_stands_for_the_lstm(kept):
    cells = [cell("xor", n, name, found) for n, found in ((200, 400), (500, 500)) for name in (trained.OPEN,)]
    cells += [cell("xor", n, "LSTM", None) for n in (200, 500)]
    cells += [cell("xor", n, trained.RULE, 100) for n in (200, 500)]
    kept("tables", "tables.json", {"cells": cells})
    found = decided("figure_7")
    assert found.verdict is ClaimVerdict.CONFIRMED and any(trained.OPEN in said for said in found.evidence)


def test_mnist_follows_the_last_accuracy(kept):
    run = {"accuracy": [None, 0.95, 0.93], "iteration": [0, 1, 2], "network": {"d": 8}}
    kept("mnist-hamiltonian", "run.json", run)
    found = decided("sequential_mnist_hamiltonian")
    assert (
        found.verdict is ClaimVerdict.NOT_REPRODUCED
        and "93.00 % at the end, 95.00 % at best" in found.evidence[0]
    )
    kept("mnist-hamiltonian", "run.json", {**run, "accuracy": [0.1, 0.94, 0.941]})
    assert decided("sequential_mnist_hamiltonian").verdict is ClaimVerdict.CONFIRMED


# Catches: a run above the paper's maximum counted as its confirmation, one run taken for a search.
def test_another_maximum_on_mnist_is_no_confirmation(kept):
    run = {"accuracy": [0.1, 0.9], "iteration": [0, 1], "network": {"d": 8}}
    kept("mnist-lstm", "run.json", run)
    assert decided("sequential_mnist_lstm").verdict is ClaimVerdict.NOT_REPRODUCED
    kept("mnist-lstm", "run.json", {**run, "accuracy": [0.1, 0.66]})
    assert decided("sequential_mnist_lstm").verdict is ClaimVerdict.NOT_MEASURED


# Catches: iterations of a baseline that its cap ended, compared as if they were known.
def test_a_capped_baseline_decides_nothing_about_iterations(kept):
    cells = [cell("shock", n, trained.RULE, 100) for n in (100, 500, 2000, 5000)]
    cells += [cell("shock", 100, "antisymmetric", 1000), cell("shock", 100, "LSTM", None)]
    kept("tables", "tables.json", {"cells": cells})
    found = decided("figure_6")
    assert found.verdict is ClaimVerdict.NOT_MEASURED and "LSTM (N = 100)" in found.evidence[0]
    assert "LSTM (N = 100), cap 500" in found.evidence[0]


# Catches: the budget of another task or network told as the cap of a run.
def test_the_cap_is_that_of_the_task_and_the_network():
    parameters = {"iterations": 900, "longer": {"xor": 5000},
                  "entrants": [{"name": "LSTM", "most": 300}, {"name": "mine", "most": 10**9}]}  # fmt: skip
    caps = {(task, name): trained._cap(parameters, task, name)
            for task in ("shock", "xor") for name in ("LSTM", "mine", None)}  # fmt: skip
    assert caps == {("shock", "LSTM"): 300, ("shock", "mine"): 900, ("shock", None): 900,
                    ("xor", "LSTM"): 300, ("xor", "mine"): 5000, ("xor", None): 5000}  # fmt: skip


def test_the_order_on_mnist_is_that_after_as_many_iterations(kept):
    """The Hamiltonian run here is longer, and ahead at its end alone."""
    runs = {"hamiltonian": (0.1, 0.5, 0.9), "antisymmetric": (0.1, 0.6), "lstm": (0.1, 0.3)}
    for model, accuracy in runs.items():
        assert decided("sequential_mnist_order").verdict is ClaimVerdict.NOT_MEASURED
        run = {"accuracy": accuracy, "iteration": list(range(len(accuracy))), "hidden_parameters": 4}
        kept(f"mnist-{model}", "run.json", run)
    found = decided("sequential_mnist_order")
    assert found.verdict is ClaimVerdict.NOT_REPRODUCED
    assert "50.00 % after 1 iterations, 90.00 % at its end after 2" in found.evidence[0]
    kept("mnist-antisymmetric", "run.json", {**run, "accuracy": [0.1, 0.4]})
    assert decided("sequential_mnist_order").verdict is ClaimVerdict.CONFIRMED


# ------------------------------------------------------------------------ verdicts follow from what is found


def doctored(name):
    """`check`, but one proposition has its first step refuted."""

    def fake(asked):
        report = check(asked)
        if asked != name:
            return report
        steps = list(report.steps)
        decision = SimpleNamespace(proved=False, outcome="refuted")
        steps = [SimpleNamespace(step=s.step, decision=decision) for s in steps]
        return SimpleNamespace(
            name=name, ok=False, verdict=report.verdict, condition="", counterexample=None, steps=steps
        )

    return fake


@pytest.mark.parametrize(
    ("claim", "proposition"),
    [
        ("lemma_3_1", "lemma_3_1"),
        ("hamiltonian", "claim_hamiltonian_every_w"),
        ("theorem_3_2_integral", "theorem_3_2"),
        ("theorem_3_2_covers_the_network", "theorem_3_2"),
        ("linear_growth", "claim_linear_growth"),
        ("parameter_free", "claim_parameter_free"),
        ("no_rule_for_gamma", "antisymmetric_step"),
        ("energy", "scheme_symplecticity"),
        ("step_rule", "theorem_c"),
    ],
)
def test_a_proof_that_fails_decides_nothing(claim, proposition):
    (one,) = evaluate(doctored(proposition), [claim], plan=SMALL)
    assert one.finding.verdict is ClaimVerdict.UNDECIDED


def curve(d, log_norm, gamma=None):
    step = np.geomspace(1e-3, 1.0, 31)
    log_norms = np.broadcast_to(log_norm(step), (1, 31)).copy()
    arrays = {"norms": np.exp(log_norms), "bounds": np.exp(log_norms + 1)}
    known = set(Curve.__dataclass_fields__)
    return Curve(
        d=d, step=step, log_norms=log_norms, log_bounds=log_norms + 1, seeds=(0,), gamma=gamma,
        **{name: value for name, value in arrays.items() if name in known},
    )  # fmt: skip


def on_curves(name, curves):
    """A row decided on given curves, by figure; every d has the same."""
    return LEDGER[name].decide(Tools(check, PLAN, _curves=dict.fromkeys(DIMENSIONS, curves)))


def test_figure_1_is_confirmed_conditional_or_not_reproduced():
    shapes = {
        "linear": (np.log, ClaimVerdict.CONFIRMED),
        "late": (lambda e: np.maximum(np.log(e), 4 * np.log(e) + 8), ClaimVerdict.NOT_REPRODUCED),
        "kink": (
            lambda e: np.where(e < 0.1, 2 * np.log(e), np.log(e) + np.log(0.1)),
            ClaimVerdict.HOLDS_ONLY_IF,
        ),
    }
    for shape, expected in shapes.values():
        found = on_curves("figure_1_d10", {1: [curve(10, shape)]})
        assert found.verdict is expected
    kinked = on_curves("figure_1_d10", {1: [curve(10, shapes["kink"][0])]})
    assert kinked.condition.startswith("ε ≥ 0.1")


def test_figure_2_would_be_confirmed_by_an_exponential():
    hamiltonian = curve(10, lambda e: np.log(1 + 100 * e))
    for shape, expected in (
        (lambda e: 30 * e, ClaimVerdict.CONFIRMED),
        (lambda e: 3 * np.log(e), ClaimVerdict.NOT_REPRODUCED),
        (lambda e: np.tanh(10 * e), ClaimVerdict.NOT_REPRODUCED),
    ):
        found = on_curves("figure_2_d10", {1: [hamiltonian], 2: [curve(10, shape)]})
        assert found.verdict is expected


def test_figure_3_follows_the_reach():
    def found(shape):
        return order_one([curve(10, shape, 0.01)])

    assert found(lambda e: 0.3 * np.sin(e)).verdict is ClaimVerdict.CONFIRMED
    assert found(lambda e: 20 * e).condition.startswith("ε ≤ 0.032")
    assert found(lambda e: np.log(e)).verdict is ClaimVerdict.NOT_REPRODUCED


# Catches: a suitable γ that explodes at one d, or a row that looks at another γ.
def test_the_ledger_asks_of_figure_3_whether_the_norm_grows_exponentially():
    curves = [curve(10, (lambda e: 30 * e) if gamma < 0.05 else np.log, gamma) for gamma in GAMMAS]
    found = on_curves("figure_3", {3: curves})
    assert found.verdict is ClaimVerdict.CONFIRMED and found.numbers["suitable"] == [0.1]
    assert found.numbers["behaviour"][0.0] == {d: ["exponential"] for d in DIMENSIONS}
    assert found.numbers["behaviour"][0.1][100] == ["power"]
    explosive = [curve(10, lambda e: 30 * e, gamma) for gamma in GAMMAS]
    assert on_curves("figure_3", {3: explosive}).verdict is ClaimVerdict.NOT_REPRODUCED


# Catches: a verdict on the median, which one draw of several that explodes does not move.
def test_one_draw_that_explodes_makes_a_gamma_unsuitable():
    def mixed(gamma):
        calm, wild = curve(100, np.tanh, gamma), curve(100, lambda e: 30 * e, gamma)
        rows = {name: np.concatenate([getattr(one, name) for one in (calm, wild, calm)])
                for name in ("norms", "log_norms", "bounds", "log_bounds")}  # fmt: skip
        return replace(calm, seeds=(0, 1, 2), **rows)

    found = on_curves("figure_3", {3: [mixed(gamma) for gamma in GAMMAS]})
    assert found.verdict is ClaimVerdict.NOT_REPRODUCED and found.numbers["suitable"] == []
    assert found.numbers["behaviour"][0.0][100].count("exponential") == 1


# Catches: factors that are typed, and a kept result that is not read.
def test_the_two_descriptions_are_held_against_the_kept_runs(kept):
    entrants = ("Hamiltonian, wε² fixed", "antisymmetric")
    medians = {50: (20, 30), 100: (40, 30), 200: (30, 90), 500: (20, None)}
    kept("tables", "tables.json", {"cells": [
        cell("xor", n, name, median) for n, pair in medians.items()
        for name, median in zip(entrants, pair, strict=True)]})  # fmt: skip
    found = decided("two_descriptions")
    assert found.numbers["measured"] == {50: 1.5, 100: pytest.approx(4 / 3), 200: 3.0}
    assert "similar at N = 50, 100, not at N = 200" in found.evidence[-1]


def test_tables_are_arithmetic(monkeypatch):
    assert [tables.size_for(v, lambda d: d * d) for v in (1, 100, 99)] == [1, 10, None]
    for d in (1, 2, 5):
        maps = [unit - unit.T for unit in np.eye(d * d).reshape(d * d, d, d)]
        assert tables.antisymmetric_dimension(d) == np.linalg.matrix_rank(np.reshape(maps, (d * d, -1)))
    wrong = {100: (10000, 211, 100)}
    assert tables._counts(wrong)(Tools(check, PLAN)).verdict is ClaimVerdict.REFUTED
    rows = {length: row for length, row in zip(tables.XOR_LENGTHS, tables.TABLE_2.values(), strict=True)}
    monkeypatch.setattr(tables, "TABLE_2", rows)
    assert LEDGER["xor_lengths"].decide(Tools(check, PLAN)).verdict is ClaimVerdict.CONFIRMED


def test_the_best_accuracy_of_the_shock_task_by_simulation(judged):
    (found,) = [one.finding for one in judged if one.claim.name == "shock_threshold"]
    rng = np.random.default_rng(0)
    for name, variance in (("variance", 10.0), ("standard deviation", 100.0)):
        plain, shocked = (rng.normal(size=(200_000, 5)) * s for s in (1.0, math.sqrt(variance)))

        def log_ratio(x, variance=variance):
            return 0.5 * (x**2).sum(axis=1) * (1 - 1 / variance) - 2.5 * math.log(variance)

        right = 0.5 * ((log_ratio(plain) < 0).mean() + (log_ratio(shocked) > 0).mean())
        assert found.numbers[name] == pytest.approx(right, abs=2e-3)


def test_a_row_that_breaks_down_does_not_hide_the_others():
    def broken(name):
        raise RuntimeError("no proofs today")

    found = evaluate(broken, ["lemma_3_1", "xor_lengths"], plan=SMALL)
    assert [one.finding.verdict for one in found] == [ClaimVerdict.UNDECIDED, ClaimVerdict.REFUTED]
    assert "no proofs today" in found[0].finding.evidence[0]


def test_an_unknown_claim_is_named():
    with pytest.raises(ValueError, match="theorem_3_2"):
        evaluate(check, ["theorem_32"])


# ---------------------------------------------------------------------------------------------- writing


def test_every_command_shown_can_be_typed(judged):
    parser = build_parser(ALL)
    for one in judged:
        program, *arguments = shlex.split(one.claim.command)
        args = parser.parse_args(arguments)
        assert program == "leapgrad"
        if arguments[0] == "prove":
            assert set(args.names) <= set(CATALOGUE)
        if arguments[0] == "claims":
            assert set(args.names) <= set(LEDGER)


def test_the_page_can_be_read_alone(judged):
    page = to_markdown(judged)
    for one in judged:
        assert f"\n## {one.claim.name}\n" in page and f"](#{one.claim.name})" in page
        assert one.claim.text in page and f"`{one.claim.command}`" in page
        assert f"- Verdict: **{one.finding.headline}**" in page
    for verdict in {one.finding.verdict for one in judged}:
        assert f"- **{verdict}**: {MEANING[verdict]}" in page
    assert "varepsilon" not in page and "**2" not in page
    assert to_markdown(judged) == page


def test_the_data_are_the_same(judged):
    data = json.loads(json.dumps(to_json(judged), allow_nan=False))
    assert [row["name"] for row in data["claims"]] == list(LEDGER)
    assert sum(data["counts"].values()) == len(LEDGER)
    for row, one in zip(data["claims"], judged, strict=True):
        assert row["verdict"] == str(one.finding.verdict) and row["command"] == one.claim.command


def test_the_summary_is_short(judged):
    lines = summary(judged).splitlines()
    assert len(lines) == len(LEDGER) + 2 and max(map(len, lines)) <= 120
    assert lines[-1].startswith(f"{len(LEDGER)} claims: ")


# ---------------------------------------------------------------------------------------------- commands


def test_claims_writes_both_files(capsys, tmp_path):
    status, out = run(capsys, "claims", "xor_lengths", "table_1_counts", "--out", str(tmp_path / "ledger"))
    assert status == 0 and "REFUTED" in out and "50, 100, 200, 500" in out
    data = json.loads((tmp_path / "ledger" / "claims.json").read_text(encoding="utf-8"))
    assert [row["verdict"] for row in data["claims"]] == ["REFUTED", "CONFIRMED"]
    assert "## xor_lengths" in (tmp_path / "ledger" / "claims.md").read_text(encoding="utf-8")
    status, out = run(capsys, "claims", "xor_lengths", "--json")
    assert json.loads(out)["counts"] == {"REFUTED": 1}
    assert "lemma_3_1: " in run(capsys, "claims", "--list")[1]


def test_an_unknown_claim_cannot_be_listed(capsys):
    with pytest.raises(ValueError, match="theorem_3_2"):
        run(capsys, "claims", "--list", "theorem_32")


def test_claims_fails_if_a_row_is_undecided(capsys, monkeypatch):
    monkeypatch.setattr("proofs.check", doctored("lemma_3_1"))
    assert run(capsys, "claims", "lemma_3_1")[0] == 1


def test_prove_prints_steps_latex_and_data(capsys, monkeypatch):
    status, out = run(capsys, "prove", "lemma_3_1")
    assert status == 0 and "Verdict: PROVED" in out and "0 of them undecided or wrong" in out
    latex = run(capsys, "prove", "lemma_3_1", "theorem_b", "--latex")[1]
    assert latex.startswith("\\documentclass") and latex.endswith("\\end{document}\n")
    assert latex.count("\\section*{") == 2
    data = json.loads(run(capsys, "prove", "theorem_d", "--json")[1])
    assert data["ok"] and data["propositions"][0]["name"] == "theorem_d"
    assert len(json.loads(run(capsys, "prove", "--list", "--json")[1])) == len(CATALOGUE)
    with pytest.raises(ValueError, match="lemma_3_1"):
        run(capsys, "prove", "lemma_31")


def test_prove_fails_if_a_step_is_wrong(capsys, monkeypatch):
    mutant = CATALOGUE["lemma_3_1"].mutants[0]
    twin = check(CATALOGUE["lemma_3_1"].mutated(mutant))
    monkeypatch.setattr("proofs.check", lambda name: twin)
    status, out = run(capsys, "prove", "lemma_3_1", "--json")
    assert status == (0 if twin.ok else 1) and json.loads(out)["ok"] == twin.ok
    unsound = SimpleNamespace(ok=False, to_dict=lambda: {"name": "lemma_3_1"})
    monkeypatch.setattr("proofs.check", lambda name: unsound)
    assert run(capsys, "prove", "lemma_3_1", "--json")[0] == 1


def test_certify_command(capsys):
    pytest.importorskip("flint", reason="the extra 'certify' is not installed")
    arguments = ("certify", "--d", "3", "--step", "1e-3,0.1", "--n-steps", "100")
    status, out = run(capsys, *arguments)
    assert status == 0 and "PROVED" in out and "chebyshev" in out and "+/-" in out
    data = json.loads(run(capsys, *arguments, "--json")[1])
    assert [row["step"] for row in data["certificates"]] == [1e-3, 0.1]
    assert all(row["within_stated_error"] and row["width"] < 1e-12 for row in data["certificates"])
    with pytest.raises(ValueError, match="block"):
        run(capsys, *arguments, "--block", "speed")


def test_recommend_and_falsify_commands(capsys, monkeypatch):
    monkeypatch.setattr("sensitivity.falsification.search.EVALUATIONS", 5)
    status, out = run(capsys, "recommend", "--d", "3", "--n-steps", "50")
    assert status == 0 and "guaranteed (theorem C)" in out
    data = json.loads(run(capsys, "recommend", "--d", "3", "--n-steps", "50", "--json")[1])
    assert data["c"] == pytest.approx(50 * data["guaranteed"]) and data["leaves"] == "norm"
    status, out = run(capsys, "falsify", "--cases", "16", "--seed", "4")
    assert status == 0 and "no bound was broken" in out
