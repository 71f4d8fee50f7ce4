"""A mean and how far it can be trusted: the bootstrap by prompt (Efron 1979), since one prompt's pictures are alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A mean, its 95 % interval, and the number of prompts behind it."""

    value: float
    low: float
    high: float
    count: int


def estimate(per_prompt: Sequence[float], draws: int = 1000) -> Estimate:
    """The mean of one figure per prompt and the 2.5 and 97.5 percentiles of the means of ``draws`` resamples.

    The resamples are the same at every call. There must be at least one prompt.
    """
    values = np.asarray(per_prompt, dtype=np.float64)
    resamples = np.random.default_rng(0).integers(0, len(values), (draws, len(values)))
    low, high = np.percentile(values[resamples].mean(1), [2.5, 97.5])
    return Estimate(float(values.mean()), float(low), float(high), len(values))


def ratio(above: Sequence[float], below: Sequence[float], draws: int = 1000) -> Estimate | None:
    """The ratio of two means over the same prompts, and the percentiles of its resamples; None where it has no value.

    Resamples whose lower mean is 0 are left out.
    """
    pairs = np.asarray([above, below], dtype=np.float64)
    count = pairs.shape[1]
    if pairs[1].mean() == 0:
        return None
    resamples = np.random.default_rng(0).integers(0, count, (draws, count))
    means = pairs[:, resamples].mean(2)
    low, high = np.percentile(means[0, means[1] > 0] / means[1, means[1] > 0], [2.5, 97.5])
    return Estimate(float(pairs[0].mean() / pairs[1].mean()), float(low), float(high), count)
