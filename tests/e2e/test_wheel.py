"""The built wheel is whole: installed away from the checkout, it makes a picture with the model it carries."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from calotype.api import EMBEDDED

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(not EMBEDDED.is_dir(), reason="the embedded model is not in this checkout")
def test_the_wheel_carries_the_embedded_model(tmp_path: Path) -> None:
    source = tmp_path / "source"  # without what earlier builds have left
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copyfile(ROOT / name, source / name)

    def run(*words: str | Path, **variables: str) -> str:
        argv = [sys.executable, "-m", *map(str, words)]
        done = subprocess.run(argv, cwd=tmp_path, env=os.environ | variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("build", "--wheel", "--no-isolation", "--outdir", tmp_path / "dist", source)
    [wheel] = (tmp_path / "dist").glob("*.whl")
    run("pip", "install", "--quiet", "--no-deps", "--target", tmp_path / "site", wheel)
    installed = {"PYTHONPATH": str(tmp_path / "site"), "CALOTYPE_CACHE": str(tmp_path / "cache")}
    run("calotype", "txt2img", "a cat on a blue background", "--seed", "1", "-o", tmp_path / "cat.png", **installed)
    assert Image.open(tmp_path / "cat.png").size == (128, 128)
    where = subprocess.run(
        [sys.executable, "-c", "import calotype; print(calotype.__file__)"],
        cwd=tmp_path, env=os.environ | installed, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert Path(where.strip()).is_relative_to(tmp_path)
