"""``calotype samplers``: what a recipe's sampler and scheduler can be."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from calotype.diffusion.samplers import Sampler

_COLUMNS = ("sampler", "aliases", "paper", "order", "calls a step", "noise", "equals", "when to use it")


def samplers(
    markdown: Annotated[bool, typer.Option("--markdown", help="As the page docs/samplers.md, all columns.")] = False,
) -> None:
    """List the samplers and the schedulers, with when to use which. Names of other programs are understood, too.

    Example: calotype samplers
    """
    from rich.console import Console
    from rich.table import Table

    from calotype.diffusion.samplers import SAMPLERS
    from calotype.diffusion.schedulers import SCHEDULERS

    if markdown:
        typer.echo(page(), nl=False)
        return
    table = Table(*(name for name in _COLUMNS if name != "equals"), box=None, pad_edge=False)
    for sampler in SAMPLERS.values():
        table.add_row(*(value for name, value in zip(_COLUMNS, _row(sampler), strict=True) if name != "equals"))
    Console().print(table)
    typer.echo(f"\nschedulers: automatic, {', '.join(SCHEDULERS)}")


def page() -> str:
    """docs/samplers.md: the registries of samplers and schedulers as tables."""
    from calotype.diffusion.samplers import SAMPLERS
    from calotype.diffusion.schedulers import SCHEDULERS
    from calotype.markdown import table
    from calotype.recipe import SAMPLER

    schedulers = [
        (f"`{row.name}`", row.label, ", ".join(f"`{alias}`" for alias in row.aliases), row.reference)
        for row in SCHEDULERS.values()
    ]
    return "\n".join(
        [
            "# Samplers", "",
            "This page is generated from the registry: `calotype samplers --markdown > docs/samplers.md`.", "",
            "A picture is the solution of a differential equation, and a sampler is a way to solve it. *Order* is how",
            "fast the error falls with the number of steps: second order means a quarter of it for twice the steps.",
            "*Calls a step* is what a step costs. A sampler with *noise* draws fresh noise on the way: its pictures do",
            "not settle as steps are added. *Equals* names the implementation that the tests compare numbers with.", "",
            *table(_COLUMNS, [_row(sampler) for sampler in SAMPLERS.values()]), "",
            "Without `--sampler` it is the one that the model's scheduler_config.json names (SD 1.5's: PLMS), or else",
            f"{SAMPLER}.", "",
            "## Schedulers", "",
            "A scheduler chooses the noise levels that the sampler visits. `automatic` is the model's own one with the",
            "model's own sampler; with another sampler, the one that A1111 uses with it, or else the model's own.", "",
            *table(("scheduler", "label", "aliases", "reference"), schedulers), "",
        ]
    )  # fmt: skip


def _row(sampler: "Sampler") -> tuple[str, ...]:
    return (
        sampler.name, ", ".join(sampler.aliases), sampler.paper, str(sampler.order),
        str(sampler.evaluations or "adaptive"), sampler.noise if sampler.stochastic else "",
        sampler.equals, sampler.use,
    )  # fmt: skip
