"""Checkpoint: a model on disk, in whatever layout: what it is, and where each parameter lies. Nothing is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from calotype.checkpoints.keys import Names
from calotype.checkpoints.settings import encoder_folders
from calotype.checkpoints.shapes import resized
from calotype.checkpoints.stored import Weights
from calotype.configs import ModelConfig, PredictionType
from calotype.errors import CalotypeError


@dataclass(frozen=True)
class Source:
    """Where one network's parameters lie: the tensors by the file's names, and the table of ours to those."""

    path: Path
    names: Names
    weights: Weights


@dataclass(frozen=True)
class Checkpoint:
    """A model on disk."""

    path: Path
    format: str
    config: ModelConfig
    text: tuple[Source, ...]
    vae: Source
    unet: Source
    tokenizers: tuple[Path, ...] = ()
    """The folder of each text encoder's tokenizer; none beside a single file."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    sampler: str = ""
    """The sampler that the model's publisher chose, by our name; empty where none is named."""
    scheduler: str = ""
    not_honoured: tuple[str, ...] = ()
    """What the publisher's choice asks for beyond them."""
    undecided: bool = False
    """Whether nothing in the files says what the U-Net predicts: its values must be asked."""

    @property
    def sources(self) -> dict[str, Source]:
        """Each network's source, by the name of its folder in diffusers' layout."""
        texts = zip(encoder_folders(self.config), self.text, strict=True)
        return {**dict(texts), "vae": self.vae, "unet": self.unet}

    def decided(self, parameterization: PredictionType | None, zero_terminal_snr: bool | None = None) -> Self:
        """This checkpoint with what the user knows better than the files; None leaves a fact as it is."""
        schedule = self.config.schedule
        if zero_terminal_snr is not None:
            schedule = replace(schedule, zero_terminal_snr=zero_terminal_snr)
        if parameterization is not None:
            schedule = replace(schedule, parameterization=parameterization)
        config = replace(self.config, schedule=schedule)
        if self.undecided and parameterization is not None:
            config = resized(config)
        return replace(self, config=config, undecided=self.undecided and parameterization is None)


def mixed_up(path: Path, why: str) -> CalotypeError:
    """The error for a model whose parts are whole, but do not belong together."""
    return CalotypeError(f"{path} is mixed up: {why}. Put the parts of one model there.")
