"""Model: a whole Stable Diffusion in one value. It predicts, encodes and decodes; it knows no recipe."""

import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from calotype.checkpoints.hashes import files_hash
from calotype.checkpoints.networks import load_network, load_networks, settled
from calotype.checkpoints.opening import open_checkpoint
from calotype.checkpoints.single import fitted, read_lone
from calotype.checkpoints.vocabulary import read_tokenizers
from calotype.configs import AS_STORED, ModelConfig, ReadOptions
from calotype.diffusion.parameterization import PARAMETERIZATIONS, Parameterization
from calotype.diffusion.schedules import Schedule
from calotype.errors import CalotypeError
from calotype.hardware import usual_dtype
from calotype.nn.clip import TextEncoder
from calotype.nn.unet import Added, UNet
from calotype.nn.vae import Autoencoder
from calotype.text.conditions import Conditioning, encode_prompts
from calotype.text.language import A1111, Language
from calotype.text.tokenizer import Tokenizer

WORDS = "vocabulary.json"
"""The file beside model_index.json that lists, as JSON, the words a model of a small world was trained on."""
Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Model:
    """The networks, what reads their prompts, and the schedule they were trained on."""

    config: ModelConfig
    tokenizers: tuple[Tokenizer, ...]
    text_encoders: tuple[TextEncoder, ...]
    unet: UNet
    vae: Autoencoder
    files: tuple[Path, ...] = ()
    """The folder or file it came from, and those of networks put in since; none while it is trained."""
    sampler: str = ""
    """The sampler that its publisher chose; empty where none is named."""
    scheduler: str = ""
    not_honoured: tuple[str, ...] = ()
    """What its publisher's choice asks for beyond them."""
    words: frozenset[str] = frozenset()
    """The words it was trained on, in lower case; empty when they are not known."""
    refiner: "Model | None" = None
    """A model of the same latents that takes over at low noise, where a recipe asks for it."""
    read_options: ReadOptions = AS_STORED
    """How its files were read."""

    @classmethod
    def read(
        cls,
        path: Path,
        name: str | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype | None = None,
        options: ReadOptions = AS_STORED,
    ) -> Self:
        """The model in a diffusers folder, or in a single file of the original code, read with these ``options``.

        Without a ``dtype``, large models are in what the device is fast at, small ones in float32.
        Raises CalotypeError naming what is missing, damaged, or no model.
        """
        checkpoint = open_checkpoint(path, options)
        tokenizers = read_tokenizers(checkpoint)
        if dtype is None:
            size = sum(stored.count for stored in checkpoint.unet.weights.values())
            dtype = usual_dtype(torch.device(device), size)
        networks = load_networks(checkpoint, dtype, device)
        checkpoint = settled(checkpoint, networks.unet)
        return cls(
            replace(checkpoint.config, name=name or checkpoint.config.name),
            tokenizers,
            networks.text,
            networks.unet,
            networks.vae,
            (path,),
            checkpoint.sampler,
            checkpoint.scheduler,
            checkpoint.not_honoured,
            _read_words(path / WORDS),
            read_options=options,
        )

    def with_part(self, path: Path) -> Self:
        """This model with the autoencoder, U-Net or text encoder in the file at ``path`` in place of its own.

        Raises CalotypeError if the file holds no such network, or one of another form than this model's.
        """
        lone = fitted(read_lone(path), self.config)
        network = load_network(lone.config, lone.source, self.dtype, self.device)
        model = replace(self, files=(*self.files, path))
        if isinstance(network, Autoencoder):
            return replace(model, vae=network, config=replace(self.config, vae=network.config))
        if isinstance(network, UNet):
            return replace(model, unet=network)
        encoders = (network if own.config == network.config else own for own in self.text_encoders)
        return replace(model, text_encoders=tuple(encoders))

    @cached_property
    def hash(self) -> str:
        """The sha256 of the files it came from; taken when it is first asked for."""
        return files_hash(self.files) if self.files else "in memory"

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

    def conditions(self, prompts: Sequence[str], clip_skip: int = 1, language: Language = A1111) -> list[Conditioning]:
        """What the U-Net is told about each prompt; all of one length."""
        return encode_prompts(prompts, self.tokenizers, self.text_encoders, clip_skip, language)

    def predict(
        self, x: Float[Tensor, "1 c h w"], sigma: float, conditions: Sequence[Conditioning]
    ) -> list[Float[Tensor, "1 c h w"]]:
        """The clean latent behind ``x`` = x0 + sigma * noise under each of the ``conditions``.

        Those of one length are one batch. ``x`` and the answers are in float32, whatever the network computes in: x is
        a sum over all steps.
        """
        lengths = [each.context.shape[1] for each in conditions]
        answers = {
            length: iter(self._together(x, sigma, [each for each in conditions if each.context.shape[1] == length]))
            for length in dict.fromkeys(lengths)
        }
        return [next(answers[length]) for length in lengths]

    def _together(
        self, x: Float[Tensor, "1 c h w"], sigma: float, conditions: Sequence[Conditioning]
    ) -> list[Float[Tensor, "1 c h w"]]:
        """`predict` of conditions of one length, in one batch."""
        count = len(conditions)
        inputs = self.parameterization.network_input(x, sigma).expand(count, -1, -1, -1)
        channels = [each.channels for each in conditions if each.channels is not None]
        if channels:
            inputs = torch.cat([inputs, torch.cat(channels)], dim=1)
        time = self.schedule.t(sigma).to(x).expand(count)
        context = torch.cat([each.context for each in conditions])
        outputs = self.unet(inputs.to(self.dtype), time, context, self._added(x, conditions)).to(x)
        return [self.parameterization.to_x0(x, sigma, output) for output in outputs.split(1)]

    @property
    def edits(self) -> bool:
        """Whether it was made to edit pictures: its U-Net sees one's latent beside the noisy one (arXiv 2211.09800)."""
        return self.config.purpose == "InstructPix2Pix"

    def encode(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c h8 w8"]:
        """The likeliest latents of pictures in [-1, 1], in the U-Net's scale."""
        vae = self._vae
        return vae.encode(images.to(vae.quant_conv.weight)).mode.float() * self.config.vae.scaling_factor

    def decode(self, latents: Float[Tensor, "b c h8 w8"]) -> Float[Tensor, "b 3 h w"]:
        """The pictures of latents in the U-Net's scale, about [-1, 1], not clamped."""
        vae = self._vae
        return vae.decode((latents / self.config.vae.scaling_factor).to(vae.quant_conv.weight)).float()

    @cached_property
    def _vae(self) -> Autoencoder:
        """The autoencoder as it computes: SDXL's overflows in float16."""
        return deepcopy(self.vae).float() if self.dtype == torch.float16 else self.vae

    def micro_conditions(
        self, original: Size, corner: Size = (0, 0), target: Size | None = None, score: float = 6.0
    ) -> Float[Tensor, "1 s"]:
        """What SDXL is told beside the words (arXiv 2307.01952, 2.2): sizes and a crop's corner, height first.

        ``target`` is ``original`` unless it is given. The refiner is told how well-liked the picture is, from 0 to 10,
        in place of it.
        """
        rest = (score,) if self.config.family == "SDXL refiner" else (target or original)
        return torch.tensor([[*original, *corner, *rest]], dtype=torch.float32, device=self.device)

    def _added(self, x: Tensor, conditions: Sequence[Conditioning]) -> Added | None:
        if self.config.unet.added_dim is None:
            return None
        height, width = (side * self.config.vae.downscale for side in x.shape[-2:])
        given = [each.micro_conditions for each in conditions]
        told = [self.micro_conditions((height, width)) if each is None else each for each in given]
        return Added(torch.cat([each.pooled for each in conditions]), torch.cat(told))


def _read_words(path: Path) -> frozenset[str]:
    if not path.is_file():
        return frozenset()
    try:
        return frozenset(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise CalotypeError(f"{path} is damaged: it should be a JSON list of words. Fetch the model again.") from error
