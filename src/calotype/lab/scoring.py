"""Scoring: is what a judge saw what the prompt asked for? GenEval's questions (arXiv 2310.11513) in this world."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from calotype.data.colours import COLOURS
from calotype.data.prompts import Category
from calotype.data.spec import Box, Relation, Spec
from calotype.lab.detection import Detection
from calotype.lab.metrics import delta_e

Score = Callable[[Spec, Sequence[Detection]], bool]


def present(spec: Spec, found: Sequence[Detection]) -> bool:
    """Whether every thing asked for was found, as often as asked; others may stand beside it."""
    return Counter(thing.sprite for thing in spec.objects) <= Counter(detection.sprite for detection in found)


def counted(spec: Spec, found: Sequence[Detection]) -> bool:
    """Whether the thing asked for was found exactly as often as asked."""
    wanted = Counter(thing.sprite for thing in spec.objects)
    return wanted == Counter(detection.sprite for detection in found if detection.sprite in wanted)


def placed(spec: Spec, found: Sequence[Detection]) -> bool:
    """Whether both things were found and the surest of each stand as asked."""
    if not present(spec, found):
        return False
    first, second = (next(d.box for d in found if d.sprite == thing.sprite) for thing in spec.objects)
    return spec.relation in directions(first, second)


def directions(first: Box, second: Box) -> set[Relation]:
    """Where the first box is from the second, by GenEval's rule: the offset of the centres, less a tenth of the sum of
    the sizes, must make up more than half of the offset along an axis. Empty when they are too close to tell.
    """
    one, other = np.reshape(first, (2, 2)), np.reshape(second, (2, 2))
    offset = one.mean(0) - other.mean(0)
    slack = 0.1 * (np.ptp(one, axis=0) + np.ptp(other, axis=0))
    beyond = np.maximum(np.abs(offset) - slack, 0) * np.sign(offset)
    if not beyond.any():
        return set()
    x, y = beyond / np.linalg.norm(offset)
    named: tuple[tuple[Relation, bool], ...] = (
        ("left", x < -0.5), ("right", x > 0.5), ("above", y < -0.5), ("below", y > 0.5),
    )  # fmt: skip
    return {relation for relation, holds in named if holds}


def named_colour(rgb: ArrayLike) -> str:
    """The one of the twelve named colours whose anchor is nearest by delta E."""
    names = list(COLOURS)
    return names[int(delta_e(np.asarray(rgb, np.float64), np.array([COLOURS[name] for name in names])).argmin())]


SCORES: dict[Category, Score] = {"single": present, "two": present, "position": placed, "counting": counted}
"""What makes a picture right, by category. ``colour`` is told from the background, not from detections."""
