"""``calotype samplers``: what a recipe's sampler and scheduler can be."""

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from calotype.diffusion.names import AUTOMATIC
from calotype.recipe import SAMPLER

if TYPE_CHECKING:
    from calotype.diffusion.samplers import Sampler
    from calotype.diffusion.schedulers import Scheduler

_IN_DOUBT = f"If in doubt: {SAMPLER}, 12 to 25 steps."
_SAMPLER = ("sampler", "when to use it", "order", "calls a step", "noise", "paper", "equals", "aliases")
_SCHEDULER = ("scheduler", "as A1111 spells it", "reference", "aliases")
_FIRST = 2
"""How many of these columns are enough for a choice."""
_PIPED = 1000
"""Letters in a line of what no terminal shows."""
_AUTOMATIC = (AUTOMATIC, AUTOMATIC.capitalize(), "the sampler's usual one, or the model's own", "")


def samplers(
    everything: Annotated[bool, typer.Option("--all", help="With order, cost, papers and other names.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="As the page docs/samplers.md, which tells all.")
    ] = False,
) -> None:
    """List the samplers, with when to use which, and the schedulers. Names of other programs are understood, too.

    Example: calotype samplers
    """
    from calotype.diffusion.samplers import SAMPLERS
    from calotype.diffusion.schedulers import SCHEDULERS

    if markdown:
        typer.echo(page(), nl=False)
        return
    typer.echo(f"{_IN_DOUBT}\n")
    _show(_SAMPLER, map(_sampler, SAMPLERS.values()), everything)
    typer.echo()
    _show(_SCHEDULER, [_AUTOMATIC, *map(_scheduler, SCHEDULERS.values())], everything)


def _show(titles: Sequence[str], rows: Iterable[Sequence[str]], everything: bool) -> None:
    """A table as wide as the terminal; in a pipe each row is a line."""
    shown = len(titles) if everything else _FIRST
    first, *others = titles[:shown]
    table = Table(
        Column(first, no_wrap=True), *(Column(title, overflow="fold") for title in others), box=None, pad_edge=False
    )
    for row in rows:
        table.add_row(*row[:shown])
    Console(width=None if sys.stdout.isatty() else _PIPED).print(table)


def page() -> str:
    """docs/samplers.md: the registries of samplers and schedulers as tables."""
    from calotype.diffusion.samplers import SAMPLERS
    from calotype.diffusion.schedulers import SCHEDULERS
    from calotype.markdown import table

    return "\n".join(
        [
            "# Samplers", "",
            "This page is generated from the registry: `calotype samplers --markdown > docs/samplers.md`.", "",
            _IN_DOUBT, "",
            "A picture is the solution of a differential equation, and a sampler is a way to solve it. *Order* is how",
            "fast the error falls with the number of steps: second order means a quarter of it for twice the steps.",
            "*Calls a step* is what a step costs. A sampler with *noise* draws fresh noise on the way: its pictures do",
            "not settle as steps are added. *Equals* names the implementation that the tests compare numbers with.", "",
            *table(_SAMPLER, map(_sampler, SAMPLERS.values())), "",
            "Without `--sampler` it is the one that the model's scheduler_config.json names (SD 1.5's: PLMS), or else",
            f"{SAMPLER}.", "",
            "Which is how exact, after how many steps and at what cost, can be measured with a model of yours:",
            '`calotype study samplers --samplers "Euler,DPM++ 2M" --steps 5,10,20 --model sd15.safetensors`.', "",
            "## Schedulers", "",
            "A scheduler chooses the noise levels that the sampler visits. `automatic` is the model's own one with the",
            "model's own sampler; with another sampler, the one that A1111 uses with it, or else the model's own.", "",
            "Those named after diffusers are what a scheduler_config.json chooses: with them a run begins and ends as",
            "diffusers' class of the sampler has it: the size of the first noise, the last levels, the end, of DEIS",
            "and UniPC the order, 2. A choice of Karras', exponential or beta levels begins and ends as A1111's.", "",
            *table(_SCHEDULER, [_AUTOMATIC, *map(_scheduler, SCHEDULERS.values())]), "",
        ]
    )  # fmt: skip


def _sampler(row: "Sampler") -> tuple[str, ...]:
    return (
        row.name, row.use, str(row.order), str(row.evaluations or "adaptive"), row.noise if row.stochastic else "",
        row.paper, row.equals, ", ".join(row.aliases),
    )  # fmt: skip


def _scheduler(row: "Scheduler") -> tuple[str, ...]:
    return row.name, row.label, row.reference, ", ".join(row.aliases)
