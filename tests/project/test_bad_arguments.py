"""Every public function, given an argument that makes no sense, says so in one sentence of its own.

A table gives each function a call that works and the kind of each argument; another gives each kind the
values that it cannot have. The sentence has to name the argument, and to come from a ``raise`` of ours: not
from NumPy, SciPy, Numba or SymPy, nor from an operation that happened to fail.
"""

from __future__ import annotations

import inspect
import linecache
import re
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import integrators
import proofs
import sensitivity
from integrators import NeuralField, Scheme
from sensitivity import bounds, cell, falsification, studies, unroll
from sensitivity.papers.hamiltonian import claims
from sensitivity.training.classifier import SequenceClassifier
from sensitivity.training.models import Shape, make_network
from sensitivity.training.trainer import Recipe

ROOT = Path(__file__).resolve().parents[2]
OURS = tuple(str(ROOT / name) for name in ("integrators", "sensitivity", "proofs", "leapgrad"))
MISTAKES = (ValueError, TypeError, OSError, OverflowError)

W = np.array([[0.5, -0.25], [1.0, 0.125]])
B = np.array([0.25, -0.5])
V = np.array([[1.0, 0.0, 2.0], [0.5, -1.0, 0.25]])
FIELD, DRIVEN = NeuralField(W, B), NeuralField(W, B, V)
CELL = cell("vanilla", 2, 3)
RECURRENCE = unroll(CELL, 4)


class Module:
    """Stands for a network of another library."""


NO_RUNS = [None, 3, "lstm", W, Module(), CELL, FIELD, unroll(FIELD, 4, scheme="euler", step=0.1)]
NOT_UNROLLED = [None, 3, "lstm", W, Module(), CELL, FIELD]
PENDULUM = integrators.pendulum()
RAGGED = [[1.0], [1.0, 2.0]]
OBJECTS = np.array([object(), object()])
NO_NUMBERS = [
    "abc", b"abc", Module(), {"a": 1.0}, {1.0, 2.0}, RAGGED, OBJECTS, 1j, True, np.nan, np.inf, -np.inf,
    [1.0, None], ["1", "2"], [np.nan, 1.0], [1j, 0], [True, False], np.array(["a", "b"]),
    np.array([], object), np.array(["2020-01-01", "2020-01-02"], "datetime64[D]"),
]  # fmt: skip
NO_COUNTS = [
    "3", b"3", Module(), {"a": 1}, [3], [], (3,), np.array([3]), 3.0, 2.5, np.nan, np.inf, 1j, True, -1,
    10**30,
]  # fmt: skip
NO_NAMES = [
    3,
    2.5,
    b"leapfrog",
    Module(),
    ["leapfrog"],
    (),
    {},
    True,
    "",
    "nonsense",
    "leap frog",
    "\0",
    "x" * 2000,
]
NO_SCALARS = [None, "x", b"x", np.nan, np.inf, 1j, [1.0], [], Module(), True]
NO_SEEDS = ["x", -1, 2.5, [-1], Module(), 1j, np.nan, {}, b"x", True]
NO_STEPS = [None, *NO_NUMBERS, 0.0, -0.1, 0]
NO_FIELDS = [None, 3, "lstm", W, W.tolist(), Module(), Module, NeuralField, CELL, RECURRENCE, {"W": W}, b"x"]
NO_MODELS = [None, 3, "lstm", W, Module(), Module, NeuralField, {"W": W}, b"x", RECURRENCE]
NO_VECTORS = [*NO_NUMBERS, [1.0], np.zeros(3), np.zeros((2, 1)), 0.5, [], [[]]]
NO_METHODS = [None, 3, "nonsense", "Lanczos ", "", ["full"], b"full", Module(), True, {}]
NO_BLOCKS = [3, "nonsense", "", ["position"], b"position", Module(), True, {}]
NO_THREADS = ["3", Module(), [3], 3.0, 2.5, np.nan, 1j, True, 0, -1, 10**30]
NO_TYPES = ["float16", "complex128", int, "nonsense", object, "", 3, Module(), [], bool]
NO_TOLERANCES = [*NO_SCALARS, 0.0, -1e-3, 1.0, 2.0, RAGGED]
NO_EVERY = ["3", 2.5, 0, -1, True, 10**30, [1]]
DRIVES = [
    *NO_NUMBERS, np.zeros(4), np.zeros((3, 3)), np.zeros((5, 3)), np.zeros((4, 2)), np.zeros((4, 3, 1)), 0.5,
    [], [[]], np.zeros((0, 3)),
]  # fmt: skip
CALLS = [lambda t: None, lambda t: [1.0], lambda t: "abc", lambda t: RAGGED]
UNWANTED = [np.zeros((4, 3)), np.zeros((4, 1)), lambda t: [1.0]]
NO_MATRICES = [
    None,
    *NO_NUMBERS,
    [1.0, 2.0],
    np.zeros((2, 3)),
    np.zeros((0, 0)),
    np.zeros((2, 2, 2)),
    0.5,
    [],
]
NO_COEFFICIENTS = [None, "x", 3, [], (), ["x"], [None], [1j], [Module()], [[1]], ["1/0"], [True]]
NO_LOCAL = ["x", 3, None, [], b"norm", Module()]

