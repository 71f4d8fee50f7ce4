import pytest
from hypothesis import given
from hypothesis import strategies as st

from calotype.dialects.a1111 import parameters, recipe_of
from calotype.dialects.infotext import parse
from calotype.diffusion.samplers import SAMPLERS
from calotype.diffusion.schedulers import SCHEDULERS
from calotype.recipe import Recipe, Record

PICTURE = """a (red:1.3) cat,
on a mat
Negative prompt: blurry, text: no
second line
Steps: 30, Sampler: DPM++ 2M Karras, CFG scale: 7.5, Seed: 965400086, Size: 512x768, Model hash: 6ce0, Model: v1-5"""


def test_parameters_as_a1111_writes_them(record: Record) -> None:
    assert parameters(record) == (
        "a red cat\n"
        "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 7, Size: 128x96, "
        "Model hash: 6ce0161689, Model: embedded, RNG: CPU, Version: calotype 0.1.0"
    )


def test_parameters_with_all_that_is_optional(record: Record) -> None:
    recipe = record.recipe.but(negative_prompt="blue\nbackground", cfg_scale=7.5, clip_skip=2, cfg_rescale=0.7)
    assert parameters(record.but(recipe=recipe, model="a, b: c")) == (
        "a red cat\n"
        "Negative prompt: blue\nbackground\n"
        "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.5, Seed: 7, Size: 128x96, "
        'Model hash: 6ce0161689, Model: "a, b: c", Clip skip: 2, RNG: CPU, CFG Rescale: 0.7, Version: calotype 0.1.0'
    )


def test_parameters_of_an_empty_prompt_begin_with_the_steps(record: Record) -> None:
    assert parameters(record.but(recipe=record.recipe.but(prompt=""))).startswith("Steps: 20")


def test_parameters_of_a_picture_from_a_picture_enlarged(record: Record) -> None:
    recipe = record.recipe.but(
        hr_scale=2, hr_upscaler="Latent (nearest)", hr_denoising_strength=0.55, rng="philox",
        eta_noise_seed_delta=31337, subseed=3, subseed_strength=0.25, seed_resize_from_w=64,
        seed_resize_from_h=32, sampler="Euler a", eta=0.5,
    )  # fmt: skip
    assert parameters(record.but(recipe=recipe)).splitlines()[1] == (
        "Steps: 20, Sampler: Euler a, Schedule type: Karras, CFG scale: 7, Seed: 7, Size: 128x96, "
        "Model hash: 6ce0161689, Model: embedded, Variation seed: 3, Variation seed strength: 0.25, "
        "Seed resize from: 64x32, Denoising strength: 0.55, ENSD: 31337, RNG: NV, Hires upscale: 2, "
        "Hires upscaler: Latent (nearest), Eta: 0.5, Version: calotype 0.1.0"
    )


def test_a_picture_of_a1111s_as_it_reads_it() -> None:
    assert parse(PICTURE) == {
        "Prompt": "a (red:1.3) cat,\non a mat", "Negative prompt": "blurry, text: no\nsecond line", "Steps": "30",
        "Sampler": "DPM++ 2M Karras", "CFG scale": "7.5", "Seed": "965400086", "Size-1": "512", "Size-2": "768",
        "Model hash": "6ce0", "Model": "v1-5",
    }  # fmt: skip
    recipe, missed = recipe_of(PICTURE)
    assert (recipe.sampler, recipe.scheduler, recipe.steps, recipe.seed) == ("DPM++ 2M", "karras", 30, 965400086)
    assert (recipe.width, recipe.height, recipe.cfg_scale, recipe.rng) == (512, 768, 7.5, "philox")
    assert missed == []


NOISY = ("DPM fast", "DPM adaptive")
"""Without eta these add no noise here, and A1111 gives them an eta of 1."""
LINE = "p\nSteps: 9, Sampler: Euler a, Size: 64x64"


