"""Words, guides and scenes combined: inpainting, a second pass, a scheduled prompt, AND and a guidance interval."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops

from calotype.api import Studio, load
from calotype.dialects.a1111 import parameters, recipe_of
from calotype.errors import CalotypeError
from calotype.imaging.pixels import to_image, to_pixels
from calotype.imaging.reading import inline
from calotype.pipeline import passes, settle
from calotype.recipe import Recipe

PICTURE = Image.fromarray(np.random.default_rng(1).integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((64, 64))
MASK = Image.new("L", (64, 64))
MASK.paste(255, (24, 16, 64, 48))
RECIPE = Recipe(
    prompt="a [unicorn:cat:0.5] AND purple :0.6", negative_prompt="[on:]background", seed=3, steps=4, sampler="Euler a",
    cfg_scale=5, cfg_end=0.8, init_image=inline(PICTURE), mask=inline(MASK), mask_blur=2, denoising_strength=0.8,
    hr_scale=1.25, hr_steps=3, hr_denoising_strength=0.6,
)  # fmt: skip


@pytest.fixture(scope="module")
def studio(tiny_folder: Path) -> Studio:
    return load(tiny_folder)


def _picture(studio: Studio, recipe: Recipe = RECIPE, **change: Any) -> Image.Image:
    recipe = recipe.but(**change)
    return studio.develop(recipe, studio.states(recipe))


def test_the_same_bytes_twice(studio: Studio) -> None:
    assert _picture(studio).tobytes() == _picture(studio).tobytes()
    assert _picture(studio).size == (80, 80)


def test_it_goes_on_from_any_step_of_any_pass(studio: Studio) -> None:
    states = list(studio.states(RECIPE))
    places = [(state.pass_index, state.index) for state in states]
    assert places == [(0, 1), (0, 2), (0, 3), (0, 4), (1, 1), (1, 2), (1, 3)]
    for number, state in enumerate(states):
        rest = list(studio.states(RECIPE, state))
        assert len(rest) == len(states) - number - 1
        assert all(a.x.equal(b.x) for a, b in zip(rest, states[number + 1 :], strict=True))


@pytest.mark.parametrize(
    "without",
    [
        {"prompt": "a unicorn AND purple :0.6"}, {"prompt": "a [unicorn:cat:0.5]"}, {"cfg_end": 1}, {"mask": None},
        {"hr_scale": 1}, {"negative_prompt": "background"}, {"denoising_strength": 0.3}, {"hr_denoising_strength": 0.9},
        {"subseed_strength": 0.2}, {"cfg_points": "0:5,1:2"}, {"mimic_scale": 2}, {"cfg_rescale": 0.5},
        {"threshold_percentile": 0.9}, {"emphasis": "None", "prompt": "a (cat:1.2)"}, {"mask_invert": True},
        {"inpainting_fill": "latent noise"}, {"inpainting_fill": "latent nothing"}, {"inpainting_fill": "fill"},
        {"inpaint_area": "only masked"}, {"outpaint": (8, 0, 0, 0)}, {"hr_upscaler": "Lanczos"},
        {"hr_upscaler": "Latent (nearest)"}, {"hr_prompt": "purple"}, {"hr_sampler": "Euler"}, {"tile_size": 48},
        {"tile_size": 48, "vae_tiling": True},
    ],
    ids=str,
)  # fmt: skip
def test_every_ingredient_counts(studio: Studio, without: dict[str, Any]) -> None:
    assert _picture(studio, **without).tobytes() != _picture(studio).tobytes()


@pytest.mark.parametrize(
    ("nothing", "left_out"),
    [
        ({"prompt": "a [unicorn:cat:0.5] AND purple :0"}, {"prompt": "a [unicorn:cat:0.5]"}),
        ({"prompt": "a [unicorn:unicorn:0.5]"}, {"prompt": "a unicorn"}),
        ({"prompt": "a (unicorn:1)"}, {"prompt": "a unicorn"}),
        ({"cfg_start": 0.5, "cfg_end": 0.5}, {"cfg_scale": 1}),
        ({"mask": inline(Image.new("L", (64, 64), 255)), "mask_blur": 0}, {"mask": None}),
        ({"cfg_points": ((0, 5),)}, {"cfg_points": ()}),
        ({"subseed_strength": 0, "subseed": 5}, {}),
        ({"tile_size": 96}, {}),
    ],
    ids=str,
)
def test_at_strength_zero_it_is_as_if_left_out(
    studio: Studio, nothing: dict[str, Any], left_out: dict[str, Any]
) -> None:
    assert _picture(studio, **nothing).tobytes() == _picture(studio, **left_out).tobytes()


def test_every_call_of_an_open_ended_sampler_is_guided(studio: Studio) -> None:
    asked: list[int] = []
    hook = studio.unet.register_forward_pre_hook(lambda _, args: asked.append(len(args[0])))
    *_, last = studio.states(Recipe(prompt="a unicorn", negative_prompt="on", seed=1, steps=3, sampler="DPM adaptive"))
    hook.remove()
    assert last.index > 1
    assert asked == [2] * last.state.calls


@pytest.mark.parametrize("sampler", ["DPM fast", "DPM adaptive"])
def test_schedules_are_kept_where_intervals_are_not_the_steps(studio: Studio, sampler: str) -> None:
    recipe = Recipe(prompt="a unicorn", seed=1, steps=6, sampler=sampler)
    plain = [state.x for state in studio.states(recipe)]
    for change in ({"prompt": "a [unicorn:cat:0.5]"}, {"cfg_end": 0.5}):
        changed = [state.x for state in studio.states(recipe.but(**change))]
        assert plain[0].equal(changed[0])
        assert not plain[-1].equal(changed[-1])


@pytest.mark.parametrize(
    ("asked", "second"),
    [
        ({"hr_scheduler": "automatic"}, ("DPM++ 2M", "karras")),
        ({"hr_sampler": "automatic", "scheduler": "beta"}, ("DPM++ 2M", "beta")),
        ({"hr_sampler": "Euler"}, ("Euler", "normal")),
        ({"hr_sampler": "Euler", "scheduler": "exponential"}, ("Euler", "exponential")),
        ({"hr_sampler": "DDIM"}, ("DDIM", "trailing")),
        ({"hr_sampler": "DDIM", "scheduler": "exponential", "hr_scheduler": "beta"}, ("DDIM", "beta")),
        ({"hr_sampler": "Euler", "scheduler": "exponential", "hr_scheduler": "automatic"}, ("Euler", "normal")),
    ],
    ids=str,
)
def test_the_second_pass_is_settled_like_the_first(
    studio: Studio, asked: dict[str, str], second: tuple[str, str]
) -> None:
    settled = settle(studio, Recipe(prompt="a", seed=1, hr_scale=2, **asked))
    assert settle(studio, settled) == settled
    part = passes(settled)[1]
    assert (part.sampler, part.scheduler) == second


def test_what_the_second_pass_left_to_the_first_is_not_told_twice(studio: Studio, tmp_path: Path) -> None:
    fields = {"hr_scale": 1.25, "hr_scheduler": "automatic", "hr_denoising_strength": 0}
    picture = studio.generate("a", seed=1, steps=1, **fields)
    picture.save(tmp_path / "a.png")
    assert "Hires s" not in parameters(picture.record)


@pytest.mark.parametrize("sampler", ["Euler a", "DDIM", "PLMS"])
def test_a_second_pass_of_strength_zero_enlarges_only(sampler: str, studio: Studio) -> None:
    recipe = RECIPE.but(hr_denoising_strength=0, mask=None, hr_sampler=sampler)
    *_, last_of_first, only = studio.states(recipe)
    assert (last_of_first.pass_index, only.pass_index, only.index) == (0, 1, 0)
    expected = torch.nn.functional.interpolate(last_of_first.x, (10, 10), mode="bilinear")
    torch.testing.assert_close(only.x, expected)


def test_a_second_pass_of_strength_zero_behind_a_mask_is_the_first_one_enlarged(studio: Studio) -> None:
    recipe = RECIPE.but(hr_scale=2, hr_denoising_strength=0, mask_blur=0)
    *_, last_of_first, only = states = list(studio.states(recipe))
    assert (last_of_first.pass_index, only.pass_index, only.index) == (0, 1, 0)
    larger = PICTURE.resize((128, 128), Image.Resampling.LANCZOS)
    painted = torch.zeros(8, 8).bool()
    painted[2:6, 3:8] = True
    with torch.inference_mode():
        first = studio.encode(to_pixels(PICTURE)).where(~painted, last_of_first.x)
        enlarged = torch.nn.functional.interpolate(first, (16, 16), mode="bilinear")
        inside = painted.repeat_interleave(2, 0).repeat_interleave(2, 1)
        expected = to_image(studio.decode(studio.encode(to_pixels(larger)).where(~inside, enlarged)))
    picture = studio.develop(recipe, states)
    assert picture.crop((56, 40, 128, 88)).tobytes() == expected.crop((56, 40, 128, 88)).tobytes()
    assert picture.crop((0, 0, 40, 128)).tobytes() == larger.crop((0, 0, 40, 128)).tobytes()


@pytest.mark.parametrize("first", [0, 0.8])
def test_a_pass_of_strength_zero_has_no_second_state_when_it_is_taken_up(studio: Studio, first: float) -> None:
    recipe = RECIPE.but(hr_denoising_strength=0, denoising_strength=first)
    states = list(studio.states(recipe))
    rests = [list(studio.states(recipe, state)) for state in states]
    assert [len(rest) for rest in rests] == list(range(len(states)))[::-1]
    assert all(rest[-1].digests == states[-1].digests for rest in rests[:-1])


@pytest.mark.parametrize("sampler", ["DPM++ 2M", "DDIM", "PLMS"])
@pytest.mark.parametrize(
    "strength", [{"denoising_strength": 0}, {"denoising_strength": 0.2, "strength_convention": "diffusers"}], ids=str
)
def test_strength_zero_is_the_picture_itself(sampler: str, strength: dict[str, Any], studio: Studio) -> None:
    """So is a strength of less than a step in diffusers' convention."""
    recipe = Recipe(prompt="a", init_image=inline(PICTURE), sampler=sampler, steps=4, **strength)
    (state,) = studio.states(recipe)
    with torch.inference_mode():
        expected = studio.encode(torch.from_numpy(np.array(PICTURE)).permute(2, 0, 1)[None].float() / 127.5 - 1)
    torch.testing.assert_close(state.x, expected)


