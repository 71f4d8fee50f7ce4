"""Pictures and masks from outside, whatever they are stored as."""

import base64
import binascii
import hashlib
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps

from calotype.errors import CalotypeError
from calotype.files import unreadable

MAX_PIXELS = 64 * 2**20
"""A picture of more pixels is refused before it is unpacked: 8192 x 8192 takes 200 MB."""
MAX_INLINE = 30 * 2**20
"""Characters of a picture inside a recipe: two of them fit into the 64 MiB of text that Pillow reads from a PNG."""
_INLINE = "data:"
_BEGINNINGS = re.compile(rb"\x89PNG|\xff\xd8\xff|RIFF....WEBP", re.DOTALL)
"""Of PNG, JPEG and WebP."""
_PNG_MODES = ("1", "L", "LA", "I;16", "P", "RGB", "RGBA")
"""What a PNG holds as it is."""


def is_picture(path: Path) -> bool:
    """Whether a file begins as pictures do that can tell of their making: PNG, JPEG, WebP."""
    try:
        with path.open("rb") as file:
            return _BEGINNINGS.match(file.read(12)) is not None
    except OSError:
        return False


def inline(image: Image.Image) -> str:
    """A picture as a ``data:`` URL, so that a recipe can hold it whole: read, it is as a file of it would be.

    Raises CalotypeError for what is damaged or too large.
    """
    name, buffer = "the given picture", BytesIO()
    with _explained(name):
        _check_size(image, name)
        upright = ImageOps.exif_transpose(image)
        if upright.mode not in _PNG_MODES:
            upright = upright.convert("RGBA") if _has_alpha(upright) else _eight_bits(upright).convert("RGB")
        upright.save(buffer, "PNG")
    url = f"{_INLINE}image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    if len(url) > MAX_INLINE:
        size = f"{len(url) / 2**20:.0f} MiB of text, of which {MAX_INLINE / 2**20:.0f} fit"
        raise CalotypeError(f"{name} would be {size} into a record: give the path of a file, or make it smaller.")
    return url


def read_picture(source: str) -> Image.Image:
    """The picture in a file or a ``data:`` URL: upright as EXIF says, RGB, 8 bits.

    Of an animation the first frame; 16 bits lose the lower eight; what is transparent becomes white; CMYK is
    converted. Raises CalotypeError for what is missing, damaged, cut short or too large.
    """
    with opened(source) as stored:
        image = ImageOps.exif_transpose(stored)
        if _has_alpha(image):
            image = image.convert("RGBA")
            white = Image.new("RGBA", image.size, "white")
            return Image.alpha_composite(white, image).convert("RGB")
        return _eight_bits(image).convert("RGB")


def read_mask(source: str) -> Image.Image:
    """The mask in a file or a ``data:`` URL, in grey: its transparency if it has any, as in A1111, else its light.

    Raises CalotypeError as `read_picture` does.
    """
    with opened(source) as stored:
        image = ImageOps.exif_transpose(stored)
        if _has_alpha(image):
            alpha = image.convert("RGBA").getchannel("A")
            if alpha.getextrema() != (255, 255):
                return alpha
        return _eight_bits(image).convert("L")


@contextmanager
def opened(source: str) -> Iterator[Image.Image]:
    """The picture in a file or a ``data:`` URL as it is stored, for the time of the block.

    Raises CalotypeError as `read_picture` does, also for what the block finds damaged.
    """
    name = "the picture in the recipe" if source.startswith(_INLINE) else source
    with _explained(name), Image.open(BytesIO(_decoded(source)) if name != source else Path(source)) as image:
        _check_size(image, name)
        image.load()  # what a PNG tells may stand behind its pixels
        yield image


def fingerprint(image: Image.Image) -> str:
    """sha256, in hex, of a picture's size and pixels."""
    return hashlib.sha256(f"{image.mode} {image.width} {image.height} ".encode() + image.tobytes()).hexdigest()


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """What goes wrong with a picture, for a person. Of damaged files Pillow raises what its parsers stumble over."""
    try:
        yield
    except CalotypeError:
        raise
    except Image.DecompressionBombError as error:
        raise CalotypeError(f"{name} unpacks to more pixels than can be read: make it smaller.") from error
    except (OSError, EOFError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, struct.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise unreadable(error, name, "picture") from error
        raise CalotypeError(f"cannot read {name} as a picture: it is damaged, cut short or of another kind.") from error


def _check_size(image: Image.Image, name: str) -> None:
    if image.width * image.height > MAX_PIXELS:
        size = f"{image.width}x{image.height}"
        raise CalotypeError(f"{name} has {size} pixels, of which {MAX_PIXELS} can be read: make it smaller.")


def _decoded(url: str) -> bytes:
    try:
        return base64.b64decode(url.partition(",")[2], validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info


def _eight_bits(image: Image.Image) -> Image.Image:
    """Modes of more bits are clipped by PIL, not scaled."""
    if image.mode.startswith("I"):
        return image.convert("I").point(lambda level: level / 256).convert("L")
    return image
