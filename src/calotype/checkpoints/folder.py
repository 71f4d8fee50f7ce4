"""The diffusers folder, in which Stable Diffusion is published: read into networks, and written from them."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from calotype.checkpoints.keys import Names, canonical, text_names, to_theirs, unet_names, vae_names
from calotype.checkpoints.settings import read_model, tokenizer_settings, write_model
from calotype.configs import ModelConfig
from calotype.errors import CalotypeError
from calotype.nn.clip import TextEncoder
from calotype.nn.unet import UNet
from calotype.nn.vae import Autoencoder

_INDEX = "model_index.json"
_SETTINGS = {
    "index": _INDEX,
    "text_encoder": "text_encoder/config.json",
    "text_encoder_2": "text_encoder_2/config.json",
    "vae": "vae/config.json",
    "unet": "unet/config.json",
    "scheduler": "scheduler/scheduler_config.json",
}
_SUFFIXES = ("", "_2")
"""Of the folders of SDXL's first and second text encoder."""


@dataclass(frozen=True)
class Networks:
    """The networks of one Stable Diffusion."""

    text: tuple[TextEncoder, ...]
    vae: Autoencoder
    unet: UNet


@dataclass(frozen=True)
class Checkpoint:
    """A model on disk: where it lies, and what it is. Nothing is loaded yet."""

    path: Path
    config: ModelConfig

    @property
    def tokenizers(self) -> tuple[Path, ...]:
        """The folder of each text encoder's tokenizer."""
        return tuple(self.path / f"tokenizer{suffix}" for suffix in _SUFFIXES[: len(self.config.text)])


def read_folder(path: Path) -> Checkpoint:
    """The model in the diffusers folder at ``path``, named after the folder; only its json files are read.

    Raises CalotypeError if a file is missing or damaged, or the model is of a kind the networks do not know.
    """
    path = Path(path)
    if not (path / _INDEX).is_file():
        raise CalotypeError(f"{path} is not a model folder: it has no {_INDEX}. Give the folder that holds that file.")
    index = _read_json(path / _INDEX)
    needed = [component for component in _SETTINGS if component != "text_encoder_2" or component in index]
    files = {component: _read_json(path / _SETTINGS[component]) for component in needed}
    return Checkpoint(path, read_model(files, name=path.resolve().name))


