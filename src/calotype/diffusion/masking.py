"""Painting behind a mask with a network that knows of none."""

from jaxtyping import Float
from torch import Tensor

from calotype.diffusion.samplers.state import Denoised, Denoiser


def masked(denoise: Denoiser, mask: Float[Tensor, "1 1 h w"], known: Float[Tensor, "b c h w"]) -> Denoiser:
    """What `denoise` sees where `mask` is 1, and the `known` latent where it is 0 (arXiv 2201.09865, 4.1).

    A deterministic sampler then leads from known + sigma * noise along known + sigma' * noise, which other programs
    paste after each step.
    """

    def behind_mask(x: Tensor, sigma: float) -> Denoised:
        denoised = denoise(x, sigma)
        uncond = None if denoised.uncond is None else known.lerp(denoised.uncond, mask)
        return Denoised(known.lerp(denoised.x0, mask), uncond)

    return behind_mask
