"""Claims that are arithmetic on printed numbers: Tables 1 and 2."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from sensitivity.papers.hamiltonian import RULE_FREE, XOR_LENGTHS
from sensitivity.papers.kept import committed
from sensitivity.papers.ledger import Claim, ClaimVerdict, Finding, ProofTools, decided

__all__ = ["ROWS"]

# What the paper prints: length → (LSTM, antisymmetric, Hamiltonian), None where a run did not converge.
TABLE_1: Mapping[int, tuple[int | None, int | None, int | None]] = {
    100: (10000, 210, 100),
    500: (22500, 210, 100),
    2000: (None, 210, 100),
    5000: (None, None, 100),
}
TABLE_2: Mapping[int, tuple[int | None, int | None, int | None]] = {
    100: (1600, 210, 100),
    500: (4900, 210, 100),
    2000: (19600, 210, 100),
    5000: (22500, 210, 100),
}
# "Very similarly": the numbers of iterations differ by this factor at most.
NEAR = 2.0
FORMULAS: tuple[tuple[str, str, Callable[[int], int]], ...] = (
    ("LSTM", "4d²", lambda d: 4 * d * d),
    ("antisymmetric", "d(d + 1)/2", lambda d: d * (d + 1) // 2),
    ("Hamiltonian", "d²", lambda d: d * d),
)


def size_for(count: int, formula: Callable[[int], int]) -> int | None:
    """The d with formula(d) = count, if there is one."""
    d = 1
    while formula(d) < count:
        d += 1
    return d if formula(d) == count else None


def antisymmetric_dimension(d: int) -> int:
    """Number of free parameters of W − Wᵀ: the rank of W ↦ W − Wᵀ on d × d matrices."""
    unit = np.eye(d * d).reshape(d * d, d, d)
    images = (unit - unit.transpose(0, 2, 1)).reshape(d * d, d * d)
    # The images are differences of unit vectors: distinct ones up to sign, or zero.
    kept = {tuple(np.flatnonzero(image)) for image in images}
    return len(kept - {()})


def _counts(table: Mapping[int, tuple[int | None, ...]]) -> Callable[[ProofTools], Finding]:
    """Do the printed counts belong to whole hidden sizes under the printed formulas?"""

    def decide(tools: ProofTools) -> Finding:
        said, sizes, whole = [], {}, True
        for column, (name, text, formula) in enumerate(FORMULAS):
            counts = sorted({row[column] for row in table.values()} - {None}, key=lambda c: c or 0)
            found = {count: size_for(count, formula) for count in counts if count is not None}
            whole = whole and None not in found.values()
            sizes[name] = found
            pairs = ", ".join(f"{count} → d = {d}" for count, d in found.items())
            said.append(f"{name}, {text}: {pairs}")
        verdict = ClaimVerdict.CONFIRMED if whole else ClaimVerdict.REFUTED
        return Finding(verdict, tuple(said), numbers={"hidden_sizes": sizes})

    return decide


def _antisymmetric(tools: ProofTools) -> Finding:
    """Count the free parameters of W − Wᵀ."""
    printed = {d: FORMULAS[1][2](d) for d in (2, 20, 21)}
    counted = {d: antisymmetric_dimension(d) for d in printed}
    said = [
        f"d = {d}: d(d + 1)/2 = {printed[d]}, but W − Wᵀ has only d(d − 1)/2 = {counted[d]} free parameters"
        for d in printed
    ]
    said.append(
        f"210 is d = {size_for(210, FORMULAS[1][2])} by the printed formula and "
        f"d = {size_for(210, lambda d: d * (d - 1) // 2)} by the right one: the hidden size is ambiguous"
    )
    same = all(printed[d] == counted[d] for d in printed)
    right = all(counted[d] == d * (d - 1) // 2 for d in printed)
    verdict = ClaimVerdict.CONFIRMED if same else ClaimVerdict.REFUTED if right else ClaimVerdict.UNDECIDED
    return Finding(verdict, tuple(said), numbers={"printed": printed, "counted": counted})


def _xor_lengths(tools: ProofTools) -> Finding:
    """Table 2's row headings against the lengths of the text and of Figure 7."""
    table, text, first = sorted(TABLE_2), sorted(XOR_LENGTHS), sorted(TABLE_1)
    said = [f"Table 2 is headed {_list(table)}; the text and Figure 7 have {_list(text)}"]
    if table == first != text:
        said.append("the headings of Table 2 are those of Table 1; read its rows as the lengths of the text")
    verdict = ClaimVerdict.CONFIRMED if table == text else ClaimVerdict.REFUTED
    return Finding(verdict, tuple(said), numbers={"table": table, "text": text})


