"""Tiles: the networks as a pass asks them, tile by tile where the recipe says so."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from calotype.diffusion.windows import Window, blended, windowed, windows
from calotype.errors import CalotypeError
from calotype.model import Model
from calotype.pipeline.passes import Pass
from calotype.text.conditions import Conditioning


@dataclass(frozen=True, eq=False)
class Tiles:
    """A model whose U-Net, and with `vae_tiling` whose autoencoder, sees no more than a tile of the pass at once."""

    model: Model
    pass_: Pass

    def predict(
        self, x: Float[Tensor, "1 c h w"], sigma: float, conditions: Sequence[Conditioning]
    ) -> list[Float[Tensor, "1 c h w"]]:
        """`Model.predict`."""
        if self.pass_.tile_size is None:
            return self.model.predict(x, sigma, conditions)
        return windowed(self.model.predict, _cropped, *self._sides)(x, sigma, conditions)

    def encode(self, pixels: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "1 c h8 w8"]:
        """`Model.encode`."""
        if not self.pass_.vae_tiling:
            return self.model.encode(pixels)
        scale = self.model.config.vae.downscale
        tiles = windows(pixels.shape[-2] // scale, pixels.shape[-1] // scale, *self._sides)
        return blended(lambda tile: self.model.encode(tile.times(scale).of(pixels)), tiles)

    def decode(self, latent: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 3 h8 w8"]:
        """`Model.decode`. Raises CalotypeError where no picture comes of it."""
        pixels = self._decode(latent)
        if not pixels.isfinite().all():
            raise CalotypeError(
                "the autoencoder's numbers grew past all bounds as it decoded the picture: choose another one with "
                "--vae (in Python: load's vae), or fetch the model again."
            )
        return pixels

    def _decode(self, latent: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 3 h8 w8"]:
        if not self.pass_.vae_tiling:
            return self.model.decode(latent)
        height, width = latent.shape[-2:]
        tiles = windows(height, width, *self._sides)
        return blended(lambda tile: self.model.decode(tile.of(latent)), tiles, self.model.config.vae.downscale)

    @property
    def _sides(self) -> tuple[int, int]:
        """A tile's side and its overlap, in latent pixels."""
        scale = self.model.config.vae.downscale
        return (self.pass_.tile_size or 0) // scale, self.pass_.tile_overlap // scale


def _cropped(condition: Conditioning, window: Window) -> Conditioning:
    """The condition of one tile: of what a U-Net sees beside the noisy latent, what lies in it."""
    shown = condition.channels
    return condition if shown is None else replace(condition, channels=window.of(shown))
