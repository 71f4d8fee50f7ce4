"""Every example in the documentation is run: what a reader types must work."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _blocks(language: str) -> list[object]:
    return [
        pytest.param(match[2], id=f"{page.relative_to(ROOT)}:{page.read_text()[: match.start()].count(chr(10)) + 1}")
        for page in PAGES
        for match in _BLOCK.finditer(page.read_text())
        if match[1] == language
    ]


def _lines(block: str) -> list[list[str]]:
    """The commands of a shell block: comments and continued lines as a shell reads them."""
    joined = block.replace("\\\n", " ")
    return [words for line in joined.splitlines() if (words := shlex.split(line, comments=True))]


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """An empty folder with the files the examples name."""
    shutil.copytree(ROOT / "runs", tmp_path / "runs")
    return tmp_path


@pytest.mark.parametrize("block", _blocks("python"))
def test_python_examples_run(block: str, beside: Path) -> None:
    done = subprocess.run([sys.executable, "-c", block], cwd=beside, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", _blocks("sh"))
def test_shell_examples_run(block: str, beside: Path) -> None:
    """``calotype`` commands are run; ``make`` goals exist; what takes long, training and benchmarks, is only parsed."""
    for command, *words in _lines(block):
        if command == "make":
            argv = ["make", "--dry-run", "--directory", str(ROOT), *words]
        elif command == "calotype":
            if words[0] in ("train", "evaluate") or words[:2] == ["data", "fetch-art"]:
                words = [*words[: 1 + (words[0] == "data")], "--help"]
            argv = [sys.executable, "-m", "calotype", *words]
        elif command == "python":
            argv = [sys.executable, str(ROOT / words[0]), *words[1:], "--help"]
        else:
            assert command in ("git", "cd", "pip"), f"{command} is not tested: say how in {__file__}"
            continue
        done = subprocess.run(argv, cwd=beside, capture_output=True, text=True)
        assert done.returncode == 0, f"{command} {' '.join(words)}\n{done.stderr}"
        if command == "python":
            assert {word for word in words if word.startswith("--")} <= set(re.findall(r"--[\w-]+", done.stdout))
