"""The other samplers against diffusers' schedulers, over the time steps that diffusers itself chooses.

diffusers computes most of them in float32, whatever it is given, which bounds the agreement.
"""

import importlib
from itertools import count, groupby, islice, pairwise

import diffusers
import pytest
import torch

from calotype import configs
from calotype.diffusion.driver import latent, sample
from calotype.diffusion.noise import SeededNoise
from calotype.diffusion.parameterization import PARAMETERIZATIONS
from calotype.diffusion.samplers import SAMPLERS, Denoised
from calotype.diffusion.schedules import Schedule
from mixture import GaussianMixture

SHAPE = (1, 4, 6, 5)
MIXTURE = GaussianMixture()
DPM = "DPMSolverMultistepScheduler"
SDE = {"algorithm_type": "sde-dpmsolver++"}

# The row, diffusers' class, its options, ours, whether it works in variance-preserving coordinates.
CASES = [
    ("Heun", "HeunDiscreteScheduler", {}, {}, False),
    ("LMS", "LMSDiscreteScheduler", {}, {}, False),
    ("DPM2", "KDPM2DiscreteScheduler", {}, {}, False),
    ("DDPM", "DDPMScheduler", {"clip_sample": False}, {}, True),
    ("DPM++ 2S", "DPMSolverSinglestepScheduler", {}, {}, True),
    ("DPM++ 2M SDE", DPM, SDE, {}, True),
    ("DPM++ 2M SDE Heun", DPM, {**SDE, "solver_type": "heun"}, {}, True),
    ("UniPC", "UniPCMultistepScheduler", {"solver_type": "bh1", "solver_order": 3}, {}, True),
    ("UniPC", "UniPCMultistepScheduler", {"solver_type": "bh1", "solver_order": 1}, {"order": 1}, True),
    ("UniPC bh2", "UniPCMultistepScheduler", {"solver_order": 3}, {}, True),
    ("UniPC bh2", "UniPCMultistepScheduler", {}, {"order": 2}, True),
    ("DEIS", "DEISMultistepScheduler", {"solver_order": 3}, {}, True),
    ("DEIS", "DEISMultistepScheduler", {}, {"order": 2}, True),
    ("PLMS", "PNDMScheduler", {"skip_prk_steps": True}, {}, True),
    ("PNDM", "PNDMScheduler", {}, {}, True),
    ("LCM", "LCMScheduler", {}, {}, True),
    ("TCD", "TCDScheduler", {}, {}, True),
    ("SA-Solver 2", "SASolverScheduler", {}, {}, True),
]
ENDS_AT_THE_FIRST_TRAINING_STEP = ("PLMS", "PNDM", "TCD", "SA-Solver 2")
LAST_STEPS_LEFT_OUT = {"UniPC": 1, "DEIS": 2}
"""diffusers divides by infinity (bh1) and by log 0 (DEIS) in the step to 0; DEIS goes to order 2 in the one before."""


def built(name, scheduler, options, config, kind, schedule, steps):
    """diffusers' scheduler, with our float64 schedule in place of its float32 one."""
    beta = {
        "beta_start": config.schedule.beta_start,
        "beta_end": config.schedule.beta_end,
        "beta_schedule": "scaled_linear",
    }
    if name in ("PLMS", "PNDM"):
        options = {"timestep_spacing": "leading", **options}
    elif name not in ("LCM", "TCD", "DPM++ 2S"):
        options = {"timestep_spacing": "trailing", **options}
    reference = getattr(diffusers, scheduler)(prediction_type=kind, **beta, **options)
    reference.alphas_cumprod = schedule.alphas_cumprod
    reference.final_alpha_cumprod = schedule.alphas_cumprod[0]
    reference.set_timesteps(steps)
    reference.is_scale_input_called = True
    return reference


def visited(name, reference, schedule, steps):
    """The ladder behind diffusers' list of time steps, in which those with several calls an interval repeat some."""
    times = reference.timesteps.tolist()
    if name == "PNDM":
        times = [times[0] - k * (1000 // steps) for k in range(steps)]
    elif name == "DPM2":
        times = [times[0], *reference.timesteps[2::2].round().int().tolist()]
    levels = schedule.sigmas[[int(t) for t, _ in groupby(times)]].tolist()
    end = schedule.sigmas[0].item() if name in ENDS_AT_THE_FIRST_TRAINING_STEP else 0.0
    return [*levels, end] if levels[-1] != end else levels


def drawn_as_by(row, noise, sigmas, schedule):
    """A stand-in for diffusers' randn_tensor: our draws, and zeros where it draws what it then multiplies by 0."""
    draws, intervals = count(1), pairwise(sigmas)

    def draw(*_, **__):
        sigma, sigma_next = next(intervals)
        if row.noise == "brownian":
            return noise.brownian(sigma, sigma_next) if sigma_next > 0 else torch.zeros(SHAPE)
        silent = row.name == "SA-Solver 2" and not 200 <= round(schedule.t(sigma).item()) <= 800
        return torch.zeros(SHAPE) if silent else noise.normal(next(draws))

    return draw


@pytest.mark.parametrize("config", [configs.SD15, configs.EMBEDDED], ids=lambda config: config.name)
@pytest.mark.parametrize("steps", [4, 10, 20])
@pytest.mark.parametrize(
    ("name", "scheduler", "theirs", "ours", "preserving", "kind"),
    [
        (*case, kind)
        for case in CASES
        for kind in ("epsilon", "v_prediction")
        # Of velocity networks diffusers' PNDM extrapolates the velocity, the paper and CompVis the noise.
        if case[1] != "PNDMScheduler" or kind == "epsilon"
    ],
)
def test_diffusers_schedulers(monkeypatch, name, scheduler, theirs, ours, preserving, kind, config, steps):
    schedule, row = Schedule.of(config.schedule), SAMPLERS[name]
    reference = built(name, scheduler, theirs, config, kind, schedule, steps)
    sigmas = visited(name, reference, schedule, steps)
    noise = SeededNoise(3, SHAPE, dtype=torch.float64)
    module = importlib.import_module(type(reference).__module__)
    monkeypatch.setattr(module, "randn_tensor", drawn_as_by(row, noise, sigmas, schedule), raising=False)

    def denoise(x, sigma):
        return Denoised(MIXTURE.denoise(x, sigma))

    start = noise.normal(0) * sigmas[0]
    compared = len(sigmas) - 1 - LAST_STEPS_LEFT_OUT.get(name, 0)
    *_, last = islice(sample(row, lambda _: denoise, sigmas, noise, x=start, schedule=schedule, **ours), compared)
    other = latent(start, sigmas[0]) if preserving else start
    for t in reference.timesteps[: len(reference.timesteps) - LAST_STEPS_LEFT_OUT.get(name, 0)]:
        sigma = schedule.sigma(t).item()
        x = other * (1 + sigma**2) ** 0.5 if preserving else other
        output = PARAMETERIZATIONS[kind].from_x0(x, sigma, MIXTURE.denoise(x, sigma))
        other = reference.step(output, t, other).prev_sample.double()
    expected = other * (1 + sigmas[last.index] ** 2) ** 0.5 if preserving else other
    torch.testing.assert_close(last.x, expected, rtol=1e-4, atol=1e-4)
