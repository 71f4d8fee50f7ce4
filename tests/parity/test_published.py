"""What a scheduler_config.json chooses is what diffusers' class of it does: levels, first noise and last latent."""

from typing import Any

import diffusers
import pytest
import torch

from calotype import configs
from calotype.checkpoints.scheduler_settings import read_sampler
from calotype.diffusion.driver import latent, pure_noise, sample
from calotype.diffusion.ladder import ladder
from calotype.diffusion.noise import SeededNoise
from calotype.diffusion.published import as_published
from calotype.diffusion.samplers import SAMPLERS, Denoised
from calotype.diffusion.schedules import Schedule
from mixture import GaussianMixture

SHAPE = (1, 4, 6, 5)
MIXTURE = GaussianMixture()
SCHEDULE = Schedule.of(configs.SD15.schedule)
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
SPACINGS = ("leading", "trailing", "linspace")
CLASSES: dict[str, dict[str, Any]] = {
    "EulerDiscreteScheduler": {},
    "HeunDiscreteScheduler": {},
    "LMSDiscreteScheduler": {},
    "DPMSolverMultistepScheduler": {},
    "DPMSolverSinglestepScheduler": {},
    "DEISMultistepScheduler": {},
    "UniPCMultistepScheduler": {},
    "DDIMScheduler": {"set_alpha_to_one": True, "clip_sample": False},
}
"""Those without noise of their own, with the settings that our samplers have."""
NOISY = (
    "EulerAncestralDiscreteScheduler", "KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler",
    "SASolverScheduler",
)  # fmt: skip


def reference(name: str, settings: dict[str, Any], steps: int) -> Any:
    """diffusers' scheduler as it opens such a file, with our float64 schedule in place of its float32 one."""
    scheduler = getattr(diffusers, name).from_config(settings)
    scheduler.alphas_cumprod = SCHEDULE.alphas_cumprod
    scheduler.set_timesteps(steps)
    return scheduler


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("steps", [10, 16])
def test_the_latent_is_that_of_diffusers(name: str, spacing: str, steps: int) -> None:
    if name == "DDIMScheduler" and (spacing == "linspace" or steps == 16):
        pytest.skip("diffusers' DDIM goes to t - 1000 // steps, which it does not visit next here")
    settings = {"_class_name": name, "timestep_spacing": spacing, **BETAS, **CLASSES[name]}
    scheduler, noise = reference(name, settings, steps), SeededNoise(3, SHAPE, dtype=torch.float64)
    theirs = noise.normal(0) * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        scaled = scheduler.scale_model_input(theirs, t).double()
        low = SCHEDULE.sigmas[int(t)]
        sigma = low.lerp(SCHEDULE.sigmas[min(int(t) + 1, 999)], float(t) % 1).item()
        x = scaled * (1 + sigma**2) ** 0.5
        theirs = scheduler.step((x - MIXTURE.denoise(x, sigma)) / sigma, t, theirs).prev_sample.double()
    named, chosen = read_sampler(settings)
    sampler = as_published(SAMPLERS[named], chosen)
    sigmas = ladder(sampler, SCHEDULE, steps, chosen)

    def denoise(x: torch.Tensor, sigma: float) -> Denoised:
        return Denoised(MIXTURE.denoise(x, sigma))

    *_, last = sample(sampler, lambda _: denoise, sigmas, noise, schedule=SCHEDULE)
    torch.testing.assert_close(latent(last.x, float(sigmas[-1])), theirs, rtol=0, atol=1e-4)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("name", NOISY)
def test_the_levels_and_the_first_noise_are_those_of_diffusers(name: str, spacing: str) -> None:
    settings = {"_class_name": name, "timestep_spacing": spacing, **BETAS}
    scheduler = reference(name, settings, 14)
    named, chosen = read_sampler(settings)
    sampler = as_published(SAMPLERS[named], chosen)
    sigmas = ladder(sampler, SCHEDULE, 14, chosen)
    theirs = scheduler.sigmas.double().unique_consecutive()
    torch.testing.assert_close(sigmas, theirs, rtol=2e-6, atol=1e-7)
    size = scheduler.init_noise_sigma * (1 if scheduler.init_noise_sigma > 1 else (1 + sigmas[0] ** 2).sqrt())
    noise = SeededNoise(3, SHAPE)
    torch.testing.assert_close(
        pure_noise(sampler, float(sigmas[0]), noise), noise.normal(0) * float(size), rtol=1e-6, atol=0
    )
