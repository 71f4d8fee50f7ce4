from collections.abc import Callable
from pathlib import Path

import pytest

from calotype.errors import CalotypeError
from calotype.training.run_file import OptimizerSettings, Phase, Run, read

MakeRun = Callable[..., Run]


PHASED = 'name = "x"\ntask = "unet"\n[[phases]]\nsize = {size}\nbatch = 1\nsteps = 1\nlr = [1, 1]\n'


def phase(steps: int, *lr: float, batch: int = 1, clip: float | None = None) -> Phase:
    return Phase(size=64, batch=batch, steps=steps, lr=(lr[0], lr[-1]), clip=clip)


def test_learning_rate_is_the_phases_line_times_the_warmup(make_run: MakeRun) -> None:
    run = make_run(phases=(phase(10, 2.0), phase(4, 2.0, 0.0)), optimizer=OptimizerSettings(warmup=4))
    assert [run.lr(step) for step in range(14)] == [0.5, 1, 1.5, *[2] * 7, 2, 1.5, 1, 0.5]


def test_samples_count_each_phases_batches(make_run: MakeRun) -> None:
    run = make_run(phases=(phase(3, 1, batch=5), phase(2, 1, batch=7)))
    assert [run.samples(step) for step in range(6)] == [0, 5, 10, 15, 22, 29]


def test_a_run_may_grow(make_run: MakeRun) -> None:
    before = make_run(phases=(phase(10, 1), phase(10, 1)))
    longer = make_run(phases=(phase(10, 1), phase(30, 1), phase(5, 1, 0)))
    for step in (0, 10, 15, 20):
        longer.check_continues(before, step)
    before.check_continues(longer, 15)
    make_run(phases=(phase(10, 1), phase(7, 3, 0))).check_continues(before, 10)


@pytest.mark.parametrize(
    ("phases", "step"),
    [
        ((phase(12, 1), phase(10, 1)), 11),  # a finished phase is longer now
        ((phase(10, 1, batch=2), phase(10, 1)), 5),
        ((phase(10, 1), phase(10, 2)), 11),
        ((phase(10, 1, clip=0.25), phase(10, 1)), 5),
        ((phase(10, 1), phase(4, 1)), 15),  # shorter than what is done
        ((phase(10, 1),), 15),
        ((phase(10, 1, 0), phase(10, 1)), 5),
    ],
)
def test_what_is_trained_cannot_change(make_run: MakeRun, phases: tuple[Phase, ...], step: int) -> None:
    with pytest.raises(CalotypeError, match="another phase"):
        make_run(phases=phases).check_continues(make_run(phases=(phase(10, 1), phase(10, 1))), step)


def test_a_line_under_way_cannot_be_stretched(make_run: MakeRun) -> None:
    with pytest.raises(CalotypeError, match="another phase 1"):
        make_run(phases=(phase(20, 1, 0),)).check_continues(make_run(phases=(phase(10, 1, 0),)), 5)


def test_other_settings_cannot_change(make_run: MakeRun) -> None:
    with pytest.raises(CalotypeError, match="another seed, ema"):
        make_run(seed=2, ema=0.5).check_continues(make_run(), 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "x"\ntask = "vae"\nlearning = 1', "learning"),
        ('name = "x"\ntask = "vea"', "task"),
        ('name = "../x"\ntask = "vae"', "name"),
        ("name = ", "cannot read"),
        (PHASED.format(size=100), r"phases\.0\.size"),
        (PHASED.format(size=72), r"phases\.0\.size"),
        (PHASED.format(size=16), r"phases\.0\.size"),
        (PHASED.format(size=64) + "counts = []", r"phases\.0\.counts: not all shares can be 0"),
        (PHASED.format(size=64) + "counts = [0, 0, 0]", r"phases\.0\.counts: not all shares"),
        (PHASED.format(size=64) + "counts = [1, 1, 1, 1]", r"phases\.0\.counts"),
        (PHASED.format(size=64) + "counts = [1, -1, 1]", r"phases\.0\.counts\.1"),
        (PHASED.format(size=64) + "counts = [1, inf]", r"phases\.0\.counts\.1"),
        (PHASED.format(size=64).replace("[1, 1]", "[1, nan]"), r"phases\.0\.lr\.1"),
        ('name = "x"\ntask = "vae"\noptimizer.betas = [1.5, 0.9]', r"optimizer\.betas\.0"),
        ('name = "x"\ntask = "vae"\noptimizer.weight_decay = -0.1', r"optimizer\.weight_decay"),
        ('name = "x"\ntask = "vae"\n[[phases]]\nsize = 64\nbatch = 0\nsteps = 1\nlr = [1, 1]', r"phases\.0\.batch"),
    ],
)
def test_a_faulty_file_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "run.toml").write_text(text)
    with pytest.raises(CalotypeError, match=message) as raised:
        read(tmp_path / "run.toml")
    assert "\n" not in str(raised.value)


def test_missing_file_and_preset(tmp_path: Path, make_run: MakeRun) -> None:
    with pytest.raises(CalotypeError, match=r"there is no run file '.*': the project's own are in runs/embedded"):
        read(tmp_path / "run.toml")
    with pytest.raises(CalotypeError, match="unknown preset 'sd16'"):
        _ = make_run(preset="sd16").config


@pytest.mark.parametrize("path", sorted(Path(__file__).parents[2].glob("runs/embedded/*.toml")), ids=lambda p: p.stem)
def test_the_projects_own_files_are_valid(path: Path) -> None:
    run = read(path)
    assert run.config.name == "embedded"
    assert (run.steps > 0) == (run.task in ("vae", "clip", "unet"))
