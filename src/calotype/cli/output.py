"""Where pictures are written, and under which names."""

import errno
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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
    _next_number(output)  # what cannot be read is told of now, not when a model was loaded
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


def check(folder: Path) -> None:
    """Raise CalotypeError if nothing can be written in ``folder``. One that is not there yet is not made."""
    with _refusals_told(folder):
        there = next((place for place in (folder, *folder.parents) if place.exists()), folder)
        if not there.is_dir():
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(there, os.W_OK | os.X_OK):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))


def _make_ready(folder: Path) -> None:
    check(folder)
    with _refusals_told(folder):
        folder.mkdir(parents=True, exist_ok=True)


def _next_number(folder: Path) -> int:
    with _refusals_told(folder):
        names = [path.name for path in folder.iterdir()]
    return max((int(match[1]) + 1 for match in map(_NUMBERED.match, names) if match), default=0)


@contextmanager
def _refusals_told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CalotypeError(
            f"cannot write to the folder {folder}: {error.strerror}. Choose another with -o."
        ) from error
