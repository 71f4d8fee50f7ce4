"""CFG++ (arXiv 2406.08070): guidance decides where to go, the prediction without the prompt how to get there."""

from calotype.diffusion.noise import Noise
from calotype.diffusion.samplers.state import Denoiser, Plan, Sampler, SamplerState


def ddim_cfgpp(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """Algorithm 2 of arXiv 2406.08070: DDIM whose noise is that of the unconditional prediction."""
    sigma, following = plan.interval(state)
    denoised = denoise(state.x, sigma)
    without = denoised.x0 if denoised.uncond is None else denoised.uncond
    return state.after(denoised.x0 + (state.x - without) * (following / sigma), denoised.x0)


ROWS = (
    Sampler(
        "DDIM CFG++", ddim_cfgpp, "arXiv 2406.08070", order=1, variance_preserving=True,
        aliases=("ddim_cfgpp",),
        use="natural colours: guidance that stays on the manifold of pictures",
        equals="A1111 ddim_cfgpp (which divides the scale by 12.5)",
    ),
)  # fmt: skip
