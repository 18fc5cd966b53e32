"""The symbols that object code defines and refers to.

LLVM ends the process where loaded code refers to a symbol that nobody defines. Numba therefore registers
everything it has before it loads a kernel, which imports most of Numba and takes as long as ``import numba``
itself. What a kernel really refers to stands in the symbol table of its object code.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import llvmlite.binding as llvm
from llvmlite.binding.object_file import ObjectFileRef

__all__ = ["Symbols", "all_defined", "symbols_of"]

# How object code of 64 bits and little-endian numbers begins in the format of Linux.
_ELF_64 = b"\x7fELF\x02\x01"
# An entry of its symbol table: place of the name, kind, visibility, section (0 for none), value, size.
_ENTRY = struct.Struct("<IBBHQQ")


class Symbols(NamedTuple):
    """Names in a symbol table."""

    defined: set[str]
    undefined: set[str]


def symbols_of(code: bytes) -> Symbols | None:
    """The symbols of object code, or None if it is in another format than that of Linux."""
    if not code.startswith(_ELF_64):
        return None
    # A section is looked at while the iterator is there: it moves on the spot.
    tables = {section.name(): section.data() for section in ObjectFileRef.from_data(code).sections()}
    names = tables[b".strtab"]
    found = Symbols(set(), set())
    for start, _, _, section, _, _ in _ENTRY.iter_unpack(tables[b".symtab"]):
        if start:
            found[section == 0].add(names[start : names.index(b"\0", start)].decode())
    return found


def all_defined(names: set[str], engine: Any) -> bool:
    """Whether this process defines every one of some symbols.

    Parameters
    ----------
    names : set of str
    engine : object
        Numba's; its ``is_symbol_defined`` knows what compiled code defines.
    """
    return all(llvm.address_of_symbol(name) is not None or engine.is_symbol_defined(name) for name in names)
