"""Which theorems a certificate names: all there are, each with what becomes of it."""

import pytest

from integrators import NeuralField
from sensitivity import bounds, cell, unroll
from sensitivity.bounds.listing import listed

CASES = [("leapfrog", "position"), ("leapfrog", "phase"), ("euler", "position"), ("verlet", "position")]


# Catches: a theorem of the table that is not named, and a reason that is not that of `inapplicable`.
@pytest.mark.parametrize(("scheme", "block"), CASES)
def test_every_theorem_is_listed_with_the_reason(scheme, block):
    field = NeuralField.random(2, rng=0)
    found = listed(unroll(field, scheme=scheme, step=0.1, n_steps=20), block)
    table = [row for row in bounds.TABLE if row.block == block]
    assert [(row.theorem, row.bound) for row in found] == [(row.theorem, row.name) for row in table]
    holding = {b.name for b in bounds.applicable(field, scheme, 0.1, 20, of=("recursion", "trajectory",
               "product", "flow"), block=block)}  # fmt: skip
    assert {row.bound for row in found if row.holds} == holding
    assert all(row.holds or not row.decided for row in found)
    if block == "position":
        reasons = bounds.inapplicable(field, scheme, 0.1, 20)
        assert {row.bound: row.said for row in found if not row.holds} == {
            name: f"does not hold: {reason}" for name, reason in reasons.items()
        }
        assert {"F", "H", "K"} <= {row.theorem for row in found if row.holds and not row.decided}


# Catches: a bound that is among those of a certificate and said not to be decided, or the other way round.
@pytest.mark.parametrize(("scheme", "block"), CASES)
def test_a_certificate_has_the_bounds_that_are_said_to_be_decided(scheme, block):
    pytest.importorskip("flint")
    from sensitivity.certification import certify

    found = certify(NeuralField.random(2, rng=0), scheme, 0.1, 5, block=block)
    assert [row.bound for row in found.theorems if row.decided] == [bound.name for bound in found.bounds]
    assert "for exactly these weights, inputs and initial values" in repr(found)


@pytest.mark.parametrize(("name", "block", "own"), [("lstm", None, True), ("gru", None, None)])
def test_of_a_cell_its_own_bound_and_the_products_are_listed(name, block, own):
    run = unroll(cell(name, 3, rng=0), n_steps=5)
    first, *products = listed(run, block)
    proved = own if own is not None else bounds.of_recurrence(run)[0].theorem == "cell"
    assert (first.theorem, first.bound) == ("cell", name) and first.holds == first.decided == proved
    names = [(row.theorem, row.bound) for row in products]
    assert names == [("H", "step_product"), ("H", "weighted_product"), ("K", "segment_product")]
    assert all(row.holds and not row.decided and "--products" in row.said for row in products)
