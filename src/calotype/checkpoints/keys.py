"""What our parameters are called in the files of diffusers and transformers: one table per network, read both ways.

A table maps the names of modules, ours to theirs; the parameter's own name (weight, bias) is the same on both sides.
Tables are made of small ones, set under a pair of prefixes, so that each fact is written once for all sizes.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from calotype.checkpoints.stored import Weights
from calotype.configs import TextConfig, UNetConfig, VaeConfig
from calotype.errors import CalotypeError

Names = dict[str, str]

_RESNET: Names = {
    "norm1": "norm1",
    "conv1": "conv1",
    "time": "time_emb_proj",
    "norm2": "norm2",
    "conv2": "conv2",
    "shortcut": "conv_shortcut",
}
_RESAMPLE: Names = {"conv": "conv"}
_EMBEDDING: Names = {"linear1": "linear_1", "linear2": "linear_2"}
_ATTENTION: Names = {"query": "to_q", "key": "to_k", "value": "to_v", "out": "to_out.0"}


def few(keys: Collection[str]) -> str:
    """The first three of the keys, and how many more there are: for a person."""
    return ", ".join(sorted(keys)[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")


def under(ours: str, theirs: str, names: Mapping[str, str]) -> Names:
    """The table ``names`` with a prefix before each name of ours, and one before each of theirs."""
    return {f"{ours}.{a}": f"{theirs}.{b}" for a, b in names.items()}


_TRANSFORMER_BLOCK: Names = {
    "norm_self": "norm1",
    **under("self_attention", "attn1", _ATTENTION),
    "norm_cross": "norm2",
    **under("cross_attention", "attn2", _ATTENTION),
    "norm_feed": "norm3",
    "feed_forward.expand": "ff.net.0.proj",
    "feed_forward.contract": "ff.net.2",
}
_PIXEL_ATTENTION: Names = {"norm": "group_norm", **{f"attention.{a}": b for a, b in _ATTENTION.items()}}
_TEXT_LAYER: Names = {
    "norm_self": "layer_norm1",
    "self_attention.query": "self_attn.q_proj",
    "self_attention.key": "self_attn.k_proj",
    "self_attention.value": "self_attn.v_proj",
    "self_attention.out": "self_attn.out_proj",
    "norm_feed": "layer_norm2",
    "expand": "mlp.fc1",
    "contract": "mlp.fc2",
}


def text_names(config: TextConfig) -> Names:
    """The table of ``nn.clip.TextEncoder``."""
    names = {
        "tokens": "text_model.embeddings.token_embedding",
        "positions": "text_model.embeddings.position_embedding",
        "norm": "text_model.final_layer_norm",
        "projection": "text_projection",
    }
    for i in range(config.num_layers):
        names |= under(f"layers.{i}", f"text_model.encoder.layers.{i}", _TEXT_LAYER)
    return names


def vae_names(config: VaeConfig) -> Names:
    """The table of ``nn.vae.Autoencoder``."""
    names = {"quant_conv": "quant_conv", "post_quant_conv": "post_quant_conv"}
    for side in ("encoder", "decoder"):
        ends = {"stem": "conv_in", "norm": "conv_norm_out", "head": "conv_out"}
        names |= under(side, side, ends)
        names |= under(f"{side}.middle.first", f"{side}.mid_block.resnets.0", _RESNET)
        names |= under(f"{side}.middle.attention", f"{side}.mid_block.attentions.0", _PIXEL_ATTENTION)
        names |= under(f"{side}.middle.last", f"{side}.mid_block.resnets.1", _RESNET)
    for way, side, count in (
        ("down", "encoder", config.layers_per_block),
        ("up", "decoder", config.layers_per_block + 1),
    ):
        for i in range(len(config.channels)):
            ours, theirs = f"{side}.{way}.{i}", f"{side}.{way}_blocks.{i}"
            for j in range(count):
                names |= under(f"{ours}.{j}", f"{theirs}.resnets.{j}", _RESNET)
            names |= under(f"{ours}.{count}", f"{theirs}.{way}samplers.0", _RESAMPLE)
    return names


def unet_names(config: UNetConfig) -> Names:
    """The table of ``nn.unet.UNet``: its layers down and up stand in one row each, theirs in blocks of one size."""
    names = {"stem": "conv_in", "norm": "conv_norm_out", "head": "conv_out"}
    names |= under("time", "time_embedding", _EMBEDDING)
    names |= under("added", "add_embedding", _EMBEDDING)
    names |= under("middle.0.resnet", "mid_block.resnets.0", _RESNET)
    names |= under("middle.0.transformer", "mid_block.attentions.0", transformer(config.mid_depth))
    names |= under("middle.1.resnet", "mid_block.resnets.1", _RESNET)
    depths = config.transformer_depth
    names |= _levels("down", depths, config.layers_per_block)
    return names | _levels("up", depths[::-1], config.layers_per_block + 1)


def _levels(way: str, depths: Sequence[int], count: int) -> Names:
    names: Names = {}
    row = 0
    for i, depth in enumerate(depths):
        for j in range(count):
            names |= under(f"{way}.{row}.resnet", f"{way}_blocks.{i}.resnets.{j}", _RESNET)
            names |= under(f"{way}.{row}.transformer", f"{way}_blocks.{i}.attentions.{j}", transformer(depth))
            row += 1
        if i < len(depths) - 1:
            names |= under(f"{way}.{row}", f"{way}_blocks.{i}.{way}samplers.0", _RESAMPLE)
            row += 1
    return names


def transformer(depth: int) -> Names:
    """The table of ``nn.attention.SpatialTransformer``: diffusers kept the original code's names of its modules."""
    names = {"norm": "norm", "proj_in": "proj_in", "proj_out": "proj_out"}
    for k in range(depth):
        names |= under(f"blocks.{k}", f"transformer_blocks.{k}", _TRANSFORMER_BLOCK)
    return names