@pytest.mark.parametrize(
    ("more", "field", "value"),
    [
        ("Schedule type: SGM Uniform", "scheduler", "sgm_uniform"),
        ("RNG: CPU", "rng", "cpu"),
        ("Eta: 0.3", "eta", 0.3),
        ("Sigma noise: 1.01", "s_noise", 1.01),
        ("ENSD: 31337", "eta_noise_seed_delta", 31337),
        ("Variation seed: 5, Variation seed strength: 0.2", "subseed_strength", 0.2),
        ("Seed resize from: 32x48", "seed_resize_from_h", 48),
        ("Denoising strength: 0.6, Hires upscale: 1.5", "hr_denoising_strength", 0.6),
        ("Hires resize: 128x128, Hires steps: 0", "hr_scale", 2),
        ("Hires resize: 0x96", "hr_scale", 1.5),
        ("Hires upscale: 2, Hires schedule type: Beta, Hires sampler: Use same sampler", "hr_scheduler", "beta"),
        ("Emphasis: No norm", "emphasis", "No norm"),
        ("Clip skip: 2", "clip_skip", 2),
        ("Pad conds: True", "pad_cond_uncond", True),
        ("Schedule type: Automatic", "scheduler", "automatic"),
        ("Hires upscale: 2, Hires schedule type: Automatic", "hr_scheduler", "automatic"),
        ("Denoising strength: 0, Hires upscale: 2", "hr_denoising_strength", 0),
        ("Denoising strength: 0", "denoising_strength", None),
        ("Schedule type: Beta, Beta schedule alpha: 0.6, Beta schedule beta: 0.6", "scheduler", "beta"),
        ("Sampler: DPM fast", "eta", 1),
        ("Sampler: DPM adaptive, Eta: 0", "eta", 0),
        ("Hires upscale: 2, Hires sampler: DPM fast", "eta", 1),
        ("Eta: 0.5, Hires upscale: 2, Hires sampler: DPM++ 2M", "eta", 0.5),
        ("Sampler: DPM++ 2M, Eta: 0.5, Hires upscale: 2, Hires sampler: Euler a", "eta", 0.5),
        ("Schedule type: DDIM, Steps: 20", "scheduler", "leading"),
        ("Schedule type: DDIM, Steps: 333", "scheduler", "leading"),
        ("Sampler: Heun, Hires upscale: 2, Hires prompt: [(a:1.2)]", "hr_prompt", "[(a:1.2)]"),
    ],
)
def test_what_can_be_honoured(more: str, field: str, value: object) -> None:
    recipe, missed = recipe_of(f"{LINE}, {more}")
    assert (getattr(recipe, field), missed) == (value, [])


@pytest.mark.parametrize(
    "more",
    [
        "Face restoration: GFPGAN", "Sampler: Euler b", "Schedule type: Turbo", "Hires upscaler: R-ESRGAN 4x+",
        "Denoising strength: 0.5", "Hires resize: 128x65", "Lora hashes: \"a: 0123456789ab\"", "Clip skip: 99",
        "Sigma churn: 1", "Schedule type: KL Optimal", "RNG: other", "TI hashes: x", "Refiner: b",
        "Pad conds v0: True",
        "Seed resize from: 100x64", "Seed resize from: 64x8", "Seed resize from-1: 64",
        "Schedule type: Beta, Beta schedule alpha: 0.5, Beta schedule beta: 0.6",
        "Sampler: DDIM", "Sampler: DDIM CFG++", "Sampler: PLMS", "Sampler: UniPC", "Sampler: LCM",
        "Hires upscale: 2, Hires sampler: DDIM",
        "Schedule type: DDIM, Steps: 30", "Schedule type: DDIM, Steps: 20, Sampler: DPM2",
        "Schedule type: DDIM, Steps: 20, Hires upscale: 2, Denoising strength: 0.7",
        "Sampler: Heun, Hires upscale: 2, Hires prompt: a [b|c]",
        "Sampler: Euler, Hires upscale: 2, Hires sampler: Restart, Hires negative prompt: [a:8]",
        "Sampler: DPM++ 2M, Eta: 0.5, Hires upscale: 2, Hires sampler: Euler",
    ],
)  # fmt: skip
def test_what_cannot_is_listed(more: str) -> None:
    missed = recipe_of(f"{LINE}, {more}")[1]
    assert len(missed) == 1


