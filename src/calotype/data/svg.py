"""SVG pictures as pixels."""

import io

import numpy as np
from PIL import Image

from calotype.data.sprites import Pixels
from calotype.errors import lacking


def drawn_svg(svg: str, width: int = 128) -> Pixels:
    """An SVG document drawn ``width`` pixels wide on nothing: RGBA uint8 (h, width, 4)."""
    try:
        import resvg_py
    except ImportError as error:
        raise lacking("drawing SVG art", "resvg_py", "art") from error
    with Image.open(io.BytesIO(resvg_py.svg_to_bytes(svg_string=svg, width=width, skip_system_fonts=True))) as image:
        return np.asarray(image.convert("RGBA"))
