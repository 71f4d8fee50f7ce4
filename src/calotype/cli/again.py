"""``calotype again PICTURE...``: pictures made once more from what they say of themselves."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calotype.cli import models, output, progress, remaking
from calotype.cli.asking import MODEL
from calotype.cli.terminal import printable
from calotype.errors import CalotypeError

if TYPE_CHECKING:
    from calotype.api import Studio
    from calotype.imaging.provenance import Provenance


def again(
    pictures: Annotated[
        list[Path], typer.Argument(metavar="PICTURE...", help="Pictures of Calotype's, A1111's or ComfyUI's.")
    ],
    out: Annotated[Path, typer.Option("-o", "--output", help="A folder, or a file name that ends in .png.")] = Path(
        "out"
    ),
    model: Annotated[Path | None, typer.Option(help=MODEL)] = None,
    vae: Annotated[Path | None, typer.Option(help=models.VAE)] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; without it, as many as then.")] = None,
) -> None:
    """Make pictures again. What another program's picture asks for and Calotype cannot give is listed.

    Example: calotype again out/00000-7.png -o again.png
    """
    remaking.check(pictures)
    if len(pictures) > 1 and output.is_file(out):
        raise CalotypeError(f"cannot write {len(pictures)} pictures to the file {out}: name a folder with -o.")
    reader = models.Reader(model, [vae] if vae else [], threads)
    raise remaking.each(pictures, lambda picture: _again(picture, out, reader))


def _again(picture: Path, out: Path, reader: models.Reader) -> int:
    from calotype.imaging.provenance import read_provenance
    from calotype.pipeline import planned

    found = read_provenance(picture)
    (path,) = output.paths(out, [found.recipe])
    _list(picture, found.not_honoured)  # before a model is asked for: it may decide whether one is looked for
    studio = reader.studio(found)
    fitted = found.fitted(studio.config)
    _list(picture, (*fitted.not_honoured[len(found.not_honoured) :], *_other_model(fitted, studio)))
    with progress.shown(planned(studio, fitted.recipe)) as watched:
        studio.develop(fitted.recipe, watched(studio.states(fitted.recipe))).save(path)
    typer.echo(path)
    return 0


def _list(picture: Path, lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(printable(f"{picture}: not honoured: {line}"), err=True)


def _other_model(found: "Provenance", studio: "Studio") -> Iterator[str]:
    """A line if the picture tells the hash of another model; other programs' is that of the checkpoint alone."""
    from calotype.checkpoints.hashes import files_hash

    digest = studio.hash if found.record else files_hash(studio.files[:1])
    if not digest.startswith(found.model_hash):
        yield f"the model {found.model} (sha256 {found.model_hash[:10]}): this one is {digest[:10]}"
