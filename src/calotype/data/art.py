"""Art: emoji pictures and Unicode's names, fetched from their distributors without root, never committed.

Debian's packages come by ``apt-get download``, npm's by ``npm pack``: their own clients check who they come from, and
the sums below check that they are the files this project was made with.
"""

import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Literal

from calotype.errors import CalotypeError
from calotype.files import cache_dir

_SYSTEM = Path("/")
"""Where Debian's packages lie once the system has them: in any version, so the cache is looked at first."""

_FONT = "usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
_TEST = "usr/share/unicode/emoji/emoji-test.txt"
_ANNOTATIONS = tuple(f"usr/share/unicode/cldr/common/{kind}/en.xml" for kind in ("annotations", "annotationsDerived"))
_FLUENT = "npm/fluentui-emoji/icons"
_TWEMOJI = "npm/twemoji-colr-font/twemoji.woff2"


@dataclass(frozen=True)
class _Package:
    """An archive, and what is kept of it: files or folders, named as they lie in the cache."""

    client: Literal["apt-get", "npm"]
    name: str
    version: str
    sha256: str
    kept: tuple[str, ...]


_NAMES = (
    _Package(
        "apt-get", "unicode-data", "15.0.0-1", "5efef23bbb1c6a133ecbdd63a2cfa07159ccacf5466a49e2426101c5ecd691fc",
        (_TEST,),
    ),
    _Package(
        "apt-get", "unicode-cldr-core", "41-0.1", "35d30d5d3bee4d8244e95236259c4c2a0db06e21bad696515751fcfeee4d0260",
        _ANNOTATIONS,
    ),
)  # fmt: skip
_PICTURES: dict[str, _Package] = {
    "noto": _Package(
        "apt-get", "fonts-noto-color-emoji", "2.042-0+deb12u1",
        "a5ab0f69c7938423862320d9aca5dd187b3fd879d6a9a57dd52e17c3fa8d2751",
        (_FONT,),
    ),
    "fluent-flat": _Package(
        "npm", "fluentui-emoji", "1.3.0", "ec892e607e854859b812c7d827801756adc19955b0ef56d4ae8afcddd19492c5",
        (f"{_FLUENT}/flat", f"{_FLUENT}/modern"),
    ),
    "twemoji": _Package(
        "npm", "twemoji-colr-font", "15.0.3", "10cb935907d7dc3d46e254d6ff54b3e042652eb08f6973c81cd2c4225e6ebac5",
        (_TWEMOJI,),
    ),
}  # fmt: skip
_PICTURES["fluent"] = _PICTURES["fluent-flat"]

_CLIENTS = {
    "apt-get": "it is a package of Debian's, so fetch it on Debian or Ubuntu",
    "npm": "it is a package of npm's, so install that (Node.js brings it)",
}
"""Where packages come from, for whoever lacks a client."""
_NPM_REASON = re.compile(r"^npm (?:error|ERR!) (?!code|errno|syscall|path)(\w.*)", re.MULTILINE)
"""What npm says after the codes of an error, and before where its log lies."""

STYLES = ("noto", "fluent-flat", "fluent", "twemoji")
"""Noto; Fluent flat; Fluent with gradients; Twemoji."""


def fetch_art(on_progress: Callable[[str], None] = lambda line: None, styles: Sequence[str] = ("noto",)) -> Path:
    """Fetch the pictures of ``styles`` and Unicode's names into the cache, whatever the system has; what the cache has
    stays. Returns the folder.

    ``on_progress`` hears one line per package. Raises CalotypeError when a style is unknown, a client is missing or
    fails, or an archive is not the one known by its version; another version is taken, and ``on_progress`` says so.
    """
    for style in styles:
        if style not in _PICTURES:
            raise CalotypeError(f"there is no style {style!r}: choose among {', '.join(STYLES)}.")
    root = cache_dir("art")
    for package in dict.fromkeys((*(_PICTURES[style] for style in styles), *_NAMES)):
        if all((root / path).exists() for path in package.kept):
            on_progress(f"{package.name}: already here")
        else:
            try:
                _fetch(package, on_progress)
            except OSError as error:
                raise CalotypeError(f"cannot keep {package.name} in {root}: {error.strerror}.") from error
    return root


