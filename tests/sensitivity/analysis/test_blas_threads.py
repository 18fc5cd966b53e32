"""No bit depends on the number of BLAS threads: d = 110, for BLAS shares out matrices of 9216 entries on."""

import pickle

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import leapgrad as lg

D = 110
QUESTIONS = {
    "parameter_sensitivity": lambda run: lg.parameter_sensitivity(run),
    "growth_exponents": lambda run: lg.growth_exponents(run, k=5).exponents,
    "window_norms": lambda run: lg.window_norms(run, 3),
    "singular_values": lambda run: lg.singular_values(run).log,
    "log_norm_gradient": lambda run: lg.log_norm_gradient(run).parameters["W"],
    "readout_ceiling": lambda run: lg.readout_ceiling(run, np.ones(run.n_steps)).accuracy,
    "bounds": lambda run: lg.bounds.of_recurrence(run),
}


def asked(question):
    """The answer with one and with two BLAS threads."""
    answers = []
    for count in (1, 2):
        with threadpool_limits(count, "blas"):
            answers.append(pickle.dumps(question()))
    return answers


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_cell(name):
    cell, inputs = lg.cell("gru", D, 3, rng=0), np.random.default_rng(0).normal(size=(12, 3))
    one, two = asked(lambda: QUESTIONS[name](lg.unroll(cell, inputs=inputs)))
    assert one == two


def test_a_certified_region():
    pytest.importorskip("flint")
    cell, inputs = lg.cell("vanilla", D, 3, rng=0), np.random.default_rng(0).normal(size=(2, 3))
    one, two = asked(lambda: lg.certify_region(lg.unroll(cell, inputs=inputs), radius=1e-6))
    assert one == two
