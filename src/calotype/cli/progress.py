"""Progress of pictures: one bar of their steps."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from calotype.pipeline import RunState


@contextmanager
def shown(total: int) -> "Iterator[Callable[[Iterable[RunState]], Iterator[RunState]]]":
    """A bar of ``total`` steps on a terminal, moved by the states that pass through what this gives.

    The first of them moves it by the steps before it, too: a run may have begun elsewhere.
    """
    console = Console(stderr=True)
    columns = (TextColumn("developing"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=total)

        def watched(states: "Iterable[RunState]") -> "Iterator[RunState]":
            done = 0
            for state in states:
                progress.advance(bar, len(state.digests) - done)
                done = len(state.digests)
                yield state

        yield watched
