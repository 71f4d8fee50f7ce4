"""Samplers for networks that were distilled to see the end of the way: a few steps, each to x0 and back up."""

import math

from calotype.diffusion.noise import Noise
from calotype.diffusion.samplers.moves import euler_step
from calotype.diffusion.samplers.state import Denoiser, Plan, Sampler, SamplerState


def lcm(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """Algorithm 3 of arXiv 2310.04378: x0 with wholly new noise. (diffusers mixes up to 1e-5 of x into x0.)"""
    sigma, sigma_next = plan.interval(state)
    x0 = denoise(state.x, sigma).x0
    if sigma_next == 0:
        return state.after(x0, x0)
    return state.after(x0 + noise.normal(state.draws) * sigma_next, x0, draws=1)


def tcd(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """Strategic stochastic sampling of arXiv 2402.19159: down to a share of the next time, and back up."""
    sigma, sigma_next = plan.interval(state)
    x0 = denoise(state.x, sigma).x0
    gamma, down = plan.options["gamma"], sigma_next
    if gamma > 0 and not plan.last(state):
        schedule = plan.training_schedule
        time = (1 - gamma) * schedule.t(sigma_next).item()
        # A rounding error in the time must not cost a whole step.
        down = schedule.sigma(math.floor(time + 1e-6)).item()
    x = euler_step(x0, state.x, down / sigma)
    if down >= sigma_next:
        return state.after(x, x0)
    return state.after(x + noise.normal(state.draws) * math.sqrt(sigma_next**2 - down**2), x0, draws=1)


ROWS = (
    Sampler(
        "LCM", lcm, "arXiv 2310.04378", order=1, noise="normal", scheduler="sgm_uniform",
        aliases=("k_lcm", "lcm", "LCMScheduler"),
        use="models distilled for it (LCM, LCM-LoRA): 2 to 8 steps, guidance 1 to 2",
        equals="A1111 and ComfyUI sample_lcm; diffusers LCMScheduler within 1e-4",
    ),
    Sampler(
        "TCD", tcd, "arXiv 2402.19159", order=1, noise="normal", options={"gamma": 0.3}, variance_preserving=True,
        scheduler="trailing",
        aliases=("tcd", "TCDScheduler"),
        use="models distilled for it (TCD): 4 to 20 steps, guidance near 1",
        equals="diffusers TCDScheduler",
    ),
)  # fmt: skip
