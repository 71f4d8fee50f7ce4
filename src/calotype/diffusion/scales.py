"""How strong guidance is, moment by moment."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from calotype.diffusion.driver import Moment

ScaleAt = Callable[[Moment], float]
"""The scale of a moment; 1 is no guidance. One that does not change is `lambda moment: scale`."""


def along(points: Sequence[tuple[float, float]]) -> ScaleAt:
    """Straight lines through (share of the steps, scale): the first step is at 0, the last at 1."""
    points = sorted(points)

    def scale(moment: Moment) -> float:
        share = moment.step / max(moment.steps - 1, 1)
        for (left, low), (right, high) in pairwise(points):
            if left <= share < right:
                return low + (high - low) * (share - left) / (right - left)
        return points[0][1] if share < points[0][0] else points[-1][1]

    return scale


def within(scale_at: ScaleAt, start: float, end: float) -> ScaleAt:
    """`scale_at` from the share `start` of the steps to `end`, and no guidance elsewhere (arXiv 2404.07724)."""

    def scale(moment: Moment) -> float:
        inside = int(start * moment.steps) <= moment.step < int(end * moment.steps)
        return scale_at(moment) if inside else 1.0

    return scale
