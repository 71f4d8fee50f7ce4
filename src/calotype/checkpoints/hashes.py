"""SHA-256 of weights: which model made a picture."""

import hashlib
from pathlib import Path

from calotype.errors import CalotypeError

_COUNTED = {".safetensors", ".json", ".txt"}


def file_hash(path: Path) -> str:
    """The SHA-256 of the file at ``path``, in hexadecimal. Raises CalotypeError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CalotypeError(f"cannot read {path}: {error.strerror or error}. Check the path and its rights.") from error


def folder_hash(folder: Path) -> str:
    """The SHA-256, in hexadecimal, of all that makes the pictures of the diffusers folder at ``folder``.

    It is taken over one line ``<hash of the file>  <path in the folder>`` for each weights, json and merges file in
    the order of their paths, so ``sha256sum`` can retrace it; model cards and previews do not count.
    """
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix in _COUNTED)
    lines = (f"{file_hash(folder / name)}  {name}\n" for name in files if not name.startswith("."))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
