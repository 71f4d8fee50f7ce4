from calotype.api import EMBEDDED
from calotype.checkpoints.hashes import files_hash


def test_the_card_is_that_of_the_model_beside_it() -> None:
    assert f"model hash {files_hash([EMBEDDED])[:10]}" in (EMBEDDED.parent / "README.md").read_text("utf-8")


def test_the_model_is_small_enough_to_come_along() -> None:
    assert sum(path.stat().st_size for path in EMBEDDED.rglob("*") if path.is_file()) <= 45e6
