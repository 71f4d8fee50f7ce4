"""CFG++ (arXiv 2406.08070): guidance decides where to go, the prediction without the prompt how to get there.

Without guidance each is the sampler it is named after, save DPM++ 2S a CFG++.
"""

import math

from calotype.diffusion.noise import Noise
from calotype.diffusion.samplers.moves import SDE, add_noise, ancestral, euler_step
from calotype.diffusion.samplers.state import Denoiser, Plan, Sampler, SamplerState


def euler_cfgpp(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """Algorithm 2 of arXiv 2406.08070: DDIM whose noise is that of the unconditional prediction; any eta."""
    sigma, sigma_next = plan.interval(state)
    denoised = denoise(state.x, sigma)
    down, up = ancestral(sigma, sigma_next, plan.options["eta"])
    x = denoised.x0 + (state.x - denoised.unconditional) * (down / sigma)
    x, draws = add_noise(x, up, plan, noise, state.draws)
    return state.after(x, denoised.x0, draws)


def dpmpp_2m_cfgpp(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """DPM++ 2M as ComfyUI joins it with CFG++: its slope leads from an unconditional prediction to a guided one."""
    sigma, sigma_next = plan.interval(state)
    denoised = denoise(state.x, sigma)
    x = denoised.x0 + (state.x - denoised.unconditional) * (sigma_next / sigma)
    if sigma_next > 0 and "previous" in state.memory:
        before, _ = plan.intervals[state.index - 1]
        ratio = math.log(before / sigma) / math.log(sigma / sigma_next)
        x = x + (denoised.x0 - state.memory["previous"]) * ((1 - sigma_next / sigma) / (2 * ratio))
    return state.after(x, denoised.x0, previous=denoised.unconditional)


def dpmpp_2s_ancestral_cfgpp(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """DPM++ 2S a as ComfyUI joins it with CFG++: x moves to have the latest unconditional noise around the guided x0.

    In the second half of a step that is the noise seen in the middle, around the x0 seen at the beginning: a slip by
    what x0 changes in between, which does not vanish with more steps.
    """
    sigma, sigma_next = plan.interval(state)
    first = denoise(state.x, sigma)
    down, up = ancestral(sigma, sigma_next, plan.options["eta"])
    if down == 0:
        return state.after(first.x0, first.x0)
    middle = math.sqrt(sigma * down)
    second = denoise(euler_step(first.x0, state.x + (first.x0 - first.unconditional), middle / sigma), middle)
    x = euler_step(second.x0, state.x + (first.x0 - second.unconditional), down / sigma)
    x, draws = add_noise(x, up, plan, noise, state.draws)
    return state.after(x, first.x0, draws)


ROWS = (
    Sampler(
        "DDIM CFG++", euler_cfgpp, "arXiv 2406.08070", order=1, options={"eta": 0.0}, variance_preserving=True,
        reads_uncond=True, scale_divisor=12.5,
        aliases=("ddim_cfgpp",),
        use="natural colours: guidance that stays on the manifold of pictures",
        equals="A1111 ddim_cfgpp (which divides the scale by 12.5)",
    ),
    Sampler(
        "Euler CFG++", euler_cfgpp, "arXiv 2406.08070", order=1, options={"eta": 0.0}, reads_uncond=True,
        aliases=("euler_cfg_pp",),
        scheduler="normal",
        use="as DDIM CFG++, with the scale as it is: 0.5 to 2",
        equals="ComfyUI sample_euler_cfg_pp",
    ),
    Sampler(
        "Euler a CFG++", euler_cfgpp, "arXiv 2406.08070", order=1, options=SDE, noise="normal",
        aliases=("euler_ancestral_cfg_pp", "euler_a_cfg_pp"), reads_uncond=True,
        scheduler="normal",
        use="Euler a at a CFG++ scale: 0.5 to 2",
        equals="ComfyUI sample_euler_ancestral_cfg_pp",
    ),
    Sampler(
        "DPM++ 2M CFG++", dpmpp_2m_cfgpp, "arXiv 2211.01095 and 2406.08070", order=2, reads_uncond=True,
        aliases=("dpmpp_2m_cfg_pp",),
        scheduler="karras",
        use="DPM++ 2M at a CFG++ scale: 0.5 to 2",
        equals="ComfyUI sample_dpmpp_2m_cfg_pp",
    ),
    Sampler(
        "DPM++ 2S a CFG++", dpmpp_2s_ancestral_cfgpp, "arXiv 2211.01095 and 2406.08070", order=0,
        calls=lambda steps: 2 * steps - 1, noise="normal", options=SDE, reads_uncond=True,
        aliases=("dpmpp_2s_ancestral_cfg_pp",),
        scheduler="karras",
        use="equality with ComfyUI; it does not converge, even without guidance",
        equals="ComfyUI sample_dpmpp_2s_ancestral_cfg_pp",
    ),
)  # fmt: skip
