"""Which way to the norm "auto" takes, and that both give the same."""

from __future__ import annotations

import numpy as np
import pytest

import sensitivity.analysis.singular as singular
from benchmarks import norm_methods
from integrators import NeuralField
from sensitivity import OdeRecurrence, jacobian_norm
from sensitivity.recurrences.cell import unroll
from sensitivity.recurrences.registry import MODELS, make

# By processor time with one member and d = 48 or 100, Lanczos is the better way for none of the others.
FEW_ITERATIONS = {"irnn", "scornn", "enrnn", "urnn"}


def tries_lanczos(recurrence):
    found = []
    original = singular.repeated_triplets

    def noting(*arguments):
        found.append(arguments)
        return original(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(singular, "repeated_triplets", noting)
        norm = jacobian_norm(recurrence)
    return bool(found), norm


# Catches: Lanczos from 48 columns on, which took up to 20 times as long as the full product.
@pytest.mark.parametrize("d", [48, 100])
def test_one_member_takes_the_full_product(d):
    limits = {
        name: singular._iterations(unroll(make(name, d), 100), d, 1, 1)
        for name in MODELS
        if name not in FEW_ITERATIONS
    }
    assert not any(limits.values()), limits


# Catches: a model that never finds Lanczos worth while, or forgets the number of members.
def test_many_members_of_a_wide_field_take_lanczos():
    field = NeuralField.random(64)
    run = OdeRecurrence(field, "leapfrog", np.linspace(0.01, 0.1, 16), 40)
    tried, norm = tries_lanczos(run)
    assert tried
    np.testing.assert_allclose(norm, jacobian_norm(run, method="full"), rtol=1e-9)
    tried, _ = tries_lanczos(run.select(slice(0, 1)))
    assert not tried


# Catches: a choice, and with it bits, that depends on how many threads share the members.
def test_the_way_does_not_depend_on_threads():
    step = np.linspace(0.01, 0.1, 16)
    runs = [OdeRecurrence(NeuralField.random(64), "leapfrog", step, 40, threads=n) for n in (1, 2, 5)]
    first, *others = (tries_lanczos(run) for run in runs)
    for tried, norm in others:
        assert tried == first[0]
        np.testing.assert_array_equal(norm, first[1])


# Catches: iterations beyond what the full product costs.
def test_it_gives_up_when_the_full_product_would_be_done():
    run = OdeRecurrence(NeuralField.random(64), "leapfrog", np.linspace(0.01, 0.1, 16), 40)
    most = singular._iterations(run, 64, 1, 16)
    assert 7 <= most <= 40
    assert singular._iterations(run, 128, 1, 16) > most
    assert singular._iterations(run, 64, 5, 16) == 0  # five values take twice as many sweeps and more


def test_the_benchmark_compares_all_methods():
    name, made = next(iter(norm_methods.models(6, 5).items()))
    row = norm_methods.compared(name, made(), 6, 1)
    assert set(row.seconds) == {"full", "lanczos", "auto"} and row.iterations >= 1
    assert len(norm_methods.models(6, 5)) == len(MODELS) + 2
