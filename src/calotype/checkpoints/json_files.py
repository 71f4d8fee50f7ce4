"""The json files of a diffusers folder: read, written, and held to what we know of them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from calotype.errors import CalotypeError

Settings = dict[str, Any]


def read_json(path: Path) -> Settings:
    """The JSON object in the file at ``path``. Raises CalotypeError if it cannot be read or holds none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CalotypeError(f"cannot read {path}: {error.strerror or error}. Fetch the model again.") from error
    except (ValueError, RecursionError) as error:
        raise CalotypeError(f"{path} is damaged: it is not JSON ({error}). Fetch the model again.") from error
    if not isinstance(content, dict):
        raise CalotypeError(f"{path} is damaged: it holds no JSON object. Fetch the model again.")
    return content


def write_json(path: Path, content: Settings) -> None:
    """Write the file at ``path``, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def check_known(what: str, settings: Settings, known: Mapping[str, Sequence[Any]]) -> None:
    """Raise CalotypeError if one of the ``settings`` has none of its ``known`` values; each may be left out."""
    for key, values in known.items():
        if key in settings and settings[key] not in values:
            raise CalotypeError(
                f"this {what} is of a kind Calotype does not know: {key} is {settings[key]!r}. "
                "Use a model of the SD 1.x, 2.x or SDXL families."
            )
