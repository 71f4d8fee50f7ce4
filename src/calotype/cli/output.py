"""Where pictures are written, and under which names."""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from calotype.errors import CalotypeError
from calotype.recipe import Recipe

_NUMBERED = re.compile(r"(\d{5,})-")
_OTHER_PICTURES = {".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"}


def paths(output: Path, recipes: Iterable[Recipe]) -> Iterator[Path]:
    """A path for the picture of each recipe.

    In a folder: 00000-7.png, ... with numbers that go on from those already there, so that nothing is overwritten.
    ``output`` ending in .png is the file itself, and with several recipes apple-7.png, apple-8.png, ....
    Raises CalotypeError at once if nothing can be written there.
    """
    recipes = list(recipes)
    if is_file(output):
        _make_ready(output.parent)
        if len(recipes) == 1:
            return iter([output])
        return (output.with_stem(f"{output.stem}-{seeds(recipe)}") for recipe in recipes)
    _make_ready(output)
    return (output / f"{_next_number(output):05}-{seeds(recipe)}.png" for recipe in recipes)


def seeds(recipe: Recipe) -> str:
    """What tells the pictures of one prompt apart: 7, and of a variation 7-3."""
    return f"{recipe.seed}-{recipe.subseed}" if recipe.variation else str(recipe.seed)


def is_file(output: Path) -> bool:
    """Whether ``output`` names one picture, not a folder. Raises CalotypeError for names that neither can have."""
    if output.suffix.lower() in _OTHER_PICTURES:
        raise CalotypeError(f"cannot write {output}: pictures are PNG, to carry their record. Name a .png with -o.")
    try:
        return output.suffix.lower() == ".png" and not output.is_dir()
    except OSError as error:
        raise CalotypeError(f"cannot write {output}: {error.strerror}. Choose another name with -o.") from error


def _make_ready(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CalotypeError(
            f"cannot write to the folder {folder}: {error.strerror}. Choose another with -o."
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise CalotypeError(f"cannot write to the folder {folder}: no permission. Choose another with -o.")


def _next_number(folder: Path) -> int:
    return max((int(match[1]) + 1 for path in folder.iterdir() if (match := _NUMBERED.match(path.name))), default=0)
