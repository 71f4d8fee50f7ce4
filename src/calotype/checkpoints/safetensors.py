"""The header of a safetensors file, read with suspicion: every number in it may have been chosen to do harm."""

import json
from pathlib import Path
from typing import Any

from calotype.checkpoints.stored import ITEM_SIZES, Stored, TensorFile, Weights
from calotype.errors import CalotypeError

_MAX_HEADER = 100_000_000
"""Bytes; the format's own limit."""


def read_safetensors(path: Path) -> TensorFile:
    """The tensors of the safetensors file at ``path``; only its header is read.

    Every byte after the header belongs to exactly one tensor, as the format demands. Raises CalotypeError if the
    header lies about that, or is not one.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > min(_MAX_HEADER, size - 8):
                raise _damaged(path, f"its header claims {length:,} bytes")
            text = file.read(length)
    except OSError as error:
        raise CalotypeError(f"cannot read {path}: {error.strerror or error}. Check the path and its rights.") from error
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"its header is not what the format allows: {error}") from error
    if not isinstance(header, dict):
        raise _damaged(path, "its header is not an object")
    metadata = header.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _damaged(path, "its metadata are not texts")
    data = 8 + length
    weights: Weights = {key: _entry(path, key, entry, data) for key, entry in header.items()}
    _check_cover(path, weights, data, size)
    return TensorFile(path, "safetensors", weights, metadata)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for name, value in pairs:
        if name in content:
            raise ValueError(f"{name!r} is there twice")
        content[name] = value
    return content


def _entry(path: Path, key: str, entry: Any, data: int) -> Stored:
    match entry:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [int(begin), int(end)]} if len(entry) == 3:
            pass
        case _:
            raise _damaged(path, f"its entry {key!r} is not one of a tensor")
    if dtype not in ITEM_SIZES:
        raise CalotypeError(f"{path} holds numbers of a type that Calotype does not read: {key!r} is {dtype!r}.")
    if not all(type(side) is int and side >= 0 for side in shape) or len(shape) > 8:
        raise _damaged(path, f"the shape of {key!r} is {str(shape)[:80]}")
    stored = Stored.contiguous(path, dtype, data + begin, tuple(shape))
    if begin < 0 or end - begin != stored.count * ITEM_SIZES[dtype]:
        raise _damaged(path, f"{key!r} has a place of another size than its shape")
    return stored


def _check_cover(path: Path, weights: Weights, data: int, size: int) -> None:
    end = data
    for key, stored in sorted(weights.items(), key=lambda item: (item[1].start, item[1].count)):
        if stored.start != end:
            raise _damaged(path, f"{key!r} overlaps another tensor or leaves a gap")
        end += stored.count * ITEM_SIZES[stored.dtype]
    if size < end:
        raise CalotypeError(f"{path} is cut short: {size:,} of {end:,} bytes are there. Fetch it again.")
    if size > end:
        raise _damaged(path, f"{size - end:,} bytes after its last tensor belong to none")


def _damaged(path: Path, why: str) -> CalotypeError:
    return CalotypeError(f"{path} is damaged: {why}. Fetch it again.")
