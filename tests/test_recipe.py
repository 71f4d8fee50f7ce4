import math
from collections.abc import Iterator
from typing import Any

import pytest

from calotype.errors import CalotypeError
from calotype.recipe import MAX_SEED, Recipe


@pytest.mark.parametrize("seed", [None, -1])
def test_a_seed_left_open_is_drawn_once(seed: int | None) -> None:
    first, second = Recipe(seed=seed), Recipe(seed=seed)
    assert first.seed != second.seed
    assert 0 <= first.seed < 2**32
    assert first.but(steps=3).seed == first.seed


def test_the_seed_can_be_left_out() -> None:
    assert Recipe().seed != Recipe().seed


def test_any_seed_of_64_bits_is_kept() -> None:
    assert Recipe(seed=0).seed == 0
    assert Recipe(seed=MAX_SEED).seed == MAX_SEED


@pytest.mark.parametrize(
    ("name", "canonical"), [("euler_a", "Euler a"), ("k_dpmpp_2m", "DPM++ 2M"), ("DDIMScheduler", "DDIM")]
)
def test_samplers_are_known_by_any_program_s_name(name: str, canonical: str) -> None:
    assert Recipe(sampler=name).sampler == canonical


def test_an_old_name_for_both_sets_the_scheduler_unless_one_is_asked_for() -> None:
    assert Recipe(sampler="DPM++ 2M Karras").scheduler == "karras"
    assert Recipe(sampler="DPM++ 2M Karras", scheduler="Exponential").scheduler == "exponential"


@pytest.mark.parametrize("name", ["Automatic", "AUTOMATIC", " automatic "])
def test_automatic_is_known_in_any_spelling(name: str) -> None:
    recipe = Recipe(sampler=name, scheduler=name, hr_sampler=name, hr_scheduler=name)
    assert (recipe.sampler, recipe.scheduler, recipe.hr_sampler, recipe.hr_scheduler) == ("automatic",) * 4
    assert Recipe(sampler="DPM++ 2M Karras", scheduler=name).scheduler == "karras"


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"steps": 0}, "steps is 0, but must be a whole number from 1 to 1000"),
    ({"steps": 1001}, "steps is 1001"),
    ({"steps": 2.5}, "steps is 2.5"),
    ({"steps": "many"}, "steps is 'many'"),
    ({"cfg_scale": math.nan}, "cfg_scale is nan, but must be a number from 0 to 100."),
    ({"cfg_scale": math.inf}, "cfg_scale is inf"),
    ({"cfg_scale": -1}, "cfg_scale is -1"),
    ({"cfg_rescale": 1.5}, "cfg_rescale is 1.5"),
    ({"cfg_rescale": math.nan}, "cfg_rescale is nan"),
    ({"width": 100}, "width is 100, but must be a multiple of 8 from 16 to 4096: 96 or 104."),
    ({"width": "5001"}, "width is '5001', but must be a multiple of 8 from 16 to 4096: 4096."),
    ({"height": 5000}, "height is 5000, but must be a multiple of 8 from 16 to 4096."),
    ({"height": 0}, "height is 0"),
    ({"height": -8}, "height is -8"),
    ({"width": 10**9}, "width is 1000000000"),
    ({"clip_skip": 0}, "clip_skip is 0"),
    ({"seed": -2}, "seed is -2"),
    ({"seed": MAX_SEED + 1}, f"seed is {MAX_SEED + 1}"),
    ({"prompt": 3}, "prompt is 3"),
    ({"sampler": "Eulr a"}, "unknown sampler 'Eulr a'; the nearest names are Euler a"),
    ({"scheduler": "karas"}, "unknown scheduler 'karas'; the nearest names are karras"),
    ({"sampler": 3}, "sampler is 3"),
    ({"vae_tiling": True}, "vae_tiling needs tiles"),
    ({"cfg_start": 0.8, "cfg_end": 0.2}, "guidance cannot begin at 0.8 and end at 0.2"),
    ({"s_churn": 5, "s_tmin": 3, "s_tmax": 1}, "s_churn cannot stir from 3.0 up to 1.0"),
    ({"refiner_switch_at": 0.5}, "refiner_switch_at says when another model takes over: name it"),
    ({"width": 1024, "hr_scale": 8}, "hr_scale 8 would make more than 4096 pixels"),
    ({"height": 1024, "hr_scale": 8}, "hr_scale 8 would make more than 4096 pixels"),
    ({"tile_size": 64, "tile_overlap": 64}, "tiles of 64 pixels cannot share 64: choose less overlap"),
    ({"seed_resize_from_w": 64}, "give both seed_resize_from_w and seed_resize_from_h"),
    ({"seed_resize_from_h": 64}, "give both seed_resize_from_w and seed_resize_from_h"),
    ({"hr_upscaler": "magic"}, "hr_upscaler is 'magic', but must be Latent, Latent (antialiased),"),
    ({"step": 3}, "unknown field 'step': did you mean steps"),
    ({"qwerty": 3}, "unknown field 'qwerty': leave it out."),
    ({"outpaint": "1,2,3"}, "outpaint is '1,2,3', but must be four numbers, left, top, right and bottom, as in"),
    ({"outpaint": "a,0,0,0"}, "outpaint is 'a,0,0,0', but must be four numbers, left"),
    ({"self": 1}, "unknown field 'self': leave it out."),
    ({"seed": True}, "seed is True, but must be a whole number"),
    ({"steps": True}, "steps is True, but must be a whole number from 1 to 1000"),
    (
        {"cfg_points": [[0, 7], [True, 2]]},
        "cfg_points is [[0, 7], [True, 2]], but must be shares of the steps and scales",
    ),
    ({"cfg_points": "0:7,1:x"}, "cfg_points is '0:7,1:x', but must be shares of the steps and scales, as in 0:7,1:2."),
    ({"mask_invert": "x"}, "mask_invert is 'x', but must be true or false."),
    ({"outpaint": (0, 64, False, 0)}, "outpaint is (0, 64, False, 0), but must be four numbers"),
    ({"s_tmax": False}, "s_tmax is False, but must be a number above 0"),
    ({"s_tmax": -1}, "s_tmax is -1, but must be a number above 0"),
    ({"prompt": "a \udcff cat"}, r"'a \udcff cat' is no text that can be written"),
    ({"\ud800": 1}, r"'\ud800' is no text that can be written"),
]


