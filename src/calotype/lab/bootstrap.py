"""A mean and how far it can be trusted: the bootstrap by prompt (Efron 1979), since one prompt's pictures are alike."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

_NORMAL = 1.959964
"""The 97.5th percentile of the normal distribution."""
_DRAWS = 1000
"""Resamples."""


@dataclass(frozen=True)
class Estimate:
    """A mean, its 95 % interval, and the number of prompts behind it."""

    value: float
    low: float
    high: float
    count: int


def estimate(per_prompt: Sequence[float]) -> Estimate:
    """The mean of one figure per prompt and the 2.5 and 97.5 percentiles of the means of many resamples.

    The resamples are the same at every call. There must be at least one prompt.
    """
    values = np.asarray(per_prompt, dtype=np.float64)
    resamples = np.random.default_rng(0).integers(0, len(values), (_DRAWS, len(values)))
    low, high = np.percentile(values[resamples].mean(1), [2.5, 97.5])
    return Estimate(float(values.mean()), float(low), float(high), len(values))


def exact(value: float) -> Estimate:
    """A figure of which there is only one, and so no interval."""
    return Estimate(value, value, value, 1)


def share(per_prompt: Sequence[float]) -> Estimate:
    """`estimate` of shares, each in [0, 1]; where all are 0, or all are 1, with Wilson's interval."""
    return _unsure(estimate(per_prompt))


def share_of(above: Sequence[float], below: Sequence[float]) -> Estimate | None:
    """`ratio` of shares, ``above`` being of ``below``, over the prompts that have any; at 0 and 1 as `share`."""
    found = ratio(above, below)
    return found and _unsure(replace(found, count=int(np.count_nonzero(below))))


def ratio(above: Sequence[float], below: Sequence[float]) -> Estimate | None:
    """The ratio of two means over the same prompts, and the percentiles of its resamples; None where it has no value.

    Resamples whose lower mean is 0 are left out.
    """
    pairs = np.asarray([above, below], dtype=np.float64)
    count = pairs.shape[1]
    if pairs[1].mean() == 0:
        return None
    resamples = np.random.default_rng(0).integers(0, count, (_DRAWS, count))
    means = pairs[:, resamples].mean(2)
    low, high = np.percentile(means[0, means[1] > 0] / means[1, means[1] > 0], [2.5, 97.5])
    return Estimate(float(pairs[0].mean() / pairs[1].mean()), float(low), float(high), count)


def _unsure(found: Estimate) -> Estimate:
    """A share of 0 or 1, where all resamples are the same, with Wilson's interval (1927); others as they are."""
    reach = _NORMAL**2 / (found.count + _NORMAL**2)
    if found.value in (0, 1):
        return replace(found, low=found.value * (1 - reach), high=max(found.value, reach))
    return found