def test_strength_zero_behind_a_mask_is_what_the_autoencoder_makes_of_the_picture(studio: Studio) -> None:
    with torch.inference_mode():
        expected = to_image(studio.decode(studio.encode(to_pixels(PICTURE))))
    expected.paste(PICTURE, mask=ImageChops.invert(MASK))
    assert _picture(studio, denoising_strength=0, hr_scale=1, mask_blur=0).tobytes() == expected.tobytes()


@pytest.mark.parametrize("fill", ["fill", "latent noise", "latent nothing", "original"])
def test_what_is_erased_leaves_no_trace(studio: Studio, fill: str) -> None:
    """Not even in the latents around it, whose numbers are those of many pixels."""
    other = PICTURE.copy()
    other.paste((250, 20, 90), mask=MASK)
    fields: dict[str, Any] = {"inpainting_fill": fill, "mask_blur": 0, "hr_scale": 1}
    one, two = (_picture(studio, init_image=inline(each), **fields) for each in (PICTURE, other))
    assert (one.tobytes() == two.tobytes()) == (fill != "original")


@pytest.mark.parametrize(("convention", "steps"), [("a1111", [1, 3, 6, 10]), ("diffusers", [1, 3, 5, 10])])
def test_how_many_steps_a_strength_takes(studio: Studio, convention: str, steps: list[int]) -> None:
    strengths = [0.1, 0.3, 0.59, 1.0] if convention == "diffusers" else [0.05, 0.2, 0.5, 1.0]
    recipe = Recipe(prompt="a", init_image=inline(PICTURE), steps=10, seed=1, strength_convention=convention)
    assert [len(list(studio.states(recipe.but(denoising_strength=each)))) for each in strengths] == steps


