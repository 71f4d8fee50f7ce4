"""The towers of contrastive training: a model's text encoder, and the image tower that learned beside it."""

import torch

from calotype.api import Studio
from calotype.configs import EMBEDDED, ImageConfig
from calotype.errors import CalotypeError
from calotype.training import product
from calotype.training.clip import Contrastive

CLIP_RUN = "embedded-clip"
"""The run in the cache that has the image tower: models come without one."""


def towers(studio: Studio) -> Contrastive:
    """The model's text encoder beside the image tower of the cache that was trained with it.

    Raises CalotypeError where the cache has none, or one of another text encoder: by these a model would be misjudged.
    """
    none = f"run {CLIP_RUN!r} of the cache holds no image tower that learned beside this model's text encoder."
    if studio.config.text != EMBEDDED.text:
        raise CalotypeError(none)
    found, own = Contrastive(EMBEDDED.text[0], ImageConfig()), studio.text_encoders[0].state_dict()
    try:
        product.load(CLIP_RUN, found)
    except CalotypeError as error:  # which says to train it; that would make another text encoder
        raise CalotypeError(none) from error
    # Models are exported in float16.
    if not all(torch.equal(value.half(), own[name].half()) for name, value in found.text.state_dict().items()):
        raise CalotypeError(none)
    found.text.load_state_dict(own)
    return found
