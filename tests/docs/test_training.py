"""docs/training.md tells what a run file can say: its tables are the code's, its examples are read."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from calotype.training.run_file import Cadence, OptimizerSettings, Phase, Run, TaskName, read

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    return "none" if field.default is None else f"`{json.dumps(field.default)}`"


@pytest.mark.parametrize("kind", [Run, Phase, OptimizerSettings, Cadence])
def test_every_field_is_told_with_its_default(kind: type[BaseModel]) -> None:
    for name, field in kind.model_fields.items():
        if name in ("phases", "optimizer", "cadence", "earlier"):
            assert re.search(rf"^`\[+{name}\]+`", PAGE, re.MULTILINE), name
        else:
            assert f"| `{name}` | {_default(field)} |" in PAGE, name


def test_every_task_has_a_row() -> None:
    assert re.findall(r"^\| `(\w+)` \| `runs/", PAGE, re.MULTILINE) == list(get_args(TaskName))


@pytest.mark.parametrize("example", re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL))
def test_its_run_files_can_be_read(example: str, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(example)
    read(tmp_path / "run.toml")
