import hashlib
import os
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from calotype.data import art
from calotype.data.fonts import opened
from calotype.errors import CalotypeError

PACKAGE = art._Package("npm", "some-art", "1.2.3", "", ("npm/some-art/icons",))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a system without art."""
    monkeypatch.setenv("CALOTYPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(art, "_SYSTEM", tmp_path / "system")
    return tmp_path / "cache" / "art"


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for npm's client that packs a folder, counts its calls and may be told to fail."""
    (tmp_path / "package" / "icons").mkdir(parents=True)
    (tmp_path / "package" / "icons" / "cat.svg").write_text("<svg/>")
    subprocess.run(["tar", "czf", "packed.tgz", "package"], cwd=tmp_path, check=True)
    client = tmp_path / "bin" / "npm"
    client.parent.mkdir()
    client.write_text(
        f"#!/bin/sh\necho call >> {tmp_path}/calls\n"
        'case "$*" in *--silent*) exec 2> /dev/null ;; esac\n'
        f"[ -e {tmp_path}/fail ] && cat {tmp_path}/fail >&2 && exit 1\n"
        f"cp {tmp_path}/packed.tgz some-art-1.2.3.tgz\n"
    )
    client.chmod(client.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{client.parent}:{os.environ['PATH']}")
    digest = hashlib.sha256((tmp_path / "packed.tgz").read_bytes()).hexdigest()
    known = art._Package("npm", "some-art", "1.2.3", digest, PACKAGE.kept)
    monkeypatch.setattr(art, "_PICTURES", {"twemoji": known})
    monkeypatch.setattr(art, "_NAMES", ())
    return tmp_path


def publish_another(npm: Path) -> None:
    """The client brings a version that is not the known one."""
    client = npm / "bin" / "npm"
    client.write_text(client.read_text().replace("some-art-1.2.3.tgz", "some-art-1.3.0.tgz"))


def test_fetched_once_and_kept(cache: Path, npm: Path) -> None:
    heard: list[str] = []
    assert art.fetch_art(heard.append, ["twemoji"]) == cache
    assert (cache / "npm/some-art/icons/cat.svg").read_text() == "<svg/>"
    art.fetch_art(heard.append, ["twemoji"])
    assert (npm / "calls").read_text() == "call\n"
    assert heard == ["some-art: fetching with npm", "some-art: already here"]
    assert [path.name for path in cache.iterdir()] == ["npm"], "something temporary was left behind"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "npm error code ECONNREFUSED\nnpm error errno ECONNREFUSED\nnpm error request to https://a/b failed\n"
            "npm error     at Socket.emit (node:events:524:28)\nnpm error A complete log of this run is in: c.log\n",
            "request to https://a/b failed",
        ),
        ("npm WARN old\nnpm ERR! code E404\nnpm ERR! 404 Not Found - GET a\nnpm ERR! 404\n", "404 Not Found - GET a"),
        ("\nnode: no such module\n\n", "node: no such module"),
        ("", "no reason given"),
    ],
)
def test_a_failing_client_explains_itself_and_leaves_nothing(said: str, told: str, cache: Path, npm: Path) -> None:
    (npm / "fail").write_text(said)
    with pytest.raises(CalotypeError, match=rf"^npm could not fetch some-art: {told}$"):
        art.fetch_art(styles=["twemoji"])
    assert list(cache.iterdir()) == []


def test_a_damaged_archive_is_refused(cache: Path, npm: Path) -> None:
    with (npm / "packed.tgz").open("ab") as file:
        file.write(b"?")
    with pytest.raises(CalotypeError, match="damaged"):
        art.fetch_art(styles=["twemoji"])
    assert list(cache.iterdir()) == []


def test_another_version_is_taken_and_said(cache: Path, npm: Path) -> None:
    publish_another(npm)
    with (npm / "packed.tgz").open("ab") as file:
        file.write(b"\0" * 1024)
    heard: list[str] = []
    art.fetch_art(heard.append, ["twemoji"])
    assert heard[1] == "some-art: some-art-1.3.0.tgz is not the known version 1.2.3; pictures may differ"
    assert (cache / "npm/some-art/icons/cat.svg").exists()


def test_an_archive_without_the_art_is_refused(cache: Path, npm: Path) -> None:
    shutil.rmtree(npm / "package" / "icons")
    subprocess.run(["tar", "czf", "packed.tgz", "package"], cwd=npm, check=True)
    publish_another(npm)
    with pytest.raises(CalotypeError, match="does not hold npm/some-art/icons"):
        art.fetch_art(styles=["twemoji"])
    assert list(cache.iterdir()) == []


def test_only_files_of_the_package_are_unpacked(cache: Path, npm: Path) -> None:
    with tarfile.open(npm / "packed.tgz", "w:gz") as tar:
        for name in ("icons/cat.svg", "icons/../../../../../out.svg", "icons/link.svg"):
            member = tarfile.TarInfo(f"package/{name}")
            if name == "icons/link.svg":
                member.type, member.linkname = tarfile.SYMTYPE, "cat.svg"
            tar.addfile(member)
        tar.addfile(tarfile.TarInfo("other/icons/dog.svg"))
    publish_another(npm)
    art.fetch_art(styles=["twemoji"])
    assert [path.name for path in cache.iterdir()] == ["npm"]
    assert [path.name for path in (cache / "npm/some-art/icons").iterdir()] == ["cat.svg"]


def test_what_the_system_has_is_fetched_all_the_same(cache: Path, npm: Path) -> None:
    (npm / "system/npm/some-art/icons").mkdir(parents=True)
    art.fetch_art(styles=["twemoji"])
    assert (cache / "npm/some-art/icons/cat.svg").exists()


def test_the_system_s_art_is_read_where_none_was_fetched(cache: Path, tmp_path: Path) -> None:
    own, fetched = (root / "npm/twemoji-colr-font/twemoji.woff2" for root in (tmp_path / "system", cache))
    for font, advice in ((own, "and that is taken instead"), (fetched, "remove it and fetch the art again")):
        font.parent.mkdir(parents=True)
        font.write_bytes(b"noise")
        assert art.twemoji_font() == font
        with pytest.raises(CalotypeError, match=rf"not a readable font: .*{advice}\.$"):
            opened(font)


@pytest.mark.parametrize(("style", "tool"), [("noto", "apt-get"), ("fluent", "npm")])
def test_a_missing_client_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch, style: str, tool: str) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CalotypeError, match=f"needs {tool}, which is not here") as raised:
        art.fetch_art(styles=[style])
    assert "\n" not in str(raised.value)


def test_an_unknown_style_is_named(cache: Path) -> None:
    with pytest.raises(CalotypeError, match="'oil': choose among noto, fluent-flat"):
        art.fetch_art(styles=["oil"])


def test_missing_art_says_how_to_get_it(cache: Path) -> None:
    with pytest.raises(CalotypeError, match="fetch-art --style twemoji"):
        art.twemoji_font()
