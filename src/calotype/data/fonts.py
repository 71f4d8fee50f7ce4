"""Emoji fonts: a sequence of code points becomes a glyph without a shaping engine.

Drop U+FE0F, map by ``cmap``, then look the glyphs up as one ligature of GSUB (OpenType 1.9, chapters cmap and GSUB).
"""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from calotype.data.art import renewal
from calotype.errors import CalotypeError, lacking

_VARIATION_SELECTOR = 0xFE0F


def opened(font: Path) -> Any:
    """The font's tables (fontTools' TTFont). Raises CalotypeError when they cannot be read."""
    try:
        from fontTools.ttLib import TTFont, TTLibError
    except ImportError as error:
        raise lacking("reading emoji fonts", "fonttools", "art") from error
    try:
        tables: Any = TTFont(BytesIO(font.read_bytes()), lazy=True)  # from memory: nothing stays open
        for tag in tables.reader.tables:  # so that a font that was cut off is told here
            tables.getTableData(tag)
        return tables
    except (TTLibError, OSError) as error:
        raise CalotypeError(f"{font} is not a readable font: {renewal(font)}.") from error


def shaper(tables: Any) -> Callable[[str], str | None]:
    """From a sequence, written ``1f468-200d-1f33e``, to the name of its glyph; None where there is none."""
    cmap: dict[int, str] = tables.getBestCmap()
    ligatures: dict[tuple[str, ...], str] = {}
    for lookup in tables["GSUB"].table.LookupList.Lookup:
        for subtable in lookup.SubTable:
            for first, found in getattr(getattr(subtable, "ExtSubTable", subtable), "ligatures", {}).items():
                ligatures |= {(first, *ligature.Component): ligature.LigGlyph for ligature in found}

    def glyph(sequence: str) -> str | None:
        points = [int(point, 16) for point in sequence.split("-")]
        glyphs = tuple(cmap.get(point, "") for point in points if point != _VARIATION_SELECTOR)
        return (glyphs[0] or None) if len(glyphs) == 1 else ligatures.get(glyphs)

    return glyph
