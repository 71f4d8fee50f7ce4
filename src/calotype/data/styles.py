"""Styles: the same things as different artists drew them."""

from collections.abc import Sequence
from pathlib import Path

from calotype.data import art, fluent, noto, twemoji
from calotype.data.names import emoji_names
from calotype.data.sprites import Pixels
from calotype.errors import CalotypeError


def source(style: str) -> Path:
    """Where the art of a style of ``art.STYLES`` lies: a font, or a folder of pictures.

    Raises CalotypeError when the style is unknown or its art is not here.
    """
    match style:
        case "noto":
            return art.noto_font()
        case "fluent-flat" | "fluent":
            return art.fluent_icons("flat" if style == "fluent-flat" else "modern")
        case "twemoji":
            return art.twemoji_font()
    raise CalotypeError(f"there is no style {style!r}: choose drawn or one of {', '.join(art.STYLES)}.")


def pictures(style: str, sequences: Sequence[str]) -> dict[str, Pixels]:
    """The RGBA picture of every sequence (``1f431``) in a style of ``art.STYLES``.

    Raises CalotypeError when the style is unknown, its art is not here, or it lacks one of them.
    """
    place = source(style)
    if style == "noto":
        found = dict(noto.bitmaps(place, sequences))
    elif style == "twemoji":
        found = dict(twemoji.layered(place, sequences))
    else:
        found = dict(fluent.icons(place, emoji_names(*art.name_tables()), sequences))
    if missing := [sequence for sequence in sequences if sequence not in found]:
        raise CalotypeError(f"{place} lacks {', '.join(missing)}: {art.renewal(place)}.")
    return found
