"""Recipe: what is asked of one picture. Record: the recipe and what it resolved to, kept inside the picture."""

import random
from difflib import get_close_matches
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from calotype.errors import CalotypeError

MAX_SEED = 2**64 - 1
AUTOMATIC = "automatic"
"""The scheduler that stands for the one usual with the sampler, or for the model's own spacing."""


def _drawn(seed: Any) -> Any:
    return random.SystemRandom().randrange(2**32) if seed in (None, -1) else seed


Side = Annotated[int, Field(ge=16, le=4096, multiple_of=8)]


class _Value(BaseModel):
    """A frozen value whose mistakes are told in one line."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise CalotypeError(_one_line(error.errors()[0], type(self))) from None

    def but(self, **fields: Any) -> Self:
        """This value with other ``fields``, checked again."""
        return type(self)(**{**dict(self), **fields})


class Recipe(_Value):
    """What is asked of one picture; the names are those that users know from A1111. Raises CalotypeError."""

    prompt: str = Field("", description="what the picture shows")
    negative_prompt: str = Field("", description="what it should not show")
    seed: Annotated[int, BeforeValidator(_drawn)] = Field(
        None,
        validate_default=True,
        ge=0,
        le=MAX_SEED,
        description=f"a whole number from 0 to {MAX_SEED}, or -1 to draw one",
    )
    steps: int = Field(20, ge=1, le=1000, description="a whole number from 1 to 1000")
    sampler: str = Field("DPM++ 2M", description="a name that `calotype samplers` lists")
    scheduler: str = Field(
        AUTOMATIC, description="a name that `calotype samplers` lists, or automatic: the sampler's usual one"
    )
    cfg_scale: float = Field(4.0, ge=0, le=100, description="a number from 0 to 100; 1 is no guidance")
    cfg_rescale: float = Field(0.0, ge=0, le=1, description="a number from 0 to 1")
    width: Side | None = Field(None, description="a multiple of 8 from 16 to 4096; without it, the model's own size")
    height: Side | None = Field(None, description="a multiple of 8 from 16 to 4096; without it, the model's own size")
    clip_skip: int = Field(
        1, ge=1, le=12, description="a whole number from 1 to 12; 1 is the text encoder's usual layer"
    )

    @model_validator(mode="before")
    @classmethod
    def _with_our_names(cls, fields: dict[str, Any]) -> dict[str, Any]:
        """Sampler and scheduler by any program's name, old ones for both ("DPM++ 2M Karras") too, become ours."""
        named = {key: fields[key] for key in ("sampler", "scheduler") if isinstance(fields.get(key), str)}
        if "sampler" in named:
            from calotype.diffusion.samplers import find_sampler  # torch comes with it: not before a name needs it

            sampler, ending = find_sampler(named["sampler"])
            named["sampler"] = sampler.name
            if ending and named.get("scheduler", AUTOMATIC) == AUTOMATIC:
                named["scheduler"] = ending
        if named.get("scheduler", AUTOMATIC) != AUTOMATIC:
            from calotype.diffusion.schedulers import find_scheduler

            named["scheduler"] = find_scheduler(named["scheduler"]).name
        return {**fields, **named}


class Record(_Value):
    """A recipe whose every field is settled, and all else that can change a pixel."""

    recipe: Recipe
    model: str
    model_hash: str
    """sha256 of the model's files, in hex."""
    dtype: str
    device: str
    threads: int
    noise: str
    """Where the noise came from: "cpu" is torch's CPU generator."""
    versions: dict[str, str]
    digests: tuple[str, ...]
    """The first 16 hex digits of sha256 of each step's latent."""


def _one_line(error: ErrorDetails, model: type[BaseModel]) -> str:
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        near = get_close_matches(name, model.model_fields)
        return f"unknown field {name!r}: did you mean {' or '.join(near or model.model_fields)}?"
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    if error["type"] == "missing":
        return f"{name} is missing."
    field = model.model_fields.get(name)
    wanted = field.description if field else None
    return f"{name} is {error['input']!r}, but must be {wanted or error['msg']}."
