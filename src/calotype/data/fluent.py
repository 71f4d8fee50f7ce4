"""Fluent Emoji: a folder of SVG files named after Unicode's names."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from calotype.data.names import EmojiName
from calotype.data.sprites import Pixels
from calotype.data.svg import drawn_svg

_OLDER_NAMES = {"enraged-face": "pouting-face"}


def icons(folder: Path, names: Mapping[str, EmojiName], sequences: Iterable[str]) -> Iterator[tuple[str, Pixels]]:
    """The ``(sequence, RGBA picture)`` of each sequence that has a file of its name, the others left out."""
    for sequence in sequences:
        if sequence in names:
            kebab = re.sub(r"[^a-z0-9]+", "-", names[sequence].name.lower()).strip("-")
            path = folder / f"{_OLDER_NAMES.get(kebab, kebab)}.svg"
            if path.exists():
                yield sequence, drawn_svg(path.read_text("utf-8"))
