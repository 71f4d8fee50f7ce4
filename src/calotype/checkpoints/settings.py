"""The json files of a diffusers folder to our configurations, and back."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from calotype.checkpoints.json_files import Settings, check_known
from calotype.checkpoints.scheduler_settings import read_schedule, write_scheduler
from calotype.configs import ModelConfig, TextConfig, UNetConfig, VaeConfig
from calotype.errors import CalotypeError

_PIPELINES = {
    "StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "StableDiffusionInpaintPipeline",
    "StableDiffusionInpaintPipelineLegacy", "StableDiffusionInstructPix2PixPipeline",
    "StableDiffusionDepth2ImgPipeline", "StableDiffusionXLPipeline", "StableDiffusionXLImg2ImgPipeline",
    "StableDiffusionXLInpaintPipeline", "StableDiffusionXLInstructPix2PixPipeline", "LatentConsistencyModelPipeline",
}  # fmt: skip
"""The kinds of model_index.json whose networks are ours."""
_UNHEEDED_SIZE = re.compile(r"0\.[0-8]\.")
"""The versions of diffusers that made pictures of 512 x 512, whatever a U-Net's file said."""
_TEXT_ENCODERS = ("text_encoder", "text_encoder_2")
_BOTH_ENDS = ("<|startoftext|>", "<|endoftext|>")

# What our networks do. A file that asks for anything else would load and draw nonsense.
_UNET_KNOWN: Mapping[str, Sequence[Any]] = {
    "act_fn": ("silu",),
    "addition_embed_type": (None, "text_time"),
    "class_embed_type": (None,),
    "conv_in_kernel": (3,),
    "dual_cross_attention": (False,),
    "encoder_hid_dim_type": (None,),
    "flip_sin_to_cos": (True,),
    "freq_shift": (0,),
    "mid_block_type": ("UNetMidBlock2DCrossAttn",),
    "only_cross_attention": (False,),
    "resnet_time_scale_shift": ("default",),
    "reverse_transformer_layers_per_block": (None,),
    "time_cond_proj_dim": (None,),
    "time_embedding_type": ("positional",),
}
_VAE_KNOWN: Mapping[str, Sequence[Any]] = {
    "act_fn": ("silu",),
    "shift_factor": (None,),
    "latents_mean": (None,),
    "use_quant_conv": (True,),
    "use_post_quant_conv": (True,),
}


def check_pipeline(index: Settings, name: str) -> None:
    """Raise CalotypeError if a model_index.json is of a model that is no Stable Diffusion, or of none."""
    pipeline = index.get("_class_name")
    if pipeline is not None and str(pipeline) not in _PIPELINES:
        raise CalotypeError(
            f"{name} is a {str(pipeline).removesuffix('Pipeline')}, which Calotype does not run: "
            "use a model of the SD 1.x, 2.x or SDXL families."
        )
    if not text_encoders(index):
        raise CalotypeError(f"{name} names no text encoder in its model_index.json. Fetch the model again.")


def text_encoders(index: Settings) -> list[str]:
    """The components of a model_index.json that are text encoders."""
    named = {name: index.get(name) for name in _TEXT_ENCODERS}
    return [name for name, said in named.items() if isinstance(said, list) and said[:1] not in ([], [None])]


def encoder_folders(config: ModelConfig) -> tuple[str, ...]:
    """The components that are a model's text encoders, which are folders, too: SDXL's refiner has the second only."""
    return _TEXT_ENCODERS[1:] if config.family == "SDXL refiner" else _TEXT_ENCODERS[: len(config.text)]


def read_model(files: Mapping[str, Settings], name: str) -> ModelConfig:
    """The model that a folder's json files describe; ``files`` maps components to what their file says.

    Components: ``index`` (model_index.json), text_encoder, text_encoder_2, vae, unet, scheduler. Raises CalotypeError
    for networks of a kind that is not ours, or without a setting.
    """
    encoders = text_encoders(files["index"])
    xl = "text_encoder_2" in encoders
    try:
        config = ModelConfig(
            name=name,
            text=tuple(_read_text(files[encoder], xl) for encoder in encoders),
            vae=_read_vae(files["vae"]),
            unet=_read_unet(files["unet"]),
            schedule=read_schedule(files["scheduler"]),
        )
        _check_kinds(config)
    except KeyError as error:
        raise CalotypeError(
            f"model {name}: the setting {error} is missing from its json files. Fetch them again."
        ) from error
    except (TypeError, AttributeError, IndexError) as error:
        raise CalotypeError(f"model {name}: its json files say nonsense ({error}). Fetch them again.") from error
    return config


def write_model(config: ModelConfig, sampler: str = "", scheduler: str = "") -> dict[str, Settings]:
    """The json files that describe ``config``, by component; ``read_model`` undoes it.

    ``read_sampler`` finds the ``sampler`` and the ``scheduler``, by our names. Where none is chosen, that is DPM++ 2M,
    on Karras' levels unless those would begin at infinity.
    """
    if not sampler:
        sampler, scheduler = "DPM++ 2M", "" if config.schedule.zero_terminal_snr else "karras"
    scheduler_config = write_scheduler(config.schedule, sampler, scheduler)
    files: dict[str, Settings] = {"index": _write_index(config, scheduler_config["_class_name"])}
    for encoder, text in zip(encoder_folders(config), config.text, strict=True):
        files[encoder] = _write_text(text)
    files["vae"] = _write_vae(config.vae)
    files["unet"] = _write_unet(config.unet)
    files["scheduler"] = scheduler_config
    return files


