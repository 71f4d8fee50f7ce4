"""The diffusers folder, in which Stable Diffusion is published: read into networks, and written from them."""

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from calotype.checkpoints.checkpoint import Checkpoint, Source
from calotype.checkpoints.json_files import read_json, write_json
from calotype.checkpoints.keys import Names, regular, text_names, unet_names, vae_names
from calotype.checkpoints.scheduler_settings import not_honoured, read_sampler
from calotype.checkpoints.settings import (
    check_pipeline,
    encoder_folders,
    read_model,
    text_encoders,
    tokenizer_settings,
    write_model,
)
from calotype.checkpoints.sniff import open_file
from calotype.checkpoints.stored import Weights
from calotype.configs import ModelConfig
from calotype.errors import CalotypeError
from calotype.files import is_there, new_file

if TYPE_CHECKING:
    import torch
    from torch import nn

    from calotype.checkpoints.networks import Networks

_INDEX = "model_index.json"
_SETTINGS = {
    "index": _INDEX,
    "text_encoder": "text_encoder/config.json",
    "text_encoder_2": "text_encoder_2/config.json",
    "vae": "vae/config.json",
    "unet": "unet/config.json",
    "scheduler": "scheduler/scheduler_config.json",
}


def read_folder(path: Path) -> Checkpoint:
    """The model in the diffusers folder at ``path``, named after the folder; of its weights only headers are read.

    Raises CalotypeError if a file is missing or damaged, or the model is of a kind the networks do not know.
    """
    path = Path(path)
    if not (path / _INDEX).is_file():
        raise _no_model_folder(path)
    name, index = path.absolute().name, read_json(path / _INDEX)
    check_pipeline(index, name)
    encoders = text_encoders(index)
    needed = ["index", *encoders, "vae", "unet", "scheduler"]
    files = {component: read_json(path / _SETTINGS[component]) for component in needed}
    config = read_model(files, name)
    sampler, scheduler = read_sampler(files["scheduler"])
    return Checkpoint(
        path,
        "diffusers folder",
        config,
        tuple(
            _source(path / encoder, "model", text_names(text))
            for encoder, text in zip(encoders, config.text, strict=True)
        ),
        _source(path / "vae", "diffusion_pytorch_model", vae_names(config.vae)),
        _source(path / "unet", "diffusion_pytorch_model", unet_names(config.unet)),
        tokenizers=tuple(path / encoder.replace("text_encoder", "tokenizer") for encoder in encoders),
        sampler=sampler,
        scheduler=scheduler,
        not_honoured=not_honoured(files["scheduler"]),
    )


def _no_model_folder(path: Path) -> CalotypeError:
    singles = sorted(file.name for file in path.glob("*") if file.suffix in (".safetensors", ".ckpt"))
    instead = f", or one of the files in it: {', '.join(singles[:3])}{' ...' * (len(singles) > 3)}" if singles else ""
    return CalotypeError(
        f"{path} is not a model folder: it has no {_INDEX}. Give the folder that holds that file{instead}."
    )


