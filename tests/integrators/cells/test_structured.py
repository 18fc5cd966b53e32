"""Structured cells: free parameters, gradients by them, and matrices that keep their structure."""

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path

import naive_cells
import naive_structures
import numpy as np
import pytest
import scipy.linalg

from integrators import own_cell, symbolic_cell
from integrators.cells.structure import Joint, Structure
from sensitivity.analysis.approximate import rflo_gradient, truncated_gradient
from sensitivity.recurrences.cell import unroll
from sensitivity.recurrences.cells.gated import lstm
from sensitivity.recurrences.cells.orthogonal import ENRNN, EXPRNN, MODRELU_COMPLEX, SCORNN, SCURNN, URNN
from sensitivity.recurrences.cells.oscillators import unicornn
from sensitivity.recurrences.cells.residual import ANTISYMMETRIC
from sensitivity.recurrences.cells.vanilla import vanilla
from sensitivity.recurrences.registry import MODELS, make
from sensitivity.recurrences.structures.matrices import Antisymmetric, Cayley, Positive, cayley
from sensitivity.recurrences.structures.spectral import Exponential
from sensitivity.weights.weight_files import load_weights, save_weights

ROOT = Path(__file__).resolve().parents[3]
STRUCTURED = tuple(naive_structures.BY_NAME)
every_structure = pytest.mark.parametrize("name", STRUCTURED)


def moved(name, d=6, n_inputs=2, size=0.5, seed=3):
    cell = make(name, d, n_inputs, rng=seed)
    noise = np.random.default_rng(seed).normal(size=cell.free.size)
    return cell.with_free(cell.free + cell.free_trainable * size * noise)


