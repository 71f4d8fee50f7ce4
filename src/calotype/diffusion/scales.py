"""How strong guidance is, and whether there is any, moment by moment."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from calotype.diffusion.driver import Moment

ScaleAt = Callable[[Moment], float]
"""The scale of a moment. One that does not change is `lambda moment: scale`."""


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


def inside(moment: Moment, start: float, end: float) -> bool:
    """Whether a moment is in the guidance interval, from the share `start` of the steps to `end` (arXiv 2404.07724)."""
    # A rounding error in a share must not cost a whole step: 0.58 * 50 is a little less than 29.
    first, behind = (int(share * moment.steps + 1e-6) for share in (start, end))
    return first <= moment.step < behind
