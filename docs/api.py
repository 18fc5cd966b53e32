"""The API pages: every public name, grouped by subject, with its docstring as autodoc and numpydoc render it.

A name is public if `integrators`, `sensitivity` or `proofs` lists it in ``__all__`` (`leapgrad` hands all of
them on), or if a public module such as `sensitivity.bounds` does. A test compares `PAGES` with these lists.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from types import ModuleType
from typing import Any, NamedTuple

__all__ = ["PACKAGES", "PAGES", "docstring", "names_of", "page", "pages", "public_names"]

Write = Callable[[str, str], None]


class Page(NamedTuple):
    """One page: its title, the package of its names, and section title → names, separated by blanks."""

    title: str
    package: str
    sections: Mapping[str, str]


PACKAGES = ("integrators", "sensitivity", "proofs")

PAGES: Mapping[str, Page] = {
    "gradients": Page(
        "Jacobians, norms, profiles, exponents",
        "sensitivity",
        {
            "Report on a network": "report NetworkReport",
            "Jacobians and their norms": "jacobian jacobian_norm log_jacobian_norm float32_error",
            "Singular values": "singular_values SingularValues log_singular_values",
            "Gradient profiles": "gradient_profile GradientProfile",
            "Gradients by the parameters": "parameter_sensitivity ParameterNorms gradient_in_time "
            "GradientInTime",
            "Memory of the inputs": "memory_kernels MemoryKernels readout_ceiling ReadoutCeiling",
            "Windows": "window_norms log_window_norms finite_time_exponents",
            "Growth exponents": "growth_exponents GrowthExponents",
            "Gradients of norms and exponents": "log_norm_gradient log_singular_value_gradient "
            "exponent_gradient LogGradient",
            "Covariant vectors": "covariant_vectors CovariantVectors",
            "Singular vectors": "singular_directions SingularDirections",
            "Choice of the step size": "recommend_step StepRecommendation",
            "Approximate gradients": "truncated_gradient rflo_gradient agreement Agreement",
            "Measured orders and energy errors": "convergence Convergence energy_error",
            "Pictures with sliders": "explore",
        },
    ),
    "recurrences": Page(
        "Recurrences, cells and their weights",
        "sensitivity",
        {
            "Recurrences": "unroll compare Comparison Recurrence OdeRecurrence Scaled",
            "Cells by name": "cell",
            "Stacks of cells": "stack",
            "Closed loops": "close_loop",
            "Functions of PyTorch and JAX": "from_function",
            "Weights of other libraries, and files": "from_torch from_keras from_arrays to_torch "
            "load_weights save_weights",
            "Structured matrices": "Antisymmetric Cayley UnitaryCayley ComplexMatrix EigenNormalised "
            "Exponential FourierFactors Positive",
        },
    ),
    "integrators": Page(
        "Fields, schemes, trajectories",
        "integrators",
        {
            "Trajectories": "integrate Trajectory TrajectoryOverflow",
            "Fields": "NeuralField PotentialField Field symbolic_field ConservativeField",
            "Textbook fields": "harmonic pendulum henon_heiles kepler",
            "Schemes": "SCHEMES Scheme get_scheme register composition palindrome symmetric",
            "Activations": "ACTIVATIONS Activation activate TANH",
        },
    ),
    "own_cells": Page(
        "Cells of your own",
        "integrators",
        {
            "From two functions or from SymPy": "own_cell symbolic_cell",
            "A kind of cell": "Cell Kind kernel POINT",
            "Structured parameters": "Structure Joint",
        },
    ),
    "bounds": Page(
        "Bounds",
        "sensitivity",
        {
            "Proved bounds": "bounds bounds.chebyshev bounds.cosh bounds.euler bounds.majorant "
            "bounds.no_vanishing bounds.phase_no_vanishing bounds.bias_gradient bounds.weight_gradient "
            "bounds.aposteriori bounds.step_product bounds.weighted_product bounds.segment_product "
            "bounds.theorem_3_2",
            "Their logarithms": "bounds.log_chebyshev bounds.log_cosh bounds.log_euler bounds.log_majorant "
            "bounds.log_aposteriori bounds.log_step_product bounds.log_weighted_product "
            "bounds.log_segment_product "
            "bounds.log_bias_gradient bounds.log_weight_gradient",
            "Which bounds hold": "bounds.applicable bounds.inapplicable bounds.of_recurrence "
            "bounds.log_upper_bound bounds.lower_bound bounds.Bound bounds.local_lipschitz",
        },
    ),
    "certificates": Page(
        "Certificates",
        "sensitivity",
        {"Ball arithmetic": "certify Certificate certify_region RegionCertificate"},
    ),
    "studies": Page(
        "Studies and training",
        "sensitivity",
        {"Studies": "Study Results open_results", "Training": "SequenceClassifier"},
    ),
    "proofs": Page(
        "Proofs",
        "proofs",
        {
            "Checking": "CATALOGUE check check_all check_mutants Report StepReport standalone",
            "Propositions of your own": "Proposition Step Mutant Decision Outcome Role Verdict",
            "Decisions": "decide decide.identity decide.identities decide.at_least_zero decide.follows "
            "decide.nonnegative_from decide.limit_is decide.fact decide.all_of decide.proved decide.refuted "
            "decide.undecided decide.certificate decide.normal_form",
        },
    ),
}
"""File name of a page → what stands on it."""

INTERNAL = {
    "Recurrence": "driver_run initial block repeated advance retreat check_overflow label program drive "
    "piece linearised_bytes qr_interval walk",
    "Cell": "forward backward neurons cached_rows seconds clock stepped gradient_by_free plan",
    "Field": "forward backward neurons cached_rows seconds vectorised constant_jacobian",
    "Kind": "plan locals",
    "Study": "cells kinds points steps_of_cells describe_in difference",
    "Scaled": "of aligned shaped",
}
"""Members that the engine uses: they are not public, and not shown."""

INTRODUCTION = """\
API
===

