"""SHA-256 of weights: which model made a picture. What is slow to count is remembered by path, size and time."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from calotype.errors import CalotypeError
from calotype.files import cache_dir, written_whole

_COUNTED = {".safetensors", ".bin", ".json", ".txt"}
_BLOCK = 1 << 20
_WORTH_REMEMBERING = 16 << 20
"""Bytes; a smaller file is counted sooner than its hash is found."""

Progress = Callable[[int, int], None]
"""Told the bytes counted so far and in all."""


def file_hash(path: Path, progress: Progress | None = None) -> str:
    """The SHA-256 of the file at ``path``, in hexadecimal; A1111's model hash (AutoV2) is its first 10 digits.

    Raises CalotypeError if it cannot be read.
    """
    return _hash(path, 0, progress)


def lora_hash(path: Path, progress: Progress | None = None) -> str:
    """A1111's hash of a LoRA (AutoV3): the first 12 digits of the SHA-256 of what follows the safetensors header."""
    try:
        with path.open("rb") as file:
            header = 8 + int.from_bytes(file.read(8), "little")
    except OSError as error:
        raise _unreadable(path, error) from error
    return _hash(path, header, progress)[:12]


def folder_hash(folder: Path) -> str:
    """The SHA-256, in hexadecimal, of all that makes the pictures of the diffusers folder at ``folder``.

    It is taken over one line ``<hash of the file>  <path in the folder>`` for model_index.json and each weights, json
    and text file of the components, in the order of their paths: ``sha256sum`` can retrace it. What else lies beside
    model_index.json, such as the card, does not count.
    """
    components = (path for path in folder.glob("*/*") if path.suffix in _COUNTED and path.is_file())
    names = sorted(path.relative_to(folder).as_posix() for path in (folder / "model_index.json", *components))
    return _of_lines((file_hash(folder / name), name) for name in names)


def files_hash(paths: Sequence[Path]) -> str:
    """The hash of a model that came from these files or folders: of one its own, of several that of their lines."""
    hashes = [folder_hash(path) if path.is_dir() else file_hash(path) for path in paths]
    return hashes[0] if len(paths) == 1 else _of_lines(zip(hashes, (path.name for path in paths), strict=True))


def _of_lines(lines: Iterable[tuple[str, str]]) -> str:
    return hashlib.sha256("".join(f"{digest}  {name}\n" for digest, name in lines).encode()).hexdigest()


def _hash(path: Path, start: int, progress: Progress | None) -> str:
    try:
        status = path.stat()
        key = f"{path.resolve()}:{start}:{status.st_size}:{status.st_mtime_ns}"
        note = _note(key) if status.st_size >= _WORTH_REMEMBERING else None
        known = _remembered(note, key) if note else None
        digest = known or _count(path, start, status.st_size, progress)
    except OSError as error:
        raise _unreadable(path, error) from error
    if note and known is None:
        with suppress(CalotypeError), written_whole(note) as temporary:  # a full disk costs the memory, not the answer
            temporary.write_text(json.dumps({"key": key, "sha256": digest}), encoding="utf-8")
    return digest


def _note(key: str) -> Path | None:
    """Where the hash is remembered; nowhere if there is no place for a cache."""
    try:
        return cache_dir("hashes") / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
    except CalotypeError:
        return None


def _remembered(note: Path, key: str) -> str | None:
    try:
        said = json.loads(note.read_text(encoding="utf-8"))
        return str(said["sha256"]) if said["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _count(path: Path, start: int, size: int, progress: Progress | None) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(start)
        while block := file.read(_BLOCK):
            digest.update(block)
            if progress is not None:
                progress(file.tell(), size)
    return digest.hexdigest()


def _unreadable(path: Path, error: OSError) -> CalotypeError:
    return CalotypeError(f"cannot read {path}: {error.strerror or error}. Check the path and its rights.")
