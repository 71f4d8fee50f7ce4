"""Twemoji: the layered glyphs (OpenType's COLR table, version 0) of its font, drawn as SVG."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from calotype.data.art import renewal
from calotype.data.fonts import opened, shaper
from calotype.data.sprites import Pixels
from calotype.data.svg import drawn_svg
from calotype.errors import CalotypeError


def layered(font: Path, sequences: Iterable[str]) -> Iterator[tuple[str, Pixels]]:
    """The ``(sequence, RGBA picture)`` of each sequence the font has, the others left out.

    Raises CalotypeError when the font cannot be read or has no layers.
    """
    tables = opened(font)
    if "COLR" not in tables:
        raise CalotypeError(f"{font} holds no coloured layers: {renewal(font)}.")
    glyph = shaper(tables)
    for sequence in sequences:
        if (name := glyph(sequence)) in tables["COLR"].ColorLayers:
            yield sequence, drawn_svg(_svg(tables, name))


def _svg(tables: Any, name: str | None) -> str:
    from fontTools.pens.svgPathPen import SVGPathPen

    glyphs, palette = tables.getGlyphSet(), tables["CPAL"].palettes[0]
    ascent, descent = tables["hhea"].ascent, tables["hhea"].descent
    paths = []
    for layer in tables["COLR"].ColorLayers[name]:
        pen: Any = SVGPathPen(glyphs)
        colour = palette[layer.colorID]
        glyphs[layer.name].draw(pen)
        fill = f"rgb({colour.red},{colour.green},{colour.blue})"
        paths.append(f'<path d="{pen.getCommands()}" fill="{fill}" fill-opacity="{colour.alpha / 255}"/>')
    box = f"0 {-ascent} {tables['hmtx'][name][0]} {ascent - descent}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}"><g transform="scale(1,-1)">{"".join(paths)}</g></svg>'
    )
