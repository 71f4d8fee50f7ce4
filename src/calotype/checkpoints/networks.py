"""The networks of a checkpoint: built on ``meta``, then filled from its files, each parameter exactly once."""

import mmap
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from calotype.checkpoints.checkpoint import Checkpoint, Source
from calotype.checkpoints.keys import Names, few, to_theirs
from calotype.checkpoints.stored import ITEM_SIZES, Stored
from calotype.configs import TextConfig, UNetConfig, VaeConfig
from calotype.errors import CalotypeError
from calotype.nn.clip import TextEncoder
from calotype.nn.unet import Added, UNet
from calotype.nn.vae import Autoencoder

DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
}  # fmt: skip
"""The types that weights can be kept in, by safetensors' names."""


_Config = TypeVar("_Config", TextConfig, VaeConfig, UNetConfig)
_Network = TypeVar("_Network", TextEncoder, Autoencoder, UNet)


@dataclass(frozen=True)
class Networks:
    """The networks of one Stable Diffusion."""

    text: tuple[TextEncoder, ...]
    vae: Autoencoder
    unet: UNet


def load_networks(
    checkpoint: Checkpoint, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> Networks:
    """The checkpoint's networks, every parameter taken from its files, every parameter in its files taken.

    Raises CalotypeError naming the file if it is damaged, and the keys that are missing, unknown, of another shape or
    not finite.
    """
    config, files = checkpoint.config, _Files()
    text = tuple(
        _filled(TextEncoder, text_config, source, files, dtype, device)
        for text_config, source in zip(config.text, checkpoint.text, strict=True)
    )
    vae = _filled(Autoencoder, config.vae, checkpoint.vae, files, dtype, device)
    unet = _filled(UNet, config.unet, checkpoint.unet, files, dtype, device)
    return Networks(text, vae, unet)


def renamed(network: nn.Module, names: Names, dtype: torch.dtype) -> dict[str, Tensor]:
    """The network's parameters under the file's names, in memory and in ``dtype``, to be written.

    Raises CalotypeError if that cannot hold one of them.
    """
    tensors: dict[str, Tensor] = {}
    for key, tensor in network.state_dict().items():
        tensors[to_theirs(key, names)] = stored = tensor.detach().to("cpu", dtype).contiguous()
        if not stored.isfinite().all():
            raise CalotypeError(f"cannot write weight {key}: it is not finite in {dtype}. Choose a wider dtype.")
    return tensors


def settled(checkpoint: Checkpoint, unet: UNet) -> Checkpoint:
    """The checkpoint with what its files do not say about its U-Net, found out by asking the U-Net."""
    if not checkpoint.undecided:
        return checkpoint
    return checkpoint.decided("v_prediction" if predicts_v(unet) else "epsilon")


def load_network(
    config: TextConfig | VaeConfig | UNetConfig,
    source: Source,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> TextEncoder | Autoencoder | UNet:
    """One network alone; otherwise as `load_networks`."""
    files = _Files()
    if isinstance(config, TextConfig):
        return _filled(TextEncoder, config, source, files, dtype, device)
    if isinstance(config, VaeConfig):
        return _filled(Autoencoder, config, source, files, dtype, device)
    return _filled(UNet, config, source, files, dtype, device)


@torch.inference_mode()
def predicts_v(unet: UNet) -> bool:
    """Whether a U-Net predicts v rather than the noise, by what it says of pure noise at the last timestep.

    There the noise is nearly all of x, and v nearly the negative of the picture (arXiv 2202.00512, section 4): an
    answer that resembles x is the noise.
    """
    config, weight = unet.config, unet.stem.weight
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, config.in_channels, 16, 16, generator=generator).to(weight)
    context = torch.zeros(1, 77, config.context_dim).to(weight)
    added = None
    if config.added_dim is not None and config.added_time_dim is not None:
        count = min(6, config.added_dim // config.added_time_dim)
        pooled = torch.zeros(1, config.added_dim - count * config.added_time_dim).to(weight)
        added = Added(pooled, torch.full((1, count), 1024.0).to(weight))
    answer = unet(x, torch.tensor([999.0]).to(x.device), context, added).float()
    both = torch.stack([x[:, : config.out_channels].float().flatten(), answer.flatten()])
    return bool(torch.corrcoef(both)[0, 1] < 0.5)


def blank(kind: Callable[[_Config], _Network], config: _Config) -> _Network:
    """A network on ``meta``: all its shapes, and no numbers."""
    with _NoInitialisers(), torch.device("meta"):
        return kind(config)


class _NoInitialisers(TorchFunctionMode):
    """Leaves new parameters as they are: on ``meta`` torch would import its compiler to fill nothing, for a second."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return None if getattr(func, "__module__", "") == "torch.nn.init" else func(*args, **(kwargs or {}))


class _Files:
    """Each file of a checkpoint, mapped into memory once. Pages that were read are given back at once."""

    def __init__(self) -> None:
        self._maps: dict[Path, mmap.mmap] = {}

    def tensor(self, stored: Stored, dtype: torch.dtype, device: torch.device | str) -> Tensor:
        """A copy of a stored tensor in ``dtype``, on ``device``.

        In half precision, convolutions are fast where a pixel's channels lie together; in float32 it is all the same.
        """
        together = dtype != torch.float32 and len(stored.shape) == 4
        layout = torch.channels_last if together else torch.contiguous_format
        target = torch.empty(stored.shape, dtype=dtype, device=device, memory_format=layout)
        if stored.count:
            target.copy_(self._view(stored))
            self._give_back(stored)
        return target

    def _view(self, stored: Stored) -> Tensor:
        if stored.path not in self._maps:
            with stored.path.open("rb") as file:
                # A private mapping, though nobody writes to it: torch warns about memory that cannot be written.
                self._maps[stored.path] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        mapped = self._maps[stored.path]
        if stored.start + stored.span > len(mapped):
            raise OSError("it changed while it was read")
        raw = torch.frombuffer(mapped, dtype=torch.uint8, count=stored.span, offset=stored.start)
        if stored.start % ITEM_SIZES[stored.dtype]:
            raw = raw.clone()
        return raw.view(DTYPES[stored.dtype]).as_strided(stored.shape, stored.strides)

    def _give_back(self, stored: Stored) -> None:
        first = -(-stored.start // mmap.PAGESIZE) * mmap.PAGESIZE
        length = (stored.start + stored.span) // mmap.PAGESIZE * mmap.PAGESIZE - first
        if length > 0 and hasattr(mmap, "MADV_DONTNEED"):
            self._maps[stored.path].madvise(mmap.MADV_DONTNEED, first, length)


def _filled(
    kind: Callable[[_Config], _Network],
    config: _Config,
    source: Source,
    files: _Files,
    dtype: torch.dtype,
    device: torch.device | str,
) -> _Network:
    network = blank(kind, config)
    state = network.state_dict()
    wanted = {to_theirs(key, source.names): key for key in state}
    _complain(source, "lacks", wanted.keys() - source.weights.keys())
    _complain(source, "has unknown", source.weights.keys() - wanted.keys())
    stored = {key: source.weights[theirs] for theirs, key in wanted.items()}
    _complain(source, "has wrong shapes for", {k for k, key in wanted.items() if stored[key].shape != state[key].shape})
    _complain(source, "has no numbers of ours for", {k for k, key in wanted.items() if stored[key].dtype not in DTYPES})
    try:
        filled = {key: files.tensor(stored[key], dtype, device) for key in state}
    except OSError as error:
        raise CalotypeError(f"cannot read {source.path}: {error.strerror or error}. Fetch it again.") from error
    for theirs, key in wanted.items():
        if not _finite(filled[key]):
            wider = " or choose a wider dtype" if dtype == torch.float16 else ""
            path = stored[key].path
            raise CalotypeError(f"{path} is damaged: weight {theirs} is not finite. Fetch it again{wider}.")
    network.load_state_dict(filled, assign=True)
    return network


def _finite(tensor: Tensor) -> bool:
    """Whether all numbers are finite. Their sum tells it in a tenth of the time, unless it is itself too large."""
    return bool(tensor.sum(dtype=torch.float32).isfinite()) or bool(tensor.isfinite().all())


def _complain(source: Source, complaint: str, keys: Collection[str]) -> None:
    if keys:
        raise CalotypeError(f"{source.path} {complaint} weights {few(keys)}: it is not the network it claims to be.")
