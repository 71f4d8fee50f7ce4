"""``calotype again PICTURE``: a picture made once more from what it says of itself."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calotype.cli import models, output, progress
from calotype.cli.asking import MODEL

if TYPE_CHECKING:
    from calotype.api import Studio
    from calotype.imaging.provenance import Provenance


def again(
    picture: Annotated[Path, typer.Argument(help="A picture of Calotype's, A1111's or ComfyUI's.")],
    out: Annotated[Path, typer.Option("-o", "--output", help="A folder, or a file name that ends in .png.")] = Path(
        "out"
    ),
    model: Annotated[Path | None, typer.Option(help=MODEL)] = None,
    vae: Annotated[Path | None, typer.Option(help=models.VAE)] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; without it, as many as then.")] = None,
) -> None:
    """Make a picture again. What another program's picture asks for and Calotype cannot give is listed.

    Example: calotype again out/00000-7.png -o again.png
    """
    from calotype.imaging.provenance import read_provenance
    from calotype.pipeline import planned

    found = read_provenance(picture)
    (path,) = output.paths(out, [found.recipe])
    _list(found.not_honoured)  # before a model is asked for: it may decide whether one is looked for
    studio = models.studio_of(found, model, [vae] if vae else [], threads)
    fitted = found.fitted(studio.config.family)
    _list((*fitted.not_honoured[len(found.not_honoured) :], *_other_model(fitted, studio)))
    with progress.shown(planned(studio, fitted.recipe)) as watched:
        studio.develop(fitted.recipe, watched(studio.states(fitted.recipe))).save(path)
    typer.echo(path)


def _list(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(f"not honoured: {line}", err=True)


def _other_model(found: "Provenance", studio: "Studio") -> Iterator[str]:
    """A line if the picture tells the hash of another model; other programs' is that of the checkpoint alone."""
    from calotype.checkpoints.hashes import files_hash

    digest = studio.hash if found.record else files_hash(studio.files[:1])
    if not digest.startswith(found.model_hash):
        yield f"the model {found.model} (sha256 {found.model_hash[:10]}): this one is {digest[:10]}"
