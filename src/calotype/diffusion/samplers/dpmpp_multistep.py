"""DPM-Solver++ with memory: one network call a step, the order gained from earlier predictions."""

import math

from calotype.diffusion.noise import Noise
from calotype.diffusion.samplers.moves import towards
from calotype.diffusion.samplers.state import Denoiser, Plan, Sampler, SamplerState


def dpmpp_2m(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """Algorithm 2 of arXiv 2211.01095, in lambda = -log sigma; the first step and one to sigma 0 are Euler's."""
    sigma, following = plan.interval(state)
    x0 = denoise(state.x, sigma).x0
    target = x0
    if following > 0 and "previous" in state.memory:
        before, _ = plan.intervals[state.index - 1]
        ratio = math.log(before / sigma) / math.log(sigma / following)
        target = x0 + (x0 - state.memory["previous"]) / (2 * ratio)
    return state.after(towards(target, state.x, following / sigma), x0, previous=x0)


ROWS = (
    Sampler(
        "DPM++ 2M", dpmpp_2m, "arXiv 2211.01095", order=2,
        aliases=("k_dpmpp_2m", "dpmpp_2m", "DPMSolverMultistepScheduler"),
        scheduler="karras",
        equals="k-diffusion sample_dpmpp_2m, diffusers DPMSolverMultistepScheduler",
    ),
)  # fmt: skip
