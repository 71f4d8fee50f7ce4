"""``calotype train RUN.toml``: one stage of training, resumed where it was left."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from calotype.errors import CalotypeError
from calotype.training import runs
from calotype.training.loop import Metrics


def train(
    run: Annotated[Path, typer.Argument(help="The run file, for instance runs/embedded/vae.toml.")],
    device: Annotated[str | None, typer.Option(help="A torch device. Without it: a GPU if there is one.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start again instead of going on.")] = False,
) -> None:
    """Train one stage from its run file. Ctrl-C saves and stops; the same command goes on."""
    last = _show(run.stem, runs.start(run, device, fresh))
    if last is not None and last.step < last.steps:
        typer.echo(f"Stopped at step {last.step} of {last.steps}. Everything is saved: the same command goes on.")


def _show(name: str, steps: Iterator[Metrics]) -> Metrics | None:
    """Draw the progress of ``steps`` to their end, and return the last."""
    columns: list[ProgressColumn] = [
        TextColumn(name),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
    ]
    columns += [TimeElapsedColumn(), TimeRemainingColumn(elapsed_when_finished=True)]
    last, loss, lasting = None, 0.0, {}
    with Progress(*columns, refresh_per_second=2, speed_estimate_period=120) as progress:
        bar = progress.add_task(name, total=None, figures="")
        for metrics in steps:
            if last is None:
                progress.reset(bar, total=metrics.steps, completed=metrics.step - 1)
                began, loss = metrics, metrics.loss
            last, loss = metrics, 0.98 * loss + 0.02 * metrics.loss
            lasting |= metrics.parts
            elapsed = progress.tasks[0].elapsed or 0
            rate = (metrics.samples - began.samples) / elapsed if elapsed else 0
            figures = [f"loss {loss:.4f}", f"{rate:.1f}/s", *(f"{key} {value:.3g}" for key, value in lasting.items())]
            progress.update(bar, completed=metrics.step, figures=", ".join(figures))
    return last


if __name__ == "__main__":
    app = typer.Typer(add_completion=False)
    app.command()(train)
    try:
        app()
    except CalotypeError as error:
        typer.echo(str(error), err=True)
        raise SystemExit(2) from error
