"""``calotype info PATH``: what a file or folder is, and what a picture says of its making."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calotype.cli.terminal import printable
from calotype.errors import CalotypeError
from calotype.files import EMBEDDED

if TYPE_CHECKING:
    from calotype.checkpoints.hashes import Progress
    from calotype.checkpoints.info import Info
    from calotype.imaging.provenance import Provenance

_ALWAYS = ("seed", "steps", "sampler", "scheduler", "cfg_scale", "width", "height")
"""Fields of a picture's recipe that are shown though their value is the usual one."""


def info(
    path: Annotated[
        str | None,
        typer.Argument(
            help="A file, a folder, a picture, or the name of a model in the hub's cache. Without it: the embedded one."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    hashes: Annotated[
        bool, typer.Option("--hash", help="Add the hashes that A1111 shows; reads the whole file.")
    ] = False,
) -> None:
    """Say what a file or folder is: which model, its networks, what else is needed to run it.

    Of a picture of Calotype's, A1111's or ComfyUI's: its recipe, its model, and what of it cannot be honoured.

    Example: calotype info v1-5-pruned-emaonly.safetensors --hash
    """
    from calotype.checkpoints import info as reading
    from calotype.checkpoints.hub import located
    from calotype.imaging.provenance import read_provenance
    from calotype.imaging.reading import is_picture

    place = EMBEDDED if path is None else located(path)
    if is_picture(place):
        if hashes:
            raise CalotypeError(f"{place} is a picture: leave out --hash, which is for models.")
        made = read_provenance(place)
        answer, lines = _as_json(place, made), _lines_of_picture(place, made)
    else:
        about = reading.describe(place)
        found = _hashes(about) if hashes else {}
        answer, lines = reading.as_json(about, **found), _lines(about, found)
    typer.echo(answer if as_json else "\n".join(map(printable, lines)))


def _as_json(path: Path, made: "Provenance") -> str:
    recipe = made.recipe.model_dump(mode="json", exclude_unset=True)
    about = {"model": made.model, "model_hash": made.model_hash, "recipe": recipe, "not_honoured": made.not_honoured}
    return json.dumps({"path": str(path), "kind": _kind(made), **about}, indent=2)


def _kind(made: "Provenance") -> str:
    return "a picture of Calotype's" if made.record else "a picture of another program's"


def _lines_of_picture(path: Path, made: "Provenance") -> Iterator[str]:
    yield f"{path}: {_kind(made)}"
    asked = made.recipe.model_dump(exclude_unset=True)
    unusual = made.recipe.model_dump(exclude_defaults=True)
    rows = {name: value for name, value in asked.items() if name in unusual or name in _ALWAYS}
    rows |= {"model": made.model, "sha256": made.model_hash}
    for name, value in rows.items():
        if value not in (None, ""):
            yield f"  {name}: {'inside the recipe' if str(value).startswith('data:') else value}"
    yield from (f"  not honoured: {line}" for line in made.not_honoured)


def _hashes(about: "Info") -> dict[str, str]:
    from calotype.checkpoints import hashes

    with _progress() as progress:
        if about.path.is_dir():
            return {"sha256": hashes.folder_hash(about.path)}
        sha256 = hashes.file_hash(about.path, progress)
        found = {"sha256": sha256, "hash (AutoV2)": sha256[:10]}
        if "LoRA" in about.kind and about.format == "safetensors":
            found["LoRA hash (AutoV3)"] = hashes.lora_hash(about.path, progress)
        return found


@contextmanager
def _progress() -> Iterator["Progress"]:
    from rich.console import Console
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("counting", total=None)
        yield lambda done, size: bar.update(task, completed=done, total=size)


def _lines(about: "Info", hashes: dict[str, str]) -> Iterator[str]:
    yield f"{about.path}: {about.kind}"
    rows = {
        "format": about.format,
        "family": about.family,
        "predicts": about.parameterization + (", to pure noise (ztsnr)" if about.zero_terminal_snr else ""),
        "sampler": about.sampler,
    }
    rows |= {
        name: f"{network.parameters / 1e6:,.1f} million parameters, {' '.join(network.dtypes)}"
        for name, network in about.networks.items()
    }
    rows |= {"needs": "; ".join(about.needs)} | dict(about.licence) | hashes
    rows |= {key: value for key, value in about.metadata.items() if key not in about.licence}
    for key, value in rows.items():
        if value:
            yield f"  {key}: {value if len(value) < 200 else value[:200] + ' ...'}"
    yield from (f"  not honoured: {line}" for line in about.not_honoured)
