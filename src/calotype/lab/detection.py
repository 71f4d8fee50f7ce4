"""Detection: what a judge sees. A judge turns pictures into lists of detections."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from calotype.data.spec import Box

Pictures = UInt8[np.ndarray, "b h w 3"]


@dataclass(frozen=True)
class Detection:
    """A sprite's id, the box its visible part fills (x0, y0, x1, y1 in pixels), and a confidence in [0, 1]."""

    sprite: str
    box: Box
    score: float


Judge = Callable[[Pictures], list[list[Detection]]]
"""Pictures to detections, most confident first."""
JUDGES = (
    "J1 learned nothing: it takes a picture for known sprites on a flat background, and looks among all sprites, sizes "
    "and places, at a quarter of the resolution and then nearer, for the up to three that leave least of it "
    "unexplained. J2 is a small convolutional detector, trained on true scenes."
)
"""How they judge, for whoever reads a table of theirs."""
