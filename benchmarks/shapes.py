"""The widths of registers that the benchmark runs with: the processor's own, and AVX2 where it has more.

Most desktops, laptops and cloud machines have AVX2 only. A processor with AVX-512 can be told to use no more,
by variables that every library reads when it is loaded. Each library runs in a process of its own, which
inherits them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module, metadata
from typing import Any

import llvmlite.binding as llvm

from integrators.codegen.processor import registers_of

__all__ = ["AVX2", "OWN", "Shape", "environment", "shapes"]


@dataclass(frozen=True)
class Shape:
    """What a run of the benchmark may use of the processor.

    Attributes
    ----------
    key, title : str
    variables : mapping
        Environment variables, None for one that must not be set.
    """

    key: str
    title: str
    variables: Mapping[str, str | None] = field(default_factory=dict)


def _wide_features() -> str:
    """What NumPy may dispatch to beyond AVX2, by its own names."""
    core: Any = import_module("numpy._core._multiarray_umath")
    names = [name for name in core.__cpu_dispatch__ if "AVX512" in name or name == "X86_V4"]
    return " ".join(name for name in names if core.__cpu_features__.get(name))


def _xla_flags() -> str:
    """XLA's own code for AVX2. From version 0.10 on products come from a library that asks the processor."""
    try:
        version = tuple(int(part) for part in metadata.version("jaxlib").split(".")[:2])
    except metadata.PackageNotFoundError:
        version = (0, 0)
    library = " --xla_cpu_experimental_ynn_fusion_type=invalid" if version >= (0, 10) else ""
    return "--xla_cpu_max_isa=AVX2" + library


AVX2 = Shape(
    "avx2",
    "restricted to AVX2",
    {
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": "",
        "OPENBLAS_CORETYPE": "Haswell",
        "XLA_FLAGS": _xla_flags(),
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "NPY_DISABLE_CPU_FEATURES": _wide_features(),
    },
)
# What somebody has set for another purpose would make the rate of BLAS, and so the bound, that of an older
# processor.
OWN = Shape("own", "with all that the processor has", dict.fromkeys(AVX2.variables))


def shapes() -> tuple[Shape, ...]:
    """The processor's own, then AVX2 where it has wider registers."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    found = registers_of(llvm.get_process_triple(), llvm.get_host_cpu_name(), features)
    return (OWN, AVX2) if found.width > 4 else (OWN,)


@contextmanager
def environment(variables: Mapping[str, str | None]) -> Iterator[None]:
    """These environment variables inside of the block, None for one that is not set; then as before."""
    before = {name: os.environ.get(name) for name in variables}
    _assign(variables)
    try:
        yield
    finally:
        _assign(before)


def _assign(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
