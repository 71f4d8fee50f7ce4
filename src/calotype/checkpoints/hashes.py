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

    It is taken over one line ``<hash of the file>  <path in the folder>`` for model_index.json and each weights, json
    and text file of the components, in the order of their paths: ``sha256sum`` can retrace it. What else lies beside
    model_index.json, such as the card, does not count.
    """
    components = (path for path in folder.glob("*/*") if path.suffix in _COUNTED)
    names = sorted(path.relative_to(folder).as_posix() for path in (folder / "model_index.json", *components))
    lines = (f"{file_hash(folder / name)}  {name}\n" for name in names)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
