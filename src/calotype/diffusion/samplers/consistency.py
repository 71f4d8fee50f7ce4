"""Samplers for networks that were distilled to see the end of the way: a few steps, each to x0 and back up."""

from calotype.diffusion.noise import Noise
from calotype.diffusion.samplers.state import Denoiser, Plan, Sampler, SamplerState


def lcm(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """Algorithm 3 of arXiv 2310.04378: x0 with wholly new noise. (diffusers mixes up to 1e-5 of x into x0.)"""
    sigma, following = plan.interval(state)
    x0 = denoise(state.x, sigma).x0
    if following == 0:
        return state.after(x0, x0)
    return state.after(x0 + noise.normal(state.draws) * following, x0, draws=1)


ROWS = (
    Sampler(
        "LCM", lcm, "arXiv 2310.04378", order=1, noise="normal", scheduler="sgm_uniform",
        aliases=("k_lcm", "lcm", "LCMScheduler"),
        equals="A1111 and ComfyUI sample_lcm; diffusers LCMScheduler within 1e-4",
    ),
)  # fmt: skip
