"""The library MKL, where it is installed: it multiplies matrices faster than the one that numpy brings.

Its threads are those of TBB: they sleep when there is nothing to do, and are no second pool of OpenMP beside that of
torch, with which the threads of Intel's OpenMP have given wrong products.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from formcalc.numeric.program import threads

#: The numbers of the layers of threads.
_SEQUENTIAL, _TBB = 1, 4


def _files(distribution: str, name: str) -> Iterator[str]:
    """The libraries of an installed package whose names begin so."""
    try:
        files = importlib.metadata.files(distribution)
    except importlib.metadata.PackageNotFoundError:
        return
    for file in files or ():
        if file.name.startswith((f"lib{name}.so", f"{name}.")) and file.name.endswith((".so", ".dll", *"123456789")):
            yield str(Path(str(file.locate())).resolve())


def _loaded(distribution: str, name: str) -> ctypes.CDLL | None:
    for path in _files(distribution, name):
        try:
            return ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
    return None


@cache
def addresses() -> dict[str, int]:
    """The addresses of the products of matrices in MKL, by their names; none where MKL is not installed."""
    has_threads = _loaded("tbb", "tbb") is not None
    library = _loaded("mkl", "mkl_rt")
    if library is None:
        return {}
    library.MKL_Set_Threading_Layer(_TBB if has_threads else _SEQUENTIAL)
    library.MKL_Set_Num_Threads(threads.workers())
    threads.look_again()
    found = {}
    for name in ("cblas_sgemm", "cblas_dgemm"):
        address = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
        assert address is not None
        found[name] = address
    return found
