"""``calotype txt2img PROMPT``: pictures from words."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from calotype.cli import output
from calotype.errors import CalotypeError
from calotype.recipe import Recipe

if TYPE_CHECKING:
    from calotype.model import Model

State = TypeVar("State")

_FIELDS = Recipe.model_fields


def _option(field: str, *flags: str) -> typer.models.OptionInfo:
    """An option that says of a recipe's field what the recipe says of it."""
    described: typer.models.OptionInfo = typer.Option(*flags, help=_FIELDS[field].description)
    return described


def txt2img(
    prompt: Annotated[str, typer.Argument(help=_FIELDS["prompt"].description)],
    negative_prompt: Annotated[str, _option("negative_prompt")] = _FIELDS["negative_prompt"].default,
    seed: Annotated[int, _option("seed")] = -1,
    steps: Annotated[int, _option("steps")] = _FIELDS["steps"].default,
    sampler: Annotated[str, _option("sampler")] = _FIELDS["sampler"].default,
    scheduler: Annotated[str, _option("scheduler")] = _FIELDS["scheduler"].default,
    cfg_scale: Annotated[float, _option("cfg_scale")] = _FIELDS["cfg_scale"].default,
    cfg_rescale: Annotated[float, _option("cfg_rescale")] = _FIELDS["cfg_rescale"].default,
    width: Annotated[int | None, _option("width")] = None,
    height: Annotated[int | None, _option("height")] = None,
    clip_skip: Annotated[int, _option("clip_skip")] = _FIELDS["clip_skip"].default,
    count: Annotated[
        int, typer.Option("-n", "--count", min=1, help="How many pictures; the seed goes up by one for each.")
    ] = 1,
    out: Annotated[Path, typer.Option("-o", "--output", help="A folder, or a file name that ends in .png.")] = Path(
        "out"
    ),
    model: Annotated[
        Path | None, typer.Option(help="The folder of a diffusers model. Without it: the embedded one.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; other numbers may change the last bits.")
    ] = None,
) -> None:
    """Make pictures from words.

    Example: calotype txt2img "a red apple to the left of a cat on a blue background" --seed 7 -n 4 -o out/
    """
    if not prompt.strip():
        raise CalotypeError('the prompt is empty: say what to draw, for instance "a cat on a blue background".')
    first = Recipe(
        prompt=prompt, negative_prompt=negative_prompt, seed=seed, steps=steps, sampler=sampler, scheduler=scheduler,
        cfg_scale=cfg_scale, cfg_rescale=cfg_rescale, width=width, height=height, clip_skip=clip_skip,
    )  # fmt: skip
    recipes = [first.but(seed=first.seed + k) for k in range(count)]
    paths = output.paths(out, [recipe.seed for recipe in recipes])

    import torch

    from calotype import api

    if threads is not None:
        torch.set_num_threads(threads)
    studio = api.load(model)
    _hint(studio, f"{prompt} {negative_prompt}")
    with _progress() as progress:
        bar = progress.add_task("", total=count * steps)
        for recipe, path in zip(recipes, paths, strict=True):
            studio.develop(recipe, _shown(studio.states(recipe), progress, bar)).save(path)
            typer.echo(path)


def _progress() -> Progress:
    console = Console(stderr=True)
    columns = (TextColumn("developing"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _shown(states: Iterable[State], progress: Progress, bar: TaskID) -> Iterator[State]:
    for state in states:
        progress.advance(bar)
        yield state


def _hint(model: "Model", prompt: str) -> None:
    from calotype.text.words import unknown_words

    for word, near in unknown_words(prompt, model.words).items():
        nearest = f"; the nearest it knows: {', '.join(near)}" if near else ""
        typer.echo(f'hint: the model has never seen the word "{word}"{nearest}.', err=True)
