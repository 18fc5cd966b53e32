"""Rules of inference: each decides whether a claim follows from the premises that a step names.

A rule looks at expressions only. What it takes for granted stands beside it as axioms, which are printed with
the verdict. A step that names a premise which its rule does not use is undecided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from proofs.decision import Decision

from . import analysis, inequalities, logic, matrices
from .comparing import SMOOTH, Data, Premises

__all__ = ["RULES", "SMOOTH", "Rule"]


@dataclass(frozen=True)
class Rule:
    """A rule of inference.

    Parameters
    ----------
    apply : callable
        Decides a claim from premises, and from numbers such as multipliers.
    axioms : tuple of str
        What it takes for granted.
    """

    apply: Callable[[Any, Premises, Data], Decision]
    axioms: tuple[str, ...] = ()


RULES: Mapping[str, Rule] = {
    "computation": Rule(logic.computation),
    "conjunction": Rule(logic.conjunction),
    "linear": Rule(inequalities.linear),
    "norm": Rule(matrices.norm_of_sum, ("triangle", "submultiplicative", "identity_norm")),
    "diagonal": Rule(matrices.diagonal_norm, ("diagonal_norm",)),
    "differentiated": Rule(matrices.differentiated, ("chain_rule",)),
    "substituted": Rule(logic.substituted),
    "multiplied": Rule(matrices.multiplied),
    "part": Rule(logic.part),
    "rising": Rule(analysis.rising, ("monotone",)),
    "program": Rule(matrices.program),
    "instance": Rule(logic.instance),
    "for_program": Rule(logic.for_program),
    "induction": Rule(logic.induction, ("induction",)),
    "monotone": Rule(analysis.monotone, ("monotone",)),
    "weyl": Rule(matrices.weyl, ("weyl",)),
    "mean_value": Rule(analysis.mean_value, ("mean_value",)),
    "twice_integrated": Rule(analysis.twice_integrated, ("fundamental_theorem",)),
    "norm_of_integral": Rule(analysis.norm_of_integral, ("integral_norm", "triangle", "submultiplicative")),
    "comparison": Rule(analysis.comparison, ("volterra_comparison",)),
    "solves": Rule(analysis.solves, ("fundamental_theorem",)),
    "orthogonal": Rule(matrices.orthogonal_norm, ("orthogonal_norm",)),
    "unbounded": Rule(analysis.unbounded),
    "overtaken": Rule(analysis.overtaken),
    "antiderivative": Rule(analysis.antiderivative, ("fundamental_theorem",)),
    "powers": Rule(matrices.powers, ("cayley_hamilton",)),
    "recurrence": Rule(matrices.recurrence, ("induction",)),
    "closed_integral": Rule(analysis.closed_integral, ("fundamental_theorem",)),
    "integrated": Rule(analysis.integrated, ("integral_monotone",)),
}
