"""The main job, as a user types it."""

import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from calotype import cli
from calotype.api import EMBEDDED
from calotype.imaging.png import read_record
from calotype.text.tokenizer import MAX_CHUNKS

pytestmark = pytest.mark.filterwarnings("error")


def _txt2img(folder: Path, *args: object) -> int:
    return cli.main(["txt2img", "--model", str(folder), "--steps", "2", *map(str, args)])


def _pixels(path: Path) -> bytes:
    with Image.open(path) as image:
        return image.tobytes()


def _process(folder: Path, *args: object) -> list[str]:
    return [sys.executable, "-m", "calotype", "txt2img", "--model", str(folder), "--threads", "1", *map(str, args)]


def test_the_path_is_printed_and_the_record_is_inside(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _txt2img(tiny_folder, "a unicorn", "--seed", 7, "--sampler", "euler_a", "-o", tmp_path) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{tmp_path / '00000-7.png'}\n"
    assert captured.err == ""
    recipe = read_record(tmp_path / "00000-7.png").recipe
    assert (recipe.prompt, recipe.seed, recipe.sampler, recipe.steps) == ("a unicorn", 7, "Euler a", 2)


def test_the_same_arguments_give_the_same_pixels_in_another_process(tiny_folder: Path, tmp_path: Path) -> None:
    args = ("a unicorn", "--seed", 7, "--steps", 2, "--sampler", "euler_a", "-o", tmp_path)
    subprocess.run(_process(tiny_folder, *args), check=True)
    assert _txt2img(tiny_folder, *args) == 0
    first, second = sorted(tmp_path.iterdir())
    assert _pixels(first) == _pixels(second)


def test_four_at_once_are_the_four_single_ones(tiny_folder: Path, tmp_path: Path) -> None:
    args = ("a unicorn", "--sampler", "euler_a", "--cfg-scale", 4)
    assert _txt2img(tiny_folder, *args, "--seed", 7, "-n", 4, "-o", tmp_path / "four") == 0
    for seed in (10, 8, 7, 9):
        assert _txt2img(tiny_folder, *args, "--seed", seed, "-o", tmp_path / f"{seed}.png") == 0
    for number, path in enumerate(sorted((tmp_path / "four").iterdir())):
        assert path.name == f"{number:05}-{7 + number}.png"
        assert path.read_bytes() == (tmp_path / f"{7 + number}.png").read_bytes()


def test_a_drawn_seed_is_in_the_name_and_in_the_record(tiny_folder: Path, tmp_path: Path) -> None:
    assert _txt2img(tiny_folder, "a", "-o", tmp_path) == 0
    (path,) = tmp_path.iterdir()
    assert path.stem == f"00000-{read_record(path).recipe.seed}"


def test_unknown_words_are_told_with_the_nearest(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _txt2img(tiny_folder, "a unicron on a zebra", "-o", tmp_path) == 0
    assert capsys.readouterr().err.splitlines() == [
        'hint: the model has never seen "unicron" (the nearest it knows: unicorn), "zebra"; '
        f"its words are listed in {tiny_folder / 'vocabulary.json'}."
    ]


BAD_INPUT = {
    "empty prompt": ([""], "prompt is empty"),
    "blank prompt": (["  \n"], "prompt is empty"),
    "10,000 words": (["cat " * 10_000], f"{MAX_CHUNKS * 75} can be read: shorten it"),
    "10,000 words to avoid": (["a", "--negative-prompt", "cat " * 10_000], "shorten it"),
    "width": (["a", "--width", "100"], "width is 100, but must be a multiple of 8"),
    "absurd width": (["a", "--width", "800000"], "width is 800000"),
    "no height": (["a", "--height", "0"], "height is 0"),
    "steps": (["a", "--steps", "0"], "steps is 0, but must be a whole number from 1"),
    "sampler": (["a", "--sampler", "eulr"], "nearest names are Euler"),
    "scheduler": (["a", "--scheduler", "karas"], "nearest names are karras"),
    "guidance": (["a", "--cfg-scale", "nan"], "cfg_scale is nan, but must be a number"),
    "endless guidance": (["a", "--cfg-scale", "inf"], "cfg_scale is inf"),
    "rescale": (["a", "--cfg-rescale", "nan"], "cfg_rescale is nan"),
    "clip skip": (["a", "--clip-skip", "5"], "choose less"),
    "last seed": (["a", "--seed", str(2**64 - 1), "-n", "2"], f"seed is {2**64}"),
    "no pictures": (["a", "-n", "0"], "--count is '0', but must be at least 1."),
    "no such model": (["a", "--model", "/nowhere"], "there is no file '/nowhere': check the name."),
    "no place": (["a", "-o", "/dev/null/out"], "/dev/null/out: Not a directory. Choose another"),
    "a device": (["a", "-o", "/dev/full"], "cannot write"),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_is_one_line_and_status_2(
    name: str, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    args, message = BAD_INPUT[name]
    monkeypatch.chdir(tmp_path)
    assert _txt2img(tiny_folder, *args) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    error = [line for line in captured.err.splitlines() if not line.startswith("hint: ")]
    assert len(error) == 1
    assert message in error[0]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "file",
    [
        "unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors", "unet/config.json", "tokenizer/vocab.json", "vocabulary.json",
        "model_index.json",
    ],
)  # fmt: skip
@pytest.mark.parametrize("damage", ["cut short", "overwritten"])
def test_a_damaged_file_is_named(
    file: str, damage: str, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    whole = (folder / file).read_bytes()
    (folder / file).write_bytes(whole[: len(whole) // 2] if damage == "cut short" else b"\xff" * len(whole))
    assert _txt2img(folder, "a", "-o", tmp_path / "out.png") == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert str(folder / file) in captured.err
    assert not (tmp_path / "out.png").exists()


def test_a_full_disk_is_one_line_and_leaves_nothing(tiny_folder: Path, tmp_path: Path) -> None:
    full = subprocess.run(
        _process(tiny_folder, "a", "--steps", 1, "-o", tmp_path),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024)),
        capture_output=True,
        text=True,
    )  # a limit on the size of files, which fails as a full disk does: in the middle of writing
    assert full.returncode == 2
    assert full.stderr.count("\n") == 1
    assert "cannot write" in full.stderr
    assert list(tmp_path.iterdir()) == []


def test_another_autoencoder_takes_the_place_of_the_models_own(tiny_folder: Path, tmp_path: Path) -> None:
    own = tiny_folder / "vae" / "diffusion_pytorch_model.safetensors"
    other = tmp_path / "other.safetensors"
    save_file({name: value * 1.5 for name, value in load_file(own).items()}, other)
    pixels = []
    for number, words in enumerate(([], ["--vae", str(own)], ["--vae", str(other)])):
        path = tmp_path / f"{number}.png"
        assert _txt2img(tiny_folder, "a", "--seed", "7", "--steps", "2", *words, "-o", str(path)) == 0
        pixels.append(_pixels(path))
    assert pixels[0] == pixels[1] != pixels[2]


def _hears_ctrl_c() -> None:
    """Tests that run in the background inherit that Ctrl-C is ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_ctrl_c_ends_at_once_and_keeps_whole_pictures_only(tiny_folder: Path, tmp_path: Path) -> None:
    command = _process(tiny_folder, "a", "--steps", 500, "-n", 50, "--seed", 7, "-o", tmp_path)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_hears_ctrl_c
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline().strip() == str(tmp_path / "00000-7.png")
        os.kill(running.pid, signal.SIGINT)
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in errors
    for path in tmp_path.iterdir():
        assert read_record(path).recipe.steps == 500


def test_a_picture_needs_no_heavy_packages(tiny_folder: Path, tmp_path: Path) -> None:
    """Each of these costs a cold start from 0.3 to 2 seconds."""
    code = f"""
import sys
from calotype import cli
assert cli.main(["txt2img", "a", "--steps", "1", "--model", {str(tiny_folder)!r}, "-o", {str(tmp_path)!r}]) == 0
print(sorted({{"torch._dynamo", "torch._inductor", "scipy", "transformers", "sympy", "matplotlib"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.skipif(not (EMBEDDED / "model_index.json").exists(), reason="the embedded model has not been trained yet")
def test_the_embedded_model_is_the_one_without_a_name(tmp_path: Path) -> None:
    prompt = "a red apple to the left of a cat on a blue background"
    assert cli.main(["txt2img", prompt, "--seed", "7", "--steps", "2", "-o", str(tmp_path / "a.png")]) == 0
    record = read_record(tmp_path / "a.png")
    assert (record.model, record.recipe.width, record.recipe.height) == ("embedded", 128, 128)
