from calotype.cli.asking import GROUPS
from calotype.recipe import Recipe


def test_every_field_of_a_recipe_can_be_asked_for_once() -> None:
    """But the prompt, which is an argument or in a file."""
    asked = [name for group in GROUPS.values() for name in group]
    assert len(asked) == len(set(asked))
    assert set(Recipe.model_fields) - set(asked) == {"prompt"}
