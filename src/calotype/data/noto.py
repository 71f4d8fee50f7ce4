"""Noto Color Emoji: the colour bitmaps (CBDT table) of a font, by Unicode sequence.

Shaping needs no engine: drop U+FE0F, map by ``cmap``, then look the glyphs up as one ligature of GSUB's ``ccmp``
feature (OpenType 1.9, chapters CBDT and GSUB).
"""

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from calotype.data.sprites import Pixels
from calotype.errors import CalotypeError

_VARIATION_SELECTOR = 0xFE0F


def bitmaps(font: Path, sequences: Iterable[str]) -> Iterator[tuple[str, Pixels]]:
    """The ``(sequence, RGBA bitmap uint8 (128, 136, 4))`` of each sequence the font has, others left out.

    A sequence is written in lower-case hexadecimal, code points joined by ``-``: ``1f468-200d-1f33e``.
    Raises CalotypeError when the font cannot be read.
    """
    try:
        from fontTools.ttLib import TTFont, TTLibError
    except ImportError as error:
        raise CalotypeError("reading emoji fonts needs fonttools: pip install 'calotype[art]'.") from error
    try:
        tables = TTFont(font, lazy=True)
        strike = tables["CBDT"].strikeData[0]
        cmap = tables.getBestCmap() or {}
        ligatures = _ligatures(tables)
    except (TTLibError, KeyError, OSError) as error:
        raise CalotypeError(
            f"{font} is not a readable colour bitmap font: remove it and fetch the art again."
        ) from error
    for sequence in sequences:
        glyph = _glyph(sequence, cmap, ligatures)
        if glyph in strike:
            with Image.open(io.BytesIO(strike[glyph].imageData)) as image:
                yield sequence, np.asarray(image.convert("RGBA"))


def _glyph(sequence: str, cmap: dict[int, str], ligatures: dict[tuple[str, ...], str]) -> str | None:
    points = [int(point, 16) for point in sequence.split("-")]
    glyphs = tuple(cmap.get(point, "") for point in points if point != _VARIATION_SELECTOR)
    return glyphs[0] if len(glyphs) == 1 else ligatures.get(glyphs)


def _ligatures(tables: Any) -> dict[tuple[str, ...], str]:
    found = {}
    for lookup in tables["GSUB"].table.LookupList.Lookup:
        for subtable in lookup.SubTable:
            subtable = getattr(subtable, "ExtSubTable", subtable)
            for first, ligatures in getattr(subtable, "ligatures", {}).items():
                for ligature in ligatures:
                    found[first, *ligature.Component] = ligature.LigGlyph
    return found
