"""``calotype verify PNG...``: whether pictures are what their records say, bit by bit."""

from pathlib import Path
from typing import Annotated

import typer

from calotype.cli import models, progress, remaking
from calotype.cli.asking import MODEL


def verify(
    pngs: Annotated[list[Path], typer.Argument(metavar="PNG...", help="Pictures of Calotype's.")],
    model: Annotated[Path | None, typer.Option(help=MODEL)] = None,
    vae: Annotated[Path | None, typer.Option(help=models.VAE)] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; without it, as many as then.")] = None,
) -> None:
    """Make pictures again and compare. Status 0: equal; 1: one differs, with the likely cause; 2: it cannot be told.

    Example: calotype verify out/00000-7.png
    """
    remaking.check(pngs)
    reader = models.Reader(model, [vae] if vae else [], threads)
    raise remaking.each(pngs, lambda png: _verify(png, reader))


def _verify(png: Path, reader: models.Reader) -> int:
    from PIL import Image

    from calotype.imaging.comparison import compare
    from calotype.imaging.png import read_record

    record = read_record(png)
    studio = reader.studio(record)
    with progress.shown(len(record.digests)) as watched:
        again = studio.develop(record.recipe, watched(studio.states(record.recipe)))
    with Image.open(png) as image:
        verdict = compare(image, record, again)
    typer.echo(f"{png}: {verdict}")
    return 0 if verdict.equal else 1
