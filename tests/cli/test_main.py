import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

import calotype
from calotype import cli
from calotype.diffusion.samplers import SAMPLERS
from calotype.diffusion.schedulers import SCHEDULERS
from calotype.files import EMBEDDED
from calotype.recipe import MAX_SEED, Recipe

LONG = "x" * 300


@pytest.mark.parametrize("args", [[], ["-h"]], ids=str)
def test_help_lists_every_command(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(args) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("txt2img", "samplers", "train", "evaluate", "data"))


@pytest.mark.parametrize(
    ("args", "command"),
    [(["data"], "fetch-art"), (["study"], "abilities"), (["study", "-h"], "abilities"), (["txt2img", "-h"], "txt2img")],
)
def test_a_group_alone_and_h_show_help(args: list[str], command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(args) == 0
    captured = capsys.readouterr()
    assert command in captured.out
    assert captured.err == ""


def test_info_alone_tells_of_the_embedded_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info"]) == 0
    assert capsys.readouterr().out.startswith(f"{EMBEDDED}: a model\n")


def test_a_folder_of_single_files_names_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("d.ckpt", "a.safetensors", "b.safetensors", "c.safetensors", "readme.txt"):
        (tmp_path / name).touch()
    assert cli.main(["info", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert told.endswith("or one of the files in it: a.safetensors, b.safetensors, c.safetensors ....\n")
    assert cli.main(["txt2img", "a", "--model", str(tmp_path)]) == 2
    assert capsys.readouterr().err == told


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"calotype {calotype.__version__}\n"


@pytest.mark.parametrize(
    "args", [["nonsense"], ["txt2img"], ["txt2img", "a", "--steps", "x"], ["--nonsense"], ["train", "no.toml"]]
)
def test_wrong_usage_is_one_line_and_status_2(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(args) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("calotype: ")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["txt2img", "a", "--steps", "2.5"], "--steps is '2.5', but must be a whole number from 1 to 1000."),
        (["txt2img", "a", "--seed", "x"], f"--seed is 'x', but must be a whole number from 0 to {MAX_SEED}, or"),
        (["txt2img", "a", "--cfg-scale", "x"], "--cfg-scale is 'x', but must be a number from 0 to 100."),
        (["txt2img", "a", "-n", "x"], "--count is 'x', but must be a whole number."),
        (["txt2img", "a", "--threads", "0"], "--threads is '0', but must be at least 1."),
        (["evaluate", "--only", "x"], "--only: 'x' is not one of 'vae', 'text', 'oracle', 'pictures'."),
        (["txt2img", "a", "cat", "here"], 'the prompt stands in quotes: "a cat here".'),
        (["img2img", "a.png", "a", "cat"], 'the prompt stands in quotes: "a cat".'),
        (["img2img", "a cat", "a.png"], "there is no picture 'a cat': the picture comes first, then the prompt."),
        (["inpaint", "a cat", "a.png", "--mask", "b.png"], "there is no picture 'a cat': the picture comes first,"),
        (["img2img", ".", "a cat"], "'.' is a folder: name a picture in it."),
        (["batch", "nope.txt"], "there is no file of prompts 'nope.txt': check the name."),
        (["batch", "."], "'.' is a folder: name a file of prompts in it."),
        (["study", "samplers", "--prompts", "nope.txt"], "there is no file of prompts 'nope.txt': check the name."),
        (["resume", "."], "'.' is a folder: name a kept run in it."),
        (["train", "."], "'.' is a folder: name a run file in it."),
        (["txt2img"], 'prompt is missing: what the pictures show. Example: calotype txt2img "a red apple'),
        (["again"], "PICTURE... is missing: pictures of Calotype's, A1111's or ComfyUI's. Example: calotype again"),
        (["convert", "a", "b"], "--layout is missing: diffusers (a folder) or ldm (one file, as"),
        (
            ["convert", "a", "b", "c", "--layout", "ldm"],
            "c is more than convert takes. Example: calotype convert sd15.ckpt sd15",
        ),
        (["txt2img", "--prompt", "a cat"], "there is no --prompt: the prompt needs no option before it, only quotes."),
        (["txt2img", "a", "--batch-size", "4"], "there is no --batch-size: -n says how many pictures. Example: "),
        (["inpaint", "a", "--batch-count=4"], "there is no --batch-count: -n says how many pictures. Example: "),
        (["grid", "a", "--x", "steps: 1", "--size", "64"], "there is no --size: --width and --height say the size."),
        (["info", "a", "--size"], "No such option: --size"),
        (["txt2img", "a", "-n"], "Option '-n' requires an argument."),
    ],
)
def test_what_is_typed_wrong_is_told_in_our_words(
    args: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(args) == 2
    assert capsys.readouterr().err.startswith(f"calotype: {message}")


@pytest.mark.parametrize(
    "args",
    [
        ["info", LONG], ["convert", LONG, "out", "--layout", "ldm"], ["txt2img", "a", "--model", LONG],
        ["txt2img", "a", "--vae", LONG], ["batch", __file__, "-o", LONG], ["resume", LONG], ["again", LONG],
        ["verify", LONG],
    ],
)  # fmt: skip
def test_what_may_not_be_looked_at_is_one_line(
    args: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name too long for any file, which the system refuses as it does a folder without rights."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(args) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_samplers_are_listed_a_line_each_with_when_to_use_which(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["samplers"]) == 0
    first, _, *lines = (line.rstrip() for line in capsys.readouterr().out.splitlines())
    assert first == "If in doubt: DPM++ 2M, 12 to 25 steps."
    assert SAMPLERS["DPM++ 2M"].use.endswith("12 to 25 steps")
    listed = dict(line.split("  ", 1) for line in lines if line)
    assert {name: listed[name].strip() for name in SAMPLERS} == {row.name: row.use for row in SAMPLERS.values()}
    labels = {row.name: row.label for row in SCHEDULERS.values()} | {"automatic": "Automatic"}
    assert {name: listed[name].strip() for name in labels} == labels


def test_all_of_the_samplers_tells_papers_and_names_uncut(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["samplers", "--all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for row in SAMPLERS.values():
        assert any(line.startswith(row.name) and row.paper in line and ", ".join(row.aliases) in line for line in lines)


def test_every_field_of_a_recipe_can_be_asked_for() -> None:
    """Of one command or another; the prompt and the picture to begin with are arguments."""
    group: Any = typer.main.get_command(cli.app)
    asked = {each.name for name in ("txt2img", "img2img", "inpaint") for each in group.commands[name].params}
    assert Recipe.model_fields.keys() - asked == {"init_image"}


def test_import_and_help_need_no_torch() -> None:
    code = """
import sys, calotype
from calotype import cli
dir(calotype), calotype.__version__
assert cli.main(["--help"]) == 0 and cli.main(["txt2img", "--help"]) == 0
print(sorted({"torch", "numpy", "PIL", "tokenizers", "scipy"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_files_are_looked_for_before_torch_is_imported() -> None:
    commands = [
        ["again", "nope.png"],
        ["verify", __file__, "nope.png"],
        ["img2img", "nope.png", "a cat"],
        ["inpaint", __file__, "a cat", "--mask", "nope.png"],
        ["batch", "nope.txt"],
        ["resume", "nope"],
        ["train", "nope.toml"],
        ["train", __file__],
    ]
    code = """
import sys
from calotype import cli
for words in eval(sys.argv[1]):
    assert (cli.main(words), "torch" in sys.modules) == (2, False), words
"""
    done = subprocess.run([sys.executable, "-c", code, repr(commands)], capture_output=True, text=True, check=True)
    assert done.stderr.count("\n") == len(commands)


def test_public_names_are_there() -> None:
    assert all(getattr(calotype, name) is not None for name in calotype.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = calotype.nonsense