def defect(name, cell):
    """How far the parameters are from their structure."""
    p = cell.parameters
    if name.startswith("linoss"):
        return max(-p["A"].min(), -p["dt"].min(), p["dt"].max() - 1.0, 0.0)
    if name == "dlinoss":  # the poles are complex, or meet
        return max(((p["G"] - p["dt"] * p["A"]) ** 2 - 4 * p["A"]).max() / p["A"].max(), -p["G"].min(), 0.0)
    if name in ("lru", "s4d"):
        return max(np.hypot(p["a_re"], p["a_im"]).max() - 1.0, 0.0)
    if name in ("s6", "rg_lru"):
        return max(max(p[key].max() for key in cell.kind.structure.makes), 0.0)
    if name == "lipschitz":
        halves = [half + 0.001 * np.eye(cell.d) for half in np.split(p["W"], 2)]
        # Symmetric and antisymmetric parts are (1 − β)(M + Mᵀ) and β(M − Mᵀ): those of one M.
        M = [(half + half.T) / 4 / 0.25 + (half - half.T) / 4 / 0.75 for half in halves]
        free = cell.free_parameters
        return max(np.abs(M[0] - free["M_A"]).max(), np.abs(M[1] - free["M_W"]).max())
    W = p["W"]
    d, unit = len(W), np.eye(len(W))
    if name in ("scornn", "exprnn"):
        return np.abs(W.T @ W - unit).max()
    if name in ("urnn", "scurnn"):
        X, Y = W[: d // 2, : d // 2], W[d // 2 :, : d // 2]
        return max(np.abs(W.T @ W - unit).max(), np.abs(W - naive_structures.doubled(X, Y)).max())
    if name == "enrnn":
        W1, k = W[: d // 2, : d // 2], d // 2
        radius = np.abs(np.linalg.eigvals(W[k:, k:])).max()
        return max(np.abs(W1.T @ W1 - np.eye(k)).max(), np.abs(W[k:, :k]).max(), abs(radius - 1.0))
    return np.abs(W + W.T + 2 * 0.01 * unit).max()


def test_which_models_have_a_structure():
    assert {name for name in MODELS if make(name, 3).kind.structure is not None} == set(STRUCTURED)
    cell = lstm(3, 2)
    assert np.array_equal(cell.free, cell.theta) and list(cell.free_parameters) == list(cell.parameters)


@every_structure
@pytest.mark.parametrize("d", (2, 5, 8))
def test_the_matrix_is_that_of_the_publication(name, d):
    cell = moved(name, d)
    expected = naive_structures.made(name, cell.free_parameters, d)
    assert set(expected) == set(cell.kind.structure.makes)
    for key, value in expected.items():
        assert np.abs(value - cell.parameters[key]).max() <= 1e-13 * max(1.0, np.abs(value).max())
    assert defect(name, cell) <= 1e-13


@every_structure
def test_gradients_of_a_run_by_the_free_parameters(name):
    """A quadratic loss of all states of a batch: complex steps through a twin, parameter by parameter."""
    d, rng = 4, np.random.default_rng(1)
    cell = moved(name, d, size=0.3)
    twin, eps = getattr(naive_cells, name), naive_cells.EPS
    s0, x = rng.normal(size=(3, cell.dim)), rng.normal(size=(3, 6, 2))
    run = unroll(cell, s0=s0, inputs=x)
    A = rng.normal(size=(3, 7, cell.dim))
    found = run.backpropagate(A * run.states()).theta

    def loss(free):
        p, total = naive_structures.parameters(name, cell.unpack_free(free)[0], d), 0.0
        for member in range(3):
            s = s0[member]
            for i in range(6):
                s = twin(p, s, x[member, i], cell.step_size, ())
                total = total + (A[member, i + 1] * s**2).sum() / 2
        return total

    slopes = np.array([loss(cell.free + 1j * eps * e).imag / eps for e in np.eye(cell.free.size)])
    slopes = np.where(cell.free_trainable, slopes, 0.0)
    assert np.abs(found - slopes).max() <= 1e-12 * np.abs(slopes).max()
    # The last state alone, member by member, and pieces that are the whole.
    lam = rng.normal(size=cell.dim)
    by_member = run.parameter_gradient(lam)
    assert by_member.shape == (3, cell.free.size)
    assert np.allclose(by_member.sum(axis=0), run.backpropagate(np.tile(lam, (3, 1))).theta, rtol=1e-12)
    assert np.allclose(truncated_gradient(run, A * run.states(), 6), found, rtol=1e-12)


def test_the_exponential_against_scipys_frechet_derivative():
    """Also where eigenvalues coincide, and for rotations by many turns."""
    rng, structure = np.random.default_rng(0), Exponential()
    for A in (
        np.zeros((5, 5)),
        np.kron(np.eye(3), [[0.0, 2.0], [-2.0, 0.0]]),
        40.0 * naive_structures.skew(rng.normal(size=21), 7),
    ):
        G, E = rng.normal(size=(2, *A.shape))
        E = E - E.T
        upper = np.triu_indices(len(A), 1)
        free = {"A": A[upper]}
        expected = np.sum(G * scipy.linalg.expm_frechet(A, E, compute_expm=False))
        found = structure.pullback(free, {"W": G})["A"] @ E[upper]
        assert found == pytest.approx(expected, rel=1e-11)
        for factor in (1.0, 1e3, 1e6):
            W = structure.assemble({"A": factor * free["A"]})["W"]
            assert np.abs(W.T @ W - np.eye(len(A))).max() <= 1e-12


STARTS = """
import hashlib
from integrators.engine.blocks import one_blas_thread
with one_blas_thread():
    pass
from sensitivity.recurrences.registry import make
print(*[hashlib.sha256(make(name, d).theta.tobytes()).hexdigest() for d in (17, 130) for name in {names}])
"""


def test_no_bit_of_a_start_depends_on_the_threads_of_blas():
    found = set()
    for threads in ("1", "3"):
        code = STARTS.format(names=STRUCTURED)
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
        found.add(done.stdout)
    assert len(found) == 1


@every_structure
def test_the_structure_survives_steps_of_any_size(name):
    cell = moved(name, 8)
    rng = np.random.default_rng(0)
    for _ in range(200):
        cell = cell.with_free(cell.free + cell.free_trainable * 0.1 * rng.normal(size=cell.free.size))
    assert defect(name, cell) <= 1e-12


@every_structure
def test_entries_that_are_fixed_have_no_gradient_and_stay(name):
    cell = moved(name)
    fixed = {"scornn": "D", "urnn": "permutation", "antisymmetric": "gamma", "gated_antisymmetric": "gamma"}
    fixed = {key: (value,) for key, value in fixed.items()} | {"lipschitz": ("beta", "gamma")}
    marked = cell.unpack_free(cell.free_trainable.astype(float))[0]
    assert cell.kind.structure.fixed == fixed.get(name, ())
    for key, marks in marked.items():
        assert (
            not marks.any()
            if key in (*cell.kind.structure.fixed, *(cell.kind.constants or {}))
            else marks.all()
        )


def test_published_matrices_of_other_shapes_are_read():
    rng = np.random.default_rng(0)
    A = naive_structures.skew(rng.normal(size=10), 5)
    assert np.array_equal(
        EXPRNN(5, A=A).parameters["W"], EXPRNN(5, A=A[np.triu_indices(5, 1)]).parameters["W"]
    )
    general = rng.normal(size=(5, 5))
    W = ANTISYMMETRIC(5, A=general, gamma=0.1).parameters["W"]
    assert np.array_equal(W, general - general.T - 0.1 * np.eye(5))
    C = rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4))
    C = C - C.conj().T
    W = cayley(C, np.exp(1j * np.arange(4.0)))
    assert (
        np.abs(
            SCURNN(4, A=C, phases=np.arange(4.0)).parameters["W"] - naive_structures.doubled(W.real, W.imag)
        ).max()
        <= 1e-14
    )
    v = rng.normal(size=3) + 1j * rng.normal(size=3)
    assert np.array_equal(URNN(3, R1=v).free_parameters["R1"], [v.real, v.imag])


