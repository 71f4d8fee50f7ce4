"""Plans: many pictures in one folder, taken up after a kill without making any of them twice."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from calotype.cli import output
from calotype.cli.asking import Ask
from calotype.cli.making import make
from calotype.errors import CalotypeError
from calotype.files import is_there, written_whole
from calotype.recipe import Recipe


def carry_out(ask: Ask, asked: dict[str, Any], recipes: Callable[[], list[Recipe]]) -> list[Path]:
    """Make what is not yet in the folder, and return the paths of all pictures, in order.

    The plan is written first: drawn seeds are kept in it. ``asked`` is all that the recipes depend on; the same
    question in the same folder goes on with the plan that is there, another is refused.
    """
    if output.is_file(ask.output):
        raise CalotypeError(f"cannot write many pictures to the file {ask.output}: name a folder with -o.")
    path = ask.output / "plan.json"
    of_model = {"model": str(ask.model), "vae": str(ask.vae), "dtype": ask.dtype}
    asked = json.loads(json.dumps({**asked, **of_model, "fields": ask.fields, "count": ask.count}))
    if is_there(path):
        plan = _read(path)
        if plan["asked"] != asked:
            raise CalotypeError(f"{ask.output} holds the pictures of another plan: choose another folder with -o.")
        planned = [Recipe(**fields) for fields in plan["recipes"]]
    else:
        planned = recipes()
        with written_whole(path) as temporary:
            kept = [recipe.model_dump(mode="json") for recipe in planned]
            temporary.write_text(json.dumps({"asked": asked, "recipes": kept}, ensure_ascii=False), encoding="utf-8")
    paths = [ask.output / f"{number:05}-{recipe.seed}.png" for number, recipe in enumerate(planned)]
    missing = [(recipe, path) for recipe, path in zip(planned, paths, strict=True) if not path.exists()]
    if missing:
        make(ask, [recipe for recipe, _ in missing], [path for _, path in missing])
    else:
        typer.echo(f"all {len(paths)} pictures are in {ask.output} already.", err=True)
    return paths


def _read(path: Path) -> dict[str, Any]:
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
        return {"asked": plan["asked"], "recipes": plan["recipes"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CalotypeError(f"{path} is damaged: delete it, or choose another folder with -o.") from error
