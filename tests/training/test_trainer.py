"""A run that was stopped, in whatever way, goes on as if it had not been."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from calotype.errors import CalotypeError
from calotype.nn import blocks
from calotype.training import scenes, trainer
from calotype.training.checkpoint import RunCheckpoint
from calotype.training.loop import Metrics, train
from calotype.training.run_file import Cadence, OptimizerSettings, Run, run_dir
from calotype.training.vae import VaeTask

MakeRun = Callable[..., Run]


def follow(run: Run, seed: int = 0, fresh: bool = False) -> Iterator[Metrics]:
    torch.manual_seed(seed)  # the first weights: what is restored must replace them
    task = VaeTask(run.config.vae, scenes.bank("drawn"), torch.device("cpu"), evaluated=2)
    return trainer.follow(task, run, fresh)


def rows(run: Run) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run_dir(run.name) / "log.jsonl").read_text().splitlines()]


def same_files(one: Run, other: Run) -> bool:
    names = ("state.safetensors", "weights.safetensors")
    pairs = [(load_file(run_dir(one.name) / name), load_file(run_dir(other.name) / name)) for name in names]
    return all(a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a) for a, b in pairs)


@pytest.fixture
def whole(make_run: MakeRun) -> tuple[Run, list[Metrics]]:
    run = make_run(name="whole")
    return run, list(follow(run))


@pytest.mark.parametrize("stops", [(3,), (1, 4), (4,), (5,)])
def test_resumed_equals_uninterrupted(
    make_run: MakeRun, whole: tuple[Run, list[Metrics]], stops: tuple[int, ...]
) -> None:
    run = make_run(name="cut")
    for number, stop in enumerate(stops):
        for metrics in follow(run, seed=number):
            if metrics.step == stop:
                break
    rest = list(follow(run, seed=9))
    assert rest == whole[1][stops[-1] :]
    assert same_files(run, whole[0])
    assert rows(run) == rows(whole[0])


def test_a_killed_run_repeats_the_same_steps(make_run: MakeRun, whole: tuple[Run, list[Metrics]]) -> None:
    """Killed at step 5 with a checkpoint of step 3: the log is cut back, half a line of it included."""
    run = make_run(name="killed")
    steps = follow(run)
    list(islice(steps, 3))
    steps.close()  # type: ignore[attr-defined]
    checkpoint = (run_dir(run.name) / "state.safetensors").read_bytes()
    steps = follow(run)
    list(islice(steps, 2))
    steps.close()  # type: ignore[attr-defined]
    (run_dir(run.name) / "state.safetensors").write_bytes(checkpoint)
    with (run_dir(run.name) / "log.jsonl").open("a") as log:
        log.write('{"step": 6, "lo')
    assert list(follow(run)) == whole[1][3:]
    assert rows(run) == rows(whole[0])


def test_checkpoints_while_it_runs(make_run: MakeRun) -> None:
    run = make_run(cadence=Cadence(checkpoint_seconds=1e-9))
    steps = follow(run)
    for done, _ in enumerate(steps, start=1):
        assert saved_step(run) == done


def test_a_fresh_start_leaves_nothing_of_the_run_before(make_run: MakeRun) -> None:
    run = make_run(cadence=Cadence(checkpoint_seconds=1000))
    steps = follow(run)
    list(islice(steps, 3))
    steps.close()  # type: ignore[attr-defined]
    assert saved_step(run) == 3
    again = follow(run, fresh=True)
    assert next(again).step == 1
    assert saved_step(run) == 0  # what a kill now would leave
    again.close()  # type: ignore[attr-defined]


def saved_step(run: Run) -> int:
    task = VaeTask(run.config.vae, scenes.bank("drawn"), torch.device("cpu"))
    return RunCheckpoint(run, task.module).restore()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_ends_within_one_step(make_run: MakeRun, number: int) -> None:
    run, before = make_run(), signal.getsignal(number)
    seen = []
    for metrics in follow(run):
        seen.append(metrics.step)
        if metrics.step == 2:
            os.kill(os.getpid(), number)
    assert seen == [1, 2]
    assert saved_step(run) == 2
    assert (run_dir(run.name) / "weights.safetensors").exists()
    assert signal.getsignal(number) is before


def test_a_run_kept_before_its_phases_could_say_a_clip_goes_on(
    make_run: MakeRun, whole: tuple[Run, list[Metrics]]
) -> None:
    run = make_run(name="older")
    next(follow(run))
    path = run_dir(run.name) / "state.safetensors"
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    told = json.loads(metadata["run"])
    assert [phase.pop("clip") for phase in told["phases"]] == [None, None]
    save_file(load_file(path), path, metadata | {"run": json.dumps(told)})
    assert list(follow(run)) == whole[1][1:]


def test_a_longer_run_is_the_longer_run(make_run: MakeRun) -> None:
    short = make_run(name="grown", phases=make_run().phases[:1])
    list(follow(short))
    grown, once = make_run(name="grown"), make_run(name="once")
    assert [m.loss for m in follow(grown)] == [m.loss for m in follow(once)][4:]


def test_losses_depend_on_the_seed(make_run: MakeRun, whole: tuple[Run, list[Metrics]]) -> None:
    assert [m.loss for m in follow(make_run(name="other", seed=1))] != [m.loss for m in whole[1]]


def test_other_settings_are_refused(make_run: MakeRun, whole: tuple[Run, list[Metrics]]) -> None:
    with pytest.raises(CalotypeError, match="another optimizer"):
        next(follow(make_run(name="whole", optimizer=OptimizerSettings(weight_decay=0.5))))


@pytest.mark.parametrize("metadata", [None, {}, {"step": "many"}, {"step": "3", "run": "{"}])
def test_a_checkpoint_of_something_else_is_named(make_run: MakeRun, metadata: dict[str, str] | None) -> None:
    save_file({"x": torch.zeros(1)}, run_dir("odd") / "state.safetensors", metadata)
    with pytest.raises(CalotypeError, match=r"state\.safetensors is damaged or of another network"):
        next(follow(make_run(name="odd")))


def test_a_damaged_checkpoint_is_named(make_run: MakeRun, whole: tuple[Run, list[Metrics]]) -> None:
    path = run_dir("whole") / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CalotypeError, match=r"state\.safetensors is damaged"):
        next(follow(whole[0]))


def test_the_average_is_what_is_kept(make_run: MakeRun) -> None:
    """With decay 0 the average is the last weights; otherwise the product differs."""
    kept, averaged = make_run(name="kept", ema=0.0), make_run(name="averaged")
    for run in (kept, averaged):
        list(follow(run))
    tensors = load_file(run_dir("kept") / "state.safetensors")
    assert torch.equal(tensors["ema.decoder.stem.weight"], tensors["model.decoder.stem.weight"])
    products = [load_file(run_dir(name) / "weights.safetensors") for name in ("kept", "averaged")]
    assert torch.equal(products[0]["decoder.stem.weight"], tensors["model.decoder.stem.weight"])
    assert not torch.equal(products[0]["decoder.stem.weight"], products[1]["decoder.stem.weight"])


def test_sheets_and_figures_are_of_the_average(make_run: MakeRun) -> None:
    run = make_run(cadence=Cadence(evaluate=2, sheet=3), ema=0.9)
    metrics = list(follow(run))
    assert [m.step for m in metrics if "psnr_boxes" in m.parts] == [2, 4, 6]
    assert sorted(path.name for path in run_dir(run.name).glob("*.png")) == [
        "sheet-000003.png",
        "sheet-000006.png",
    ]
    task = VaeTask(run.config.vae, scenes.bank("drawn"), torch.device("cpu"), evaluated=2)
    kept = RunCheckpoint(run, task.module)
    kept.restore()
    with kept.ema.worn_by(task.module):
        assert task.evaluate(run.phases[-1])["psnr_boxes"] == pytest.approx(metrics[-1].parts["psnr_boxes"])
    assert task.evaluate(run.phases[-1])["psnr_boxes"] != pytest.approx(metrics[-1].parts["psnr_boxes"])


def test_what_no_gradient_reaches_is_told(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(cadence=Cadence(evaluate=2))
    assert {m.parts["untaught"] for m in follow(run) if "untaught" in m.parts} == {0}
    monkeypatch.setattr(
        blocks.Upsample, "forward", lambda self, x: self.conv(F.interpolate(x.detach(), scale_factor=2))
    )
    *_, last = follow(make_run(name="broken", cadence=Cadence(evaluate=2)))
    assert last.parts["untaught"] > 0


def test_the_optimizer_is_as_the_run_says(make_run: MakeRun) -> None:
    run = make_run(optimizer=OptimizerSettings(betas=(0.8, 0.95), weight_decay=0.3))
    task = VaeTask(run.config.vae, scenes.bank("drawn"), torch.device("cpu"))
    decayed, spared = RunCheckpoint(run, task.module).optimizer.param_groups
    assert (decayed["betas"], decayed["weight_decay"], decayed["eps"]) == ((0.8, 0.95), 0.3, 1e-8)
    assert (spared["betas"], spared["weight_decay"], spared["eps"]) == ((0.8, 0.95), 0.0, 1e-8)
    assert {p.ndim for p in spared["params"]} == {1} and {p.ndim for p in decayed["params"]} == {4}
    assert len(decayed["params"]) + len(spared["params"]) == len(list(task.module.parameters()))


@pytest.mark.parametrize(("first", "second"), [(None, None), (1e6, None), (None, 2e-3)])
def test_each_step_is_taken_at_its_rate_with_gradients_no_longer_than_told(
    make_run: MakeRun, first: float | None, second: float | None
) -> None:
    one, other = make_run().phases
    phases = (one.model_copy(update={"clip": first}), other.model_copy(update={"clip": second}))
    run = make_run(phases=phases, optimizer=OptimizerSettings(clip=1e-3, warmup=3))
    clips = [first or 1e-3] * 4 + [second or 1e-3] * 2
    task = VaeTask(run.config.vae, scenes.bank("drawn"), torch.device("cpu"))
    optimizer = RunCheckpoint(run, task.module).optimizer
    taken: list[tuple[set[float], float]] = []

    def watch(*_: object) -> None:
        gradients = [p.grad.norm() for group in optimizer.param_groups for p in group["params"]]
        taken.append(({group["lr"] for group in optimizer.param_groups}, float(torch.stack(gradients).norm())))

    optimizer.register_step_pre_hook(watch)
    metrics = list(train(task, run, optimizer))
    rates, norms = zip(*taken, strict=True)
    assert list(rates) == [{rate} for rate in (1e-3 / 3, 2e-3 / 3, 1e-3, 1e-3, 1e-3, 5e-4)]
    assert [m.lr for m in metrics] == [rate for (rate,) in rates]
    expected = [min(m.grad_norm, clip) for m, clip in zip(metrics, clips, strict=True)]
    assert norms == pytest.approx(expected, rel=1e-3)


def test_a_run_without_phases_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('name = "x"\ntask = "vae"\nstyle = "drawn"')
    with pytest.raises(CalotypeError, match="no phases"):
        next(trainer.start(tmp_path / "run.toml"))


def test_metrics_tell_where_it_is(whole: tuple[Run, list[Metrics]]) -> None:
    _, metrics = whole
    assert [(m.step, m.steps, m.samples) for m in metrics] == [
        (1, 6, 2),
        (2, 6, 4),
        (3, 6, 6),
        (4, 6, 8),
        (5, 6, 9),
        (6, 6, 10),
    ]
