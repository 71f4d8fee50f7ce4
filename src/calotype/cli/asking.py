"""What every command that makes pictures can be asked: a recipe's fields, and where the pictures go, as options."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from calotype.recipe import Recipe

GROUPS = {
    "Words": ("negative_prompt", "prompt_style", "emphasis", "pad_cond_uncond", "clip_skip"),
    "Sampling": (
        "seed", "steps", "sampler", "scheduler", "width", "height", "subseed", "subseed_strength",
        "seed_resize_from_w", "seed_resize_from_h",
    ),
    "The sampler's own choices": ("eta", "s_churn", "s_tmin", "s_tmax", "s_noise", "rng", "eta_noise_seed_delta"),
    "Guidance": (
        "cfg_scale", "cfg_rescale", "cfg_start", "cfg_end", "cfg_points", "mimic_scale", "threshold_percentile",
    ),
    "SDXL": (
        "refiner_checkpoint", "refiner_switch_at", "original_width", "original_height", "crop_left", "crop_top",
        "target_width", "target_height", "negative_original_width", "negative_original_height",
        "negative_target_width", "negative_target_height", "aesthetic_score", "negative_aesthetic_score",
    ),
    "Pictures": ("init_image", "mask"),
    "The picture to begin with": (
        "denoising_strength", "strength_convention", "resize_mode", "image_cfg_scale",
    ),
    "The mask": (
        "mask_invert", "mask_blur", "mask_round", "inpainting_fill", "inpaint_area", "masked_padding", "keep_unmasked",
        "outpaint",
    ),
    "Beyond the training resolution": (
        "hr_scale", "hr_upscaler", "hr_steps", "hr_denoising_strength", "hr_sampler", "hr_scheduler", "hr_prompt",
        "hr_negative_prompt", "hr_cfg_scale", "tile_size", "tile_overlap", "vae_tiling",
    ),
}  # fmt: skip
"""Fields of `Recipe` by the heading that they stand under in a command's help. Where pictures are arguments, the group
of them is left out."""
_SHORT = {"refiner_checkpoint": "refiner"}
"""What the option of a field is called where it is not the field's name."""


@dataclass(frozen=True)
class Ask:
    """The options of one call."""

    fields: dict[str, Any]
    """Of the recipe."""
    count: int
    output: Path
    model: Path | None
    vae: Path | None
    device: str | None
    dtype: str | None
    threads: int | None
    preview_every: int | None
    preview_by: Literal["fit", "vae"]
    save_state_every: int
    json: bool

    def recipes(self, **fields: Any) -> list[Recipe]:
        """As many recipes as pictures are wanted."""
        first = Recipe(**self.fields, **fields)
        return [first.later(number) for number in range(self.count)]


MODEL = "A folder, a file, or owner/name of a model that was pulled. Without it: the embedded one."
"""What ``--model`` takes, wherever it is asked for."""
DEVICE = "cpu, cuda, cuda:1 or mps; without it, a GPU where there is one."
"""What ``--device`` takes."""

_Option = tuple[Any, Any, Any]
"""Type, description and default."""
_MAKING: dict[str, _Option] = {
    "count": (
        int, typer.Option("-n", "--count", min=1, help="How many; the seed, or a variation's subseed, goes up by one."),
        1,
    ),
    "output": (
        Path, typer.Option("-o", "--output", help="A folder, or a file name that ends in .png."), Path("out"),
    ),
    "model": (Path | None, typer.Option(help=MODEL), None),
    "vae": (Path | None, typer.Option(help="A file whose autoencoder takes the place of the model's own."), None),
    "device": (str | None, typer.Option(help=DEVICE), None),
    "dtype": (
        str | None, typer.Option(help="fp32, bf16 or fp16; without it, what the device is fast at, for large models."),
        None,
    ),
    "threads": (int | None, typer.Option(min=1, help="CPU threads; other numbers may change the last bits."), None),
    "preview_every": (
        int | None, typer.Option(min=1, help="Write a small preview beside the picture every so many steps."), None,
    ),
    "preview_by": (
        Literal["fit", "vae"],
        typer.Option(help="Previews by fit (about the colours, at once) or by vae (decoded: whole, and slower)."),
        "fit",
    ),
    "save_state_every": (
        int, typer.Option(min=0, help="Keep the run beside the picture every so many steps, to go on from there."), 0,
    ),
    "json": (bool, typer.Option("--json", help="Print a line of JSON for each picture."), False),
}  # fmt: skip
FOLDER: _Option = (Path, typer.Option("-o", "--output", help="A folder."), Path("out"))
"""``output`` where a command makes many pictures, whatever is asked."""


def asking(*groups: str, **instead: _Option | None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of `Ask` with these groups of fields, in the place of its parameter ``ask``.

    ``instead`` are options that it has otherwise, or, where they are None, not at all: their defaults hold.
    """
    fields = [name for group in groups for name in GROUPS[group]]
    making = {name: option for name, option in (_MAKING | instead).items() if option}
    options = [
        *(_field_option(group, name) for group in groups for name in GROUPS[group]),
        *(_parameter(name, *option) for name, option in making.items()),
    ]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(**values: Any) -> None:
            asked = {name: values.pop(name) for name in fields}
            ask = Ask(asked, **{name: values.pop(name, default) for name, (_, _, default) in _MAKING.items()})
            command(**values, ask=ask)

        own = [each for each in inspect.signature(command, eval_str=True).parameters.values() if each.name != "ask"]
        parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*own, *options)]
        run.__dict__["__signature__"] = inspect.Signature(parameters)
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return decorate


def _field_option(group: str, name: str) -> inspect.Parameter:
    field = Recipe.model_fields[name]
    default = -1 if name == "seed" else field.default
    kind = _kind(field.annotation)
    if isinstance(default, tuple):
        default, kind = None, str | None
    flags = [f"--{name.replace('_', '-')}"] if default is False else []  # without one that says what is so anyway
    flags += [f"--{_SHORT[name]}"] if name in _SHORT else []
    shown = default is not None and default is not False
    option = typer.Option(*flags, help=field.description, rich_help_panel=group, show_default=shown)
    return _parameter(name, kind, option, default)


def _parameter(name: str, kind: Any, option: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])


def _kind(annotation: Any) -> Any:
    """What typer is told of a field's type: a number, a flag, or a string that the recipe will check."""
    if get_origin(annotation) is Annotated:
        return _kind(get_args(annotation)[0])
    if NoneType in get_args(annotation):
        return _kind(next(each for each in get_args(annotation) if each is not NoneType)) | None
    return annotation if annotation in (int, float, bool) else str
