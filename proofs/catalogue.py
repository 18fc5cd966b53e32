"""The catalogue: name → proposition, each imported when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from integrators.naming import nearest

from .proposition import Proposition
from .report import Report, refuting_steps, report_on

_MODULES = {
    "lemma_3_1": "theorems.lemma_3_1",
    "lemma_3_1_discrete": "theorems.lemma_3_1_discrete",
    "theorem_3_2": "theorems.theorem_3_2",
    "hamiltonian": "theorems.hamiltonian",
    "volume_and_reversibility": "schemes.volume_and_reversibility",
    "theorem_a": "theorems.theorem_a",
    "theorem_b": "theorems.theorem_b",
    "theorem_c": "theorems.theorem_c",
    "theorem_d": "theorems.theorem_d",
    "theorem_e": "theorems.theorem_e",
    "theorem_f": "theorems.theorem_f",
    "theorem_g": "theorems.theorem_g",
    "first_order_flow": "schemes.first_order_flow",
    "activation_bounds": "cells.activation_bounds",
    "scheme_orders": "schemes.scheme_orders",
    "scheme_symmetry": "schemes.scheme_symmetry",
    "scheme_symplecticity": "schemes.scheme_symplecticity",
    "tangent_is_derivative": "schemes.tangent_is_derivative",
    "leapfrog_modified_hamiltonian": "schemes.leapfrog_modified_hamiltonian",
    "scheme_stability": "schemes.scheme_stability",
    "unicornn_step": "cells.unicornn_step",
    "antisymmetric_step": "cells.antisymmetric_step",
    "orthogonal_step": "cells.orthogonal_step",
    "claim_square_integrable": "claims.square_integrable",
    "claim_hamiltonian_every_w": "claims.hamiltonian_every_w",
    "claim_linear_growth": "claims.linear_growth",
    "claim_parameter_free": "claims.parameter_free",
    "claim_figure_2": "claims.figure_2",
}
NAMES = tuple(_MODULES)


class Catalogue(Mapping[str, Proposition]):
    """Read-only mapping from names to propositions; an unknown name gives a ValueError with the nearest."""

    def __getitem__(self, name: str) -> Proposition:
        if name not in NAMES:
            raise nearest("proposition", name, NAMES)
        return import_module(f"proofs.{_MODULES[name]}").PROPOSITION

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)

    def __reduce__(self) -> str:
        return "CATALOGUE"

    def __repr__(self) -> str:
        return f"Catalogue({', '.join(NAMES)})"


CATALOGUE = Catalogue()


def check(name: str | Proposition) -> Report:
    """Decide every step of a proposition.

    Parameters
    ----------
    name : str or Proposition
        A name in :data:`CATALOGUE`, or a proposition of your own.

    Returns
    -------
    Report
        Steps with what was computed, hypotheses, verdict, seconds.

    Raises
    ------
    ValueError
        If the name is not in the catalogue; the message says the nearest name.
    """
    return report_on(name if isinstance(name, Proposition) else CATALOGUE[name])


def check_all() -> dict[str, Report]:
    """Check the whole catalogue, in order."""
    return {name: check(name) for name in CATALOGUE}


def check_mutants(name: str | Proposition) -> dict[str, tuple[str, ...]]:
    """Return, for each mutant of a proposition, the names of the steps that refute it."""
    proposition = name if isinstance(name, Proposition) else CATALOGUE[name]
    return {mutant.name: refuting_steps(proposition, mutant) for mutant in proposition.mutants}
