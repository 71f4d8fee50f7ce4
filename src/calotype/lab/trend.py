"""A trend: how a figure changes with a dial, over cases that each were tried at every setting of it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from calotype.lab.bootstrap import Estimate, estimate


@dataclass(frozen=True)
class Trend:
    """A figure's mean at each level of the dial, and its slope by the dial: a mean over cases, with its interval."""

    figure: str
    judge: str
    levels: tuple[float, ...]
    means: tuple[float, ...]
    slope: Estimate
    wanted: Literal["rises", "falls"]

    @property
    def verdict(self) -> str:
        """What the interval says: as wanted, the other way, or nothing, because 0 lies in it."""
        if self.slope.low <= 0 <= self.slope.high:
            return "not shown: the interval holds 0"
        found = "rises" if self.slope.low > 0 else "falls"
        return found if found == self.wanted else f"MISS: it {found}"


def trend(
    figure: str,
    judge: str,
    levels: tuple[float, ...],
    found: Float[np.ndarray, "cases levels"],
    wanted: Literal["rises", "falls"],
) -> Trend:
    """The trend of what was ``found``. The slope of each case is that of least squares."""
    offsets = np.asarray(levels) - np.mean(levels)
    changes = np.asarray(found, np.float64) - found[:, :1]  # so that what never changes has a slope of exactly 0
    slopes = changes @ offsets / (offsets @ offsets)
    return Trend(figure, judge, levels, tuple(np.mean(found, axis=0).tolist()), estimate(slopes.tolist()), wanted)