def _shock_threshold(tools: ProofTools) -> Finding:
    """Accuracy of the likelihood-ratio test on the five shocked entries, the best there can be."""
    from sensitivity.training.data.tasks import shock_accuracy

    found = {"variance": shock_accuracy(10.0), "standard deviation": shock_accuracy(100.0)}
    said = tuple(f"best accuracy possible if 10 is the {name}: {100 * p:.2f} %" for name, p in found.items())
    reachable = all(p > 0.9 for p in found.values())
    return Finding(ClaimVerdict.CONFIRMED if reachable else ClaimVerdict.REFUTED, said, numbers=found)


def _fewer_parameters(tools: ProofTools) -> Finding:
    """The printed counts, divided."""
    said, factors = [], []
    for table, rows in (("Table 1", TABLE_1), ("Table 2", TABLE_2)):
        shares = {n: lstm / own for n, (lstm, _, own) in rows.items() if lstm is not None and own is not None}
        factors += shares.values()
        said.append(
            f"{table}, LSTM ÷ Hamiltonian: "
            + ", ".join(f"{share:g} (N = {n})" for n, share in shares.items())
        )
    beside = sorted(
        {other / own for _, other, own in (*TABLE_1.values(), *TABLE_2.values()) if other and own}
    )
    said.append(f"antisymmetric ÷ Hamiltonian: {_list(beside)}")
    low, high = min(factors), max(factors)
    said.append(
        f"the factors {low:g} to {high:g} are {np.log10(low):.1f} to {np.log10(high):.1f} orders of magnitude"
    )
    right = low < 100.0 <= high < 1000.0
    condition = (
        "two orders of magnitude count as several, and the others are LSTMs of 10000 parameters or more"
    )
    verdict = decided(right, ClaimVerdict.HOLDS_ONLY_IF)
    return Finding(verdict, tuple(said), condition, {"least": low, "most": high})


def _two_descriptions(tools: ProofTools) -> Finding:
    """Two descriptions of one comparison, beside the factors printed for it."""
    factors = {200: 4, 500: 5}
    printed = ", ".join(f"{factor} at N = {n}" for n, factor in factors.items())
    measured = _kept_factors()
    near, far = ([n for n, factor in measured.items() if (factor <= NEAR) is side] for side in (True, False))
    said = (
        "of two networks at one length, one cannot strictly outperform the other while both do very "
        "similarly",
        f"the factors between LSTM and Hamiltonian network printed with Figure 7 are {printed}; all networks "
        "converge at all lengths (Table 2)",
        f"read with “very similarly” as a factor of {NEAR:g} at most between the numbers of iterations, the "
        "printed factors are no similar performance",
        *_measured(measured, near, far),
    )
    right = all(factor > NEAR for factor in factors.values())
    condition = "the two descriptions are about different networks, lengths or measures of success"
    verdict = decided(right, ClaimVerdict.HOLDS_ONLY_IF)
    return Finding(verdict, said, condition, {"printed": factors, "measured": measured})


