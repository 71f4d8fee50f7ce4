"""Files that torch wrote with ``torch.save``: a pickle beside raw storages, as a zip archive or in the older layout."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from calotype.checkpoints import pickles
from calotype.checkpoints.stored import ITEM_SIZES, Stored, TensorFile, Weights
from calotype.checkpoints.zips import BadZip, Member, read_zip
from calotype.errors import CalotypeError

LEGACY_MAGIC = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
"""A pickle of the number 0x1950a86a20f9469cfc6c, with which torch began its files until version 1.6."""
_MAX_PICKLE = 64_000_000


def read_ckpt(path: Path) -> TensorFile:
    """The tensors of the file that ``torch.save`` wrote at ``path``. Nothing in it is executed; no storage is read.

    Metadata are the plain values beside the weights, such as global_step. Raises CalotypeError if the file is cut
    short or damaged, or holds a program.
    """
    try:
        with path.open("rb") as file:
            legacy = file.read(len(LEGACY_MAGIC)) == LEGACY_MAGIC
        content, members = (_read_legacy if legacy else _read_zip)(path)
        weights, metadata = _state(path, content, members)
    except pickles.Program as error:
        raise CalotypeError(
            f"{path} holds a program, not only weights: {error}. Nothing of it was run; do not trust its source."
        ) from error
    except (pickles.Unreadable, BadZip, UnicodeDecodeError) as error:
        raise CalotypeError(f"{path} is damaged: {error}. Fetch it again.") from error
    except OSError as error:
        raise CalotypeError(f"cannot read {path}: {error.strerror or error}. Check the path and its rights.") from error
    return TensorFile(path, "ckpt, torch's older layout" if legacy else "ckpt, torch's zip", weights, metadata)


def _read_zip(path: Path) -> tuple[Any, Mapping[str, Member]]:
    """The content, and where each storage lies, by its key."""
    members = read_zip(path)
    pickled = [name for name in members if name.rpartition("/")[2] == "data.pkl"]
    if len(pickled) != 1:
        raise CalotypeError(f"{path} is a zip archive, but not one of weights. Unpack it and look for the model in it.")
    root = pickled[0].removesuffix("data.pkl")
    if any(name.startswith(f"{root}code/") for name in members):
        raise CalotypeError(f"{path} is a program in TorchScript, not a file of weights: nothing of it was run.")
    with path.open("rb") as file:
        if _bytes(file, members.get(f"{root}byteorder"), 6) not in (b"", b"little"):
            raise CalotypeError(f"{path} was written by a big-endian machine: convert it to safetensors there.")
        pickle = members[pickled[0]]
        if pickle.size > _MAX_PICKLE:
            raise BadZip(f"its pickle claims {pickle.size:,} bytes")
        content, _ = pickles.read_pickle(BytesIO(_bytes(file, pickle, pickle.size)))
    data = f"{root}data/"
    return content, {name.removeprefix(data): member for name, member in members.items() if name.startswith(data)}


def _bytes(file: Any, member: Member | None, limit: int) -> bytes:
    if member is None:
        return b""
    file.seek(member.start)
    content: bytes = file.read(min(member.size, limit))
    return content


def _read_legacy(path: Path) -> tuple[Any, Mapping[str, Member]]:
    """The same of five pickles (magic, version, the machine, the content, keys), then each storage and its length."""
    size = path.stat().st_size
    with path.open("rb") as file:
        stream = BytesIO(file.read(_MAX_PICKLE))
        _, _, (machine, _), (content, storages), (keys, _) = (pickles.read_pickle(stream) for _ in range(5))
        if isinstance(machine, dict) and machine.get("little_endian") is False:
            raise CalotypeError(f"{path} was written by a big-endian machine: convert it to safetensors there.")
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or len(set(keys)) < len(keys):
            raise pickles.Unreadable("its list of storages is none")
        members: dict[str, Member] = {}
        place = stream.tell()
        for key in keys:
            if key not in storages:
                raise pickles.Unreadable(f"storage {key!r} is nobody's")
            file.seek(place)
            length = int.from_bytes(file.read(8), "little") * ITEM_SIZES[storages[key].dtype]
            members[key] = Member(place + 8, length)
            place += 8 + length
            if place > size:
                raise pickles.Unreadable(f"storage {key!r} is cut short")
    return content, members


def _state(path: Path, content: Any, members: Mapping[str, Member]) -> tuple[Weights, Mapping[str, str]]:
    """The named tensors, which lie at the top or under ``state_dict``; and the plain values beside them."""
    if not isinstance(content, dict):
        raise CalotypeError(f"{path} holds no named weights: it is not a model.")
    state = content.get("state_dict", content)
    if not isinstance(state, dict):
        raise CalotypeError(f"{path} holds no named weights: it is not a model.")
    weights = {key: _stored(path, key, value, members) for key, value in state.items() if _is_tensor(value)}
    plain = {key: str(value)[:200] for key, value in content.items() if _is_plain(value)}
    return weights, plain


def _is_tensor(value: Any) -> bool:
    return isinstance(value, pickles.Tensor)


def _is_plain(value: Any) -> bool:
    """Whether a value is worth telling; Python refuses to write numbers of thousands of digits."""
    return value.bit_length() <= 64 if isinstance(value, int) else isinstance(value, (str, float))


def _stored(path: Path, key: str, tensor: pickles.Tensor, members: Mapping[str, Member]) -> Stored:
    storage, member, item = tensor.storage, members.get(tensor.storage.key), ITEM_SIZES[tensor.dtype]
    if member is None or member.size < storage.count * ITEM_SIZES[storage.dtype]:
        raise pickles.Unreadable(f"storage {storage.key!r} is missing or cut short")
    stored = Stored(path, tensor.dtype, member.start + tensor.offset * item, tensor.shape, tensor.strides)
    # Not more numbers than the storage has: a stride of 0 would let one number claim to be a terabyte.
    if tensor.offset * item + stored.span > member.size or stored.count * item > member.size:
        raise pickles.Unreadable(f"{key!r} reaches beyond its storage")
    return stored
