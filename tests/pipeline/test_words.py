"""What the U-Net is told at each step: of which lengths, and which words of a schedule."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from calotype.api import Studio, load
from calotype.imaging.reading import inline
from calotype.recipe import Recipe

LONG = "ab " * 50
"""A hundred tokens: two chunks."""


@pytest.fixture(scope="module")
def studio(tiny_folder: Path) -> Studio:
    return load(tiny_folder)


def _contexts(studio: Studio, steps: int = 1, **fields: object) -> list[Tensor]:
    """What the U-Net was told, call by call."""
    told: list[Tensor] = []
    hook = studio.unet.register_forward_pre_hook(lambda _, args: told.append(args[2]))
    for _ in studio.states(Recipe(seed=1, steps=steps, sampler="Euler", **fields)):
        pass
    hook.remove()
    return told


def _text(studio: Studio, prompt: str) -> Tensor:
    with torch.inference_mode():
        return studio.conditions([prompt])[0].context


def _same(context: Tensor, *parts: Tensor) -> bool:
    """Whether it is these parts, one after the other, but for the batch's rounding."""
    return torch.allclose(context, torch.cat([part.flatten(0, -2) for part in parts]), atol=1e-5)


@pytest.mark.parametrize("style", ["a1111", "comfyui"])
def test_prompts_of_one_length_are_asked_together_and_others_apart(studio: Studio, style: str) -> None:
    (together,) = _contexts(studio, prompt="a", negative_prompt="b", prompt_style=style)
    assert together.shape == (2, 77, 32)
    long, short = _contexts(studio, prompt=LONG, negative_prompt="b", prompt_style=style)
    assert long.shape == (1, 2 * 77, 32)
    assert _same(long[0], _text(studio, LONG))
    assert short.equal(_text(studio, "b"))


def test_the_order_of_prompts_is_kept_whatever_their_lengths(studio: Studio) -> None:
    """The negative prompt's answer is the negative prompt's: at weights that sum to 0 it alone remains."""
    asked = {"seed": 1, "steps": 1, "sampler": "Euler", "cfg_scale": 1}
    *_, mixed = studio.states(Recipe(prompt=f"a AND {LONG} AND {LONG} :-1 AND a :-1", negative_prompt="b", **asked))
    *_, plain = studio.states(Recipe(prompt="b", **asked))
    torch.testing.assert_close(mixed.x, plain.x, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("prompt", "negative"), [(LONG, "b"), ("b", LONG)])
def test_padding_puts_empty_chunks_behind_the_shorter_one(studio: Studio, prompt: str, negative: str) -> None:
    (together,) = _contexts(studio, prompt=prompt, negative_prompt=negative, pad_cond_uncond=True)
    for context, text in zip(together, (prompt, negative), strict=True):
        filler = [] if text == LONG else [_text(studio, "")]
        assert _same(context, _text(studio, text), *filler)


def test_parts_of_an_and_are_filled_up_with_their_last_vector(studio: Studio) -> None:
    prompts, negative = _contexts(studio, prompt=f"a AND {LONG}")
    short = _text(studio, "a ")
    assert _same(prompts[0], short, short[:, -1:].expand(-1, 77, -1))
    assert _same(prompts[1], _text(studio, LONG))
    assert negative.equal(_text(studio, ""))


def test_texts_of_one_schedule_are_filled_up_with_empty_chunks(studio: Studio) -> None:
    first, second, third = _contexts(studio, steps=3, prompt=f"[a:{LONG}:1]", negative_prompt=LONG)
    assert _same(first[0], _text(studio, "a"), _text(studio, ""))
    assert second.equal(first)
    assert _same(third[0], _text(studio, LONG))


def test_schedules_count_from_the_first_step_run_over_all_steps_asked(studio: Studio) -> None:
    """As in A1111: of 20 steps at strength 0.5 the last 11 are run, and a change after half of 20 never comes."""
    picture = inline(Image.new("RGB", (64, 64), "teal"))
    recipe = Recipe(seed=1, steps=20, sampler="Euler", init_image=picture, denoising_strength=0.5)
    a = [state.x for state in studio.states(recipe.but(prompt="a"))]
    assert len(a) == 11
    never = [state.x for state in studio.states(recipe.but(prompt="[a:b:0.5]"))]
    assert all(x.equal(y) for x, y in zip(never, a, strict=True))
    changed = [state.x for state in studio.states(recipe.but(prompt="[a:b:0.25]"))]
    assert [x.equal(y) for x, y in zip(changed, a, strict=True)] == [True] * 6 + [False] * 5


def test_guidance_counts_its_shares_over_the_steps_run(studio: Studio) -> None:
    """At strength 0.5 of 20 steps, half of the 11 that are run are the first five."""
    picture = inline(Image.new("RGB", (64, 64), "teal"))
    recipe = Recipe(
        prompt="a", seed=1, steps=20, sampler="Euler", init_image=picture, denoising_strength=0.5, cfg_scale=3
    )
    whole = [state.x for state in studio.states(recipe)]
    half = [state.x for state in studio.states(recipe.but(cfg_end=0.5))]
    assert [x.equal(y) for x, y in zip(half, whole, strict=True)] == [True] * 5 + [False] * 6
