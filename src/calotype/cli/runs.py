"""What the commands that make pictures share: the bar they show, and the file in which a run can be taken up."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from calotype.cli.asking import torch_dtype
from calotype.errors import CalotypeError
from calotype.files import is_there
from calotype.recipe import Recipe, Record

if TYPE_CHECKING:
    from calotype.api import Studio
    from calotype.imaging.provenance import Provenance
    from calotype.pipeline import RunState

State = TypeVar("State")

VAE = "The file that its autoencoder came from, where that was not the model's own."
"""What ``--vae`` takes where a picture is made again."""


@contextmanager
def shown(total: int) -> Iterator[Callable[[Iterable[State]], Iterator[State]]]:
    """A bar of ``total`` steps on a terminal, moved by the states that pass through what this gives."""
    console = Console(stderr=True)
    columns = (TextColumn("developing"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=total)

        def watched(states: Iterable[State]) -> Iterator[State]:
            for state in states:
                progress.advance(bar)
                yield state

        yield watched


def kept(
    studio: "Studio", recipe: Recipe, states: "Iterable[RunState]", picture: Path, every: int
) -> "Iterator[RunState]":
    """The ``states``, of which that after each ``every`` steps is written beside the ``picture``; none for 0."""
    from calotype.pipeline import save_run

    for state in states:
        if every and len(state.digests) % every == 0:
            save_run(place(picture), studio.with_refiner(recipe), recipe, state, picture)
        yield state


def begun(studio: "Studio", recipe: Recipe, picture: Path) -> "list[RunState]":
    """The state that is kept beside the ``picture``, if a run of its recipe from there on ends in the same bytes."""
    from calotype.pipeline import read_run, settle

    if not is_there(place(picture)):
        return []
    model = studio.with_refiner(recipe)
    try:
        run = read_run(place(picture), str(studio.device))
        same = run.record.recipe == settle(model, recipe) and not run.check(model)
    except CalotypeError:  # damaged, or of another model or other pictures to begin with
        return []
    return [run.state] if same else []


def place(picture: Path) -> Path:
    """Where the run of a picture is kept."""
    return picture.with_suffix(".run.safetensors")


def studio_of(made: "Record | Provenance", model: Path | None, parts: Sequence[Path], threads: int | None) -> "Studio":
    """The model to make a picture again with: read as its record tells, with the dtype, device and threads there.

    It is on the CPU where there is no such device. Without a ``model`` the picture's must be the embedded one.
    ``parts`` take the places of its own networks. Raises CalotypeError.
    """
    import torch

    from calotype import api

    record = made if isinstance(made, Record) else made.record
    model = model or embedded(made.model, made.model_hash, parts)
    threads = threads or (record.threads if record else None)
    if threads is not None:
        torch.set_num_threads(threads)
    if record:
        studio = api.load(model, _there(record.device), torch_dtype(record.dtype), **asdict(record.choices))
    else:
        studio = api.load(model, None)
    for part in parts:
        studio = studio.with_part(part)
    return studio


def embedded(name: str, sha256: str, parts: Sequence[Path]) -> Path:
    """Where the embedded model is, if a picture's model of this ``name`` was that one, with ``parts`` put in.

    Of ``sha256`` the first digits are enough. Raises CalotypeError for any other: it has to be named.
    """
    from calotype.api import EMBEDDED
    from calotype.checkpoints.hashes import files_hash

    if sha256 and files_hash([EMBEDDED, *parts]).startswith(sha256):
        return EMBEDDED
    model = f"{name or 'a model it does not name'}{f' (sha256 {sha256[:10]})' if sha256 else ''}"
    raise CalotypeError(
        f"the picture was made with {model}: say where it is with --model, "
        "and where its autoencoder is with --vae if it had another."
    )


def _there(device: str) -> str:
    from calotype.nn.hardware import usable

    try:
        return str(usable(device))
    except CalotypeError:
        return "cpu"
