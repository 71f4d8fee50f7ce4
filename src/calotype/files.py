"""Where files live and how they are written: never half, never under their final name before they are whole."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from safetensors import SafetensorError

from calotype.errors import CalotypeError

EMBEDDED = Path(__file__).parent / "embedded" / "model"
"""The folder of the model that comes with Calotype."""


def cache_dir(*parts: str) -> Path:
    """The user's cache folder, created: ``CALOTYPE_CACHE``, else ``calotype`` in ``XDG_CACHE_HOME`` or ``~/.cache``.

    Raises CalotypeError when it cannot be made.
    """
    folder = (place_in("CALOTYPE_CACHE") or user_cache() / "calotype").joinpath(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CalotypeError(
            f"cannot make the cache folder {folder}: {error.strerror}. Name another place in CALOTYPE_CACHE."
        ) from error
    return folder


def user_cache() -> Path:
    """Where programs keep what they can make or fetch again: ``XDG_CACHE_HOME``, else ``~/.cache``."""
    return place_in("XDG_CACHE_HOME") or Path.home() / ".cache"


def place_in(*variables: str) -> Path | None:
    """The path in the first of these environment variables that has one, with ``~`` and ``$NAME`` in it resolved."""
    value = next(filter(None, map(os.environ.get, variables)), None)
    return Path(os.path.expandvars(value)).expanduser() if value else None


def is_there(path: Path) -> bool:
    """`Path.exists`, but False where it would raise: of what may not be looked at, and of names too long for a file."""
    try:
        return path.exists()
    except OSError:
        return False


def unreadable(error: OSError, path: str | Path, what: str, remedy: str = "check the name") -> CalotypeError:
    """What to say of a file that should be read as ``what`` it is; ``remedy`` where there is none of that name."""
    name = repr(str(path))
    if isinstance(error, FileNotFoundError):
        return CalotypeError(f"there is no {what} {name}: {remedy}.")
    if isinstance(error, IsADirectoryError):
        return CalotypeError(f"{name} is a folder: name a {what} in it.")
    return CalotypeError(f"cannot read {name}: {error.strerror or error}. Check the path and its rights.")


def check_readable(path: Path, what: str, remedy: str = "check the name") -> None:
    """Raise CalotypeError for what cannot be opened, before more is done for it; `unreadable` tells the rest."""
    try:
        path.open("rb").close()
    except OSError as error:
        raise unreadable(error, path, what, remedy) from error


def read_text(path: Path, what: str, remedy: str = "check the name") -> str:
    """The text in a file of UTF-8. Raises CalotypeError; `unreadable` tells of ``what`` and ``remedy``."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise unreadable(error, path, what, remedy) from error
    except UnicodeDecodeError as error:
        raise CalotypeError(f"{str(path)!r} is no text in UTF-8: name a {what}.") from error


@contextmanager
def damage_told(path: Path, remedy: str) -> Iterator[None]:
    """Raises CalotypeError when the block cannot read ``path`` as what it should hold; a missing file stays missing.

    ``remedy`` is what to do, in words that follow a colon.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:  # the last two: there are other weights in it
        raise CalotypeError(f"{path} is damaged or of another kind: {remedy}.") from error


@contextmanager
def new_file(path: Path) -> Iterator[None]:
    """A new file at ``path``, whose rights are the user's usual ones whoever writes it: safetensors' are private."""
    path.touch(exist_ok=False)
    mode = path.stat().st_mode
    yield
    path.chmod(mode)


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its name when the block ends well, and vanishes when it does not.

    Raises CalotypeError naming ``path`` when the folder cannot be written or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new_file(temporary):
            yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, SafetensorError) as error:  # the latter is what safetensors makes of a full disk
        reason = getattr(error, "strerror", None) or error
        raise CalotypeError(f"cannot write {path}: {reason}. Choose another place or make room.") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
