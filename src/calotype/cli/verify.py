"""``calotype verify PNG``: whether a picture is what its record says, bit by bit."""

from pathlib import Path
from typing import Annotated

import typer

from calotype.cli import models, progress
from calotype.cli.asking import MODEL


def verify(
    png: Annotated[Path, typer.Argument(help="A picture of Calotype's.")],
    model: Annotated[Path | None, typer.Option(help=MODEL)] = None,
    vae: Annotated[Path | None, typer.Option(help=models.VAE)] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; without it, as many as then.")] = None,
) -> None:
    """Make a picture again and compare. Status 0: equal; 1: it differs, with the likely cause; 2: it cannot be told.

    Example: calotype verify out/00000-7.png
    """
    from PIL import Image

    from calotype.imaging.comparison import compare
    from calotype.imaging.png import read_record

    record = read_record(png)
    studio = models.studio_of(record, model, [vae] if vae else [], threads)
    with progress.shown(len(record.digests)) as watched:
        again = studio.develop(record.recipe, watched(studio.states(record.recipe)))
    with Image.open(png) as image:
        verdict = compare(image, record, again)
    typer.echo(f"{png}: {verdict}")
    raise typer.Exit(0 if verdict.equal else 1)
