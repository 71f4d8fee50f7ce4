"""Spec: all there is to know about a scene. The picture and the caption are functions of it."""

import json
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from calotype.data.colours import RGB

Relation = Literal["alone", "left", "right", "above", "below", "row", "group"]
"""How the objects stand: the first is left of, right of, above or below the second; all side by side from left to
right (row); or several of a kind anywhere (group)."""

Cell = Literal[
    "top left", "top", "top right", "left", "center", "right", "bottom left", "bottom", "bottom right",
]  # fmt: skip
CELLS: tuple[Cell, ...] = get_args(Cell)
"""The nine cells of the canvas, row by row: the thirds in which an object's centre lies."""

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels from the top left corner; sub-pixel positions are meant."""


@dataclass(frozen=True)
class Object:
    """One sprite in a scene: which, what the caption calls it, and the box that its visible part fills."""

    sprite: str
    word: str
    box: Box

    @property
    def center(self) -> tuple[float, float]:
        """The middle of the box."""
        x0, y0, x1, y1 = self.box
        return (x0 + x1) / 2, (y0 + y1) / 2

    @property
    def extent(self) -> float:
        """The longer side of the box, in pixels."""
        x0, y0, x1, y1 = self.box
        return max(x1 - x0, y1 - y0)


@dataclass(frozen=True)
class Spec:
    """A scene on a square canvas of ``size`` pixels; ``objects`` in the order in which the caption names them."""

    size: int
    background: str
    rgb: RGB
    objects: tuple[Object, ...]
    relation: Relation
    phrase: str
    """Which wording of the objects: a key of captions.PHRASES[relation]."""
    template: str
    """Which sentence around them: a key of captions.TEMPLATES."""

    @property
    def alike(self) -> bool:
        """Whether the objects are all of one kind, as one alone is."""
        return len({thing.sprite for thing in self.objects}) == 1

    @property
    def cell(self) -> Cell:
        """The cell in which the first object's centre lies."""
        x, y = self.objects[0].center
        third = self.size / 3
        return CELLS[3 * min(2, int(y / third)) + min(2, int(x / third))]

    def to_json(self) -> str:
        """The spec as one line of JSON."""
        return json.dumps(asdict(self), separators=(",", ":"))