ORTHOGONAL = np.linalg.qr(np.random.default_rng(5).normal(size=(6, 6)))[0]


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (SCORNN, {"W": np.ones((6, 6))}, "scornn: W is not orthogonal, WᵀW differs from I by 6"),
        (EXPRNN, {"W": ORTHOGONAL.astype(np.float32)}, "nearest orthogonal matrix, scipy.linalg.polar"),
        (EXPRNN, {"W": np.diag([1.0, 1, 1, 1, 1, -1])}, "det W = −1"),
        (SCORNN, {"W": np.diag([-1.0, 1, 1, 1, 1, 1])}, "other signs"),
        (SCORNN, {"A": np.ones((6, 6))}, r"A is not antisymmetric, A \+ Aᵀ has an entry 2"),
        (EXPRNN, {"A": np.ones((6, 6))}, "A is not antisymmetric"),
        (EXPRNN, {"A": np.ones((5, 5))}, r"A has shape \(5, 5\); give a matrix \(6, 6\)"),
        (SCORNN, {"D": [1.0, 1, 1, 1, 1, 0.5]}, "D holds 0.5; its entries must be 1 or −1"),
        (SCORNN, {"A": np.zeros(15), "W": ORTHOGONAL}, "W is .* off what A make of it"),
        (SCORNN, {"B": 1.0}, "scornn has no parameter 'B' .* it has W, b, A, D"),
        (ANTISYMMETRIC, {"W": np.ones((6, 6))}, "W is not A − Aᵀ − γ I with γ = 0.01"),
        (SCURNN, {"A": np.ones((6, 6))}, "not skew-Hermitian"),
        (SCURNN, {"W": np.eye(12)[::-1]}, "W is no complex matrix"),
        (URNN, {"W": np.eye(12)}, "urnn: W alone does not tell its factors; give D1, D2, D3, R1, R2"),
        (URNN, {"R1": np.zeros(6)}, "R1 is zero"),
        (URNN, {"permutation": [0, 1, 2, 3, 4, 4]}, "permutation must hold each of 0 … 5 once"),
        (ENRNN, {"W2": np.triu(np.ones((3, 3)), 1)}, "W2 has the spectral radius 0"),
        (ENRNN, {"W": np.eye(6) + np.eye(6, k=-4)}, "rows 3 … of W must be zero in the first 3 columns"),
        (ENRNN, {"W": np.diag([1.0, 1, 1, 2, 2, 2])}, "spectral radius 2, not 1"),
        (MODRELU_COMPLEX, {"W": np.ones((12, 12))}, "W is no complex matrix"),
        (EXPRNN, {"A": np.full(15, np.nan)}, "A holds nan"),
    ],
)  # fmt: skip
def test_what_is_not_of_the_structure_is_refused(kind, given, message):
    with pytest.raises((ValueError, TypeError), match=message):
        kind(6, **given)


@pytest.mark.parametrize(
    ("model", "structure", "message"),
    [
        (
            "vanilla",
            Positive("W"),
            r"vanilla: Positive makes W of shape \(6,\) and the cell asks for \(6, 6\)",
        ),
        ("lstm", Positive("b"), r"lstm: Positive makes b of shape \(6,\) and the cell asks for \(24,\)"),
        ("lstm", Antisymmetric(), r"Antisymmetric makes W of shape \(6, 6\) and the cell asks for \(24, 6\)"),
        ("gru", Cayley(), r"Cayley makes W of shape \(6, 6\) and the cell asks for \(18, 6\)"),
    ],
)
def test_a_structure_for_another_shape_is_refused_when_a_cell_is_made(model, structure, message):
    cell = make(model, 6)
    ones = {name: np.ones(value.shape) for name, value in cell.parameters.items() if name in "Wb"}
    with pytest.raises(ValueError, match=message):
        cell.with_parameters(**ones).structured(structure)


