"""``calotype study``: what people guess about, measured with a model of yours."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import track

from calotype.cli.asking import MODEL
from calotype.cli.stages import show
from calotype.cli.usage import help_alone
from calotype.errors import CalotypeError, lacking
from calotype.files import read_text
from calotype.recipe import Recipe

study = typer.Typer(name="study")


@study.callback(invoke_without_command=True)
def _study(context: typer.Context) -> None:
    """Measure what people guess about."""
    help_alone(context)


@study.command()
def samplers(
    prompts: Annotated[
        Path | None,
        typer.Option(help="A file with a prompt on each line. Without it: four that the embedded model understands."),
    ] = None,
    model: Annotated[Path | None, typer.Option(help=MODEL)] = None,
    steps: Annotated[str, typer.Option(help="Numbers of steps.")] = "4,6,8,10,15,20,30,50",
    names: Annotated[str, typer.Option("--samplers", help="Names that `calotype samplers` lists.")] = (
        "Euler,Heun,DPM++ 2M,UniPC,DDIM,LMS,DEIS"
    ),
    seeds: Annotated[str, typer.Option(help="Seeds.")] = "1,2,3,4",
    cfg_scale: Annotated[float, typer.Option(min=0, max=100, help="How strongly prompts are followed.")] = 4.0,
    scheduler: Annotated[str, typer.Option(help="One for all, or automatic: each sampler's usual one.")] = "automatic",
    reference_steps: Annotated[int, typer.Option(min=2, help="Heun steps of the solution to compare with.")] = 256,
    out: Annotated[
        Path, typer.Option("-o", "--output", help="The folder for the page, the table and the pictures.")
    ] = Path("study"),
) -> None:
    """Measure samplers against the exact solution. Ctrl-C stops; the same command goes on with what is there.

    Example: calotype study samplers --samplers "Euler,DPM++ 2M" --steps 5,10,20 --seeds 1,2
    """
    given = _lines(prompts) if prompts else ()
    counts, seed_list = _numbers("steps", steps), _numbers("seeds", seeds)

    from calotype import api

    try:
        from calotype.lab import sampler_study
        from calotype.lab.sampler_study_page import write_page
    except ImportError as error:
        raise lacking("measuring", error.name, "lab") from error

    import torch

    asked = given or sampler_study.PROMPTS
    rows = tuple(_sampler(name) for name in names.split(","))
    scheduler = Recipe(scheduler=scheduler).scheduler
    plan = sampler_study.StudyPlan(asked, rows, counts, seed_list, cfg_scale, scheduler, reference_steps)
    total = len(asked) * len(rows) * len(counts) * len(seed_list)
    trials = sampler_study.trials(api.load(model, dtype=torch.float32), plan, out)
    page = write_page(list(track(trials, "studying", total, console=Console(stderr=True))), out)
    typer.echo(page)


@study.command()
def abilities(
    only: Annotated[
        list[str] | None, typer.Option(help="img2img, emphasis or inpainting; may be repeated. Without it: all.")
    ] = None,
    cases: Annotated[int, typer.Option(min=2, max=100, help="Prompts in each of them.")] = 50,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each picture.")] = 20,
    cfg_scale: Annotated[float, typer.Option(min=0, max=100, help="How strongly prompts are followed.")] = 4.0,
    model: Annotated[Path | None, typer.Option(help=MODEL)] = None,
    out: Annotated[Path, typer.Option("-o", "--output", help="The folder for the page and all pictures.")] = Path(
        "abilities"
    ),
) -> None:
    """Measure whether pictures keep to an input, an emphasis and a mask, by the judges of the embedded model's world.

    Likeness to the input against the denoising strength and presence of a thing against its weight, as slopes with
    their intervals; and things painted into masks. Ctrl-C stops; the same command goes on with what is there.

    Example: calotype study abilities --only emphasis --cases 20 -o abilities
    """
    from calotype import api

    try:
        from calotype.data.banks import load_bank
        from calotype.lab.abilities import ABILITIES, measure
    except ImportError as error:
        raise lacking("measuring", error.name, "lab") from error

    for name in only or ():
        if name not in ABILITIES:
            raise CalotypeError(f"there is no study of {name!r}: choose {', '.join(ABILITIES)}.")
    asked = [ability for ability in ABILITIES if not only or ability in only]
    settings = {"only": " --only ".join(only or ()), "cases": cases, "steps": steps, "cfg-scale": f"{cfg_scale:g}"}
    command = "calotype study abilities" + "".join(f" --{name} {value}" for name, value in settings.items() if value)
    recipe = Recipe(seed=0, steps=steps, cfg_scale=cfg_scale)
    show(measure(api.load(model), load_bank(), recipe, cases, asked, command, out))
    Console().print(Markdown((out / "abilities.md").read_text(encoding="utf-8")))
    typer.echo(out / "abilities.md")


def _lines(prompts: Path) -> tuple[str, ...]:
    lines = tuple(line.strip() for line in read_text(prompts, "file of prompts").splitlines() if line.strip())
    if not lines:
        raise CalotypeError(f"{prompts} is empty: write a prompt on each line.")
    return lines


def _sampler(name: str) -> str:
    """The sampler of that name. Raises CalotypeError for an old name that names a scheduler, too."""
    from calotype.diffusion.samplers import find_sampler

    row, scheduler = find_sampler(name)
    if scheduler is not None:
        raise CalotypeError(f"{name!r} names a scheduler, too: give {row.name} and, with --scheduler, {scheduler}.")
    return row.name


def _numbers(name: str, text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError as error:
        raise CalotypeError(f"{name} is {text!r}, but must be whole numbers, as in 4,8,16.") from error
    if min(numbers) < (name == "steps"):
        raise CalotypeError(f"{name} is {text!r}: the least is {int(name == 'steps')}.")
    return numbers
