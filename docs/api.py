"""The API pages: every public name of every public module, its docstring rendered by autodoc and numpydoc."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import ModuleType

__all__ = ["MODULES", "pages"]

Write = Callable[[str, str], None]

MODULES: Mapping[str, tuple[str, str]] = {
    "integrators": (
        "Fields, schemes, trajectories",
        "integrators.run.solve integrators.fields.neural integrators.fields.field "
        "integrators.fields.textbook "
        "integrators.fields.symbolic integrators.schemes.scheme integrators.schemes.table "
        "integrators.schemes.composition "
        "integrators.fields.activations integrators.run.problem "
        "integrators.cells.cell integrators.cells.kind integrators.cells.own "
        "integrators.cells.structure integrators.fields.potential",
    ),
    "gradients": (
        "Jacobians, norms, profiles, exponents",
        "sensitivity.analysis.jacobians sensitivity.analysis.singular sensitivity.analysis.graded "
        "sensitivity.analysis.profile "
        "sensitivity.analysis.growth sensitivity.analysis.recommend sensitivity.analysis.approximate "
        "sensitivity.analysis.comparison",
    ),
    "bounds": (
        "Bounds and certificates",
        "sensitivity.bounds.growth sensitivity.bounds.flow sensitivity.bounds.aposteriori "
        "sensitivity.bounds.applicability sensitivity.bounds.bound "
        "sensitivity.certification.certificate",
    ),
    "recurrences": (
        "Recurrent cells and your own weights",
        "sensitivity.recurrences.recurrence sensitivity.recurrences.ode "
        "sensitivity.recurrences.cell sensitivity.recurrences.registry "
        "sensitivity.recurrences.cells.vanilla sensitivity.recurrences.cells.gated "
        "sensitivity.recurrences.cells.residual sensitivity.recurrences.cells.oscillators "
        "sensitivity.recurrences.cells.structures sensitivity.recurrences.cells.spectral_structures "
        "sensitivity.recurrences.cells.orthogonal sensitivity.recurrences.cells.momentum "
        "sensitivity.recurrences.cells.descent sensitivity.weights.weights "
        "sensitivity.weights.weight_files sensitivity.recurrences.settings",
    ),
    "studies": (
        "Studies",
        "sensitivity.studies.study sensitivity.studies.results sensitivity.studies.execution.runner "
        "sensitivity.studies.storage.verify sensitivity.studies.execution.executors",
    ),
    "training": (
        "Training",
        "sensitivity.training.classifier sensitivity.training.data.tasks sensitivity.training.trainer "
        "sensitivity.training.models sensitivity.training.network sensitivity.training.cell_network "
        "sensitivity.training.start sensitivity.papers.hamiltonian.heuristic.experiment",
    ),
    "pictures": (
        "Pictures",
        "sensitivity.papers.hamiltonian.portraits sensitivity.papers.hamiltonian.funnel "
        "sensitivity.analysis.convergence "
        "sensitivity.figures.portrait_figures sensitivity.figures.funnel_figure sensitivity.figures.film "
        "sensitivity.figures.plots",
    ),
    "proofs": (
        "Proofs",
        "proofs.catalogue proofs.proposition proofs.report proofs.latex",
    ),
}
"""Page → (title, names of the modules)."""


def pages(write: Write) -> None:
    """Write one page a group, and their index."""
    for name, (title, modules) in MODULES.items():
        write(f"api/{name}.rst", page(title, modules.split()))
    listed = "\n".join(MODULES)
    write(
        "api/index.md",
        f"""\
# API

Arrays are float64. Quantities have the unit of the field's own equations, in which time, steps ε and weights
are dimensionless; where a figure shows an angle or a time, its axis says so. Each page gives the formula, the
shape of every array, the errors raised, and the source with its equation number.

```{{toctree}}
:maxdepth: 1

{listed}
```
""",
    )


def page(title: str, modules: Sequence[str]) -> str:
    """A page in reStructuredText: module by module, name by name."""
    lines = [title, "=" * len(title), ""]
    for module_name in modules:
        module = importlib.import_module(module_name)
        lines += [module_name, "-" * len(module_name), "", f".. py:module:: {module_name}", ""]
        first = (inspect.getdoc(module) or "").split("\n\n")[0].replace("\n", " ")
        lines += [_safe(first), ""]
        for name in _public(module):
            value = getattr(module, name)
            if inspect.isclass(value):
                lines += [f".. autoclass:: {module_name}.{name}", "   :members:", ""]
            elif inspect.isroutine(value):
                lines += [f".. autofunction:: {module_name}.{name}", ""]
            else:
                lines += [f".. py:data:: {name}", "", f"   {_safe(_about(module, name))}", ""]
    return "\n".join(lines)


def _public(module: ModuleType) -> list[str]:
    """Names of __all__ that are made here, not handed on: classes, functions, tables in capitals."""

    def own(name: str) -> bool:
        value = getattr(module, name)
        if inspect.isroutine(value) or inspect.isclass(value):
            return value.__module__ == module.__name__
        return name.isupper()

    names = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
    return [name for name in names if own(name)]


def _about(module: ModuleType, name: str) -> str:
    """What a constant is: the string below its assignment, or where it comes from."""
    body = ast.parse(inspect.getsource(module)).body
    for statement, following in pairwise(body):
        targets = (
            statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        )
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                return " ".join(str(following.value.value).split())
    value = getattr(module, name)
    return getattr(value, "reference", "") or f"{type(value).__name__}"


def _safe(text: str) -> str:
    for sign in "*|":
        text = text.replace(sign, f"\\{sign}")
    return text
