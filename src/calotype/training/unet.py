"""The U-Net's task: latents of scenes under noise, and their captions (arXiv 2112.10752)."""

import os
import shutil
import sys
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from math import log
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from rich.progress import track
from torch import Tensor, nn

from calotype import pipeline
from calotype.api import load
from calotype.configs import ImageConfig, ModelConfig
from calotype.data.captions import caption
from calotype.data.scenes import World
from calotype.data.sprites import SpriteBank
from calotype.errors import CalotypeError
from calotype.hardware import half_precision
from calotype.imaging.pixels import to_unit
from calotype.model import Model
from calotype.nn.clip import TextOutput, first_end
from calotype.nn.unet import UNet
from calotype.nn.vae import Autoencoder
from calotype.recipe import Recipe
from calotype.training import latents, product, scenes
from calotype.training.clip import Contrastive
from calotype.training.loop import Batch
from calotype.training.run_file import Phase, Run
from calotype.training.sheets import grid
from calotype.training.tokenizer import learned
from calotype.training.whitening import Whitening

DROPOUT = 0.1
"""How often the caption is left empty, for classifier-free guidance (arXiv 2207.12598)."""
WHITENED = 400
"""The captions by which the contexts' variances are measured."""
EVALUATED_TIMES = (100, 300, 500, 700, 900)
"""The times at which evaluations measure the loss."""
EVALUATED, SHOWN = 64, 8
"""The held-out scenes that evaluations measure, and those that sheets show."""


