from calotype.api import EMBEDDED
from calotype.checkpoints.hashes import files_hash


def test_the_card_is_that_of_the_model_beside_it() -> None:
    assert f"model hash {files_hash([EMBEDDED])[:10]}" in (EMBEDDED.parent / "README.md").read_text("utf-8")
