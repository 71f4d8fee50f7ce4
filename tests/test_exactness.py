"""A picture is a function of model and recipe: the same bits whatever is made beside it, before or after a cut."""

from itertools import islice
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from calotype.api import Studio, load
from calotype.diffusion.samplers import SAMPLERS
from calotype.errors import CalotypeError
from calotype.files import EMBEDDED
from calotype.recipe import Recipe

NAMES = list(SAMPLERS)
RECIPES = st.builds(
    Recipe,
    prompt=st.sampled_from(["a unicorn", "purple AND a:0.5", "[a|b] cat"]),
    sampler=st.sampled_from(NAMES),
    steps=st.integers(2, 4),
    seed=st.integers(0, 2**64 - 1),
    cfg_scale=st.sampled_from([1, 4]),
    rng=st.sampled_from(["cpu", "philox"]),
    subseed_strength=st.sampled_from([0, 0.3]),
    eta_noise_seed_delta=st.sampled_from([0, 31337]),
)


@pytest.fixture(scope="module")
def studio(tiny_folder: Path) -> Studio:
    return load(tiny_folder)


def latents(studio: Studio, recipe: Recipe) -> list[torch.Tensor]:
    return [state.x for state in studio.states(recipe)]


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return len(a) == len(b) and all(x.equal(y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("sampler", NAMES)
def test_what_is_made_beside_it_does_not_touch_it(studio: Studio, sampler: str) -> None:
    recipe = Recipe(prompt="a unicorn", seed=7, steps=3, sampler=sampler)
    others = [recipe.but(seed=8), recipe.but(prompt="a", sampler="DPM++ SDE"), recipe.but(steps=2)]
    alone = latents(studio, recipe)
    for place in range(2):
        runs = [studio.states(other) for other in others]
        together = []
        for state in studio.states(recipe):
            together.append(state.x)
            torch.manual_seed(place), torch.randn(3)
            for run in runs[: 1 + 2 * place]:
                next(run, None)
        assert same(together, alone)


@pytest.mark.parametrize("sampler", NAMES)
def test_a_cut_leaves_no_trace(studio: Studio, sampler: str) -> None:
    recipe = Recipe(prompt="a unicorn", seed=7, steps=3, sampler=sampler)
    states = list(studio.states(recipe))
    for cut in states:
        assert same([state.x for state in studio.states(recipe, cut)], [state.x for state in states[cut.index :]])


@settings(max_examples=30)
@given(recipe=RECIPES, other=RECIPES, cut=st.integers(1, 4))
def test_any_two_recipes_side_by_side_and_cut(studio: Studio, recipe: Recipe, other: Recipe, cut: int) -> None:
    alone = latents(studio, recipe)
    beside, run = studio.states(other), []
    for state in islice(studio.states(recipe), cut):
        run.append(state)
        next(beside, None)
    assert same([state.x for state in run] + [state.x for state in studio.states(recipe, run[-1])], alone)


@pytest.mark.parametrize(
    "change",
    [
        {"rng": "philox"}, {"eta_noise_seed_delta": 31337}, {"eta": 0.5},
        {"seed_resize_from_w": 32, "seed_resize_from_h": 48}, {"sampler": "Euler", "s_churn": 1.0},
        {"sampler": "Heun", "s_churn": 1.0, "s_noise": 1.1}, {"s_noise": 1.1},
        {"sampler": "DPM++ SDE", "s_noise": 1.1},
    ],
)  # fmt: skip
def test_every_choice_counts(studio: Studio, change: dict[str, object]) -> None:
    recipe = Recipe(prompt="a unicorn", seed=7, steps=3, sampler=change.get("sampler", "Euler a"))
    assert not same(latents(studio, recipe), latents(studio, recipe.but(**change)))


def test_noise_is_stirred_in_between_two_levels_only(studio: Studio) -> None:
    recipe = Recipe(prompt="a unicorn", seed=7, steps=3, sampler="Euler")
    still, stirred = latents(studio, recipe), latents(studio, recipe.but(s_churn=1.0))
    for bounds in ({"s_tmin": 1e4}, {"s_tmax": 1e-4}):
        assert same(latents(studio, recipe.but(s_churn=1.0, **bounds)), still)
    for bounds in ({"s_tmin": 0, "s_tmax": 0}, {"s_tmax": 1e4}):
        assert same(latents(studio, recipe.but(s_churn=1.0, **bounds)), stirred)


def test_cfgpp_reads_the_negative_prompt_at_scale_1_too(studio: Studio) -> None:
    recipe = Recipe(prompt="a unicorn", seed=7, steps=3, sampler="Euler CFG++", cfg_scale=1)
    assert not same(latents(studio, recipe), latents(studio, recipe.but(negative_prompt="a cat")))


def test_a_choice_that_the_sampler_does_not_leave_is_refused(studio: Studio) -> None:
    with pytest.raises(CalotypeError, match="DPM\\+\\+ 2M has no option 's_churn'"):
        latents(studio, Recipe(sampler="DPM++ 2M", s_churn=1.0, seed=7))


@pytest.mark.parametrize(("name", "rng"), [("NV", "philox"), ("gpu", "philox"), ("CPU", "cpu"), ("philox", "philox")])
def test_random_numbers_by_a1111s_names(name: str, rng: str) -> None:
    assert Recipe(rng=name).rng == rng


A1111 = """DPM++ 2M|k_dpmpp_2m|DPM++ SDE|k_dpmpp_sde|DPM++ 2M SDE|k_dpmpp_2m_sde|DPM++ 2M SDE Heun|k_dpmpp_2m_sde_heun
|DPM++ 2S a|k_dpmpp_2s_a|DPM++ 3M SDE|k_dpmpp_3m_sde|Euler a|k_euler_a|k_euler_ancestral|Euler|k_euler|LMS|k_lms|Heun
|k_heun|DPM2|k_dpm_2|DPM2 a|k_dpm_2_a|DPM fast|k_dpm_fast|DPM adaptive|k_dpm_ad|Restart|restart|DDIM|ddim|DDIM CFG++
|ddim_cfgpp|PLMS|plms|UniPC|unipc|LCM|k_lcm|DPM++ 2M Karras|DPM++ 2M SDE Exponential"""
K_DIFFUSION = """euler|euler_ancestral|heun|dpm_2|dpm_2_ancestral|lms|dpm_fast|dpm_adaptive|dpmpp_2s_ancestral|dpmpp_sde
|dpmpp_2m|dpmpp_2m_sde|dpmpp_3m_sde"""
KARRAS_DIFFUSION_SCHEDULERS = """DDIMScheduler|DDPMScheduler|PNDMScheduler|LMSDiscreteScheduler|EulerDiscreteScheduler
|HeunDiscreteScheduler|EulerAncestralDiscreteScheduler|DPMSolverMultistepScheduler|DPMSolverSinglestepScheduler
|KDPM2DiscreteScheduler|KDPM2AncestralDiscreteScheduler|DEISMultistepScheduler|UniPCMultistepScheduler
|DPMSolverSDEScheduler|EDMEulerScheduler"""
EXPECTED = "|".join([A1111, K_DIFFUSION, KARRAS_DIFFUSION_SCHEDULERS]).replace("\n", "").split("|")


@pytest.mark.parametrize("name", EXPECTED)
def test_every_expected_name_works(studio: Studio, name: str) -> None:
    recipe = Recipe(prompt="a", seed=7, steps=2, sampler=name)
    assert recipe.sampler in SAMPLERS
    assert latents(studio, recipe)[-1].isfinite().all()


@pytest.mark.slow
@pytest.mark.skipif(not (EMBEDDED / "model_index.json").exists(), reason="the embedded model has not been trained yet")
@pytest.mark.parametrize("name", EXPECTED)
def test_every_expected_name_works_on_the_embedded_model(name: str) -> None:
    assert latents(load(), Recipe(prompt="a red apple", seed=7, steps=2, sampler=name))[-1].isfinite().all()
