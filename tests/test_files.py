from pathlib import Path

import torch
from safetensors.torch import save_file

from calotype.files import written_whole


def test_what_safetensors_writes_is_no_more_private_than_other_files(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with written_whole(tmp_path / "weights") as temporary:
        save_file({"x": torch.zeros(1)}, temporary)
    assert (tmp_path / "weights").stat().st_mode == (tmp_path / "plain").stat().st_mode
