"""Where A1111 and ComfyUI have other numbers of the same name, as lines for a person."""

import re

from calotype.configs import ScheduleConfig
from calotype.diffusion.names import AUTOMATIC
from calotype.diffusion.samplers import SAMPLERS, Sampler
from calotype.recipe import PROMPTS, Recipe

_SCHEDULE = re.compile(r"\[[^\[\]]*(:\s*[\d.]+\s*|\|[^\[\]]*)\]")
"""[from:to:when] and [one|other], as far as it takes to see that there is one."""
_ABOVE_THE_LOWEST = ("leading", "sgm_uniform", "simple", "linear_quadratic")
"""ComfyUI's schedulers whose last level above 0 is not the model's lowest."""
_BY_THE_HIGHEST = ("karras", "exponential", "kl_optimal", "beta")
"""Schedulers all of whose levels depend on the model's highest."""


def from_a1111(recipe: Recipe) -> list[str]:
    """What A1111 computes otherwise of such a recipe."""
    missed = []
    scheduled = any(_SCHEDULE.search(getattr(recipe, name) or "") for name in PROMPTS)
    for sampler, scheduler, steps in ladders(recipe):
        if sampler.variance_preserving or sampler.name == "LCM":
            missed.append(f"the noise levels of {sampler.name}: A1111 has others for it")
        else:
            missed += _other_levels(scheduler, steps + sampler.discards_penultimate)
        if scheduler == "kl_optimal":
            missed.append(
                "the end of KL Optimal: A1111's is the lowest level of the model, here it is 0, as in ComfyUI"
            )
        if sampler.noise == "brownian":
            missed.append(f"the noise between the steps of {sampler.name}: A1111 takes it from another tree")
        if scheduled and sampler.evaluations == 2:
            missed.append(f"the prompt's schedule: of {sampler.name} A1111 counts the calls, two to a step")
    return missed


def from_comfyui(recipe: Recipe) -> list[str]:
    """What ComfyUI computes otherwise of such a recipe."""
    sampler, vp = SAMPLERS[recipe.sampler], "sqrt(1 + sigma^2)"
    missed = _other_levels(recipe.scheduler, recipe.steps + sampler.discards_penultimate)
    highest = recipe.scheduler != "leading"  # the only one that begins below the model's highest level
    if highest != sampler.variance_preserving:
        theirs, ours = (vp, "sigma, as in A1111") if highest else ("sigma", f"{vp}, as in A1111")
        missed.append(f"the first noise's size: ComfyUI's is {theirs}, here it is {ours}")
    if sampler.name == "DDIM" and recipe.scheduler in _ABOVE_THE_LOWEST:
        missed.append("the end of DDIM: ComfyUI's is 0, here it is the lowest level of the model, as in diffusers")
    if sampler.name.startswith("UniPC"):
        missed.append(f"the noise levels of {sampler.name}: ComfyUI leaves out the last but one and ends at 0.001")
    if sampler.name == "DPM++ 3M SDE":
        missed.append("the noise levels of DPM++ 3M SDE: ComfyUI's have the last but one, which is left out here")
    if sampler.name == "DEIS":
        missed.append("the polynomials of DEIS: ComfyUI's are over time, here they are over log sigma, as in diffusers")
    if recipe.scheduler == "beta":
        missed.append("the levels of beta: ComfyUI's quantiles are over time, here they are over sigma, as in A1111")
    if sampler.stochastic:
        missed.append(f"the noise between the steps of {sampler.name}: ComfyUI draws it from another seed")
    return missed


def with_model(recipe: Recipe, schedule: ScheduleConfig) -> list[str]:
    """What both compute otherwise of such a recipe with a model of that schedule."""
    missed = []
    if schedule.zero_terminal_snr:
        asked = {
            sampler.scheduler if scheduler == AUTOMATIC else scheduler for sampler, scheduler, _ in ladders(recipe)
        }
        if asked != {"leading"}:  # the only one that begins below the highest level
            missed.append("the highest noise level: 4519 in other programs, here 4096, as in diffusers")
        missed += [
            f"the noise levels of {name}: in other programs all fall from the highest, here only the first is near it"
            for name in _BY_THE_HIGHEST
            if name in asked
        ]
    if recipe.cfg_rescale and recipe.prompt_style == "comfyui" and schedule.parameterization != "v_prediction":
        missed.append("RescaleCFG: ComfyUI rescales v, here it is what the model predicts, as in diffusers")
    return missed


def ladders(recipe: Recipe) -> list[tuple[Sampler, str, int]]:
    """The sampler, the scheduler and the steps of each pass's ladder: a second one's is longer by its strength."""
    ladders = [(SAMPLERS[recipe.sampler], recipe.scheduler, recipe.steps)]
    if recipe.hr_scale > 1:
        sampler = recipe.sampler if recipe.hr_sampler in (None, AUTOMATIC) else recipe.hr_sampler
        steps = (recipe.hr_steps or recipe.steps) / min(recipe.hr_denoising_strength or 1, 0.999)
        ladders.append((SAMPLERS[sampler], recipe.hr_scheduler or recipe.scheduler, int(steps)))
    return ladders


def _other_levels(scheduler: str, steps: int) -> list[str]:
    """A line if the scheduler that both call DDIM has other levels at so many steps than diffusers' leading spacing.

    It goes on, 1000 // steps at a time, as far as there are levels: at 30 steps, through 31.
    """
    levels = len(range(1, 1000, max(1000 // steps, 1)))
    if scheduler != "leading" or levels == steps:
        return []
    return [f"the noise levels of the schedule DDIM: {levels} at {steps} steps in other programs, here {steps}"]
