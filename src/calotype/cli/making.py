"""Making pictures while a person, or a program, watches."""

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from calotype.cli import output, runs
from calotype.cli.asking import Ask, torch_dtype
from calotype.cli.hints import hints
from calotype.recipe import Recipe

if TYPE_CHECKING:
    from calotype.api import Studio
    from calotype.pipeline import RunState


def make(ask: Ask, recipes: list[Recipe], paths: Iterable[Path] | None = None) -> None:
    """A picture of each recipe, at its path, or where `output.paths` says; the path is printed when it is there."""
    if paths is None:
        paths = output.paths(ask.output, [recipe.seed for recipe in recipes])

    import torch

    from calotype import api

    if ask.threads is not None:
        torch.set_num_threads(ask.threads)
    studio = api.load(ask.model, ask.device, torch_dtype(ask.dtype), vae=ask.vae)
    for hint in hints(studio, recipes):
        typer.echo(f"hint: {hint}.", err=True)
    with runs.shown(sum(_steps(recipe) for recipe in recipes)) as watched:
        for recipe, path in zip(recipes, paths, strict=True):
            began = time.monotonic()
            states = runs.kept(studio, recipe, watched(studio.states(recipe)), path, ask.save_state_every)
            if ask.preview_every:
                states = _previewed(studio, states, path, ask.preview_every)
            picture = studio.develop(recipe, states)
            picture.save(path)
            runs.place(path).unlink(missing_ok=True)
            if ask.json:
                _print({"path": str(path), "seconds": round(time.monotonic() - began, 3),
                        "recipe": picture.recipe.model_dump(exclude_defaults=True)})  # fmt: skip
            else:
                typer.echo(path)


def _print(line: dict[str, Any]) -> None:
    typer.echo(json.dumps(line, ensure_ascii=False))


def _steps(recipe: Recipe) -> int:
    """About how many steps it takes."""
    second = (recipe.hr_steps or recipe.steps) * recipe.hr_denoising_strength if recipe.hr_scale > 1 else 0
    return round(recipe.steps * (recipe.denoising_strength or 1) + second)


def _previewed(studio: "Studio", states: Iterable["RunState"], path: Path, every: int) -> Iterator["RunState"]:
    for number, state in enumerate(states, 1):
        if number % every == 0:
            from calotype.files import written_whole

            with written_whole(path.with_stem(f"{path.stem}-step{number:03}")) as temporary:
                studio.preview(state).save(temporary, "PNG")
        yield state
