import re
from pathlib import Path
from typing import Any

import typer

from calotype.cli import app

PAGE = Path(__file__).parents[2] / "docs" / "from_a1111.md"


def test_every_option_it_names_is_one() -> None:
    command: Any = typer.main.get_command(app)
    options = {
        option for name in ("txt2img", "img2img", "inpaint", "batch", "grid", "again")
        for parameter in command.commands[name].params for option in parameter.opts
    }  # fmt: skip
    named = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", PAGE.read_text(encoding="utf-8")))
    assert len(named) > 30
    assert named <= options
