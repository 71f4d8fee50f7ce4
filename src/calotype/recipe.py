"""Recipe: what is asked of one picture. Record: the recipe and what it resolved to, kept inside the picture."""

import random
import re
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from calotype.configs import AS_STORED, ReadOptions
from calotype.diffusion.names import AUTOMATIC, spelling
from calotype.errors import CalotypeError

MAX_SEED = 2**64 - 1
MAX_SIDE = 4096
"""Of a picture, in pixels."""
SAMPLER = "DPM++ 2M"
"""The sampler of models that name none."""
PROMPTS = ("prompt", "negative_prompt", "hr_prompt", "hr_negative_prompt")
"""Fields that are read as prompts."""
SAMPLER_OPTIONS = ("eta", "s_churn", "s_tmin", "s_tmax", "s_noise")
"""Fields that are options of some samplers."""


def _drawn(seed: Any) -> Any:
    seed = seed.strip() if isinstance(seed, str) else seed
    return random.SystemRandom().randrange(2**32) if seed in (None, -1, "-1") else seed


def _points(value: Any) -> Any:
    """ "0:7,1:2" as points; nothing as none."""
    if isinstance(value, str):
        return [pair.split(":") for pair in value.split(",") if pair.strip()]
    return value or ()


def _borders(value: Any) -> Any:
    return value.split(",") if isinstance(value, str) else value or (0, 0, 0, 0)


def _answers(value: Any) -> bool:
    """Whether there is a yes or no in it, which pydantic would take for a number."""
    return isinstance(value, bool) or (isinstance(value, list | tuple) and any(map(_answers, value)))


def _unlimited(value: float | None) -> float | None:
    return value or None


Side = Annotated[int, Field(ge=16, le=MAX_SIDE, multiple_of=8)]
Share = Annotated[float, Field(ge=0, le=1)]
Scale = Annotated[float, Field(ge=0, le=100)]
Length = Annotated[int, Field(ge=0, le=65536)]
Border = Annotated[int, Field(ge=0, le=MAX_SIDE)]
Seed = Annotated[int, BeforeValidator(_drawn), Field(ge=0, le=MAX_SEED)]


_UNWRITABLE = re.compile("[\ud800-\udfff]")
"""Halves of letters: what bytes that are no UTF-8, and escapes in JSON, leave in a text."""
_A1111_RNG = {"cpu": "cpu", "gpu": "philox", "nv": "philox"}


def _rng(name: Any) -> Any:
    return _A1111_RNG.get(name.casefold(), name) if isinstance(name, str) else name


def _named(fields: dict[str, Any], sampler: str, scheduler: str) -> dict[str, str]:
    named = {key: fields[key] for key in (sampler, scheduler) if isinstance(fields.get(key), str)}
    named = {key: AUTOMATIC if spelling(name) == AUTOMATIC else name for key, name in named.items()}
    if named.get(sampler, AUTOMATIC) != AUTOMATIC:
        from calotype.diffusion.samplers import find_sampler  # torch comes with it: not before a name needs it

        row, ending = find_sampler(named[sampler])
        named[sampler] = row.name
        if ending and named.get(scheduler, AUTOMATIC) == AUTOMATIC:
            named[scheduler] = ending
    if named.get(scheduler, AUTOMATIC) != AUTOMATIC:
        from calotype.diffusion.schedulers import find_scheduler

        named[scheduler] = find_scheduler(named[scheduler]).name
    return named


