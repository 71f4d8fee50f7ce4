"""A picture that knows how it was made."""

from os import PathLike, fsdecode
from pathlib import Path
from typing import IO, Any, Self

from PIL import Image

from calotype.files import written_whole
from calotype.imaging.png import metadata
from calotype.recipe import Recipe, Record


class Picture(Image.Image):
    """A PIL image with ``recipe`` and ``record``. Copies and edits of it are plain PIL images, which have neither."""

    record: Record

    @classmethod
    def of(cls, image: Image.Image, record: Record) -> Self:
        """``image`` as a Picture; the pixels are shared."""
        picture = cls()
        picture.__dict__.update(image.__dict__)
        picture.record = record
        return picture

    @property
    def recipe(self) -> Recipe:
        """The recipe that makes this picture again, every field settled."""
        return self.record.recipe

    def save(
        self, fp: str | bytes | PathLike[str] | PathLike[bytes] | IO[bytes], format: str | None = None, **params: Any
    ) -> None:
        """As PIL saves, but a file appears whole or not at all, and a PNG carries the record.

        Raises CalotypeError when the file cannot be written.
        """
        if not isinstance(fp, (str, bytes, PathLike)):
            super().save(fp, format, **self._params(format, params))
            return
        path = Path(fsdecode(fp))
        format = format or Image.registered_extensions().get(path.suffix.lower(), "PNG")
        with written_whole(path) as temporary:
            super().save(temporary, format, **self._params(format, params))

    def _params(self, format: str | None, params: dict[str, Any]) -> dict[str, Any]:
        return {"pnginfo": metadata(self.record), **params} if (format or "").upper() == "PNG" else params
