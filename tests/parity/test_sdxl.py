"""SDXL's own conditions and its refiner: small models of random weights, latents within 1e-4 of diffusers'."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    EulerDiscreteScheduler,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from calotype.api import Studio, load
from calotype.checkpoints.folder import write_folder
from calotype.dialects import a1111
from calotype.diffusion.driver import latent
from calotype.errors import CalotypeError
from calotype.pipeline import read_run, save_run
from calotype.recipe import Recipe
from checkpoints.families import FAMILIES, made

SAMPLERS = [("DDIM", DDIMScheduler), ("Euler", EulerDiscreteScheduler)]
STEPS, SIDE = 10, 32
RECIPE = Recipe(
    prompt="a unicorn", negative_prompt="a purple background", seed=5, steps=STEPS, cfg_scale=4, sampler="Euler",
    scheduler="trailing", width=SIDE, height=SIDE,
)  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> dict[str, Path]:
    """A base and a refiner, small enough to be written in a moment."""
    vocabulary = {"vocab.json": (tiny_folder / "tokenizer/vocab.json").read_text(), "merges.txt": "#version: 0.2\n"}
    folders = {}
    for seed, name in enumerate(("sdxl", "refiner")):
        config = FAMILIES[name]
        networks = made(config)
        for parameter in networks.unet.parameters():
            parameter.data.mul_(0.5 + 0.1 * seed)
        networks.unet.head.weight.data.mul_(0.3)  # rounding errors are not to grow where sigma is 14
        assert networks.unet.added is not None
        for layer in (networks.unet.added.linear1, networks.unet.added.linear2):
            layer.weight.data.mul_(40)  # what is told of sizes is to show
        folders[name] = tmp_path_factory.mktemp("models") / name
        write_folder(folders[name], config, networks, vocabulary, torch.float32)
    return folders


@pytest.fixture(scope="module")
def studio(folders: dict[str, Path]) -> Studio:
    return load(folders["sdxl"])


def _pipe(kind: Any, folder: Path, scheduler: Any, **more: Any) -> Any:
    first = folder / "text_encoder"
    parts: dict[str, Any] = {
        "vae": AutoencoderKL.from_pretrained(folder / "vae"),
        "unet": UNet2DConditionModel.from_pretrained(folder / "unet"),
        "text_encoder": CLIPTextModel.from_pretrained(first) if first.exists() else None,
        "tokenizer": CLIPTokenizer.from_pretrained(folder / "tokenizer") if first.exists() else None,
        "text_encoder_2": CLIPTextModelWithProjection.from_pretrained(folder / "text_encoder_2"),
        "tokenizer_2": CLIPTokenizer.from_pretrained(folder / "tokenizer_2"),
        "scheduler": scheduler.from_config(json.loads((folder / "scheduler/scheduler_config.json").read_text()),
                                           timestep_spacing="trailing", use_karras_sigmas=False),
    }  # fmt: skip
    pipe = kind(**parts, add_watermarker=False, **more)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _asked(**fields: Any) -> dict[str, Any]:
    return {
        "prompt": RECIPE.prompt, "negative_prompt": RECIPE.negative_prompt, "num_inference_steps": STEPS,
        "guidance_scale": 4.0, "output_type": "latent", **fields,
    }  # fmt: skip


def _noise(studio: Studio) -> torch.Tensor:
    side = SIDE // studio.config.vae.downscale
    return torch.randn((1, 4, side, side), generator=torch.Generator().manual_seed(RECIPE.seed))


def _ours(studio: Studio, recipe: Recipe) -> torch.Tensor:
    *_, last = studio.states(recipe)
    return latent(last.x, 0.0 if recipe.sampler == "Euler" else float(studio.schedule.sigmas[0]))


@pytest.mark.parametrize(("sampler", "scheduler"), SAMPLERS)
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {}),
        (
            {"original_width": 640, "original_height": 480, "crop_left": 7, "crop_top": 3, "target_width": 1024,
             "target_height": 768},
            {"original_size": (480, 640), "crops_coords_top_left": (3, 7), "target_size": (768, 1024)},
        ),
        (
            {"negative_original_width": 640, "negative_original_height": 480, "negative_target_width": 1024,
             "negative_target_height": 768},
            {"negative_original_size": (480, 640), "negative_target_size": (768, 1024)},
        ),
    ],
    ids=["usual", "asked for", "of the negative prompt"],
)  # fmt: skip
def test_sizes(
    folders: dict[str, Path], studio: Studio, sampler: str, scheduler: Any, ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    pipe = _pipe(StableDiffusionXLPipeline, folders["sdxl"], scheduler)
    expected = pipe(**_asked(latents=_noise(studio), height=SIDE, width=SIDE, **theirs)).images
    torch.testing.assert_close(_ours(studio, RECIPE.but(sampler=sampler, **ours)), expected, rtol=0, atol=1e-4)
    for name in ours:
        other = RECIPE.but(sampler=sampler, **{**ours, name: 100})
        assert (_ours(studio, other) - expected).abs().max() > 1e-3


@pytest.mark.parametrize(("sampler", "scheduler"), SAMPLERS)
@pytest.mark.parametrize(("switch", "scores"), [(0.8, (6.0, 2.5)), (0.35, (9.0, 1.0))])
def test_the_refiner_takes_over(
    folders: dict[str, Path], studio: Studio, sampler: str, scheduler: Any, switch: float, scores: tuple[float, float]
) -> None:
    base = _pipe(StableDiffusionXLPipeline, folders["sdxl"], scheduler)
    between = base(**_asked(latents=_noise(studio), height=SIDE, width=SIDE, denoising_end=switch)).images
    refiner = _pipe(StableDiffusionXLImg2ImgPipeline, folders["refiner"], scheduler, requires_aesthetics_score=True)
    told = {"aesthetic_score": scores[0], "negative_aesthetic_score": scores[1]}
    expected = refiner(**_asked(image=between, denoising_start=switch, **told)).images
    recipe = RECIPE.but(sampler=sampler, refiner_checkpoint=str(folders["refiner"]), refiner_switch_at=switch, **told)
    torch.testing.assert_close(_ours(studio, recipe), expected, rtol=0, atol=1e-4)
    for other in (RECIPE.but(sampler=sampler), recipe.but(aesthetic_score=3.0), recipe.but(negative_aesthetic_score=5)):
        assert (_ours(studio, recipe) - _ours(studio, other)).abs().max() > 1e-3


@pytest.mark.parametrize("sampler", ["Heun", "DPM++ 2M SDE", "DPM adaptive"])
def test_a_run_goes_on_across_the_switch(
    folders: dict[str, Path], studio: Studio, sampler: str, tmp_path: Path
) -> None:
    recipe = RECIPE.but(sampler=sampler, refiner_checkpoint=str(folders["refiner"]), steps=4, refiner_switch_at=0.5)
    states = list(studio.states(recipe))
    whole = studio.develop(recipe, states)
    assert whole.record.refiner_hash == load(folders["refiner"]).hash
    for state in states[:8]:
        save_run(tmp_path / "run", studio.with_refiner(recipe), recipe, state, tmp_path / "a.png")
        run = read_run(tmp_path / "run")
        assert run.check(studio.with_refiner(recipe)) == []
        again = studio.develop(run.record.recipe, chain([run.state], studio.states(run.record.recipe, run.state)))
        assert again.tobytes() == whole.tobytes()
        assert again.record == whole.record


@pytest.mark.parametrize("refined", [False, True])
def test_an_empty_negative_prompt_is_zeros(folders: dict[str, Path], studio: Studio, refined: bool) -> None:
    """As diffusers' base does without one, and A1111's base and refiner; ComfyUI encodes the empty text."""
    switch = 0.5 if refined else None
    base = _pipe(StableDiffusionXLPipeline, folders["sdxl"], EulerDiscreteScheduler)
    asked = _asked(latents=_noise(studio), height=SIDE, width=SIDE, denoising_end=switch)
    expected = base(**asked | {"negative_prompt": None}).images
    recipe = RECIPE.but(negative_prompt="")
    if refined:
        refiner = _pipe(StableDiffusionXLImg2ImgPipeline, folders["refiner"], EulerDiscreteScheduler,
                        requires_aesthetics_score=True, force_zeros_for_empty_prompt=True)  # fmt: skip
        expected = refiner(**_asked(image=expected, denoising_start=switch) | {"negative_prompt": None}).images
        recipe = recipe.but(refiner_checkpoint=str(folders["refiner"]), refiner_switch_at=switch)
    torch.testing.assert_close(_ours(studio, recipe), expected, rtol=0, atol=1e-4)
    encoded = base(**asked | {"negative_prompt": ""}).images
    if not refined:
        torch.testing.assert_close(_ours(studio, recipe.but(prompt_style="comfyui")), encoded, rtol=0, atol=1e-4)
    assert (_ours(studio, recipe) - _ours(studio, recipe.but(prompt_style="comfyui"))).abs().max() > 1e-3


def _askers(studio: Studio, recipe: Recipe) -> list[str]:
    """Whose U-Net was asked, call by call."""
    whole, asked = studio.with_refiner(recipe), list[str]()
    assert whole.refiner is not None

    def hook(name: str) -> Callable[..., None]:
        return lambda *_: asked.append(name)

    hooks = [whole.unet.register_forward_pre_hook(hook("base")),
             whole.refiner.unet.register_forward_pre_hook(hook("refiner"))]  # fmt: skip
    list(studio.states(recipe))
    for each in hooks:
        each.remove()
    return asked


def test_a_step_is_never_shared(folders: dict[str, Path], studio: Studio) -> None:
    recipe = RECIPE.but(sampler="Heun", refiner_checkpoint=str(folders["refiner"]))
    for switch, base in ((0.0, 0), (0.5, 5), (None, 8), (1.0, 10)):
        asked = _askers(studio, recipe.but(refiner_switch_at=switch))
        assert asked == ["base"] * min(2 * base, 19) + ["refiner"] * (19 - min(2 * base, 19))


def test_the_infotext_names_it(folders: dict[str, Path], studio: Studio) -> None:
    recipe = RECIPE.but(refiner_checkpoint=str(folders["refiner"]), steps=2)
    record = studio.develop(recipe, studio.states(recipe)).record
    assert f"Refiner: refiner [{record.refiner_hash[:10]}], Refiner switch at: 0.8," in a1111.parameters(record)


def test_what_cannot_refine_is_told(folders: dict[str, Path], studio: Studio, tiny_folder: Path) -> None:
    with pytest.raises(CalotypeError, match="cannot refine what sdxl begins"):
        studio.states(RECIPE.but(refiner_checkpoint=str(tiny_folder)))
    other = replace(studio.with_refiner(RECIPE.but(refiner_checkpoint=str(folders["refiner"]))))
    assert other.refiner is not None
    assert studio.refiner is None
