"""The same folder, noise and settings give diffusers' picture."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler, StableDiffusionPipeline

from calotype.api import EMBEDDED, load

PROMPT = "a red apple to the left of a cat on a blue background"
NEGATIVE = "a green background"


@pytest.fixture(scope="module", params=["random", "embedded"])
def folder(request: pytest.FixtureRequest, tiny_folder: Path) -> Path:
    if request.param == "random":
        return tiny_folder
    if not (EMBEDDED / "model_index.json").exists():
        pytest.skip("the embedded model has not been trained yet")
    return EMBEDDED


@pytest.fixture(scope="module")
def reference(folder: Path) -> StableDiffusionPipeline:
    pipe = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True).to(torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.mark.parametrize(
    ("sampler", "scheduler"),
    [("DDIM", DDIMScheduler), ("Euler", EulerDiscreteScheduler), ("DPM++ 2M", DPMSolverMultistepScheduler)],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_picture_is_that_of_diffusers(
    folder: Path, reference: StableDiffusionPipeline, sampler: str, scheduler: Any, seed: int
) -> None:
    ours = load(folder).generate(
        PROMPT, negative_prompt=NEGATIVE, seed=seed, steps=20, sampler=sampler, scheduler="trailing", cfg_scale=4,
        cfg_rescale=0,
    )  # fmt: skip
    height, width = ours.height // 8, ours.width // 8
    noise = torch.randn((1, 4, height, width), generator=torch.Generator().manual_seed(seed))
    reference.scheduler = scheduler.from_config(reference.scheduler.config)
    theirs = reference(
        PROMPT, negative_prompt=NEGATIVE, latents=noise, num_inference_steps=20, guidance_scale=4, height=ours.height,
        width=ours.width,
    ).images[0]  # fmt: skip
    difference = np.abs(np.asarray(ours, dtype=int) - np.asarray(theirs, dtype=int))
    assert difference.max() <= 2
