"""``calotype tokens``: what a person is shown of a prompt."""

from pathlib import Path

import pytest

from calotype import cli

Shown = pytest.CaptureFixture[str]


def _tokens(capsys: Shown, folder: Path, *args: str) -> list[str]:
    assert cli.main(["tokens", *args, "--model", str(folder)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out.splitlines()


def test_every_token_with_its_weight(tiny_folder: Path, capsys: Shown) -> None:
    """The tiny model's tokenizer knows single letters: the last one of a word ends it."""
    lines = _tokens(capsys, tiny_folder, "a (on:1.3)")
    assert lines[:2] == ["a (on:1.3)", "  chunk 1: 3 of 75 tokens"]
    assert [line.split()[1:] for line in lines[2:]] == [["a</w>"], ["o", "x", "1.3"], ["n</w>", "x", "1.3"]]


def test_each_chunk_has_its_tokens(tiny_folder: Path, capsys: Shown) -> None:
    lines = _tokens(capsys, tiny_folder, "a BREAK " + "a " * 80)
    assert [line for line in lines if "chunk" in line] == [
        "  chunk 1: 1 of 75 tokens", "  chunk 2: 75 of 75 tokens", "  chunk 3: 5 of 75 tokens",
    ]  # fmt: skip


def test_what_is_shown_at_which_step(tiny_folder: Path, capsys: Shown) -> None:
    lines = _tokens(capsys, tiny_folder, "[a:on:3] AND a :0.5", "--steps", "10")
    told = [line for line in lines if not line.startswith("  ")]
    assert told == ["part 1 of 2, weight 1", "steps 1 to 4: a", "steps 5 to 10: on", "part 2 of 2, weight 0.5", " a"]


def test_attachments_are_told(tiny_folder: Path, capsys: Shown) -> None:
    (first, *_) = _tokens(capsys, tiny_folder, "a <lora:ink:0.8:0.5>")
    assert first == "attached: ink, text encoder 0.8, U-Net 0.5"


@pytest.mark.parametrize(
    ("prompt", "caret", "message"),
    [
        ("a (unicorn on", "  ^", "this ( is not closed"),
        ("a unicorn] on", "         ^", "this ] closes nothing"),
        ("a (on:1.2.3)", "      ^", "this is no number"),
        ("a\non | a", "   ^", "outside of [ ] this | stops all schedules"),
        ("a\x85on\n(a", "^", "this ( is not closed"),
    ],
)
def test_a_caret_stands_under_a_mistake(
    prompt: str, caret: str, message: str, tiny_folder: Path, capsys: Shown
) -> None:
    line, pointed, *_ = _tokens(capsys, tiny_folder, prompt)
    assert line == prompt.split("\n")[-1]
    assert pointed.startswith(f"{caret} {message}")


def test_without_emphasis_a_bracket_is_a_token_and_no_mistake(tiny_folder: Path, capsys: Shown) -> None:
    lines = _tokens(capsys, tiny_folder, "(a", "--emphasis", "None")
    assert [line.split()[-1] for line in lines] == ["(a", "tokens", "(</w>", "a</w>"]


def test_comments_are_not_read(tiny_folder: Path, capsys: Shown) -> None:
    lines = _tokens(capsys, tiny_folder, "a # <hypernet:x:1> (zebra\n# okapi\non#")
    assert [line.split()[-1] for line in lines if "</w>" in line] == ["a</w>", "n</w>"]
    assert not any("^" in line or "unknown" in line for line in lines)


def test_words_that_the_model_has_never_seen_come_last(tiny_folder: Path, capsys: Shown) -> None:
    lines = _tokens(capsys, tiny_folder, "a (unicron:1.2) on [zebra:purple:0.5]")
    assert lines[-2:] == ['unknown: "unicron"; the nearest: unicorn', 'unknown: "zebra"']
    assert not any("unknown" in line for line in _tokens(capsys, tiny_folder, "a purple unicorn"))


@pytest.mark.parametrize(
    ("style", "prompt", "file"),
    [("a1111", "a Zebra-7", "art/zebra-7.pt"), ("comfyui", "a embedding:zebra-7", "zebra-7.safetensors")],
)
def test_embeddings_are_shown_as_vectors(style: str, prompt: str, file: str, tiny_folder: Path, capsys: Shown) -> None:
    lines = _tokens(capsys, tiny_folder, prompt, "--embedding", f"{file}:2", "--prompt-style", style)
    assert lines[1] == "  chunk 1: 3 of 75 tokens"
    assert lines[3:] == [f"    vector  {number} of the embedding {file}" for number in (1, 2)]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["a", "--embedding", "zebra:many"], "'zebra:many' is no embedding"),
        (["a", "--embedding", ":2"], "':2' is no embedding"),
        (["a", "--embedding", "zebra:0"], "'zebra:0' is no embedding"),
        (["a embedding:zebra", "--prompt-style", "comfyui"], "the embedding 'zebra', which is not there"),
        (["<hypernet:a:1>"], "is a hypernetwork"),
        (["a", "--prompt-style", "invoke"], "prompt_style is 'invoke'"),
    ],
)
def test_what_cannot_be_read_is_one_line(args: list[str], message: str, tiny_folder: Path, capsys: Shown) -> None:
    assert cli.main(["tokens", *args, "--model", str(tiny_folder)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert message in captured.err
