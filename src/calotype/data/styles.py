"""Styles: the same things as different artists drew them."""

from collections.abc import Sequence

from calotype.data import art, fluent, noto, twemoji
from calotype.data.names import emoji_names
from calotype.data.sprites import Pixels
from calotype.errors import CalotypeError


def pictures(style: str, sequences: Sequence[str]) -> dict[str, Pixels]:
    """The RGBA picture of every sequence (``1f431``) in a style of ``art.STYLES``.

    Raises CalotypeError when the style is unknown, its art is not here, or it lacks one of them.
    """
    match style:
        case "noto":
            found = dict(noto.bitmaps(art.noto_font(), sequences))
        case "fluent-flat" | "fluent":
            folder = art.fluent_icons("flat" if style == "fluent-flat" else "modern")
            found = dict(fluent.icons(folder, emoji_names(*art.name_tables()), sequences))
        case "twemoji":
            found = dict(twemoji.layered(art.twemoji_font(), sequences))
        case _:
            raise CalotypeError(f"there is no style {style!r}: choose drawn or one of {', '.join(art.STYLES)}.")
    if missing := [sequence for sequence in sequences if sequence not in found]:
        raise CalotypeError(f"the {style} art lacks {', '.join(missing)}: fetch its known version again.")
    return found
