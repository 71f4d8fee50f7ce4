"""The front door: load a model, ask it for pictures."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from calotype import pipeline
from calotype.imaging.picture import Picture
from calotype.imaging.reading import inline
from calotype.model import Model
from calotype.pipeline import RunState
from calotype.recipe import Recipe

EMBEDDED = Path(__file__).parent / "embedded" / "model"


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

        With a ``state`` of such a run, what comes after it.
        """
        return pipeline.states(self, recipe, state)

    def develop(self, recipe: Recipe, states: Iterable[RunState]) -> Picture:
        """The picture at the end of the ``states`` of ``recipe``."""
        return pipeline.develop(self, recipe, states)


def load(path: str | Path | None = None, device: str = "cpu") -> Studio:
    """The embedded model, or the one in a diffusers folder, in float32.

    Raises CalotypeError when there is none, or a file of it is missing or damaged.
    """
    return Studio.read(EMBEDDED, "embedded", device) if path is None else Studio.read(Path(path), device=device)


def _named(value: Any) -> Any:
    """A picture or a path as a recipe holds it."""
    if isinstance(value, Image.Image):
        return inline(value)
    return str(value) if isinstance(value, Path) else value