def test_a_spectral_radius_without_a_derivative_is_named():
    cell = ENRNN(4, W2=[[1.0, 1.0], [0.0, 1.0]])
    with pytest.raises(ValueError, match="largest eigenvalue of W2 is defective"):
        cell.adjoint(np.ones(4), None, np.ones(4))


@pytest.mark.parametrize("name", [name for name in STRUCTURED if name != "urnn"])
def test_free_parameters_are_recovered_from_the_matrix(name):
    for size in (0.0, 0.5):
        cell = moved(name, 7, 3, size=size)
        names = set(cell.parameters)
        if name == "s4d":  # frequencies alias
            with pytest.raises(ValueError, match="give log_dt, log_decay and frequency"):
                cell.kind(7, 3, **cell.parameters)
            continue
        fixed = {key: cell.free_parameters[key] for key in cell.kind.structure.fixed}
        again = cell.kind(7, 3, step=cell.step_size, **{n: cell.parameters[n] for n in names}, **fixed)
        assert np.abs(again.theta - cell.theta).max() <= 1e-12
        assert np.array_equal(again.kind(7, 3, **again.free_parameters).theta, again.theta)


@every_structure
@pytest.mark.parametrize("suffix", (".npz", ".safetensors"))
def test_weights_of_structured_cells_go_through_files(name, suffix, tmp_path):
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    cell, path = moved(name, 6, 2), tmp_path / f"own{suffix}"
    save_weights(path, cell)
    again = load_weights(path, name)
    assert np.array_equal(again.theta, cell.theta) and np.array_equal(again.free, cell.free)
    assert again.kind.structure == cell.kind.structure


@every_structure
def test_structures_pickle_and_compare(name):
    structure = make(name, 6, 2).kind.structure
    assert pickle.loads(pickle.dumps(structure)) == structure
    joint = Joint(structure, Positive("b"))
    assert pickle.loads(pickle.dumps(joint)) == joint != Joint(structure, Positive("c"))
    assert pickle.loads(pickle.dumps(Turn(0.5))) == Turn(0.5) != Turn(1.0) and hash(Turn(0.5)) == hash(
        Turn(0.5)
    )


@every_structure
def test_structured_cells_pickle_copy_and_compare(name):
    cell = moved(name)
    again = pickle.loads(pickle.dumps(cell))
    assert again == cell == copy.deepcopy(cell) and np.array_equal(again.free, cell.free)
    assert np.array_equal(again.with_free(cell.free).theta, cell.theta)
    assert cell != cell.with_free(cell.free + 0.1 * cell.free_trainable) and cell != cell.unstructured()


def test_vectors_are_unpacked_as_what_they_are():
    cell = make("urnn", 4, 2)
    gradient = cell.adjoint(np.ones(8), np.ones(2), np.ones(8))[2]
    assert set(cell.unpack_free(gradient)[0]) >= {"D1", "D2", "D3", "R1", "R2", "V", "b"}
    with pytest.raises(ValueError, match=r"shape \(54,\); .* has 86 entries in theta: see also unpack_free"):
        cell.unpack(gradient)
    with pytest.raises(ValueError, match="has 54 entries in free: see also unpack"):
        cell.unpack_free(cell.theta)


def test_reversed_sweeps_and_local_rules_are_by_the_free_parameters():
    rng = np.random.default_rng(2)
    cell = unicornn(3, 1).structured(Positive("w"))
    run, lam = unroll(cell, s0=rng.normal(size=6), inputs=rng.normal(size=(9, 1))), rng.normal(size=(6, 1))
    swept = run.reversed_pullback(lam, gradient=True).gradient[0]
    assert np.allclose(swept, run.parameter_gradient(lam[:, 0]), rtol=1e-9) and swept.shape == cell.free.shape
    leaky = make("leaky", 4, 1).structured(Exponential(), A=np.zeros(6))
    run = unroll(leaky, inputs=rng.normal(size=(1, 1)))  # one step: the local rule is exact
    cotangents = rng.normal(size=(2, 4))
    exact = run.backpropagate(cotangents).theta
    assert np.allclose(rflo_gradient(run, cotangents), exact, rtol=1e-13, atol=1e-15)


