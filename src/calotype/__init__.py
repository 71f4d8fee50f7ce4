"""Calotype: Stable Diffusion, whole and readable.

>>> import calotype
>>> picture = calotype.load().generate("a cat", seed=7, steps=20)
>>> picture.save("cat.png")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["CalotypeError", "Model", "Picture", "Recipe", "Record", "Studio", "__version__", "load"]

if TYPE_CHECKING:
    from calotype.api import Studio, load
    from calotype.errors import CalotypeError
    from calotype.imaging.picture import Picture
    from calotype.model import Model
    from calotype.recipe import Recipe, Record

_HOMES = {
    "CalotypeError": "errors",
    "Model": "model",
    "Picture": "imaging.picture",
    "Recipe": "recipe",
    "Record": "recipe",
    "Studio": "api",
    "load": "api",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: torch is slow to import, and ``calotype --help`` needs none."""
    if name == "__version__":
        return import_module("importlib.metadata").version("calotype")
    if name not in _HOMES:
        raise AttributeError(f"module 'calotype' has no attribute {name!r}")
    return getattr(import_module(f"calotype.{_HOMES[name]}"), name)
