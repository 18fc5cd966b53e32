"""Handwritten digits as sequences: pixel by pixel, or several pixels at a time, such as row by row."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from sensitivity.training.data.idx import load_mnist
from sensitivity.training.data.sequences import Sequences, hold_out, some_of
from sensitivity.training.trainer import Split

__all__ = ["DIGITS", "PIXELS", "VALIDATION", "digits", "digits_in_steps"]

PIXELS, DIGITS = 784, 10
VALIDATION = 5000
"""Training images that are set aside to choose settings by."""


@lru_cache(maxsize=2)
def digits(folder: str | None = None, task: str = "mnist", validation: int = VALIDATION) -> Split:
    """Training, test and validation images, a pixel a step; "pmnist" has the pixels in another order.

    Raises
    ------
    DataError
        If the files are missing or damaged, see `load_mnist`.
    """
    images, test = load_mnist(folder, permuted=task == "pmnist")
    left, aside = hold_out(images, validation, 0)
    return Split(images.part(left), test, images.part(aside))


def digits_in_steps(n_steps: int, seed: int, train: int, test: int) -> Split:
    """So many images, drawn by the seed, in `n_steps` steps of as many pixels each.

    With 28 steps an image is read row by row.
    """
    whole = digits()
    assert whole.validation is not None

    def drawn(part: Sequences, count: int) -> Sequences:
        few = some_of(part, count, seed, "images")
        return replace(few, values=few.values.reshape(n_steps, -1, count))

    return Split(drawn(whole.train, train), drawn(whole.test, test), drawn(whole.validation, test))