SERIES, CLASSES = np.random.default_rng(0).normal(size=(20, 5)), np.arange(20) % 2
GOOD = {"field": FIELD, "scheme": "leapfrog", "step": 0.1, "n_steps": 4}
SCHEMES_BAD = [None, *NO_NAMES]
RUN = {
    "field": NO_FIELDS, "scheme": SCHEMES_BAD, "step": NO_STEPS, "n_steps": [None, *NO_COUNTS],
    "y0": NO_VECTORS, "p0": NO_VECTORS, "inputs": UNWANTED,
}  # fmt: skip
ANY = RUN | {"field": [bad for bad in NO_FIELDS if bad is not RECURRENCE], "threads": NO_THREADS}
ANY_RUN = {name: bad for name, bad in ANY.items() if name != "threads"}
BOUND = {name: RUN[name] for name in ("field", "step", "n_steps")}
SCHEMED = BOUND | {"scheme": SCHEMES_BAD}
BLOCK, LANCZOS = {"block": NO_BLOCKS}, {"method": NO_METHODS, "tol": NO_TOLERANCES, "dtype": NO_TYPES}
COUNTS = [None, *NO_COUNTS, 0]

# Name, function, a call that works, and what each argument cannot be.
TABLE: list[tuple[str, Any, dict[str, Any], dict[str, list[Any]]]] = [
    ("jacobian", sensitivity.jacobian, GOOD, ANY | BLOCK | {"dtype": NO_TYPES}),
    ("jacobian_norm", sensitivity.jacobian_norm, GOOD, ANY | BLOCK | LANCZOS),
    ("log_jacobian_norm", sensitivity.log_jacobian_norm, GOOD, ANY | BLOCK | LANCZOS),
    ("singular_values", sensitivity.singular_values, GOOD,
     ANY | BLOCK | LANCZOS | {"k": ["3", Module(), [3], 3.0, np.nan, 1j, True, 0, -1, 99, 10**30]}),
    ("float32_error", sensitivity.float32_error, GOOD, RUN | BLOCK | {"threads": NO_THREADS}),
    ("log_singular_values", sensitivity.log_singular_values, GOOD, ANY | BLOCK | {"qr_every": NO_EVERY}),
    ("growth_exponents", sensitivity.growth_exponents, GOOD | {"n_steps": 40},
     ANY | {"k": ["3", [3], 3.0, True, 0, 99], "burn_in": ["3", 2.5, -1, True, 10**30, [1], 40],
            "qr_every": NO_EVERY, "n_steps": ["3", 2.5, -1, True, 10**30]}),
    ("gradient_profile", sensitivity.gradient_profile, GOOD,
     ANY | BLOCK | {"cotangent": [*NO_NUMBERS, [1.0], np.zeros(3), np.zeros((3, 1, 1)), 0.5, []],
                    "of": ["x", 3, None, [], b"state", Module()],
                    "at": ["x", -1, 5, [0.5], 2.5, [], [99], [True], Module(), RAGGED, [np.nan]],
                    "memory_bytes": ["x", -1, 2.5, None, True, Module(), 0]}),
    ("certify", sensitivity.certify, GOOD,
     ANY_RUN | BLOCK | {"step": [*NO_STEPS, [0.1, 0.2], [[0.1]], []], "width": NO_TOLERANCES,
                        "max_precision": ["x", -1, 2.5, None, True, 0, 1]}),
    ("certify_region", sensitivity.certify_region, {"recurrence": RECURRENCE, "radius": 0.001},
     {"recurrence": [None, 3, "lstm", W, Module(), CELL, FIELD, b"x"],
      "radius": [*NO_NUMBERS, -1.0, [0.1]], "input_radius": [*NO_NUMBERS, -1.0, np.zeros(9)], **BLOCK,
      "ratio": [0.5, 1.0, -1.0, "x", None]}),
    ("recommend_step", sensitivity.recommend_step, {"field": FIELD, "n_steps": 4},
     {name: bad for name, bad in RUN.items() if name != "step"}
     | {"lo": [*NO_SCALARS, -1, 2.5, [0.5]], "hi": [None, "x", np.nan, 1j, [1.0], [], True, -1, 0.2, 0]}),
    ("OdeRecurrence", sensitivity.OdeRecurrence, GOOD, RUN | {"threads": NO_THREADS, "dtype": NO_TYPES}),
    ("integrate", integrators.integrate, GOOD | {"y0": None, "p0": None}, RUN | {"threads": NO_THREADS}),
    *((function.__name__ + " driven", function, GOOD | {"field": DRIVEN}, {"inputs": DRIVES + CALLS})
      for function in (sensitivity.jacobian_norm, sensitivity.certify, bounds.aposteriori)),
    ("unroll", unroll, {"model": CELL, "n_steps": 4},
     {"model": NO_MODELS, "n_steps": [None, *NO_COUNTS], "s0": NO_VECTORS, "threads": NO_THREADS,
      "inputs": DRIVES + CALLS,
      "step": [0.1, *NO_NUMBERS], "scheme": ["leapfrog"]}),
    ("unroll by inputs", unroll, {"model": CELL, "inputs": np.zeros((4, 3))},
     {"s0": NO_VECTORS, "inputs": [*NO_NUMBERS, np.zeros(4), np.zeros((4, 2)), 0.5, [], [[]], *CALLS]}),
    ("unroll a batch", unroll, {"model": CELL, "inputs": np.zeros((5, 4, 3))},
     {"s0": [np.zeros((4, 2)), np.zeros((5, 3)), np.zeros((2, 5)), RAGGED]}),
    ("unroll a field", unroll, {"model": FIELD, "n_steps": 4, "scheme": "leapfrog", "step": 0.1},
     {"model": NO_MODELS, "n_steps": [None, *NO_COUNTS], "scheme": SCHEMES_BAD, "step": NO_STEPS,
      "s0": NO_VECTORS, "inputs": UNWANTED, "threads": NO_THREADS}),
    *((name, getattr(bounds, name), {"field": FIELD, "step": 0.1, "n_steps": 4}, BOUND)
      for name in ("chebyshev", "log_chebyshev", "cosh", "log_cosh", "euler", "log_euler")),
    *((name, getattr(bounds, name), GOOD, SCHEMED | BLOCK) for name in ("majorant", "log_majorant")),
    *((name, getattr(bounds, name), GOOD, SCHEMED)
      for name in ("no_vanishing", "log_upper_bound", "lower_bound", "bias_gradient", "log_bias_gradient")),
    ("phase_no_vanishing", bounds.phase_no_vanishing, GOOD, SCHEMED | {"block": [*NO_BLOCKS, "position"]}),
    *((name, getattr(bounds, name), GOOD, SCHEMED | {"y0": NO_VECTORS, "p0": NO_VECTORS})
      for name in ("weight_gradient", "log_weight_gradient")),
    ("theorem_3_2", bounds.theorem_3_2,
     {"field": NeuralField([[0.5]], [0.1]), "step": 0.1, "n_steps": 4, "p0": [100.0]},
     BOUND | {"y0": [*NO_NUMBERS, np.zeros(3)], "p0": [*NO_NUMBERS, np.zeros(3)]}),
    ("aposteriori", bounds.aposteriori, GOOD, RUN | {"local": NO_LOCAL}),
    ("log_aposteriori", bounds.log_aposteriori, GOOD, RUN | {"local": NO_LOCAL}),
    ("local_lipschitz", bounds.local_lipschitz, GOOD,
     RUN | {"local": NO_LOCAL, "step": [*NO_STEPS, [0.1, 0.2], [[0.1]], []]}),
    ("applicable", bounds.applicable, GOOD,
     RUN | BLOCK | {"of": ["x", 3, None, [3], b"flow", ["flow", "x"], Module()]}),
    *((name, getattr(bounds, name), GOOD, ANY_RUN | BLOCK)
      for name in ("step_product", "log_step_product", "weighted_product", "log_weighted_product")),
    *((name, getattr(bounds, name), GOOD, ANY_RUN | BLOCK | {"length": [*NO_COUNTS, 0]})
      for name in ("segment_product", "log_segment_product")),
    ("of_recurrence", bounds.of_recurrence, {"recurrence": RECURRENCE},
     {"recurrence": [None, 3, "lstm", W, Module(), CELL, FIELD, b"x"], **BLOCK}),
    ("inapplicable", bounds.inapplicable, GOOD, {name: bad for name, bad in RUN.items() if name != "inputs"}),
    *((kind.__name__, kind, {"W": W, "b": B},
       {"W": NO_MATRICES, "b": [None, *NO_NUMBERS, np.zeros(3), np.zeros((2, 1)), []],
        "V": [*NO_NUMBERS, np.zeros((3, 2)), np.zeros(3), np.zeros((2, 2, 2)), []],
        "activation": [None, *NO_NAMES]})
      for kind in (NeuralField, integrators.PotentialField)),
    ("NeuralField.random", NeuralField.random, {"d": 2},
     {"d": COUNTS, "rng": NO_SEEDS, "inputs": [None, *NO_COUNTS], "activation": [None, *NO_NAMES]}),
    ("NeuralField.antisymmetric", NeuralField.antisymmetric, {"W": W, "b": B, "gamma": 0.1},
     {"gamma": NO_SCALARS}),
    ("harmonic", integrators.harmonic, {}, {"omega": NO_SCALARS}),
    ("pendulum", integrators.pendulum, {}, {"omega": NO_SCALARS}),
    ("henon_heiles", integrators.henon_heiles, {}, {"coupling": NO_SCALARS}),
    ("kepler", integrators.kepler, {}, {"mu": NO_SCALARS}),
    ("get_scheme", integrators.get_scheme, {"scheme": "leapfrog"}, {"scheme": SCHEMES_BAD}),
    ("Scheme", Scheme, {"name": "of_the_tests", "order": 1, "a": (1,), "b": (1,)},
     {"name": [None, 3, "", b"x", []], "order": [None, "x", 2.5, -1, 0, True, []], "a": NO_COEFFICIENTS,
      "b": NO_COEFFICIENTS, "form": [None, 3, "x", []]}),
    ("close_loop", sensitivity.close_loop, {"cell": cell("lstm", 2, 1, rng=0), "readout": np.ones((1, 2))},
     {"cell": [None, "lstm", 3], "readout": [np.ones((1, 7)), np.ones((2, 2, 2))]}),
    ("explore", lambda draw, **values: sensitivity.explore(draw, **values),
     {"draw": lambda step: None, "step": [1.0]},
     {"draw": [None, 3, "x", []], "step": [None, 3, 1.5, []]}),
    ("cell", cell, {"name": "lstm", "d": 2},
     {"d": COUNTS, "n_inputs": [None, *NO_COUNTS], "rng": NO_SEEDS, "name": [None, *NO_NAMES]}),
    ("compare", sensitivity.compare, {"recurrences": {"a": RECURRENCE}},
     {"recurrences": [None, 3, "x", [], {}, {"a": 3}, {3: RECURRENCE}, [RECURRENCE], RECURRENCE, {"a": CELL},
                      {"a": RECURRENCE, "b": unroll(CELL, 5)}]}),
    ("agreement", sensitivity.agreement, {"approximate": [1.0, 2.0], "exact": [1.0, 1.0]},
     {"approximate": [None, *NO_NUMBERS, [1.0]], "exact": [None, *NO_NUMBERS, [1.0]]}),
    ("truncated_gradient", sensitivity.truncated_gradient,
     {"run": RECURRENCE, "cotangents": np.ones((5, 2)), "window": 2},
     {"run": NO_RUNS, "cotangents": [None, *NO_NUMBERS, np.ones(2), np.ones((4, 2))], "window": COUNTS}),
    ("rflo_gradient", sensitivity.rflo_gradient,
     {"run": unroll(cell("leaky", 2), 4), "cotangents": np.ones((5, 2))},
     {"run": [*NO_RUNS, RECURRENCE], "cotangents": [None, *NO_NUMBERS, np.ones(2), np.ones((4, 2))]}),
    ("report", sensitivity.report, {"model": CELL, "n_steps": 4},
     {"model": [None, 3, "nonsense", b"x", W, Module()], "n_steps": [*NO_COUNTS, 0], "s0": NO_VECTORS,
      "inputs": [*NO_NUMBERS, np.zeros(4), np.zeros((3, 3)), np.zeros((4, 2)), 0.5, [], [[]]], **BLOCK,
      "step": [0.1, *NO_NUMBERS], "scheme": ["leapfrog"]}),
    ("covariant_vectors", sensitivity.covariant_vectors, {"run": unroll(CELL, 40)},
     {"run": NOT_UNROLLED, "k": ["3", [3], 3.0, True, 0, 99],
      "burn_in": ["3", 2.5, -1, True, 10**30, [1], 40], "backward": ["3", 2.5, -1, True, 10**30, [1], 40]}),
    ("singular_directions", sensitivity.singular_directions, {"run": RECURRENCE},
     {"run": NOT_UNROLLED, "k": ["3", [3], 3.0, True, 0, 99], "of": ["x", 3, None, [], b"state", Module()],
      **BLOCK}),
    ("parameter_sensitivity", sensitivity.parameter_sensitivity, {"run": RECURRENCE},
     {"run": NOT_UNROLLED, **BLOCK}),
    ("log_norm_gradient", sensitivity.log_norm_gradient, {"run": RECURRENCE},
     {"run": NOT_UNROLLED, "norm": [None, 2, "nuclear", b"x", []], **BLOCK}),
    ("log_singular_value_gradient", sensitivity.log_singular_value_gradient, {"run": RECURRENCE},
     {"run": NOT_UNROLLED, "which": [None, "0", 1.5, True, -1, 99, [], [0, 99], [[0]], [1.0]], **BLOCK}),
    ("exponent_gradient", sensitivity.exponent_gradient, {"run": RECURRENCE, "k": 2},
     {"run": NOT_UNROLLED, "k": ["3", [3], 3.0, True, 0, 99], "burn_in": ["3", 2.5, -1, True, 10**30, [1], 4],
      "weights": [3.0, "a", [1.0], [1.0, np.nan], np.ones((2, 2))]}),
    ("gradient_in_time", sensitivity.gradient_in_time, {"run": RECURRENCE},
     {"run": NOT_UNROLLED, "cotangent": NO_VECTORS, **BLOCK}),
    ("memory_kernels", sensitivity.memory_kernels, {"run": RECURRENCE}, {"run": NOT_UNROLLED, **BLOCK}),
    ("readout_ceiling", sensitivity.readout_ceiling, {"run": RECURRENCE, "target": np.ones(4)},
     {"run": NOT_UNROLLED, "target": [None, *NO_NUMBERS, 0.5, [1.0], np.zeros(4), np.ones((4, 2))], **BLOCK}),
    *((name, getattr(sensitivity, name), {"run": RECURRENCE, "width": 2},
       {"run": NOT_UNROLLED, "width": [None, *NO_COUNTS, 0, 5], **BLOCK})
      for name in ("window_norms", "log_window_norms", "finite_time_exponents")),
    ("convergence", sensitivity.convergence,
     {"field": FIELD, "schemes": ["leapfrog"], "y0": [0.1, 0.2], "p0": [0.0, 0.0], "time": 1.0,
      "n_steps": [4]},
     {"field": NO_FIELDS, "schemes": [None, 3, "leapfrog", ["euler"], [3], {}],
      "y0": NO_VECTORS, "p0": NO_VECTORS, "time": [*NO_SCALARS, 0.0, -1.0],
      "n_steps": [None, 3, [], [2.5], ["x"], [0], {}]}),
    ("energy_error", sensitivity.energy_error,
     {"field": PENDULUM, "trajectory": integrators.integrate(PENDULUM, "leapfrog", [1.0], [0.0], 0.1, 4)},
     {"field": [None, 3, "x", FIELD, PENDULUM.force], "trajectory": [None, 3, "x", np.ones((5, 2))]}),
    ("kernel", integrators.kernel, {"signature": integrators.POINT}, {"signature": [None, 3, "x", [], len]}),
    ("composition", integrators.composition, {"fractions": [1.0]},
     {"fractions": [None, 3, [], "x", ()], "base": [None, 3, "x", []]}),
    ("symmetric", integrators.symmetric, {}, {"first": [None, 3, "x", []], "kicks": [None, 3, "x"],
                                              "drifts": [None, 3, "x"]}),
    ("Recipe", lambda **entries: Recipe(**entries).checked(10), {},
     {"rate": [*NO_SCALARS, 0.0, -1.0], "clip": [*NO_SCALARS[1:], 0.0, -1.0], "batch": COUNTS,
      "epochs": COUNTS, "seed": [None, "x", -1, 2.5, [1], True], "threshold": [*NO_SCALARS[1:], 0.0, 1.5],
      "check_every": COUNTS[1:], "factors": [None, 3, "x", ["W"], {"W": "x"}, {"W": None}, {"W": 0.0}]}),
    ("SequenceClassifier", lambda X=SERIES, y=CLASSES, **given: SequenceClassifier(
        **({"d": 2, "epochs": 1, "threads": 1} | given)).fit(X, y), {},
     {"model": [None, *NO_NAMES], "start": [3, "x", []], "seed": NO_SEEDS, "rate": NO_SCALARS,
      "y": [None, 3, RAGGED, [np.nan] * 20, [None] * 20, CLASSES[:5], CLASSES * 0]}),
    ("make_network", make_network, {"model": "lstm", "shape": Shape(2, 5)}, {"model": [None, *NO_NAMES]}),
    ("check", proofs.check, {"name": "activation_bounds"}, {"name": [None, *NO_NAMES]}),
    ("check_mutants", proofs.check_mutants, {"name": "activation_bounds"}, {"name": [None, *NO_NAMES]}),
    ("standalone", proofs.standalone, {"reports": []}, {"reports": [None, 3, "x", [3], Module(), ["x"]]}),
    ("chosen", claims.chosen, {"names": ()}, {"names": [None, 3, "x", ["nonsense"], [3], b"x", Module()]}),
    ("falsify", falsification.falsify, {"cases": 1, "starts": 0, "targets": {}},
     {"cases": [None, *NO_COUNTS, 0], "seed": ["x", -1, 2.5, None, True, [1.5]], "starts": [None, *NO_COUNTS],
      "targets": [None, 3, "x", [], {"a": 3}]}),
    ("open_results", studies.open_results, {}, {"folder": [None, 3, "", b"x", Module(), "a\0b"]}),
    ("verify", studies.verify, {}, {"folder": [None, 3, "", b"x", Module(), "a\0b"]}),
]  # fmt: skip
# The message may call an argument by what it is.
ALIASES = {"factors": "factors?", "name": "name|model|proposition|scheme", "names": "names|claim",
           "a": "a|drift", "b": "b|kick", "recurrences": "recurrences|lengths?"}  # fmt: skip


