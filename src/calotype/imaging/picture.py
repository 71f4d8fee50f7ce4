"""A picture that knows how it was made."""

from os import PathLike, fsdecode
from pathlib import Path
from typing import IO, Any, Self

from PIL import Image

from calotype.errors import CalotypeError
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

        Raises CalotypeError when the file cannot be written, and for a name whose ending is no format's.
        """
        path = Path(fsdecode(fp)) if isinstance(fp, (str, bytes, PathLike)) else None
        ending = (path or Path(str(getattr(fp, "name", "")))).suffix
        format = format or Image.registered_extensions().get(ending.lower())
        if format is None:
            raise CalotypeError(f"what ends in {ending!r} is no picture: name a .png, or give a format.")
        if format.upper() == "PNG":
            params = {"pnginfo": metadata(self.record), **params}
        if path is None:
            super().save(fp, format, **params)
            return
        with written_whole(path) as temporary:
            super().save(temporary, format, **params)
