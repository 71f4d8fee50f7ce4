"""What our parameters are called in single files, by the names of the original code (CompVis' ldm, Stability's sgm).

The tables have the form of those in ``keys``. Where the original code keeps a parameter in another form, the file's
tensors are first made regular, and on writing irregular again: OpenCLIP stacks query, key and value into one matrix,
keeps its projection transposed and gives two parameters no name of their own; the autoencoder's attention consists of
convolutions of one pixel.
"""

import re
from collections.abc import Iterable

from calotype.checkpoints.keys import Names, text_names, transformer, under
from calotype.checkpoints.stored import Weights
from calotype.configs import ModelConfig, TextConfig, UNetConfig, VaeConfig

UNET, VAE, EMA = "model.diffusion_model.", "first_stage_model.", "model_ema."
CLIP, OPENCLIP = "cond_stage_model.transformer.", "cond_stage_model.model."
XL_CLIP, XL_OPENCLIP = "conditioner.embedders.0.transformer.", "conditioner.embedders.1.model."
REFINER_OPENCLIP = "conditioner.embedders.0.model."
TEXT_PREFIXES = (CLIP, OPENCLIP, XL_CLIP, XL_OPENCLIP, REFINER_OPENCLIP)

_RESNET: Names = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "shortcut": "skip_connection",
}
_VAE_RESNET: Names = {
    "norm1": "norm1",
    "conv1": "conv1",
    "norm2": "norm2",
    "conv2": "conv2",
    "shortcut": "nin_shortcut",
}
_VAE_ATTENTION: Names = {
    "norm": "norm",
    "attention.query": "q",
    "attention.key": "k",
    "attention.value": "v",
    "attention.out": "proj_out",
}
_OPENCLIP_LAYER: Names = {
    "norm_self": "ln_1",
    "self_attention.query": "attn.query",
    "self_attention.key": "attn.key",
    "self_attention.value": "attn.value",
    "self_attention.out": "attn.out_proj",
    "norm_feed": "ln_2",
    "expand": "mlp.c_fc",
    "contract": "mlp.c_proj",
}
_STACKED = ("query", "key", "value")


def unet_names(config: UNetConfig) -> Names:
    """The table of ``nn.unet.UNet``: rows down and up as ours, but the stem counts, and an Upsample shares its row."""
    names = {"stem": "input_blocks.0.0", "norm": "out.0", "head": "out.2"}
    names |= under("time", "time_embed", {"linear1": "0", "linear2": "2"})
    names |= under("added", "label_emb.0", {"linear1": "0", "linear2": "2"})
    names |= under("middle.0.resnet", "middle_block.0", _RESNET)
    names |= under("middle.0.transformer", "middle_block.1", transformer(config.mid_depth))
    names |= under("middle.1.resnet", "middle_block.2", _RESNET)
    row = 0
    for level, depth in enumerate(config.transformer_depth):
        for _ in range(config.layers_per_block):
            names |= _layer(f"down.{row}", f"input_blocks.{row + 1}", depth)
            row += 1
        if level < len(config.channels) - 1:
            names[f"down.{row}.conv"] = f"input_blocks.{row + 1}.0.op"
            row += 1
    row = block = 0
    for level, depth in reversed(list(enumerate(config.transformer_depth))):
        for _ in range(config.layers_per_block + 1):
            names |= _layer(f"up.{row}", f"output_blocks.{block}", depth)
            row, block = row + 1, block + 1
        if level:
            names[f"up.{row}.conv"] = f"output_blocks.{block - 1}.{2 if depth else 1}.conv"
            row += 1
    return names


def _layer(ours: str, theirs: str, depth: int) -> Names:
    names = under(f"{ours}.resnet", f"{theirs}.0", _RESNET)
    return names | under(f"{ours}.transformer", f"{theirs}.1", transformer(depth)) if depth else names


def vae_names(config: VaeConfig) -> Names:
    """The table of ``nn.vae.Autoencoder``: levels are numbered from the finest, on the way up as well."""
    names = {"quant_conv": "quant_conv", "post_quant_conv": "post_quant_conv"}
    last = len(config.channels) - 1
    for side, way, count in (
        ("encoder", "down", config.layers_per_block),
        ("decoder", "up", config.layers_per_block + 1),
    ):
        names |= under(side, side, {"stem": "conv_in", "norm": "norm_out", "head": "conv_out"})
        names |= under(f"{side}.middle.first", f"{side}.mid.block_1", _VAE_RESNET)
        names |= under(f"{side}.middle.attention", f"{side}.mid.attn_1", _VAE_ATTENTION)
        names |= under(f"{side}.middle.last", f"{side}.mid.block_2", _VAE_RESNET)
        for i in range(last + 1):
            theirs = f"{side}.{way}.{i if way == 'down' else last - i}"
            for j in range(count):
                names |= under(f"{side}.{way}.{i}.{j}", f"{theirs}.block.{j}", _VAE_RESNET)
            names[f"{side}.{way}.{i}.{count}.conv"] = f"{theirs}.{way}sample.conv"
    return names


