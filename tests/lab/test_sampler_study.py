from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from calotype import cli
from calotype.api import Studio, load
from calotype.errors import CalotypeError
from calotype.lab.sampler_study import PROMPTS, StudyPlan, Trial, converges, errors, observed_order, read, trials
from calotype.lab.sampler_study_page import write_page
from calotype.text.words import unknown_words
from mixture import GaussianMixture

PLAN = StudyPlan(("a unicorn",), ("Euler", "DPM++ 2M"), (2, 3), (1, 2), reference_steps=6)


@pytest.fixture(scope="module")
def studio(tiny_folder: Path) -> Studio:
    return load(tiny_folder)


def test_known_orders_are_observed(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the exact denoiser of a mixture in the network's place."""
    monkeypatch.setattr(
        Studio, "predict", lambda self, x, sigma, conditions: [GaussianMixture().denoise(x, sigma)] * len(conditions)
    )
    plan = StudyPlan(("a",), ("Euler", "Heun"), (32, 64), (1, 2, 3), 1.0, "exponential", reference_steps=512)
    done = list(trials(studio, plan, tmp_path))
    for sampler, order in [("Euler", 1), ("Heun", 2)]:
        found = observed_order(done, sampler)
        assert found is not None
        assert found.value == pytest.approx(order, abs=0.3)
    assert errors(done, "Heun", 64).value < errors(done, "Euler", 64).value / 10


def test_a_stopped_study_goes_on(studio: Studio, tmp_path: Path) -> None:
    whole = list(trials(studio, PLAN, tmp_path / "whole"))
    run = trials(studio, PLAN, tmp_path / "cut")
    first = [next(run) for _ in range(3)]
    run.close()
    before = (tmp_path / "cut" / "study.csv").read_text()
    assert list(trials(studio, PLAN, tmp_path / "cut")) == whole
    assert (tmp_path / "cut" / "study.csv").read_text().startswith(before)
    assert first == whole[:3]
    assert read(tmp_path / "cut" / "study.csv") == whole
    assert [trial.calls for trial in whole] == [2, 3] * 4


@pytest.mark.parametrize("change", [{"cfg_scale": 1.0}, {"prompts": ("a", "c")}, {"seeds": (9,)}])
def test_other_settings_are_another_study(change: dict[str, Any], studio: Studio, tmp_path: Path) -> None:
    next(trials(studio, PLAN, tmp_path))
    next(trials(studio, replace(PLAN, samplers=("Heun",)), tmp_path))
    with pytest.raises(CalotypeError, match="choose another folder"):
        next(trials(studio, replace(PLAN, **change), tmp_path))


def test_the_table_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study.csv").write_text("a,b\n1,2\n")
    with pytest.raises(CalotypeError, match="no table of a study"):
        read(tmp_path / "study.csv")


def test_figures_and_the_page(tmp_path: Path) -> None:
    done = [
        Trial(prompt, 1, sampler, steps, steps * (1 + (sampler == "Heun")), scale / steps ** (1 + (sampler == "Heun")))
        for prompt, scale in (("a", 1.0), ("b", 4.0))
        for sampler in ("Euler", "Heun", "Euler a")
        for steps in (4, 8)
    ]
    assert errors(done, "Euler", 4).value == pytest.approx(0.5)
    order = observed_order(done, "Heun")
    assert order is not None
    assert order.value == pytest.approx(2)
    assert [converges(name) for name in ("Heun", "Euler a", "DDIM CFG++")] == [True, False, False]
    page = write_page(done, tmp_path).read_text()
    assert "| Heun | 2 | 2.00 (2.00 to 2.00) |" in page
    assert "| Euler a* | 1 |  |" in page
    assert all((tmp_path / name).stat().st_size > 1000 for name in ("errors.png", "calls.png", "grid.png"))


def test_more_seeds_of_the_same_prompts_do_not_narrow_the_intervals() -> None:
    def done(prompts: str, seeds: int) -> list[Trial]:
        return [
            Trial(prompt, seed, "Heun", steps, 2 * steps, ord(prompt) ** 3 * steps ** (-1 - ord(prompt) / 50))
            for prompt in prompts
            for seed in range(seeds)
            for steps in (4, 8)
        ]

    assert errors(done("abcd", 1), "Heun", 4) == errors(done("abcd", 4), "Heun", 4)
    assert observed_order(done("abcd", 1), "Heun") == observed_order(done("abcd", 4), "Heun")
    assert errors(done("abcd", 4), "Heun", 4).count == 4
    assert errors(done("a", 4), "Heun", 4).count == 4


def test_the_prompts_without_a_file_are_of_words_that_the_embedded_model_knows(
    tiny_folder: Path, tmp_path: Path
) -> None:
    assert unknown_words(" ".join(PROMPTS), load().words) == {}
    small = ["--samplers", "Euler", "--steps", "1", "--seeds", "1", "--reference-steps", "2", "-o", str(tmp_path)]
    assert cli.main(["study", "samplers", "--model", str(tiny_folder), *small]) == 0
    assert {trial.prompt for trial in read(tmp_path / "study.csv")} == set(PROMPTS)


def test_the_command(tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("a\n\nunicorn\n")
    command = ["study", "samplers", "--prompts", str(tmp_path / "prompts.txt"), "--model", str(tiny_folder)]
    command += [
        "--samplers",
        "euler,k_dpmpp_2m",
        "--steps",
        "2,3",
        "--seeds",
        "1",
        "--reference-steps",
        "6",
        "-o",
        str(tmp_path / "out"),
    ]
    assert cli.main(command) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"study.md", "study.csv", "grid.png", "errors.png"}
    assert len(read(tmp_path / "out" / "study.csv")) == 8


@pytest.mark.parametrize(
    ("option", "value"),
    [("--steps", "4,x"), ("--steps", "0"), ("--seeds", ""), ("--samplers", "q"), ("--scheduler", "q")],
)
def test_bad_input_is_one_line(option: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.txt").write_text("a")
    assert cli.main(["study", "samplers", "--prompts", str(tmp_path / "p.txt"), option, value]) == 2
    assert cli.main(["study", "samplers", "--prompts", str(tmp_path / "none.txt")]) == 2
    assert capsys.readouterr().err.count("\n") == 2


def test_a_sampler_and_the_scheduler_of_all_are_asked_for_apart(
    tmp_path: Path, tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.txt").write_text("a")
    command = ["study", "samplers", "--prompts", str(tmp_path / "p.txt"), "--model", str(tiny_folder), "-o"]
    assert cli.main([*command, str(tmp_path / "a"), "--samplers", "DPM++ 2M,Euler Karras"]) == 2
    assert "'Euler Karras' names a scheduler, too: give Euler and, with --scheduler, karras." in capsys.readouterr().err
    small = ["--samplers", "Euler", "--steps", "1", "--seeds", "1", "--reference-steps", "2"]
    assert cli.main([*command, str(tmp_path / "b"), *small, "--scheduler", "Automatic"]) == 0


def test_the_unused_global_generator(studio: Studio, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    next(trials(studio, PLAN, tmp_path))
    assert torch.get_rng_state().equal(before)
