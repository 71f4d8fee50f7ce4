"""Sprites: pictures of single things with names, and banks of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

from calotype.checkpoints.hashes import files_hash
from calotype.data.things import THINGS
from calotype.files import cache_dir, damage_told, written_whole

Pixels = npt.NDArray[np.uint8]

PAD = 24
"""The transparent border that a sub-pixel position and the resampling filter may reach into."""


@dataclass(frozen=True, eq=False)
class Sprite:
    """One picture of a thing, cropped to what is visible."""

    id: str
    name: str
    aliases: tuple[str, ...]
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


def load_bank(style: str = "noto") -> SpriteBank:
    """The bank of the vocabulary (``things``) in a style of ``art.STYLES``, or the ``drawn`` one; from the cache, made
    from the art the first time, and again where the art has become another.

    Raises CalotypeError when the art has not been fetched, or when the style is unknown.
    """
    from calotype.data.styles import pictures, source

    if style == "drawn":
        return drawn_bank()
    things = {code: names for members in THINGS.values() for code, names in members.items()}
    vocabulary = blake2b(" ".join(things).encode(), digest_size=4).hexdigest()
    art = source(style)
    version = files_hash(sorted(art.iterdir()) if art.is_dir() else [art])[:8]
    path = cache_dir("banks") / f"{style}-{vocabulary}-{version}.safetensors"
    if not path.exists():
        found = {code: crop(pixels) for code, pixels in pictures(style, list(things)).items()}
        with written_whole(path) as temporary:
            save_file(found, temporary)
    with damage_told(path, "remove it, and it is made anew"), safe_open(path, framework="numpy") as file:
        sprites = [Sprite(code, names[0], names[1:], file.get_tensor(code)) for code, names in things.items()]
    return SpriteBank(style, tuple(sprites))


def crop(pixels: Pixels) -> Pixels:
    """The smallest part of an RGBA picture (h, w, 4) that holds every pixel of alpha above 8."""
    rows, columns = np.nonzero(pixels[..., 3] > 8)
    return np.ascontiguousarray(pixels[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])


def drawn_bank() -> SpriteBank:
    """Stand-in sprites drawn on the spot: a world for tests and for machines without art."""
    from calotype.data.drawn import drawn

    return SpriteBank("drawn", tuple(drawn()))
