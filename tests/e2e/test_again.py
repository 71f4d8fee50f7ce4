"""A picture stopped at any moment, made again, and compared with what its file says."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import load_file, save_file

from calotype import cli
from calotype.api import EMBEDDED, Studio, load
from calotype.checkpoints.folder import write_folder
from calotype.checkpoints.vocabulary import from_merges
from calotype.cli import models
from calotype.imaging.picture import Picture
from calotype.imaging.png import read_record
from calotype.pipeline import save_run
from calotype.recipe import Record
from checkpoints.families import FAMILIES, made


@pytest.fixture(scope="module")
def picture(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "a.png"
    command = ["txt2img", "a unicorn", "--seed", "7", "--steps", "3", "--model", str(tiny_folder), "-o", str(path)]
    assert cli.main([*command, "--threads", "1"]) == 0
    return path


def _saved(path: Path, picture: Path, record: Record) -> Path:
    with Image.open(picture) as image:
        Picture.of(image.convert("RGB"), record).save(path)
    return path


def test_a_killed_run_ends_in_the_same_bytes(tiny_folder: Path, tmp_path: Path) -> None:
    command = ["txt2img", "a", "--seed", "7", "--steps", "300", "--sampler", "DPM++ 2M SDE", "--threads", "1"]
    command += ["--model", str(tiny_folder), "-o"]
    whole, cut = tmp_path / "whole.png", tmp_path / "cut.png"
    kept = tmp_path / "cut.run.safetensors"
    killed = [*command, str(cut), "--save-state-every", "5"]
    with subprocess.Popen([sys.executable, "-m", "calotype", *killed], stderr=subprocess.PIPE) as running:
        while not kept.exists() and running.poll() is None:
            time.sleep(0.01)
        os.kill(running.pid, signal.SIGKILL)
    assert running.returncode == -signal.SIGKILL
    assert not cut.exists()
    assert cli.main(["resume", str(kept), "--save-state-every", "100"]) == 0
    assert not kept.exists()
    assert cli.main([*command, str(whole)]) == 0
    assert cut.read_bytes() == whole.read_bytes()


def test_a_whole_picture_leaves_no_run_behind(tiny_folder: Path, tmp_path: Path) -> None:
    command = ["txt2img", "a", "--steps", "3", "--save-state-every", "1", "--model", str(tiny_folder)]
    assert cli.main([*command, "-o", str(tmp_path / "a.png")]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_again_gives_the_same_file(picture: Path, tiny_folder: Path, tmp_path: Path) -> None:
    assert cli.main(["again", str(picture), "--model", str(tiny_folder), "-o", str(tmp_path / "b.png")]) == 0
    assert (tmp_path / "b.png").read_bytes() == picture.read_bytes()


def _verify(path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    status = cli.main(["verify", str(path), "--model", str(model), "--threads", "1"])
    captured = capsys.readouterr()
    return status, captured.out + captured.err


def test_a_true_picture_is_verified(picture: Path, tiny_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, said = _verify(picture, tiny_folder, capsys)
    assert (status, said) == (0, f"{picture}: equal: every step and every pixel\n")


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The models that are read, in their order."""
    read: list[Path] = []

    def recorded(path: Path, *choices: object, **options: object) -> Studio:
        read.append(path)
        return load(path, *choices, **options)

    monkeypatch.setattr("calotype.api.load", recorded)
    return read


