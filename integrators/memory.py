"""Copies that several kernels make."""

from __future__ import annotations

from .compiled import helper

__all__ = ["copy_into", "fill_input"]


@helper
def fill_input(inputs, rows, number, x):
    """x ← the input of kick `number`, for every lane."""
    if x.shape[0] == 0:
        return
    row = inputs[rows[number]]
    shared = row.shape[1] == 1
    for i in range(x.shape[0]):
        for q in range(x.shape[1]):
            x[i, q] = row[i, 0 if shared else q]


@helper
def copy_into(source, target):
    """target ← source for flat arrays."""
    for f in range(source.size):
        target[f] = source[f]
