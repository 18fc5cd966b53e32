"""Whose package it is that Python finds under one of our names: other distributions use these names too."""

from __future__ import annotations

import importlib.util
from pathlib import Path

__all__ = ["check_owner"]

ROOT = Path(__file__).resolve().parent.parent


def check_owner(package: str, overwritten: bool = False) -> None:
    """See that `package` lies beside this one, without importing it.

    Parameters
    ----------
    package : str
        A top-level name.
    overwritten : bool
        The package lies there, but its files are not ours: raise in any case.

    Raises
    ------
    ImportError
        Naming where the other package lies, whose it is, and the mend.
    """
    spec = importlib.util.find_spec(package)
    places = [] if spec is None else [*(spec.submodule_search_locations or []), spec.origin or ""]
    if any(Path(place).resolve() == ROOT / package for place in places if place) and not overwritten:
        return
    if spec is None:
        raise ImportError(
            f"leapgrad needs its package {package!r}, which is not installed beside {ROOT / 'leapgrad'}; "
            "install leapgrad again.",
            name=package,
        )
    where = next((place for place in (spec.origin, *places) if place), "an unknown place")
    owners = _distributions(package)
    whose = f"It belongs to {' and '.join(owners)}. " if owners else ""
    mend = (
        f"Uninstall {' and '.join(owners)} and install leapgrad again, or use an environment without it."
        if owners
        else f"Rename that file or folder, or place its folder on sys.path behind {ROOT}."
    )
    raise ImportError(
        f"the package {package!r} at {where} is not the one that leapgrad brings. {whose}{mend}",
        name=package,
        path=where,
    )


def _distributions(package: str) -> list[str]:
    """Other installed distributions that have files under this top-level name."""
    from importlib.metadata import packages_distributions

    return sorted(set(packages_distributions().get(package, [])) - {"leapgrad"})
