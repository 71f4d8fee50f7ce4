"""From one layout to another: the same tensors under other names."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from calotype.checkpoints import ldm
from calotype.checkpoints.checkpoint import Checkpoint
from calotype.checkpoints.folder import write_folder
from calotype.checkpoints.networks import Networks, load_networks, renamed, settled
from calotype.checkpoints.single import read_single
from calotype.checkpoints.vocabulary import tokenizer_files
from calotype.configs import ModelConfig
from calotype.errors import CalotypeError
from calotype.files import written_whole


def convert(checkpoint: Checkpoint, path: Path, layout: str, dtype: torch.dtype) -> None:
    """Write the model as a diffusers folder (``diffusers``) or a single file of the original code (``ldm``).

    Raises CalotypeError if ``path`` cannot be written, or the layout has no words for the model.
    """
    networks = load_networks(checkpoint, dtype)
    checkpoint = settled(checkpoint, networks.unet)
    if layout == "diffusers":
        own = checkpoint.sampler, checkpoint.scheduler
        write_folder(path, checkpoint.config, networks, tokenizer_files(checkpoint), dtype, *own)
    else:
        write_single(path, checkpoint.config, networks, dtype)


def write_single(path: Path, config: ModelConfig, networks: Networks, dtype: torch.dtype = torch.float16) -> None:
    """Write a model as one safetensors file under the names of the original code, which A1111 and ComfyUI open.

    Raises CalotypeError if that code's families do not have this model, or ``path`` cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for network, names in zip((*networks.text, networks.vae, networks.unet), ldm.model_names(config), strict=True):
        tensors |= renamed(network, names, dtype)
    v_pred = config.schedule.parameterization == "v_prediction"
    metadata = {"format": "pt", "modelspec.prediction_type": "v" if v_pred else "epsilon"}
    for marker, there in (("v_pred", v_pred), ("ztsnr", config.schedule.zero_terminal_snr)):
        if there:
            tensors[marker] = torch.zeros(0)
    with written_whole(path) as temporary:
        save_file(irregular(tensors), temporary, metadata)
        if _essence(read_single(temporary).config) != _essence(config):
            raise CalotypeError(
                f"cannot write {config.name} as a single file: the original code knows SD 1.x, 2.x and SDXL only. "
                "Write it as a diffusers folder."
            )


def irregular(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """One tensor for each parameter of ours as the original code keeps them; undoes ``ldm.regular``."""
    found: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        module, _, kind = key.rpartition(".")
        stacked = re.fullmatch(r"(.*\.attn)\.(query|key|value)", module)
        if stacked and ".resblocks." in module:
            if stacked[2] == "query":
                parts = [tensors[f"{stacked[1]}.{name}.{kind}"] for name in ("query", "key", "value")]
                found[f"{stacked[1]}.in_proj_{kind}"] = torch.cat(parts)
        elif module.endswith(".text_projection"):
            found[module] = tensor.T.contiguous()
        elif module.endswith(".positional_embedding"):
            found[module] = tensor
        elif ldm.is_pixel_attention(key):
            found[key] = tensor[:, :, None, None]
        else:
            found[key] = tensor
    return found


def _essence(config: ModelConfig) -> tuple[object, ...]:
    """What a single file must say of a model; sizes and the spacing of steps are habits, and not in it."""
    vae, unet, schedule = vars(config.vae), vars(config.unet), vars(config.schedule)
    kept = [{k: v for k, v in part.items() if k != "sample_size"} for part in (vae, unet)]
    return (config.text, *kept, {k: v for k, v in schedule.items() if k not in ("spacing", "steps_offset")})
