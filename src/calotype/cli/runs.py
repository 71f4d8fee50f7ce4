"""What the commands that make pictures share: the bar they show, and the file in which a run can be taken up."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from calotype.errors import CalotypeError
from calotype.files import is_there
from calotype.recipe import Recipe

if TYPE_CHECKING:
    from calotype.api import Studio
    from calotype.pipeline import RunState


@contextmanager
def shown(total: int) -> "Iterator[Callable[[Iterable[RunState]], Iterator[RunState]]]":
    """A bar of ``total`` steps on a terminal, moved by the states that pass through what this gives.

    The first of them moves it by the steps before it, too: a run may have begun elsewhere.
    """
    console = Console(stderr=True)
    columns = (TextColumn("developing"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=total)

        def watched(states: "Iterable[RunState]") -> "Iterator[RunState]":
            done = 0
            for state in states:
                progress.advance(bar, len(state.digests) - done)
                done = len(state.digests)
                yield state

        yield watched


def kept(
    studio: "Studio", recipe: Recipe, states: "Iterable[RunState]", picture: Path, every: int
) -> "Iterator[RunState]":
    """The ``states``, of which that after each ``every`` steps is written beside the ``picture``; none for 0."""
    from calotype.pipeline import save_run

    for state in states:
        if every and len(state.digests) % every == 0:
            save_run(place(picture), studio.with_refiner(recipe), recipe, state, picture)
        yield state


def begun(studio: "Studio", recipe: Recipe, picture: Path) -> "list[RunState]":
    """The state that is kept beside the ``picture``, if a run of its recipe from there on ends in the same bytes."""
    from calotype.pipeline import read_run, settle

    if not is_there(place(picture)):
        return []
    model = studio.with_refiner(recipe)
    try:
        run = read_run(place(picture), str(studio.device))
        same = run.record.recipe == settle(model, recipe) and not run.check(model)
    except CalotypeError:  # damaged, or of another model or other pictures to begin with
        return []
    return [run.state] if same else []


def place(picture: Path) -> Path:
    """Where the run of a picture is kept."""
    return picture.with_suffix(".run.safetensors")
