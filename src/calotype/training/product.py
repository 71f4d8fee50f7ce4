"""The product of a run: what the later stages and the export take from it."""

from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import nn

from calotype.errors import CalotypeError
from calotype.files import damage_told, written_whole
from calotype.training.run_file import TaskName, run_dir


def path(stage: TaskName, name: str) -> Path:
    """Where the product of run ``name`` of that stage lies."""
    return run_dir(name) / ("merges.txt" if stage == "tokenizer" else "weights.safetensors")


def save(name: str, module: nn.Module) -> None:
    """Write the network that later stages and the export take from run ``name``."""
    with written_whole(run_dir(name) / "weights.safetensors") as temporary:
        save_file({key: value.detach().cpu().contiguous() for key, value in module.state_dict().items()}, temporary)


def load(name: str, module: nn.Module) -> None:
    """Fill ``module`` with what run ``name`` has made; CalotypeError when it has made nothing, or another network."""
    weights = run_dir(name) / "weights.safetensors"
    try:
        with damage_told(weights, f"train run {name!r} again"):
            module.load_state_dict(load_file(weights))
    except FileNotFoundError as error:
        raise CalotypeError(
            f"run {name!r} has no weights yet: train it first, with its file in runs/embedded."
        ) from error
