"""Model: a whole Stable Diffusion in one value. It predicts, encodes and decodes; it knows no recipe."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from calotype.checkpoints.folder import load_networks, read_folder
from calotype.checkpoints.hashes import folder_hash
from calotype.configs import ModelConfig
from calotype.diffusion.parameterization import PARAMETERIZATIONS, Parameterization
from calotype.diffusion.schedules import Schedule
from calotype.errors import CalotypeError
from calotype.nn.clip import TextEncoder
from calotype.nn.unet import Added, UNet
from calotype.nn.vae import Autoencoder
from calotype.text.conditions import Conditions, encode_prompts
from calotype.text.language import A1111, Language
from calotype.text.tokenizer import Tokenizer

WORDS = "vocabulary.json"
"""The file beside model_index.json that lists, as JSON, the words a model of a small world was trained on."""


@dataclass(frozen=True, eq=False)
class Model:
    """The networks, what reads their prompts, and the schedule they were trained on."""

    config: ModelConfig
    tokenizers: tuple[Tokenizer, ...]
    text_encoders: tuple[TextEncoder, ...]
    unet: UNet
    vae: Autoencoder
    hash: str
    """sha256 of the files it came from."""
    words: frozenset[str] = frozenset()
    """The words it was trained on, in lower case; empty when they are not known."""

    @classmethod
    def read(cls, folder: Path, name: str | None = None, device: torch.device | str = "cpu") -> Self:
        """The model in a diffusers folder, in float32. Raises CalotypeError naming what is missing or damaged."""
        checkpoint = read_folder(folder)
        networks = load_networks(checkpoint, torch.float32, device)
        config = replace(checkpoint.config, name=name or checkpoint.config.name)
        lengths = (text.max_positions for text in config.text)
        return cls(
            config,
            tuple(Tokenizer.read(path, length) for path, length in zip(checkpoint.tokenizers, lengths, strict=True)),
            networks.text,
            networks.unet,
            networks.vae,
            folder_hash(folder),
            _read_words(folder / WORDS),
        )

    @cached_property
    def schedule(self) -> Schedule:
        """The noise levels it was trained on."""
        return Schedule.of(self.config.schedule)

    @property
    def parameterization(self) -> Parameterization:
        """What the U-Net's output means."""
        return PARAMETERIZATIONS[self.config.schedule.parameterization]

    @property
    def device(self) -> torch.device:
        """Where the U-Net is."""
        return self.unet.stem.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """What the U-Net computes in."""
        return self.unet.stem.weight.dtype

    def conditions(self, prompts: Sequence[str], clip_skip: int = 1, language: Language = A1111) -> list[Conditions]:
        """What the U-Net is told about each prompt; all of one length."""
        return encode_prompts(prompts, self.tokenizers, self.text_encoders, clip_skip, language)

    def predict(
        self, x: Float[Tensor, "1 c h w"], sigma: float, conditions: Sequence[Conditions]
    ) -> list[Float[Tensor, "1 c h w"]]:
        """The clean latent behind ``x`` = x0 + sigma * noise under each of the ``conditions``, in one batch."""
        count = len(conditions)
        inputs = self.parameterization.network_input(x, sigma).expand(count, -1, -1, -1)
        time = self.schedule.t(sigma).to(x).expand(count)
        context = torch.cat([each.context for each in conditions])
        outputs = self.unet(inputs, time, context, self._added(x, conditions))
        return [self.parameterization.to_x0(x, sigma, output) for output in outputs.split(1)]

    def encode(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c h8 w8"]:
        """The likeliest latents of pictures in [-1, 1], in the U-Net's scale."""
        return self.vae.encode(images.to(self.device, self.dtype)).mode * self.config.vae.scaling_factor

    def decode(self, latents: Float[Tensor, "b c h8 w8"]) -> Float[Tensor, "b 3 h w"]:
        """The pictures of latents in the U-Net's scale, about [-1, 1], not clamped."""
        return self.vae.decode(latents / self.config.vae.scaling_factor)

    def _added(self, x: Tensor, conditions: Sequence[Conditions]) -> Added | None:
        if self.config.unet.added_dim is None:
            return None
        height, width = (side * self.config.vae.downscale for side in x.shape[-2:])
        sizes = x.new_tensor([[height, width, 0, 0, height, width]]).expand(len(conditions), -1)
        return Added(torch.cat([each.pooled for each in conditions]), sizes)


def _read_words(path: Path) -> frozenset[str]:
    if not path.exists():
        return frozenset()
    try:
        return frozenset(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise CalotypeError(f"{path} is damaged: it should be a JSON list of words. Fetch the model again.") from error
