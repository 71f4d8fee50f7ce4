"""What becomes of a recipe before anything is sampled: its passes, their noise levels, and what is refused."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from calotype.api import Studio, load
from calotype.configs import SD15
from calotype.diffusion.ladder import ladder
from calotype.diffusion.samplers import SAMPLERS
from calotype.diffusion.schedulers import SCHEDULERS
from calotype.errors import CalotypeError
from calotype.imaging.canvas import canvas
from calotype.imaging.reading import inline, read_mask, read_picture
from calotype.pipeline.passes import levels, passes, planned, settle
from calotype.recipe import Recipe

PICTURE = inline(Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)))
HIRES = Recipe(prompt="a", seed=1, steps=4, sampler="Euler", hr_scale=1.25)


@pytest.fixture(scope="module")
def studio(tiny_folder: Path) -> Studio:
    return load(tiny_folder)


@pytest.fixture(scope="module")
def sd15(studio: Studio) -> Studio:
    """The tiny model with SD 1.5's noise levels."""
    return replace(studio, config=replace(studio.config, schedule=SD15.schedule))


def _second(studio: Studio, recipe: Recipe) -> torch.Tensor:
    return levels(studio, passes(settle(studio, recipe))[1])


def test_a_second_pass_takes_all_its_steps_from_a1111s_level(sd15: Studio) -> None:
    """A1111 1.10.1, `setup_img2img_steps` with steps given: 20 of 40 steps at strength 0.5, from sigma 1.182."""
    recipe = HIRES.but(steps=20, scheduler="karras", hr_denoising_strength=0.5)
    sigmas = _second(sd15, recipe)
    assert len(sigmas) == 21
    assert sigmas[0].item() == pytest.approx(1.182, abs=5e-4)
    lowest, highest = (sd15.schedule.sigmas[end] ** (1 / 7) for end in (0, -1))
    expected = (highest + (lowest - highest) * torch.arange(20, 40) / 39) ** 7
    torch.testing.assert_close(sigmas[:-1], expected)
    assert sigmas[-1] == 0


@pytest.mark.parametrize(
    ("steps", "strength", "total"), [(20, 0.5, 40), (20, 0.7, 28), (3, 0.6, 5), (7, 1.0, 7), (10, 0.999, 10)]
)
def test_its_ladder_is_longer_by_the_strength(studio: Studio, steps: int, strength: float, total: int) -> None:
    recipe = HIRES.but(hr_steps=steps, hr_denoising_strength=strength)
    whole = ladder(SAMPLERS["Euler"], studio.schedule, total, "normal")
    assert _second(studio, recipe).equal(whole[total - steps :])


def test_it_takes_every_level_where_there_are_fewer_than_steps(studio: Studio) -> None:
    for steps, strength, run in ((20, 0.01, 11), (150, 0.1, 101), (1000, 1, 1000), (1, 5e-324, 1), (4, 0, 0)):
        sigmas = _second(studio, HIRES.but(hr_steps=steps, hr_denoising_strength=strength))
        assert len(sigmas) == run + 1
        assert sigmas[0] <= studio.schedule.sigma(max(1000 * strength, 1))


def test_no_strength_is_too_low_for_any_scheduler(sd15: Studio) -> None:
    asked = product(SCHEDULERS, ("Euler", "DPM2"), ((1, 0.001), (20, 0.01), (300, 0.4)))
    for scheduler, sampler, (steps, strength) in asked:
        recipe = HIRES.but(scheduler=scheduler, sampler=sampler, hr_steps=steps, hr_denoising_strength=strength)
        part = passes(settle(sd15, recipe))[1]
        SAMPLERS[part.sampler].plan(levels(sd15, part), sd15.schedule)


def test_diffusers_convention_takes_the_share_of_the_steps(studio: Studio) -> None:
    recipe = HIRES.but(hr_steps=10, hr_denoising_strength=0.5, strength_convention="diffusers")
    assert _second(studio, recipe).equal(ladder(SAMPLERS["Euler"], studio.schedule, 10, "normal")[5:])


def _begun(studio: Studio, prompt: str) -> Iterator[bool]:
    """Step by step of the second pass, whether the prompt has changed what plain "a" gives."""
    recipe = HIRES.but(hr_steps=6, hr_denoising_strength=0.5)
    for state, plain in zip(studio.states(recipe.but(hr_prompt=prompt)), studio.states(recipe), strict=True):
        if state.pass_index:
            yield not state.x.equal(plain.x)


