"""Everything public is pickled, copied and compared; what comes back computes the same bits, anywhere."""

import copy
import functools
import inspect
import multiprocessing
import os
import pickle
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
import sympy
from numba import njit
from sympy.core.cache import clear_cache

import integrators
import leapgrad
import proofs
from integrators import (
    ACTIVATIONS,
    SCHEMES,
    Activation,
    Field,
    NeuralField,
    Scheme,
    integrate,
    own_cell,
    symbolic_cell,
    symbolic_field,
)
from integrators.fields.potential import PotentialField
from integrators.values import equal
from sensitivity import (
    OdeRecurrence,
    Study,
    bounds,
    certify,
    compare,
    gradient_profile,
    growth_exponents,
    recommend_step,
    unroll,
)
from sensitivity.papers.hamiltonian.claims import LEDGER
from sensitivity.recurrences.registry import MODELS, make

A, B, X = sympy.symbols("a b x")


@njit
def kick(theta, y, x, c, p, dy, dp):
    for q in range(y.shape[1]):
        p[0, q] -= c[q] * theta[0] * y[0, q] ** 3
        for k in range(dy.shape[1]):
            dp[0, k, q] -= c[q] * 3 * theta[0] * y[0, q] ** 2 * dy[0, k, q]


@njit
def kick_adjoint(theta, y, x, c, lam_p, lam_y, grad_theta):
    for q in range(y.shape[1]):
        for k in range(lam_p.shape[1]):
            lam_y[0, k, q] -= c[q] * 3 * theta[0] * y[0, q] ** 2 * lam_p[0, k, q]
            if grad_theta.size:
                grad_theta[0] -= c[q] * y[0, q] ** 3 * lam_p[0, k, q]


def plain_step(theta, s, x, out, by_state):
    for q in range(s.shape[1]):
        out[0, q], by_state[0, 0, q] = theta[0] * s[0, q], theta[0]


def plain_slopes(theta, s, x, by_theta, by_input):
    for q in range(s.shape[1]):
        by_theta[0, 0, q] = s[0, q]


def local_cell(factor):
    """A cell of functions that no module holds."""

    def step(theta, s, x, out, by_state):
        for q in range(s.shape[1]):
            out[0, q], by_state[0, 0, q] = factor * s[0, q], factor

    return own_cell(step, lambda theta, s, x, by_theta, by_input: None, 1)


@functools.cache
def fields():
    return {
        "neural": NeuralField.random(3),
        "driven": NeuralField.random(3, inputs=2, activation="relu"),
        "potential": PotentialField.random(3),
        "harmonic": integrators.harmonic(2.0),
        "pendulum": integrators.pendulum(),
        "henon_heiles": integrators.henon_heiles(),
        "kepler": integrators.kepler(),
        "symbolic": symbolic_field([-B * A**3 + X], [A], [X], {B: 2.0}, name="cubic"),
        "own": Field(1, kick, kick_adjoint, [2.0], name="own"),
        "own plain": Field(1, kick.py_func, kick_adjoint.py_func, [2.0]),
    }


@functools.cache
def cells():
    found = {name: make(name, 4, 2) for name in MODELS}
    found["layers"] = make("unicornn", 3, 2, layers=3)
    found["own"] = own_cell(plain_step, plain_slopes, 1, {"r": 0.5})
    found["own compiled"] = own_cell(njit(plain_step), njit(plain_slopes), 1, {"r": 0.5})
    found["own local"] = local_cell(0.25)
    found["symbolic"] = symbolic_cell([B * A + X], [A], [X], {B: 0.5})
    return found


@functools.cache
def recurrences():
    rng = np.random.default_rng(0)
    found = {}
    for name, cell in cells().items():
        inputs = rng.normal(size=(6, cell.n_inputs)) if cell.n_inputs else None
        found[f"unroll {name}"] = unroll(cell, 6, 0.1 * np.ones(cell.dim), inputs)
    for name, field in fields().items():
        found[f"run {name}"] = OdeRecurrence(field, "yoshida4", [0.01, 0.02], 5, 0.3 * np.ones(field.dim))
    driven = fields()["driven"]
    found["run inputs"] = OdeRecurrence(driven, "leapfrog", 0.1, 5, inputs=lambda t: np.array([t, 1.0]))
    mine = Scheme.define("mine", 2, lambda R: ((R(1) / 2, R(1) / 2), (R(1), 0)))
    found["run scheme"] = OdeRecurrence(driven, mine, 0.1, 5)
    return found


