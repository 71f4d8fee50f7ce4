"""``calotype samplers``: what a recipe's sampler and scheduler can be."""

import typer


def samplers() -> None:
    """List the samplers and the schedules."""
    from rich.console import Console
    from rich.table import Table

    from calotype.diffusion.samplers import SAMPLERS
    from calotype.diffusion.schedulers import SCHEDULERS

    table = Table("sampler", "aliases", "order", "calls a step", "noise", "paper", box=None, pad_edge=False)
    for row in SAMPLERS.values():
        noise = row.noise if row.stochastic else ""
        table.add_row(row.name, ", ".join(row.aliases), str(row.order), str(row.evaluations), noise, row.paper)
    Console().print(table)
    typer.echo(f"\nschedulers: automatic, {', '.join(SCHEDULERS)}")
