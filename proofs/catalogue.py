"""The catalogue: name → proposition, each imported when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from integrators.naming import nearest

from .proposition import Proposition
from .report import Report, refuting_steps, report_on

_FOLDERS = ("theorems", "products", "schemes", "cells", "statespace", "claims")
"""Every module of these folders states one proposition, called like its file; a claim has a prefix."""

_READING_ORDER = """
    lemma_3_1 lemma_3_1_discrete theorem_3_2 hamiltonian volume_and_reversibility
    theorem_a theorem_b theorem_c theorem_d theorem_e theorem_f theorem_g theorem_h theorem_i theorem_j
    theorem_k
    first_order_flow activation_bounds scheme_orders scheme_symmetry scheme_symplecticity
    tangent_is_derivative leapfrog_modified_hamiltonian scheme_stability unicornn_step
    antisymmetric_step orthogonal_step readout_ceiling
    linoss_im linoss_imex linoss_shear linoss_varying dlinoss_stability gate_product hamiltonian_layers
    slow_hamiltonian
    claim_square_integrable claim_hamiltonian_every_w claim_linear_growth claim_parameter_free claim_figure_2
""".split()


def _modules() -> dict[str, str]:
    """Name → module of every proposition; those without a place in the reading order come last."""
    found = {}
    for folder in _FOLDERS:
        for module in iter_modules([str(Path(__file__).with_name(folder))]):
            name = f"claim_{module.name}" if folder == "claims" else module.name
            found[name] = f"{folder}.{module.name}"
    places = {name: place for place, name in enumerate(_READING_ORDER)}
    return dict(sorted(found.items(), key=lambda item: places.get(item[0], len(places))))


_MODULES = _modules()
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
"""Every proposition by name; each is imported when it is looked up.

Examples
--------
>>> from proofs import CATALOGUE
>>> CATALOGUE["lemma_3_1"].title
'Velocity bound'
"""


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

    Examples
    --------
    >>> import leapgrad as lg
    >>> report = lg.check("lemma_3_1")
    >>> report.headline, report.ok, len(report.steps)
    ('PROVED', True, 12)
    """
    return report_on(name if isinstance(name, Proposition) else CATALOGUE[name])


def check_all() -> dict[str, Report]:
    """Check all propositions of `CATALOGUE`, in order. This takes some ten seconds.

    Returns
    -------
    dict
        Name → `Report`.

    Examples
    --------
    >>> import leapgrad as lg
    >>> reports = lg.check_all()  # doctest: +SKIP
    >>> all(report.ok for report in reports.values())  # doctest: +SKIP
    True
    """
    return {name: check(name) for name in CATALOGUE}


def check_mutants(name: str | Proposition) -> dict[str, tuple[str, ...]]:
    """Check that the mutants of a proposition are refuted.

    Parameters
    ----------
    name : str or Proposition
        A name in `CATALOGUE`, or a proposition of your own.

    Returns
    -------
    dict
        Name of each mutant → names of the steps that refute it. An empty tuple means that no step noticed the
        change, so that the proposition does not prove what it says.

    Raises
    ------
    ValueError
        If the name is not in the catalogue; the message suggests the nearest name.

    Examples
    --------
    >>> import leapgrad as lg
    >>> refuted = lg.check_mutants("lemma_3_1")
    >>> all(steps for steps in refuted.values())
    True
    """
    proposition = name if isinstance(name, Proposition) else CATALOGUE[name]
    return {mutant.name: refuting_steps(proposition, mutant) for mutant in proposition.mutants}
