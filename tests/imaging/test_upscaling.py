from typing import get_args

from calotype.imaging.upscaling import UPSCALERS
from calotype.recipe import Recipe


def test_a_recipe_takes_every_upscaler_and_lists_it() -> None:
    field = Recipe.model_fields["hr_upscaler"]
    assert get_args(field.annotation) == UPSCALERS
    assert field.description is not None
    assert field.description.startswith(f"{', '.join(UPSCALERS[:-1])} or {UPSCALERS[-1]}")
