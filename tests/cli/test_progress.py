from types import SimpleNamespace
from typing import Any

import pytest

from calotype.cli import progress


def test_the_bar_of_a_run_that_goes_on_counts_what_was_done_before(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    states: list[Any] = [SimpleNamespace(digests=("x",) * number) for number in (3, 4)]
    with progress.shown(4) as watched:
        assert list(watched(states)) == states
    assert "4/4" in capsys.readouterr().err
