"""The towers of contrastive training: a model's text encoder, and the image tower that learned beside it."""

import torch

from calotype.api import Studio
from calotype.configs import EMBEDDED, ImageConfig
from calotype.errors import CalotypeError
from calotype.training import state
from calotype.training.clip import Contrastive

CLIP_RUN = "embedded-clip"
"""The run in the cache that has the image tower: models come without one."""


def towers(studio: Studio) -> Contrastive:
    """The model's text encoder beside the image tower of the cache that was trained with it.

    Raises CalotypeError where the cache has none, or one of another text encoder: by these a model would be misjudged.
    """
    other = f"run {CLIP_RUN!r} in the cache has the image tower of another text encoder than this model's."
    if studio.config.text != EMBEDDED.text:
        raise CalotypeError(other)
    found, own = Contrastive(EMBEDDED.text[0], ImageConfig()), studio.text_encoders[0].state_dict()
    state.load_product(CLIP_RUN, found)
    # Models are exported in float16.
    if not all(torch.equal(value.half(), own[name].half()) for name, value in found.text.state_dict().items()):
        raise CalotypeError(other)
    found.text.load_state_dict(own)
    return found