def padding(config: TextConfig) -> str:
    """The token that fills a text encoder's chunks: OpenCLIP's pads with "!" (number 0), OpenAI's with the end."""
    return "!" if config.is_openclip else _BOTH_ENDS[1]


def tokenizer_settings(config: TextConfig) -> dict[str, Settings]:
    """The two json files beside a tokenizer's vocabulary."""
    start, end = _BOTH_ENDS
    special = {"bos_token": start, "eos_token": end, "unk_token": end, "pad_token": padding(config)}
    limits = {"tokenizer_class": "CLIPTokenizer", "model_max_length": config.max_positions}
    return {"special_tokens_map.json": special, "tokenizer_config.json": {**limits, **special}}


def _read_text(settings: Settings, xl: bool) -> TextConfig:
    check_known("text encoder", settings, {"hidden_act": ("quick_gelu", "gelu")})
    projected = "CLIPTextModelWithProjection" in settings.get("architectures", ())
    return TextConfig(
        vocab_size=settings["vocab_size"],
        hidden_size=settings["hidden_size"],
        intermediate_size=settings["intermediate_size"],
        num_layers=settings["num_hidden_layers"],
        num_heads=settings["num_attention_heads"],
        max_positions=settings.get("max_position_embeddings", 77),
        activation=settings.get("hidden_act", "quick_gelu"),
        projection_dim=settings["projection_dim"] if projected else None,
        norm_eps=settings.get("layer_norm_eps", 1e-5),
        skip=1 if xl else 0,
        final_norm=not xl,
    )


def _write_text(config: TextConfig) -> Settings:
    projected = config.projection_dim is not None
    return {
        "architectures": ["CLIPTextModelWithProjection" if projected else "CLIPTextModel"],
        "model_type": "clip_text_model",
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "max_position_embeddings": config.max_positions,
        "hidden_act": config.activation,
        "projection_dim": config.projection_dim if projected else config.hidden_size,
        "layer_norm_eps": config.norm_eps,
        "bos_token_id": config.vocab_size - 2,
        "eos_token_id": config.vocab_size - 1,
        "pad_token_id": config.vocab_size - 1,
    }


def _read_vae(settings: Settings) -> VaeConfig:
    check_known("autoencoder", settings, _VAE_KNOWN)
    return VaeConfig(
        image_channels=settings.get("in_channels", 3),
        latent_channels=settings.get("latent_channels", 4),
        channels=tuple(settings["block_out_channels"]),
        layers_per_block=_uniform("autoencoder", settings, "layers_per_block"),
        mid_attention=settings.get("mid_block_add_attention", True),
        norm_groups=settings.get("norm_num_groups", 32),
        scaling_factor=settings.get("scaling_factor", VaeConfig.scaling_factor),
        sample_size=settings["sample_size"],
    )


def _write_vae(config: VaeConfig) -> Settings:
    levels = len(config.channels)
    return {
        "_class_name": "AutoencoderKL",
        "act_fn": "silu",
        "block_out_channels": list(config.channels),
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "in_channels": config.image_channels,
        "latent_channels": config.latent_channels,
        "layers_per_block": config.layers_per_block,
        "mid_block_add_attention": config.mid_attention,
        "norm_num_groups": config.norm_groups,
        "out_channels": config.image_channels,
        "sample_size": config.sample_size,
        "scaling_factor": config.scaling_factor,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
    }


def _read_unet(settings: Settings) -> UNetConfig:
    check_known("U-Net", settings, _UNET_KNOWN)
    # Before diffusers 0.9 the size was not heeded and wrong in SD 1's files: there, too, it is 64 at least.
    unheeded = _UNHEEDED_SIZE.match(str(settings.get("_diffusers_version", "")))
    told = settings.get("sample_size") or UNetConfig.sample_size
    sample_size = max(min(told) if isinstance(told, list) else told, 64 if unheeded else 0)
    types = settings["down_block_types"]
    check_known(
        "U-Net",
        {"down_block_types": set(types) <= {"DownBlock2D", "CrossAttnDownBlock2D"}},
        {"down_block_types": (True,)},
    )
    depths = _per_level(settings.get("transformer_layers_per_block") or 1, len(types))
    # Misnamed ever since: the published files keep the number of heads under the name of their size.
    heads = settings.get("num_attention_heads") or settings["attention_head_dim"]
    return UNetConfig(
        in_channels=settings["in_channels"],
        out_channels=settings["out_channels"],
        channels=_per_level(settings["block_out_channels"], len(types)),
        layers_per_block=_uniform("U-Net", settings, "layers_per_block"),
        transformer_depth=tuple(n if "CrossAttn" in kind else 0 for n, kind in zip(depths, types, strict=True)),
        mid_depth=depths[-1],
        num_heads=_per_level(heads, len(types)),
        context_dim=_uniform("U-Net", settings, "cross_attention_dim"),
        linear_projection=settings.get("use_linear_projection", False),
        norm_groups=settings.get("norm_num_groups", 32),
        norm_eps=settings.get("norm_eps", 1e-5),
        added_time_dim=settings.get("addition_time_embed_dim"),
        added_dim=settings.get("projection_class_embeddings_input_dim"),
        sample_size=sample_size,
    )


