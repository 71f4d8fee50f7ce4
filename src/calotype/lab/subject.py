"""Subject: what is evaluated, as far as it exists. A model is measured in parts before it is whole."""

from dataclasses import dataclass
from pathlib import Path

from calotype import api
from calotype.configs import EMBEDDED, ImageConfig
from calotype.errors import CalotypeError
from calotype.nn.vae import Autoencoder
from calotype.text.tokenizer import Tokenizer
from calotype.training import state
from calotype.training.clip import Contrastive

VAE_RUN, CLIP_RUN, TOKENIZER_RUN = "embedded-vae", "embedded-clip", "embedded-tokenizer"
"""The runs in the cache that stand in for what is not exported yet; the image tower never is."""


@dataclass(frozen=True)
class Subject:
    """A whole model, its autoencoder, and both towers of contrastive training; what is missing is the reason why."""

    studio: api.Studio | str
    vae: Autoencoder | str
    towers: tuple[Contrastive, Tokenizer] | str

    @property
    def name(self) -> str:
        """The model's name and the beginning of its hash."""
        return (
            "unfinished model" if isinstance(self.studio, str) else f"{self.studio.config.name} {self.studio.hash[:10]}"
        )


def subject(folder: Path | None) -> Subject:
    """The model in a diffusers folder, or the embedded one with the trained runs of the cache for what it lacks.

    Raises CalotypeError when a given folder holds no model.
    """
    studio: api.Studio | str
    try:
        studio = api.load(folder)
    except CalotypeError as error:
        if folder is not None:
            raise
        studio = str(error)
    return Subject(studio, _vae() if isinstance(studio, str) else studio.vae.eval(), _towers(studio))


def _vae() -> Autoencoder | str:
    vae = Autoencoder(EMBEDDED.vae)
    try:
        state.load_product(VAE_RUN, vae)
    except CalotypeError as error:
        return str(error)
    return vae.eval()


def _towers(studio: api.Studio | str) -> tuple[Contrastive, Tokenizer] | str:
    """The towers as trained together, the text tower being the model's own where there is a model."""
    text = EMBEDDED.text[0]
    towers = Contrastive(text, ImageConfig())
    try:
        state.load_product(CLIP_RUN, towers)
        if isinstance(studio, str):
            return towers.eval(), Tokenizer.read(state.folder(TOKENIZER_RUN), text.max_positions)
    except CalotypeError as error:
        return str(error)
    if studio.config.text != EMBEDDED.text:
        return "the image tower in the cache belongs to the embedded model's text encoder, not to this one."
    towers.text.load_state_dict(studio.text_encoders[0].state_dict())
    return towers.eval(), studio.tokenizers[0]
