"""What a PNG tells about its making: Calotype's record, whole, and AUTOMATIC1111's text, which other programs read."""

import json
from pathlib import Path

from PIL.PngImagePlugin import PngInfo

from calotype.errors import CalotypeError
from calotype.imaging.reading import opened
from calotype.recipe import Record

RECORD_KEY = "calotype"
PARAMETERS_KEY = "parameters"
_EXIF, _COMMENT, _UNICODE = 0x8769, 0x9286, b"UNICODE\0"


def metadata(record: Record) -> PngInfo:
    """The text chunks of a picture: ``calotype``, the record as JSON, and ``parameters``, A1111's text."""
    from calotype.dialects.a1111 import parameters  # torch comes with it, which reading does without

    info = PngInfo()
    info.add_text(PARAMETERS_KEY, parameters(record))
    info.add_text(RECORD_KEY, record.model_dump_json())
    return info


def read_texts(path: Path) -> dict[str, str]:
    """The texts inside a PNG by their keys; of a JPEG or WebP, A1111's in its EXIF comment. Raises CalotypeError."""
    with opened(str(path)) as image:
        comment = image.getexif().get_ifd(_EXIF).get(_COMMENT, b"")
        texts = {key: str(text) for key, text in getattr(image, "text", {}).items()}
    if not texts and isinstance(comment, bytes) and comment.startswith(_UNICODE):
        texts[PARAMETERS_KEY] = comment.removeprefix(_UNICODE).decode("utf-16-be", "replace")
    return texts


def read_record(path: Path) -> Record:
    """The record inside a PNG. Raises CalotypeError for what is no PNG of Calotype's."""
    text = read_texts(path).get(RECORD_KEY)
    if text is None:
        raise CalotypeError(f"{path} holds no record of Calotype: it was made, or saved again, by another program.")
    try:
        return Record(**json.loads(text))
    except (ValueError, TypeError, RecursionError) as error:
        raise CalotypeError(f"the record in {path} is damaged or of another version: {error}") from error
