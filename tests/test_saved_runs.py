"""Runs on disk: any sampler, cut anywhere, goes on to the same bytes; what does not fit is refused."""

import json
import resource
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from calotype.api import Studio, load
from calotype.diffusion.samplers import SAMPLERS
from calotype.errors import CalotypeError
from calotype.pipeline import read_run, save_run
from calotype.recipe import Recipe

RECIPE = Recipe(prompt="a unicorn", seed=7, steps=3)


@pytest.fixture(scope="module")
def studio(tiny_folder: Path) -> Studio:
    return load(tiny_folder)


@pytest.fixture
def saved(studio: Studio, tmp_path: Path) -> Path:
    path = tmp_path / "a.run.safetensors"
    save_run(path, studio, RECIPE, next(studio.states(RECIPE)), tmp_path / "a.png")
    return path


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_goes_on_to_the_same_bytes(studio: Studio, sampler: str, tmp_path: Path) -> None:
    recipe, picture = RECIPE.but(sampler=sampler), tmp_path / "a.png"
    states = list(studio.states(recipe))
    studio.develop(recipe, states).save(picture)
    for number, state in enumerate(states):
        path = tmp_path / f"{number}.safetensors"
        save_run(path, studio, recipe, state, picture)
        run = read_run(path)
        assert run.check(studio) == []
        rest = studio.states(run.record.recipe, run.state)
        studio.develop(run.record.recipe, chain([run.state], rest)).save(tmp_path / "b.png")
        assert (tmp_path / "b.png").read_bytes() == picture.read_bytes()
        assert path.stat().st_size < 30_000


@pytest.mark.parametrize(
    "change",
    [
        {"hr_scale": 2.0, "hr_steps": 2},
        {"rng": "philox", "eta_noise_seed_delta": 5, "sampler": "Euler a"},
        {"subseed_strength": 0.3, "cfg_points": ((0, 7), (1, 2))},
        {"tile_size": 32, "tile_overlap": 8},
    ],
)
def test_runs_of_several_passes_and_choices(studio: Studio, change: dict[str, object], tmp_path: Path) -> None:
    recipe = RECIPE.but(**change)
    states = list(studio.states(recipe))
    whole = studio.develop(recipe, states)
    for state in states:
        save_run(tmp_path / "run", studio, recipe, state, tmp_path / "a.png")
        run = read_run(tmp_path / "run")
        again = studio.develop(run.record.recipe, chain([run.state], studio.states(run.record.recipe, run.state)))
        assert again.tobytes() == whole.tobytes()
        assert again.record == whole.record


def test_it_knows_its_model_and_its_picture(studio: Studio, saved: Path, tiny_folder: Path) -> None:
    run = read_run(saved)
    assert (run.files, run.output) == ((tiny_folder,), str(saved.with_name("a.png")))


def test_another_model_is_refused(studio: Studio, saved: Path) -> None:
    other = replace(studio)
    other.__dict__["hash"] = "0" * 64
    with pytest.raises(CalotypeError, match="another model"):
        read_run(saved).check(other)


def test_a_model_that_was_read_otherwise_is_refused(studio: Studio, saved: Path, tiny_folder: Path) -> None:
    other = load(tiny_folder, parameterization="epsilon")
    assert other.hash == studio.hash
    with pytest.raises(CalotypeError, match="read otherwise: as the files say, not parameterization epsilon"):
        read_run(saved).check(other)
    save_run(saved, other, RECIPE, next(other.states(RECIPE)), saved.with_name("a.png"))
    assert read_run(saved).check(other) == []


def test_another_picture_to_begin_with_is_refused(studio: Studio, tmp_path: Path) -> None:
    studio.generate("a", seed=1, steps=1).save(tmp_path / "begin.png")
    recipe = RECIPE.but(init_image=str(tmp_path / "begin.png"))
    save_run(tmp_path / "run", studio, recipe, next(studio.states(recipe)), tmp_path / "a.png")
    studio.generate("a", seed=2, steps=1).save(tmp_path / "begin.png")
    with pytest.raises(CalotypeError, match="init_image of the run has other pixels"):
        read_run(tmp_path / "run").check(studio)


def test_another_torch_and_other_threads_are_told(studio: Studio, saved: Path) -> None:
    run = read_run(saved)
    versions = {**run.record.versions, "torch": "1.0"}
    lines = replace(run, record=run.record.but(versions=versions, threads=5)).check(studio)
    assert lines == [f"another torch (1.0 then, {torch.__version__} now)", "another number of threads (5 then, 1 now)"]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_file_cut_short_is_refused(saved: Path, share: float) -> None:
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CalotypeError, match="cut short or damaged"):
        read_run(saved)


def test_a_changed_number_is_noticed(saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    content[-5] ^= 1
    saved.write_bytes(content)
    with pytest.raises(CalotypeError, match="not those it was saved with"):
        read_run(saved)


@pytest.mark.parametrize(
    ("was", "now"), [('"seed": 7', '"seed": 8'), ('"passage": 0', '"passage": 7'), ('"counters": [1', '"counters": [2')]
)
def test_a_changed_word_is_noticed(saved: Path, was: str, now: str) -> None:
    with safe_open(saved, "pt") as file:
        text = file.metadata()["calotype_run"]
    assert was in text
    save_file(load_file(saved), saved, {"calotype_run": text.replace(was, now)})
    with pytest.raises(CalotypeError, match="not those it was saved with"):
        read_run(saved)


def test_a_full_disk_is_told_in_one_line_and_leaves_nothing(studio: Studio, tmp_path: Path) -> None:
    state, limits = next(studio.states(RECIPE)), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(CalotypeError, match=r"cannot write .*a\.run\.safetensors: .*make room") as error:
            save_run(tmp_path / "a.run.safetensors", studio, RECIPE, state, tmp_path / "a.png")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_another_version_is_refused(saved: Path) -> None:
    with safe_open(saved, "pt") as file:
        metadata = file.metadata()
    values = {**json.loads(metadata["calotype_run"]), "version": 2}
    save_file(load_file(saved), saved, {"calotype_run": json.dumps(values)})
    with pytest.raises(CalotypeError, match="of version 2, this Calotype reads version 4"):
        read_run(saved)


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"a text that someone has named so"])
def test_what_is_another_kind_of_file_is_not_called_damaged(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(CalotypeError, match=r"a.safetensors is no kept run: those end in .run.safetensors."):
        read_run(tmp_path / "a.safetensors")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"version": 4, "sha256": ""}', "[" * 100_000, None])
def test_what_is_no_run_is_refused_in_one_line(saved: Path, text: str | None) -> None:
    save_file(load_file(saved), saved, None if text is None else {"calotype_run": text})
    with pytest.raises(CalotypeError, match=str(saved)) as error:
        read_run(saved)
    assert "\n" not in str(error.value)
    with pytest.raises(CalotypeError, match="there is no kept run '/nowhere'"):
        read_run(Path("/nowhere"))
