"""Samples: the pictures of an evaluation, all kept, so that it can be looked at and taken up where it was left."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from calotype.api import Studio
from calotype.data.sprites import Pixels
from calotype.errors import CalotypeError
from calotype.files import written_whole
from calotype.imaging.png import read_record
from calotype.lab.detection import Pictures
from calotype.lab.progress import Progress
from calotype.pipeline import settle
from calotype.recipe import Recipe


def developed(studio: Studio, recipes: Sequence[Recipe], folder: Path) -> Generator[Progress, None, Pictures]:
    """The picture of each recipe, all of one size, yielding on the way: from ``folder`` where this model has made it
    before, else made and kept there.
    """
    pictures: list[Pixels] = []
    for index, recipe in enumerate(recipes):
        path = folder / f"{index:04}-{recipe.seed}.png"
        if not _made(studio, recipe, path):
            studio.develop(recipe, studio.states(recipe)).save(path)
        pictures.append(np.asarray(Image.open(path).convert("RGB")))
        yield Progress(folder.name, len(pictures), len(recipes))
    return np.stack(pictures)


def saving(pictures: Iterable[Pixels], folder: Path) -> Iterator[Pixels]:
    """The same pictures, each written to ``folder`` on its way."""
    for index, picture in enumerate(pictures):
        with written_whole(folder / f"{index:04}.png") as path:
            Image.fromarray(picture).save(path, format="PNG")
        yield picture


def _made(studio: Studio, recipe: Recipe, path: Path) -> bool:
    try:
        record = read_record(path)
    except CalotypeError:
        return False
    return record.recipe == settle(studio, recipe) and record.model_hash == studio.hash
