"""From a recipe to its passes, each a recipe of a single pass, and their noise levels."""

from jaxtyping import Float
from torch import Tensor

from calotype.diffusion.ladder import ladder, most_steps, usual
from calotype.diffusion.names import AUTOMATIC
from calotype.diffusion.published import as_published
from calotype.diffusion.samplers import SAMPLERS
from calotype.errors import CalotypeError
from calotype.imaging.canvas import natural_size
from calotype.imaging.inputs import Inputs
from calotype.model import Model
from calotype.recipe import SAMPLER, SAMPLER_OPTIONS, Recipe

_STRENGTH = 0.75
"""A1111's default for a picture that is changed; a model made for editing begins with noise alone."""
_SWITCH = 0.8
"""A1111's default for when the refiner takes over."""


class Pass(Recipe):
    """A recipe of a single pass."""

    passed: int = 0
    """Steps of the passes before."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        assert self.width is not None and self.height is not None, "the recipe is settled"
        return self.width, self.height


def settle(model: Model, recipe: Recipe, inputs: Inputs | None = None) -> Recipe:
    """The recipe with all that it left to the model, and to the picture it begins with, filled in.

    ``inputs`` are its pictures, where they are at hand. Raises CalotypeError for a strength without a picture.
    """
    sampler, scheduler = _named(model, recipe.sampler, recipe.scheduler)
    hr_sampler, hr_scheduler = recipe.hr_sampler, recipe.hr_scheduler
    if recipe.hr_scale > 1:
        if hr_sampler is None or hr_sampler == AUTOMATIC:
            hr_sampler = recipe.sampler
        hr_sampler, hr_scheduler = _named(model, hr_sampler, hr_scheduler or recipe.scheduler)
    width = height = model.config.side
    strength = recipe.denoising_strength
    if recipe.init_image is not None:
        if strength is None:
            strength = 1.0 if model.edits else _STRENGTH
        only_masked = recipe.mask and recipe.inpaint_area == "only masked"
        if not only_masked and not (recipe.width and recipe.height):
            picture = (inputs or Inputs(recipe)).picture
            assert picture is not None, "the recipe names one"
            width, height = natural_size(recipe, picture)
    elif strength is not None:
        raise CalotypeError(
            "denoising_strength tells how much of a picture changes, and there is none: give init_image, or leave it "
            "out; a second pass has hr_denoising_strength."
        )
    switch = recipe.refiner_switch_at
    if recipe.refiner_checkpoint is not None and switch is None:
        switch = _SWITCH
    return recipe.but(
        sampler=sampler, scheduler=scheduler, hr_sampler=hr_sampler, hr_scheduler=hr_scheduler,
        width=recipe.width or width, height=recipe.height or height,
        denoising_strength=strength, refiner_switch_at=switch,
    )  # fmt: skip


def passes(recipe: Recipe) -> list[Pass]:
    """The passes of a settled recipe. The second one of a hires fix begins with what the first one ended with.

    Either takes the options that its sampler has.
    """
    first = Pass(**{**dict(recipe), "hr_scale": 1})
    if recipe.hr_scale == 1:
        return [first]
    width, height = (int(side * recipe.hr_scale) // 8 * 8 for side in first.size)
    second = first.but(
        passed=first.steps, width=width, height=height, steps=recipe.hr_steps or recipe.steps,
        sampler=recipe.hr_sampler, scheduler=recipe.hr_scheduler, denoising_strength=recipe.hr_denoising_strength,
        prompt=recipe.prompt if recipe.hr_prompt is None else recipe.hr_prompt,
        negative_prompt=recipe.negative_prompt if recipe.hr_negative_prompt is None else recipe.hr_negative_prompt,
        cfg_scale=recipe.cfg_scale if recipe.hr_cfg_scale is None else recipe.hr_cfg_scale,
        cfg_points=recipe.cfg_points if recipe.hr_cfg_scale is None else (),
    )  # fmt: skip
    return [_with_own_options(first, second), _with_own_options(second, first)]


def levels(model: Model, pass_: Pass) -> Float[Tensor, "levels"]:
    """A pass's noise levels: the last ones of a ladder where it changes a picture, and only the end at strength 0.

    A picture that is given takes as many steps of the recipe's ladder as its strength says. A second pass takes all its
    steps, as A1111's does, the last ones of a ladder longer by so much; where the schedule has fewer levels below the
    strength than that, it takes each of them.
    """
    sampler, strength = as_published(SAMPLERS[pass_.sampler], pass_.scheduler), pass_.denoising_strength
    total = run = pass_.steps
    if strength is not None and pass_.strength_convention == "diffusers":
        run = int(strength * total)
    elif strength is not None:
        share = min(strength, 0.999)
        if pass_.passed and share:
            total = int(min(total / share, most_steps(sampler, model.schedule)))
        run = min(pass_.steps, int(share * total) + 1) if share else 0
    sigmas = ladder(sampler, model.schedule, total, pass_.scheduler)
    return sigmas[total - run :] if run else sigmas.new_zeros(1)


def planned(model: Model, recipe: Recipe) -> int:
    """How many states a run has, with a sampler that keeps to the ladder's steps."""
    return sum(max(len(levels(model, pass_)) - 1, 1) for pass_ in passes(settle(model, recipe)))


def _with_own_options(pass_: Pass, other: Pass) -> Pass:
    """The pass without the options that only the ``other`` one's sampler has."""
    own, others = (SAMPLERS[each.sampler].options for each in (pass_, other))
    return pass_.but(**{name: None for name in SAMPLER_OPTIONS if name in others and name not in own})


def _named(model: Model, sampler: str, scheduler: str) -> tuple[str, str]:
    """Sampler and scheduler without any "automatic": the model's own scheduler belongs to the model's own sampler."""
    if sampler == AUTOMATIC:
        sampler = model.sampler or SAMPLER
        scheduler = model.scheduler if scheduler == AUTOMATIC and model.scheduler else scheduler
    return sampler, usual(scheduler, SAMPLERS[sampler], model.schedule)
