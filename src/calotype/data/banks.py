"""The banks there are: the vocabulary in a style of the art, kept in the cache; and one that needs no art."""

from hashlib import blake2b

from safetensors import safe_open
from safetensors.numpy import save_file

from calotype.checkpoints.hashes import files_hash
from calotype.data import styles
from calotype.data.drawn import drawn
from calotype.data.sprites import Sprite, SpriteBank, crop
from calotype.data.things import THINGS
from calotype.files import cache_dir, damage_told, written_whole


def load_bank(style: str = "noto") -> SpriteBank:
    """The bank of the vocabulary (``things``) in a style of ``art.STYLES``, or the ``drawn`` one; from the cache, made
    from the art the first time, and again where the art has become another.

    Raises CalotypeError when the art has not been fetched, or when the style is unknown.
    """
    if style == "drawn":
        return drawn_bank()
    things = {code: names for members in THINGS.values() for code, names in members.items()}
    vocabulary = blake2b(" ".join(things).encode(), digest_size=4).hexdigest()
    art = styles.source(style)
    version = files_hash(sorted(art.iterdir()) if art.is_dir() else [art])[:8]
    path = cache_dir("banks") / f"{style}-{vocabulary}-{version}.safetensors"
    if not path.exists():
        found = {code: crop(pixels) for code, pixels in styles.pictures(style, list(things)).items()}
        with written_whole(path) as temporary:
            save_file(found, temporary)
    with damage_told(path, "remove it, and it is made anew"), safe_open(path, framework="numpy") as file:
        sprites = [Sprite(code, names[0], names[1:], file.get_tensor(code)) for code, names in things.items()]
    return SpriteBank(style, tuple(sprites))


def drawn_bank() -> SpriteBank:
    """Stand-in sprites drawn on the spot: a world for tests and for machines without art."""
    return SpriteBank("drawn", tuple(drawn()))
