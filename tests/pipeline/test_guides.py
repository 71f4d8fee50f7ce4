"""Guides: what scale counts when, for samplers of every convention."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from calotype.api import Studio, load
from calotype.diffusion.driver import Moment
from calotype.diffusion.parameterization import PARAMETERIZATIONS
from calotype.pipeline.guides import guide_at
from calotype.recipe import Recipe

POSITIVE, NEGATIVE = torch.randn(2, 1, 4, 6, 6, generator=torch.Generator().manual_seed(1))
RECIPE = Recipe(prompt="a unicorn", negative_prompt="on", seed=1, steps=4, sampler="DDIM CFG++", cfg_scale=10)


@pytest.fixture(scope="module")
def studio(tiny_folder: Path) -> Studio:
    return load(tiny_folder)


def _guided(step: int, always: bool = False, **fields: object) -> Tensor | None:
    """What the guide of a step of four makes of the two predictions."""
    guide = guide_at(RECIPE.but(**fields), PARAMETERIZATIONS["epsilon"], always)(Moment(step, step, 4, step))
    return guide and guide(POSITIVE, 1.0, POSITIVE, NEGATIVE)


def _at(scale: float) -> Tensor:
    return NEGATIVE + (POSITIVE - NEGATIVE) * scale


def test_a1111s_cfgpp_divides_every_scale() -> None:
    points = ((0, 10), (1, 4))
    torch.testing.assert_close(_guided(0), _at(10 / 12.5))
    torch.testing.assert_close(_guided(3, cfg_points=points), _at(4 / 12.5))
    torch.testing.assert_close(_guided(0, sampler="Euler CFG++"), _at(10))
    loud, quiet = _guided(0, cfg_scale=100, mimic_scale=50), _at(50 / 12.5)
    assert loud is not None
    for each in (loud, quiet):
        each -= each.mean((2, 3), keepdim=True)
    torch.testing.assert_close(loud.abs().amax((2, 3)), quiet.abs().amax((2, 3)))


@pytest.mark.parametrize("sampler", ["DDIM CFG++", "Euler CFG++", "Euler"])
def test_outside_the_interval_nothing_guides(sampler: str) -> None:
    fields = {"sampler": sampler, "cfg_start": 0.25, "cfg_end": 0.75, "mimic_scale": 2, "cfg_points": ((0, 9), (1, 5))}
    assert [_guided(step, **fields) is None for step in range(4)] == [True, False, False, True]
    torch.testing.assert_close(_guided(0, always=True, **fields), POSITIVE)


def test_outside_the_interval_cfgpp_is_the_sampler_it_is_named_after(studio: Studio) -> None:
    recipe = RECIPE.but(cfg_start=0.5, cfg_end=0.5)
    *_, last = studio.states(recipe)
    *_, plain = studio.states(recipe.but(sampler="DDIM"))
    torch.testing.assert_close(last.x, plain.x)
