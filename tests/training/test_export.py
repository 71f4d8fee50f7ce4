import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from calotype.api import load
from calotype.checkpoints.folder import write_folder
from calotype.checkpoints.networks import Networks
from calotype.checkpoints.opening import open_checkpoint
from calotype.model import WORDS, Model
from calotype.text.words import words
from calotype.training import export, product, scenes, tokenizer
from calotype.training.run_file import Run


def test_the_vocabulary_is_the_bases(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run: Any = None  # a run with a base needs no tokenizer of its own
    model = Model.read(tiny_folder)
    own = (tiny_folder / "tokenizer/vocab.json").read_text(encoding="utf-8")
    assert json.loads(export.vocabulary(run, model)["vocab.json"]) == json.loads(own)
    single = replace(open_checkpoint(tiny_folder), tokenizers=())  # as one file is, which has no tokenizer beside it
    monkeypatch.setattr(export, "open_checkpoint", lambda path: single)
    monkeypatch.setattr("calotype.checkpoints.vocabulary.clip_vocabulary", lambda: ({"a": 0}, [("a", "b")]))
    found = export.vocabulary(run, replace(model, files=(Path("sd15.safetensors"),)))
    assert found == {"vocab.json": '{"a": 0}', "merges.txt": "#version: 0.2\na b\n"}


def test_the_folder_is_sampled_and_spoken_to_as_its_base(
    tmp_path: Path, tiny_folder: Path, make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer, "_SCENES", 300)
    base, folder = Model.read(tiny_folder), tmp_path / "trained"
    networks, files = Networks(base.text_encoders, base.vae, base.unet), export.vocabulary(make_run(), base)
    write_folder(tmp_path / "wordless", base.config, networks, files, sampler="DDIM")
    product.save("u", base.unet)

    def exported(base: Path) -> Model:
        export.export(make_run(task="export", base=str(base), earlier={"unet": "u"}, folder=folder))
        return load(folder)

    wordless = exported(tmp_path / "wordless")
    assert (wordless.sampler, wordless.words) == ("DDIM", frozenset())
    (folder / WORDS).write_text(json.dumps(["unicorn"]))
    told = exported(tiny_folder)
    assert told.sampler == base.sampler != "DDIM"
    assert {"background", "arrow"} <= told.words and "unicorn" not in told.words
    said = {word for text in tokenizer.captions(scenes.bank("drawn"), "any") for word in words(text)}
    assert said - told.words == {"image", "front"}  # of the sentences that training never shows
