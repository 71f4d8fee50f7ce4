"""``calotype evaluate``: the table of what a model can do, with all samples."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markdown import Markdown

from calotype.cli.asking import MODEL
from calotype.cli.stages import show
from calotype.errors import lacking
from calotype.recipe import SAMPLER, Recipe

_FIELDS = Recipe.model_fields


def evaluate(
    model: Annotated[Path | None, typer.Argument(help=MODEL)] = None,
    out: Annotated[Path, typer.Option("-o", "--output", help="The folder for the table and all samples.")] = Path(
        "evaluation"
    ),
    only: Annotated[
        Literal["vae", "text", "oracle", "pictures"] | None, typer.Option(help="One part of the suite.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Four pictures of each of more prompts; hours on a CPU.")
    ] = False,
    validation: Annotated[
        bool, typer.Option("--validation", help="Other prompts than the test's: to choose settings by.")
    ] = False,
    steps: Annotated[int, typer.Option(help=_FIELDS["steps"].description)] = _FIELDS["steps"].default,
    sampler: Annotated[str, typer.Option(help="One for all models, so that their tables compare.")] = SAMPLER,
    cfg_scale: Annotated[float, typer.Option(help=_FIELDS["cfg_scale"].description)] = _FIELDS["cfg_scale"].default,
    cfg_rescale: Annotated[float, typer.Option(help=_FIELDS["cfg_rescale"].description)] = _FIELDS[
        "cfg_rescale"
    ].default,
) -> None:
    """Measure a model: autoencoder, text encoder, and pictures judged by what they were asked to show.

    Ctrl-C stops; the same command goes on with the pictures already made.

    Example: calotype evaluate --only pictures --steps 10 -o evaluation
    """
    chosen: dict[str, Any] = {"steps": steps, "sampler": sampler, "cfg_scale": cfg_scale, "cfg_rescale": cfg_rescale}
    recipe = Recipe(**chosen)

    from calotype import api

    try:
        from calotype.data.banks import load_bank
        from calotype.lab import suite
    except ImportError as error:
        raise lacking("measuring", error.name, "lab") from error

    parts = suite.PARTS if only is None else (only,)
    plan = (
        suite.EvaluationPlan.full(recipe, parts, int(validation))
        if full
        else suite.EvaluationPlan(recipe, parts, prompt_seed=int(validation))
    )
    show(suite.evaluate(api.load(model), plan, load_bank(), out))
    Console().print(Markdown((out / "table.md").read_text(encoding="utf-8")))
    typer.echo(out / "table.md")
