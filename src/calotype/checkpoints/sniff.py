"""What a file is, from its bytes and from the names of its tensors; never from its own name."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from calotype.checkpoints.ckpt import read_ckpt
from calotype.checkpoints.ldm import OPENCLIP, UNET, VAE
from calotype.checkpoints.safetensors import read_safetensors
from calotype.checkpoints.stored import TensorFile, Weights
from calotype.errors import CalotypeError
from calotype.files import unreadable

Content = Literal["model", "text encoder", "autoencoder", "U-Net"]


@dataclass(frozen=True)
class Kind:
    """What a file of tensors holds: a whole model, one of its networks (under a prefix), or something else."""

    content: Content | None
    prefix: str = ""
    other: str = ""
    """What it is, if it is nothing that can be opened."""


_NOT_WEIGHTS = (
    (b"GGUF", "a GGUF file, whose numbers are quantised: get the model as safetensors"),
    (b"version https://git-lfs", "a Git LFS pointer instead of the file itself: run `git lfs pull`"),
    (b"<!DOCTYPE", "a web page instead of the file itself: fetch it again, perhaps after signing in"),
    (b"<html", "a web page instead of the file itself: fetch it again, perhaps after signing in"),
    (b"\x89PNG", "a picture, not a model"),
    (b"\xff\xd8\xff", "a picture, not a model"),
)

# In this order: the first one whose pattern is found in a key's beginning (after any of the usual prefixes) counts.
_OTHERS = (
    (r".*(lora_(up|down|A|B)\b|\.lora\.|hada_w|lokr_w|\.oft_|_lora\.)", "a LoRA, which changes a model but is none"),
    (r"(control_model|controlnet_\w+|input_hint_block|control_\w+_embedder)\.", "a ControlNet"),
    (r"(adapter\.)?body\.\d+\.(in_conv|block1)|(ip_adapter|image_proj)\.", "an adapter for picture prompts"),
    (r".*motion_modules\.", "a motion module of AnimateDiff"),
    (r".*(time_stack|temporal_transformer)\.", "a video model"),
    (r".*joint_blocks\.", "a Stable Diffusion 3"),
    (r".*double_blocks\.", "a Flux model"),
    (r"noise_augmentor\.|embedder\.model\.visual", "an unCLIP model, which draws from pictures"),
    (r"low_scale_model\.|model\.diffusion_model\.label_emb\.weight|class_embedding\.weight", "an x4 upscaler"),
    (r"edm_(mean|std|vpred)", "a model with EDM's noise levels (Playground 2.5, CosXL)"),
    (r"(down_blocks|clip_txt_mapper)\.\d+\.\d+\.channelwise|clip_txt_mapper", "a Stable Cascade"),
    (r"string_to_param|emb_params$|clip_[lg]$|<[^>]+>$", "a textual-inversion embedding, a word for prompts"),
    (r"(params(_ema)?\.)?(body\.\d+\.rdb\d|conv_first|model\.0\.weight)", "an upscaler for pictures"),
    (r"((en|de)coder\.layers\.)?\d+\.(conv\.\d|weight)", "a tiny autoencoder (TAESD)"),
    (r"(concept_embeds|special_care_embeds)", "a safety checker"),
)


def open_file(path: Path) -> TensorFile:
    """The tensors of the file at ``path``, whatever its name says. Raises CalotypeError if it holds none."""
    try:
        if path.exists() and not path.is_file():  # a pipe would wait, a device never end
            raise CalotypeError(f"{str(path)!r} is not a file: name one that holds weights.")
        with path.open("rb") as file:
            start = file.read(32)
    except OSError as error:
        raise unreadable(error, path, "file") from error
    if start[8:9] == b"{":
        return read_safetensors(path)
    if start[:2] == b"PK" or re.match(rb"\x80[\x02-\x05]", start):
        return read_ckpt(path)
    for magic, what in _NOT_WEIGHTS:
        if start.lower().startswith(magic.lower()):
            raise CalotypeError(f"{path} is {what}.")
    what = "is empty" if not start else "is not a file of weights"
    raise CalotypeError(f"{path} {what}: neither safetensors nor what torch writes. Fetch it again.")


def kind_of(weights: Weights) -> Kind:
    """What a file with these tensors is."""
    keys = weights.keys()
    if other := _other(keys):
        return Kind(None, other=other)
    has_unet, has_vae = f"{UNET}input_blocks.0.0.weight" in keys, f"{VAE}encoder.conv_in.weight" in keys
    has_text = any(key.startswith(("cond_stage_model.", "conditioner.embedders.")) for key in keys)
    if has_unet and has_vae and has_text:
        return Kind("model")
    for prefix in (UNET, "") if not has_text and not has_vae else ():
        if f"{prefix}input_blocks.0.0.weight" in keys or f"{prefix}down_blocks.0.resnets.0.conv1.weight" in keys:
            return Kind("U-Net", prefix)
    for prefix in (VAE, "") if not has_unet and not has_text else ():
        if f"{prefix}encoder.conv_in.weight" in keys:
            if any(f"{prefix}{name}.weight" in keys for name in ("quant_conv", "post_quant_conv")):
                return Kind("autoencoder", prefix)
            return Kind(None, other="an autoencoder for another kind of model, such as Stable Diffusion 3 or Flux")
    for prefix in _TEXT_PREFIXES if not has_unet and not has_vae else ():
        if any(f"{prefix}{token}" in keys for token in _TOKENS):
            return Kind("text encoder", prefix)
    if has_unet or has_vae or has_text:
        parts = (("the U-Net", has_unet), ("the autoencoder", has_vae), ("the text encoder", has_text))
        return Kind(None, other=f"a model without {' and '.join(name for name, there in parts if not there)}")
    return Kind(None, other="of no kind that Calotype knows")


_TOKENS = (
    "text_model.embeddings.token_embedding.weight",
    "embeddings.token_embedding.weight",
    "token_embedding.weight",
)
_TEXT_PREFIXES = ("", "cond_stage_model.transformer.", OPENCLIP)


def _other(keys: Collection[str]) -> str:
    for pattern, what in _OTHERS:
        if any(re.match(pattern, key) for key in keys):
            return what
    return ""
