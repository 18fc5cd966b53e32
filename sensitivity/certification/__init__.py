"""Certificates: rigorous enclosures of the hidden-state gradient, by ball arithmetic.

The extra ``certify`` (python-flint) is needed by `certify` only, and imported when it is called.
"""

from .certificate import Certificate, certify
from .checked import CheckedBound

__all__ = ["Certificate", "CheckedBound", "certify"]
