"""The machinery of the studies of abilities: a stand-in model of known behaviour, judged by J1."""

import re
from dataclasses import replace

import numpy as np
import pytest

from calotype import api, cli
from calotype.data import banks
from calotype.data.captions import caption
from calotype.data.prompts import prompts
from calotype.data.scenes import render
from calotype.imaging.reading import read_mask, read_picture
from calotype.lab import abilities, detector
from calotype.lab.abilities import Bench, emphasis, emphasised, image_to_image, inpainting, mask_of
from calotype.lab.abilities_page import painted_lines, trend_lines
from calotype.lab.bootstrap import ratio
from calotype.lab.detection import JUDGES
from calotype.lab.progress import Progress
from calotype.lab.trend import trend
from calotype.recipe import Recipe

CASES = 8
_WEIGHT = re.compile(r"\(([^:]+):([\d.]+)\)")


class Painter:
    """A model that paints the scene asked for once its dial is past the case's own mark, and nothing new before."""

    def __init__(self, bank, obedient=True, careless=False):
        self.bank, self.obedient, self.careless = bank, obedient, careless
        asked = [spec for category in ("single", "two") for _, spec in prompts(bank, category, "train", CASES)]
        self.scenes = {caption(spec): spec for spec in asked}

    def paint(self, recipe):
        weight = _WEIGHT.search(recipe.prompt)
        spec = self.scenes[_WEIGHT.sub(r"\1", recipe.prompt)]
        before = np.asarray(read_picture(recipe.init_image)) if recipe.init_image else np.full((128, 128, 3), 255)
        before = before.astype(np.uint8)
        if not self.obedient:
            return before
        if recipe.mask:
            return self._into(np.asarray(read_mask(recipe.mask)), spec, before)
        dial = float(weight[2]) if weight else recipe.denoising_strength or 1
        return render(self.bank, spec) if dial > 0.25 + 0.1 * (recipe.seed % CASES) else before

    def _into(self, mask, spec, before):
        (top, left), (bottom, right) = (edge(np.argwhere(mask), 0) for edge in (np.min, np.max))
        x0, y0, x1, y1 = spec.objects[0].box
        scale = 0.8 * min((right - left) / (x1 - x0), (bottom - top) / (y1 - y0)) / 2
        x, y = (left + right) / 2, (top + bottom) / 2
        box = (x - scale * (x1 - x0), y - scale * (y1 - y0), x + scale * (x1 - x0), y + scale * (y1 - y0))
        thing = replace(spec.objects[0], box=box)
        painted = render(self.bank, replace(spec, objects=(thing,)))
        after = np.where(mask[..., None] > 0, painted, before)
        after[0, 0] += self.careless
        return after


def bench(bank, matcher, tmp_path, **behaviour):
    return Bench(Painter(bank, **behaviour), bank, {"J1": matcher}, Recipe(seed=0), CASES, tmp_path)


@pytest.fixture(autouse=True)
def _painted(monkeypatch):
    """The painter's pictures in the place of a model's."""

    def painted(painter, recipes, folder):
        yield Progress(folder.name, len(recipes), len(recipes))
        return np.stack([painter.paint(recipe) for recipe in recipes])

    monkeypatch.setattr(abilities, "developed", painted)


def finished(study):
    progress = []
    while True:
        try:
            progress.append(next(study))
        except StopIteration as stop:
            assert progress[-1].done == progress[-1].total
            return stop.value


def test_the_slope_is_that_of_a_straight_line():
    lines = np.array([[1.0, 3.0, 5.0], [2.0, 2.0, 2.0]])
    found = trend("x", "", (0.0, 1.0, 2.0), lines, "rises")
    assert (found.slope.value, found.means) == (1.0, (1.5, 2.5, 3.5))
    assert (found.slope.low, found.slope.high) == (0.0, 2.0)
    assert found.verdict == "not shown: the interval holds 0"
    assert trend("x", "", (0.0, 1.0, 2.0), lines[:1], "rises").verdict == "rises"
    assert trend("x", "", (0.0, 1.0, 2.0), lines[:1], "falls").verdict == "MISS: it rises"


def test_a_ratio_of_means_and_its_interval():
    found = ratio([1, 0, 1, 1], [1, 1, 1, 1])
    assert (found.value, found.count) == (0.75, 4)
    assert 0.25 <= found.low < 0.75 < found.high <= 1
    assert ratio([1, 1], [1, 1]) == ratio([1, 1], [1, 1]) and ratio([1, 1], [1, 1]).low == 1
    assert ratio([1, 0], [0, 0]) is None


def test_an_obedient_model_follows_the_strength(bank, matcher, tmp_path):
    trends = {found.figure: found for found in finished(image_to_image(bench(bank, matcher, tmp_path)))}
    assert {name: found.verdict for name, found in trends.items()} == {
        "likeness to the input (SSIM)": "falls", "background asked for": "rises", "thing asked for": "rises",
        "thing and background": "rises",
    }  # fmt: skip
    assert trends["likeness to the input (SSIM)"].means[0] > 0.9  # one case in eight has passed its mark at 0.3
    assert trends["background asked for"].means == (1 / 8, 4 / 8, 7 / 8)


