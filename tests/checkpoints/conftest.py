import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from calotype.checkpoints.folder import write_folder
from calotype.checkpoints.networks import Networks
from calotype.configs import ModelConfig
from checkpoints.families import FAMILIES, TINY, TINY_XL, made


@dataclass(frozen=True)
class Written:
    path: Path
    config: ModelConfig
    networks: Networks


@pytest.fixture
def vocabulary() -> dict[str, str]:
    """CLIP's tokenizer without a single merge: each byte a token, specials last."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = [chr(byte) for byte in printable] + [chr(256 + i) for i in range(len(others))]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return {
        "vocab.json": json.dumps({word: i for i, word in enumerate(words)}),
        "merges.txt": "#version: 0.2\n",
    }


@pytest.fixture(params=[TINY, TINY_XL], ids=["sd", "sdxl"])
def config(request: pytest.FixtureRequest) -> ModelConfig:
    return request.param


@pytest.fixture
def written(tmp_path: Path, config: ModelConfig, vocabulary: dict[str, str]) -> Written:
    networks = made(config)
    write_folder(tmp_path / "tiny", config, networks, vocabulary)
    return Written(tmp_path / "tiny", config, networks)


@pytest.fixture(scope="session")
def families() -> dict[str, ModelConfig]:
    return FAMILIES


@pytest.fixture(scope="session")
def make() -> Callable[[ModelConfig], Networks]:
    return made
