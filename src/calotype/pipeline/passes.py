"""From a recipe to its passes, each a recipe of a single pass."""

from calotype.diffusion.samplers import SAMPLERS
from calotype.imaging.canvas import natural_size
from calotype.imaging.reading import read_picture
from calotype.model import Model
from calotype.recipe import AUTOMATIC, SAMPLER, Recipe

_STRENGTH = 0.75
"""A1111's default for a picture that is changed; a model made for editing begins with noise alone."""
_SWITCH = 0.8
"""A1111's default for when the refiner takes over."""


def settle(model: Model, recipe: Recipe) -> Recipe:
    """The recipe with all that it left to the model, and to the picture it begins with, filled in."""
    sampler, scheduler = recipe.sampler, recipe.scheduler
    if sampler == AUTOMATIC:
        sampler = model.sampler or SAMPLER
        scheduler = model.scheduler if scheduler == AUTOMATIC and model.scheduler else scheduler
    if scheduler == AUTOMATIC:
        scheduler = SAMPLERS[sampler].scheduler or model.schedule.spacing
    width = height = model.config.vae.sample_size
    strength = recipe.denoising_strength
    if recipe.init_image is not None:
        if strength is None:
            strength = 1.0 if model.edits else _STRENGTH
        if not (recipe.mask and recipe.inpaint_area == "only masked"):
            width, height = natural_size(recipe, read_picture(recipe.init_image))
    switch = recipe.refiner_switch_at
    if recipe.refiner_checkpoint is not None and switch is None:
        switch = _SWITCH
    return recipe.but(
        sampler=sampler, scheduler=scheduler, width=recipe.width or width, height=recipe.height or height,
        denoising_strength=strength, refiner_switch_at=switch,
    )  # fmt: skip


def passes(recipe: Recipe) -> list[Recipe]:
    """The passes of a settled recipe. The second one of a hires fix begins with what the first one ended with."""
    first = recipe.but(hr_scale=1)
    if recipe.hr_scale == 1:
        return [first]
    assert recipe.width is not None and recipe.height is not None
    width, height = (round(side * recipe.hr_scale / 8) * 8 for side in (recipe.width, recipe.height))
    other = None if recipe.hr_sampler == AUTOMATIC else recipe.hr_sampler
    sampler = other or recipe.sampler
    scheduler = recipe.hr_scheduler or (SAMPLERS[other].scheduler if other else recipe.scheduler)
    second = first.but(
        width=width, height=height, steps=recipe.hr_steps or recipe.steps, sampler=sampler,
        scheduler=scheduler or recipe.scheduler, denoising_strength=recipe.hr_denoising_strength,
        inpainting_fill="original",
        prompt=recipe.prompt if recipe.hr_prompt is None else recipe.hr_prompt,
        negative_prompt=recipe.negative_prompt if recipe.hr_negative_prompt is None else recipe.hr_negative_prompt,
        cfg_scale=recipe.cfg_scale if recipe.hr_cfg_scale is None else recipe.hr_cfg_scale,
    )  # fmt: skip
    return [first, second]
