"""What may be given for a map in SymPy expressions: numbers of every kind, no text that SymPy would run."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import sympy

from integrators import symbolic_cell, symbolic_field
from proofs.decide import at_least_zero, identity
from proofs.search import violation
from sensitivity import jacobian
from sensitivity.recurrences.cell import unroll

A, B, X = sympy.symbols("a b x")
MAKERS = pytest.mark.parametrize("make", (symbolic_cell, symbolic_field))


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """Text that leaves a file behind when it is run."""
    mark = tmp_path / "run"
    yield f"open({str(mark)!r}, 'w').close()"
    assert not mark.exists(), "text was executed"


@MAKERS
@pytest.mark.parametrize(
    "wrapped",
    (
        lambda text: text,
        lambda text: [text],
        lambda text: [[text]],
        lambda text: [[[text]]],
        lambda text: [(text,)],
        lambda text: [{text}],
        lambda text: [frozenset([text])],
        lambda text: [{A: text}],
        lambda text: [{text: 1}],
        lambda text: {text: 1},
        lambda text: {text},
        lambda text: [text.encode()],
        lambda text: [np.array(text)],
        lambda text: [np.array([text], dtype=object)],
        lambda text: np.array([[text]]),
        lambda text: [np.str_(text)],
        lambda text: [type("Named", (), {"__repr__": lambda self: text, "__str__": lambda self: text})()],
    ),
)
def test_text_is_refused_and_never_run(make, wrapped, trap):
    with pytest.raises(TypeError, match="expressions"):
        make(wrapped(trap), [A])


@MAKERS
def test_text_is_refused_for_symbols_and_parameters(make, trap):
    for arguments in (
        ([A], trap),
        ([A], [trap]),
        ([A], [[trap]]),
        ([A], [A], trap),
        ([A], [A], [(trap,)]),
        ([A], [A], (), {trap: 1.0}),
        ([A], [A], (), trap),
        ([A * B], [A], (), {B: trap}),
        ([A * B], [A], (), {B: [trap]}),
    ):
        with pytest.raises(TypeError, match=r"^(y|x|parameters)"):
            make(*arguments)
    with pytest.raises(ValueError, match="cannot be compiled"):
        make([sympy.Function(trap)(A)], [A])


def test_deciders_run_no_text(trap):
    for given in (trap, [trap], (trap,), {trap: 1}):
        for decide in (lambda e: identity(e, 1), at_least_zero, lambda e: violation(e, ())):
            with pytest.raises(TypeError, match="no SymPy expression"):
                decide(given)


@pytest.mark.parametrize(
    "given, value, slope",
    (
        ([A / 2], 0.15, 0.5),
        (A / 2, 0.15, 0.5),
        ([A], 0.3, 1.0),
        ([sympy.Integer(3)], 3.0, 0.0),
        ([0.5], 0.5, 0.0),
        (2, 2.0, 0.0),
        ([np.float64(0.5)], 0.5, 0.0),
        ([np.int64(2)], 2.0, 0.0),
        ([Fraction(1, 4)], 0.25, 0.0),
        ([Decimal("0.25")], 0.25, 0.0),
        (sympy.Matrix([A / 2]), 0.15, 0.5),
        (np.array([A / 2]), 0.15, 0.5),
        (iter([A / 2]), 0.15, 0.5),
        ([sympy.Piecewise((A, A > 1), (A / 2, True))], 0.15, 0.5),
        ([sympy.Piecewise((A / 2, A < 100))], 0.15, 0.5),
        ([sympy.I * sympy.I * A], -0.3, -1.0),
        ([sympy.pi * A], 0.3 * math.pi, math.pi),
        ([sympy.EulerGamma * A], 0.3 * float(sympy.EulerGamma), float(sympy.EulerGamma)),
    ),
)
def test_a_map_of_one_component_without_parameters_and_inputs(given, value, slope):
    cell = symbolic_cell(given, [A])
    found, J = cell.linearise([0.3])
    assert found == pytest.approx([value], rel=1e-15) and J == pytest.approx(np.array([[slope]]), rel=1e-15)
    assert cell.theta.size == 0 and cell.adjoint([0.3], None, [1.0])[0] == pytest.approx([slope])


def test_jacobian_of_a_map_without_parameters():
    assert jacobian(unroll(symbolic_cell([A / 2], [A]), 10)) == 2.0**-10


@MAKERS
def test_maps_that_do_not_hold_their_state(make):
    point = [0.3], [0.2]
    for arguments, value in (
        (([B], [A], (), {B: 2.0}), 2.0),
        (([X], [A], [X]), 0.2),
        (([A / 2], [A], [X]), 0.15),
        (([A / 2], [A], (), {B: 2.0}), 0.15),
        (([A / 2], A, X), 0.15),
    ):
        made = make(*arguments)
        inputs = point[1][: made.n_inputs]
        found = made.step(point[0], inputs) if make is symbolic_cell else made.force(point[0], inputs)
        assert found == pytest.approx([value])


@MAKERS
def test_parameters_are_numbers_of_any_kind(make):
    for value in (
        0.5,
        sympy.Rational(1, 2),
        sympy.sqrt(sympy.Rational(1, 4)),
        Fraction(1, 2),
        Decimal("0.5"),
        np.float32(0.5),
    ):
        assert make([A * B], [A], (), {B: value}).theta.tolist() == [0.5]
    for value, error in (
        (sympy.I, TypeError),
        (A, TypeError),
        (math.nan, ValueError),
        (True, TypeError),
        (1j, TypeError),
    ):
        with pytest.raises(error, match=r"parameters\[b\]"):
            make([A * B], [A], (), {B: value})


@MAKERS
@pytest.mark.parametrize(
    "arguments, error, message",
    (
        (([], []), ValueError, "y is empty"),
        (([], [A]), ValueError, "0 entries for 1 of y"),
        (([A], []), ValueError, "y is empty"),
        (([A, A], [A, A]), ValueError, "a occurs more than once"),
        (([A], [A], [A]), ValueError, "a occurs more than once"),
        (([A], [A], (), {A: 1.0}), ValueError, "a occurs more than once"),
        (([A], [A], (), 3), TypeError, "parameters must be a mapping"),
        (({A, B}, [A, B]), TypeError, "expressions must be a sequence"),
        (([A, B], {A, B}), TypeError, "y must be a sequence"),
        (([sympy.Matrix([A])], [A]), TypeError, "scalar"),
        (([A > 0], [A]), TypeError, "scalar"),
        (([True], [A]), TypeError, "scalar"),
        (([None], [A]), TypeError, "scalar"),
        (([1j], [A]), ValueError, "not a real"),
        (([sympy.I * A], [A]), ValueError, "not a real"),
        (([sympy.oo], [A]), ValueError, "not a real"),
        (([sympy.gamma(A)], [A]), ValueError, "gamma, which cannot be compiled"),
        (([sympy.sign(A)], [A]), ValueError, "sign, which jumps"),
        (([(-1) ** A], [A]), ValueError, "do not compile to real functions"),
        (([sympy.sqrt(A - 10)], [A]), ValueError, "check_at"),
        (([10**400 * A], [A]), ValueError, "symbolic|expressions"),
        (
            ([sympy.Piecewise((A, sympy.Contains(A, sympy.Interval(0, 1))), (0, True))], [A]),
            ValueError,
            "cannot be written as Python code",
        ),
    ),
)
def test_what_makes_no_map_is_refused_in_a_sentence(make, arguments, error, message):
    with pytest.raises(error, match=message):
        make(*arguments)


def test_names_of_a_cell_are_its_own():
    real = sympy.Symbol("a", real=True)  # another symbol of the same name
    with pytest.raises(ValueError, match="'a' is taken by the state"):
        symbolic_cell([A * real], [A], parameters={real: 2.0})
    with pytest.raises(ValueError, match="'V' is taken by the input matrix"):
        symbolic_cell([sympy.Symbol("V") + X], [sympy.Symbol("V")], [X])
    with pytest.raises(ValueError, match="has blanks"):
        symbolic_cell([sympy.Symbol("a b")], [sympy.Symbol("a b")])


@MAKERS
def test_deep_nesting_is_refused_in_a_sentence(make):
    deep = A
    for _ in range(3000):
        deep = sympy.sin(deep, evaluate=False)
    with pytest.raises(ValueError, match="nested too deeply"):
        make([deep], [A])


@MAKERS
def test_kinks_have_the_slopes_that_pytorch_takes(make):
    """abs'(0) = 0, relu'(0) = 0, hardtanh'(±1) = 0; and NaN stays NaN."""
    for expression, at in (
        (abs(A), 0.0),
        (abs(A), -0.0),
        (sympy.Max(0, A), 0.0),
        (sympy.Max(-1, sympy.Min(1, A)), 1.0),
        (sympy.Max(-1, sympy.Min(1, A)), -1.0),
    ):
        made = make([expression], [A])
        value, slope = made.linearise([at])
        assert slope == 0.0 and value == abs(at) * (1 if expression != sympy.Max(-1, sympy.Min(1, A)) else at)
    assert make([abs(A)], [A]).linearise([-2.0])[1] == -1.0
