"""What compiled code has to know of the processor: its vector registers and its caches.

Registers are those of the code that Numba makes, not of the machine it runs on: ``NUMBA_CPU_NAME`` and
``NUMBA_CPU_FEATURES`` restrict both. LLVM is asked by letting it compile one multiplication; its tables of
processors are not written down a second time here.

Fixed-width vectors are compiled to the 128 bits of NEON on every AArch64 processor, those with SVE included:
LLVM uses SVE for them only if it is told the length. Of the processors that exist, only one of 512 bits would
gain by that.
"""

from __future__ import annotations

import ctypes
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import llvmlite.binding as llvm
from numba.core import codegen, config

__all__ = ["Registers", "cache_bytes", "compiled_for", "registers", "registers_of"]

_CONFIG: Any = config


class Registers(NamedTuple):
    """The vector registers of a processor.

    Attributes
    ----------
    width : int
        Numbers of float64 in one.
    number : int
    """

    width: int
    number: int


_PROBE = """
declare <8 x double> @llvm.fma.v8f64(<8 x double>, <8 x double>, <8 x double>)
define <8 x double> @probe(<8 x double> %a, <8 x double> %b, <8 x double> %c) {
  %r = call <8 x double> @llvm.fma.v8f64(<8 x double> %a, <8 x double> %b, <8 x double> %c)
  ret <8 x double> %r
}
"""

# The widest registers that occur in the code of the probe, by their names; AArch64 is told by its triple.
_X86 = {"zmm": Registers(8, 32), "ymm": Registers(4, 16), "xmm": Registers(2, 16)}
_ARM, _UNKNOWN = Registers(2, 32), Registers(2, 16)


def compiled_for() -> tuple[tuple[str, str, str], ...]:
    """(triple, processor, features) that Numba compiles for, one or two.

    Where the user has named a processor and no features, Numba takes the features of the machine, and its
    vector loops may use wider registers than the named processor has. The tile does not: its own comes
    second.
    """
    codegen.initialize_llvm()
    triple, name, features = llvm.get_process_triple(), _CONFIG.CPU_NAME, _CONFIG.CPU_FEATURES
    here = codegen.get_host_cpu_features() if features is None else features
    first = triple, name or llvm.get_host_cpu_name(), here
    return (first,) if name is None or features is not None else (first, (triple, name, ""))


def registers_of(triple: str, processor: str, features: str) -> Registers:
    """The vector registers that LLVM uses for a processor."""
    if re.match("aarch64|arm64", triple):
        return _ARM
    if not re.match("x86_64|amd64|i.86", triple):
        return _UNKNOWN
    module = llvm.parse_assembly(_PROBE)
    module.triple = triple
    machine = llvm.Target.from_triple(triple).create_target_machine(processor, features, opt=0)
    code = machine.emit_assembly(module)
    return next((found for name, found in _X86.items() if name in code), _UNKNOWN)


@cache
def registers() -> Registers:
    """The vector registers of the code that this process compiles."""
    return min(registers_of(*target) for target in compiled_for())


@cache
def cache_bytes(level: int) -> int:
    """Bytes of a core's data cache of level 1 or 2; where the system does not tell, 32 KiB and 512 KiB."""
    try:
        found = _linux_cache(level) if sys.platform == "linux" else _mac_cache(level)
    except (OSError, ValueError):
        found = 0
    return found or {1: 1 << 15, 2: 1 << 19}[level]


def _linux_cache(level: int) -> int:
    """From the files of the kernel; 0 where there is none of that level."""
    for folder in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        kind, size = ((folder / name).read_text().strip() for name in ("type", "size"))
        if kind != "Instruction" and int((folder / "level").read_text()) == level:
            return int(size.rstrip("KM")) << {"K": 10, "M": 20}.get(size[-1:], 0)
    return 0


def _mac_cache(level: int) -> int:
    """From ``sysctlbyname``, that of the fast cores where there are two kinds; 0 on other systems."""
    if sys.platform != "darwin":
        return 0
    library = ctypes.CDLL(None)
    name = {1: "l1dcachesize", 2: "l2cachesize"}[level]
    for key in (f"hw.perflevel0.{name}", f"hw.{name}"):
        value, size = ctypes.c_int64(0), ctypes.c_size_t(8)
        place = ctypes.byref(value), ctypes.byref(size)
        if library.sysctlbyname(key.encode(), *place, None, ctypes.c_size_t(0)) == 0 and value.value > 0:
            return value.value
    return 0
