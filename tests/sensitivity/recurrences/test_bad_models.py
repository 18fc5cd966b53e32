"""Fields, cells, kinds, files of weights and studies, given what makes no sense, say so in one sentence.

The table and the rules are those of `test_bad_arguments`.
"""

from __future__ import annotations

import dataclasses
import itertools
import warnings
from typing import Any

import numpy as np
import pytest
import sympy
from numba import njit
from test_bad_arguments import (
    CELL,
    COUNTS,
    NO_COUNTS,
    NO_NAMES,
    NO_SCALARS,
    RAGGED,
    RECURRENCE,
    Module,
    said,
)

import sensitivity
from integrators import Cell, Field, own_cell, symbolic_cell, symbolic_field
from sensitivity import Study, cell


@njit
def step(theta, s, x, out, by_state):
    for q in range(s.shape[1]):
        out[0, q] = 0.5 * s[0, q]
        by_state[0, 0, q] = 0.5


@njit
def slopes(theta, s, x, by_theta, by_input):
    pass


@njit
def kick(theta, y, x, c, p, dy, dp):
    for q in range(y.shape[1]):
        p[0, q] -= c[q] * y[0, q]
        for k in range(dy.shape[1]):
            dp[0, k, q] -= c[q] * dy[0, k, q]


@njit
def kick_adjoint(theta, y, x, c, lam_p, lam_y, grad_theta):
    for q in range(y.shape[1]):
        for k in range(lam_p.shape[1]):
            lam_y[0, k, q] -= c[q] * lam_p[0, k, q]


def each(names: tuple[str, ...], values: list[Any]) -> dict[str, list[Any]]:
    return {name: values for name in names}


def kind(**entries: Any) -> Any:
    return dataclasses.replace(CELL.kind, **entries)


U = sympy.Symbol("u")
TORCH = {"weight_ih_l0": np.ones((8, 3)), "weight_hh_l0": np.ones((8, 2))}
KERAS = [np.ones((3, 6)), np.ones((2, 6)), np.ones((2, 6))]
OWN = {"W": np.array([[0.0, 1.0], [-1.0, 0.0]]), "V": np.ones((2, 1)), "b": np.ones(2)}
NO_FUNCTIONS = [None, 3, "x", b"x", [], {}, Module()]
NO_TITLES = [3, 2.5, b"x", [], ["x"], {}, True, "", " ", "a\nb", "\0", Module()]
NO_BOUNDS = ["x", b"x", np.nan, -1.0, 1j, [1.0], [], np.ones(2), {}, True, Module(), 10**400]
NO_POINTS = ["x", b"x", np.nan, np.inf, 1j, [], [1.0, 2.0], True, Module(), RAGGED]
NO_TABLES = [3, "x", b"x", [1.0], {"a": "x"}, {"a": None}, {"a": np.nan}, {3: 1.0}, {"a": [1.0, 2.0]}, True]
NO_WEIGHTS = [
    None, 3, "x", b"x", {}, {"a": 3}, {3: np.ones(2)}, Module(), Module, {1, 2}, True, np.nan, CELL,
    RECURRENCE,
]  # fmt: skip
NO_PREFIXES = [3, b"x", [], {}, [3], Module(), True, "nonsense", np.ones((2, 2))]
NO_IGNORED = [None, 3, b"x", {}, [3], Module(), True, np.ones((2, 2))]
NO_FLAGS = [0, 1, "x", b"x", [], {}, Module(), np.nan, np.ones(2)]
NO_FILES = [None, 3, "", " ", b"x.npz", "a\0.npz", Module(), True]
NO_LOCALS = [None, 3, "x", b"x", {}, [3], ["a b"], [""], True, Module()]
NO_MAPS = [3, "x", b"x", [], True, Module()]
NO_LAYERS = [None, 3, "x", b"x", [], {}, [None], [3], [[]], True, Module(), {"W": np.eye(2)}]
NO_SYMBOLS = [3, "u", ["u"], [3], {"u": 1}, {U}, [U, U], Module()]
NO_GRIDS = [None, 3, "x", [], ["d"], Module(), {"nonsense": 1}, {"d": "x"}, {"d": []}, {"model": 3}]
READ = {"activation": NO_NAMES, "prefix": NO_PREFIXES, "ignore": NO_IGNORED}
SYMBOLIC = {
    "expressions": [None, "u", ["u"], [None], [U, U], {U}, 1j, [np.nan], [sympy.I], Module()],
    "y": [None, [], *NO_SYMBOLS], "x": [None, *NO_SYMBOLS],
    "parameters": [3, "x", [1.0], {"u": 1}, {U: 1}, True],
    "name": [None, *NO_TITLES], "check_at": NO_POINTS,
}  # fmt: skip

