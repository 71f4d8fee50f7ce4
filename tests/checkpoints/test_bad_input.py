"""What people give and machines do: mixed-up folders, full disks, files that may not be read. One line each."""

import json
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from calotype.api import load
from calotype.checkpoints.convert import convert, write_single
from calotype.checkpoints.folder import write_folder
from calotype.checkpoints.opening import open_checkpoint
from calotype.errors import CalotypeError
from calotype.model import Model


@contextmanager
def told(message: str) -> Iterator[None]:
    with pytest.raises(CalotypeError, match=message) as caught:
        yield
    assert "\n" not in str(caught.value)


@pytest.fixture
def sd1(tmp_path: Path, families: Any, make: Any, vocabulary: dict[str, str]) -> Path:
    write_folder(tmp_path / "sd1", families["sd1"], make(families["sd1"]), vocabulary)
    return tmp_path / "sd1"


def test_mixed_up_folders(sd1: Path, tmp_path: Path, families: Any, make: Any, vocabulary: dict[str, str]) -> None:
    config = families["sd1"]
    wide = replace(config, unet=replace(config.unet, context_dim=96))
    deep = replace(config, vae=replace(config.vae, latent_channels=8))
    short = replace(config, text=(replace(config.text[0], vocab_size=500),))
    for other, part, message in (
        (wide, "unet", "sd1 is mixed up: its U-Net reads text that is 96 wide, but its text encoders give 64"),
        (deep, "vae", "sd1 is mixed up: its U-Net draws 4 channels, but its autoencoder reads 8"),
        (short, "text_encoder", "sd1 is mixed up: its tokenizer has 514 tokens, but its text encoder knows 500"),
        (families["sd2-v"], "unet/diffusion_pytorch_model.safetensors", "it is not the network it claims to be"),
    ):
        mixed = shutil.copytree(sd1, tmp_path / "mixed" / "sd1")
        write_folder(tmp_path / "other", other, make(other), vocabulary)
        if (mixed / part).is_dir():
            shutil.rmtree(mixed / part)
            shutil.copytree(tmp_path / "other" / part, mixed / part)
        else:
            shutil.copy(tmp_path / "other" / part, mixed / part)
        with told(message):
            Model.read(mixed)
        shutil.rmtree(mixed)


@pytest.mark.parametrize("part", ["text_encoder", "unet", "vae"])
def test_damaged_numbers(sd1: Path, part: str) -> None:
    (path,) = (sd1 / part).glob("*.safetensors")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = b"\xff" * 64
    path.write_bytes(content)
    with told(f"{path} is damaged: weight .* is not finite. Fetch it again.$"):
        Model.read(sd1)


def test_numbers_too_large_for_a_dtype(sd1: Path) -> None:
    path = sd1 / "unet/diffusion_pytorch_model.safetensors"
    tensors = {key: tensor.float() for key, tensor in load_file(path).items()}
    tensors["conv_in.bias"][:2] = 3e38  # their sum is too large for float32, too
    save_file(tensors, path)
    assert Model.read(sd1).unet.stem.bias.max() == 3e38
    with told("weight conv_in.bias is not finite. Fetch it again or choose a wider dtype.$"):
        Model.read(sd1, dtype=torch.float16)


def test_single_files_that_are_mixed_up(tmp_path: Path, families: Any, make: Any) -> None:
    config = families["sd1"]
    wide = replace(config, unet=replace(config.unet, context_dim=96))
    with told("is mixed up: its U-Net reads text that is 96 wide"):
        write_single(tmp_path / "x", wide, make(wide))
        open_checkpoint(tmp_path / "x")


@pytest.mark.parametrize(
    ("name", "message"),
    [("sd2-depth", r"draws from depth maps \(depth2img\)"), ("sd1-pix2pix", "edits pictures: give it one")],
)
def test_models_that_need_more_than_words(
    tmp_path: Path, families: Any, make: Any, vocabulary: dict[str, str], name: str, message: str
) -> None:
    write_folder(tmp_path / name, families[name], make(families[name]), vocabulary)
    with told(f"the model {name} {message}"):
        load(tmp_path / name).generate("a cat", steps=1, width=16, height=16)


@contextmanager
def full_disk(left: int) -> Iterator[None]:
    """No file may grow beyond ``left`` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (left, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(("layout", "name"), [("diffusers", "out"), ("ldm", "out.safetensors")])
def test_a_full_disk(sd1: Path, tmp_path: Path, layout: str, name: str) -> None:
    checkpoint = open_checkpoint(sd1)
    with told(rf"cannot write .*{name}.*(Choose another place or make room)"), full_disk(20_000):
        convert(checkpoint, tmp_path / name, layout, torch.float16)
    assert [path.name for path in tmp_path.iterdir()] == ["sd1"]


def test_files_that_may_not_be_read(sd1: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.open

    def refused(self: Path, *arguments: Any, **named: Any) -> Any:
        if self.suffix == ".safetensors":
            raise PermissionError(13, "Permission denied")
        return read(self, *arguments, **named)

    monkeypatch.setattr(Path, "open", refused)
    with told(r"cannot read '.*\.safetensors': Permission denied. Check the path and its rights"):
        open_checkpoint(sd1)


@pytest.mark.parametrize("name", ["StableDiffusion3", "Flux", "StableDiffusionUpscale", "StableUnCLIP"])
def test_folders_of_other_models_are_named_by_their_index(tmp_path: Path, name: str) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": f"{name}Pipeline"}))
    with told(f"is a {name}, which Calotype does not run"):  # though it has no folder named unet
        open_checkpoint(tmp_path)
