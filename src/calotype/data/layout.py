"""Layout: boxes for one, two or three things on the canvas, so that what a caption may say of them is plainly true.

All lengths are shares of the canvas; a thing's ``aspect`` is width / height, its ``extent`` the longer side.
"""

import random
from collections.abc import Sequence
from math import floor

from calotype.data.spec import CELLS, Box, Cell, Relation

MARGIN = 1 / 64
"""The least distance to the canvas's border, and half the least gap between things."""

_GUARD = 1 / 40
"""How far a centre stays from the line between two cells."""

Extents = tuple[float, float]
"""The least and the greatest extent."""

ALONE: Extents = (32 / 128, 96 / 128)
"""Of a thing alone on a canvas of full size."""


def place_one(rng: random.Random, aspect: float, extents: Extents) -> Box:
    """A box in one of the nine cells: the center a third of the time; away from it only small enough to fit."""
    cell: Cell = "center" if rng.random() < 1 / 3 else rng.choice([c for c in CELLS if c != "center"])
    row, column = divmod(CELLS.index(cell), 3)
    low, high = extents
    largest_aside = 2 * (1 / 3 - _GUARD - MARGIN)
    extent = rng.uniform(low, high if cell == "center" else min(high, largest_aside))
    width, height = _sides(aspect, extent)
    return _box(_coordinate(rng, column, width), _coordinate(rng, row, height), width, height)


def _coordinate(rng: random.Random, third: int, side: float) -> float:
    """A centre in the first, middle or last third, the thing whole on the canvas."""
    if third == 1:
        slack = min(0.08, 0.5 - MARGIN - side / 2)
        return rng.uniform(0.5 - slack, 0.5 + slack)
    near = rng.uniform(MARGIN + side / 2, 1 / 3 - _GUARD)
    return near if third == 0 else 1 - near


def place_two(rng: random.Random, aspects: Sequence[float], extents: Extents, relation: Relation) -> list[Box]:
    """Two boxes, the first to the left or right of, above or below the second, with no overlap along that axis."""
    if relation in ("right", "below"):
        return place_two(rng, aspects[::-1], extents, "left" if relation == "right" else "above")[::-1]
    if relation == "above":
        return [_transposed(box) for box in place_row(rng, [1 / a for a in aspects], extents)]
    return place_row(rng, aspects, extents)


def place_row(rng: random.Random, aspects: Sequence[float], extents: Extents) -> list[Box]:
    """Boxes from left to right, centred a little off one line."""
    count = len(aspects)
    low, high = extents
    room = (1 - 2 * MARGIN * count) / count
    sides = [_sides(a, rng.uniform(min(low, room), min(high, room))) for a in aspects]
    free = 1 - 2 * MARGIN * count - sum(width for width, _ in sides)
    cuts = sorted(rng.uniform(0, free) for _ in range(count))
    tallest = max(height for _, height in sides)
    line = rng.uniform(max(0.3, MARGIN + tallest / 2), min(0.7, 1 - MARGIN - tallest / 2))
    boxes, used = [], 0.0
    for cut, (width, height), i in zip(cuts, sides, range(count), strict=True):
        wobble = min(0.03, line - height / 2 - MARGIN, 1 - MARGIN - line - height / 2)
        y = line + rng.uniform(-wobble, wobble)
        boxes.append(_box(MARGIN * (2 * i + 1) + cut + used + width / 2, y, width, height))
        used += width
    return boxes


def place_group(rng: random.Random, aspect: float, extents: Extents, count: int) -> list[Box]:
    """Two or three boxes of about one size, in different corners of the canvas, not in one row."""
    low, high = extents
    extent = rng.uniform(low, min(high, 0.5 - 2 * MARGIN))
    corners = [(0, 0), (1, 1)] if rng.random() < 0.5 else [(0, 1), (1, 0)]
    if count == 3:
        corners.append((corners[0][0], corners[1][1]))
    boxes = []
    for column, row in corners:
        width, height = _sides(aspect, extent * rng.uniform(0.9, 1))
        x = rng.uniform(MARGIN, 0.5 - MARGIN - width) + width / 2
        y = rng.uniform(MARGIN, 0.5 - MARGIN - height) + height / 2
        boxes.append(_box(x + 0.5 * column, y + 0.5 * row, width, height))
    return boxes


def aligned(box: Box, step: float) -> Box:
    """The box begun on the nearest multiple of ``step``, its extent the next lower even multiple, at least the fourth.

    Where a step is one number of the latent, equal things have equal latents wherever they stand.
    """
    x0, y0, x1, y1 = box
    extent = max(x1 - x0, y1 - y0)
    scale = max(4 * step, 2 * step * floor(extent / (2 * step) + 1e-6)) / extent
    width, height = (x1 - x0) * scale, (y1 - y0) * scale

    def corner(middle: float, side: float) -> float:
        return min(step * round((middle - side / 2) / step), step * floor((1 - side) / step + 1e-6))

    x, y = (max(0.0, corner((low + high) / 2, side)) for low, high, side in ((x0, x1, width), (y0, y1, height)))
    return x, y, x + width, y + height


def _sides(aspect: float, extent: float) -> tuple[float, float]:
    return (extent, extent / aspect) if aspect >= 1 else (extent * aspect, extent)


def _box(x: float, y: float, width: float, height: float) -> Box:
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _transposed(box: Box) -> Box:
    x0, y0, x1, y1 = box
    return y0, x0, y1, x1
