"""Samplers against diffusers' schedulers: the same denoiser, the same noise, the state compared after every step."""

import diffusers
import pytest
import torch

from calotype import configs
from calotype.diffusion.driver import latent, sample
from calotype.diffusion.ladder import ladder
from calotype.diffusion.noise import SeededNoise
from calotype.diffusion.parameterization import PARAMETERIZATIONS
from calotype.diffusion.samplers import SAMPLERS, Denoised
from calotype.diffusion.schedules import Schedule
from mixture import GaussianMixture

SHAPE = (1, 4, 6, 5)
MIXTURE = GaussianMixture()
CASES = [
    (config, spacing, kind)
    for config, spacing in [(configs.SD15, "leading"), (configs.SD15, "trailing"), (configs.EMBEDDED, "trailing")]
    for kind in ("epsilon", "v_prediction")
]
each_case = pytest.mark.parametrize(
    ("config", "spacing", "kind"), CASES, ids=lambda value: getattr(value, "name", value)
)
each_count = pytest.mark.parametrize("steps", [1, 4, 20, 30])


def reference(name, config, spacing, kind, steps, schedule, **options):
    """diffusers' scheduler over the same time steps, with our float64 schedule in place of its float32 one."""
    scheduler = getattr(diffusers, name)(
        beta_start=config.schedule.beta_start, beta_end=config.schedule.beta_end, beta_schedule="scaled_linear",
        prediction_type=kind, timestep_spacing=spacing, steps_offset=1, **options,
    )  # fmt: skip
    assert torch.allclose(scheduler.alphas_cumprod.double(), schedule.alphas_cumprod, rtol=3e-5)
    scheduler.alphas_cumprod = schedule.alphas_cumprod
    scheduler.set_timesteps(steps)
    return scheduler


def ours(row, schedule, sigmas, noise, dtype=torch.float64, **options):
    def denoise(x, sigma):
        return Denoised(MIXTURE.denoise(x, sigma))

    start = noise.normal(0).to(dtype) * sigmas[0].item()
    return start, [state.x for state in sample(row, lambda moment: denoise, sigmas, noise, x=start, **options)]


def output(kind, x, sigma):
    return PARAMETERIZATIONS[kind].from_x0(x, sigma, MIXTURE.denoise(x, sigma))


@each_case
@pytest.mark.parametrize("steps", [1, 4, 20, 50])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim(config, spacing, kind, steps, eta):
    """Step counts that divide 1000: for others diffusers lands on t - 1000 // steps, which trailing does not visit."""
    schedule = Schedule.of(config.schedule)
    scheduler = reference(
        "DDIMScheduler", config, spacing, kind, steps, schedule, set_alpha_to_one=False, clip_sample=False
    )
    scheduler.final_alpha_cumprod = schedule.alphas_cumprod[0]
    noise = SeededNoise(3, SHAPE, dtype=torch.float64)
    sigmas = ladder(SAMPLERS["DDIM"], schedule, steps, spacing)
    x, states = ours(SAMPLERS["DDIM"], schedule, sigmas, noise, eta=eta)
    for step, (t, state) in enumerate(zip(scheduler.timesteps, states, strict=True)):
        sigma = schedule.sigmas[t].item()
        x = scheduler.step(
            output(kind, x, sigma), t, latent(x, sigma), eta=eta, variance_noise=noise.normal(step + 1)
        ).prev_sample
        torch.testing.assert_close(latent(state, sigmas[step + 1].item()), x, rtol=1e-10, atol=1e-10)
        x = state


@each_case
@each_count
def test_euler(config, spacing, kind, steps):
    schedule = Schedule.of(config.schedule)
    scheduler = reference("EulerDiscreteScheduler", config, spacing, kind, steps, schedule)
    sigmas = ladder(SAMPLERS["Euler"], schedule, steps, spacing)
    torch.testing.assert_close(scheduler.sigmas.double(), sigmas, rtol=2e-7, atol=0)
    x, states = ours(SAMPLERS["Euler"], schedule, sigmas, SeededNoise(3, SHAPE))
    for t, sigma, state in zip(scheduler.timesteps, sigmas.tolist(), states, strict=False):
        x = scheduler.step(output(kind, x, sigma), t, x).prev_sample.double()
        torch.testing.assert_close(state, x, rtol=2e-5, atol=2e-5)


@each_case
@each_count
def test_euler_ancestral(config, spacing, kind, steps):
    schedule = Schedule.of(config.schedule)
    scheduler = reference("EulerAncestralDiscreteScheduler", config, spacing, kind, steps, schedule)
    sigmas = ladder(SAMPLERS["Euler a"], schedule, steps, spacing)
    torch.testing.assert_close(scheduler.sigmas.double(), sigmas, rtol=2e-7, atol=0)
    generator = torch.Generator().manual_seed(3)
    torch.randn(SHAPE, generator=generator)
    x, states = ours(SAMPLERS["Euler a"], schedule, sigmas, SeededNoise(3, SHAPE), dtype=torch.float32)
    for t, sigma, state in zip(scheduler.timesteps, sigmas.tolist(), states, strict=False):
        x = scheduler.step(output(kind, x, sigma), t, x, generator=generator).prev_sample
        torch.testing.assert_close(state, x, rtol=3e-5, atol=3e-5)


@each_case
@each_count
def test_dpmpp_2m(config, spacing, kind, steps):
    schedule = Schedule.of(config.schedule)
    scheduler = reference("DPMSolverMultistepScheduler", config, spacing, kind, steps, schedule)
    sigmas = ladder(SAMPLERS["DPM++ 2M"], schedule, steps, spacing)
    # Under leading spacing diffusers gives this one scheduler other time steps than all its others: it is told ours.
    scheduler.set_timesteps(timesteps=schedule.t(sigmas[:-1]).round().int().tolist())
    torch.testing.assert_close(scheduler.sigmas.double(), sigmas, rtol=2e-7, atol=0)
    x, states = ours(SAMPLERS["DPM++ 2M"], schedule, sigmas, SeededNoise(3, SHAPE))
    for t, sigma, sigma_next, state in zip(
        scheduler.timesteps, sigmas.tolist(), sigmas[1:].tolist(), states, strict=False
    ):
        after = scheduler.step(output(kind, x, sigma), t, latent(x, sigma)).prev_sample.double()
        x = after * (1 + sigma_next**2) ** 0.5
        torch.testing.assert_close(state, x, rtol=3e-5, atol=3e-5)