def test_several_pictures_are_made_again_by_a_model_that_is_read_once(
    picture: Path, tiny_folder: Path, tmp_path: Path, loaded: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    other = _saved(tmp_path / "other.png", picture, read_record(picture))
    of_model = ["--model", str(tiny_folder)]
    assert cli.main(["again", str(picture), str(other), *of_model, "-o", str(tmp_path / "out")]) == 0
    assert loaded == [tiny_folder]
    made = [tmp_path / "out" / name for name in ("00000-7.png", "00001-7.png")]
    assert [path.read_bytes() for path in made] == [picture.read_bytes()] * 2
    assert cli.main(["verify", *map(str, made), *of_model]) == 0
    assert loaded == [tiny_folder] * 2
    assert capsys.readouterr().out.count("equal: every step") == 2
    assert cli.main(["again", str(picture), str(other), *of_model, "-o", str(tmp_path / "one.png")]) == 2
    assert "name a folder with -o" in capsys.readouterr().err


def test_a_picture_is_read_as_its_own_record_tells_whatever_came_before_it(
    picture: Path, tiny_folder: Path, tmp_path: Path, loaded: list[Path]
) -> None:
    studio = load(tiny_folder, parameterization="epsilon")
    studio.generate("a", seed=7, steps=2).save(tmp_path / "a.png")
    assert cli.main(["verify", str(picture), str(tmp_path / "a.png"), "--model", str(tiny_folder)]) == 0
    assert loaded == [tiny_folder] * 2


@pytest.mark.parametrize("command", ["verify", "again"])
def test_a_picture_that_fails_is_told_and_the_others_are_not_kept_from_their_turn(
    command: str, picture: Path, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("plain.png")
    _told(tmp_path / "refused.png", parameters=f"{ASKED}, Clip skip: 12, Model: x")
    names = ["plain.png", str(picture), "refused.png"]
    assert cli.main([command, *names, "--model", str(tiny_folder)]) == 2
    told = capsys.readouterr()
    assert told.out.count("\n") == 1
    assert [line.split()[1].rstrip(":") for line in told.err.splitlines()] == ["plain.png", "refused.png"]


def test_pictures_that_are_not_there_are_told_before_any_is_made(
    picture: Path, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("verify", "again"):
        assert cli.main([command, str(picture), str(tmp_path / "absent.png"), "--model", str(tiny_folder)]) == 2
        told = capsys.readouterr()
        assert (told.out, told.err.count("\n")) == ("", 1)
        assert "there is no picture" in told.err


def test_a_flipped_pixel_is_found(
    picture: Path, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = read_record(picture)
    with Image.open(picture) as image:
        image = image.convert("RGB")
        red, green, blue = image.getpixel((5, 6))
        image.putpixel((5, 6), (red ^ 1, green, blue))
        Picture.of(image, record).save(tmp_path / "a.png")
    status, said = _verify(tmp_path / "a.png", tiny_folder, capsys)
    assert status == 1
    assert "no step differs; 1 pixels differ, by at most 1 of 255; the pixels were changed" in said
    both = [str(tmp_path / "a.png"), str(picture), "--model", str(tiny_folder)]
    assert cli.main(["verify", *both]) == 1
    assert [line.rpartition("png: ")[2][:6] for line in capsys.readouterr().out.splitlines()] == ["differ", "equal:"]


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"model_hash": "0" * 64}, "another model file or --vae (0000000000 then, "),
        ({"threads": 63}, "another number of threads (63 then, 1 now)"),
        ({"versions": {"torch": "1.0"}}, "another torch (1.0 then, "),
        ({"cpu": "abacus"}, "another CPU (abacus then, "),
        ({}, "the record was changed"),
    ],
)
def test_causes_are_told_apart(
    change: dict[str, object], cause: str, picture: Path, tiny_folder: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    record = read_record(picture)
    lying = record.but(digests=(record.digests[0], "0" * 16, "0" * 16), **change)
    status, said = _verify(_saved(tmp_path / "a.png", picture, lying), tiny_folder, capsys)
    assert status == 1
    assert "the first step that differs is 2" in said
    assert cause in said


@pytest.mark.parametrize(
    ("prompt", "status", "told"),
    [
        ("a cat", 1, "the first step that differs is 1"),
        ("a unicorn <lora:ink:0.8>", 2, "the prompt asks for the LoRA 'ink': none can be attached yet"),
    ],
)
def test_a_prompt_that_was_changed_is_found(
    prompt: str, status: int, told: str, picture: Path, tiny_folder: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    record = read_record(picture)
    changed = record.but(recipe=record.recipe.but(prompt=prompt))
    ended, said = _verify(_saved(tmp_path / "a.png", picture, changed), tiny_folder, capsys)
    assert ended == status
    assert told in said


@pytest.fixture
def other_vae(tiny_folder: Path, tmp_path: Path) -> Path:
    own = load_file(tiny_folder / "vae" / "diffusion_pytorch_model.safetensors")
    save_file({name: value * 1.5 for name, value in own.items()}, tmp_path / "other.safetensors")
    return tmp_path / "other.safetensors"


def test_another_autoencoder_is_put_in_again(
    tiny_folder: Path, other_vae: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, cut = tmp_path / "whole.png", tmp_path / "cut.png"
    of_model = ["--model", str(tiny_folder), "--vae", str(other_vae)]
    assert cli.main(["txt2img", "a", "--seed", "7", "--steps", "2", *of_model, "-o", str(whole)]) == 0
    assert cli.main(["verify", str(whole), *of_model]) == 0
    assert cli.main(["again", str(whole), *of_model, "-o", str(tmp_path / "again.png")]) == 0
    assert (tmp_path / "again.png").read_bytes() == whole.read_bytes()

    capsys.readouterr()
    assert cli.main(["verify", str(whole), *of_model[:2]]) == 1
    assert "another model file or --vae" in capsys.readouterr().out

    recipe, studio = read_record(whole).recipe, load(tiny_folder, vae=other_vae)
    save_run(tmp_path / "run", studio, recipe, next(studio.states(recipe)), cut)
    assert cli.main(["resume", str(tmp_path / "run")]) == 0
    assert cut.read_bytes() == whole.read_bytes()
    own = tiny_folder / "vae" / "diffusion_pytorch_model.safetensors"
    assert cli.main(["resume", str(tmp_path / "run"), "--vae", str(own)]) == 2
    assert f"not {load(tiny_folder, vae=own).hash[:10]}. Give that one with --model" in capsys.readouterr().err


def test_the_model_is_read_again_as_the_record_tells(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    studio, whole = load(tiny_folder, parameterization="epsilon"), tmp_path / "a.png"
    picture = studio.generate("a", seed=7, steps=2)
    assert picture.tobytes() != load(tiny_folder).generate("a", seed=7, steps=2).tobytes()
    picture.save(whole)
    assert _verify(whole, tiny_folder, capsys) == (0, f"{whole}: equal: every step and every pixel\n")
    save_run(tmp_path / "run", studio, picture.recipe, next(studio.states(picture.recipe)), tmp_path / "b.png")
    assert cli.main(["resume", str(tmp_path / "run")]) == 0
    assert (tmp_path / "b.png").read_bytes() == whole.read_bytes()


def test_a_model_that_is_only_called_embedded_has_to_be_named(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, run = tmp_path / "a.png", tmp_path / "run"
    mine = shutil.copytree(tiny_folder, tmp_path / "embedded")
    assert cli.main(["txt2img", "a", "--steps", "1", "--model", str(mine), "-o", str(picture)]) == 0
    recipe, studio = read_record(picture).recipe, load(mine)
    save_run(run, studio, recipe, next(studio.states(recipe)), tmp_path / "b.png")
    assert cli.main(["resume", str(run)]) == 0
    mine.rename(tmp_path / "moved")
    for command in ("verify", "again", "resume"):
        assert cli.main([command, str(run if command == "resume" else picture)]) == 2
        assert "was made with embedded (sha256 " in capsys.readouterr().err


def _told(path: Path, **texts: str) -> str:
    info = PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)
    return str(path)


ASKED = "a unicorn\nSteps: 1, Sampler: Euler, Seed: 7, Size: 64x64, RNG: CPU"
GRAPH = {
    "3": {"class_type": "KSampler", "inputs": {}},
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "pony.safetensors"}},
}


@pytest.mark.parametrize(
    ("texts", "model"),
    [
        ({"parameters": f"{ASKED}, Model hash: 0123456789, Model: pony"}, "pony (sha256 0123456789)"),
        ({"parameters": ASKED}, "a model it does not name"),
        ({"prompt": json.dumps(GRAPH)}, "pony.safetensors"),
    ],
)
def test_the_model_of_another_programs_picture_has_to_be_named(
    texts: dict[str, str], model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["again", _told(tmp_path / "a.png", **texts)]) == 2
    assert f"was made with {model}: say where it is with --model" in capsys.readouterr().err


def test_what_cannot_be_honoured_is_listed_before_the_model_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["again", _told(tmp_path / "a.png", parameters=f"<lora:ink:1> {ASKED}")]) == 2
    listed, missing = capsys.readouterr().err.splitlines()
    assert listed == f"{tmp_path / 'a.png'}: not honoured: <lora:ink:1> in the prompt"
    assert "say where it is with --model" in missing


def test_a_model_of_another_hash_is_listed(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = load(tiny_folder).hash[:10]
    for told, line in (
        ("0123456789", f"{tmp_path / 'a.png'}: not honoured: the model x (sha256 0123456789): this one is {own}\n"),
        (own, ""),
    ):
        picture = _told(tmp_path / "a.png", parameters=f"{ASKED}, Model hash: {told}, Model: x")
        assert cli.main(["again", picture, "--model", str(tiny_folder), "-o", str(tmp_path / "b.png")]) == 0
        assert capsys.readouterr().err == line


def test_the_layer_of_another_programs_picture_is_that_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sdxl, vocabulary = FAMILIES["sdxl"], {"vocab.json": json.dumps(from_merges([])[0]), "merges.txt": ""}
    write_folder(tmp_path / "sdxl", sdxl, made(sdxl), vocabulary, torch.float32)
    picture = _told(tmp_path / "a.png", parameters=ASKED.replace("64x64", "16x16") + ", Clip skip: 2")
    assert cli.main(["again", picture, "--model", str(tmp_path / "sdxl"), "-o", str(tmp_path / "b.png")]) == 0
    assert "not honoured: clip_skip 2: A1111 heeds it" in capsys.readouterr().err
    assert read_record(tmp_path / "b.png").recipe.clip_skip == 1


def test_the_embedded_model_is_known_by_its_bytes(other_vae: Path) -> None:
    studio = load(EMBEDDED)
    assert studio.config.name == "embedded"
    assert models.find_embedded("", studio.hash, []) == EMBEDDED
    assert models.find_embedded("", replace(studio, files=(EMBEDDED, other_vae)).hash, [other_vae]) == EMBEDDED


def test_what_cannot_be_told_is_status_2(picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    for path in (tmp_path / "plain.png", tmp_path / "absent.png", picture):  # the last needs --model
        assert cli.main(["verify", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 3
