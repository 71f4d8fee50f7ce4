"""Nothing is downloaded unasked: with every way out closed, all commands but `pull` work and none tries to get out."""

import json
import socket
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from calotype import cli
from calotype.api import load
from calotype.checkpoints.folder import write_folder
from calotype.checkpoints.vocabulary import from_merges
from calotype.errors import CalotypeError
from checkpoints.families import FAMILIES, made


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """Whom anything wanted to reach; nobody is reached. The hub's cache is empty."""
    tried: list[Any] = []

    def closed(*address: Any, **_: Any) -> NoReturn:
        tried.append(address)
        raise OSError("the network is closed")

    for way in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, way, closed)
    for way in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, way, closed)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("HF_HUB_OFFLINE", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    return tried


def calotype(*words: object) -> int:
    return cli.main([str(word) for word in words])


def test_every_command_works_without_the_network(
    attempts: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sd1, picture, prompts = tmp_path / "sd1", tmp_path / "a.png", tmp_path / "prompts.txt"
    vocabulary = {"vocab.json": json.dumps(from_merges([])[0]), "merges.txt": "#version: 0.2\n"}
    write_folder(sd1, FAMILIES["sd1"], made(FAMILIES["sd1"]), vocabulary, torch.float32)
    prompts.write_text("a cat\n")
    small = ("--steps", 1, "--width", 16, "--height", 16, "--seed", 7, "--model", sd1)

    assert calotype("txt2img", "a cat", "--steps", 1, "-o", tmp_path / "embedded.png") == 0
    assert calotype("txt2img", "a cat", *small, "-o", picture) == 0
    assert calotype("img2img", picture, "a dog", *small, "-o", tmp_path / "b.png") == 0
    assert calotype("again", picture, "--model", sd1, "-o", tmp_path / "c.png") == 0
    assert calotype("verify", picture, "--model", sd1) == 0
    assert calotype("batch", prompts, *small, "-o", tmp_path / "batch") == 0
    assert calotype("grid", "a cat", "--x", "cfg_scale: 1, 4", *small, "-o", tmp_path / "grid") == 0
    assert calotype("tokens", "a (red:1.2) cat", "--model", sd1) == 0
    assert calotype("samplers") == 0
    study = ("--samplers", "Euler", "--steps", "1", "--seeds", "1", "--reference-steps", 2, "-o", tmp_path / "study")
    assert calotype("study", "samplers", "--prompts", prompts, *study) == 0
    assert calotype("info", sd1, "--hash", "--json") == 0
    assert calotype("convert", sd1, tmp_path / "single.safetensors", "--layout", "ldm") == 0
    assert calotype("info", tmp_path / "single.safetensors") == 0
    assert attempts == []

    # What lacks something is told which command would fetch it.
    capsys.readouterr()
    assert calotype("convert", tmp_path / "single.safetensors", tmp_path / "again", "--layout", "diffusers") == 2
    assert "run `calotype pull openai/clip-vit-large-patch14" in capsys.readouterr().err
    for command in (("info", "owner/name"), ("txt2img", "a cat", "--model", "owner/name")):
        assert calotype(*command) == 2
        assert "run `calotype pull owner/name`" in capsys.readouterr().err
    with pytest.raises(CalotypeError, match="run `calotype pull owner/name`"):
        load("owner/name")
    assert attempts == []


def test_what_is_asked_to_fetch_tries_and_says_that_it_could_not(
    attempts: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert calotype("pull", "owner/name") == 2
    assert attempts
    error = capsys.readouterr().err
    assert error.startswith("calotype: fetching owner/name failed") and error.count("\n") == 1
    attempts.clear()
    with pytest.raises(CalotypeError, match="fetching owner/name failed"):
        load("owner/name", download=True)
    assert attempts
