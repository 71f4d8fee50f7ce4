"""Noto Color Emoji: the colour bitmaps (OpenType's CBDT table) of its glyphs."""

import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from calotype.data.art import renewal
from calotype.data.fonts import opened, shaper
from calotype.data.sprites import Pixels
from calotype.errors import CalotypeError


def bitmaps(font: Path, sequences: Iterable[str]) -> Iterator[tuple[str, Pixels]]:
    """The ``(sequence, RGBA bitmap uint8 (128, 136, 4))`` of each sequence the font has, the others left out.

    Raises CalotypeError when the font cannot be read or has no bitmaps.
    """
    tables = opened(font)
    if "CBDT" not in tables:
        raise CalotypeError(f"{font} holds no colour bitmaps: {renewal(font)}.")
    strike, glyph = tables["CBDT"].strikeData[0], shaper(tables)
    for sequence in sequences:
        if (name := glyph(sequence)) in strike:
            with Image.open(io.BytesIO(strike[name].imageData)) as image:
                yield sequence, np.asarray(image.convert("RGBA"))
