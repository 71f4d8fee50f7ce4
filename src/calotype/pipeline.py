"""Model + Recipe -> states -> Picture: the one place where the networks meet the mathematics."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from calotype.diffusion import driver
from calotype.diffusion.guidance import guided
from calotype.diffusion.ladder import AUTOMATIC, ladder
from calotype.diffusion.noise import SeededNoise
from calotype.diffusion.samplers import SAMPLERS, SamplerState
from calotype.errors import CalotypeError
from calotype.imaging.picture import Picture
from calotype.model import Model
from calotype.recipe import Recipe, Record


def settle(model: Model, recipe: Recipe) -> Recipe:
    """The recipe with all that it left to the model filled in."""
    own = model.config.vae.sample_size
    scheduler = recipe.scheduler
    if scheduler == AUTOMATIC:
        scheduler = SAMPLERS[recipe.sampler].scheduler or model.schedule.spacing
    return recipe.but(scheduler=scheduler, width=recipe.width or own, height=recipe.height or own)


@torch.inference_mode()
def states(model: Model, recipe: Recipe) -> Iterator[SamplerState]:
    """The states of sampling, one after each step.

    A picture is sampled alone, whatever is made beside it: it depends on the model and the recipe only. Its prompt and
    its negative prompt go through the U-Net together.
    """
    recipe = settle(model, recipe)
    positive, negative = model.conditions([recipe.prompt, recipe.negative_prompt], recipe.clip_skip)
    denoiser = guided(model.predict, positive, negative, recipe.cfg_scale, recipe.cfg_rescale, model.parameterization)
    noise = SeededNoise(recipe.seed, _latent_shape(model, recipe), model.device, model.dtype)
    with _memory_errors_told(recipe):
        yield from driver.sample(SAMPLERS[recipe.sampler], lambda moment: denoiser, _sigmas(model, recipe), noise)


@torch.inference_mode()
def develop(model: Model, recipe: Recipe, states: Iterable[SamplerState]) -> Picture:
    """Go through the ``states`` of ``recipe`` and make the last one visible."""
    recipe = settle(model, recipe)
    digests = []
    for state in states:
        digests.append(digest(state.x))
    if not digests:
        raise CalotypeError("there is no state to develop: give the iterator that `states` returned, unused.")
    latent = driver.latent(state.x, float(_sigmas(model, recipe)[-1]))
    with _memory_errors_told(recipe):
        image = to_image(model.decode(latent))
    return Picture.of(image, _record(model, recipe, digests))


def digest(x: Tensor) -> str:
    """The first 16 hex digits of the sha256 of a tensor's numbers in float32."""
    return hashlib.sha256(x.to("cpu", torch.float32).contiguous().numpy().tobytes()).hexdigest()[:16]


def to_image(pixels: Float[Tensor, "1 3 h w"]) -> Image.Image:
    """One picture, [-1, 1] (what lies outside is clamped), as a PIL image."""
    levels = ((pixels[0] + 1) * 127.5).clamp(0, 255).round().to("cpu", torch.uint8)
    return Image.fromarray(levels.permute(1, 2, 0).contiguous().numpy())


def _sigmas(model: Model, recipe: Recipe) -> Float[Tensor, "levels"]:
    return ladder(SAMPLERS[recipe.sampler], model.schedule, recipe.steps, recipe.scheduler)


def _latent_shape(model: Model, recipe: Recipe) -> tuple[int, int, int, int]:
    assert recipe.height is not None and recipe.width is not None
    scale = model.config.vae.downscale
    return (1, model.config.vae.latent_channels, recipe.height // scale, recipe.width // scale)


def _record(model: Model, recipe: Recipe, digests: list[str]) -> Record:
    return Record(
        recipe=recipe,
        model=model.config.name,
        model_hash=model.hash,
        dtype=str(model.dtype).removeprefix("torch."),
        device=str(model.device),
        threads=torch.get_num_threads(),
        noise="cpu",
        versions={"calotype": version("calotype"), "torch": torch.__version__},
        digests=tuple(digests),
    )


@contextmanager
def _memory_errors_told(recipe: Recipe) -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch has a type of its own for GPUs only
        if "memory" not in str(error) and not isinstance(error, MemoryError):
            raise
        raise CalotypeError(
            f"there is not enough memory for a picture of {recipe.width}x{recipe.height}: choose a smaller size."
        ) from error