def openclip_names(config: TextConfig) -> Names:
    """The table of ``nn.clip.TextEncoder`` by OpenCLIP's names, made regular."""
    names = {
        "tokens": "token_embedding",
        "positions": "positional_embedding",
        "norm": "ln_final",
        "projection": "text_projection",
    }
    for i in range(config.num_layers):
        names |= under(f"layers.{i}", f"transformer.resblocks.{i}", _OPENCLIP_LAYER)
    return names


def text_prefixes(config: ModelConfig) -> tuple[str, ...]:
    """Under which prefix a single file keeps each text encoder."""
    if config.family == "SDXL":
        return (XL_CLIP, XL_OPENCLIP)
    if config.family == "SDXL refiner":
        return (REFINER_OPENCLIP,)
    return (OPENCLIP,) if config.text[0].is_openclip else (CLIP,)


def model_names(config: ModelConfig) -> tuple[Names, ...]:
    """The tables of a whole model, with the prefixes of a single file: each text encoder's, the VAE's, the U-Net's."""
    texts = [openclip_names(text) if text.is_openclip else text_names(text) for text in config.text]
    tables = [*texts, vae_names(config.vae), unet_names(config.unet)]
    prefixes = (*text_prefixes(config), VAE, UNET)
    return tuple(
        {ours: prefix + theirs for ours, theirs in table.items()}
        for prefix, table in zip(prefixes, tables, strict=True)
    )


def ema_key(key: str) -> str:
    """Where the running average of a U-Net's parameter is kept: under its name without dots."""
    return EMA + key.removeprefix("model.").replace(".", "")


def regular(weights: Weights) -> Weights:
    """The tensors of a file of the original code, one for each parameter of ours. ``irregular`` undoes it."""
    found: Weights = {}
    for spelled, stored in weights.items():
        key = _FLAT_CLIP.sub(rf"{CLIP}text_model.\1.", spelled)
        module, _, parameter = key.rpartition(".")
        if parameter in ("in_proj_weight", "in_proj_bias"):
            kind = parameter.removeprefix("in_proj_")
            found |= {f"{module}.{name}.{kind}": stored.third(i) for i, name in enumerate(_STACKED)}
        elif parameter == "text_projection":
            found[f"{key}.weight"] = stored.transposed()
        elif parameter == "positional_embedding":
            found[f"{key}.weight"] = stored
        elif is_pixel_attention(key) and len(stored.shape) == 4:
            found[key] = stored.matrix()
        else:
            found[key] = stored
    return found


_FLAT_CLIP = re.compile(r"cond_stage_model\.transformer\.(embeddings|encoder|final_layer_norm)\.")
"""As newer versions of transformers spell CLIP's names."""


def is_pixel_attention(key: str) -> bool:
    """Whether a key names a weight of the autoencoder's attention, which the original code keeps as a convolution."""
    return re.search(r"\.mid\.attn_1\.(q|k|v|proj_out)\.weight$", key) is not None


_JUNK = re.compile(
    r"""
      (betas | alphas_cumprod(_prev)? | sqrt_(one_minus_)?alphas_cumprod | log_one_minus_alphas_cumprod)$
    | (sqrt_recip(m1)?_alphas_cumprod | posterior_(variance|log_variance_clipped|mean_coef[12]))$
    | (logvar | lvlb_weights | scale_factor | denoiser\.sigmas | model\.(sigmas|log_sigmas) | global_step | epoch)$
    | (v_pred | ztsnr)$                                # markers, read by `shapes`
    | model_ema\.                                      # running averages, unless they are asked for
    | (first_stage_model\.)?loss\.                     # the autoencoder's judges in training
    | depth_model\.                                    # depth2img's estimator: a network of its own
    | (.*\.)?position_ids$                                # the numbers 0 to 76
    | (.*\.)?(logit_scale | attn_mask)$                   # of contrastive training; a triangle of ones
    | cond_stage_model\.model\.(text_projection\.weight | transformer\.resblocks\.(2[3-9]|[3-9]\d)\..*)$
                                                       # SD 2.x takes OpenCLIP's last layer but one, unprojected
    | .*\.model\.visual\.                              # OpenCLIP's other half
    | (cond_stage_model\.transformer\.)?(vision_model\.|visual_projection\.)
    | cond_stage_model\.transformer\.text_projection\.
    """,
    re.VERBOSE,
)
"""What files hold besides the parameters of the networks."""


def without_junk(keys: Iterable[str]) -> set[str]:
    """The keys, in regular form, that a model must use."""
    return {key for key in keys if not _JUNK.match(key)}