TABLE: list[tuple[str, Any, dict[str, Any], dict[str, list[Any]]]] = [
    ("symbolic_field", symbolic_field, {"expressions": [-U], "y": [U]}, SYMBOLIC | {"lipschitz": NO_BOUNDS}),
    ("symbolic_cell", symbolic_cell, {"expressions": [U / 2], "y": [U]}, SYMBOLIC),
    ("own_cell", own_cell, {"step": step, "slopes": slopes, "dim": 1},
     {"step": NO_FUNCTIONS, "slopes": NO_FUNCTIONS, "dim": COUNTS, "theta": NO_TABLES,
      "n_inputs": [None, *NO_COUNTS], "name": [None, *NO_TITLES], "check_at": NO_POINTS}),
    ("Field", Field, {"dim": 1, "kick": kick, "kick_adjoint": kick_adjoint},
     {"dim": COUNTS, "kick": NO_FUNCTIONS, "kick_adjoint": NO_FUNCTIONS, "n_inputs": [None, *NO_COUNTS],
      "theta": [None, "x", b"x", np.nan, 1j, True, 3.0, [[1.0]], RAGGED, Module()],
      "lipschitz": NO_BOUNDS, "name": NO_TITLES, "check_at": NO_POINTS}),
    ("Cell", Cell, {"kind": CELL.kind, "d": 2, "n_inputs": 0, "layers": [{"W": np.eye(2)}]},
     {"kind": [None, 3, "lstm", CELL, Module(), {}, type(CELL.kind)], "d": COUNTS,
      "n_inputs": [None, *NO_COUNTS], "layers": NO_LAYERS, "step": [*NO_SCALARS[1:], 0.0, -1.0]}),
    ("Kind", kind, {},
     {"name": [None, *NO_TITLES], "point": NO_FUNCTIONS, "middle": NO_FUNCTIONS, "state": [*NO_LOCALS, ()],
      "depends": [None, *NO_MAPS, {"h": 3}],
      **each(("rows", "second", "vectors", "fixed"), NO_LOCALS),
      **each(("recurrent", "source", "clock_rows"), [None, *NO_COUNTS]),
      "hidden": [*NO_MAPS, {"h": 3}],
      "constants": [*NO_MAPS, {"a": "x"}, {"a": np.nan}, {"a": None}, {3: 1.0}],
      **each(("inputs", "biases"), [3, "x", b"xy", [], (1,), (0, 99), (1, 0), (-1, 1), ("a", "b")]),
      "step": [*NO_SCALARS[1:], 0.0, -1.0], "block": [None, *NO_TITLES], "reference": [None, 3, b"x", []],
      "tied": [None, *NO_FLAGS],
      **each(("clock", "bound", "inverse", "structure"), [3, "x", b"x", [], {}, True])}),
    ("from_torch", sensitivity.from_torch, {"weights": TORCH},
     READ | {"weights": [*NO_WEIGHTS, KERAS], "model": NO_NAMES}),
    ("from_keras", sensitivity.from_keras, {"weights": KERAS},
     {"weights": [*NO_WEIGHTS, [], [None], [3], [np.ones(2)] * 4], "model": NO_NAMES,
      "activation": NO_NAMES, "prefix": NO_PREFIXES,
      "ignore": [3, b"x", [3], Module(), True, np.ones((2, 2))],
      "reset_after": NO_FLAGS, "cudnn": NO_FLAGS}),
    ("from_arrays", sensitivity.from_arrays, {"arrays": TORCH},
     READ | {"arrays": NO_WEIGHTS, "model": NO_NAMES}),
    ("from_arrays by our names", sensitivity.from_arrays,
     {"arrays": OWN, "model": "antisymmetric", "gamma": 0.0},
     {"model": [None, *NO_NAMES], "activation": NO_NAMES, "ignore": NO_IGNORED, "prefix": NO_PREFIXES,
      "arrays": NO_WEIGHTS, **each(("gamma", "step"), NO_SCALARS)}),
    ("to_torch", sensitivity.to_torch, {"cell": CELL}, {"cell": [*NO_WEIGHTS[:-2], RECURRENCE]}),
    ("Study", Study, {"grid": {"d": [2]}},
     {"grid": NO_GRIDS, "quantities": [None, 3, [], "nonsense", ["nonsense"], [3], {}, Module()],
      "name": [None, 3, b"x", [], {}, True, Module()], "steps_per_cell": COUNTS}),
]  # fmt: skip
ALIASES = {
    "weights": "weights?|layer|kernel",
    "arrays": "arrays|layer|is missing|is among",
    "kick_adjoint": "kick_adjoint",
    "quantities": "quantit(y|ies)",
    "grid": "grid|axis|d|model",
    "name": "name",
    "model": "model",
}


