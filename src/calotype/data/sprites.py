"""Sprites: pictures of single things with names, and banks of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

from calotype.data.things import THINGS
from calotype.errors import CalotypeError
from calotype.files import cache_dir, written_whole

Pixels = npt.NDArray[np.uint8]

PAD = 24
"""The transparent border that a sub-pixel position and the resampling filter may reach into."""


@dataclass(frozen=True, eq=False)
class Sprite:
    """One picture of a thing, cropped to what is visible."""

    id: str
    name: str
    aliases: tuple[str, ...]
    group: str
    pixels: Pixels = field(repr=False)
    """RGBA, straight alpha, (h, w, 4); every border row and column has a visible pixel."""


@dataclass(frozen=True, eq=False)
class SpriteBank:
    """Sprites of one style; ids and names are unique."""

    style: str
    sprites: tuple[Sprite, ...]

    @cached_property
    def by_id(self) -> Mapping[str, Sprite]:
        """The sprites by their id."""
        return {sprite.id: sprite for sprite in self.sprites}

    @cached_property
    def premultiplied(self) -> Mapping[str, tuple[Image.Image, Image.Image]]:
        """The sprites by id as RGBa images (alpha premultiplied), whole and half size, a border of PAD around them."""
        found = {}
        for sprite in self.sprites:
            height, width, _ = sprite.pixels.shape
            padding = ((PAD, PAD + height % 2), (PAD, PAD + width % 2), (0, 0))
            whole = Image.fromarray(np.pad(sprite.pixels, padding)).convert("RGBa")
            found[sprite.id] = whole, whole.reduce(2)
        return found

    @cached_property
    def by_name(self) -> Mapping[str, Sprite]:
        """The sprites by name and by every alias."""
        return {word: sprite for sprite in self.sprites for word in (sprite.name, *sprite.aliases)}


def load_bank(style: str = "noto") -> SpriteBank:
    """The bank of the vocabulary (``things``) in a style, from the cache; extracted from the font the first time.

    Raises CalotypeError when the art has not been fetched, or when the style is unknown.
    """
    from calotype.data import art

    if style == "drawn":
        return drawn_bank()
    if style != "noto":
        raise CalotypeError(f"there is no style {style!r}: choose noto or drawn.")
    path = cache_dir("banks") / f"{style}.safetensors"
    if not path.exists() or path.stat().st_mtime < Path(__file__).with_name("things.py").stat().st_mtime:
        _write(path, art.noto_font())
    return _read(path, style)


def _write(path: Path, font: Path) -> None:
    from calotype.data.noto import bitmaps

    wanted = [code for group in THINGS.values() for code in group]
    found = {code: crop(pixels) for code, pixels in bitmaps(font, wanted)}
    if missing := [code for code in wanted if code not in found]:
        raise CalotypeError(f"{font} lacks {', '.join(missing)}: fetch the art again with 'calotype data fetch-art'.")
    with written_whole(path) as temporary:
        save_file(found, temporary)


def _read(path: Path, style: str) -> SpriteBank:
    with safe_open(path, framework="numpy") as file:
        pixels = {code: file.get_tensor(code) for code in file.keys()}  # noqa: SIM118
    return SpriteBank(
        style,
        tuple(
            Sprite(code, names[0], names[1:], group, pixels[code])
            for group, members in THINGS.items()
            for code, names in members.items()
        ),
    )


def crop(pixels: Pixels) -> Pixels:
    """The smallest part of an RGBA picture (h, w, 4) that holds every pixel of alpha above 8."""
    rows, columns = np.nonzero(pixels[..., 3] > 8)
    return np.ascontiguousarray(pixels[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])


def drawn_bank() -> SpriteBank:
    """Stand-in sprites drawn on the spot: a world for tests and for machines without art."""
    from calotype.data.drawn import drawn

    return SpriteBank("drawn", tuple(drawn()))