def test_a_model_that_ignores_everything_shows_no_trend(bank, matcher, tmp_path):
    trends = finished(image_to_image(bench(bank, matcher, tmp_path, obedient=False)))
    assert {found.verdict for found in trends} == {"not shown: the interval holds 0"}
    assert trends[0].means == (1, 1, 1)


def test_an_obedient_model_follows_the_weight(bank, matcher, tmp_path):
    (found,) = finished(emphasis(bench(bank, matcher, tmp_path)))
    assert found.verdict == "rises"
    assert found.means[0] < found.means[2] <= found.means[-1]
    assert found.means[-1] > 0.8


@pytest.mark.parametrize(
    ("prompt", "word", "read"),
    [
        ("a cat and a cat outline", "cat", "a (cat:0.75) and a cat outline"),
        ("an ant and an elephant", "ant", "an (ant:0.75) and an elephant"),
        ("a plantation and an ant", "ant", "a plantation and an (ant:0.75)"),
    ],
)
def test_the_first_word_is_emphasised(prompt, word, read):
    assert emphasised(prompt, word, 0.75) == read


def test_things_are_put_into_masks_and_the_outside_stays(bank, matcher, tmp_path):
    both = finished(inpainting(bench(bank, matcher, tmp_path)))
    assert [found.area for found in both] == ["whole picture", "only masked"]
    for found in both:
        assert found.alone.value >= 0.8
        assert found.inside.value >= 0.8
        assert found.ratio.value == pytest.approx(found.inside.value / found.alone.value)
        assert found.unchanged == CASES
    careless = finished(inpainting(bench(bank, matcher, tmp_path, careless=True)))
    assert [found.unchanged for found in careless] == [0, 0]
    for none in finished(inpainting(bench(bank, matcher, tmp_path, obedient=False))):
        assert (none.inside.value, none.ratio, none.unchanged) == (0, None, CASES)


@pytest.mark.parametrize("box", [(2, 2, 34, 30), (90, 40, 126, 60), (20, 20, 116, 116), (40, 60, 72, 100)])
def test_masks_cover_whole_cells_around_the_thing(box):
    rows, columns = np.nonzero(mask_of(box))
    left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    assert not any(edge % 8 for edge in (left, top, right, bottom))
    assert left <= box[0] and top <= box[1] and right >= box[2] and bottom >= box[3]
    assert right - left >= 32 and bottom - top >= 32
    assert len(rows) == (right - left) * (bottom - top)


def test_pages_say_what_was_found(bank, matcher, tmp_path):
    stand = bench(bank, matcher, tmp_path)
    page = "\n".join(trend_lines("Strength", finished(image_to_image(stand))))
    assert "| figure | judge | 0.3 | 0.6 | 0.9 | slope (95 % interval) | wanted | found |" in page
    assert re.search(r"\| thing asked for \| J1 \| [\d.]+ \| .* \| rises \| rises \|", page)
    page = "\n".join(painted_lines(finished(inpainting(stand))))
    assert "| ≥ 0.9 | pass |" in page
    assert f"| {CASES} of {CASES} |" in page


def test_the_command_writes_a_page_and_makes_no_picture_twice(bank, tiny_folder, tmp_path, monkeypatch, capsys):
    """With the tiny model, which never shows a thing, and a second judge of two steps."""
    monkeypatch.undo()
    monkeypatch.setenv("CALOTYPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(detector, "BATCH", 2)
    monkeypatch.setattr(detector, "STEPS", 2)
    monkeypatch.setattr(banks, "load_bank", lambda: bank)
    list(detector.train(bank, 2))
    command = ["study", "abilities", "--cases", "2", "--steps", "1", "--model", str(tiny_folder)]
    assert cli.main([*command, "-o", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "abilities.md").read_text()
    assert page.startswith(f"# Abilities of tiny {api.load(tiny_folder).hash[:10]}\n")
    assert "`calotype study abilities --cases 2 --steps 1 --cfg-scale 4`" in page and JUDGES in page
    assert [line for line in page.splitlines() if line.startswith("## ")] == [
        "## Image-to-image, by the denoising strength", "## Emphasis, by the weight", "## Inpainting",
    ]  # fmt: skip
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.png")}
    assert len(made) == 2 * 3 + 2 * 3 + 2 * 3
    assert cli.main([*command, "--only", "emphasis", "-o", str(tmp_path / "out")]) == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.png")} == made


def test_an_unknown_study_is_one_line(capsys):
    assert cli.main(["study", "abilities", "--only", "outpainting"]) == 2
    assert "there is no study of 'outpainting': choose img2img, emphasis, inpainting" in capsys.readouterr().err
