"""Blocks of the state by name."""

from functools import partial

import pytest

import leapgrad as lg


@pytest.mark.parametrize(
    "asked",
    [
        lg.jacobian, lg.log_jacobian_norm, lg.singular_values, lg.log_singular_values, lg.gradient_profile,
        lg.log_norm_gradient, lg.singular_directions, lg.memory_kernels, lg.parameter_sensitivity,
        lg.gradient_in_time, lg.bounds.step_product, partial(lg.window_norms, width=2),
        partial(lg.finite_time_exponents, width=2),
    ],
)  # fmt: skip
def test_a_block_without_components_is_refused_by_name(asked):
    for split, empty, held in ((0, "h1", "h2"), (3, "h2", "h1")):
        run = lg.unroll(lg.cell("enrnn", 3, 1, split=split), n_steps=4)
        asked(run, block=held)
        with pytest.raises(
            ValueError, match=f"block '{empty}' has no components .* it has 'h', '{held}', 'st"
        ):
            asked(run, block=empty)


# Catches: an error of Numba about the types of arrays.
@pytest.mark.parametrize(
    "asked",
    [
        lg.log_singular_values, lg.growth_exponents, lg.covariant_vectors, lg.gradient_profile,
        lg.parameter_sensitivity, lg.gradient_in_time, lg.memory_kernels, lg.log_norm_gradient,
        partial(lg.singular_directions, of="inputs"),
    ],
)  # fmt: skip
def test_what_is_computed_in_float64_alone_says_so(asked):
    field = lg.NeuralField.random(3, rng=0, inputs=1)
    run = lg.Recurrence(field, 10, scheme="leapfrog", step=0.1, dtype="float32")
    with pytest.raises(ValueError, match=r"computed in float64.* leave out dtype"):
        asked(run)
    asked(lg.Recurrence(field, 10, scheme="leapfrog", step=0.1))