def results(folder):
    field, lstm = NeuralField.random(3), unroll(make("lstm", 3), 10)
    study = Study({"d": [2], "step": [0.1], "n_steps": [4]}, ["norm"])
    found = {
        "trajectory": integrate(field, "leapfrog", None, None, 0.1, 5),
        "profile": gradient_profile(field, "leapfrog", 0.1, 20),
        "growth": growth_exponents(field, "leapfrog", 0.1, 20),
        "certificate": certify(field, "leapfrog", 0.1, 5),
        "comparison": compare({"lstm": lstm}),
        "recommendation": recommend_step(field, 20),
        "bounds": tuple(bounds.applicable(field, "leapfrog", 0.1, 20)),
        "scaled": lstm.pushforward(np.eye(6)),
        "gradients": lstm.backpropagate(np.ones((11, 6))),
        "overflow": pickle.loads(pickle.dumps(integrators.TrajectoryOverflow(3, 5, 0.1))).args,
        "study": study,
        "results": study.run(folder, progress=False),
        "report": proofs.check("lemma_3_1"),
        "own scheme": Scheme.define("mine", 2, lambda R: ((R(1) / 2, R(1) / 2), (R(1), 0))),
        "own activation": Activation("mine", 0, 1.0, 1.0, lambda z: z),
        "mutated": proofs.CATALOGUE["theorem_e"].mutated(proofs.CATALOGUE["theorem_e"].mutants[0]),
    }
    found |= {f"claim {name}": claim for name, claim in LEDGER.items()}
    found |= {f"proposition {name}": proofs.CATALOGUE[name] for name in proofs.CATALOGUE}
    found |= {f"scheme {name}": SCHEMES[name] for name in SCHEMES}
    found |= {f"activation {name}": ACTIVATIONS[name] for name in ACTIVATIONS}
    found |= {f"kind {name}": cell.kind for name, cell in cells().items()}
    return found


def check(name, thing):
    copies = {f"protocol {p}": pickle.loads(pickle.dumps(thing, p)) for p in range(2, 6)}
    copies |= {"copy": copy.copy(thing), "deepcopy": copy.deepcopy(thing)}
    for how, other in copies.items():
        assert other == thing and thing == other and not other != thing, (name, how)
        assert hash(other) == hash(thing) and type(other) is type(thing), (name, how)
        assert "0x" in repr(thing) or repr(other) == repr(thing), (name, how)
        for key, value in getattr(thing, "__dict__", {}).items():
            if isinstance(value, np.ndarray):
                again = other.__dict__[key]
                assert again.flags.writeable == value.flags.writeable, (name, how, key)
                assert other is thing or how == "copy" or not np.shares_memory(again, value), (name, how, key)
    assert thing != object() and thing != 0


def test_fields_and_cells():
    for name, thing in (fields() | cells()).items():
        check(name, thing)


def test_results_schemes_activations_and_propositions(tmp_path):
    for name, thing in results(tmp_path / "study").items():
        check(name, thing)


def test_recurrences_compute_the_same_bits():
    for name, run in recurrences().items():
        check(name, run)
        columns = np.eye(run.state_size)
        expected = run.run(), run.pushforward(columns).values, run.pullback(columns).values
        for other in (pickle.loads(pickle.dumps(run)), copy.deepcopy(run)):
            found = other.run(), other.pushforward(columns).values, other.pullback(columns).values
            assert all(map(np.array_equal, found, expected)), name


def test_every_public_name_is_pickled():
    for name in leapgrad.__all__:
        thing = getattr(leapgrad, name)
        if name == "POINT":  # a signature of Numba, which is equal to its copies
            assert pickle.loads(pickle.dumps(thing)) == thing == copy.deepcopy(thing)
        elif not inspect.ismodule(thing):
            assert pickle.loads(pickle.dumps(thing)) is thing and copy.deepcopy(thing) is thing, name


def test_values_differ_where_they_should():
    field, other = NeuralField.random(3, rng=0), NeuralField.random(3, rng=1)
    assert field != other and field == NeuralField.random(3, rng=0) and len({field, other}) == 2
    assert field != PotentialField(field.W, field.b) and field != NeuralField(field.W, field.b, None, "relu")
    cell = make("lstm", 3)
    moved = cell.with_theta(cell.theta + 1e-16 * (cell.theta == cell.theta[0]))
    assert (moved == cell) == np.array_equal(moved.theta, cell.theta) and cell != make("lstm", 3, rng=1)
    assert make("cornn", 3, step=0.1) != make("cornn", 3, step=0.2) and cell.kind != make("gru", 3).kind
    assert unroll(cell, 3) == unroll(cell, 3, threads=1) and unroll(cell, 3) != unroll(cell, 4)
    trajectory = integrate(field, "leapfrog", None, None, 0.1, 5)
    assert trajectory != integrate(other, "leapfrog", None, None, 0.1, 5)
    assert local_cell(0.25) == local_cell(0.25) and local_cell(0.25) != local_cell(0.5)
    one, two = (symbolic_field([-A * B], [A], parameters={B: v}) for v in (1.0, 2.0))
    assert one != two and one.kick == two.kick
    assert equal([np.array([np.nan, 0.0])], [np.array([np.nan, -0.0])]) and not equal([1], [1.0])


