"""A run from its file to its product: the consumer of the loop. Averages, logs, sheets and checkpoints live here."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from calotype.errors import CalotypeError
from calotype.files import written_whole
from calotype.hardware import usable
from calotype.training import clip, export, log, product, tokenizer, unet, vae
from calotype.training.checkpoint import RunCheckpoint
from calotype.training.loop import Metrics, Task, hash_of, train
from calotype.training.run_file import Run, read, run_dir

TASKS: dict[str, Callable[[Run, torch.device], Task]] = {"vae": vae.task, "clip": clip.task, "unet": unet.task}
AT_ONCE: dict[str, Callable[[Run], Path]] = {"tokenizer": tokenizer.train, "export": export.export}
"""The stages without steps."""


def start(file: Path, device: str | None = None, fresh: bool = False) -> Iterator[Metrics]:
    """Train the run in ``file``, going on from its checkpoint unless ``fresh``; yields after each optimizer step.

    Stops early, with everything saved, on Ctrl-C or when the iterator is closed. The product (``weights.safetensors``
    in the run's folder) is written whenever the run stops in order. Raises CalotypeError for a faulty run file, a
    missing earlier stage, or a checkpoint that belongs to other settings.
    """
    run = read(file)
    if run.task in AT_ONCE:
        AT_ONCE[run.task](run)
        return
    if not run.phases:
        raise CalotypeError(f"run {run.name!r} has no phases: give it at least one [[phases]] table.")
    place = usable(device)
    with torch.random.fork_rng():
        torch.manual_seed(hash_of(run.seed))
        task = TASKS[run.task](run, place)
    yield from follow(task, run, fresh)


def follow(task: Task, run: Run, fresh: bool = False) -> Iterator[Metrics]:
    """``train`` with a memory: restores ``task.module``, then averages, logs, draws and saves while it is trained.

    When a step was also an evaluation, its figures are among the parts of its metrics.
    """
    checkpoint = RunCheckpoint(run, task.module, task.frozen, task.measured)
    if fresh:
        checkpoint.save(0)  # so that the run before cannot come back if this one is killed before its first checkpoint
    step = checkpoint.restore()
    log.cut(run.name, step)
    saved = time.monotonic()

    def finish() -> None:
        checkpoint.save(step)
        with checkpoint.ema.worn_by(task.module):
            product.save(run.name, task.product())

    with _interruption() as interrupted:
        for metrics in train(task, run, checkpoint.optimizer, step):
            step = metrics.step
            checkpoint.ema.update(task.module, step)
            metrics = replace(metrics, parts={**metrics.parts, **_look(task, run, checkpoint, step)})
            log.append(run.name, metrics)
            if time.monotonic() - saved > run.cadence.checkpoint_seconds:
                checkpoint.save(step)
                saved = time.monotonic()
            try:
                yield metrics
            except GeneratorExit:
                finish()
                raise
            if interrupted.is_set():
                break
        finish()


def _look(task: Task, run: Run, checkpoint: RunCheckpoint, step: int) -> dict[str, float]:
    """Sheet and evaluation of the averaged weights, when they are due; and what no gradient has reached yet."""
    sheet, evaluate = (step % every == 0 or step == run.steps for every in (run.cadence.sheet, run.cadence.evaluate))
    if not sheet and not evaluate:
        return {}
    phase, _ = run.phase(step - 1)
    with checkpoint.ema.worn_by(task.module):
        if sheet:
            with written_whole(run_dir(run.name) / f"sheet-{step:06d}.png") as path:
                task.sheet(phase).save(path, format="PNG")
        return {**task.evaluate(phase), "untaught": checkpoint.untaught()} if evaluate else {}


@contextmanager
def _interruption() -> Iterator[threading.Event]:
    """An event that Ctrl-C or a termination sets instead of raising in the midst of a step. A second Ctrl-C raises."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(number: int, _frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
