"""Balls as plain numbers and back, exactly: what FLINT's own objects cannot be is pickled and compared."""

from __future__ import annotations

from typing import Any

__all__ = ["dumped", "loaded"]


def dumped(value: Any) -> Any:
    """arb and arb_mat as tuples of int, mantissa and exponent of midpoint and radius; others as they are."""
    from flint import arb, arb_mat

    if isinstance(value, arb_mat):
        return value.nrows(), value.ncols(), tuple(map(dumped, value.entries()))
    if not isinstance(value, arb):
        return value
    parts = value.mid(), value.rad()
    # Infinity and NaN have no mantissa.
    return tuple(tuple(map(int, p.man_exp())) if p.is_finite() else str(p) for p in parts)


def loaded(value: Any, kind: str) -> Any:
    """The ball ("arb") or the matrix of balls ("arb_mat") that was dumped."""
    from flint import arb, arb_mat

    if kind == "arb_mat":
        rows, columns, entries = value
        return arb_mat(rows, columns, [loaded(entry, "arb") for entry in entries])
    middle, radius = map(_exactly, value)
    # FLINT rounds a radius up, even one of 30 bits that needs no rounding: it is given the one below.
    if not isinstance(value[1], str) and value[1][0]:
        mantissa, exponent = value[1]
        shift = 30 - mantissa.bit_length()
        if shift >= 0:
            tighter = arb(middle, _exactly(((mantissa << shift) - 1, exponent - shift)))
            if dumped(tighter) == value:
                return tighter
    return arb(middle, radius)


def _exactly(part: tuple[int, int] | str) -> Any:
    from flint import arb, ctx, fmpz

    if isinstance(part, str):
        return arb(part)
    mantissa, exponent = part
    with ctx.workprec(max(64, mantissa.bit_length() + 8)):
        return arb(fmpz(mantissa)) * arb(2) ** exponent