def write_folder(
    path: Path,
    config: ModelConfig,
    networks: "Networks",
    tokenizer_files: Mapping[str, str],
    dtype: "torch.dtype | None" = None,
    sampler: str = "",
    scheduler: str = "",
    beside: Mapping[str, str] | None = None,
) -> None:
    """Write a model as the folder that ``diffusers.StableDiffusionPipeline.from_pretrained(path)`` opens, in float16.

    ``tokenizer_files`` holds the text of vocab.json and merges.txt by file name; ``sampler`` and ``scheduler`` are its
    publisher's, if one is known; ``beside`` is the text of files that go beside model_index.json, by name. The folder
    appears whole or not at all; a model that was there is replaced, but other files beside its model_index.json (its
    card) are kept. Raises CalotypeError if ``path`` holds anything else, cannot be written, or ``dtype`` cannot hold a
    weight.
    """
    parts = (*(encoder.config for encoder in networks.text), networks.vae.config, networks.unet.config)
    assert parts == (*config.text, config.vae, config.unet), "these networks are of another configuration"
    settings = write_model(config, sampler, scheduler)
    if read_model(settings, config.name) != config:
        raise CalotypeError(
            f"cannot write model {config.name}: diffusers' json files have no words for its configuration."
        )
    with _whole_folder(Path(path)) as folder:
        for name, text in (beside or {}).items():
            (folder / name).write_text(text, encoding="utf-8")
        for component, content in settings.items():
            write_json(folder / _SETTINGS[component], content)
        for encoder, component in zip(networks.text, encoder_folders(config), strict=True):
            _save(encoder, text_names(encoder.config), folder / component / "model.safetensors", dtype)
            tokenizer = folder / component.replace("text_encoder", "tokenizer")
            for name, content in tokenizer_settings(encoder.config).items():
                write_json(tokenizer / name, content)
            for name, text in tokenizer_files.items():
                (tokenizer / name).write_text(text, encoding="utf-8")
        _save(networks.vae, vae_names(config.vae), folder / "vae/diffusion_pytorch_model.safetensors", dtype)
        _save(networks.unet, unet_names(config.unet), folder / "unet/diffusion_pytorch_model.safetensors", dtype)


def _source(folder: Path, stem: str, names: Names) -> Source:
    path = _weights_file(folder, stem)
    weights: Weights = {}
    for shard in _shards(path) if path.suffix == ".json" else [path]:
        part = open_file(shard).weights
        if twice := part.keys() & weights.keys():
            raise CalotypeError(f"{path} has weights {min(twice)!r} in two files. Fetch the model again.")
        weights |= part
    return Source(path, names, regular(weights))


def _weights_file(folder: Path, stem: str) -> Path:
    """The file of a network's weights, or the index of its shards; the plain one before variants, pickles last."""
    pattern = re.compile(rf"({stem}|pytorch_model)(\.(?!.*-of-)[\w-]+)?\.(safetensors|bin)(\.index(\.\w+)?\.json)?$")
    found = [path for path in folder.iterdir() if pattern.match(path.name)] if folder.is_dir() else []
    if not found:
        raise CalotypeError(f"{folder} has no {stem}.safetensors: a part of the model is missing. Fetch it again.")
    return min(found, key=lambda path: (".bin" in path.name, "non_ema" in path.name, len(path.name), path.name))


def _shards(index: Path) -> list[Path]:
    placed = read_json(index).get("weight_map")
    if not isinstance(placed, dict) or not all(isinstance(name, str) for name in placed.values()):
        raise CalotypeError(f"{index} is damaged: it does not say which file holds which weights. Fetch it again.")
    names = sorted(set(placed.values()))
    if any(name in ("", "..") or Path(name).name != name for name in names):
        raise CalotypeError(f"{index} points to files outside its folder: do not trust where it came from.")
    return [index.with_name(name) for name in names]


def _save(network: "nn.Module", names: Names, path: Path, dtype: "torch.dtype | None") -> None:
    import torch  # reading needs none, and `calotype info` answers before it would be imported
    from safetensors.torch import save_file

    from calotype.checkpoints.networks import renamed

    tensors = renamed(network, names, dtype or torch.float16)
    path.parent.mkdir(parents=True, exist_ok=True)
    with new_file(path):
        save_file(tensors, path, metadata={"format": "pt"})


@contextmanager
def _whole_folder(path: Path) -> Iterator[Path]:
    """A new folder beside ``path`` that takes its place when the block ends well, and vanishes when it does not."""
    if is_there(path) and not (path / _INDEX).is_file() and (not path.is_dir() or any(path.iterdir())):
        raise CalotypeError(f"cannot write a model to {path}: something else is there. Choose another place.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as scratch:
            new = Path(scratch, "new")
            new.mkdir()
            yield new
            if path.exists():
                for card in path.iterdir():
                    if card.is_file() and not (new / card.name).exists():
                        shutil.copy2(card, new)
                path.replace(Path(scratch, "old"))
            new.replace(path)
    except (OSError, SafetensorError) as error:
        raise CalotypeError(f"cannot write {path}: {error}. Choose another place or make room.") from error
