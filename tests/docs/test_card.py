import shutil
import subprocess
from pathlib import Path

import pytest

from calotype.api import EMBEDDED
from calotype.checkpoints.hashes import files_hash

ROOT = Path(__file__).parents[2]


def test_the_card_is_that_of_the_model_beside_it() -> None:
    assert f"model hash {files_hash([EMBEDDED])[:10]}" in (EMBEDDED.parent / "README.md").read_text("utf-8")


def test_the_model_is_small_enough_to_come_along() -> None:
    assert sum(path.stat().st_size for path in EMBEDDED.rglob("*") if path.is_file()) <= 45e6


@pytest.mark.skipif(
    not (ROOT / ".git").exists() or shutil.which("git") is None, reason="this is no git checkout, or git is not here"
)
def test_all_that_is_tracked_is_small_enough_to_clone() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    sizes = [path.stat().st_size for name in listed.split("\0") if (path := ROOT / name).is_file()]
    assert 0 < sum(sizes) <= 50e6
