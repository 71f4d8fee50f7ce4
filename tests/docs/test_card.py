import re
import shutil
import subprocess
from pathlib import Path

import pytest

from calotype.api import EMBEDDED
from calotype.checkpoints.hashes import files_hash
from calotype.data.colours import COLOURS
from calotype.data.things import THINGS

ROOT = Path(__file__).parents[2]
CARD = EMBEDDED.parent / "README.md"


def test_the_card_is_that_of_the_model_beside_it() -> None:
    assert f"model hash {files_hash([EMBEDDED])[:10]}" in CARD.read_text("utf-8")


def test_the_card_lists_all_that_can_be_drawn() -> None:
    listed = " ".join(CARD.read_text("utf-8").split("## What it knows")[1].split("##")[0].split())
    groups = {group: [names[0] for names in things.values()] for group, things in THINGS.items()}
    groups["backgrounds"] = list(COLOURS)
    rows = [f"* {group} ({len(names)}): {', '.join(names)}" for group, names in groups.items()]
    assert " ".join(rows) in listed


def test_the_readme_counts_what_can_be_drawn() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert f"{sum(map(len, THINGS.values()))} things" in readme
    assert f"{len(COLOURS)} colours" in readme
    for group, things in THINGS.items():
        assert re.search(rf"\b{len(things)} (of )?{group}", readme), group


def test_the_model_is_small_enough_to_come_along() -> None:
    assert sum(path.stat().st_size for path in EMBEDDED.rglob("*") if path.is_file()) <= 45e6


@pytest.mark.skipif(
    not (ROOT / ".git").exists() or shutil.which("git") is None, reason="this is no git checkout, or git is not here"
)
def test_all_that_is_tracked_is_small_enough_to_clone() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    sizes = [path.stat().st_size for name in listed.split("\0") if (path := ROOT / name).is_file()]
    assert 0 < sum(sizes) <= 50e6
