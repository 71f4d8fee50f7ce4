"""``calotype resume FILE``: a cut run, taken up where it was kept."""

from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from calotype.cli import models, output, progress, saved_runs
from calotype.files import check_readable, is_there


def resume(
    file: Annotated[Path, typer.Argument(help="What --save-state-every wrote: PICTURE.run.safetensors.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--output", help="A folder, or a file name that ends in .png.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="The model, if it is not where it was.")] = None,
    vae: Annotated[Path | None, typer.Option(help=models.VAE)] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; without it, as many as before.")] = None,
    save_state_every: Annotated[int, typer.Option(min=0, help="Keep the run again, every so many steps.")] = 0,
) -> None:
    """Go on with a picture that was interrupted. It ends in the same bytes as if it had never been.

    Example: calotype resume out/00000-7.run.safetensors
    """
    check_readable(file, "kept run")

    from calotype.pipeline import planned, read_run

    run = read_run(file)
    recipe = run.record.recipe
    (path,) = output.paths(out or Path(run.output), [recipe])
    parts = [vae] if vae else list(run.files[1:])
    model = model or next(filter(is_there, run.files[:1]), None)
    studio = models.Reader(model, parts, threads).studio(run.record)
    for line in studio.check_run(run):
        typer.echo(f"warning: {line}: the picture may differ in its last bits.", err=True)
    run = read_run(file, str(studio.device))
    with progress.shown(planned(studio, recipe)) as watched:
        rest = saved_runs.saving(studio, recipe, watched(studio.states(recipe, run.state)), path, save_state_every)
        studio.develop(recipe, chain([run.state], rest)).save(path)
    saved_runs.place(path).unlink(missing_ok=True)
    typer.echo(path)