def _kept_factors() -> dict[int, float]:
    """N → iterations of the slower ÷ those of the faster of the antisymmetric and the Hamiltonian network."""
    kept = committed("tables", "tables.json")
    if kept is None:
        return {}
    found = {
        (cell["n_steps"], cell["entrant"]): cell["median"]
        for cell in kept["cells"]
        if cell["task"] == "xor" and cell["median"] is not None
    }
    pairs = {n: (found.get((n, RULE_FREE)), found.get((n, "antisymmetric"))) for n in XOR_LENGTHS}
    return {n: max(pair) / min(pair) for n, pair in pairs.items() if None not in pair}  # type: ignore[type-var]


def _measured(factors: Mapping[int, float], near: Sequence[int], far: Sequence[int]) -> tuple[str, ...]:
    """What the kept runs of the XOR task say about similar networks."""
    if not factors:
        return ()
    told = ", ".join(f"{factor:.3g} (N = {n})" for n, factor in factors.items())
    return (
        f"kept result of `leapgrad reproduce tables`, antisymmetric network and {RULE_FREE}: "
        f"the slower needs {told} times the iterations; similar at N = {_list(near) or 'none'}, not at N = "
        f"{_list(far) or 'none'}",
    )


def _grid(tools: ProofTools) -> Finding:
    """1/N against the grid of step sizes."""
    steps, lengths = np.linspace(0.01, 1.0, 100), (10, 100, 320)
    outside = [n for n in lengths if 1.0 / n < steps[0] * (1.0 - 1e-12)]
    need = max(lengths) * steps[0]
    said = (
        f"100 equidistant values from {steps[0]:g} to {steps[-1]:g}; 1/N is "
        + ", ".join(f"{1.0 / n:.4g} (N = {n})" for n in lengths),
        f"for N > 100 the smallest step is above 1/N; at N = {max(lengths)} the grid begins at {need:.1f}/N",
        f"near ε = 1/N the spacing {steps[1] - steps[0]:g} is N/100 of ε itself: a tenth at N = 10, as "
        "large as ε at N = 100",
    )
    condition = f"N ≤ 100, or the best step is c/N with c ≥ N/100, which is {need:.1f} at N = {max(lengths)}"
    verdict = decided(outside == [320], ClaimVerdict.HOLDS_ONLY_IF)
    return Finding(verdict, said, condition, {"outside": outside})


def _list(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


ROWS = (
    Claim("table_1_counts", "Table 1",
          "The printed parameter counts are 4d² (LSTM), d(d + 1)/2 (antisymmetric) and d² (Hamiltonian).",
          _counts(TABLE_1), "leapgrad claims table_1_counts"),
    Claim("table_2_counts", "Table 2",
          "The printed parameter counts are 4d² (LSTM), d(d + 1)/2 (antisymmetric) and d² (Hamiltonian).",
          _counts(TABLE_2), "leapgrad claims table_2_counts"),
    Claim("antisymmetric_count", "Tables 1 and 2, the antisymmetric column",
          "The recurrent matrix of the antisymmetric network has d(d + 1)/2 free parameters.",
          _antisymmetric, "leapgrad claims antisymmetric_count"),
    Claim("xor_lengths", "Table 2 against the text of its section and Figure 7",
          "Table 2 reports the sequence lengths of the XOR experiment.",
          _xor_lengths, "leapgrad claims xor_lengths"),
    Claim("shock_threshold", "section 5.1, shock preservation",
          "A test accuracy of 90 %, at which training stops, can be reached on this task.",
          _shock_threshold, "leapgrad claims shock_threshold"),
    Claim("fewer_parameters", "the comparison of parameter counts with Tables 1 and 2 (not compared)",
          "The Hamiltonian network needs several orders of magnitude fewer parameters than the others.",
          _fewer_parameters, "leapgrad claims fewer_parameters"),
    Claim("two_descriptions", "section 5.2, disturbed XOR",
          "On disturbed XOR a network is strictly outperformed, and the networks do very similarly.",
          _two_descriptions, "leapgrad claims two_descriptions"),
    Claim("step_grid", "the set-up of Figure 4",
          "The grid of 100 equidistant steps in [0.01, 1] shows where the best step lies, for N from 10 "
          "to 320.",
          _grid, "leapgrad claims step_grid"),
)  # fmt: skip