def said(function, arguments, name):
    """What is wrong with the answer to a bad argument; nothing if it is as it should be."""
    try:
        result = function(**arguments)
    except MISTAKES as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        line = linecache.getline(last.filename, last.lineno or 0).strip()
        message = str(error)
        if not last.filename.startswith(OURS) or not line.startswith("raise"):
            return f"{type(error).__name__} of {Path(last.filename).name}:{last.lineno}: {message}"
        if not re.search(rf"\b({ALIASES.get(name, name)})\b", message):
            return f"the argument is not named: {message}"
        return f"too long: {message}" if "\n" in message or len(message) > 1200 else None
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return f"no error, but {result!r:.60}"


@pytest.mark.parametrize(
    ("function", "good", "bad"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_bad_arguments_are_named(function, good, bad):
    if good:
        function(**good)
    wrong = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, values in bad.items():
            for value in values:
                answer = said(function, good | {name: value}, name)
                if answer:
                    wrong.append(f"{name}={value!r:.40}: {answer}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "function",
    [sensitivity.float32_error, sensitivity.recommend_step, bounds.chebyshev,
     bounds.euler, bounds.majorant, bounds.aposteriori, bounds.applicable, bounds.theorem_3_2],
)  # fmt: skip
@pytest.mark.parametrize("model", [RECURRENCE, CELL, unroll(FIELD, 4, scheme="euler", step=0.1)])
def test_a_recurrence_is_told_that_it_is_no_field_before_what_a_field_needs(function, model):
    with pytest.raises(
        TypeError, match=r"field must be a Field such as NeuralField.*unrolled cells, have none"
    ):
        function(model)
    with pytest.raises(TypeError, match="step"):
        function(FIELD)


@pytest.mark.parametrize("model", [CELL, unroll(FIELD, 4, scheme="euler", step=0.1)])
def test_certificates_are_of_fields_and_of_recurrences_of_cells(model):
    for function in (sensitivity.certify, lambda one: sensitivity.certify_region(one, 0.1)):
        with pytest.raises(TypeError, match="field must be a Field such as NeuralField"):
            function(model)
    with pytest.raises(TypeError, match="scheme is missing"):
        sensitivity.certify(FIELD)
    with pytest.raises(ValueError, match="one batch member"):
        sensitivity.certify(unroll(CELL, 4, np.zeros((2, CELL.dim))))


def test_a_count_that_no_bound_was_right_for():
    """log_chebyshev was 4.9e18 for 10^30 steps, where it is 10^29: the count was cut off at 2^63."""
    with pytest.raises(ValueError, match=r"n_steps must be at most 9007199254740992, got 1e\+30"):
        bounds.log_chebyshev(FIELD, 0.1, 10**30)
    largest = bounds.log_chebyshev(FIELD, 0.1, 2**53)
    assert largest == pytest.approx(bounds.log_cosh(FIELD, 0.1, 2**53), rel=0.01)


ELSEWHERE = {
    "test_bad_models": "own_cell symbolic_cell symbolic_field Field Cell Kind Study from_arrays from_keras "
    "from_torch load_weights save_weights to_torch",
    "test_function_cell": "from_function",
    "test_weights": "register",
    "test_schemes": "palindrome",
    "test_stacks": "stack",
}
"""Public functions whose arguments another table or the tests of their subject look at."""


def test_no_public_function_is_left_out():
    walked = {row[0].split(" ")[0] for row in TABLE} | set(" ".join(ELSEWHERE.values()).split())
    takes_nothing = {"check_all"}
    for module in (integrators, sensitivity, bounds, proofs):
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isfunction(value):
                assert name in walked | takes_nothing, f"{module.__name__}.{name} has no row in TABLE"