@pytest.mark.parametrize(("fields", "message"), MISTAKES)
def test_a_mistake_is_told_in_one_line(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(CalotypeError) as error:
        Recipe(**fields)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def just_outside() -> Iterator[tuple[str, float]]:
    """Each field that has bounds, with values beyond them; 8 + 9 is no multiple of 8, and a seed of -1 is drawn."""
    for name, field in Recipe.model_json_schema()["properties"].items():
        bounds = field.get("anyOf", [field])[0]
        step = bounds.get("multipleOf", 1) if bounds.get("type") == "integer" else 1e-6
        beyond = {"minimum": -step, "exclusiveMinimum": 0, "maximum": step, "ge": -2, "le": 1, "multipleOf": 9}
        yield from ((name, bounds[key] + more) for key, more in beyond.items() if key in bounds)


@pytest.mark.parametrize(("name", "value"), list(just_outside()))
def test_what_lies_beyond_a_field_s_bounds_is_laid_to_that_field(name: str, value: float) -> None:
    with pytest.raises(CalotypeError) as error:
        Recipe(**{name: value})
    assert str(error.value).startswith(f"{name} is {value}, but must be ")


def test_blanks_around_a_number_do_not_count() -> None:
    assert Recipe(seed=" -1").seed >= 0
    assert Recipe(seed=" 7 ").seed == 7
    assert Recipe(s_tmax=" 0").s_tmax is None


def test_later_pictures_count_the_seed_and_variations_the_subseed() -> None:
    """As A1111 counts: a variation keeps the picture that it is near to."""
    assert Recipe(seed=7, subseed=3).later(2) == Recipe(seed=9, subseed=3)
    assert Recipe(seed=7, subseed=3, subseed_strength=0.1).later(2) == Recipe(seed=7, subseed=5, subseed_strength=0.1)


def test_but_checks_again_and_leaves_the_first_alone() -> None:
    recipe = Recipe(seed=1)
    with pytest.raises(CalotypeError, match="steps is 0"):
        recipe.but(steps=0)
    assert recipe.but(steps=3).steps == 3
    assert recipe.steps == 20


def test_json_and_back() -> None:
    recipe = Recipe(prompt="a\n猫", seed=MAX_SEED, cfg_scale=1 / 3, sampler="euler", scheduler="karras", width=64)
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
