"""``calotype train RUN.toml``: one stage of training, resumed where it was left."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column

from calotype.cli.asking import DEVICE

if TYPE_CHECKING:
    from calotype.training.loop import Metrics


def train(
    run: Annotated[Path, typer.Argument(help="The run file, for instance runs/embedded/vae.toml.")],
    device: Annotated[str | None, typer.Option(help=DEVICE)] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start again instead of going on.")] = False,
) -> None:
    """Train one stage from its run file. Ctrl-C saves and stops; the same command goes on.

    Example: calotype train runs/embedded/vae.toml
    """
    from calotype.training.run_file import read

    read(run)  # what is wrong with it is told before torch is imported

    from calotype.training import trainer

    steps = trainer.start(run, device, fresh)
    first = next(steps, None)  # until there is one, the stages without steps and the latent cache show their own bars
    if first is None:
        typer.echo(f"{run.stem}: done, nothing is left to train.")
        return
    last = _show(run.stem, first, steps)
    if last.step < last.steps:
        typer.echo(f"Stopped at step {last.step} of {last.steps}. Everything is saved: the same command goes on.")


def _show(name: str, first: "Metrics", rest: "Iterator[Metrics]") -> "Metrics":
    """Draw the progress of the steps to their end, and return the last. What was measured last stays on show."""
    figures_column = TextColumn("{task.fields[shown]}", table_column=Column(ratio=1, no_wrap=True))
    bar_columns = (TextColumn(name), BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    last, loss, figures = first, first.loss, dict(first.parts)
    with Progress(
        *bar_columns, figures_column, console=Console(), expand=True, refresh_per_second=2, speed_estimate_period=120
    ) as bar:  # expanded, so that the figures, and not the bar, have less room on a narrow terminal
        task = bar.add_task(name, total=first.steps, completed=first.step - 1, shown="")
        for metrics in chain([first], rest):
            last, loss = metrics, 0.98 * loss + 0.02 * metrics.loss
            figures |= metrics.parts
            rate = (metrics.samples - first.samples) / max(1e-9, bar.tasks[0].elapsed or 0)
            shown = [f"loss {loss:.4f}", f"{rate:.0f}/s", *(f"{key} {value:.3g}" for key, value in figures.items())]
            bar.update(task, completed=metrics.step, shown="  ".join(shown))
    return last
