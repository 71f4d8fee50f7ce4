"""The same folder, noise and settings give diffusers' picture."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler, StableDiffusionPipeline
from PIL import Image

from calotype.api import Studio, load
from calotype.diffusion.ladder import ladder
from calotype.diffusion.samplers import SAMPLERS
from calotype.files import EMBEDDED

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
    reference.scheduler = scheduler.from_config(reference.scheduler.config, use_karras_sigmas=False)
    theirs = reference(
        PROMPT, negative_prompt=NEGATIVE, latents=noise, num_inference_steps=20, guidance_scale=4, height=ours.height,
        width=ours.width,
    ).images[0]  # fmt: skip
    assert difference(ours, theirs) <= 2


def difference(ours: Image.Image, theirs: Image.Image) -> int:
    return int(np.abs(np.asarray(ours, dtype=int) - np.asarray(theirs, dtype=int)).max())


_BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
_COMMON = {"steps_offset": 1, "set_alpha_to_one": False, "clip_sample": False, "prediction_type": "epsilon", **_BETAS}
PUBLISHED = {
    "PLMS leading": {"_class_name": "PNDMScheduler", "skip_prk_steps": True, "trained_betas": None},
    "DDIM leading": {"_class_name": "DDIMScheduler", "skip_prk_steps": True, "trained_betas": None},
    "Euler leading": {"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "leading", "skip_prk_steps": True,
                      "interpolation_type": "linear", "sample_max_value": 1.0, "use_karras_sigmas": False},
    "DPM++ 2M linspace": {"_class_name": "DPMSolverMultistepScheduler"},
    "DPM++ 2M leading": {"_class_name": "DPMSolverMultistepScheduler", "timestep_spacing": "leading"},
    "DEIS leading": {"_class_name": "DEISMultistepScheduler", "timestep_spacing": "leading"},
    "UniPC bh2 linspace": {"_class_name": "UniPCMultistepScheduler"},
}  # fmt: skip
"""What scheduler_config.json says of SD 1.5, of SD 2.1 and of SDXL, and of models that are published with others."""


@pytest.mark.parametrize("named", PUBLISHED)
def test_a_model_is_sampled_as_its_publisher_chose(tiny_folder: Path, tmp_path: Path, named: str) -> None:
    folder = _published(tiny_folder, tmp_path, PUBLISHED[named])
    latents: list[torch.Tensor] = []

    class Watched(Studio):
        def decode(self, x: torch.Tensor) -> torch.Tensor:
            latents.append(x)
            return super().decode(x)

    ours = Watched.read(folder).generate(PROMPT, negative_prompt=NEGATIVE, seed=1, steps=10, cfg_scale=4)
    assert f"{ours.recipe.sampler} {ours.recipe.scheduler.removeprefix('diffusers_')}" == named
    pipe = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    theirs = pipe(
        PROMPT, negative_prompt=NEGATIVE, num_inference_steps=10, guidance_scale=4, height=64, width=64,
        latents=torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(1)), output_type="latent",
    ).images  # fmt: skip
    torch.testing.assert_close(latents[-1], theirs, rtol=0, atol=1e-4)


def test_a_sampler_that_is_asked_for_has_its_usual_levels(tiny_folder: Path, tmp_path: Path) -> None:
    studio = load(_published(tiny_folder, tmp_path, PUBLISHED["Euler leading"]))
    named = studio.generate(PROMPT, seed=1, steps=2, sampler="DPM++ SDE").recipe
    assert (named.sampler, named.scheduler) == ("DPM++ SDE", "karras")
    named = studio.generate(PROMPT, seed=1, steps=2, sampler="Euler").recipe
    assert (named.sampler, named.scheduler) == ("Euler", "normal")


def test_karras_levels_are_those_of_diffusers(tiny_folder: Path, tmp_path: Path) -> None:
    """The latents are not: diffusers tells the network whole time steps, and begins with noise of variance 1."""
    folder = _published(
        tiny_folder, tmp_path, {"_class_name": "DPMSolverMultistepScheduler", "use_karras_sigmas": True}
    )
    studio = load(folder)
    pipe = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipe.scheduler.set_timesteps(20)
    assert (studio.sampler, studio.scheduler) == ("DPM++ 2M", "karras")
    sigmas = ladder(SAMPLERS[studio.sampler], studio.schedule, 20, studio.scheduler)
    torch.testing.assert_close(pipe.scheduler.sigmas.double(), sigmas, rtol=2e-5, atol=0)


def _published(tiny_folder: Path, tmp_path: Path, chosen: dict[str, Any]) -> Path:
    """The tiny model with that scheduler_config.json."""
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    (folder / "scheduler/scheduler_config.json").write_text(json.dumps(_COMMON | chosen))
    index = json.loads((folder / "model_index.json").read_text())
    index["scheduler"] = ["diffusers", chosen["_class_name"]]
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder
