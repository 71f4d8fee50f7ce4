"""The loop: a generator over optimizer steps, as sampling is a generator over denoising steps.

It knows neither moving averages nor logs nor checkpoints: they live in whoever iterates (``trainer.py``). The data and
the noise of a step are functions of (seed, step) alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import isfinite
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from calotype.errors import CalotypeError
from calotype.hardware import half_precision
from calotype.training.run_file import OptimizerSettings, Phase, Run

Batch = Mapping[str, Tensor]


class Task(Protocol):
    """What one kind of network learns, and how one looks at it."""

    @property
    def module(self) -> nn.Module:
        """What is trained and averaged."""

    @property
    def frozen(self) -> Sequence[nn.Module]:
        """The networks it rests on, which stay as they are: with others it would be another task."""

    @property
    def measured(self) -> Sequence[Tensor]:
        """What was measured before the first step and is the same to the last: in checkpoints, and filled from them."""

    def batch(self, phase: Phase, rng: np.random.Generator) -> Batch:
        """Examples for one step, on the CPU; perhaps on a thread of its own, one step ahead."""

    def loss(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss and the named parts of it worth watching. ``rng`` is a CPU generator."""

    def evaluate(self, phase: Phase) -> dict[str, float]:
        """Figures on held-out scenes of the phase's size, of ``module`` as it stands."""

    def sheet(self, phase: Phase) -> Image.Image:
        """A picture of what ``module`` can do in the phase's size as it stands."""

    def product(self) -> nn.Module:
        """The network that later stages and the export take, from ``module`` as it stands."""


@dataclass(frozen=True)
class Metrics:
    """One optimizer step, after the update."""

    step: int
    """Steps done, this one included."""
    steps: int
    samples: int
    loss: float
    lr: float
    grad_norm: float
    parts: Mapping[str, float]


def train(task: Task, run: Run, optimizer: torch.optim.Optimizer, start: int = 0) -> Iterator[Metrics]:
    """Train ``task.module`` from step ``start`` to the end of ``run``, yielding after each update.

    Raises CalotypeError, instead of yielding, when a gradient is not finite: the weights are lost then.
    """
    parameters = parameters_of(optimizer)
    device = parameters[0].device

    def compose(step: int) -> Batch:
        return task.batch(run.phase(step)[0], np.random.default_rng([run.seed, step]))

    steps = range(start, run.steps)
    for step, composed in zip(steps, _in_turn(compose, steps, device), strict=True):
        batch = {name: value.to(device, non_blocking=True) for name, value in composed.items()}
        for group in optimizer.param_groups:
            group["lr"] = run.lr(step)
        with half_precision(device):
            loss, parts = task.loss(batch, torch.Generator().manual_seed(hash_of(run.seed, step)))
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        clipped = nn.utils.clip_grad_norm_(parameters, run.clip(step))
        optimizer.step()
        norm = clipped.item()  # only now, when a GPU has been told all it has to do
        if not isfinite(norm):
            raise CalotypeError(
                f"the gradient of step {step + 1} is not finite: lower the learning rate before it. "
                "The checkpoint is from before."
            )
        figures = {name: part.item() for name, part in parts.items()}
        yield Metrics(step + 1, run.steps, run.samples(step + 1), loss.item(), run.lr(step), norm, figures)


def _in_turn(compose: Callable[[int], Batch], steps: range, device: torch.device) -> Iterator[Batch]:
    """The batch of each step. A GPU's is composed while it is busy with the one before.

    A CPU's is not: tensors made on a second thread bring a second OpenMP team, and with more threads than cores
    neither team spins at its barriers any more. A step then takes twice as long.
    """
    if device.type == "cpu":
        yield from map(compose, steps)
        return
    with ThreadPoolExecutor(1) as composer:
        ahead = [composer.submit(compose, step) for step in steps[:1]]
        for step in steps:
            batch = ahead.pop().result()
            if step + 1 < steps.stop:
                ahead.append(composer.submit(compose, step + 1))
            yield batch


def adamw(module: nn.Module, settings: OptimizerSettings) -> torch.optim.AdamW:
    """AdamW over the parameters of ``module`` that are trained; its learning rate is set by the loop."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=0.0, betas=settings.betas, fused=True)


def parameters_of(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    """What is trained, in the optimizer's order."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def hash_of(*numbers: int) -> int:
    """A 63-bit seed that is a function of ``numbers``."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
