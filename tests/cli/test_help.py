"""Help: what a new user reads, and whether it is true."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image

from calotype import cli
from calotype.api import load
from calotype.pipeline import save_run
from calotype.recipe import Recipe

_EXAMPLE = re.compile(r"(?:^Examples?: |^)calotype .*", re.MULTILINE)
_TOO_LONG = {"pull", "train", "evaluate", "data", "study", "convert", "info"}
"""Commands whose examples are only parsed: they take hours, a network, or files that are not there."""


def _commands(group: Any, *names: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, *names, name)
        else:
            yield (*names, name), command


COMMANDS = dict(_commands(typer.main.get_command(cli.app)))


def _examples(text: str) -> list[list[str]]:
    joined = re.sub(r"(?<=\S)\n(?=\S)", " ", text)  # lines of one paragraph
    return [shlex.split(found[0].partition("calotype ")[2]) for found in _EXAMPLE.finditer(joined)]


def _shown(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    assert cli.main([*command, "--help"]) == 0
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", capsys.readouterr().out).split())


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_every_command_has_an_example_that_can_be_typed(
    names: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    command = COMMANDS[names]
    examples = _examples(command.help)
    assert examples
    for words in examples:
        assert tuple(words[: len(names)]) == names
        command.make_context(names[-1], words[len(names) :])  # raises for what is no option, or no number
    shown = _shown(capsys, *names)
    assert all(word in shown for words in examples for word in words)


@pytest.fixture
def somewhere(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that the examples name."""
    monkeypatch.chdir(tmp_path)
    studio = load(tiny_folder)
    studio.generate("a unicorn", seed=7, steps=2).save("out/00000-7.png")
    for name in ("sketch.png", "photo.png"):
        Image.new("RGB", (64, 64), "red").save(name)
    Image.new("L", (64, 64), 255).save("mask.png")
    Path("prompts.txt").write_text("a unicorn\n")
    recipe = Recipe(prompt="a", seed=7, steps=2)
    state = next(studio.states(recipe))
    save_run(Path("out/00000-7.run.safetensors"), studio, recipe, state, Path("out/00000-7.png"))
    return tmp_path


@pytest.mark.parametrize("names", [names for names in COMMANDS if names[0] not in _TOO_LONG], ids=" ".join)
def test_examples_work(names: tuple[str, ...], somewhere: Path, tiny_folder: Path) -> None:
    options = {option for parameter in COMMANDS[names].params for option in parameter.opts}
    for words in _examples(COMMANDS[names].help):
        small = ["--model", str(tiny_folder)] if "--model" in options else []
        if {"--steps", "--seed"} <= options:
            small += ["--steps", "1"]
        assert cli.main([*words, *small]) == 0


def test_the_first_page_says_how_to_begin_and_which_sizes_models_like(capsys: pytest.CaptureFixture[str]) -> None:
    shown = _shown(capsys)
    assert 'calotype txt2img "a cat on a blue background"' in shown
    assert all(size in shown for size in ("128 x 128", "512 x 512", "768 x 768", "1024 x 1024", "multiples of 8"))
    shown = _shown(capsys, "txt2img")
    assert all(size in shown for size in ("multiple of 8", "128 (the embedded", "512 (SD 1)", "1024 (SDXL)"))


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_on_a_narrow_terminal_no_name_is_cut(
    names: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main([*names, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "…" not in shown
    assert all(option in shown for parameter in COMMANDS[names].params for option in parameter.opts if "--" in option)


def test_help_offers_nothing_that_the_command_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    """Those that make many pictures take no file for one."""
    grid, batch, one = (_shown(capsys, name) for name in ("grid", "batch", "txt2img"))
    assert ".png" in one.partition("--output")[2].partition("--model")[0]
    assert all(".png" not in shown.partition("--output")[2].partition("--model")[0] for shown in (grid, batch))
    assert "--count" in batch
    assert "--count" not in grid


def test_nothing_in_brackets_is_taken_for_markup(capsys: pytest.CaptureFixture[str]) -> None:
    assert "[blue:green:0.5]" in _shown(capsys, "tokens")
    assert "__name__" in _shown(capsys, "batch")
