"""Finding a row of a registry by any of its names, as people and other programs spell them."""

import difflib
from collections.abc import Iterable
from typing import Protocol, TypeVar

from calotype.errors import CalotypeError

AUTOMATIC = "automatic"
"""The sampler that stands for the model's own, and the scheduler that stands for the one usual with the sampler."""


class Named(Protocol):
    """A row of a registry."""

    @property
    def name(self) -> str:
        """The name it is shown under."""
        ...

    @property
    def aliases(self) -> tuple[str, ...]:
        """Other names it is found under."""
        ...


Row = TypeVar("Row", bound=Named)


def spelling(name: str) -> str:
    """What is left of a name when case, spaces, dashes and underscores do not count."""
    return "".join(letter for letter in name.casefold() if letter not in " _-")


def find(rows: Iterable[Row], name: str) -> Row | None:
    """The row with that name or alias, in whatever spelling."""
    return next((row for row in rows if spelling(name) in map(spelling, (row.name, *row.aliases))), None)


def unknown(kind: str, rows: Iterable[Named], name: str) -> CalotypeError:
    """The error for a name that `find` did not find, with the nearest that exist."""
    names = {spelling(name): row.name for row in rows for name in (row.name, *row.aliases)}
    nearest = dict.fromkeys(names[key] for key in difflib.get_close_matches(spelling(name), names, n=3, cutoff=0))
    return CalotypeError(f"unknown {kind} {name!r}; the nearest names are {', '.join(nearest)}.")