def to_theirs(key: str, names: Mapping[str, str]) -> str:
    """Their name of our parameter ``key``. With the table's columns exchanged, ours of theirs."""
    module, _, parameter = key.rpartition(".")
    return f"{names[module]}.{parameter}"


def canonical(keys: Iterable[str]) -> dict[str, str]:
    """The keys found in a file, each with the spelling the tables use; what is not a parameter is left out.

    Libraries of different years wrote the same networks differently: text encoders without ``text_model.``, the
    autoencoder's attention by other names, and the numbers 0 to 76 as a buffer.
    """
    keys = [key for key in keys if not key.endswith("position_ids")]
    flat = "embeddings.token_embedding.weight" in keys
    return {key: _spelled(key, flat) for key in keys}


def regular(weights: Weights) -> Weights:
    """The tensors of a file of diffusers or transformers, one for each parameter of ours, as the tables spell them.

    Raises CalotypeError if a parameter is there in two spellings.
    """
    found: Weights = {}
    for key, spelled in canonical(weights).items():
        if spelled in found:
            raise CalotypeError(f"{weights[key].path} has weights {spelled} in two spellings. Fetch the model again.")
        stored = weights[key]
        convolution = len(stored.shape) == 4 and _VAE_ATTENTION.match(spelled)
        found[spelled] = stored.matrix() if convolution else stored
    return found


_VAE_ATTENTION = re.compile(r"(en|de)coder\.mid_block\.attentions\.")
"""Whose matrices old files keep as convolutions of one pixel."""
_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def _spelled(key: str, flat: bool) -> str:
    if flat and not key.startswith("text_projection"):
        return f"text_model.{key}"
    module, _, parameter = key.rpartition(".")
    parent, _, name = module.rpartition(".")
    return f"{parent}.{_OLD_ATTENTION[name]}.{parameter}" if name in _OLD_ATTENTION else key
