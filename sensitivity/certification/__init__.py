"""Certificates: rigorous enclosures of the hidden-state gradient, by ball arithmetic.

The extra ``certify`` (python-flint) is needed by `certify` and `certify_region` only, and
imported when they are called.
"""

from .certificate import Certificate, certify
from .checked import CheckedBound
from .regions import RegionCertificate, certify_region

__all__ = ["Certificate", "CheckedBound", "RegionCertificate", "certify", "certify_region"]
