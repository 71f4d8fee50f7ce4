"""The directory of a zip archive whose members lie in it as they are, read with suspicion.

Python's own reader trusts what this one checks: that members do not overlap, are there once, and are what the
directory says. (Format: PKWARE's APPNOTE 6.3.)
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_END, _END64, _LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_MAX_DIRECTORY = 64_000_000
_FULL = 0xFFFFFFFF
"""Stands for a number that is too large for its place, and follows elsewhere."""


class BadZip(ValueError):
    """The archive is cut short, damaged, or built to deceive."""


@dataclass(frozen=True)
class Member:
    """Where a member's bytes lie in the file."""

    start: int
    size: int


@dataclass(frozen=True)
class _Listed:
    """A member as the directory lists it."""

    name: bytes
    size: int
    header: int


def read_zip(path: Path) -> dict[str, Member]:
    """The members of the archive at ``path`` by name; nothing is unpacked. Raises BadZip and OSError."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start, length = _find_directory(file, size)
        if length > _MAX_DIRECTORY or start + length > size:
            raise BadZip(f"its directory claims {length:,} bytes")
        file.seek(start)
        listed = list(_directory(file.read(length)))
        members: dict[str, Member] = {}
        end = 0
        for entry in sorted(listed, key=lambda entry: entry.header):
            if not end <= entry.header < start:
                raise BadZip(f"{entry.name!r} overlaps another member or the directory")
            member = _member(file, entry)
            end = member.start + member.size
            if end > start:
                raise BadZip(f"{entry.name!r} runs into the directory")
            if (name := entry.name.decode("utf-8")) in members:
                raise BadZip(f"{name!r} is there twice")
            members[name] = member
    return members


def _find_directory(file: BinaryIO, size: int) -> tuple[int, int]:
    """Start and length of the directory, which the archive's last bytes tell."""
    tail_start = max(0, size - 65557)
    file.seek(tail_start)
    tail = file.read()
    place = tail.rfind(_END)
    if place < 0 or len(tail) - place < 22:
        raise BadZip("its end is missing, as if it were cut short")
    count, length, start = struct.unpack("<H2I", tail[place + 10 : place + 20])
    if _FULL not in (length, start) and count != 0xFFFF:
        return start, length
    locator = tail[max(0, place - 20) : place]
    if locator[:4] != _LOCATOR64 or len(locator) < 20:
        return start, length
    file.seek(min(struct.unpack("<Q", locator[8:16])[0], size))
    record = file.read(56)
    if record[:4] != _END64 or len(record) < 56:
        raise BadZip("its end points nowhere")
    length, start = struct.unpack("<2Q", record[40:56])
    return start, length


def _directory(data: bytes) -> Iterator[_Listed]:
    place = 0
    while place < len(data):
        if data[place : place + 4] != b"PK\x01\x02" or len(data) - place < 46:
            raise BadZip("its directory is damaged")
        flags, method = struct.unpack("<2H", data[place + 8 : place + 12])
        packed, size, name_length, extra_length, note_length = struct.unpack("<2I3H", data[place + 20 : place + 34])
        (header,) = struct.unpack("<I", data[place + 42 : place + 46])
        name = data[place + 46 : place + 46 + name_length]
        extra = data[place + 46 + name_length : place + 46 + name_length + extra_length]
        place += 46 + name_length + extra_length + note_length
        size, packed, header = _large((size, packed, header), extra)
        if method or flags & 1 or packed != size:
            raise BadZip(f"{name!r} is compressed or encrypted, which weights never are")
        yield _Listed(name, size, header)


def _large(numbers: tuple[int, ...], extra: bytes) -> list[int]:
    """Those numbers that are too large for 32 bits stand in the extra field 1, in their order."""
    wide = b""
    while len(extra) >= 4:
        kind, length = struct.unpack("<2H", extra[:4])
        if kind == 1:
            wide = extra[4 : 4 + length]
        extra = extra[4 + length :]
    found = []
    for number in numbers:
        if number == _FULL and len(wide) >= 8:
            number, wide = int.from_bytes(wide[:8], "little"), wide[8:]
        found.append(number)
    return found


def _member(file: BinaryIO, entry: _Listed) -> Member:
    file.seek(entry.header)
    header = file.read(30)
    if header[:4] != b"PK\x03\x04" or len(header) < 30:
        raise BadZip(f"{entry.name!r} is not where the directory says")
    name_length, extra_length = struct.unpack("<2H", header[26:30])
    if file.read(name_length) != entry.name:
        raise BadZip(f"{entry.name!r} has another name where it lies")
    return Member(entry.header + 30 + name_length + extra_length, entry.size)
