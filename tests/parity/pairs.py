"""Our networks beside diffusers' and transformers' of equal weights, every parameter random."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from calotype.checkpoints.keys import Names, canonical, text_names, to_theirs, unet_names, vae_names
from calotype.checkpoints.networks import blank
from calotype.checkpoints.settings import write_model
from calotype.configs import EMBEDDED, OPENCLIP_BIGG, SDXL, ModelConfig, TextConfig, UNetConfig, VaeConfig
from calotype.nn.clip import TextEncoder
from calotype.nn.unet import Added, UNet
from calotype.nn.vae import Autoencoder

TOLERANCE = 1e-5
REFINER = ModelConfig(
    "sdxl-refiner", (OPENCLIP_BIGG,), SDXL.vae,
    UNetConfig(
        channels=(384, 768, 1536, 1536), transformer_depth=(0, 4, 4, 0), mid_depth=4, num_heads=(6, 12, 24, 24),
        context_dim=1280, linear_projection=True, added_time_dim=256, added_dim=2560, sample_size=128,
    ),
    SDXL.schedule,
)  # fmt: skip
"""SDXL's refiner as it was published."""


@torch.no_grad()
def randomise(network: nn.Module) -> None:
    """Every parameter random, and every activation about 0.1 large: at 1, a wrong epsilon would not show."""
    for name, parameter in network.named_parameters():
        if parameter.dim() > 1:
            # Queries and keys are larger, so that the attention is far from uniform.
            gain = 6 if "query" in name or "key" in name else 1
            parameter.normal_(std=gain / math.sqrt(parameter[0].numel()))
            if isinstance(network.get_submodule(name.rpartition(".")[0]), nn.Embedding):
                parameter.normal_(std=0.1)
        elif name.endswith("bias"):
            parameter.normal_(std=0.02)
        else:
            parameter.normal_(0.1, 0.03)


def made(kind: Callable[[Any], Any], config: Any, dtype: torch.dtype = torch.float32) -> Any:
    """A network of ours, random, the same one each time."""
    network = blank(kind, config).to(dtype).to_empty(device="cpu")
    torch.manual_seed(1)
    randomise(network)
    return network


def share(ours: nn.Module, theirs: nn.Module, names: Names) -> None:
    """Give their network our weights, the same tensors; strict on both sides."""
    weights = {to_theirs(key, names): tensor for key, tensor in ours.state_dict().items()}
    keys = canonical(theirs.state_dict())
    assert sorted(keys.values()) == sorted(weights)
    theirs.load_state_dict({key: weights[spelled] for key, spelled in keys.items()}, strict=False, assign=True)


def distance(a: Tensor, b: Tensor) -> float:
    assert a.shape == b.shape
    return float((a - b).norm() / b.norm())


def settings(part: str, config: UNetConfig | VaeConfig | TextConfig) -> dict[str, object]:
    field = {"unet": "unet", "vae": "vae", "text_encoder": "text"}[part]
    model = replace(EMBEDDED, **{field: (config,) if field == "text" else config})
    return write_model(model)[part]


def unet_pair(config: UNetConfig) -> tuple[UNet, Callable[..., Tensor]]:
    ours = made(UNet, config)
    with torch.device("meta"):
        theirs = UNet2DConditionModel.from_config(settings("unet", config))
    share(ours, theirs, unet_names(config))

    def predict(x: Tensor, t: Tensor, context: Tensor, added: Added | None) -> Tensor:
        conditions = None if added is None else {"text_embeds": added.pooled, "time_ids": added.micro_conditions}
        return theirs(x, t, context, added_cond_kwargs=conditions).sample

    return ours, predict


def unet_input(
    config: UNetConfig, height: int = 9, width: int = 15, numbers: int = 6
) -> tuple[Tensor, Tensor, Tensor, Added | None]:
    """What a U-Net is asked; of pictures' sizes SDXL's has six ``numbers``, its refiner's five."""
    torch.manual_seed(2)
    x = 0.1 * torch.randn(2, config.in_channels, height, width)
    added = None
    if config.added_dim is not None and config.added_time_dim is not None:
        sizes = torch.tensor([[72, 120, 0, 8, 72, 120], [512, 640, 3, 0, 1024, 999]]).float()[:, :numbers]
        added = Added(0.1 * torch.randn(2, config.added_dim - numbers * config.added_time_dim), sizes)
    return x, torch.tensor([3.0, 981.0]), 0.1 * torch.randn(2, 7, config.context_dim), added


def vae_pair(config: VaeConfig) -> tuple[Autoencoder, AutoencoderKL]:
    ours = made(Autoencoder, config)
    with torch.device("meta"):
        theirs = AutoencoderKL.from_config(settings("vae", config))
    share(ours, theirs, vae_names(config))
    return ours, theirs


def vae_distances(ours: Autoencoder, theirs: AutoencoderKL) -> tuple[float, float]:
    torch.manual_seed(2)
    images, latents = 0.1 * torch.randn(2, 3, 72, 120), 0.1 * torch.randn(2, 4, 9, 15)
    posterior, other = ours.encode(images), theirs.encode(images).latent_dist
    encoded = distance(torch.cat([posterior.mean, posterior.logvar]), torch.cat([other.mean, other.logvar]))
    return encoded, distance(ours.decode(latents), theirs.decode(latents).sample)


def text_pair(config: TextConfig, **said: Any) -> tuple[TextEncoder, Any]:
    """``said``: what else their configuration says."""
    ours = made(TextEncoder, config)
    theirs_config = CLIPTextConfig(**settings("text_encoder", config) | said)
    theirs = (CLIPTextModel if config.projection_dim is None else CLIPTextModelWithProjection)(theirs_config)
    share(ours, theirs, text_names(config))
    return ours, theirs


def text_distances(ours: TextEncoder, theirs: Any, tokens: Tensor) -> list[float]:
    """Of the pooled output, and of the context at each number of layers left out."""
    config = ours.config
    other = theirs(tokens, output_hidden_states=True)
    pooled = other.pooler_output if config.projection_dim is None else other.text_embeds
    norm = theirs.get_submodule(
        "final_layer_norm" if hasattr(theirs, "final_layer_norm") else "text_model.final_layer_norm"
    )
    found = [distance(ours(tokens).pooled, pooled)]
    for skip in range(config.num_layers + 1):
        hidden = other.hidden_states[-1 - skip]
        found.append(distance(ours(tokens, skip).context, norm(hidden) if config.final_norm else hidden))
    return found