def test_what_the_mask_leaves_out_stays_to_the_byte(studio: Studio) -> None:
    before, mask = np.asarray(PICTURE), np.asarray(MASK)
    for area in ("whole picture", "only masked"):
        fields = {"mask_blur": 0, "hr_scale": 1, "inpaint_area": area, "denoising_strength": 1, "masked_padding": 4}
        after = np.asarray(_picture(studio, **fields))
        assert after.shape == before.shape
        assert (after == before)[mask == 0].all()
        assert (after != before)[mask == 255].mean() > 0.9
        assert (np.asarray(_picture(studio, **fields, keep_unmasked=False)) != before)[mask == 0].any()


def test_outpainting_adds_borders_and_keeps_the_picture(studio: Studio) -> None:
    picture = _picture(studio, outpaint="16,0,8,24", mask=None, mask_blur=0, hr_scale=1, denoising_strength=1)
    assert picture.size == (88, 88)
    assert picture.crop((16, 0, 80, 64)).tobytes() == PICTURE.tobytes()


def test_more_strength_less_likeness(studio: Studio) -> None:
    def distance(strength: float) -> float:
        picture = _picture(studio, mask=None, hr_scale=1, sampler="Euler", denoising_strength=strength)
        return float(np.abs(np.asarray(picture, dtype=float) - np.asarray(_picture(studio, zero))).mean())

    zero = RECIPE.but(mask=None, hr_scale=1, denoising_strength=0)
    distances = [distance(strength) for strength in (0.1, 0.4, 0.9)]
    assert distances == sorted(distances)


