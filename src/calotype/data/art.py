"""Art: the emoji fonts and name tables, fetched from their distributors, never committed."""

from pathlib import Path

from calotype.errors import CalotypeError
from calotype.files import cache_dir

_FONT = Path("usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")


def noto_font() -> Path:
    """Noto Color Emoji: the system's, else the fetched one. Raises CalotypeError when there is neither."""
    return _found(_FONT)


def _found(path: Path) -> Path:
    for root in (cache_dir("art"), Path("/")):
        if (root / path).exists():
            return root / path
    raise CalotypeError(f"there is no emoji art ({path.name}) here: fetch it with 'calotype data fetch-art'.")
