"""All the randomness of a pass, as one source."""

from calotype.diffusion.noise import NOISES, Delayed, Noise
from calotype.diffusion.variation import Centred, Variation
from calotype.model import Model
from calotype.pipeline.passes import Pass


def noise_of(model: Model, pass_: Pass) -> Noise:
    """The noise of a pass, in the shape of its latent (1, c, h, w): its seed's, changed as the recipe asks."""
    vae = model.config.vae

    def seeded(seed: int, size: tuple[int, int]) -> Noise:
        width, height = (side // vae.downscale for side in size)
        return NOISES[pass_.rng](seed, (1, vae.latent_channels, height, width), model.device)

    def varied(size: tuple[int, int]) -> Noise:
        noise = seeded(pass_.seed, size)
        if not pass_.subseed_strength:
            return noise
        return Variation(noise, seeded(pass_.subseed, size), pass_.subseed_strength)

    if pass_.seed_resize_from_w and pass_.seed_resize_from_h:
        middle = varied((pass_.seed_resize_from_w, pass_.seed_resize_from_h))
        noise: Noise = Centred(seeded(pass_.seed, pass_.size), middle)
    else:
        noise = varied(pass_.size)
    if pass_.eta_noise_seed_delta:
        return Delayed(noise, seeded((pass_.seed + pass_.eta_noise_seed_delta) % 2**64, pass_.size))
    return noise
