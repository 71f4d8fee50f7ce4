import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from calotype import cli


def test_info_needs_no_torch(tmp_path: Path) -> None:
    """Importing it would take longer than the whole answer may."""
    save_file({"lora_unet_x.lora_up.weight": torch.ones(2, 3)}, tmp_path / "x.safetensors")
    code = "import sys; from calotype import cli; print(cli.main(sys.argv[1:]), 'torch' in sys.modules)"
    for extra in ([], ["--json"], ["--hash"]):
        command = [sys.executable, "-c", code, "info", str(tmp_path / "x.safetensors"), *extra]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.stderr == ""
        assert "a LoRA" in done.stdout
        assert done.stdout.endswith("0 False\n")
    assert "LoRA hash (AutoV3)" in done.stdout


def test_info_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_file({"emb_params": torch.ones(2, 3)}, tmp_path / "x")
    assert cli.main(["info", str(tmp_path / "x"), "--json", "--hash"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["kind"].startswith("a textual-inversion embedding")
    assert about["sha256"].startswith(about["hash (AutoV2)"])


def test_info_shows_what_a_terminal_would_obey(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    title = "\x1b[2J\x9b2J\r猫\ud800"
    entries = {"__metadata__": {"title": title}, "emb_params": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    header = json.dumps(entries).encode()
    (tmp_path / "x").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    assert cli.main(["info", str(tmp_path / "x")]) == 0
    assert r"  title: \x1b[2J\x9b2J\r猫\ud800" in capsys.readouterr().out.splitlines()
    assert cli.main(["info", str(tmp_path / "x"), "--json"]) == 0
    answer = capsys.readouterr().out
    assert answer.isascii()
    assert json.loads(answer)["metadata"] == {"title": title}


def test_mistakes_show_what_a_terminal_would_obey(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "\x1b[2JPipeline"}))
    assert cli.main(["info", str(tmp_path)]) == 2
    assert r"is a \x1b[2J, which Calotype does not run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "nothing/there"], "run `calotype pull nothing/there`"),
        (["info", "nothing.safetensors"], "there is no file 'nothing.safetensors'"),
        (["convert", "lora", "out", "--layout", "diffusers"], "but a LoRA, which changes a model but is none"),
        (["convert", "lora", "out", "--layout", "onnx"], "unknown layout 'onnx'"),
        (["convert", "lora", "out.safetensors", "--layout", "ldm", "--dtype", "fp12"], "unknown dtype 'fp12'"),
        (["convert", "lora", "out.ckpt", "--layout", "ldm"], "ends in .safetensors"),
        (["pull", "no name"], "is no name on the hub"),
    ],
)
def test_mistakes_are_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    save_file({"lora_unet_x.lora_up.weight": torch.ones(2, 3)}, tmp_path / "lora")
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"lora"}


@pytest.mark.parametrize(("layout", "name"), [("diffusers", "model"), ("ldm", "single.safetensors")])
def test_convert_writes_over_nothing(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], layout: str, name: str
) -> None:
    """Neither over its input, whose numbers may be wider and whose folder may hold more, nor over another file."""
    model = shutil.copytree(tiny_folder, tmp_path / "model")
    (tmp_path / "single.safetensors").write_bytes(b"another model")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert cli.main(["convert", str(model), str(tmp_path / name), "--layout", layout]) == 2
    error = capsys.readouterr().err
    assert f"{name} is there already" in error
    assert error.count("\n") == 1
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("layout", "ending"), [("diffusers", ""), ("ldm", ".safetensors")])
def test_convert_tells_of_a_name_too_long(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], layout: str, ending: str
) -> None:
    name = "a" * 300 + ending
    assert cli.main(["convert", str(tiny_folder), str(tmp_path / name), "--layout", layout]) == 2
    error = capsys.readouterr().err
    assert f"{name}: " in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())
