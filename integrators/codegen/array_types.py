"""The array types of compiled signatures, by rank: contiguous float64, and int64 for counts."""

from __future__ import annotations

from numba import types

__all__ = ["COLUMNS", "COUNTS", "MATRIX", "STACK", "TABLE", "VECTOR"]

VECTOR, MATRIX, COLUMNS, STACK = (types.Array(types.float64, n, "C") for n in (1, 2, 3, 4))
COUNTS, TABLE = (types.Array(types.int64, n, "C") for n in (1, 2))