class UNetTask:
    """The plain squared error of what the schedule's parameterization predicts, at the times of the phase."""

    def __init__(
        self, model: Model, bank: SpriteBank, phases: Sequence[Phase], compiled: bool = False, anew: bool = False
    ) -> None:
        config, vae = model.config, model.vae
        if compiled and model.device.type == "cpu":
            _check_compiler()
        self.module = model.unet.train().requires_grad_(True)
        # The layout that the convolutions of CPUs and GPUs alike are fastest in.
        nn.utils.convert_conv2d_weight_memory_format(self.module, torch.channels_last)
        self.network = torch.compile(self.module, dynamic=False) if compiled else self.module
        self.model, self.bank, self.tokenizer = model, bank, model.tokenizers[0]
        self.text = model.text_encoders[0].eval().requires_grad_(False)
        self.frozen = (self.text, vae)
        most = {world: max(p.scenes for p in phases if p.world == world) for world in {p.world for p in phases}}
        self.cache = {world: latents.cached(vae, World(bank, *world), count) for world, count in most.items()}
        some = World(bank, config.vae.sample_size)
        self.whitening = Whitening.of(self._spoken([caption(some.spec(seed)) for seed in range(WHITENED)]))
        if not anew:
            self.whitening.enter(self.module)
        self.measured = (self.whitening.mean, self.whitening.matrix)
        self._said: tuple[tuple[int, tuple[float, ...], int], Float[Tensor, "n tokens d"]] | None = None

    def batch(self, phase: Phase, rng: np.random.Generator) -> Batch:
        """Latents in the U-Net's scale, what the text encoder makes of their captions, some of them empty, and times.

        The times, in [0, 1), cover their distribution evenly in every batch (arXiv 2107.00630, appendix I.1).
        """
        chosen = torch.from_numpy(rng.integers(phase.scenes, size=phase.batch))
        even = (torch.arange(phase.batch) + rng.random()) / phase.batch
        empty = torch.from_numpy(rng.random(phase.batch) < DROPOUT)
        context = torch.where(empty[:, None, None], self.silence, self.contexts(phase)[chosen])
        time = (
            even
            if phase.median_time is None
            else torch.sigmoid(log(phase.median_time / (1 - phase.median_time)) + torch.special.ndtri(even))
        )
        x0 = self.cache[phase.world][chosen].float() * self.model.config.vae.scaling_factor
        return {"latents": x0, "context": context, "time": time.float()}

    def loss(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The mean error, and that of the earlier and of the later times."""
        x0 = batch["latents"]
        steps = len(self.model.schedule.sigmas)
        t = (batch["time"] * steps).long().clamp(max=steps - 1)
        noise = torch.randn(x0.shape, generator=rng).to(x0.device)
        errors = self._errors(self.network, x0, t, noise, batch["context"])
        return errors.mean(), {f"t{low}": errors[(t >= low) & (t < low + 500)].mean().detach() for low in (0, 500)}

    @torch.no_grad()
    def evaluate(self, phase: Phase) -> dict[str, float]:
        """The loss on held-out scenes at a few times, with noise that is the same in every evaluation."""
        held_out = scenes.held_out(World(self.bank, phase.size), EVALUATED)
        device = self.model.device
        pixels = to_unit(scenes.images(held_out))
        x0 = torch.cat([self.model.encode(some) for some in torch.split(pixels, 8)])
        context = self._context([scene.caption for scene in held_out]).to(device)
        noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(0)).to(device)
        times = [torch.full((EVALUATED,), t, device=device) for t in EVALUATED_TIMES]
        losses = [self._errors(self.module, x0, t, noise, context).mean() for t in times]
        figures = {f"held_out_t{t}": float(loss) for t, loss in zip(EVALUATED_TIMES, losses, strict=True)}
        return figures | {"held_out": float(torch.stack(losses).mean())}

    def sheet(self, phase: Phase) -> Image.Image:
        """Held-out scenes over what the model makes of their captions, as its users would see it."""
        asked = scenes.held_out(World(self.bank, phase.size), SHOWN)
        recipes = [
            Recipe(prompt=scene.caption, seed=seed, steps=20, cfg_scale=4, width=phase.size, height=phase.size)
            for seed, scene in enumerate(asked)
        ]
        model = replace(self.model, unet=self.product())
        made = [pipeline.develop(model, recipe, pipeline.states(model, recipe)) for recipe in recipes]
        pixels = torch.from_numpy(np.stack([np.asarray(picture) for picture in made])).permute(0, 3, 1, 2)
        return grid([scenes.images(asked), pixels])

    def product(self) -> UNet:
        """The U-Net as it reads contexts that nobody whitened."""
        return self.whitening.left(self.module)

    def contexts(self, phase: Phase) -> Float[Tensor, "n tokens d"]:
        """The contexts of the cached scenes' captions: the encoder is frozen, so each needs to be read once only.

        They take 39 kB each in the embedded model's size, 2.4 GB for 60,000; only one world's are kept.
        """
        if self._said is None or self._said[0] != phase.world:
            self._said = None  # what another world said makes room before this one is read
            self._said = phase.world, self._read_world(phase)
        return self._said[1]

    @cached_property
    def silence(self) -> Float[Tensor, "1 tokens d"]:
        """The context of an empty caption. Not to be asked for before ``measured`` is what it will stay."""
        return self._context([""])

    def _errors(
        self, network: Callable[..., Tensor], x0: Tensor, t: Tensor, noise: Tensor, context: Tensor
    ) -> Float[Tensor, "b"]:
        """The squared error of each latent of ``x0`` at its time, meant over its numbers."""
        sigma = self.model.schedule.sigmas.float().to(x0.device)[t]
        x = x0 + sigma[:, None, None, None] * noise
        inputs = self.model.parameterization.network_input(x, sigma)
        output = network(inputs, t.float(), context.to(x0.dtype)).float()
        target = self.model.parameterization.target(x0, noise, sigma)
        return F.mse_loss(output, target, reduction="none").mean((1, 2, 3))

    def _read_world(self, phase: Phase) -> Float[Tensor, "n tokens d"]:
        drawn, count = World(self.bank, *phase.world), len(self.cache[phase.world])
        contexts = self.silence.new_empty((count, *self.silence.shape[1:]))
        for start in track(range(0, count, 100), "reading captions"):
            seeds = range(start, min(start + 100, count))
            contexts[start : seeds.stop] = self._context([caption(drawn.spec(seed)) for seed in seeds])
        return contexts

    def _context(self, texts: Sequence[str]) -> Float[Tensor, "n tokens d"]:
        return self.whitening(self._read(texts)).bfloat16()

    def _spoken(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """What the text encoder makes of each token from start to end, without the padding after it."""
        tokens = torch.cat([self.tokenizer.encode(text) for text in texts])
        ends = first_end(tokens, self.tokenizer.end)[:, None]
        return self._read(texts)[torch.arange(tokens.shape[1]) <= ends]

    @torch.no_grad()
    def _read(self, texts: Sequence[str]) -> Float[Tensor, "n tokens d"]:
        device = next(self.text.parameters()).device
        tokens = torch.cat([self.tokenizer.encode(text) for text in texts])
        with half_precision(device):
            read: TextOutput = self.text(tokens.to(device))
        return read.context.float().cpu()


def task(run: Run, device: torch.device) -> UNetTask:
    """The task that ``run`` describes."""
    anew = run.anew or run.base is None
    return UNetTask(beginning(run, device), scenes.bank(run.style), run.phases, run.compiled, anew)


def beginning(run: Run, device: torch.device) -> Model:
    """The model before the first step: the base, or the products of the earlier stages with a new U-Net.

    Raises CalotypeError when one of them is missing, or the base needs more than latents and captions.
    """
    if run.base is not None:
        base = load(None if run.base == "embedded" else run.base, str(device), torch.float32)
        if base.config.purpose or base.config.family.startswith("SDXL"):
            raise CalotypeError(f"the base {run.base!r} is told more than a text: only plain models can be trained on.")
        return replace(base, unet=_new(base.config).to(device)) if run.anew else base
    config, words = run.config, learned(run)
    towers, vae = Contrastive(config.text[0], ImageConfig()), Autoencoder(config.vae)
    product.load(run.needs("clip"), towers)
    product.load(run.needs("vae"), vae)
    return Model(config, (words,), (towers.text.to(device),), _new(config).to(device), vae.to(device))


def _check_compiler() -> None:
    """Raise CalotypeError where torch.compile lacks what it needs for a CPU: it writes C++ that includes Python.h."""
    compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(compiler) is None or not Path(sysconfig.get_path("include"), "Python.h").exists():
        raise CalotypeError(
            "a run with compiled = true needs a C++ compiler and Python's headers: install g++ and python3-dev, or "
            "begin a new one with compiled = false."
        )


def _new(config: ModelConfig) -> UNet:
    unet = UNet(config.unet)
    unet.init_weights()
    return unet
