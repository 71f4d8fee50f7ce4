"""What a study of samplers found, as a page: plots, a table, and the pictures themselves."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from calotype.diffusion.samplers import SAMPLERS
from calotype.files import written_whole
from calotype.imaging.sheet import contact_sheet
from calotype.lab.sampler_study import Trial, converges, errors, observed_order, picture
from calotype.markdown import table


def write_page(done: Sequence[Trial], folder: Path) -> Path:
    """study.md in the folder, with errors.png, calls.png and grid.png beside it."""
    samplers = list(dict.fromkeys(trial.sampler for trial in done))
    steps = sorted({trial.steps for trial in done})
    _plot(done, samplers, folder / "errors.png", "steps")
    _plot(done, samplers, folder / "calls.png", "calls")
    _grid(samplers, steps, folder)
    pairs = len({(trial.prompt, trial.seed) for trial in done})
    unit = "prompt" if len({trial.prompt for trial in done}) > 1 else "seed"
    titles = ["sampler", "order", "observed order", *(f"{count} steps" for count in steps)]
    lines = [
        "# A study of samplers",
        "",
        f"Each figure is over {pairs} pairs of prompt and seed. The error is the root mean square of the latent's",
        "difference from the exact solution's, found by many steps of Heun's method from the same noise; geometric",
        f"means, with 95 % intervals of a bootstrap by {unit}. Samplers marked * draw fresh noise, or solve another",
        "equation: more steps do not lead them to that solution.",
        "",
        "![error against steps](errors.png)",
        "![error against network evaluations](calls.png)",
        "",
        *table(titles, [_row(done, sampler, steps) for sampler in samplers]),
        "",
        "The same prompt and seed with each sampler and number of steps:",
        "",
        "![pictures](grid.png)",
        "",
    ]
    with written_whole(folder / "study.md") as temporary:
        temporary.write_text("\n".join(lines), encoding="utf-8")
    return folder / "study.md"


def _row(done: Sequence[Trial], sampler: str, steps: Sequence[int]) -> list[str]:
    found = observed_order(done, sampler) if converges(sampler) else None
    order = f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})" if found else ""
    mark = "" if converges(sampler) else "*"
    cells = [sampler + mark, str(SAMPLERS[sampler].order), order]
    for count in steps:
        if any((trial.sampler, trial.steps) == (sampler, count) for trial in done):
            error = errors(done, sampler, count)
            cells.append(f"{error.value:.2g} ({error.low:.2g} to {error.high:.2g})")
        else:
            cells.append("")
    return cells


def _plot(done: Sequence[Trial], samplers: Sequence[str], path: Path, axis: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot(xscale="log", yscale="log", ylabel="error")
    axes.set_xlabel("steps" if axis == "steps" else "network evaluations")
    for sampler in samplers:
        counts = sorted({trial.steps for trial in done if trial.sampler == sampler})
        found = [errors(done, sampler, count) for count in counts]
        costs = [_mean_cost(done, sampler, count, axis) for count in counts]
        (line,) = axes.plot(costs, [one.value for one in found], "o-" if converges(sampler) else "x--", label=sampler)
        axes.fill_between(
            costs, [one.low for one in found], [one.high for one in found], alpha=0.2, color=line.get_color()
        )
    axes.legend(fontsize="small")
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def _mean_cost(done: Sequence[Trial], sampler: str, steps: int, axis: str) -> float:
    costs = [getattr(trial, axis) for trial in done if (trial.sampler, trial.steps) == (sampler, steps)]
    return float(sum(costs) / len(costs))


def _grid(samplers: Sequence[str], steps: Sequence[int], folder: Path) -> None:
    places = [(f"{sampler}, {count}", picture(folder, sampler, count)) for sampler in samplers for count in steps]
    blank = Image.new("RGB", (64, 64), "white")
    pictures = [Image.open(place).convert("RGB") if place.exists() else blank for _, place in places]
    with written_whole(folder / "grid.png") as temporary:
        contact_sheet(pictures, [name for name, _ in places], columns=len(steps)).save(temporary, "PNG")