def test_a_deep_copy_is_independent():
    field = NeuralField.random(3)
    twin, before = copy.deepcopy(field), field.theta.copy()
    twin.packed[:] = 0.0
    assert np.array_equal(field.theta, before) and twin != field
    run = unroll(make("lstm", 3), 4)
    assert copy.deepcopy(run).cell is not run.cell and copy.deepcopy(run).cell == run.cell


def norm(recurrence):
    from sensitivity import jacobian_norm

    return jacobian_norm(recurrence)


def chosen():
    found = recurrences()
    names = ("unroll lstm", "unroll scornn", "unroll own", "unroll own local", "unroll symbolic", "run own")
    return [found[name] for name in (*names, "run own plain", "run symbolic", "run inputs", "run scheme")]


def test_in_spawned_processes():
    runs = chosen()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        for run, found in zip(runs, pool.map(norm, runs), strict=True):
            assert np.array_equal(found, norm(run)), run


def test_with_loky_and_cloudpickle():
    cloudpickle = pytest.importorskip("cloudpickle", reason="cloudpickle is not installed")
    for name, thing in (fields() | cells() | recurrences()).items():
        assert pickle.loads(cloudpickle.dumps(thing)) == thing, name
    loky = pytest.importorskip("loky", reason="loky is not installed")
    runs = chosen()[:4]
    pool = loky.ProcessPoolExecutor(1, timeout=60)
    try:
        for run, found in zip(runs, pool.map(norm, runs), strict=True):
            assert np.array_equal(found, norm(run)), run
    finally:
        pool.shutdown(kill_workers=True)


MAIN = """
    import pickle, sys
    import numpy as np
    from integrators import Scheme, own_cell
    from sensitivity import OdeRecurrence, jacobian_norm, unroll
    from numba import njit

    factor = 0.25

    @njit
    def half(value):
        return factor * value

    @njit
    def step(theta, s, x, out, by_state):
        for q in range(s.shape[1]):
            out[0, q], by_state[0, 0, q] = half(s[0, q]), factor

    if __name__ == "__main__":
        cell = own_cell(step, lambda theta, s, x, by_theta, by_input: None, 1)
        with open(sys.argv[1], "wb") as stream:
            pickle.dump((cell, unroll(cell, 3)), stream)
        assert pickle.loads(pickle.dumps(cell)) == cell
"""


def python(folder, source, *arguments):
    (folder / "script.py").write_text(textwrap.dedent(source))
    return subprocess.run(
        [sys.executable, "script.py", *map(str, arguments)], cwd=folder, capture_output=True, text=True,
        timeout=300, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip


def test_functions_of_a_script_go_to_another_process(tmp_path):
    done = python(tmp_path, MAIN, tmp_path / "kept")
    assert done.returncode == 0, done.stderr
    cell, run = pickle.loads((tmp_path / "kept").read_bytes())
    assert cell.step([0.4]) == [0.1] and norm(run) == 0.25**3


def test_what_is_not_found_again_says_so(tmp_path, monkeypatch):
    (tmp_path / "gone_tomorrow.py").write_text(
        "def step(theta, s, x, out, by):\n    out[0] = s[0]\n    by[0, 0] = 1.0\n\n"
        "def slopes(theta, s, x, by_theta, by_input):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import gone_tomorrow  # pyright: ignore[reportMissingImports]

    content = pickle.dumps(own_cell(njit(gone_tomorrow.step), gone_tomorrow.slopes, 1))
    monkeypatch.delitem(sys.modules, "gone_tomorrow")
    (tmp_path / "gone_tomorrow.py").unlink()
    with pytest.raises((pickle.UnpicklingError, ModuleNotFoundError), match="gone_tomorrow"):
        pickle.loads(content)
    lock = threading.Lock()
    run = OdeRecurrence(fields()["driven"], "leapfrog", 0.1, 5, inputs=lambda t: [t, float(lock.locked())])
    with pytest.raises(pickle.PicklingError, match="top of a module"):
        pickle.dumps(run)


def test_a_kernel_of_another_version_says_so():
    from integrators.fields.neural import neural_kick

    function, (module, name, _, dtype) = neural_kick.__reduce__()
    with pytest.raises(pickle.UnpicklingError, match="another version of leapgrad"):
        function(module, name, ("theta",), dtype)
    with pytest.raises(pickle.UnpicklingError, match="cannot be imported"):
        function(module, "no_such_kernel", (), dtype)


def test_functions_of_sympy_that_were_made_twice_are_equal():
    """SymPy makes one class for each undefined function, and anew where its cache has lost it."""
    t = sympy.Symbol("t")
    one = sympy.Function("s")(t)
    clear_cache()
    other = sympy.Function("s")(t)
    assert type(one) is not type(other)
    assert equal(one, other) and not equal(one, sympy.Function("r")(t))
