"""Saved runs: the file beside a picture in which its run can be taken up."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from calotype.errors import CalotypeError
from calotype.files import is_there
from calotype.recipe import Recipe

if TYPE_CHECKING:
    from calotype.api import Studio
    from calotype.pipeline import RunState


def saving(
    studio: "Studio", recipe: Recipe, states: "Iterable[RunState]", picture: Path, every: int
) -> "Iterator[RunState]":
    """The ``states``, of which that after each ``every`` steps is written beside the ``picture``; none for 0."""
    for state in states:
        if every and len(state.digests) % every == 0:
            studio.save_run(recipe, state, place(picture), picture)
        yield state


def begun(studio: "Studio", recipe: Recipe, picture: Path) -> "list[RunState]":
    """The state that is kept beside the ``picture``, if a run of its recipe from there on ends in the same bytes."""
    from calotype.pipeline import read_run, settle

    if not is_there(place(picture)):
        return []
    try:
        run = read_run(place(picture), str(studio.device))
        same = run.record.recipe == settle(studio, recipe) and not studio.check_run(run)
    except CalotypeError:  # damaged, or of another model or other pictures to begin with
        return []
    return [run.state] if same else []


def place(picture: Path) -> Path:
    """Where the run of a picture is kept."""
    return picture.with_suffix(".run.safetensors")
