from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from calotype.errors import CalotypeError
from calotype.files import cache_dir, damage_told, written_whole


def test_what_safetensors_writes_is_no_more_private_than_other_files(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with written_whole(tmp_path / "weights") as temporary:
        save_file({"x": torch.zeros(1)}, temporary)
    assert (tmp_path / "weights").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("place", ["file", "file/below", "x" * 300])
def test_a_cache_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CALOTYPE_CACHE", str(tmp_path / place))
    with pytest.raises(CalotypeError, match=r"cannot make the cache folder .*\. Name another place in CALOTYPE_CACHE"):
        cache_dir("runs")


@pytest.mark.parametrize(
    ("cache", "folder"),
    [
        ("", "home/.cache/calotype"),
        ("~/mine", "home/mine"),
        ("$HOME/mine", "home/mine"),
        (None, "home/.cache/calotype"),
    ],
)
def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: str | None, folder: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("CALOTYPE_CACHE", raising=False)
    if cache is not None:
        monkeypatch.setenv("CALOTYPE_CACHE", cache)
    assert cache_dir("runs") == tmp_path / folder / "runs"


def test_damage_is_told_with_its_remedy_and_a_missing_file_stays_missing(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    with pytest.raises(FileNotFoundError), damage_told(path, "make it again"):
        load_file(path)
    save_file({"x": torch.zeros(9)}, path)
    told = pytest.raises(CalotypeError, match=r"weights is damaged or of another kind: make it again\.$")
    with told, damage_told(path, "make it again"):
        load_file(path)["y"]
    path.write_bytes(path.read_bytes()[:-1])
    with told, damage_told(path, "make it again"):
        load_file(path)
