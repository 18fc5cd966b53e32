"""Names of classes in files: numbers in one spelling and with every digit, missing ones known as such."""

from __future__ import annotations

import re
from decimal import Context, Decimal, localcontext

__all__ = ["class_name", "is_missing"]

_NUMBER = re.compile(r"[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")


def is_missing(text: str) -> bool:
    """Whether a class or a value is one of the ways to write that it is not known."""
    return text.strip().lower() in ("", "?", "nan", "+nan", "-nan")


def class_name(text: str) -> str:
    """The class that a word names: "1", "1.0" and "1.0000000e+00" are one, and 1000001 is not 1000002.

    A number is written without exponent and without zeros at its end, unless that takes many digits; every
    other word stands for itself, and so does one that begins with a zero too many, such as 007.
    """
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        return text
    with localcontext(Context(prec=len(text) + 1)):
        number = Decimal(text).normalize()
    if number == 0:
        return "0"
    return f"{number:f}" if abs(number.adjusted()) < 40 else str(number)
