"""``calotype again PNG``: a picture made once more from what it says of itself."""

from pathlib import Path
from typing import Annotated

import typer

from calotype.cli import output, runs


def again(
    png: Annotated[Path, typer.Argument(help="A picture of Calotype's, A1111's or ComfyUI's.")],
    out: Annotated[Path, typer.Option("-o", "--output", help="A folder, or a file name that ends in .png.")] = Path(
        "out"
    ),
    model: Annotated[Path | None, typer.Option(help="The model, if it is not the embedded one.")] = None,
    vae: Annotated[Path | None, typer.Option(help=runs.VAE)] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; without it, as many as then.")] = None,
) -> None:
    """Make a picture again. What another program's picture asks for and Calotype cannot give is listed.

    Example: calotype again out/00000-7.png -o again.png
    """
    from calotype.api import EMBEDDED
    from calotype.imaging.provenance import read_provenance

    found = read_provenance(png)
    for line in found.not_honoured:
        typer.echo(f"not honoured: {line}", err=True)
    (path,) = output.paths(out, [found.recipe.seed])
    parts = [vae] if vae else []
    if model is None and (record := found.record):
        model = runs.embedded(record.model, record.model_hash, parts)
    studio = runs.studio_of(found.record, model or EMBEDDED, parts, threads)
    with runs.shown(found.recipe.steps) as watched:
        studio.develop(found.recipe, watched(studio.states(found.recipe))).save(path)
    typer.echo(path)
