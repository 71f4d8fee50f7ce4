"""What the loop refuses to go on from, and what is left then."""

from collections.abc import Callable

import pytest
import torch

from calotype.errors import CalotypeError
from calotype.training import log, scenes, trainer
from calotype.training.loop import Metrics
from calotype.training.run_file import Cadence, Run, run_dir
from calotype.training.vae import VaeTask


def test_a_gradient_that_is_not_finite_ends_the_run_and_leaves_its_checkpoint(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(cadence=Cadence(checkpoint_seconds=1e-9))
    task = VaeTask(run.config.vae, scenes.bank("drawn"), torch.device("cpu"))
    steps, loss = trainer.follow(task, run), task.loss
    next(steps)
    path = run_dir(run.name) / "state.safetensors"
    kept = path.read_bytes()
    monkeypatch.setattr(task, "loss", lambda batch, rng: (loss(batch, rng)[0] * torch.nan, {}))
    with pytest.raises(CalotypeError, match="the gradient of step 2 is not finite: lower the learning rate"):
        next(steps)
    assert path.read_bytes() == kept
    assert list(path.parent.glob("weights*")) == []


def test_a_log_that_cannot_be_written_is_a_mistake_of_one_line() -> None:
    (run_dir("full") / "log.jsonl").mkdir()
    with pytest.raises(CalotypeError, match=r"cannot write .*log\.jsonl: .*Make room"):
        log.append("full", Metrics(1, 1, 1, 0.0, 0.0, 0.0, {}))