def load_networks(
    checkpoint: Checkpoint, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> Networks:
    """The checkpoint's networks, every parameter taken from its files, every parameter in its files taken.

    Raises CalotypeError naming the file if it is damaged, and the keys that are missing, unknown or of another shape.
    """
    path, config = checkpoint.path, checkpoint.config
    with _NoInitialisers(), torch.device("meta"):
        text = [TextEncoder(text_config) for text_config in config.text]
        vae, unet = Autoencoder(config.vae), UNet(config.unet)
    for encoder, suffix in zip(text, _SUFFIXES, strict=False):
        _fill(encoder, text_names(encoder.config), _weights(path / f"text_encoder{suffix}", "model"), dtype, device)
    _fill(vae, vae_names(config.vae), _weights(path / "vae", "diffusion_pytorch_model"), dtype, device)
    _fill(unet, unet_names(config.unet), _weights(path / "unet", "diffusion_pytorch_model"), dtype, device)
    return Networks(tuple(text), vae, unet)


def write_folder(
    path: Path,
    config: ModelConfig,
    networks: Networks,
    tokenizer_files: Mapping[str, str],
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write a model as the folder that ``diffusers.StableDiffusionPipeline.from_pretrained(path)`` opens.

    ``tokenizer_files`` holds the text of vocab.json and merges.txt by file name. The folder appears whole or not at
    all; a model that was there is replaced, but the files beside its model_index.json (its card) are kept. Raises
    CalotypeError if ``path`` holds anything else, cannot be written, or ``dtype`` cannot hold a weight.
    """
    parts = (*(encoder.config for encoder in networks.text), networks.vae.config, networks.unet.config)
    assert parts == (*config.text, config.vae, config.unet), "these networks are of another configuration"
    settings = write_model(config)
    if read_model(settings, config.name) != config:
        raise CalotypeError(
            f"cannot write model {config.name}: diffusers' json files have no words for its configuration."
        )
    with _whole_folder(Path(path)) as folder:
        for component, content in settings.items():
            _write_json(folder / _SETTINGS[component], content)
        for i, (encoder, suffix) in enumerate(zip(networks.text, _SUFFIXES, strict=False)):
            _save(encoder, text_names(encoder.config), folder / f"text_encoder{suffix}/model.safetensors", dtype)
            tokenizer = folder / f"tokenizer{suffix}"
            for name, content in tokenizer_settings(encoder.config, second=i == 1).items():
                _write_json(tokenizer / name, content)
            for name, text in tokenizer_files.items():
                (tokenizer / name).write_text(text, encoding="utf-8")
        _save(networks.vae, vae_names(config.vae), folder / "vae/diffusion_pytorch_model.safetensors", dtype)
        _save(networks.unet, unet_names(config.unet), folder / "unet/diffusion_pytorch_model.safetensors", dtype)


class _NoInitialisers(TorchFunctionMode):
    """Leaves new parameters as they are: on ``meta`` torch would import its compiler to fill nothing, for a second."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return None if getattr(func, "__module__", "") == "torch.nn.init" else func(*args, **(kwargs or {}))


def _weights(folder: Path, stem: str) -> Path:
    for name in (f"{stem}.safetensors", f"{stem}.fp16.safetensors"):
        if (folder / name).is_file():
            return folder / name
    raise CalotypeError(
        f"{folder} has no {stem}.safetensors. Fetch the model in the safetensors format; no other is opened, "
        "since pickled files can run code."
    )


def _fill(network: nn.Module, names: Names, path: Path, dtype: torch.dtype, device: torch.device | str) -> None:
    """Give ``network``, built on ``meta``, the parameters in the file at ``path``: each exactly once."""
    wanted = {to_theirs(key, names): (key, tensor.shape) for key, tensor in network.state_dict().items()}
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            found = {spelled: key for key, spelled in canonical(file.keys()).items()}
            _compare(path, "lacks", wanted.keys() - found.keys())
            _compare(path, "has unknown", found.keys() - wanted.keys())
            state = {key: file.get_tensor(found[theirs]).to(dtype) for theirs, (key, _) in wanted.items()}
    except (SafetensorError, OSError) as error:
        raise CalotypeError(f"{path} is damaged or cut short ({error}). Fetch or train it again.") from error
    _compare(
        path, "has wrong shapes for", {theirs for theirs, (key, shape) in wanted.items() if state[key].shape != shape}
    )
    network.load_state_dict(state, assign=True)


def _compare(path: Path, complaint: str, keys: set[str]) -> None:
    if keys:
        shown = ", ".join(sorted(keys)[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
        raise CalotypeError(f"{path} {complaint} weights {shown}: it does not fit the config.json beside it.")


def _save(network: nn.Module, names: Names, path: Path, dtype: torch.dtype) -> None:
    tensors: dict[str, Tensor] = {}
    for key, tensor in network.state_dict().items():
        tensors[to_theirs(key, names)] = stored = tensor.detach().to("cpu", dtype).contiguous()
        if not stored.isfinite().all():
            raise CalotypeError(f"cannot write {path}: weight {key} is not finite in {dtype}. Choose a wider dtype.")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata={"format": "pt"})


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CalotypeError(f"cannot read {path}: {error.strerror or error}. Fetch the model again.") from error
    except ValueError as error:
        raise CalotypeError(f"{path} is damaged: it is not JSON ({error}). Fetch the model again.") from error
    if not isinstance(content, dict):
        raise CalotypeError(f"{path} is damaged: it holds no JSON object. Fetch the model again.")
    return content


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


@contextmanager
def _whole_folder(path: Path) -> Iterator[Path]:
    """A new folder beside ``path`` that takes its place when the block ends well, and vanishes when it does not."""
    if path.exists() and not (path / _INDEX).is_file() and (not path.is_dir() or any(path.iterdir())):
        raise CalotypeError(f"cannot write a model to {path}: something else is there. Choose another place.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as scratch:
            new = Path(scratch, "new")
            new.mkdir()
            yield new
            if path.exists():
                for card in path.iterdir():
                    if card.is_file() and card.name != _INDEX:
                        shutil.copy2(card, new)
                path.replace(Path(scratch, "old"))
            new.replace(path)
    except (OSError, SafetensorError) as error:
        raise CalotypeError(f"cannot write {path}: {error}. Choose another place or make room.") from error