@pytest.mark.parametrize("sampler", NOISY)
def test_the_noise_that_a1111_takes_unasked_is_told_it(sampler: str, record: Record) -> None:
    recipe = record.recipe.but(sampler=sampler)
    assert ", Eta: 0, " in parameters(record.but(recipe=recipe))
    assert ", Eta: 1, " in parameters(record.but(recipe=recipe.but(eta=1)))


def test_the_noise_that_is_stirred_in_is_written_and_read(record: Record) -> None:
    recipe = record.recipe.but(sampler="Euler", s_churn=2, s_tmin=0.3, s_tmax=5, s_noise=1.003)
    text = parameters(record.but(recipe=recipe))
    assert "Sigma churn: 2, Sigma tmin: 0.3, Sigma tmax: 5, Sigma noise: 1.003" in text
    read, missed = recipe_of(text)
    assert (read.s_churn, read.s_tmin, read.s_tmax, read.s_noise, missed) == (2, 0.3, 5, 1.003, [])


def test_networks_in_the_prompt_are_listed_and_taken_out() -> None:
    recipe, missed = recipe_of("a cat <lora:fur:0.8> here\nSteps: 9, Sampler: Euler, Size: 64x64")
    assert recipe.prompt == "a cat  here"
    assert missed == ["<lora:fur:0.8> in the prompt"]
    recipe, missed = recipe_of(
        "a\nNegative prompt: b <lora:fur:1>\n"
        'Steps: 9, Sampler: Euler, Size: 64x64, Hires upscale: 2, Hires prompt: "c, <lora:x:1>", '
        'Hires negative prompt: "d, <lora:x:1>"'
    )
    assert (recipe.prompt, recipe.hr_prompt) == ("a", "c, ")
    assert (recipe.negative_prompt, recipe.hr_negative_prompt) == ("b <lora:fur:1>", "d, <lora:x:1>")
    assert missed == ["<lora:x:1> in the hires prompt"]


def test_old_second_passes() -> None:
    recipe, missed = recipe_of(
        "p\nSteps: 9, Sampler: Euler, Size: 1024x1024, Denoising strength: 0.7, First pass size: 0x0"
    )
    assert (recipe.width, recipe.height, recipe.hr_scale) == (512, 512, 2)
    assert missed == ["First pass size-1: 0", "First pass size-2: 0"]


WORDS = st.text("ab (:1.2)[],é猫", max_size=20).map(str.strip).filter(lambda text: not text.startswith("Negative"))


@given(
    prompt=WORDS, negative=WORDS, seed=st.integers(0, 2**64 - 1), sampler=st.sampled_from(list(SAMPLERS)),
    scheduler=st.sampled_from(list(SCHEDULERS)), cfg_scale=st.floats(0, 30), rng=st.sampled_from(["cpu", "philox"]),
    clip_skip=st.integers(1, 12), hr_scale=st.sampled_from([1, 1.5, 2]), cfg_rescale=st.floats(0, 1),
    eta_noise_seed_delta=st.integers(0, 99), pad_cond_uncond=st.booleans(),
)  # fmt: skip
def test_what_is_written_is_read_back(**fields: object) -> None:
    words = {"prompt": fields.pop("prompt"), "negative_prompt": fields.pop("negative")}
    recipe = Recipe(**words, **fields, width=64, height=96)
    record = Record(
        recipe=recipe, model="a, b: c", model_hash="0" * 64, dtype="float32", device="cpu", threads=1, noise=recipe.rng,
        versions={}, digests=(),
    )  # fmt: skip
    assert recipe_of(parameters(record))[0] == (recipe.but(eta=0) if recipe.sampler in NOISY else recipe)


@given(text=st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    assert recipe_of(text)[0].steps >= 1