These are all public names. ``import leapgrad as lg`` hands them on: ``lg.jacobian`` is
``sensitivity.jacobian``. :doc:`/stability` says what *public* promises, and :doc:`/glossary` explains the
words that the docstrings use.

Arrays are float64. Quantities have the unit of the field's own equations, in which time, steps ε and
weights are dimensionless; where a figure shows an angle or a time, its axis says so.

.. toctree::
   :hidden:
"""


def names_of(content: Page) -> list[str]:
    """The names on a page, in order."""
    return " ".join(content.sections.values()).split()


def public_names(package: str) -> Iterator[str]:
    """Every public name of a package; those of its public modules with the module's name before a dot."""
    module = importlib.import_module(package)
    for name in module.__all__:
        yield name
        value = getattr(module, name)
        if inspect.ismodule(value):
            yield from (f"{name}.{inner}" for inner in value.__all__)


def pages(write: Write) -> None:
    """Write all pages, and the page that lists them with a line for each name."""
    for name, content in PAGES.items():
        write(f"api/{name}.rst", page(content))
    write("api/index.rst", index())


def index() -> str:
    """The overview: every public name with the first sentence of its docstring."""
    lines = [INTRODUCTION, *(f"   {name}" for name in PAGES), ""]
    for name, content in PAGES.items():
        lines += [f":doc:`{content.title} <{name}>`", "-" * (len(content.title) + len(name) + 11), ""]
        lines += [".. list-table::", "   :widths: 30 70", ""]
        for name_there in names_of(content):
            role = f":py:obj:`{name_there} <{content.package}.{name_there}>`"
            lines += [f"   * - {role}", f"     - {_safe(_first_sentence(content.package, name_there))}"]
        lines += [""]
    return "\n".join(lines)


def page(content: Page) -> str:
    """A page in reStructuredText: section by section, name by name."""
    lines = [content.title, "=" * len(content.title), ""]
    for title, names in content.sections.items():
        lines += [title, "-" * len(title), ""]
        for name in names.split():
            lines += _entry(content.package, name)
    return "\n".join(lines)


def _entry(package: str, name: str) -> list[str]:
    """The directive that shows one name."""
    value, full = _value(package, name), f"{package}.{name}"
    if inspect.ismodule(value):
        return [f".. automodule:: {full}", ""]
    if inspect.isclass(value):
        hidden = INTERNAL.get(name, "").split()
        return [f".. autoclass:: {full}", "   :members:", *_excluded(hidden), ""]
    if _is_function(value):
        return [f".. autofunction:: {full}", ""]
    about, _, examples = docstring(package, name).partition("\nExamples\n--------\n")
    shown = [_safe(line) for line in about.splitlines()]
    shown += [".. rubric:: Examples", "", *examples.splitlines()] if examples else []
    return [f".. py:data:: {full}", "", *(f"   {line}".rstrip() for line in shown), ""]


def _excluded(names: list[str]) -> list[str]:
    return [f"   :exclude-members: {', '.join(names)}"] if names else []


def _value(package: str, name: str) -> Any:
    value: Any = importlib.import_module(package)
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _is_function(value: Any) -> bool:
    """Whether this is a function, or one that Numba compiles."""
    return inspect.isroutine(value) or hasattr(value, "py_func")


def docstring(package: str, name: str) -> str:
    """The docstring of a name; that of a constant stands below its assignment."""
    value = _value(package, name)
    if inspect.ismodule(value) or inspect.isclass(value) or _is_function(value):
        return inspect.getdoc(value) or ""
    return inspect.cleandoc(_about(package, name))


def _first_sentence(package: str, name: str) -> str:
    """The summary of a name."""
    sentence = " ".join(docstring(package, name).split("\n\n")[0].split())
    return re.sub(r" \[\d+\]_", "", sentence)  # the reference itself stands on the page of the name


def _about(package: str, name: str) -> str:
    """What a constant is: the string below its assignment in the file that makes it, or its own docstring."""
    module = importlib.import_module(package)
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.ImportFrom) and any((a.asname or a.name) == name for a in node.names):
            home = importlib.import_module("." * node.level + (node.module or ""), package)
            text = _string_below(home, name)
            if text:
                return text
    return inspect.getdoc(_value(package, name)) or ""


def _string_below(module: ModuleType, name: str) -> str:
    for statement, following in pairwise(ast.parse(inspect.getsource(module)).body):
        targets = (
            statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        )
        elements = [target.elts if isinstance(target, ast.Tuple) else [target] for target in targets]
        named = [element for group in elements for element in group]
        if any(isinstance(target, ast.Name) and target.id == name for target in named):
            if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                return str(following.value.value)
    return ""


def _safe(text: str) -> str:
    for sign in "*|":
        text = text.replace(sign, f"\\{sign}")
    return text
