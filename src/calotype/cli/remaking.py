"""Remaking: what commands that make pictures again do with each of several."""

from collections.abc import Callable, Sequence
from pathlib import Path

import typer

from calotype.cli.terminal import tell_mistake
from calotype.errors import CalotypeError
from calotype.files import check_readable


def check(pictures: Sequence[Path]) -> None:
    """Raise CalotypeError for a picture that cannot be opened, before anything is done with the others."""
    for picture in pictures:
        check_readable(picture, "picture")


def each(pictures: Sequence[Path], status_of: Callable[[Path], int]) -> typer.Exit:
    """The way out with the highest status of all pictures: 2 of one that fails, which is told by its name."""
    worst = 0
    for picture in pictures:
        try:
            worst = max(worst, status_of(picture))
        except CalotypeError as error:
            tell_mistake(str(error) if str(picture) in str(error) else f"{picture}: {error}")
            worst = 2
    return typer.Exit(worst)
