"""How the answers under different conditions become one, moment by moment."""

from collections.abc import Callable

from calotype.diffusion.driver import Moment
from calotype.diffusion.guidance import Guide, classifier_free, mimicking, rescaled, thresholded
from calotype.diffusion.parameterization import Parameterization
from calotype.diffusion.samplers import SAMPLERS
from calotype.diffusion.scales import ScaleAt, along, inside
from calotype.recipe import Recipe


def guide_at(recipe: Recipe, parameterization: Parameterization, always: bool) -> Callable[[Moment], Guide | None]:
    """The guide at each moment, or None where none is needed.

    At scale 1 only CFG++ samplers are guided; outside [cfg_start, cfg_end] none is. With ``always`` (editing models)
    such moments get a guide of scale 1 instead.
    """
    scale_at: ScaleAt = along(recipe.cfg_points) if recipe.cfg_points else lambda moment: recipe.cfg_scale
    guides_at_one = SAMPLERS[recipe.sampler].reads_uncond
    unguided = classifier_free(1) if always else None

    def guide(moment: Moment) -> Guide | None:
        scale = scale_at(moment)
        if not inside(moment, recipe.cfg_start, recipe.cfg_end) or (scale == 1 and not guides_at_one):
            return unguided
        return _wrapped(scale, recipe, parameterization)

    return guide


def _wrapped(scale: float, recipe: Recipe, parameterization: Parameterization) -> Guide:
    divisor = SAMPLERS[recipe.sampler].scale_divisor
    guide = classifier_free(scale / divisor)
    if recipe.mimic_scale is not None:
        guide = mimicking(guide, classifier_free(recipe.mimic_scale / divisor), recipe.threshold_percentile)
    elif recipe.threshold_percentile < 1:
        guide = thresholded(guide, recipe.threshold_percentile)
    return rescaled(guide, recipe.cfg_rescale, parameterization) if recipe.cfg_rescale else guide
