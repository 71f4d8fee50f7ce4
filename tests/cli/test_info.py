"""``calotype info`` of a picture. Of models: test_checkpoints.py."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from calotype import cli
from calotype.imaging.picture import Picture
from calotype.recipe import Recipe, Record

ASKED = "a cat <lora:ink:0.8>\nNegative prompt: \x1b[2J\nSteps: 20, Sampler: Euler, Size: 64x64, Model: pony"


def picture_of_a1111(path: Path) -> str:
    info = PngInfo()
    info.add_text("parameters", ASKED)
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)
    return str(path)


def test_another_programs_picture_tells_what_it_says_and_what_cannot_be_honoured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = picture_of_a1111(tmp_path / "a.png")
    assert cli.main(["info", path]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{path}: a picture of another program's",
        "  prompt: a cat ",
        r"  negative_prompt: \x1b[2J",
        "  steps: 20",
        "  sampler: Euler",
        "  width: 64",
        "  height: 64",
        "  rng: philox",
        "  model: pony",
        "  not honoured: <lora:ink:0.8> in the prompt",
    ]
    assert cli.main(["info", path, "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert (about["recipe"]["steps"], about["model"], about["not_honoured"]) == (
        20, "pony", ["<lora:ink:0.8> in the prompt"],
    )  # fmt: skip
    assert "seed" not in about["recipe"]  # none is told, and one that is drawn would be none of the picture's


def test_a_picture_of_calotypes_tells_its_recipe_and_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = Recipe(prompt="a cat", seed=7, sampler="Euler", scheduler="karras", init_image="data:image/png;base64,AA")
    told = {"model": "embedded", "model_hash": "0" * 64, "dtype": "float32", "device": "cpu", "threads": 1}
    record = Record(recipe=recipe, **told, noise="cpu", versions={}, digests=())
    Picture.of(Image.new("RGB", (8, 8)), record).save(tmp_path / "a.png")
    assert cli.main(["info", str(tmp_path / "a.png")]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].endswith("a picture of Calotype's")
    wanted = ["prompt: a cat", "seed: 7", "init_image: inside the recipe", "model: embedded", f"sha256: {'0' * 64}"]
    assert {f"  {line}" for line in wanted} <= set(shown)
    assert not any(line.startswith("  mask_blur") for line in shown)  # it is as usual, and no one asked for it


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plain.png"], "says nothing of its making"),
        (["plain.webp"], "says nothing of its making"),
        (["cut.png"], "damaged, cut short"),
        (["plain.png", "--hash"], "leave out --hash"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("plain.png")
    Image.new("RGB", (8, 8)).save("plain.webp")
    Path("cut.png").write_bytes(Path("plain.png").read_bytes()[:40])
    assert cli.main(["info", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_picture_that_says_nothing_needs_no_torch(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    code = "import sys; from calotype import cli; print(cli.main(sys.argv[1:]), 'torch' in sys.modules)"
    command = [sys.executable, "-c", code, "info", str(tmp_path / "plain.png")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "2 False\n"