def test_its_prompt_is_scheduled_over_all_its_steps(studio: Studio) -> None:
    assert list(_begun(studio, "[a:unicorn:1.5]")) == [False] * 4 + [True] * 2


def test_its_own_scale_takes_the_place_of_the_points(studio: Studio) -> None:
    recipe = HIRES.but(cfg_points=((0, 7), (1, 2)))
    for asked, scale, points in ((None, 4, recipe.cfg_points), (3, 3, ())):
        first, second = passes(settle(studio, recipe.but(hr_cfg_scale=asked)))
        assert (second.cfg_scale, second.cfg_points) == (scale, points)
        assert first.cfg_points == recipe.cfg_points


@pytest.mark.parametrize(
    ("sampler", "hr_sampler", "etas"),
    [("Euler a", "DPM++ 2M", [0.5, None]), ("DPM++ 2M", "Euler a", [None, 0.5]), ("Euler a", "DDIM", [0.5, 0.5]),
     ("Euler a", None, [0.5, 0.5])],
)  # fmt: skip
def test_each_pass_takes_the_options_that_its_sampler_has(
    sampler: str, hr_sampler: str | None, etas: list[float | None], studio: Studio
) -> None:
    recipe = HIRES.but(sampler=sampler, hr_sampler=hr_sampler, eta=0.5)
    studio.check(recipe)
    assert [part.eta for part in passes(settle(studio, recipe))] == etas


def test_what_the_first_pass_erased_is_not_shown_again(studio: Studio) -> None:
    mask = inline(Image.new("L", (64, 64), 255))
    recipe = HIRES.but(init_image=PICTURE, mask=mask, mask_blur=0, inpainting_fill="latent nothing")
    shown = canvas(passes(settle(studio, recipe))[1], read_picture(PICTURE), read_mask(mask)).image
    assert shown.getextrema() == ((128, 128),) * 3


@pytest.mark.parametrize(
    "asked",
    [
        {"steps": 2, "init_image": PICTURE, "denoising_strength": 0.3},
        {"hr_steps": 1, "hr_scale": 1.25, "hr_denoising_strength": 0.5},
        {"hr_steps": 2, "hr_scale": 1.25, "hr_denoising_strength": 0.5, "strength_convention": "diffusers"},
    ],
    ids=str,
)
def test_too_few_steps_for_an_adaptive_sampler_are_told_with_the_strength_before_the_first(
    studio: Studio, asked: dict[str, object]
) -> None:
    with pytest.raises(CalotypeError, match="more steps, or a higher denoising strength") as error:
        next(studio.states(Recipe(**{"prompt": "a", "seed": 1, "steps": 4, "sampler": "DPM adaptive", **asked})))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "asked",
    [
        {}, {"hr_scale": 1}, {"hr_steps": 2}, {"hr_denoising_strength": 0}, {"hr_scale": 1, "denoising_strength": 0},
        {"denoising_strength": 0.3}, {"hr_denoising_strength": 0.3, "strength_convention": "diffusers"},
        {"denoising_strength": 0.3, "strength_convention": "diffusers", "hr_scale": 1},
    ],
    ids=str,
)  # fmt: skip
def test_as_many_states_as_planned(studio: Studio, asked: dict[str, object]) -> None:
    recipe = HIRES.but(**asked, init_image=PICTURE if "denoising_strength" in asked else None)
    assert planned(studio, recipe) == len(list(studio.states(recipe)))


def test_a_picture_of_any_size_can_be_painted_at_the_size_that_is_asked_for(studio: Studio) -> None:
    large = inline(Image.new("RGB", (5000, 16)))
    settled = settle(studio, Recipe(prompt="a", init_image=large, width=64, height=72))
    assert (settled.width, settled.height) == (64, 72)
    with pytest.raises(CalotypeError, match="5000x16 is too large to work on: give width and height"):
        settle(studio, Recipe(prompt="a", init_image=large, width=64))


def test_the_models_size_is_its_u_nets(studio: Studio) -> None:
    """As in diffusers: published autoencoders say 256, whatever the pictures' size."""
    other = replace(studio, config=replace(studio.config, vae=replace(studio.config.vae, sample_size=32)))
    settled = settle(other, Recipe(prompt="a"))
    assert (settled.width, settled.height) == (64, 64)
