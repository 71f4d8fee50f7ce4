"""What a PNG tells about its making: Calotype's record, whole, and AUTOMATIC1111's text, which other programs read."""

import json
from pathlib import Path

from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from calotype.diffusion.schedulers import SCHEDULERS
from calotype.errors import CalotypeError
from calotype.recipe import Record

RECORD_KEY = "calotype"
PARAMETERS_KEY = "parameters"


def metadata(record: Record) -> PngInfo:
    """The text chunks of a picture: ``calotype``, the record as JSON, and ``parameters``, A1111's text."""
    info = PngInfo()
    info.add_text(PARAMETERS_KEY, parameters(record))
    info.add_text(RECORD_KEY, record.model_dump_json())
    return info


def parameters(record: Record) -> str:
    """The text that A1111 1.10.1 writes for such a picture (its ``create_infotext``): same order, same quoting."""
    recipe = record.recipe
    pairs: dict[str, str | float | None] = {
        "Steps": recipe.steps,
        "Sampler": recipe.sampler,
        "Schedule type": SCHEDULERS[recipe.scheduler].label,
        "CFG scale": recipe.cfg_scale,
        "Seed": recipe.seed,
        "Size": f"{recipe.width}x{recipe.height}",
        "Model hash": record.model_hash[:10],
        "Model": record.model,
        "Clip skip": recipe.clip_skip if recipe.clip_skip > 1 else None,
        "RNG": record.noise.upper(),
        "CFG Rescale": recipe.cfg_rescale or None,
        "Version": f"calotype {record.versions.get('calotype', '')}".strip(),
    }
    line = ", ".join(
        key if key == value else f"{key}: {_quoted(value)}" for key, value in pairs.items() if value is not None
    )
    negative = f"\nNegative prompt: {recipe.negative_prompt}" if recipe.negative_prompt else ""
    return f"{recipe.prompt}{negative}\n{line}".strip()


def _quoted(value: str | float) -> str:
    text = str(int(value) if isinstance(value, float) and value.is_integer() else value)
    return json.dumps(text, ensure_ascii=False) if set(text) & set(",\n:") else text


def read_record(path: Path) -> Record:
    """The record inside a PNG. Raises CalotypeError for what is no PNG of Calotype's."""
    try:
        with Image.open(path) as image:
            image.load()  # the chunks may stand behind the pixels
            text = getattr(image, "text", {}).get(RECORD_KEY)
    except FileNotFoundError as error:
        raise CalotypeError(f"there is no picture {path}: check the name.") from error
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise CalotypeError(f"cannot read {path} as a picture: it is damaged or of another kind.") from error
    if text is None:
        raise CalotypeError(f"{path} holds no record of Calotype: it was made, or saved again, by another program.")
    try:
        return Record(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise CalotypeError(f"the record in {path} is damaged or of another version: {error}") from error
