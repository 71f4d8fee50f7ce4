"""Previews: a latent's channels are nearly colours, and a straight line from one to the other shows the picture.

Found by keturn (https://discuss.huggingface.co/t/decoding-latents-to-rgb-without-upscaling/23204), whose factors for
SD 1 other programs have as a table; here they are fitted, so that any model's autoencoder has its own.
"""

from contextlib import suppress

import torch
from jaxtyping import Float
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from calotype.errors import CalotypeError
from calotype.files import cache_dir, written_whole
from calotype.imaging.pixels import to_image
from calotype.model import Model

_PICTURES, _PATCHES = 32, 4
"""Pictures that the fit sees, and patches along a side of each: 512 colours, for a handful of factors."""


def preview(model: Model, latent: Float[Tensor, "1 c h w"]) -> Image.Image:
    """About what ``latent`` decodes to, in the decoded picture's size."""
    colours = _with_one(latent) @ latent_rgb(model).to(latent)
    height, width = (side * model.config.vae.downscale for side in latent.shape[-2:])
    return to_image(colours.T.reshape(1, 3, *latent.shape[-2:])).resize((width, height), Image.Resampling.BILINEAR)


@torch.inference_mode()
def decoded(model: Model, latent: Float[Tensor, "1 c h w"]) -> Image.Image:
    """What ``latent`` decodes to."""
    return to_image(model.decode(latent))


@torch.inference_mode()
def latent_rgb(model: Model) -> Float[Tensor, "c_plus_1 3"]:
    """How much of each colour a latent's channels and a constant give: fitted once per model, then read from the cache.

    Where there is no place for a cache, it is fitted each time, and so is that of a model that no file tells apart.
    """
    if not model.files:
        return _fitted(model)
    name = f"{model.hash}.safetensors"
    try:
        cached: Tensor = load_file(cache_dir("previews") / name)["latent_rgb"]
    except (OSError, SafetensorError, KeyError, CalotypeError):  # not there yet, or damaged, or no place for it
        factors = _fitted(model)
        with suppress(CalotypeError), written_whole(cache_dir("previews") / name) as temporary:
            save_file({"latent_rgb": factors}, temporary)
        return factors
    return cached


def _fitted(model: Model) -> Float[Tensor, "c_plus_1 3"]:
    """By least squares, over patches of random colours that the model's own encoder has encoded."""
    generator = torch.Generator().manual_seed(0)
    patches = torch.rand((_PICTURES, 3, _PATCHES, _PATCHES), generator=generator) * 2 - 1
    side = model.config.vae.sample_size
    pictures = torch.nn.functional.interpolate(patches, (side, side), mode="bilinear")
    latents = torch.cat([model.encode(picture[None]) for picture in pictures])
    colours = torch.nn.functional.adaptive_avg_pool2d(pictures, (latents.shape[-2], latents.shape[-1]))
    flat = torch.cat([_with_one(latent[None]) for latent in latents]).cpu().double()
    wanted = torch.cat([colour.flatten(1).T for colour in colours]).double()
    factors: Tensor = torch.linalg.lstsq(flat, wanted).solution.float().contiguous()
    return factors


def _with_one(latent: Float[Tensor, "1 c h w"]) -> Float[Tensor, "hw c_plus_1"]:
    pixels = latent[0].flatten(1).T
    return torch.cat([pixels, torch.ones_like(pixels[:, :1])], dim=1)