class _Value(BaseModel):
    """A frozen value whose mistakes are told in one line."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __init__(self, /, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise CalotypeError(_one_line(error.errors()[0], type(self), fields)) from None

    def but(self, /, **fields: Any) -> Self:
        """This value with other ``fields``, checked again."""
        return type(self)(**{**dict(self), **fields})


class Recipe(_Value):
    """What is asked of one picture; the names are those that users know from A1111. Raises CalotypeError.

    A description tells up to its first semicolon what a field may be, as in "must be ...", and then what it does.
    """

    prompt: str = Field("", description="what the picture shows")
    negative_prompt: str = Field("", description="what it should not show")
    seed: Seed = Field(
        None,
        validate_default=True,
        description=f"a whole number from 0 to {MAX_SEED}, or -1 to draw one",
    )
    steps: int = Field(20, ge=1, le=1000, description="a whole number from 1 to 1000")
    sampler: str = Field(
        AUTOMATIC,
        description=f"a name that `calotype samplers` lists, or automatic: the model's own, else {SAMPLER}",
    )
    scheduler: str = Field(
        AUTOMATIC, description="a name that `calotype samplers` lists, or automatic: the sampler's usual one"
    )
    width: Side | None = Field(
        None,
        description="a multiple of 8 from 16 to 4096; without it, what the model was trained on: 128 (the embedded "
        "one), 512 (SD 1), 512 or 768 (SD 2), 1024 (SDXL)",
    )
    height: Side | None = Field(None, description="a multiple of 8 from 16 to 4096; without it, as for width")

    # Choices that some samplers leave, and where the noise comes from.
    eta: float | None = Field(
        None, ge=0, le=10, description="a number from 0, no fresh noise, to 10; without it, the sampler's own"
    )
    s_churn: float | None = Field(
        None, ge=0, le=1000, description="a number from 0 to 1000; how much noise Euler, Heun and DPM2 stir in"
    )
    s_tmin: float | None = Field(None, ge=0, description="a number from 0; the lowest noise level that s_churn stirs")
    s_tmax: Annotated[float | None, Field(ge=0), AfterValidator(_unlimited)] = Field(
        None, description="a number above 0; the highest noise level that s_churn stirs; without it, or 0, any"
    )
    s_noise: float | None = Field(
        None, ge=0, le=10, description="a number from 0 to 10; the size of noise that is stirred in or added on the way"
    )
    rng: Annotated[Literal["cpu", "philox"], BeforeValidator(_rng)] = Field(
        "cpu", description="cpu (torch's, A1111's CPU) or philox (A1111's GPU and NV); whose random numbers"
    )
    eta_noise_seed_delta: int = Field(
        0, ge=0, le=MAX_SEED, description="a whole number; what the seed grows by after the first noise (A1111's ENSD)"
    )

    # How words are read.
    clip_skip: int = Field(
        1, ge=1, le=12, description="a whole number from 1 to 12; 1 is the text encoder's usual layer"
    )
    prompt_style: Literal["a1111", "comfyui"] = Field("a1111", description="a1111 or comfyui; whose language it is")
    emphasis: Literal["Original", "No norm", "Ignore", "None"] = Field(
        "Original", description="Original, No norm, Ignore or None; what (weights) do in A1111's language"
    )
    pad_cond_uncond: bool = Field(
        False, description="whether the shorter of prompt and negative prompt is followed by empty chunks"
    )

    # How strongly they are followed.
    cfg_scale: float = Field(4.0, ge=0, le=100, description="a number from 0 to 100; 1 is no guidance")
    cfg_rescale: Share = Field(0.0, description="a number from 0 to 1; how much added contrast is taken away again")
    cfg_start: Share = Field(0.0, description="a number from 0 to 1; the share of the steps before guidance begins")
    cfg_end: Share = Field(1.0, description="a number from 0 to 1; the share of the steps after which guidance ends")
    cfg_points: Annotated[tuple[tuple[Share, Scale], ...], BeforeValidator(_points)] = Field(
        (), description="shares of the steps and scales, as in 0:7,1:2; instead of cfg_scale, in straight lines"
    )
    mimic_scale: Scale | None = Field(
        None, description="a number from 0 to 100; guidance may not be louder than at this scale"
    )
    threshold_percentile: float = Field(
        1.0, gt=0, le=1, description="a number above 0, at most 1; the share of numbers that thresholding leaves alone"
    )
    image_cfg_scale: Scale = Field(
        1.5, description="a number from 0 to 100; how strongly an editing model keeps to the picture"
    )

    # Another picture near this one.
    subseed: Seed = Field(0, description="the seed of the variation")
    subseed_strength: Share = Field(0.0, description="a number from 0 to 1; how far to go towards the subseed's noise")
    seed_resize_from_w: Side | None = Field(
        None, description="a multiple of 8 from 16 to 4096; keep the middle of the noise that this width has"
    )
    seed_resize_from_h: Side | None = Field(
        None, description="a multiple of 8 from 16 to 4096; keep the middle of the noise that this height has"
    )

    # A picture to begin with. Pictures are file names, or data: URLs that hold them.
    init_image: str | None = Field(None, description="a picture to begin with")
    resize_mode: Literal["just resize", "crop and resize", "resize and fill"] = Field(
        "just resize", description="just resize, crop and resize, or resize and fill"
    )
    denoising_strength: Share | None = Field(
        None, description="a number from 0, which changes nothing, to 1; without it, 0.75"
    )
    strength_convention: Literal["a1111", "diffusers"] = Field(
        "a1111", description="a1111 (one step more, at most all) or diffusers (whole part of strength times steps)"
    )
    mask: str | None = Field(None, description="a picture that is white where to paint")
    mask_invert: bool = Field(False, description="paint where the mask is black")
    mask_blur: float = Field(4.0, ge=0, le=256, description="a number from 0 to 256; how far the mask fades, in pixels")
    mask_round: bool = Field(True, description="whether the latent's mask is black and white only")
    inpainting_fill: Literal["fill", "original", "latent noise", "latent nothing"] = Field(
        "original", description="fill, original, latent noise or latent nothing; what the mask covers at first"
    )
    inpaint_area: Literal["whole picture", "only masked"] = Field(
        "whole picture", description="whole picture or only masked; only masked is the mask's surroundings, enlarged"
    )
    masked_padding: int = Field(
        32, ge=0, le=1024, description="a whole number from 0 to 1024; pixels around the mask that only masked shows"
    )
    keep_unmasked: bool = Field(
        True, description="whether what the faded mask leaves out stays to the byte, if the picture needs no resizing"
    )
    outpaint: Annotated[tuple[Border, Border, Border, Border], BeforeValidator(_borders)] = Field(
        (0, 0, 0, 0), description="four numbers, left, top, right and bottom, as in 64,0,64,0; pixels to add there"
    )

    # What SDXL is told beside the words (arXiv 2307.01952, 2.2).
    original_width: Length | None = Field(
        None, description="pixels, up to 65536; how wide the photograph was, for SDXL; without it, the picture's width"
    )
    original_height: Length | None = Field(None, description="pixels, up to 65536; without it, the picture's height")
    crop_left: Length = Field(0, description="pixels, up to 65536; how much was cut off at the photograph's left")
    crop_top: Length = Field(0, description="pixels, up to 65536; how much was cut off at the photograph's top")
    target_width: Length | None = Field(
        None, description="pixels, up to 65536; the size SDXL is to work for; without it, the picture's width"
    )
    target_height: Length | None = Field(None, description="pixels, up to 65536; without it, the picture's height")
    negative_original_width: Length | None = Field(
        None, description="pixels, up to 65536; what the negative prompt is told; without it, the same as the prompt"
    )
    negative_original_height: Length | None = Field(None, description="pixels, up to 65536")
    negative_target_width: Length | None = Field(None, description="pixels, up to 65536")
    negative_target_height: Length | None = Field(None, description="pixels, up to 65536")
    aesthetic_score: float = Field(6.0, ge=0, le=10, description="a number from 0 to 10; for SDXL's refiner")
    negative_aesthetic_score: float = Field(
        2.5, ge=0, le=10, description="a number from 0 to 10; the negative prompt's"
    )

    # A second model for the last steps.
    refiner_checkpoint: str | None = Field(None, description="a model that takes over at low noise: SDXL's refiner")
    refiner_switch_at: Share | None = Field(
        None, description="a number from 0 to 1; the share of the noise levels before the refiner's; without it, 0.8"
    )

    # A second pass at a larger size.
    hr_scale: float = Field(1.0, ge=1, le=8, description="a number from 1, which is no second pass, to 8")
    hr_upscaler: Literal[
        "Latent", "Latent (antialiased)", "Latent (bicubic)", "Latent (bicubic antialiased)", "Latent (nearest)",
        "Latent (nearest-exact)", "Lanczos", "Nearest",
    ] = Field(
        "Latent",
        description="Latent, Latent (antialiased), Latent (bicubic), Latent (bicubic antialiased), Latent (nearest), "
        "Latent (nearest-exact), Lanczos or Nearest; how the second pass's start is enlarged",
    )  # fmt: skip
    hr_steps: int | None = Field(None, ge=1, le=1000, description="a whole number from 1 to 1000; without it, steps")
    hr_denoising_strength: Share = Field(0.7, description="a number from 0, which only enlarges, to 1")
    hr_sampler: str | None = Field(None, description="a name that `calotype samplers` lists; without it, sampler")
    hr_scheduler: str | None = Field(None, description="a name that `calotype samplers` lists; without it, scheduler")
    hr_prompt: str | None = Field(None, description="the second pass's prompt; without it, prompt")
    hr_negative_prompt: str | None = Field(None, description="the second pass's negative prompt")
    hr_cfg_scale: Scale | None = Field(None, description="a number from 0 to 100; without it, cfg_scale")
    tile_size: Side | None = Field(
        None, description="a multiple of 8 from 16 to 4096; work in tiles of so many pixels, in bounded memory"
    )
    tile_overlap: int = Field(
        32, ge=0, le=1024, description="a whole number from 0 to 1024; pixels that neighbouring tiles share"
    )
    vae_tiling: bool = Field(
        False, description="encode and decode in tiles, too: in less memory than in bands, but not the same"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.tile_size is not None and self.tile_overlap >= self.tile_size:
            raise ValueError(f"tiles of {self.tile_size} pixels cannot share {self.tile_overlap}: choose less overlap.")
        if self.vae_tiling and self.tile_size is None:
            raise ValueError("vae_tiling needs tiles: say how large with tile_size.")
        if self.cfg_start > self.cfg_end:
            raise ValueError(f"guidance cannot begin at {self.cfg_start} and end at {self.cfg_end}: lower cfg_start.")
        if self.s_tmax is not None and (self.s_tmin or 0) > self.s_tmax:
            raise ValueError(f"s_churn cannot stir from {self.s_tmin} up to {self.s_tmax}: lower s_tmin.")
        if (self.seed_resize_from_w is None) != (self.seed_resize_from_h is None):
            raise ValueError("the noise's size has two sides: give both seed_resize_from_w and seed_resize_from_h.")
        if self.refiner_switch_at is not None and self.refiner_checkpoint is None:
            raise ValueError("refiner_switch_at says when another model takes over: name it with refiner_checkpoint.")
        if max(self.width or 0, self.height or 0) * self.hr_scale > MAX_SIDE:
            raise ValueError(f"hr_scale {self.hr_scale:g} would make more than {MAX_SIDE} pixels: choose a lower one.")
        if self.init_image is None and (self.mask is not None or any(self.outpaint)):
            raise ValueError("there is a mask or a border, but no picture to paint on: give init_image.")
        return self

    @property
    def sampler_options(self) -> dict[str, float]:
        """The sampler's own choices that are made here."""
        chosen = {name: getattr(self, name) for name in SAMPLER_OPTIONS}
        return {name: value for name, value in chosen.items() if value is not None}

    @property
    def variation(self) -> bool:
        """Whether the subseed has a part in the picture."""
        return self.subseed_strength > 0

    def later(self, number: int) -> Self:
        """The recipe of the picture ``number`` after this one: its seed is larger by that, a variation's subseed."""
        counted = "subseed" if self.variation else "seed"
        return self.but(**{counted: getattr(self, counted) + number})

    @model_validator(mode="before")
    @classmethod
    def _with_our_names(cls, fields: Any) -> Any:
        """Sampler and scheduler by any program's name, old ones for both ("DPM++ 2M Karras") too, become ours."""
        if not isinstance(fields, dict):
            return fields
        return {**fields, **_named(fields, "sampler", "scheduler"), **_named(fields, "hr_sampler", "hr_scheduler")}

    @model_validator(mode="before")
    @classmethod
    def _of_their_kind(cls, fields: Any) -> Any:
        """No text that cannot be written, and no yes or no where a number is wanted."""
        if not isinstance(fields, dict):
            return fields
        for name, value in fields.items():
            for text in (name, value):
                if isinstance(text, str) and _UNWRITABLE.search(text):
                    raise ValueError(f"{text!r} is no text that can be written: leave out what is escaped in it.")
            field = cls.model_fields.get(name)
            if field is not None and field.annotation is not bool and _answers(value):
                raise ValueError(f"{name} is {value}, but must be {_allowed(field)}.")
        return fields


