"""Progress of what has stages: a bar for each."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from calotype.lab.progress import Progress as Stage


def show(stages: "Iterable[Stage]") -> None:
    """Go through the stages to their end, drawing a bar for each."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bars = {}
        for stage in stages:
            if stage.stage not in bars:
                bars[stage.stage] = progress.add_task(stage.stage)
            progress.update(bars[stage.stage], completed=stage.done, total=stage.total)