def noto_font() -> Path:
    """Noto Color Emoji, fetched or the system's. This and the others raise CalotypeError when there is none."""
    return _found(_FONT, "noto")


def name_tables() -> tuple[Path, tuple[Path, ...]]:
    """``emoji-test.txt``, and CLDR's English annotations."""
    return _found(_TEST, "noto"), tuple(_found(path, "noto") for path in _ANNOTATIONS)


def fluent_icons(kind: Literal["flat", "modern"]) -> Path:
    """The folder of Fluent's SVG files: ``cat-face.svg``, ..."""
    return _found(f"{_FLUENT}/{kind}", "fluent")


def twemoji_font() -> Path:
    """Twemoji as a COLR font."""
    return _found(_TWEMOJI, "twemoji")


def renewal(place: Path) -> str:
    """What to do about art at ``place`` that is of no use: the end of a message that begins with the place."""
    if place.is_relative_to(cache_dir("art")):
        return "remove it and fetch the art again"
    return "fetch the art with 'calotype data fetch-art', and that is taken instead"


def _found(path: str, style: str) -> Path:
    for root in (cache_dir("art"), _SYSTEM):
        if (root / path).exists():
            return root / path
    wish = "" if style == "noto" else f" --style {style}"
    raise CalotypeError(f"the emoji art {Path(path).name} is not here: fetch it with 'calotype data fetch-art{wish}'.")


def _fetch(package: _Package, on_progress: Callable[[str], None]) -> None:
    root = cache_dir("art")
    with TemporaryDirectory(dir=root, prefix=".fetching-") as name:
        folder = Path(name)
        on_progress(f"{package.name}: fetching with {package.client}")
        archive = _downloaded(package, folder)
        _check(package, archive, on_progress)
        tree = _unpacked(package, archive, folder / "tree")
        for path in package.kept:
            if not (tree / path).exists():
                raise CalotypeError(
                    f"{archive.name} does not hold {path}: its layout has changed, use {package.version}."
                )
        for path in package.kept:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            if not (root / path).exists():
                (tree / path).replace(root / path)


def _downloaded(package: _Package, folder: Path) -> Path:
    if package.client == "apt-get":
        _run(["apt-get", "download", package.name], folder, package)
    else:
        _run(["npm", "pack", f"{package.name}@{package.version}", "--loglevel=error"], folder, package)
    archives = [*folder.glob("*.deb"), *folder.glob("*.tgz")]
    if not archives:
        raise CalotypeError(f"{package.client} brought no archive of {package.name}: try again.")
    return archives[0]


def _check(package: _Package, archive: Path, on_progress: Callable[[str], None]) -> None:
    if sha256(archive.read_bytes()).hexdigest() == package.sha256:
        return
    if package.version in archive.name:
        raise CalotypeError(
            f"{archive.name} is damaged or not what it says (its SHA-256 is not {package.sha256}): try again."
        )
    on_progress(f"{package.name}: {archive.name} is not the known version {package.version}; pictures may differ")


def _unpacked(package: _Package, archive: Path, tree: Path) -> Path:
    tree.mkdir()
    if package.client == "apt-get":
        _run(["dpkg-deb", "-x", str(archive), str(tree)], tree, package)
        return tree
    with tarfile.open(archive) as tar:
        for member in filter(tarfile.TarInfo.isreg, tar):  # by hand: extractall's filters came with Python 3.11.4
            path = PurePosixPath(member.name)
            if path.is_relative_to("package") and ".." not in path.parts and (file := tar.extractfile(member)):
                place = tree / "npm" / package.name / path.relative_to("package")
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(file.read())
    return tree


def _run(command: list[str], folder: Path, package: _Package) -> None:
    tool = command[0]
    if shutil.which(tool) is None:
        raise CalotypeError(f"fetching {package.name} needs {tool}, which is not here: {_CLIENTS[package.client]}.")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        hint = "; does it know its packages? apt-get update" if tool == "apt-get" else ""
        raise CalotypeError(f"{tool} could not fetch {package.name}: {_reason(done.stderr)}{hint}")


def _reason(errors: str) -> str:
    """The line of a client's messages that says what went wrong: npm's first one, others' last."""
    if told := _NPM_REASON.search(errors):
        return told[1]
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