@pytest.mark.parametrize(
    ("function", "good", "bad"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_bad_arguments_are_named(function, good, bad):
    function(**good)
    wrong = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, value in itertools.chain.from_iterable(
            ((name, value) for value in values) for name, values in bad.items()
        ):
            answer = said(function, good | {name: value}, ALIASES.get(name, name))
            if answer:
                wrong.append(f"{name}={value!r:.40}: {answer}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("bias", [3, "x", b"x", True, 0, np.ones(8, int), [1.0, 2.0]])
def test_a_bias_that_is_no_array_is_no_missing_bias(bias):
    """Plain numbers and texts were left out like the options of a module, and with them the biases."""
    for given, name in (
        ({**TORCH, "bias_ih_l0": bias, "bias_hh_l0": bias}, "bias_ih"),
        ({"rnn.weight_ih": np.ones((8, 3)), "rnn.weight_hh": np.ones((8, 2)), "rnn.bias": bias}, "bias"),
        ({"kernel": np.ones((3, 8)), "recurrent_kernel": np.ones((2, 8)), "bias": bias}, "bias"),
    ):
        with pytest.raises((ValueError, TypeError), match=name):
            sensitivity.from_arrays(given)
    kept = {
        **TORCH,
        "hidden_size": 2,
        "use_bias": True,
        "mode": "LSTM",
        "bias_ih_l0": None,
        "bias_hh_l0": None,
    }
    assert sensitivity.from_arrays(kept) == sensitivity.from_arrays(TORCH)


@pytest.fixture
def saved(tmp_path):
    """A file of a cell with settings, one of an LSTM by PyTorch's names, and a path for another."""
    sensitivity.save_weights(tmp_path / "cornn.npz", cell("cornn", 2, 2))
    np.savez(tmp_path / "lstm.npz", **TORCH)  # pyright: ignore[reportArgumentType]
    return tmp_path


def test_files_of_weights_say_which_argument_makes_no_sense(saved):
    own, torch = {"path": saved / "cornn.npz"}, {"path": saved / "lstm.npz"}
    paths = [*NO_FILES, "a.h5", "a.pt", "a"]
    wrong = []
    for function, good, bad in (
        (sensitivity.load_weights, own, READ | {"path": paths, "model": NO_NAMES, "gamma": NO_SCALARS}),
        (sensitivity.load_weights, torch, READ | {"model": NO_NAMES, "gamma": [1.0]}),
        (sensitivity.save_weights, {"path": saved / "a.npz", "cell": CELL},
         {"path": paths, "cell": NO_WEIGHTS[:-2]}),
    ):  # fmt: skip
        function(**good)
        for name, value in ((name, value) for name, values in bad.items() for value in values):
            answer = said(function, good | {name: value}, "path|a.h5|a.pt|a" if name == "path" else name)
            if answer:
                wrong.append(f"{function.__name__} {name}={value!r:.40}: {answer}")
    assert not wrong, "\n".join(wrong)
    assert not list(saved.glob("*.tmp"))


@pytest.mark.parametrize(
    "call",
    [
        lambda value: cell("lstm", value),
        lambda value: cell("antisymmetric", 2, gamma=value),
        lambda value: sensitivity.unroll(CELL, value),
        lambda value: symbolic_field(value, value),
        lambda value: sensitivity.jacobian(Field(1, kick, kick_adjoint), value, 0.1, 3),
    ],
)
@pytest.mark.parametrize("digits", [400, 5000])
def test_a_number_of_thousands_of_digits_is_one_short_sentence(call, digits):
    """Python refuses to print it: "Exceeds the limit (4300 digits) for integer string conversion"."""
    value = 10**digits
    with pytest.raises((ValueError, TypeError)) as caught:
        call(value)
    text = str(caught.value)
    assert "4300" not in text and len(text) < 250
