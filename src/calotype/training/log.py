"""The log of a run: a line of JSON for each optimizer step."""

import json
from dataclasses import asdict

from calotype.errors import CalotypeError
from calotype.files import written_whole
from calotype.training.loop import Metrics
from calotype.training.run_file import run_dir


def append(name: str, metrics: Metrics) -> None:
    """Append one line to the run's log. Raises CalotypeError when the disk is full."""
    path, row = run_dir(name) / "log.jsonl", asdict(metrics)
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row | row.pop("parts")) + "\n")
    except OSError as error:
        raise CalotypeError(f"cannot write {path}: {error.strerror}. Make room, and start the run again.") from error


def cut(name: str, step: int) -> None:
    """Drop what was logged after ``step``: it is about to happen again."""
    path = run_dir(name) / "log.jsonl"
    if path.exists():
        lines = path.read_text(encoding="utf-8").splitlines()
        with written_whole(path) as whole:
            whole.write_text("".join(f"{line}\n" for line in lines if _step(line) <= step), encoding="utf-8")


def _step(line: str) -> float:
    try:
        return int(json.loads(line)["step"])
    except ValueError:  # the half line of a process that was killed
        return float("inf")