def _write_unet(config: UNetConfig) -> Settings:
    attended = ["CrossAttn" if depth else "" for depth in config.transformer_depth]
    # The last entry is the middle's as well, which has a transformer even where the last level has none.
    depths = [max(depth, 1) for depth in config.transformer_depth[:-1]] + [config.mid_depth]
    settings: Settings = {
        "_class_name": "UNet2DConditionModel",
        "act_fn": "silu",
        "attention_head_dim": _shortest(config.num_heads),
        "block_out_channels": list(config.channels),
        "center_input_sample": False,
        "cross_attention_dim": config.context_dim,
        "down_block_types": [f"{kind}DownBlock2D" for kind in attended],
        "downsample_padding": 1,
        "flip_sin_to_cos": True,
        "freq_shift": 0,
        "in_channels": config.in_channels,
        "layers_per_block": config.layers_per_block,
        "mid_block_scale_factor": 1,
        "norm_eps": config.norm_eps,
        "norm_num_groups": config.norm_groups,
        "out_channels": config.out_channels,
        "sample_size": config.sample_size,
        "transformer_layers_per_block": _shortest(depths),
        "up_block_types": [f"{kind}UpBlock2D" for kind in reversed(attended)],
        "use_linear_projection": config.linear_projection,
    }
    if config.added_dim is not None:
        settings["addition_embed_type"] = "text_time"
        settings["addition_time_embed_dim"] = config.added_time_dim
        settings["projection_class_embeddings_input_dim"] = config.added_dim
    return settings


_TASKS = {"": "", "depth2img": "Depth2Img", "InstructPix2Pix": "InstructPix2Pix", "inpainting": "Inpaint"}
"""What pipelines are called by a model's purpose."""


def _write_index(config: ModelConfig, scheduler_class: str) -> Settings:
    xl, refines = config.family.startswith("SDXL"), config.family == "SDXL refiner"
    task = "Img2Img" if refines else _TASKS[config.purpose]
    index: Settings = {
        "_class_name": f"StableDiffusion{'XL' if xl else ''}{task}Pipeline",
        "_diffusers_version": "0.42.1",  # the one that tests open it with; some pipelines insist on a version
        "scheduler": ["diffusers", scheduler_class],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    for encoder, text in zip(encoder_folders(config), config.text, strict=True):
        index[encoder] = ["transformers", _write_text(text)["architectures"][0]]
        index[encoder.replace("text_encoder", "tokenizer")] = ["transformers", "CLIPTokenizer"]
    if refines:
        index |= {"text_encoder": [None, None], "tokenizer": [None, None], "requires_aesthetics_score": True}
    if not xl:
        index |= {"feature_extractor": [None, None], "safety_checker": [None, None], "requires_safety_checker": False}
    return index


def _per_level(value: int | Sequence[int], levels: int) -> tuple[int, ...]:
    values = (value,) * levels if isinstance(value, int) else tuple(value)
    if len(values) != levels:
        raise TypeError(f"{len(values)} values for {levels} levels")
    return values


def _uniform(what: str, settings: Settings, key: str) -> Any:
    """A setting that may be told for each level, and is known only if it is the same for all."""
    value = settings[key]
    if not isinstance(value, list):
        return value
    check_known(what, settings, {key: (value[:1] * len(value),)})
    return value[0]


def _shortest(values: Sequence[int]) -> int | list[int]:
    return values[0] if len(set(values)) == 1 else list(values)


_FROM_ZERO = ("skip", "steps_offset", "transformer_depth")
"""Whole numbers that may be 0."""


def _check_kinds(config: object) -> None:
    """Raise TypeError for a value that is not of its field's kind, or below its range: a file may say anything."""
    for name, hint in get_type_hints(type(config)).items():
        value = getattr(config, name)
        for each in value if get_origin(hint) is tuple else (value,):
            if is_dataclass(each):
                _check_kinds(each)
            elif not _fits(each, hint, 0 if name in _FROM_ZERO else 1):
                raise TypeError(f"{name} is {value!r}")


def _fits(value: Any, hint: Any, least: int) -> bool:
    kinds = get_args(hint)
    if get_origin(hint) is Literal:
        return value in kinds
    if get_origin(hint) is UnionType:
        return any(_fits(value, kind, least) for kind in kinds)
    if get_origin(hint) is tuple:
        return _fits(value, kinds[0], least)
    if hint is float:
        return type(value) in (int, float) and 0 < value < math.inf
    return type(value) is hint and (hint is not int or bool(value >= least))
