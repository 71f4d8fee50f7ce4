"""Making pictures while a person, or a program, watches."""

import json
import time
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from calotype.cli import output, progress, saved_runs
from calotype.cli.asking import Ask
from calotype.cli.hints import hints
from calotype.cli.models import loaded
from calotype.recipe import Recipe

if TYPE_CHECKING:
    from calotype.api import Studio
    from calotype.pipeline import RunState


def make(ask: Ask, recipes: list[Recipe]) -> None:
    """A picture of each recipe, where `output.paths` says; the path is printed when it is there."""
    paths = output.paths(ask.output, recipes)
    studio = loaded(ask)
    make_at(ask, studio, [studio.check(recipe) for recipe in recipes], paths)


def make_at(ask: Ask, studio: "Studio", recipes: list[Recipe], paths: Iterable[Path]) -> None:
    """A picture of each recipe at its path; one that was cut goes on from what `saved_runs.saving` wrote."""
    from calotype.pipeline import planned, settle

    recipes = [settle(studio, recipe) for recipe in recipes]  # once: it may read a picture for its size
    for hint in hints(studio, recipes):
        typer.echo(f"hint: {hint}.", err=True)
    with progress.shown(sum(planned(studio, recipe) for recipe in recipes)) as watched:
        for recipe, path in zip(recipes, paths, strict=True):
            began = time.monotonic()
            begun = saved_runs.begun(studio, recipe, path)
            rest = watched(studio.states(recipe, *begun))
            states = _previewed(studio, saved_runs.saving(studio, recipe, rest, path, ask.save_state_every), path, ask)
            picture = studio.develop(recipe, chain(begun, states))
            picture.save(path)
            saved_runs.place(path).unlink(missing_ok=True)
            seconds = round(time.monotonic() - began, 3)
            tell(ask, path, seconds=seconds, recipe=picture.recipe.model_dump(exclude_defaults=True))


def tell(ask: Ask, path: Path, **more: Any) -> None:
    """Print where a picture is; for programs ``more`` of it, as a line of JSON."""
    typer.echo(json.dumps({"path": str(path), **more}, ensure_ascii=False) if ask.json else path)


def _previewed(studio: "Studio", states: Iterable["RunState"], path: Path, ask: Ask) -> Iterator["RunState"]:
    for state in states:
        number = len(state.digests)
        if ask.preview_every and number % ask.preview_every == 0:
            from calotype.files import written_whole

            with written_whole(path.with_stem(f"{path.stem}-step{number:03}")) as temporary:
                studio.preview(state, ask.preview_by).save(temporary, "PNG")
        yield state
