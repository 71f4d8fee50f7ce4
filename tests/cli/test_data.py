from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from calotype import cli


def test_fetch_art_fetches_what_is_asked_and_says_where(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked = []

    def fetch_art(on_progress: Callable[[str], None], styles: Sequence[str]) -> Path:
        asked.append(styles)
        on_progress("a package: fetching")
        return tmp_path

    monkeypatch.setattr("calotype.data.art.fetch_art", fetch_art)
    assert cli.main(["data", "fetch-art"]) == 0
    assert cli.main(["data", "fetch-art", "--style", "fluent", "--style", "twemoji"]) == 0
    assert asked == [("noto",), ("fluent", "twemoji")]
    assert capsys.readouterr() == (f"{tmp_path}\n" * 2, "a package: fetching\n" * 2)


def test_an_unknown_style_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["data", "fetch-art", "--style", "cubist"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
