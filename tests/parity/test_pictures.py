"""Pictures that begin with pictures are diffusers' too, on small models of random weights, latents within 1e-4."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionInstructPix2PixPipeline,
    StableDiffusionPipeline,
)
from PIL import Image

from calotype.api import Studio, load
from calotype.checkpoints.folder import write_folder
from calotype.checkpoints.networks import Networks
from calotype.imaging.pixels import to_pixels
from calotype.model import Model
from calotype.nn.unet import UNet

SAMPLERS = [("DDIM", DDIMScheduler), ("Euler", EulerDiscreteScheduler), ("DPM++ 2M", DPMSolverMultistepScheduler)]
STEPS, SEED = 10, 5
PROMPT, NEGATIVE = "a unicorn", "a purple background"


def _picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((64, 64))


def _mask() -> Image.Image:
    mask = Image.new("L", (64, 64))
    mask.paste(255, (16, 24, 48, 64))
    return mask


@pytest.fixture(scope="module")
def folders(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The tiny model with a U-Net of 4, 8 and 9 channels, and a posterior without width: diffusers samples it."""
    model = Model.read(tiny_folder)
    torch.nn.init.zeros_(model.vae.quant_conv.weight[4:])
    torch.nn.init.constant_(model.vae.quant_conv.bias[4:], -30)
    vocabulary = {"vocab.json": (tiny_folder / "tokenizer/vocab.json").read_text(), "merges.txt": "#version: 0.2\n"}
    folders = {}
    for channels in (4, 8, 9):
        config = replace(model.config, unet=replace(model.config.unet, in_channels=channels))
        with torch.random.fork_rng():
            torch.manual_seed(channels)
            networks = Networks(model.text_encoders, model.vae, UNet(config.unet))
        folders[channels] = tmp_path_factory.mktemp("models") / str(channels)
        write_folder(folders[channels], config, networks, vocabulary, torch.float32)
    return folders


def test_a_pipeline_of_another_task_opens_the_folder(tiny_folder: Path) -> None:
    pipe = StableDiffusionInpaintPipeline.from_pretrained(tiny_folder, local_files_only=True)
    assert pipe.unet.config.in_channels == 4


@lru_cache
def _components(folder: Path) -> dict[str, Any]:
    components: dict[str, Any] = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True).components
    return components


def _theirs(pipeline: Any, folder: Path, scheduler: Any, **fields: Any) -> torch.Tensor:
    pipe = pipeline(**_components(folder), requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = scheduler.from_config(pipe.scheduler.config, use_karras_sigmas=False)
    return pipe(
        PROMPT, negative_prompt=NEGATIVE, num_inference_steps=STEPS, guidance_scale=4.0, output_type="latent",
        generator=torch.Generator().manual_seed(SEED), **fields,
    ).images  # fmt: skip


def _ours(folder: Path, sampler: str, **fields: Any) -> torch.Tensor:
    latents: list[torch.Tensor] = []

    class Watched(Studio):
        def decode(self, x: torch.Tensor) -> torch.Tensor:
            latents.append(x)
            return super().decode(x)

    Watched.read(folder).generate(
        PROMPT, negative_prompt=NEGATIVE, seed=SEED, steps=STEPS, sampler=sampler, scheduler="trailing", cfg_scale=4.0,
        strength_convention="diffusers", **fields,
    )  # fmt: skip
    return latents[-1]


@pytest.mark.parametrize(("sampler", "scheduler"), SAMPLERS)
@pytest.mark.parametrize("strength", [0.3, 0.75, 1.0])
def test_image_to_image(folders: dict[int, Path], sampler: str, scheduler: Any, strength: float) -> None:
    with torch.inference_mode():
        start = load(folders[4]).encode(to_pixels(_picture()))
    theirs = _theirs(StableDiffusionImg2ImgPipeline, folders[4], scheduler, image=start, strength=strength)
    ours = _ours(folders[4], sampler, init_image=_picture(), denoising_strength=strength)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("sampler", "scheduler"), SAMPLERS)
@pytest.mark.parametrize(("channels", "strength"), [(4, 0.6), (4, 1.0), (9, 0.6), (9, 1.0)])
def test_inpainting(folders: dict[int, Path], sampler: str, scheduler: Any, channels: int, strength: float) -> None:
    keep = to_pixels(_mask()) < 0
    with torch.inference_mode():
        start, left = (
            load(folders[channels]).encode(pixels) for pixels in (to_pixels(_picture()), to_pixels(_picture()) * keep)
        )
    theirs = _theirs(
        StableDiffusionInpaintPipeline, folders[channels], scheduler, image=start, masked_image_latents=left,
        mask_image=_mask(), strength=strength, height=64, width=64,
    )  # fmt: skip
    ours = _ours(
        folders[channels], sampler, init_image=_picture(), mask=_mask(), mask_blur=0, denoising_strength=strength
    )
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("sampler", "scheduler"), SAMPLERS)
def test_editing_by_instruction(folders: dict[int, Path], sampler: str, scheduler: Any) -> None:
    theirs = _theirs(
        StableDiffusionInstructPix2PixPipeline, folders[8], scheduler, image=_picture(), image_guidance_scale=1.8
    )
    ours = _ours(folders[8], sampler, init_image=_picture(), image_cfg_scale=1.8)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("sampler", "scheduler"), SAMPLERS)
def test_guidance_rescale(folders: dict[int, Path], sampler: str, scheduler: Any) -> None:
    theirs = _theirs(StableDiffusionPipeline, folders[4], scheduler, guidance_rescale=0.7, height=64, width=64)
    torch.testing.assert_close(_ours(folders[4], sampler, cfg_rescale=0.7), theirs, rtol=0, atol=1e-4)
