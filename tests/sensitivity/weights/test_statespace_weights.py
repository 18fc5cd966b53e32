"""State-space cells from arrays with the names of their authors' code, against that code's step in NumPy."""

import numpy as np
import pytest

import leapgrad as lg

D, H = 3, 4
RNG = np.random.default_rng(5)


def sigma(x):
    return 1.0 / (1.0 + np.exp(-x))


def softplus(x):
    return np.log1p(np.exp(x))


def complex_of(pairs):
    return pairs[..., 0] + 1j * pairs[..., 1]


LRU = {
    "theta_log": RNG.normal(size=D), "nu_log": RNG.normal(size=D) - 2.0, "gamma_log": RNG.normal(size=D),
    "B_re": RNG.normal(size=(D, H)), "B_im": RNG.normal(size=(D, H)), "C_re": RNG.normal(size=(H, D)),
    "C_im": RNG.normal(size=(H, D)), "D": RNG.normal(size=H),
}  # fmt: skip
S5 = {
    "Lambda_re": -RNG.uniform(0.1, 1.0, D), "Lambda_im": RNG.normal(size=D), "B": RNG.normal(size=(D, H, 2)),
    "C": RNG.normal(size=(H, D, 2)), "D": RNG.normal(size=H), "log_step": RNG.normal(size=(D, 1)) - 3.0,
}  # fmt: skip
LINOSS = {
    "A_diag": RNG.normal(size=D), "B": RNG.normal(size=(D, H, 2)), "C": RNG.normal(size=(H, D, 2)),
    "D": RNG.normal(size=H), "steps": RNG.normal(size=D),
}  # fmt: skip
DLINOSS = {**LINOSS, "G_diag": RNG.normal(size=D)}
MAMBA = {
    "A_log": RNG.normal(size=(D, 16)), "D": np.ones(D), "x_proj.weight": RNG.normal(size=(2 + 32, D)),
    "dt_proj.weight": RNG.normal(size=(D, 2)), "dt_proj.bias": RNG.normal(size=D),
    "conv1d.weight": RNG.normal(size=(D, 1, 4)), "in_proj.weight": RNG.normal(size=(2 * D, 2)),
}  # fmt: skip
MINGRU = {"to_hidden_and_gate.weight": RNG.normal(size=(2 * D, H))}
MINLSTM = {"to_hidden_and_f_i_gate.weight": RNG.normal(size=(3 * D, H))}


def lru_step(p, s, x):
    lam = np.exp(-np.exp(p["nu_log"]) + 1j * np.exp(p["theta_log"]))
    B = (p["B_re"] + 1j * p["B_im"]) * np.exp(p["gamma_log"])[:, None]
    h = lam * (s[:D] + 1j * s[D:]) + B @ x
    return np.concatenate([h.real, h.imag])


def s5_step(p, s, x):
    rate, dt = p["Lambda_re"] + 1j * p["Lambda_im"], np.exp(p["log_step"][:, 0])
    pole = np.exp(rate * dt)
    h = pole * (s[:D] + 1j * s[D:]) + ((pole - 1.0) / rate)[:, None] * complex_of(p["B"]) @ x
    return np.concatenate([h.real, h.imag])


def linoss_step(p, s, x, implicit=False):
    z, y = (part[:D] + 1j * part[D:] for part in np.split(s, 2))
    A, dt, u = np.maximum(p["A_diag"], 0.0), sigma(p["steps"]), complex_of(p["B"]) @ x
    G = np.zeros(D)
    if "G_diag" in p:
        G = np.maximum(p["G_diag"], 0.0)
        root = 2.0 * np.sqrt(1.0 + dt * G)
        A = np.clip(p["A_diag"], (2.0 + dt * G - root) / dt**2, (2.0 + dt * G + root) / dt**2)
    z = (z + dt * (u - A * y)) / (1.0 + dt * G + (dt**2 * A if implicit else 0.0))
    y = y + dt * z
    return np.concatenate([z.real, z.imag, y.real, y.imag])


