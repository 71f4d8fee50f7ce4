from itertools import product
from pathlib import Path

import numpy as np
import pytest

from calotype.data import art
from calotype.data.banks import load_bank
from calotype.data.fluent import icons
from calotype.data.names import EmojiName
from calotype.data.noto import bitmaps
from calotype.data.styles import pictures, source
from calotype.data.svg import drawn_svg
from calotype.data.twemoji import layered
from calotype.errors import CalotypeError
from data.fetched import here


def small_font(path: Path) -> Path:
    """A font of two square layers, red below and half of it green above, for U+26AB, and as the ligature of two."""
    from fontTools.colorLib.builder import buildCOLR, buildCPAL
    from fontTools.feaLib.builder import addOpenTypeFeaturesFromString
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    def square(right: int):
        pen = TTGlyphPen(None)
        pen.moveTo((0, 0))
        for point in ((0, 100), (right, 100), (right, 0)):
            pen.lineTo(point)
        pen.closePath()
        return pen.glyph()

    builder = FontBuilder(100, isTTF=True)
    builder.setupGlyphOrder([".notdef", "dot", "pair", "whole", "half"])
    builder.setupCharacterMap({0x26AB: "dot"})
    builder.setupGlyf({name: square(50 if name == "half" else 100) for name in builder.font.getGlyphOrder()})
    builder.setupHorizontalMetrics(dict.fromkeys(builder.font.getGlyphOrder(), (100, 0)))
    builder.setupHorizontalHeader(ascent=100, descent=0)
    builder.setupPost()
    builder.font["COLR"] = buildCOLR({"dot": [("whole", 0), ("half", 1)], "pair": [("half", 0)]}, version=0)
    builder.font["CPAL"] = buildCPAL([[(1, 0, 0, 1), (0, 1, 0, 1)]])
    addOpenTypeFeaturesFromString(builder.font, "feature ccmp { sub dot dot by pair; } ccmp;")
    builder.save(path)
    return path


def test_layers_and_ligatures(tmp_path: Path) -> None:
    found = dict(layered(small_font(tmp_path / "font.ttf"), ["26ab-fe0f", "26ab-26ab", "1f431"]))
    assert found.keys() == {"26ab-fe0f", "26ab-26ab"}
    dot, pair = found.values()
    assert dot.shape == (128, 128, 4)
    assert dot[64, 20].tolist() == [0, 255, 0, 255]
    assert dot[64, 100].tolist() == [255, 0, 0, 255]
    assert pair[64, 100, 3] == 0


def test_wrong_fonts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CalotypeError, match="no colour bitmaps"):
        list(bitmaps(small_font(tmp_path / "font.ttf"), ["26ab"]))
    (tmp_path / "noise.ttf").write_bytes(b"noise" * 100)
    (tmp_path / "cut.ttf").write_bytes((tmp_path / "font.ttf").read_bytes()[:-100])
    for read, name in product((bitmaps, layered), ("noise.ttf", "cut.ttf")):
        with pytest.raises(CalotypeError, match=rf"{name} is not a readable font"):
            list(read(tmp_path / name, ["26ab"]))


def test_svg_is_drawn_with_its_transparency() -> None:
    square = '<rect width="2" height="1" fill="#00ff00"/>'
    pixels = drawn_svg(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2 2">{square}</svg>', width=8)
    assert (pixels[:4] == (0, 255, 0, 255)).all()
    assert (pixels[4:, :, 3] == 0).all()


def test_icons_are_found_by_name(tmp_path: Path) -> None:
    (tmp_path / "jack-o-lantern.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>')
    names = {"1f383": EmojiName("jack-o-lantern", ()), "1f431": EmojiName("cat face", ())}
    assert [sequence for sequence, _ in icons(tmp_path, names, ["1f383", "1f431", "0"])] == ["1f383"]


def test_a_style_that_lacks_a_thing_says_which() -> None:
    here(art.noto_font)
    with pytest.raises(CalotypeError, match="lacks 61-62"):
        pictures("noto", ["1f431", "61-62"])


@pytest.mark.parametrize("style", art.STYLES)
def test_each_style_has_every_thing(style: str, noto) -> None:
    here(lambda: (source(style), art.name_tables()))
    bank = load_bank(style)
    assert [sprite.name for sprite in bank.sprites] == [sprite.name for sprite in noto.sprites]
    assert all(np.ptp(sprite.pixels[..., 3]) > 200 for sprite in bank.sprites)
