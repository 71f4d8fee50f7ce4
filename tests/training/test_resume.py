"""A process that is killed for good, the text encoder's run and the U-Net's: all go on as if never stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from calotype.configs import ModelConfig
from calotype.data.banks import drawn_bank
from calotype.text.tokenizer import Tokenizer
from calotype.training import clip, tokenizer, trainer, unet
from calotype.training.checkpoint import RunCheckpoint
from calotype.training.clip import ClipTask
from calotype.training.run_file import Phase, Run, read, run_dir
from calotype.training.unet import UNetTask
from training.bases import PHASE, SAID, written

RUNS = Path(__file__).parents[2] / "runs" / "embedded"
TRAIN = """
import runpy, sys
from calotype import configs
from calotype.cli import main
configs.PRESETS["tiny"] = runpy.run_path(sys.argv.pop(1))["TINY"]
raise SystemExit(main())
"""
RUN = """
name = "{name}"
task = "vae"
preset = "tiny"
style = "drawn"
cadence.checkpoint_seconds = 1e-9
[[phases]]
size = 32
batch = 1
steps = {steps}
lr = [1e-3, 1e-3]
"""


def test_a_killed_process_is_taken_up(tmp_path: Path, cache: Path) -> None:
    """``kill -9`` as soon as there is a checkpoint, at whatever step that is; two steps more end the run."""

    def file(name: str, steps: int) -> Path:
        path = tmp_path / f"{name}.toml"
        path.write_text(RUN.format(name=name, steps=steps))
        return path

    def losses(name: str) -> list[tuple[float, ...]]:
        rows = map(json.loads, (cache / "runs" / name / "log.jsonl").read_text().splitlines())
        return [(row["step"], row["loss"], row["grad_norm"]) for row in rows]

    checkpoint = cache / "runs" / "killed" / "state.safetensors"
    tiny = Path(__file__).with_name("conftest.py")
    process = subprocess.Popen(
        [sys.executable, "-c", TRAIN, tiny, "train", file("killed", 1_000_000)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
    )
    while process.poll() is None and not checkpoint.exists():
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    with safe_open(checkpoint, framework="pt") as kept:
        step = int(kept.metadata()["step"])
    list(trainer.start(file("killed", step + 2)))
    list(trainer.start(file("whole", step + 2)))
    assert step > 0 and len(losses("whole")) == step + 2
    assert losses("killed") == losses("whole")


def test_the_text_encoder_s_run_is_taken_up(make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip, "EVALUATED", 4)
    words = Tokenizer.of(*tokenizer.learn(SAID, 700))
    phases = tuple(Phase(size=64, batch=2, steps=2, lr=lr) for lr in ((1e-3, 1e-3), (1e-3, 0)))

    def steps(name: str, seed: int, number: int | None = None) -> list[trainer.Metrics]:
        run = make_run(name=name, task="clip", phases=phases)
        torch.manual_seed(seed)  # the first weights: what is restored must replace them
        task = ClipTask(run.config.text[0], words, drawn_bank(), torch.device("cpu"))
        following = trainer.follow(task, run)
        found = list(islice(following, number))
        following.close()  # type: ignore[attr-defined]
        return found

    whole = steps("whole", 0)
    assert steps("cut", 0, 1) + steps("cut", 1, 2) + steps("cut", 2) == whole
    assert len(whole) == 4 and "caption_found" in whole[-1].parts


def test_a_stopped_run_goes_on_to_the_same_weights(
    tmp_path: Path, config: ModelConfig, make_run: Callable[..., Run]
) -> None:
    """The kernels lie in memory channels last: so must their moments, read back."""
    written(tmp_path / "base", config)

    def train(name: str, stops: Sequence[int]) -> torch.Tensor:
        run = make_run(name=name, task="unet", base=str(tmp_path / "base"), phases=(PHASE,))
        for stop in stops:
            task = unet.task(run, torch.device("cpu"))
            for _ in zip(range(stop), metrics := trainer.follow(task, run), strict=False):
                pass
            metrics.close()
        return torch.cat([weight.flatten() for weight in task.module.parameters()])

    assert torch.equal(train("whole", [3]), train("stopped", [1, 2]))


def test_a_resumed_run_reads_contexts_as_it_did_whatever_is_said_now(
    tmp_path: Path, config: ModelConfig, make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "base", config)
    run = make_run(name="said", task="unet", base=str(tmp_path / "base"), phases=(PHASE,))

    def begun() -> UNetTask:
        return unet.task(run, torch.device("cpu"))

    def step(task: UNetTask) -> UNetTask:
        steps = trainer.follow(task, run)
        next(steps)
        steps.close()  # type: ignore[attr-defined]
        return task

    before = step(begun())
    monkeypatch.setattr("calotype.data.scenes._PHRASE_WEIGHTS", {"name": 100.0})
    after = begun()
    todays = after.whitening.matrix.clone()
    assert not torch.equal(todays, before.whitening.matrix)
    step(after)
    assert torch.equal(after.whitening.matrix, before.whitening.matrix)
    assert torch.equal(after.whitening.mean, before.whitening.mean)
    assert torch.equal(after.silence, before.silence)

    path = run_dir("said") / "state.safetensors"  # as it was before checkpoints told
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    save_file({name: value for name, value in load_file(path).items() if "measured" not in name}, path, metadata)
    old = begun()
    assert RunCheckpoint(run, old.module, old.frozen, old.measured).restore() == 2
    assert torch.equal(old.whitening.matrix, todays)


def test_no_run_of_the_embedded_model_loses_more_than_a_minute() -> None:
    assert all(read(file).cadence.checkpoint_seconds <= 60 for file in RUNS.glob("*.toml"))