@every_structure
def test_the_free_parameters_alone_make_the_same_bits(name):
    cell = moved(name, 7, 3)
    assert np.array_equal(cell.kind(7, 3, **cell.free_parameters).theta, cell.theta)
    assert np.array_equal(cell.with_free(cell.free).theta, cell.theta)
    assert np.array_equal(cell.with_theta(cell.theta).free, cell.free)
    own = next(key for key in ("b", "V") if key in cell.parameters)
    assert np.array_equal(cell.with_parameters(**{own: cell.parameters[own]}).theta, cell.theta)
    # Parameters beside those of the structure can be set either way.
    theta = cell.theta.copy()
    cell.unpack(theta)[0][own][...] = 0.25
    other = cell.with_theta(theta)
    assert (other.free_parameters[own] == 0.25).all() and (other.parameters[own] == 0.25).all()
    for made in cell.kind.structure.makes:
        assert np.array_equal(other.parameters[made], cell.parameters[made])


def test_a_matrix_without_the_structure_has_none():
    cell = make("scornn", 5, 2)
    theta = cell.theta.copy()
    cell.unpack(theta)[0]["W"][...] *= 2.0
    with pytest.warns(RuntimeWarning, match="has no structure: scornn: W is not orthogonal"):
        loose = cell.with_theta(theta)
    assert loose.kind.structure is None and np.array_equal(loose.theta, theta)
    assert loose.adjoint(np.ones(5), np.ones(2), np.ones(5))[2].shape == loose.theta.shape
    assert cell.kind.structure is not None
    free = cell.unstructured()
    assert np.array_equal(free.theta, cell.theta) and np.array_equal(free.free, cell.theta)


def test_layers_each_have_their_own():
    parts = [{"A": naive_structures.skew(np.random.default_rng(k).normal(size=10), 5)} for k in range(3)]
    cell = EXPRNN.layers(5, 2, parts)
    for own, part in zip(cell.unpack(cell.theta), parts, strict=True):
        assert np.array_equal(own["W"], scipy.linalg.expm(part["A"]))
    rng = np.random.default_rng(0)
    s, x, lam = rng.normal(size=15), rng.normal(size=2), rng.normal(size=15)
    gradient = cell.adjoint(s, x, lam)[2]
    step = 1e-5 * rng.normal(size=cell.free.size)
    difference = (
        cell.with_free(cell.free + step).step(s, x) - cell.with_free(cell.free - step).step(s, x)
    ) / 2
    assert gradient @ step == pytest.approx(difference @ lam, rel=1e-8)


# ----------------------------------------------------------------------------- structures of other cells


def test_any_cell_may_have_an_orthogonal_matrix():
    cell = vanilla(6, 2).structured(Exponential(), A=naive_structures.skew(np.ones(15), 6))
    W = cell.parameters["W"]
    assert np.abs(W.T @ W - np.eye(6)).max() <= 1e-13 and np.array_equal(
        cell.parameters["V"], vanilla(6, 2).parameters["V"]
    )
    with pytest.raises(ValueError, match="vanilla: W is not orthogonal"):
        vanilla(6, 2).structured(Cayley())
    with pytest.raises(ValueError, match="makes 'W', which unicornn does not have"):
        unicornn(4, 2).structured(Exponential())


class Turn(Structure):
    """A rotation (c, s) by an angle."""

    makes = ("c", "s")

    def __init__(self, sign=1.0):
        self.sign = sign

    def shapes(self, d):
        return {"angle": ()}

    def assemble(self, free):
        return {"c": np.cos(free["angle"]), "s": np.sin(free["angle"])}

    def pullback(self, free, gradient):
        by = self.sign * np.sin(free["angle"])
        return {"angle": -by * gradient["c"] + np.cos(free["angle"]) * gradient["s"]}