class Record(_Value):
    """A recipe whose every field is settled, and all else that can change a pixel."""

    recipe: Recipe = Field(description="the fields of a recipe")
    model: str
    model_hash: str
    """sha256 of the model's files, in hex."""
    choices: ReadOptions = AS_STORED
    """How they were read."""
    refiner_hash: str = ""
    """That of the refiner's files, if there is one."""
    dtype: str
    device: str
    threads: int = Field(ge=1, description="a whole number from 1")
    noise: str
    """Whose random numbers: "cpu" is torch's CPU generator, "philox" that of NVIDIA's GPUs."""
    cpu: str = ""
    """The processor's kind and the widest instructions that torch uses of it."""
    versions: dict[str, str]
    inputs: dict[str, str] = {}
    """sha256 of each picture it began with, by the recipe's field: of the pixels as they were read."""
    digests: tuple[str, ...]
    """The first 16 hex digits of sha256 of each step's latent."""
    pixels: str = ""
    """sha256 of the picture's size and pixels."""


def allowed(name: str) -> str:
    """What a recipe's field of this name may be, in words that follow "must be"."""
    return _allowed(Recipe.model_fields[name])


def _allowed(field: FieldInfo) -> str:
    return "true or false" if field.annotation is bool else (field.description or "").partition(";")[0]


def _one_line(error: ErrorDetails, model: type[BaseModel], fields: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in error["loc"])
    if place == "styles":
        return (
            "styles are lists of words kept elsewhere, which Calotype does not have: write the words into the prompt."
        )
    if error["type"] == "extra_forbidden":
        near = get_close_matches(place, model.model_fields)
        return f"unknown field {place!r}: " + (f"did you mean {' or '.join(near)}?" if near else "leave it out.")
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    name = str(error["loc"][0])
    wanted = _allowed(model.model_fields[name])
    if name in fields and wanted:
        sides = _sides(int(error["input"])) if error["type"] == "multiple_of" else ""
        return f"{name} is {fields[name]!r}, but must be {wanted}{sides}."
    return f"{place} is missing." if error["type"] == "missing" else f"{place} is {error['input']!r}: {error['msg']}."


def _sides(number: int) -> str:
    """The sides that a picture may have nearest to ``number``, after what they are."""
    below = number // 8 * 8
    sides = {min(max(side, 16), MAX_SIDE) for side in (below, below + 8)}
    return ": " + " or ".join(map(str, sorted(sides)))