def test_tiles_cover_a_picture_of_any_size(studio: Studio) -> None:
    seen = []
    hook = studio.unet.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[-2:]))
    recipe = Recipe(prompt="a", seed=1, steps=1, width=200, height=72, tile_size=48, tile_overlap=16)
    assert studio.develop(recipe, studio.states(recipe)).size == (200, 72)
    hook.remove()
    assert set(map(tuple, seen)) == {(6, 6)}
    assert len(seen) == 6 * 2


def test_the_autoencoder_works_in_tiles_only_when_asked(studio: Studio) -> None:
    recipe = Recipe(prompt="a", seed=1, steps=1, width=96, height=72, tile_size=48, tile_overlap=16)
    whole, tiled = (_picture(studio, recipe, vae_tiling=way) for way in (False, True))
    *_, last = studio.states(recipe)
    with torch.inference_mode():
        assert whole.tobytes() == to_image(studio.decode(last.x)).tobytes()
    assert tiled.tobytes() != whole.tobytes()


def test_a_picture_in_the_recipe_is_in_the_record(studio: Studio, tmp_path: Path) -> None:
    from calotype.imaging.png import read_record

    picture = _picture(studio)
    picture.save(tmp_path / "a.png")
    record = read_record(tmp_path / "a.png")
    assert set(record.inputs) == {"init_image", "mask"}
    again = record.recipe
    assert studio.develop(again, studio.states(again)).tobytes() == picture.tobytes()


def test_pil_pictures_and_paths_are_taken(studio: Studio, tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "a.png")
    one = studio.generate("a", seed=1, steps=2, init_image=PICTURE, mask=MASK)
    other = studio.generate("a", seed=1, steps=2, init_image=tmp_path / "a.png", mask=MASK)
    assert one.tobytes() == other.tobytes()
    assert one.record.inputs == other.record.inputs


def test_a_mask_needs_a_picture_and_something_white() -> None:
    with pytest.raises(CalotypeError, match="no picture to paint on"):
        Recipe(prompt="a", mask=inline(MASK))


@pytest.mark.parametrize("strength", [0, 0.5, 1])
def test_a_strength_needs_a_picture(studio: Studio, strength: float) -> None:
    with pytest.raises(CalotypeError, match="give init_image") as error:
        settle(studio, Recipe(prompt="a", denoising_strength=strength, hr_scale=2))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("hires", ["", ", Hires upscale: 1.25, Hires upscaler: Latent"])
def test_a_picture_of_a1111s_is_made_with_its_strength_or_without(studio: Studio, hires: str) -> None:
    recipe, _ = recipe_of(f"a\nSteps: 2, Sampler: Euler, Size: 64x64, Denoising strength: 0.6{hires}")
    assert [part.denoising_strength for part in passes(settle(studio, recipe))] == ([None, 0.6] if hires else [None])


@pytest.mark.parametrize(
    ("first", "asked", "second"),
    [
        ("512x768", "Hires upscale: 1.8", (920, 1376)),
        ("512x512", "Hires upscale: 1.25", (640, 640)),
        ("704x352", "Hires resize: 960x480", (960, 480)),
        ("352x704", "Hires resize: 0x960", (480, 960)),
    ],
)
def test_the_second_pass_is_as_large_as_a1111s(studio: Studio, first: str, asked: str, second: tuple[int, int]) -> None:
    recipe, missed = recipe_of(f"a\nSteps: 2, Sampler: Euler, Size: {first}, {asked}")
    assert missed == []
    part = passes(settle(studio, recipe))[1]
    assert (part.width, part.height) == second


def test_an_empty_mask_is_told(studio: Studio) -> None:
    with pytest.raises(CalotypeError, match="leaves nothing to paint"):
        _picture(studio, mask=inline(Image.new("L", (64, 64))))


def test_cancelling_in_the_second_pass(studio: Studio) -> None:
    assert len(list(islice(studio.states(RECIPE), 5))) == 5
