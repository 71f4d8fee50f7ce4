"""Schedules and schedulers against diffusers."""

from dataclasses import replace

import diffusers
import numpy as np
import pytest
import torch

from calotype import configs
from calotype.diffusion.schedulers import SCHEDULERS
from calotype.diffusion.schedules import Schedule

COUNTS = [1, 2, 7, 10, 20, 28, 30, 50, 333, 999]


def scheduler_of(name, config, **options):
    return getattr(diffusers, name)(
        beta_start=config.beta_start, beta_end=config.beta_end, beta_schedule=config.beta_schedule,
        rescale_betas_zero_snr=config.zero_terminal_snr, steps_offset=1, **options,
    )  # fmt: skip


@pytest.mark.parametrize(
    "config",
    [
        configs.SD15.schedule,
        configs.EMBEDDED.schedule,
        replace(configs.SD15.schedule, beta_schedule="linear"),
        replace(configs.SD21.schedule, zero_terminal_snr=True),
    ],
)
def test_the_forward_process(config):
    scheduler = scheduler_of("EulerDiscreteScheduler", config)
    ours = Schedule.of(config).alphas_cumprod
    torch.testing.assert_close(ours, scheduler.alphas_cumprod.double(), rtol=3e-5, atol=1e-9)
    assert ours[-1].item() == pytest.approx(scheduler.alphas_cumprod[-1].item(), rel=3e-5)


@pytest.mark.parametrize("steps", COUNTS)
@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
def test_time_steps(spacing, steps):
    scheduler = scheduler_of("DDIMScheduler", configs.SD15.schedule, timestep_spacing=spacing)
    scheduler.set_timesteps(steps)
    schedule = Schedule.of(configs.SD15.schedule)
    if (spacing, steps) == ("linspace", 1):
        expected = [999]  # diffusers gives [0]: one step that begins where the noise ends
    else:
        expected = scheduler.timesteps.clamp(max=999).tolist()
    assert schedule.t(SCHEDULERS[spacing](schedule, steps)[:-1]).round().int().tolist() == expected


@pytest.mark.parametrize("steps", COUNTS[1:])
@pytest.mark.parametrize("name", ["karras", "exponential", "beta"])
@pytest.mark.parametrize("config", [configs.SD15.schedule, configs.EMBEDDED.schedule])
def test_sigma_schedules(name, steps, config):
    scheduler = scheduler_of(
        "EulerDiscreteScheduler", config, timestep_spacing="linspace", **{f"use_{name}_sigmas": True}
    )
    scheduler.set_timesteps(steps)
    schedule = Schedule.of(config)
    torch.testing.assert_close(SCHEDULERS[name](schedule, steps), scheduler.sigmas.double(), rtol=3e-5, atol=0)


@pytest.mark.parametrize("steps", COUNTS[1:])
def test_linear_quadratic(steps):
    from diffusers.pipelines.mochi.pipeline_mochi import linear_quadratic_schedule

    schedule = Schedule.of(configs.SD15.schedule)
    expected = np.array([*linear_quadratic_schedule(steps, 0.025), 0.0]) * schedule.sigmas[-1].item()
    np.testing.assert_allclose(SCHEDULERS["linear_quadratic"](schedule, steps), expected, rtol=1e-10)
