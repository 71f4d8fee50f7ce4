"""The front door: load a model, ask it for pictures."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import torch
from PIL import Image

from calotype import pipeline
from calotype.checkpoints.hub import located
from calotype.configs import PredictionType, ReadOptions
from calotype.errors import CalotypeError
from calotype.files import EMBEDDED
from calotype.hardware import keep_freed_memory, usable
from calotype.imaging.inputs import Inputs
from calotype.imaging.picture import Picture
from calotype.imaging.reading import inline
from calotype.model import Model
from calotype.pipeline import RunState, SavedRun
from calotype.recipe import Recipe


class Studio(Model):
    """A model, and the verbs of whoever makes pictures with it."""

    def generate(self, prompt: str = "", **fields: Any) -> Picture:
        """One picture; ``fields`` are those of `Recipe`. The same arguments, seed included, give the same pixels.

        Pictures to begin with, and masks, may be PIL images.
        """
        recipe = Recipe(prompt=prompt, **{name: _named(value) for name, value in fields.items()})
        return self.develop(recipe, self.states(recipe))

    def states(self, recipe: Recipe, state: RunState | None = None) -> Iterator[RunState]:
        """What sampling goes through: stop iterating to cancel, look at a state's ``x0`` to watch.

        Given a saved ``state``, only the states that follow it.
        """
        return pipeline.states(self.with_refiner(recipe), recipe, state)

    def check(self, recipe: Recipe) -> Recipe:
        """The recipe with all that it left to the model, and to the picture it begins with, filled in.

        Raises CalotypeError for what this model cannot make, as far as that shows before anything is computed.
        """
        model, inputs = self.with_refiner(recipe), Inputs(recipe)
        settled = pipeline.settle(model, recipe, inputs)
        pipeline.check(model, settled, inputs)
        return settled

    def preview(self, state: RunState, by: Literal["fit", "vae"] = "fit") -> Image.Image:
        """What a state's clean latent shows: ``by`` the fit about, in a millisecond, or ``by`` the vae, decoded."""
        return pipeline.preview(self, state.x0) if by == "fit" else pipeline.decoded(self, state.x0)

    def develop(self, recipe: Recipe, states: Iterable[RunState]) -> Picture:
        """The picture at the end of the ``states`` of ``recipe``."""
        return pipeline.develop(self.with_refiner(recipe), recipe, states)

    def save_run(self, recipe: Recipe, state: RunState, path: Path, picture: Path) -> None:
        """Write the run of ``recipe`` at ``state`` to ``path``; it was to become ``picture``. Raises CalotypeError."""
        pipeline.save_run(path, self.with_refiner(recipe), recipe, state, picture)

    def check_run(self, run: SavedRun) -> list[str]:
        """`SavedRun.check` with this model, and the refiner that the run names."""
        return run.check(self.with_refiner(run.record.recipe))

    def with_refiner(self, recipe: Recipe) -> Self:
        """This model with the refiner that ``recipe`` names, if any; each is loaded once. Raises CalotypeError."""
        name = recipe.refiner_checkpoint
        if name is None:
            return self
        if name not in self._refined:
            refiner = load(name, str(self.device), self.dtype)
            if _latents(refiner) != _latents(self):
                raise CalotypeError(f"{name} cannot refine what {self.config.name} begins: their latents differ.")
            refiner = replace(refiner, vae=self.vae, config=replace(refiner.config, vae=self.config.vae))
            self._refined[name] = replace(self, refiner=refiner)
        return self._refined[name]

    @cached_property
    def _refined(self) -> dict[str, Self]:
        return {}


def load(
    path: str | Path | None = None,
    device: str | None = "cpu",
    dtype: torch.dtype | None = None,
    *,
    vae: str | Path | None = None,
    ema: bool = False,
    parameterization: PredictionType | None = None,
    zero_terminal_snr: bool | None = None,
    download: bool = False,
) -> Studio:
    """The embedded model, or any other: a diffusers folder, a single file, or ``owner/name`` in the hub's cache.

    ``device`` None is a GPU where there is one, else the CPU. Without a ``dtype`` large models are in what the device
    is fast at, small ones in float32. ``vae`` is a file whose autoencoder takes the place of the model's own. With
    ``ema`` a single file's running averages are taken. What the files say of ``parameterization`` and
    ``zero_terminal_snr`` can be overridden. Only with ``download`` is anything fetched. Raises CalotypeError when there
    is no model or no such device, or a file of the model is missing, damaged or something else.
    """
    keep_freed_memory()
    path = EMBEDDED if path is None else Path(path)
    place = located(path, download)
    name = "embedded" if place == EMBEDDED else path.name if place != path and place.is_dir() else None
    studio = Studio.read(place, name, usable(device), dtype, ReadOptions(ema, parameterization, zero_terminal_snr))
    return studio if vae is None else studio.with_part(Path(vae))


def _latents(model: Model) -> tuple[float, ...]:
    """What two models must agree in for one to go on with the other's latents."""
    vae = model.config.vae
    return vae.latent_channels, vae.downscale, vae.scaling_factor, model.config.schedule.num_steps


def _named(value: Any) -> Any:
    """A picture or a path as a recipe holds it."""
    if isinstance(value, Image.Image):
        return inline(value)
    return str(value) if isinstance(value, Path) else value
