"""Stand-in sprites: plain shapes drawn with Pillow, each with an everyday name."""

import math
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw

from calotype.data.colours import COLOURS, RGB
from calotype.data.sprites import Pixels, Sprite, crop

_SIZE, _SUPERSAMPLING = 128, 4

Polygon = list[tuple[float, float]]


def drawn() -> Iterator[Sprite]:
    """Twenty-four stand-in sprites: twelve shapes, plain and as an outline."""
    for colour, (names, polygon) in zip(COLOURS.values(), _SHAPES.items(), strict=True):
        name, *aliases = names
        yield Sprite(f"drawn-{name}", name, tuple(aliases), _picture(polygon, colour, filled=True))
        yield Sprite(f"drawn-{name}-outline", f"{name} outline", (), _picture(polygon, colour, filled=False))


def _picture(polygon: Polygon, colour: RGB, filled: bool) -> Pixels:
    """A polygon of points in [-1, 1] squared; drawn large and reduced for smooth edges.

    The edge is in an opposite colour too, so that the shape is seen on any background.
    """
    side = _SIZE * _SUPERSAMPLING
    image = Image.new("RGBA", (side, side))
    pen = ImageDraw.Draw(image)
    points = [((x + 1) / 2 * (side - 1), (y + 1) / 2 * (side - 1)) for x, y in polygon]
    opposite = tuple((channel + 128) % 256 for channel in colour)
    pen.polygon(points, fill=colour if filled else None)
    pen.line([*points, *points[:2]], fill=opposite, width=side // 9, joint="curve")
    if not filled:
        pen.line([*points, *points[:2]], fill=colour, width=side // 20, joint="curve")
    return crop(np.asarray(image.convert("RGBa").resize((_SIZE, _SIZE), Image.Resampling.BOX).convert("RGBA")))


def _ring(corners: int, radii: tuple[float, ...] = (0.9,), turn: float = -0.25) -> Polygon:
    """Corners around the middle at radii taken in turn, the first at ``turn`` of a whole turn."""
    angles = [2 * math.pi * (i / corners + turn) for i in range(corners)]
    return [(radii[i % len(radii)] * math.cos(a), radii[i % len(radii)] * math.sin(a)) for i, a in enumerate(angles)]


def _bent(length: float, width: float) -> Polygon:
    return [
        (-length, -0.9),
        (-length + width, -0.9),
        (-length + width, 0.9 - width),
        (length, 0.9 - width),
        (length, 0.9),
        (-length, 0.9),
    ]


_SHAPES: dict[tuple[str, ...], Polygon] = {
    ("circle", "disc"): _ring(64),
    ("square", "block"): _ring(4, turn=0.125),
    ("triangle",): _ring(3),
    ("star",): _ring(10, (0.9, 0.35)),
    ("hexagon",): _ring(6),
    ("diamond", "rhombus"): [(0, -0.9), (0.55, 0), (0, 0.9), (-0.55, 0)],
    ("cross", "plus"): [
        (-0.25, -0.9), (0.25, -0.9), (0.25, -0.25), (0.9, -0.25), (0.9, 0.25), (0.25, 0.25),
        (0.25, 0.9), (-0.25, 0.9), (-0.25, 0.25), (-0.9, 0.25), (-0.9, -0.25), (-0.25, -0.25),
    ],
    ("bar", "beam"): [(-0.9, -0.25), (0.9, -0.25), (0.9, 0.25), (-0.9, 0.25)],
    ("arrow",): [(-0.9, -0.2), (0.1, -0.2), (0.1, -0.6), (0.9, 0), (0.1, 0.6), (0.1, 0.2), (-0.9, 0.2)],
    ("bow tie",): [(-0.7, -0.9), (0.7, -0.9), (-0.7, 0.9), (0.7, 0.9)],
    ("sunburst", "spark"): _ring(32, (0.9, 0.6)),
    ("boot",): _bent(0.6, 0.45),
}  # fmt: skip
