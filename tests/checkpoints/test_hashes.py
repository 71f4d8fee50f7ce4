import hashlib
from pathlib import Path
from typing import Any

import pytest

from calotype.checkpoints.hashes import file_hash, folder_hash
from calotype.errors import CalotypeError


def test_file_hash(tmp_path: Path) -> None:
    content = bytes(range(256)) * 9999
    (tmp_path / "file").write_bytes(content)
    assert file_hash(tmp_path / "file") == hashlib.sha256(content).hexdigest()
    with pytest.raises(CalotypeError, match="nothing"):
        file_hash(tmp_path / "nothing")


def test_folder_hash_is_that_of_the_lines_of_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "unet").mkdir()
    (tmp_path / "model_index.json").write_text("{}")
    (tmp_path / "unet/b.safetensors").write_bytes(b"b")
    lines = [
        f"{hashlib.sha256(b'{}').hexdigest()}  model_index.json\n",
        f"{hashlib.sha256(b'b').hexdigest()}  unet/b.safetensors\n",
    ]
    assert folder_hash(tmp_path) == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_folder_hash_sees_the_model_and_not_its_card(written: Any) -> None:
    before = folder_hash(written.path)
    (written.path / "README.md").write_text("the card")
    assert folder_hash(written.path) == before
    weights = written.path / "vae/diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert folder_hash(written.path) != before
