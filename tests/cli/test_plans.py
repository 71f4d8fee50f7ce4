"""Batches and grids."""

import importlib
import json
from pathlib import Path

import pytest
from PIL import Image

from calotype import cli
from calotype.imaging.png import read_record


def _run(folder: Path, *args: object) -> int:
    return cli.main([str(args[0]), *map(str, args[1:]), "--model", str(folder), "--steps", "1"])


def _prompts(folder: Path) -> list[str]:
    return [read_record(path).recipe.prompt for path in sorted(folder.glob("0*.png"))]


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
    "no file": (["batch", "none.txt"], "cannot read the prompts"),
    "a broken line": (["batch", "broken.jsonl"], "broken.jsonl, line 2: "),
    "no prompts": (["batch", "blank.txt"], "blank.txt holds no prompts"),
    "no object": (["batch", "list.jsonl"], "list.jsonl, line 1: not an object"),
    "an unknown field": (["batch", "field.csv"], "field.csv, line 2: unknown field 'promt': did you mean prompt"),
    "a field named twice": (["batch", "twice.csv"], "twice.csv, line 1: seed is named twice"),
    "no prompt in a table": (["batch", "seeds.csv"], "seeds.csv, line 2: there is no prompt"),
    "no prompt in an object": (["batch", "seeds.jsonl"], "seeds.jsonl, line 2: there is no prompt"),
    "a wrong value in a table": (["batch", "steps.csv"], "steps.csv, line 3: steps is '0'"),
    "a file for many": (["batch", "good.txt", "-o", "x.png"], "cannot write many pictures to the file x.png"),
    "too many fields": (["batch", "long.csv"], "long.csv, line 2: more or fewer fields"),
    "no such wildcard": (["batch", "wild.txt", "--wildcards", "."], "no list for the wildcard __beast__"),
    "no axis": (["grid", "a", "--x", "cfg_scale"], "is no axis"),
    "an unknown axis": (["grid", "a", "--x", "cfg_scal: 1, 2"], "unknown field 'cfg_scal': did you mean cfg_scale"),
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
    Path("long.csv").write_text("prompt\na,b\n")
    Path("wild.txt").write_text("a __beast__\n")
    args, message = BAD[name]
    assert _run(tiny_folder, *args) == 2
    assert message in capsys.readouterr().err
    assert not Path("out").exists()


def test_json_lines_for_programs(tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(tiny_folder, "txt2img", "a", "--seed", 3, "--json", "-n", 2, "-o", tmp_path) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["recipe"]["seed"] for line in lines] == [3, 4]
    assert [Path(line["path"]).exists() for line in lines] == [True, True]
