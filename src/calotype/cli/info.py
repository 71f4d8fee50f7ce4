"""``calotype info PATH``: what a file or folder is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from calotype.cli.terminal import printable

if TYPE_CHECKING:
    from calotype.checkpoints.hashes import Progress
    from calotype.checkpoints.info import Info


def info(
    path: Annotated[str, typer.Argument(help="A file, a folder, or the name of a model in the hub's cache.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    hashes: Annotated[
        bool, typer.Option("--hash", help="Add the hashes that A1111 shows; reads the whole file.")
    ] = False,
) -> None:
    """Say what a file or folder is: which model, its networks, what else is needed to run it.

    Example: calotype info v1-5-pruned-emaonly.safetensors --hash
    """
    from calotype.checkpoints import info as reading
    from calotype.checkpoints.hub import located

    about = reading.describe(located(path))
    found = _hashes(about) if hashes else {}
    typer.echo(reading.as_json(about, **found) if as_json else "\n".join(map(printable, _lines(about, found))))


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
