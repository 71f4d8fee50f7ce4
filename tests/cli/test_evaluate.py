from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from calotype import cli
from calotype.data.banks import drawn_bank
from calotype.lab import detector, suite
from calotype.lab.suite import EvaluationPlan
from calotype.recipe import Recipe


@pytest.fixture
def plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[EvaluationPlan]:
    """What is asked to be measured. Only two scenes are, once, of drawn things, by a judge who has hardly learned."""
    asked, evaluate = [], suite.evaluate

    def once(studio: Any, plan: EvaluationPlan, *places: Any) -> Iterator[Any]:
        asked.append(plan)
        small = replace(plan, parts=("vae",), scenes=2)
        return evaluate(studio, small, *places) if len(asked) == 1 else iter(())

    monkeypatch.setenv("CALOTYPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("calotype.data.banks.load_bank", drawn_bank)
    monkeypatch.setattr(detector, "BATCH", 2)
    monkeypatch.setattr(detector, "STEPS", 2)
    monkeypatch.setattr(suite, "evaluate", once)
    return asked


def test_the_table_is_printed_and_written(
    tiny_folder: Path, tmp_path: Path, plans: list[EvaluationPlan], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert cli.main(["evaluate", str(tiny_folder), "--only", "vae", "-o", str(out)]) == 0
    *table, place = capsys.readouterr().out.splitlines()
    assert place == str(out / "table.md")
    for text in ("\n".join(table), (out / "table.md").read_text()):
        assert "V1 PSNR" in text
        assert "tiny" in text

    words = ["--full", "--validation", "--steps", "3", "--sampler", "DDIM", "--cfg-scale", "2", "--cfg-rescale", "0.5"]
    assert cli.main(["evaluate", str(tiny_folder), *words, "--output", str(out)]) == 0
    first, second = plans
    assert first == EvaluationPlan(Recipe(seed=first.recipe.seed, sampler=first.recipe.sampler), ("vae",))
    asked = Recipe(seed=second.recipe.seed, steps=3, sampler="DDIM", cfg_scale=2, cfg_rescale=0.5)
    assert second == EvaluationPlan.full(asked, suite.PARTS, prompt_seed=1)
    assert second.prompt_seed != first.prompt_seed


def test_a_model_that_is_not_there_is_one_line(plans: list[EvaluationPlan], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate", "/nowhere"]) == 2
    assert capsys.readouterr().err == "calotype: there is no file '/nowhere': check the name.\n"
    assert plans == []
