"""What a picture needed is given back when it is there."""

import gc
from pathlib import Path

import torch

from calotype.api import load
from calotype.recipe import Recipe


def _held() -> int:
    """Bytes of all tensors that anything still refers to."""
    gc.collect()
    tensors = [each for each in gc.get_objects() if issubclass(type(each), torch.Tensor)]
    return sum({each.data_ptr(): each.untyped_storage().nbytes() for each in tensors}.values())


def test_it_does_not_grow_with_the_number_of_pictures(tiny_folder: Path) -> None:
    studio = load(tiny_folder)
    recipe = Recipe(prompt="a unicorn", steps=2, sampler="DPM++ 2M SDE", hr_scale=1.5, hr_steps=2)

    def make(count: int) -> int:
        for number in range(count):
            each = recipe.but(seed=number, prompt=f"a unicorn {number}")
            studio.develop(each, studio.states(each))
        return _held()

    first = make(2)
    assert make(28) == first
    kept = torch.zeros(1000)  # one tensor more would be seen
    assert _held() == first + kept.nbytes
