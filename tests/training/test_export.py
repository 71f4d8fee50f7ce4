from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from calotype.checkpoints.opening import open_checkpoint
from calotype.model import Model
from calotype.training import export


def test_the_vocabulary_is_the_bases(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run: Any = None  # a run with a base needs no tokenizer of its own
    model = Model.read(tiny_folder)
    own = (tiny_folder / "tokenizer/vocab.json").read_text(encoding="utf-8")
    assert export.vocabulary(run, model)["vocab.json"] == own
    single = replace(open_checkpoint(tiny_folder), tokenizers=())  # as one file is, which has no tokenizer beside it
    monkeypatch.setattr(export, "open_checkpoint", lambda path: single)
    monkeypatch.setattr("calotype.checkpoints.vocabulary.clip_vocabulary", lambda: ({"a": 0}, [("a", "b")]))
    found = export.vocabulary(run, replace(model, files=(Path("sd15.safetensors"),)))
    assert found == {"vocab.json": '{"a": 0}', "merges.txt": "#version: 0.2\na b\n"}
