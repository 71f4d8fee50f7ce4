"""Contact sheets: many small pictures on one, each with its caption."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

_MARGIN, _FONT_SIZE = 8, 12


def contact_sheet(
    pictures: Sequence[Image.Image | Path], captions: Sequence[str] | None = None, columns: int = 4
) -> Image.Image:
    """``pictures`` in rows of ``columns`` on white, each in a cell of the largest one's size, its caption under it.

    Captions are wrapped between words; without them the cells hold pictures alone. Of paths, one file is open at a
    time. Raises ValueError for no pictures, or captions of another number.
    """
    captions = captions if captions is not None else [""] * len(pictures)
    width, height = (max(sides) for sides in zip(*map(_size, pictures), strict=True))
    font = ImageFont.load_default(_FONT_SIZE)
    wrapped = ["\n".join(_lines(caption, width, font)) for caption in captions]
    text_height = max(_height(text, font) for text in wrapped)
    cell = (width + _MARGIN, height + text_height + _MARGIN)
    rows = math.ceil(len(pictures) / columns)
    sheet = Image.new("RGB", (min(columns, len(pictures)) * cell[0] + _MARGIN, rows * cell[1] + _MARGIN), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (picture, text) in enumerate(zip(pictures, wrapped, strict=True)):
        row, column = divmod(index, columns)
        x, y = _MARGIN + column * cell[0], _MARGIN + row * cell[1]
        with _opened(picture) as image:
            sheet.paste(image.convert("RGB"), (x, y))
        draw.multiline_text((x, y + height + _MARGIN // 2), text, fill="black", font=font)
    return sheet


def _size(picture: Image.Image | Path) -> tuple[int, int]:
    with _opened(picture) as image:
        return image.size


def _opened(picture: Image.Image | Path) -> AbstractContextManager[Image.Image]:
    return Image.open(picture) if isinstance(picture, Path) else nullcontext(picture)


def _lines(caption: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> list[str]:
    lines: list[str] = []
    for word in caption.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(word)
    return lines


def _height(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> int:
    if not text:
        return 0
    return _MARGIN + math.ceil(ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox((0, 0), text, font)[3])
