"""``calotype train``, as typed."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from calotype.cli import main
from calotype.cli.train import train
from calotype.errors import CalotypeError

RUN = """
name = "t"
task = "vae"
preset = "tiny"
style = "drawn"
[cadence]
sheet = 100
[[phases]]
size = 64
batch = 1
steps = {steps}
lr = [1e-3, 1e-3]
"""


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.command()(train)
    return app


def test_trains_goes_on_and_says_what_it_sees(app: typer.Typer, tmp_path: Path, cache: Path) -> None:
    file = tmp_path / "run.toml"
    for steps in (1, 3):
        file.write_text(RUN.format(steps=steps))
        result = CliRunner().invoke(app, [str(file)], env={"COLUMNS": "200"}, catch_exceptions=False)
        assert result.exit_code == 0
        assert f"{steps}/{steps}" in result.stdout
        assert all(word in result.stdout for word in ("loss", "/s", "psnr_boxes"))
    log = (cache / "runs" / "t" / "log.jsonl").read_text().splitlines()
    assert len(log) == 3  # the second run did the two steps that were new
    assert "nothing is left" in CliRunner().invoke(app, [str(file)]).stdout
    narrow = CliRunner().invoke(app, [str(file), "--fresh"], env={"COLUMNS": "80"}).stdout
    assert all(word in narrow for word in ("3/3", "0:00:0", "loss"))
    assert len((cache / "runs" / "t" / "log.jsonl").read_text().splitlines()) == 3


def test_mistakes_are_calotypes_own(app: typer.Typer, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [str(tmp_path / "none.toml")])
    assert isinstance(result.exception, CalotypeError)


def test_a_cache_that_cannot_be_made_is_a_mistake_of_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.toml").write_text(RUN.format(steps=1))
    (tmp_path / "file").touch()
    monkeypatch.setenv("CALOTYPE_CACHE", str(tmp_path / "file"))
    assert main(["train", str(tmp_path / "run.toml")]) == 2
    assert "cannot make the cache folder" in capsys.readouterr().err
