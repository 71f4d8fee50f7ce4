"""How the answers under different conditions become one, moment by moment."""

from collections.abc import Callable

from calotype.diffusion.driver import Moment
from calotype.diffusion.guidance import Guide, classifier_free, mimicking, rescaled, thresholded
from calotype.diffusion.parameterization import Parameterization
from calotype.diffusion.samplers import SAMPLERS
from calotype.diffusion.scales import ScaleAt, along, inside
from calotype.recipe import Recipe


def guide_at(part: Recipe, parameterization: Parameterization, always: bool) -> Callable[[Moment], Guide | None]:
    """The guide of each moment; without guidance None, unless the negative prediction is needed ``always``.

    That is at scale 1, where a CFG++ sampler still guides, and outside the interval, where no sampler does.
    """
    scale_at: ScaleAt = along(part.cfg_points) if part.cfg_points else lambda moment: part.cfg_scale
    guides_at_one = SAMPLERS[part.sampler].reads_uncond
    unguided = classifier_free(1) if always else None

    def guide(moment: Moment) -> Guide | None:
        scale = scale_at(moment)
        if not inside(moment, part.cfg_start, part.cfg_end) or (scale == 1 and not guides_at_one):
            return unguided
        return _wrapped(scale, part, parameterization)

    return guide


def _wrapped(scale: float, part: Recipe, parameterization: Parameterization) -> Guide:
    divisor = SAMPLERS[part.sampler].scale_divisor
    guide = classifier_free(scale / divisor)
    if part.mimic_scale is not None:
        guide = mimicking(guide, classifier_free(part.mimic_scale / divisor), part.threshold_percentile)
    elif part.threshold_percentile < 1:
        guide = thresholded(guide, part.threshold_percentile)
    return rescaled(guide, part.cfg_rescale, parameterization) if part.cfg_rescale else guide
