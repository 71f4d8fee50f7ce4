"""Progress: what a measurement tells on its way."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far one stage of an evaluation is."""

    stage: str
    done: int
    total: int
