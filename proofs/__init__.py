"""Machine-checked statements about recurrent networks built from second-order dynamics.

>>> from proofs import CATALOGUE, check
>>> check("lemma_3_1").verdict
<Verdict.PROVED: 'PROVED'>

A proposition is data (:mod:`proofs.proposition`), its steps are decided by exact computer algebra
(:mod:`proofs.decide`), and each one has twins with one thing changed that have to be refuted.
"""

from . import decide
from .catalogue import CATALOGUE, check, check_all, check_mutants
from .latex import standalone
from .proposition import Decision, Mutant, Outcome, Proposition, Role, Step, Verdict
from .report import Report, StepReport

__all__ = [
    "CATALOGUE",
    "Decision",
    "Mutant",
    "Outcome",
    "Proposition",
    "Report",
    "Role",
    "Step",
    "StepReport",
    "Verdict",
    "check",
    "check_all",
    "check_mutants",
    "decide",
    "standalone",
]

DISTRIBUTION = "leapgrad"
"""Whose package this is; other projects have packages of this name."""
