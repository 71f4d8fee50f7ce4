"""Gradient estimation (arXiv 2306.04848): Euler's steps along a slope that is corrected by how it has changed."""

from functools import partial

from calotype.diffusion.noise import Noise
from calotype.diffusion.samplers.state import Denoiser, Plan, Sampler, SamplerState


def gradient_estimation(
    denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState, *, cfgpp: bool = False
) -> SamplerState:
    """Algorithm 2 of arXiv 2306.04848; gamma 1 is Euler, 1.5 of equal steps Adams-Bashforth of second order.

    With `cfgpp` the slope is that of the unconditional prediction (arXiv 2406.08070). A step to 0 is Euler's.
    """
    sigma, sigma_next = plan.interval(state)
    denoised = denoise(state.x, sigma)
    slope = (state.x - (denoised.unconditional if cfgpp else denoised.x0)) / sigma
    x = denoised.x0 + slope * sigma_next
    if sigma_next > 0 and "slope" in state.memory:
        x = x + (slope - state.memory["slope"]) * ((plan.options["gamma"] - 1) * (sigma_next - sigma))
    return state.after(x, denoised.x0, slope=slope)


ROWS = (
    Sampler(
        "Gradient estimation", gradient_estimation, "arXiv 2306.04848", order=1,
        aliases=("gradient_estimation", "euler_ge"),
        options={"gamma": 2.0}, scheduler="normal",
        use="Euler's cost, nearer to the exact solution: 10 to 30 steps",
        equals="ComfyUI sample_gradient_estimation",
    ),
    Sampler(
        "Gradient estimation CFG++", partial(gradient_estimation, cfgpp=True), "arXiv 2306.04848 and 2406.08070",
        order=1,
        aliases=("gradient_estimation_cfg_pp",),
        options={"gamma": 2.0}, scheduler="normal", reads_uncond=True,
        use="gradient estimation at a CFG++ scale: 0.5 to 2",
        equals="ComfyUI sample_gradient_estimation_cfg_pp",
    ),
)  # fmt: skip
