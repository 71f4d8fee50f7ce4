"""The configuration of a network, from the names and shapes of its parameters in a file.

What shapes cannot tell (heads, activation, scale of the latents) follows from the family, which they do tell: SD 1.x
has convolutions around its transformers and eight heads, later ones have matrices and heads of 64.
"""

from dataclasses import replace

from calotype.checkpoints.stored import Weights
from calotype.configs import (
    OPENCLIP_BIGG,
    OPENCLIP_H,
    SD15,
    SD21,
    SDXL,
    ModelConfig,
    ScheduleConfig,
    TextConfig,
    UNetConfig,
    VaeConfig,
)

_HEAD = 64
_ADDED_TIME_DIM = 256
_LEVEL = tuple[int, int, int]
"""Channels, transformer blocks and layers of one resolution."""


def unet_config(weights: Weights) -> UNetConfig:
    """The U-Net whose parameters these are, by the original names or by diffusers'. Raises KeyError."""
    ldm = "input_blocks.0.0.weight" in weights
    stem, head, added = (
        ("input_blocks.0.0", "out.2", "label_emb.0.0") if ldm else ("conv_in", "conv_out", "add_embedding.linear_1")
    )
    levels = _ldm_levels(weights) if ldm else _diffusers_levels(weights)
    middle = "middle_block.1" if ldm else "mid_block.attentions.0"
    linear = len(weights[f"{middle}.proj_in.weight"].shape) == 2
    widths = tuple(channels for channels, _, _ in levels)
    has_added = f"{added}.weight" in weights
    context_dim = _shape(weights, f"{middle}.transformer_blocks.0.attn2.to_k")[1]
    return UNetConfig(
        in_channels=_shape(weights, stem)[1],
        out_channels=_shape(weights, head)[0],
        channels=widths,
        layers_per_block=levels[0][2],
        transformer_depth=tuple(depth for _, depth, _ in levels),
        mid_depth=_depth(weights, middle),
        num_heads=tuple(max(1, width // _HEAD) for width in widths) if linear else (8,) * len(widths),
        context_dim=context_dim,
        linear_projection=linear,
        added_time_dim=_ADDED_TIME_DIM if has_added else None,
        added_dim=_shape(weights, added)[1] if has_added else None,
        sample_size=(SDXL if has_added else SD15).unet.sample_size,
    )


def vae_config(weights: Weights) -> VaeConfig:
    """The autoencoder whose parameters these are, by the original names or by diffusers'. Raises KeyError."""
    ldm = "encoder.down.0.block.0.conv1.weight" in weights
    level, attention = (
        ("encoder.down.{}.block", "encoder.mid.attn_1.norm")
        if ldm
        else ("encoder.down_blocks.{}.resnets", "encoder.mid_block.attentions.0.group_norm")
    )
    count = _count(weights, level + ".0.conv1.weight")
    return VaeConfig(
        image_channels=_shape(weights, "encoder.conv_in")[1],
        latent_channels=_shape(weights, "post_quant_conv")[0],
        channels=tuple(_shape(weights, f"{level.format(i)}.0.conv1")[0] for i in range(count)),
        layers_per_block=_count(weights, level.format(0) + ".{}.conv1.weight"),
        mid_attention=f"{attention}.weight" in weights,
    )


def text_config(weights: Weights) -> TextConfig:
    """The text encoder whose parameters these are, by OpenCLIP's names made regular or by those of transformers."""
    if "token_embedding.weight" in weights:
        size, expand = _shape(weights, "token_embedding"), "transformer.resblocks.0.mlp.c_fc"
        layers = _count(weights, "transformer.resblocks.{}.ln_1.weight")
        positions, projection, activation = "positional_embedding", "text_projection", OPENCLIP_H.activation
    else:
        size, expand = _shape(weights, "text_model.embeddings.token_embedding"), "text_model.encoder.layers.0.mlp.fc1"
        layers = _count(weights, "text_model.encoder.layers.{}.layer_norm1.weight")
        positions, projection = "text_model.embeddings.position_embedding", "text_projection"
        # OpenAI's is 768 wide; the wider ones that transformers' files hold are OpenCLIP's.
        activation = OPENCLIP_H.activation if size[1] in _OPENCLIP_WIDTHS else TextConfig.activation
    projected = f"{projection}.weight" in weights
    return TextConfig(
        vocab_size=size[0],
        hidden_size=size[1],
        intermediate_size=_shape(weights, expand)[0],
        num_layers=layers,
        num_heads=max(1, size[1] // _HEAD),
        max_positions=_shape(weights, positions)[0],
        activation=activation,
        projection_dim=_shape(weights, projection)[0] if projected else None,
    )


_OPENCLIP_WIDTHS = (OPENCLIP_H.hidden_size, OPENCLIP_BIGG.hidden_size)


def model_config(name: str, text: tuple[TextConfig, ...], vae: VaeConfig, unet: UNetConfig) -> ModelConfig:
    """The whole model of these networks, with what its family adds: which layer of the text counts, the scales."""
    config = ModelConfig(name, text, vae, unet, ScheduleConfig())
    if config.family.startswith("SDXL"):
        text = tuple(replace(each, skip=1, final_norm=False) for each in text)
        vae = replace(vae, scaling_factor=SDXL.vae.scaling_factor, sample_size=SDXL.vae.sample_size)
    elif config.family == "SD 2.x":
        # OpenCLIP's last layer but one, normed: the file has the last layer, the network does without.
        layers = min(text[0].num_layers, OPENCLIP_H.num_layers)
        text = (replace(text[0], num_layers=layers, projection_dim=None),)
    return replace(config, text=text, vae=vae)


def resized(config: ModelConfig) -> ModelConfig:
    """The model with the size its family was trained at: SD 2.x was, at 768 pixels, if it predicts v."""
    if config.family != "SD 2.x":
        return config
    size = SD21 if config.schedule.parameterization == "v_prediction" else SD15
    return replace(
        config,
        vae=replace(config.vae, sample_size=size.vae.sample_size),
        unet=replace(config.unet, sample_size=size.unet.sample_size),
    )


def _ldm_levels(weights: Weights) -> list[_LEVEL]:
    levels: list[list[tuple[int, int]]] = [[]]
    row = 1
    while True:
        if f"input_blocks.{row}.0.op.weight" in weights:
            levels.append([])
        elif f"input_blocks.{row}.0.in_layers.2.weight" in weights:
            width = _shape(weights, f"input_blocks.{row}.0.in_layers.2")[0]
            levels[-1].append((width, _depth(weights, f"input_blocks.{row}.1")))
        else:
            return [(*layers[0], len(layers)) for layers in levels if layers]
        row += 1


def _diffusers_levels(weights: Weights) -> list[_LEVEL]:
    count = _count(weights, "down_blocks.{}.resnets.0.conv1.weight")
    return [
        (
            _shape(weights, f"down_blocks.{i}.resnets.0.conv1")[0],
            _depth(weights, f"down_blocks.{i}.attentions.0"),
            _count(weights, f"down_blocks.{i}.resnets." + "{}.conv1.weight"),
        )
        for i in range(count)
    ]


def _depth(weights: Weights, transformer: str) -> int:
    return _count(weights, transformer + ".transformer_blocks.{}.norm1.weight")


def _count(weights: Weights, template: str) -> int:
    count = 0
    while template.format(count) in weights:
        count += 1
    return count


def _shape(weights: Weights, module: str) -> tuple[int, ...]:
    return weights[f"{module}.weight"].shape
