"""Batches and grids."""

import importlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from calotype import Studio, cli
from calotype.cli.batch import rows
from calotype.errors import CalotypeError
from calotype.imaging.png import read_record
from calotype.pipeline import RunState


def _run(folder: Path, *args: object) -> int:
    return cli.main([str(args[0]), *map(str, args[1:]), "--model", str(folder), "--steps", "1"])


def _prompts(folder: Path) -> list[str]:
    return [read_record(path).recipe.prompt for path in sorted(folder.glob("0*.png"))]


def _pixels(path: Path) -> bytes:
    with Image.open(path) as image:
        return image.tobytes()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "a unicorn\n\n a purple background\n"),
        ("a.csv", "prompt,seed,cfg_scale\na unicorn,5,2\na purple background,,\n"),
        ("a.jsonl", '{"prompt": "a unicorn", "seed": 5, "cfg_scale": 2}\n{"prompt": "a purple background"}\n'),
    ],
)
def test_prompts_from_a_file(name: str, text: str, tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert _run(tiny_folder, "batch", tmp_path / name, "--seed", 7, "-o", tmp_path / "out") == 0
    assert _prompts(tmp_path / "out") == ["a unicorn", "a purple background"]
    first = read_record(min((tmp_path / "out").glob("0*.png"))).recipe
    assert (first.seed, first.cfg_scale) == ((7, 4) if name == "a.txt" else (5, 2))


def test_it_goes_on_where_it_was_killed(tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("a unicorn\na")
    args = ("batch", tmp_path / "a.txt", "-n", 2, "-o", tmp_path / "out")
    assert _run(tiny_folder, *args) == 0
    made = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    pictures = sorted(path for path in made if path.suffix == ".png")
    pictures[1].unlink()
    capsys.readouterr()
    assert _run(tiny_folder, *args) == 0
    assert capsys.readouterr().out == f"{pictures[1]}\n"
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == made
    assert _run(tiny_folder, *args) == 0
    assert f"all 4 pictures are in {tmp_path / 'out'} already" in capsys.readouterr().err
    assert _run(tiny_folder, *args, "--cfg-scale", 3) == 2
    assert "another plan: choose another folder" in capsys.readouterr().err


KILLED = """
import os, signal, sys
from calotype import cli, pipeline

def save_and_die(path, model, recipe, state, output):
    save(path, model, recipe, state, output)
    if recipe.seed == 8 and state.index == 4:
        os.kill(os.getpid(), signal.SIGKILL)

save, pipeline.save_run = pipeline.save_run, save_and_die
cli.main(sys.argv[1:])
"""


@pytest.mark.parametrize("changed", ["nothing", "threads", "damaged"])
def test_a_picture_cut_by_a_kill_goes_on_from_its_last_kept_step(
    changed: str, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless its last bits might become others."""
    (tmp_path / "a.txt").write_text("a unicorn")
    words = ["batch", str(tmp_path / "a.txt"), "-n", "2", "--seed", "7", "--steps", "6", "--sampler", "DPM++ 2M SDE"]
    words += ["--model", str(tiny_folder), "--save-state-every", "2", "-o"]
    cut, run = [*words, str(tmp_path / "cut")], tmp_path / "cut" / "00001-8.run.safetensors"
    died = subprocess.run([sys.executable, "-c", KILLED, *cut, "--threads", "2" if changed == "threads" else "1"])
    assert died.returncode == -signal.SIGKILL
    assert sorted(path.name for path in run.parent.iterdir()) == ["00000-7.png", run.name, "plan.json"]
    if changed == "damaged":
        run.write_bytes(run.read_bytes()[:-1])
    done, states = [], Studio.states

    def counted(*args: Any) -> Iterator[RunState]:
        for state in states(*args):
            done.append(state.index)
            yield state

    monkeypatch.setattr(Studio, "states", counted)
    assert cli.main(cut) == 0
    assert done == ([5, 6] if changed == "nothing" else [1, 2, 3, 4, 5, 6])
    assert cli.main([*words, str(tmp_path / "whole")]) == 0
    assert sorted(path.name for path in run.parent.iterdir()) == ["00000-7.png", "00001-8.png", "plan.json"]
    assert run.with_name("00001-8.png").read_bytes() == (tmp_path / "whole" / "00001-8.png").read_bytes()


@pytest.mark.parametrize(
    ("first", "args", "message"),
    [
        ("a\na unicorn", ["--model", "none"], "none"),
        ("a\na <hypernet:x:1>", [], "a.txt, line 2: <hypernet:x:1> is a hypernetwork"),
        ("a\n\na <lora:x>", [], "a.txt, line 3: the prompt asks for the LoRA 'x'"),
        ("a\n" + "a " * 3000, [], "a.txt, line 2: the prompt is 3000 tokens long"),
        ("a\na unicorn", ["--scheduler", "align_your_steps"], "a.txt, line 1: align_your_steps is made for"),
        ("a\na unicorn", ["--eta", "1", "--sampler", "Euler"], "a.txt, line 1: sampler Euler has no option 'eta'"),
        ("a\na unicorn", ["--refiner", "none"], "a.txt, line 1: "),
        ("a\n--prompt a --n_iter 2", [], "a.txt, line 2: unknown field 'n_iter'"),
        ("--steps 5", [], "a.txt, line 1: there is no prompt"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_cannot_be_made_is_told_first_and_then_the_folder_is_free(
    first: str, args: list[str], message: str, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "a.txt", tmp_path / "out"
    file.write_text(first)
    wrong = ["batch", str(file), "--model", str(tiny_folder), "--steps", "1", "-o", str(out), *args]
    assert cli.main(wrong) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()
    file.write_text("a\na unicorn")
    assert _run(tiny_folder, "batch", file, "-o", out) == 0
    assert _prompts(out) == ["a", "a unicorn"]


def test_a_plan_without_pictures_gives_way(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed before its first picture was there."""
    (tmp_path / "a.txt").write_text("a")
    with monkeypatch.context() as patched:
        patched.setattr("calotype.cli.plans.make_at", lambda *_: sys.exit(9))
        with pytest.raises(SystemExit):
            _run(tiny_folder, "batch", tmp_path / "a.txt", "-o", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["plan.json"]
    (tmp_path / "a.txt").write_text("a unicorn")
    assert _run(tiny_folder, "batch", tmp_path / "a.txt", "-o", tmp_path / "out") == 0
    assert _prompts(tmp_path / "out") == ["a unicorn"]


def test_pictures_of_no_plan_are_not_taken_for_its_own(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("a unicorn")
    assert _run(tiny_folder, "txt2img", "a", "--seed", 7, "-o", tmp_path / "out") == 0
    assert _run(tiny_folder, "batch", tmp_path / "a.txt", "--seed", 7, "-o", tmp_path / "out") == 2
    assert "another plan: choose another folder" in capsys.readouterr().err
    assert _prompts(tmp_path / "out") == ["a"]


def test_variations_count_their_subseed(tiny_folder: Path, tmp_path: Path) -> None:
    """As in A1111: they stay near to one picture, and their names tell them apart."""
    (tmp_path / "a.txt").write_text("a")
    varied = ("--seed", 7, "--subseed", 3, "--subseed-strength", 0.1, "-n", 2)
    assert _run(tiny_folder, "batch", tmp_path / "a.txt", *varied, "-o", tmp_path / "out") == 0
    assert _run(tiny_folder, "txt2img", "a", *varied, "-o", tmp_path / "a.png") == 0
    made = sorted((tmp_path / "out").glob("*.png"))
    assert [path.name for path in made] == ["00000-7-3.png", "00001-7-4.png"]
    assert [path.read_bytes() for path in made] == [
        (tmp_path / name).read_bytes() for name in ("a-7-3.png", "a-7-4.png")
    ]


def test_a_quoted_field_over_two_lines_keeps_them(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('prompt, seed\r\n"a red apple\r\non a table", -1\n\n"b", 5\n', newline="")
    assert list(rows(tmp_path / "a.csv")) == [
        (2, {"prompt": "a red apple\non a table", "seed": "-1"}), (5, {"prompt": "b", "seed": "5"}),
    ]  # fmt: skip


def test_lines_that_ask_for_nothing_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("# animals\na cat # asleep\n\n  # plants\n")
    assert list(rows(tmp_path / "a.txt")) == [(2, {"prompt": "a cat # asleep"})]
    (tmp_path / "a.csv").write_text("  \nprompt\na\n   \nb\n")
    assert list(rows(tmp_path / "a.csv")) == [(3, {"prompt": "a"}), (5, {"prompt": "b"})]


def test_lines_of_options_are_read_as_a1111_reads_them(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("""\
--prompt "a cat, it's red" --negative_prompt a dog --sampler_name "Euler a" --seed -1 --cfg_scale 7
a cat -- asleep
--prompt a --negative-prompt ""
""")
    assert [row for _, row in rows(tmp_path / "a.txt")] == [
        {"prompt": "a cat, it's red", "negative_prompt": "a dog", "sampler": "Euler a", "seed": "-1", "cfg_scale": "7"},
        {"prompt": "a cat -- asleep"},
        {"prompt": "a", "negative_prompt": ""},
    ]
    (tmp_path / "a.txt").write_text('a\n--prompt "a')
    with pytest.raises(CalotypeError, match="line 2: No closing quotation"):
        list(rows(tmp_path / "a.txt"))


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x1c", "\x0c"])
def test_only_a_line_break_ends_a_line(mark: str, tmp_path: Path) -> None:
    text = f"a{mark}cat"
    for name, line in {"a.txt": text, "a.jsonl": f'{{"prompt": "{text}"}}', "a.csv": f"prompt\n{text}"}.items():
        if name == "a.jsonl" and mark < " ":
            continue  # JSON wants it escaped
        (tmp_path / name).write_text(f"{line}\n", encoding="utf-8")
        assert [row for _, row in rows(tmp_path / name)] == [{"prompt": text}]


def test_nothing_of_a_comment_is_drawn_or_chosen(tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "thing.txt").write_text("unicorn\non\npurple\nbackground\n")
    (tmp_path / "a.txt").write_text("a __thing__|b # __none__ | c\n")
    (tmp_path / "b.txt").write_text("a __thing__|b\n")
    for name in ("a", "b"):
        asked = ("--wildcards", tmp_path, "--matrix", "--seed", 7, "-o", tmp_path / name)
        assert _run(tiny_folder, "batch", tmp_path / f"{name}.txt", *asked) == 0
    drawn = [[path.read_bytes() for path in sorted((tmp_path / name).glob("*.png"))] for name in ("a", "b")]
    assert len(drawn[0]) == 2
    assert drawn[0] == drawn[1]


def test_wildcards_are_drawn_in_every_prompt(tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "thing.txt").write_text("unicorn\non\npurple\nbackground\n")
    row = {"prompt": "a __thing__", "negative_prompt": "no __thing__", "hr_prompt": "a __thing__"}
    (tmp_path / "a.jsonl").write_text(json.dumps({**row, "hr_negative_prompt": "not __thing__"}))
    args = ("--seed", 1, "--wildcards", tmp_path, "--hr-scale", 1.25, "-o", tmp_path / "out")
    assert _run(tiny_folder, "batch", tmp_path / "a.jsonl", *args) == 0
    recipe = read_record(next((tmp_path / "out").glob("*.png"))).recipe
    assert recipe.hr_prompt == recipe.prompt
    for text in (recipe.prompt, recipe.negative_prompt, recipe.hr_negative_prompt):
        assert text is not None
        assert text.split()[1] in {"unicorn", "on", "purple", "background"}


def test_wildcards_and_matrix(tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "thing.txt").write_text("# things\nunicorn\n")
    (tmp_path / "a.txt").write_text("a __thing__ | purple")
    args = ("--seed", 1, "--wildcards", tmp_path, "--matrix", "-o", tmp_path / "out")
    assert _run(tiny_folder, "batch", tmp_path / "a.txt", *args) == 0
    assert _prompts(tmp_path / "out") == ["a unicorn", "a unicorn, purple"]


def test_a_grid(tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    axes = ("--x", "cfg_scale: 1, 4", "--y", "Sampler: Euler, DDIM", "--seed", 3)
    assert _run(tiny_folder, "grid", "a unicorn", *axes, "-o", tmp_path) == 0
    recipes = [read_record(path).recipe for path in sorted(tmp_path.glob("0*.png"))]
    expected = [(1, "Euler"), (4, "Euler"), (1, "DDIM"), (4, "DDIM")]
    assert [(recipe.cfg_scale, recipe.sampler) for recipe in recipes] == expected
    assert {recipe.seed for recipe in recipes} == {3}
    assert (tmp_path / "grid.png").exists()
    assert len(capsys.readouterr().out.splitlines()) == 5


def test_a_grid_varies_what_becomes_of_a_mask(tiny_folder: Path, tmp_path: Path) -> None:
    picture, mask, out = tmp_path / "a.png", tmp_path / "mask.png", tmp_path / "out"
    Image.new("RGB", (64, 64), "red").save(picture)
    Image.new("L", (64, 64)).save(mask)
    with Image.open(mask) as image:
        image.paste(255, (16, 16, 48, 48))
        image.save(mask)
    painted = ("--init-image", picture, "--mask", mask, "--denoising-strength", 1, "--seed", 7)
    assert _run(tiny_folder, "grid", "a", "--x", "mask_blur: 0, 8", *painted, "-o", out) == 0
    made = sorted(out.glob("0*.png"))
    recipes = [read_record(path).recipe for path in made]
    assert [(recipe.mask_blur, recipe.mask, recipe.init_image) for recipe in recipes] == [
        (blur, str(mask), str(picture)) for blur in (0, 8)
    ]
    assert _pixels(made[0]) != _pixels(made[1])
    blurred = ("--mask", mask, "--mask-blur", 8, *painted[4:])
    assert _run(tiny_folder, "inpaint", picture, "a", *blurred, "-o", tmp_path / "b.png") == 0
    assert made[1].read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_last_line_of_a_grid_for_programs_is_json_too(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(tiny_folder, "grid", "a", "--x", "seed: 1, 2", "--json", "-o", tmp_path) == 0
    *cells, sheet = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [cell["recipe"]["seed"] for cell in cells] == [1, 2]
    assert sheet == {"path": str(tmp_path / "grid.png"), "columns": 2, "rows": 1}


def test_a_grid_opens_one_picture_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths, opened = [tmp_path / f"{number}.png" for number in range(4)], 0
    for path in paths:
        Image.new("RGB", (8, 8)).save(path)
    module = importlib.import_module("calotype.cli.grid")
    monkeypatch.setattr(module, "carry_out", lambda *_: paths)
    descriptors = len(list(Path("/dev/fd").iterdir()))
    opening = Image.open

    def counted(path: Path) -> Image.Image:
        nonlocal opened
        opened += 1
        assert len(list(Path("/dev/fd").iterdir())) == descriptors
        return opening(path)

    monkeypatch.setattr(Image, "open", counted)
    assert cli.main(["grid", "a", "--x", "cfg_scale: 1, 2, 3, 4", "-o", str(tmp_path)]) == 0
    assert opened >= len(paths)


BAD = {
    "no file": (["batch", "none.txt"], "there is no file of prompts 'none.txt'"),
    "a broken line": (["batch", "broken.jsonl"], "broken.jsonl, line 2: "),
    "no prompts": (["batch", "blank.txt"], "blank.txt holds no prompts"),
    "no object": (["batch", "list.jsonl"], "list.jsonl, line 1: not an object"),
    "an unknown field": (["batch", "field.csv"], "field.csv, line 2: unknown field 'promt': did you mean prompt"),
    "a field without a name": (["batch", "unnamed.csv"], "unnamed.csv, line 1: a field has no name"),
    "a field named twice": (["batch", "twice.csv"], "twice.csv, line 1: seed is named twice"),
    "no prompt in a table": (["batch", "seeds.csv"], "seeds.csv, line 2: there is no prompt"),
    "no prompt in an object": (["batch", "seeds.jsonl"], "seeds.jsonl, line 2: there is no prompt"),
    "a wrong value in a table": (["batch", "steps.csv"], "steps.csv, line 3: steps is '0'"),
    "a file for many": (["batch", "good.txt", "-o", "x.png"], "cannot write many pictures to the file x.png"),
    "too many fields": (["batch", "long.csv"], "long.csv, line 2: more or fewer fields"),
    "no such wildcard": (["batch", "wild.txt", "--wildcards", "."], "no list for the wildcard __beast__"),
    "no axis": (["grid", "a", "--x", "cfg_scale"], "is no axis"),
    "an axis without values": (["grid", "a", "--x", "cfg_scale:"], "is no axis"),
    "an axis without a field": (["grid", "a", "--x", ": 1"], "is no axis"),
    "an unknown axis": (["grid", "a", "--x", "cfg_scal: 1, 2"], "unknown field 'cfg_scal': did you mean cfg_scale"),
    "an axis over two lines": (["grid", "a", "--x", "prompt: a\nb"], "is no axis"),
    "an axis called self": (["grid", "a", "--x", "self: 1, 2"], "self 1: unknown field 'self': leave it out"),
    "one field on both axes": (["grid", "a", "--x", "steps: 1", "--y", "Steps: 2"], "both axes vary steps"),
    "a grid of several": (["grid", "a", "--x", "steps: 1, 2", "-n", "3"], "there is no -n: a grid has a picture"),
    "a number too long": (["batch", "digits.jsonl"], "digits.jsonl, line 1: a number is too long"),
    "too deep": (["batch", "deep.jsonl"], "deep.jsonl, line 1: a number is too long, or brackets nest too deeply"),
    "half a letter": (["batch", "half.jsonl"], r"half.jsonl, line 2: '\ud800' is no text"),
    "half a letter on the command line": (["txt2img", "a \udcff"], r"'a \udcff' is no text"),
    "an open quote": (["batch", "open.csv"], "open.csv, line 3: unexpected end of data"),
    "yes for a number": (["batch", "yes.jsonl"], "yes.jsonl, line 1: seed is True, but must be a whole number"),
    "no such picture": (["batch", "picture.jsonl"], "picture.jsonl, line 2: there is no picture 'none.png'"),
    "no such negative wildcard": (
        ["batch", "good.txt", "--negative-prompt", "__beast__", "--wildcards", "."],
        "good.txt, line 1: there is no list for the wildcard __beast__",
    ),
    "a wrong value": (["grid", "a", "--x", "cfg_scale: 1, x"], "cfg_scale is 'x'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_nothing_is_made(
    name: str, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.jsonl").write_text('{"prompt": "a"}\n{"prompt": \n')
    Path("blank.txt").write_text("\n \n")
    Path("list.jsonl").write_text("[1]\n")
    Path("field.csv").write_text("promt\na\n")
    Path("twice.csv").write_text("prompt,seed, seed\na,1,2\n")
    Path("seeds.csv").write_text("seed\n1\n")
    Path("seeds.jsonl").write_text('{"prompt": "a"}\n{"seed": 1}\n')
    Path("steps.csv").write_text("prompt,steps\na,1\nb,0\n")
    Path("good.txt").write_text("a\nb\n")
    Path("unnamed.csv").write_text("prompt,\na,1\n")
    Path("long.csv").write_text("prompt\na,b\n")
    Path("wild.txt").write_text("a __beast__\n")
    Path("digits.jsonl").write_text(f'{{"prompt": "a", "seed": {"1" * 5000}}}')
    Path("deep.jsonl").write_text("[" * 100_000)
    Path("half.jsonl").write_text('{"prompt": "a"}\n{"prompt": "\\ud800"}')
    Path("open.csv").write_text('prompt\na\n"c\nd\n')
    Path("picture.jsonl").write_text('{"prompt": "a"}\n{"prompt": "a", "init_image": "none.png"}')
    Path("yes.jsonl").write_text('{"prompt": "a", "seed": true}')
    args, message = BAD[name]
    assert _run(tiny_folder, *args) == 2
    assert message in capsys.readouterr().err
    assert not Path("out").exists()


def test_json_lines_for_programs(tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(tiny_folder, "txt2img", "a", "--seed", 3, "--json", "-n", 2, "-o", tmp_path) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["recipe"]["seed"] for line in lines] == [3, 4]
    assert [Path(line["path"]).exists() for line in lines] == [True, True]
