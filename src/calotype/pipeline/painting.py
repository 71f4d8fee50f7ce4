"""Painting: what a pass begins with and keeps to, as latents."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from calotype.diffusion.guidance import towards_picture
from calotype.diffusion.masking import masked
from calotype.diffusion.noise import Noise
from calotype.diffusion.samplers import Denoiser
from calotype.imaging.canvas import Canvas, canvas
from calotype.imaging.inputs import Inputs
from calotype.imaging.pixels import to_image, to_pixels
from calotype.imaging.upscaling import enlarged
from calotype.model import Model
from calotype.pipeline.noise import noise_of
from calotype.pipeline.passes import Pass
from calotype.pipeline.tiles import Tiles
from calotype.text.conditions import Conditioning


@dataclass(frozen=True, eq=False)
class Painting:
    """One pass's picture: made from nothing, or out of another one, all of it or behind a mask."""

    model: Model
    pass_: Pass
    inputs: Inputs

    @cached_property
    def canvas(self) -> Canvas | None:
        """What is painted on; None where the picture comes from nothing."""
        picture = self.inputs.picture
        return None if picture is None else canvas(self.pass_, picture, self.inputs.mask)

    @cached_property
    def tiles(self) -> Tiles:
        """The model's networks."""
        return Tiles(self.model, self.pass_)

    @cached_property
    def noise(self) -> Noise:
        """All the randomness of the pass."""
        return noise_of(self.model, self.pass_)

    @cached_property
    def known(self) -> Float[Tensor, "1 c h w"]:
        """The canvas's picture as a latent."""
        assert self.canvas is not None
        return self._encode(self.canvas.image)

    @cached_property
    def mask(self) -> Float[Tensor, "1 1 h w"]:
        """The canvas's mask over the latent: 1 where to paint, 0 where to keep."""
        assert self.canvas is not None and self.canvas.mask is not None
        soft = self.on_latent(self.canvas.mask, Image.Resampling.BOX)
        return (soft > 0.5).to(soft) if self.pass_.mask_round else soft

    @property
    def blends(self) -> bool:
        """Whether there is a mask that the network itself knows nothing of."""
        return self.canvas is not None and self.canvas.mask is not None and not self.model.config.purpose

    def on_latent(self, mask: Image.Image, resampling: Image.Resampling) -> Float[Tensor, "1 1 h w"]:
        """A mask of the pixels over the latent, from 0 to 1."""
        width, height = (side // self.model.config.vae.downscale for side in self.pass_.size)
        return to_pixels(mask.resize((width, height), resampling)).to(self.model.device) / 2 + 0.5

    def start(self, sigma: float) -> Float[Tensor, "1 c h w"] | None:
        """The picture's latent, or what a mask leaves of it, with noise of level ``sigma``; None for noise alone."""
        if self.canvas is None:
            return None
        pure = self.model.edits or (self.canvas.mask and self.pass_.strength_convention == "diffusers")
        if self.pass_.denoising_strength == 1 and pure:
            return self._noised(self.known * (1 - self.mask), sigma) if self.blends else None
        latent = self.known
        if self.canvas.mask and self.pass_.inpainting_fill.startswith("latent"):
            fill = self.noise.normal(0) if self.pass_.inpainting_fill == "latent noise" else torch.zeros_like(latent)
            latent = latent.lerp(fill, self.mask)
        return self._noised(latent, sigma)

    def enlarge(self, latent: Float[Tensor, "1 c h w"], sigma: float) -> Float[Tensor, "1 c h2 w2"]:
        """What the pass before ended with, at this one's size, with noise of level ``sigma``."""
        pass_, scale = self.pass_, self.model.config.vae.downscale
        larger = enlarged(latent, pass_.size, pass_.hr_upscaler, self.decode, self._encode, scale)
        return self._noised(larger, sigma)

    def held_to_picture(self, denoiser: Denoiser, negative: Conditioning) -> Denoiser:
        """The denoiser, wrapped so that the result keeps to the picture.

        Outside the mask exactly, or as strongly as `image_cfg_scale` asks of an editing model.
        """
        if self.model.edits and negative.channels is not None:
            nothing = replace(negative, channels=torch.zeros_like(negative.channels))
            return towards_picture(denoiser, self.tiles.predict, nothing, self.pass_.image_cfg_scale)
        return masked(denoiser, self.mask, self.known) if self.blends else denoiser

    def pasted(self, latent: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 c h w"]:
        """The pass's last latent with what is outside the mask as it was, without any noise that is left."""
        return self.known.lerp(latent, self.mask) if self.blends else latent

    def decode(self, latent: Float[Tensor, "1 c h w"]) -> Image.Image:
        """A latent as a picture. Raises CalotypeError for one that is no picture."""
        return to_image(self.tiles.decode(latent))

    def _encode(self, image: Image.Image) -> Float[Tensor, "1 c h w"]:
        return self.tiles.encode(to_pixels(image))

    def _noised(self, latent: Float[Tensor, "1 c h w"], sigma: float) -> Float[Tensor, "1 c h w"]:
        """The first draw of noise added."""
        return latent + self.noise.normal(0) * sigma if sigma else latent
