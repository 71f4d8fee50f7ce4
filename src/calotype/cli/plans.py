"""Plans: many pictures in one folder, taken up after a kill without making any of them twice."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from calotype.cli import output
from calotype.cli.asking import Ask
from calotype.cli.making import make_at
from calotype.cli.models import loaded
from calotype.errors import CalotypeError
from calotype.files import is_there, written_whole
from calotype.recipe import Recipe

Planned = tuple[str, Recipe]
"""A recipe, and where it comes from, for a message."""


def carry_out(ask: Ask, asked: dict[str, Any], recipes: Callable[[], Iterable[Planned]]) -> list[Path]:
    """Make what is not yet in the folder, and return the paths of all pictures, in order.

    The plan is written first: drawn seeds are kept in it. Nothing is written of a plan that the model cannot follow,
    and no model is loaded for a folder that cannot be written.
    ``asked`` is all that the recipes depend on: the same question in the same folder goes on with the plan that is
    there. Another is refused if pictures of that plan, or of the names of its own, are there.
    """
    if output.is_file(ask.output):
        raise CalotypeError(f"cannot write many pictures to the file {ask.output}: name a folder with -o.")
    output.check(ask.output)
    of_model = {"model": str(ask.model), "vae": str(ask.vae), "dtype": ask.dtype}
    asked = json.loads(json.dumps({**asked, **of_model, "fields": ask.fields, "count": ask.count}))
    path, studio = ask.output / "plan.json", None
    before, planned = _read(path) if is_there(path) else (None, [])
    if before != asked:
        placed = list(recipes())
        new = [recipe for _, recipe in placed]
        if any(map(is_there, _paths(ask, planned) + _paths(ask, new))):
            raise CalotypeError(f"{ask.output} holds pictures of another plan: choose another folder with -o.")
        planned, studio = new, loaded(ask)
        for place, recipe in placed:
            with laid_to(place):
                studio.check(recipe)
        with written_whole(path) as temporary:
            kept = [recipe.model_dump(mode="json") for recipe in planned]
            temporary.write_text(json.dumps({"asked": asked, "recipes": kept}))
    paths = _paths(ask, planned)
    missing = [(recipe, path) for recipe, path in zip(planned, paths, strict=True) if not path.exists()]
    if missing:
        make_at(ask, studio or loaded(ask), [recipe for recipe, _ in missing], [path for _, path in missing])
    else:
        typer.echo(f"all {len(paths)} pictures are in {ask.output} already.", err=True)
    return paths


@contextmanager
def laid_to(place: str) -> Iterator[None]:
    """What goes wrong within names the ``place`` that it comes from."""
    try:
        yield
    except CalotypeError as error:
        raise CalotypeError(f"{place}: {error}") from error


def _paths(ask: Ask, planned: list[Recipe]) -> list[Path]:
    return [ask.output / f"{number:05}-{output.seeds(recipe)}.png" for number, recipe in enumerate(planned)]


def _read(path: Path) -> tuple[Any, list[Recipe]]:
    """What was asked, and the recipes that came of it."""
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
        return plan["asked"], [Recipe(**fields) for fields in plan["recipes"]]
    except (OSError, ValueError, KeyError, TypeError, CalotypeError) as error:
        raise CalotypeError(f"{path} is damaged: delete it, or choose another folder with -o.") from error
