"""What a pass begins with and paints on: pictures as latents."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from calotype.diffusion.guidance import Predict, towards_picture
from calotype.diffusion.masking import masked
from calotype.diffusion.noise import NOISES, Delayed, Noise
from calotype.diffusion.samplers import Denoiser
from calotype.diffusion.variation import Centred, Variation
from calotype.diffusion.windows import Window, blended, windowed, windows
from calotype.errors import CalotypeError
from calotype.imaging.canvas import Canvas, canvas
from calotype.imaging.inputs import Inputs
from calotype.imaging.pixels import to_image, to_pixels
from calotype.imaging.upscaling import enlarged
from calotype.model import Model
from calotype.pipeline.passes import Pass
from calotype.text.conditions import Conditions


@dataclass(frozen=True, eq=False)
class Scene:
    """One pass's place: size, noise, and the picture it changes, if any."""

    model: Model
    part: Pass
    inputs: Inputs

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        assert self.part.width is not None and self.part.height is not None, "the recipe is settled"
        return self.part.width, self.part.height

    @cached_property
    def canvas(self) -> Canvas | None:
        """What is painted on; None where the picture comes from nothing."""
        picture = self.inputs.picture
        return None if picture is None else canvas(self.part, picture, self.inputs.mask)

    def check(self) -> None:
        """Raise CalotypeError for pictures that cannot be read or that the model cannot do without, and thin masks."""
        extra, latents = self.model.extra_channels, self.model.config.vae.latent_channels
        if self.canvas is None and self.model.edits:
            raise CalotypeError(f"the model {self.model.config.name} edits pictures: give it one with init_image.")
        if extra not in (0, latents, latents + 1):
            raise CalotypeError(
                f"the model {self.model.config.name} draws from depth maps (depth2img), which Calotype has none of: "
                "choose another model."
            )
        if self.canvas and self.canvas.mask and not self.model.edits and not self._painted.any():
            side, softer = self.model.config.vae.downscale, self._blends and self.part.mask_round
            raise CalotypeError(
                f"the mask is too thin to paint anything: of each {side}x{side} pixels, one number of the latent, it "
                f"covers too little. Make it thicker{', use --no-mask-round' if softer else ''} or lower --mask-blur."
            )

    @cached_property
    def noise(self) -> Noise:
        """All the randomness of the pass."""
        part, shape = self.part, self._latent_shape
        noise: Noise = self._noise(part.seed, shape)
        if part.seed_resize_from_w and part.seed_resize_from_h:
            scale = self.model.config.vae.downscale
            small = (*shape[:2], part.seed_resize_from_h // scale, part.seed_resize_from_w // scale)
            noise = Centred(noise, self._varied(small))
        else:
            noise = self._varied(shape)
        if part.eta_noise_seed_delta:
            return Delayed(noise, self._noise((part.seed + part.eta_noise_seed_delta) % 2**64, shape))
        return noise

    @cached_property
    def known(self) -> Float[Tensor, "1 c h w"]:
        """The canvas's picture as a latent."""
        assert self.canvas is not None
        return self.encode(self.canvas.image)

    @cached_property
    def mask(self) -> Float[Tensor, "1 1 h w"]:
        """The canvas's mask over the latent: 1 where to paint, 0 where to keep."""
        assert self.canvas is not None and self.canvas.mask is not None
        soft = self._on_latent(self.canvas.mask, Image.Resampling.BOX)
        return (soft > 0.5).to(soft) if self.part.mask_round else soft

    def start(self, sigma: float) -> Float[Tensor, "1 c h w"] | None:
        """The picture's latent, or what a mask leaves of it, with noise of level ``sigma``; None for noise alone."""
        if self.canvas is None:
            return None
        pure = self.model.edits or (self.canvas.mask and self.part.strength_convention == "diffusers")
        if self.part.denoising_strength == 1 and pure:
            return self.noised(self.known * (1 - self.mask), sigma) if self._blends else None
        latent = self.known
        if self.canvas.mask and self.part.inpainting_fill.startswith("latent"):
            fill = self.noise.normal(0) if self.part.inpainting_fill == "latent noise" else torch.zeros_like(latent)
            latent = latent.lerp(fill, self.mask)
        return self.noised(latent, sigma)

    def enlarge(self, latent: Float[Tensor, "1 c h w"], sigma: float) -> Float[Tensor, "1 c h2 w2"]:
        """What the pass before ended with, at this one's size, with noise of level ``sigma``."""
        scale = self.model.config.vae.downscale
        larger = enlarged(
            latent, self.size, self.part.hr_upscaler, lambda x: to_image(self.decode(x)), self.encode, scale
        )
        return self.noised(larger, sigma)

    def noised(self, latent: Float[Tensor, "1 c h w"], sigma: float) -> Float[Tensor, "1 c h w"]:
        """The first draw of noise added."""
        return latent + self.noise.normal(0) * sigma if sigma else latent

    def shown(self, condition: Conditions, negative: bool = False) -> Conditions:
        """The condition of a U-Net that also sees the picture, or what the mask leaves of it, or is told sizes."""
        return replace(condition, channels=self._channels, micro_conditions=self._micro_conditions(negative))

    def predict(self) -> Predict[Conditions]:
        """The model's prediction, asked tile by tile where the recipe says so."""
        if self.part.tile_size is None:
            return self.model.predict

        def crop(condition: Conditions, window: Window) -> Conditions:
            shown = condition.channels
            return condition if shown is None else replace(condition, channels=window.of(shown))

        return windowed(self.model.predict, crop, *self._tile)

    def behind(self, denoiser: Denoiser, predict: Predict[Conditions], negative: Conditions) -> Denoiser:
        """The denoiser that keeps to the picture: as strongly as an editing model is told, or outside the mask."""
        if self.model.edits and negative.channels is not None:
            nothing = replace(negative, channels=torch.zeros_like(negative.channels))
            return towards_picture(denoiser, predict, nothing, self.part.image_cfg_scale)
        return masked(denoiser, self.mask, self.known) if self._blends else denoiser

    def kept(self, latent: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 c h w"]:
        """The pass's last latent with what is outside the mask as it was, without any noise that is left."""
        return self.known.lerp(latent, self.mask) if self._blends else latent

    def encode(self, image: Image.Image) -> Float[Tensor, "1 c h w"]:
        """A picture as a latent, in tiles where the recipe says so."""
        return self._encode(to_pixels(image))

    def decode(self, latent: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 3 h8 w8"]:
        """A latent as a picture, in tiles where the recipe says so. Raises CalotypeError for one that is no picture."""
        pixels = self._decode(latent)
        if not pixels.isfinite().all():
            raise CalotypeError(
                "the autoencoder's numbers grew past all bounds as it decoded the picture: choose another one with "
                "--vae (in Python: load's vae), or fetch the model again."
            )
        return pixels

    def _decode(self, latent: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 3 h8 w8"]:
        if not self.part.vae_tiling:
            return self.model.decode(latent)
        height, width = latent.shape[-2:]
        parts = windows(height, width, *self._tile)
        return blended(lambda window: self.model.decode(window.of(latent)), parts, self.model.config.vae.downscale)

    def _encode(self, pixels: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "1 c h8 w8"]:
        if not self.part.vae_tiling:
            return self.model.encode(pixels)
        scale = self.model.config.vae.downscale
        parts = windows(pixels.shape[-2] // scale, pixels.shape[-1] // scale, *self._tile)
        return blended(lambda window: self.model.encode(window.times(scale).of(pixels)), parts)

    @cached_property
    def _channels(self) -> Float[Tensor, "1 k h w"] | None:
        if not self.model.extra_channels:
            return None
        if self.model.edits:
            return self.known / self.model.config.vae.scaling_factor  # arXiv 2211.09800's code leaves it out
        picture = self.canvas.image if self.canvas else Image.new("RGB", self.size)
        left = self._encode(to_pixels(picture) * (to_pixels(self._hole) < 0))  # 0, a middle grey, is the unknown
        return torch.cat([self._on_latent(self._hole, Image.Resampling.NEAREST), left], dim=1)

    @cached_property
    def _hole(self) -> Image.Image:
        """What a U-Net that was made for masks is to paint: white, and black elsewhere; without a mask everything."""
        hole = self.canvas.mask if self.canvas and self.canvas.mask else Image.new("L", self.size, 255)
        return hole.point(lambda level: 255 if level > 127 else 0)

    def _on_latent(self, mask: Image.Image, resampling: Image.Resampling) -> Float[Tensor, "1 1 h w"]:
        """A mask of the pixels over the latent, from 0 to 1."""
        return to_pixels(mask.resize(self._latent_shape[:1:-1], resampling)).to(self.model.device) / 2 + 0.5

    @property
    def _painted(self) -> Float[Tensor, "1 1 h w"]:
        """The mask that counts: the blend's, or the one that the U-Net is shown."""
        return self.mask if self._blends else self._on_latent(self._hole, Image.Resampling.NEAREST)

    def _micro_conditions(self, negative: bool) -> Float[Tensor, "1 s"] | None:
        if self.model.config.unet.added_dim is None:
            return None
        part = self.part
        width, height = (min(side, part.tile_size or side) for side in self.size)

        def told(name: str, own: int) -> int:
            """What is said of this prompt, else of the picture; else the picture's own."""
            said = getattr(part, f"negative_{name}") if negative else None
            return next(pixels for pixels in (said, getattr(part, name), own) if pixels is not None)

        original = told("original_height", height), told("original_width", width)
        target = told("target_height", height), told("target_width", width)
        score = part.negative_aesthetic_score if negative else part.aesthetic_score
        return self.model.micro_conditions(original, (part.crop_top, part.crop_left), target, score)

    @property
    def _blends(self) -> bool:
        """Whether there is a mask that the network itself knows nothing of."""
        return self.canvas is not None and self.canvas.mask is not None and not self.model.extra_channels

    @property
    def _tile(self) -> tuple[int, int]:
        scale = self.model.config.vae.downscale
        return (self.part.tile_size or 0) // scale, self.part.tile_overlap // scale

    @property
    def _latent_shape(self) -> tuple[int, int, int, int]:
        width, height = self.size
        scale = self.model.config.vae.downscale
        return (1, self.model.config.vae.latent_channels, height // scale, width // scale)

    def _varied(self, shape: tuple[int, ...]) -> Noise:
        noise = self._noise(self.part.seed, shape)
        if not self.part.subseed_strength:
            return noise
        return Variation(noise, self._noise(self.part.subseed, shape), self.part.subseed_strength)

    def _noise(self, seed: int, shape: tuple[int, ...]) -> Noise:
        return NOISES[self.part.rng](seed, shape, self.model.device)