def mamba_step(p, s, x):
    low = p["x_proj.weight"] @ x
    dt = softplus(p["dt_proj.weight"] @ low[:2] + p["dt_proj.bias"])
    A, h = -np.exp(p["A_log"]), s.reshape(16, D).T
    h = np.exp(dt[:, None] * A) * h + (dt * x)[:, None] * low[2:18]
    return h.T.ravel()


def candidate(a):
    return np.where(a >= 0.0, a + 0.5, sigma(a))


def mingru_step(p, s, x):
    hidden, gate = np.split(p["to_hidden_and_gate.weight"] @ x, 2)
    return s + sigma(gate) * (candidate(hidden) - s)


def minlstm_step(p, s, x):
    hidden, f, i = np.split(p["to_hidden_and_f_i_gate.weight"] @ x, 3)
    f, i = sigma(f), sigma(i)
    return (s * f + candidate(hidden) * i) / (f + i)


CASES = {
    "lru": (LRU, lru_step, {}),
    "s4d": (S5, s5_step, {}),
    "linoss_imex": (LINOSS, linoss_step, {"model": "linoss_imex"}),
    "linoss_im": (LINOSS, lambda p, s, x: linoss_step(p, s, x, True), {"model": "linoss_im"}),
    "dlinoss": (DLINOSS, linoss_step, {}),
    "s6": (MAMBA, mamba_step, {}),
    "mingru": (MINGRU, mingru_step, {}),
    "minlstm": (MINLSTM, minlstm_step, {}),
}


@pytest.mark.parametrize("name", CASES)
def test_steps_are_those_of_the_authors_code(name):
    arrays, step, given = CASES[name]
    cell = lg.from_arrays({f"layers_0.seq.{key}": value for key, value in arrays.items()}, **given)
    assert cell.name == name
    s, x = RNG.normal(size=cell.dim), RNG.normal(size=cell.n_inputs)
    expected = step(arrays, s, x)
    assert np.abs(cell.step(s, x) - expected).max() <= 1e-12 * max(1.0, np.abs(expected).max())


def test_a_gain_that_was_not_trained_keeps_the_structure():
    arrays = {**LRU, "gamma_log": 0.5 * np.log(-np.expm1(-2.0 * np.exp(LRU["nu_log"])))}
    assert "nu" in lg.from_arrays(arrays).free_parameters and "nu" not in lg.from_arrays(LRU).free_parameters


def test_one_of_several_is_chosen_and_files_are_read(tmp_path, capsys):
    arrays = {f"layers_{n}.seq.{key}": value * (1 + n) for n in range(2) for key, value in MINGRU.items()}
    with pytest.raises(
        ValueError, match=r"2 recurrences; choose one by prefix: layers_0\.seq, layers_1\.seq"
    ):
        lg.from_arrays(arrays)
    second = lg.from_arrays(arrays, prefix="layers_1.seq")
    assert np.array_equal(second.parameters["V"][:D], 2 * MINGRU["to_hidden_and_gate.weight"][D:])
    path = tmp_path / "weights.npz"
    np.savez(path, **{f"mixer.{key}": value for key, value in MAMBA.items()})
    assert lg.load_weights(path).name == "s6"
    from sensitivity.cli import main

    assert main(["norm", "--model", f"s6={path}", "--n-steps", "5"]) == 0
    assert "s6 (weights.npz), d = 3, 3 inputs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arrays", "given", "message"),
    [
        (LINOSS, {}, "those of linoss_imex and linoss_im; say which one"),
        (LINOSS, {"model": "lru"}, "lru was asked for, but the names are those of linoss_imex or"),
        ({**MAMBA, "A_log": np.zeros((D, 8))}, {}, "16 states"),
        ({**S5, "Lambda_re": np.ones(D)}, {}, "the rates of s4d are negative"),
        ({"to_hidden_and_gate.weight": np.ones((3, 2))}, {}, "2 rows a neuron"),
        ({**LRU, "B_re": np.ones(D)}, {}, "B_re"),
        (MINGRU, {"prefix": "encoder"}, "1 recurrences; choose one by prefix"),
    ],
)
def test_mistakes_are_one_sentence(arrays, given, message):
    with pytest.raises((ValueError, TypeError), match=message):
        lg.from_arrays(arrays, **given)
