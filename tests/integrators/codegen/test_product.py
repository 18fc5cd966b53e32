"""Products on blocks of columns: every column has the bits that it has alone."""

import numpy as np
import pytest
from numba import types

from integrators.codegen.array_types import VECTOR
from integrators.codegen.compiled import kernel
from integrators.codegen.product import PACKED_DIM, push_columns

_I, _B = types.int64, types.boolean


@kernel(types.void(VECTOR, VECTOR, VECTOR, _I, _I, _I, _I, VECTOR, _B, VECTOR, _B))
def push(A, B, out, rows, inner, n, m, scale, by_lane, drift, in_place):
    push_columns(A, 0, inner, 1, rows, inner, B, out, n, m, scale, by_lane, drift, in_place)


def pushed(A, B, out, scale, drift, in_place):
    """(B, out) after `push_columns` on copies; columns are (rows, k, m), the scale is (rows, m or 1)."""
    B, out, (rows, inner) = B.copy(), out.copy(), A.shape
    n, m = B[0].size, B.shape[2]
    flat, target = B.reshape(-1), B.reshape(-1) if in_place else out.reshape(-1)
    push(A.ravel(), flat, target, rows, inner, n, m, scale.ravel(), scale.shape[1] > 1, drift, in_place)
    return B, B if in_place else out


# Several panels of many rows; a strip that ends with the lanes; columns that fill no register.
SHAPES = [
    (PACKED_DIM, 500, 1),
    (PACKED_DIM + 5, 7, 24),
    (PACKED_DIM + 5, 3, 16),
    (PACKED_DIM, 21, 1),
    (PACKED_DIM - 1, 40, 1),
    (13, 5, 40),
    (6, 3, 5),
]


@pytest.mark.parametrize("how", ["alone", "with a drift", "in place"])
@pytest.mark.parametrize(("d", "k", "m"), SHAPES)
def test_a_column_has_the_bits_that_it_has_alone(d, k, m, how, rng):
    A, scale = rng.normal(size=(d, d)), rng.normal(size=(d, m))
    B, out = rng.normal(size=(2, d, k, m))
    drift = rng.normal(size=m if how == "with a drift" else 0)
    in_place = how == "in place"
    found = pushed(A, B, out, scale, drift, in_place)
    expected = out + scale[:, None] * np.einsum("ij,jkm->ikm", A, B) if not in_place else None
    if expected is not None:
        np.testing.assert_allclose(found[1], expected, rtol=0.0, atol=1e-13 * d * abs(expected).max())
    for r, q in {(0, 0), (k - 1, m - 1), (k // 2, m // 2), (k // 3, m - 1)}:
        one = (slice(None), slice(r, r + 1), slice(q, q + 1))
        apart = pushed(A, B[one], out[one], scale[:, q : q + 1], drift[q : q + 1], in_place)
        for whole, part in zip(found, apart, strict=True):
            np.testing.assert_array_equal(whole[one], part)


def test_a_matrix_with_fewer_rows_than_columns(rng):
    A, B, out = (
        rng.normal(size=(9, PACKED_DIM + 3)),
        rng.normal(size=(PACKED_DIM + 3, 90, 1)),
        np.zeros((9, 90, 1)),
    )
    found = pushed(A, B, out, np.ones((9, 1)), np.zeros(0), False)[1]
    np.testing.assert_allclose(found[:, :, 0], A @ B[:, :, 0], rtol=0.0, atol=1e-11)
