"""``calotype convert IN OUT``: the same model in another layout."""

from pathlib import Path
from typing import Annotated

import typer

from calotype.cli.models import torch_dtype
from calotype.configs import ReadOptions
from calotype.errors import CalotypeError
from calotype.files import is_there

_LAYOUTS = ("diffusers", "ldm")


def convert(
    source: Annotated[str, typer.Argument(metavar="IN", help="A model: file, folder, or name in the hub's cache.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="Where it goes: a new folder or .safetensors file.")],
    layout: Annotated[str, typer.Option(help="diffusers (a folder) or ldm (one file, as A1111 and ComfyUI read).")],
    dtype: Annotated[str, typer.Option(help="The numbers' type: fp16, bf16 or fp32.")] = "fp16",
    ema: Annotated[bool, typer.Option(help="Take the running averages, where a file holds them.")] = False,
) -> None:
    """Write a model in another layout: the same tensors under other names.

    Example: calotype convert sd15.ckpt sd15 --layout diffusers
    """
    if layout not in _LAYOUTS:
        raise CalotypeError(f"unknown layout {layout!r}: choose diffusers or ldm.")
    if layout == "ldm" and target.suffix != ".safetensors":
        raise CalotypeError(f"cannot write {target}: name a file that ends in .safetensors.")
    if is_there(target):
        raise CalotypeError(
            f"{target} is there already, and nothing is written over: name another, or remove it first."
        )
    numbers = torch_dtype(dtype)
    assert numbers is not None

    from calotype.checkpoints import convert as converting
    from calotype.checkpoints.hub import located
    from calotype.checkpoints.opening import open_checkpoint

    checkpoint = open_checkpoint(located(source), ReadOptions(ema))
    converting.convert(checkpoint, target, layout, numbers)
    typer.echo(target)