def test_structures_of_ones_own():
    import sympy

    u, v, c, s, g, x = sympy.symbols("u v c s g x")
    plain = symbolic_cell(
        [sympy.tanh(c * u - s * v + x), g * (s * u + c * v)], [u, v], [x], {c: 1.0, s: 0.0, g: 2.0}
    )
    cell = plain.structured(Turn(), angle=0.3)
    assert cell.parameters["c"][0] == np.cos(0.3) and cell.parameters["g"][0] == 2.0
    state, lam = np.array([0.2, -0.4]), np.array([1.0, 2.0])
    found = cell.unpack_free(cell.adjoint(state, [0.1], lam)[2])[0]
    eps = 1e-6
    for name in ("angle", "g"):
        ends = [
            cell.with_parameters(**{name: cell.free_parameters[name] + e}).step(state, [0.1])
            for e in (eps, -eps)
        ]
        assert np.ravel(found[name])[0] == pytest.approx((ends[0] - ends[1]) @ lam / (2 * eps), rel=1e-8)
    both = plain.structured(Joint(Turn(), Positive("g")), angle=0.3, log_g=[0.5])
    assert both.parameters["g"][0] == np.exp(0.5) and both.free.size == 3  # and V, which is the identity
    other = both.with_parameters(g=[3.0])
    assert other.parameters["g"][0] == pytest.approx(3.0) and other.free_parameters["angle"] == 0.3
    with pytest.raises(ValueError, match="symbolic needs s beside c, or angle"):
        both.with_parameters(c=[1.0])
    assert plain.structured(Positive("g")).free_parameters["log_g"][0] == pytest.approx(np.log(2.0))
    with pytest.raises(ValueError, match=r"the pullback of Turn gives .* along a direction of angle"):
        plain.structured(Turn(-1.0), angle=0.3)
    with pytest.raises(ValueError, match="c, s alone does not tell the free parameters; give angle"):
        plain.structured(Turn())
    with pytest.raises(ValueError, match="every entry must be positive"):
        symbolic_cell([g * u], [u], parameters={g: -1.0}).structured(Positive("g"))
    with pytest.raises(ValueError, match="needs names of its own"):
        Joint(Exponential(), Cayley())


def test_own_cells_of_functions_too():
    def step(theta, s, x, out, by_state):
        for q in range(s.shape[1]):
            out[0, q] = theta[0] * s[0, q] * (1 - s[0, q])
            by_state[0, 0, q] = theta[0] * (1 - 2 * s[0, q])

    def slopes(theta, s, x, by_theta, by_input):
        for q in range(s.shape[1]):
            by_theta[0, 0, q] = s[0, q] * (1 - s[0, q])

    logistic = own_cell(step, slopes, 1, {"r": 3.9}).structured(Positive("r"))
    run = unroll(logistic, 5, s0=[0.3])
    found = run.parameter_gradient([1.0])
    ends = [unroll(logistic.with_free(logistic.free + e), 5, s0=[0.3]).run()[0] for e in (1e-6, -1e-6)]
    assert found[0] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6)


@pytest.mark.parametrize("n_inputs", [0, 2])
def test_keys_of_an_mlstm_that_are_tied_stay_the_same_for_all_neurons(n_inputs):
    plain, cell = make("mlstm", 3, n_inputs, rng=4), make("mlstm", 3, n_inputs, rng=4, tied=True)
    assert np.array_equal(cell.theta, plain.theta)
    shapes = {name: value.shape for name, value in cell.free_parameters.items()}
    driven = {"V_own": (3, 2), "V_shared": (6, 2)} if n_inputs else {}
    assert shapes == {**driven, "b_shared": (2,), "exponential": ()}
    rng = np.random.default_rng(1)
    moved = cell.with_free(cell.free + cell.free_trainable * rng.normal(size=cell.free.size))
    V = moved.parameters["V"].reshape(7, 3, 2) if n_inputs else np.zeros((7, 3, 0))
    assert (V[1:] == V[1:, :1]).all() and (n_inputs == 0 or np.ptp(V[0]) > 0.0)
    assert np.array_equal(moved.with_theta(moved.theta).free, moved.free)
    s, x, lam = np.abs(rng.normal(size=cell.dim)), rng.normal(size=n_inputs), rng.normal(size=cell.dim)
    found = moved.adjoint(s, x, lam)[2]
    h = 1e-5
    for j in np.flatnonzero(moved.free_trainable):
        step = h * np.eye(moved.free.size)[j]
        ends = [moved.with_free(moved.free + sign * step).step(s, x) @ lam for sign in (1.0, -1.0)]
        assert found[j] == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-7, abs=1e-9)
    if n_inputs:
        with pytest.raises(ValueError, match="V is"):
            cell.with_parameters(V=rng.normal(size=(21, 2)))
