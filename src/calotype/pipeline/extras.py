"""What the U-Nets of some models are told beside the words: a picture, a mask, SDXL's micro-conditioning."""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from calotype.diffusion.driver import Moment
from calotype.imaging.pixels import to_pixels
from calotype.model import Model
from calotype.pipeline.painting import Painting
from calotype.pipeline.passes import Pass
from calotype.pipeline.words import PassConditions


def with_extras(
    conditions_at: Callable[[Moment], PassConditions], painting: Painting
) -> Callable[[Moment], PassConditions]:
    """The conditions of each moment, with the extra channels and the micro-conditioning that the U-Net takes."""
    channels = _channels(painting)
    told, told_negative = (_micro_conditions(painting.model, painting.pass_, negative) for negative in (False, True))

    def with_them(moment: Moment) -> PassConditions:
        positives, negative = conditions_at(moment)
        return (
            [(replace(each, channels=channels, micro_conditions=told), weight) for each, weight in positives],
            replace(negative, channels=channels, micro_conditions=told_negative),
        )

    return with_them


def shown_mask(painting: Painting) -> Float[Tensor, "1 1 h w"]:
    """What a U-Net that was made for masks is told to paint, over the latent: 1, and 0 elsewhere."""
    return painting.on_latent(_hole(painting), Image.Resampling.NEAREST)


def _hole(painting: Painting) -> Image.Image:
    """The same in pixels: white, and black elsewhere; without a mask everything is to be painted."""
    canvas, size = painting.canvas, painting.pass_.size
    hole = canvas.mask if canvas and canvas.mask else Image.new("L", size, 255)
    return hole.point(lambda level: 255 if level > 127 else 0)


def _channels(painting: Painting) -> Float[Tensor, "1 k h w"] | None:
    """The picture of an editing model; of one for masks the mask, and what it leaves of the picture."""
    model, canvas = painting.model, painting.canvas
    if not model.config.purpose:
        return None
    if model.edits:
        return painting.known / model.config.vae.scaling_factor  # arXiv 2211.09800's code leaves it out
    picture = canvas.image if canvas else Image.new("RGB", painting.pass_.size)
    left = to_pixels(picture) * (to_pixels(_hole(painting)) < 0)  # 0, a middle grey, is the unknown
    return torch.cat([shown_mask(painting), painting.tiles.encode(left)], dim=1)


def _micro_conditions(model: Model, pass_: Pass, negative: bool) -> Float[Tensor, "1 s"] | None:
    """What SDXL is told of the picture's size, by the prompt or by the ``negative`` one."""
    if not model.config.family.startswith("SDXL"):
        return None
    width, height = (min(side, pass_.tile_size or side) for side in pass_.size)

    def told(name: str, own: int) -> int:
        """What is said of this prompt, else of the picture; else the picture's own."""
        said = getattr(pass_, f"negative_{name}") if negative else None
        return next(pixels for pixels in (said, getattr(pass_, name), own) if pixels is not None)

    original = told("original_height", height), told("original_width", width)
    target = told("target_height", height), told("target_width", width)
    score = pass_.negative_aesthetic_score if negative else pass_.aesthetic_score
    return model.micro_conditions(original, (pass_.crop_top, pass_.crop_left), target, score)
