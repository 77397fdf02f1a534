"""Arrays from files: ``.npz`` and ``.safetensors``, by the names of letters. Nothing is unpickled."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from formcalc.errors import ArrayError
from formcalc.language.names import canonical


def load_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a file, by canonical letter name.

    Raises:
        ArrayError: no such file, an empty one, one that is not what its ending says, or one with Python objects in it.
    """
    path = Path(path)
    readers = {".npz": _npz, ".safetensors": _safetensors}
    if path.suffix not in readers:
        raise ArrayError(f"{path}: arrays come from files that end in {' or '.join(readers)}")
    try:
        if not path.is_file():
            raise ArrayError(f"{path}: there is no such file")
        if path.stat().st_size == 0:
            raise ArrayError(f"{path}: the file is empty")
        arrays = readers[path.suffix](path)
    except OSError as error:
        raise ArrayError(f"{path}: cannot be read: {error.strerror or error}") from None
    if not arrays:
        raise ArrayError(f"{path}: the file holds no arrays")
    return {canonical(name): array for name, array in arrays.items()}


def _npz(path: Path) -> dict[str, np.ndarray]:
    cure = "save plain arrays with numpy.savez(path, Q_0=..., K_0=...)"
    if not zipfile.is_zipfile(path):
        raise ArrayError(f"{path}: this is no .npz archive; {cure}")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, EOFError) as error:
        raise ArrayError(f"{path}: the archive is damaged: {error}; {cure}") from None
    except ValueError as error:
        cause = "it holds Python objects, which are not loaded" if "pickle" in str(error) else str(error)
        raise ArrayError(f"{path}: {cause}; {cure}") from None


def _safetensors(path: Path) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    try:
        with safe_open(path, framework="numpy") as tensors:
            for name in tensors.keys():  # noqa: SIM118  # the handle is no mapping
                kind = tensors.get_slice(name).get_dtype()
                if kind in ("BF16", "F8_E4M3", "F8_E5M2"):
                    raise ArrayError(f"{path}: {name} is {kind}, which numpy does not have: convert it to float32")
                arrays[name] = tensors.get_tensor(name)
    except SafetensorError as error:
        raise ArrayError(f"{path}: this is no safetensors file: {error}") from None
    return arrays
