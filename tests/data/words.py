"""What words mean: names of things and of colours."""

from calotype.data.colours import COLOURS, RGB
from calotype.data.sprites import Sprite, SpriteBank


def by_word(bank: SpriteBank) -> dict[str, Sprite]:
    """The sprites by name and by every alias."""
    return {word: sprite for sprite in bank.sprites for word in (sprite.name, *sprite.aliases)}


def nearest(rgb: RGB) -> str:
    """The colour whose anchor is nearest to ``rgb`` (Euclidean in sRGB)."""
    return min(COLOURS, key=lambda name: sum((a - b) ** 2 for a, b in zip(COLOURS[name], rgb, strict=True)))
