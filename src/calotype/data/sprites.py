"""Sprites: pictures of single things with names, and what a bank of them is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from PIL import Image

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


def crop(pixels: Pixels) -> Pixels:
    """The smallest part of an RGBA picture (h, w, 4) that holds every pixel of alpha above 8."""
    rows, columns = np.nonzero(pixels[..., 3] > 8)
    return np.ascontiguousarray(pixels[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])
