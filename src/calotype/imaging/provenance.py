"""What a picture says of its making, whichever program it is from."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from calotype.configs import Family, ModelConfig
from calotype.errors import CalotypeError
from calotype.imaging.png import PARAMETERS_KEY, RECORD_KEY, read_record, read_texts
from calotype.recipe import Recipe, Record

_GRAPH_KEY = "prompt"
"""Of ComfyUI's graph in a PNG, as `PARAMETERS_KEY` is of A1111's text."""


@dataclass(frozen=True)
class Provenance:
    """A recipe found in a picture."""

    recipe: Recipe
    model: str
    """What its model was called; empty where that is not said."""
    model_hash: str
    """The sha256 of its files, or as many digits of it as are said."""
    not_honoured: tuple[str, ...] = ()
    """What it asks for beyond the recipe, as lines for a person."""
    record: Record | None = None
    """Calotype's own, where it has one."""

    def fitted(self, model: ModelConfig) -> Self:
        """The same for a ``model``, where other programs heed which one it is, or have other numbers with it."""
        if self.record:
            return self
        from calotype.dialects import departures

        found = self._for_family(model.family)
        missed = departures.with_model(found.recipe, model.schedule)
        return replace(found, not_honoured=(*found.not_honoured, *missed))

    def _for_family(self, family: Family) -> Self:
        """The same for a model of that ``family``. A1111's Align Your Steps are SDXL's levels with SDXL."""
        if family == "SD 1.x":
            return self
        found = self._behind_layers_left_out()
        if not family.startswith("SDXL"):
            return found
        asked = {name: getattr(found.recipe, name) for name in ("scheduler", "hr_scheduler")}
        levels = {name: "align_your_steps_sdxl" for name, value in asked.items() if value == "align_your_steps"}
        return replace(found, recipe=found.recipe.but(**levels))

    def _behind_layers_left_out(self) -> Self:
        """The same for a model whose context leaves out the last of CLIP's layers by itself.

        Calotype's `clip_skip` begins behind it. ComfyUI counts it in; A1111 heeds it for no model that has one.
        """
        asked = self.recipe.clip_skip
        if "clip_skip" not in self.recipe.model_fields_set:
            return self
        comfyui = self.recipe.prompt_style == "comfyui"
        if comfyui and asked > 1:
            return replace(self, recipe=self.recipe.but(clip_skip=asked - 1))
        line = "the model leaves out more by itself" if comfyui else "A1111 heeds it for Stable Diffusion 1 alone"
        missed = (f"clip_skip {asked}: {line}",) if comfyui or asked > 1 else ()
        return replace(self, recipe=self.recipe.but(clip_skip=1), not_honoured=(*self.not_honoured, *missed))


def read_provenance(path: Path) -> Provenance:
    """What a picture of Calotype's, A1111's or ComfyUI's asks for. Raises CalotypeError for what says nothing."""
    texts = read_texts(path)
    if RECORD_KEY in texts:
        record = read_record(path)
        return Provenance(record.recipe, record.model, record.model_hash, (), record)
    key = next((key for key in (PARAMETERS_KEY, _GRAPH_KEY) if key in texts), None)
    if key is None:
        raise CalotypeError(f"{path} says nothing of its making: it needs the text of Calotype, A1111 or ComfyUI.")
    try:
        return _of_another_program(key, texts[key])
    except CalotypeError:
        raise
    except (ValueError, TypeError, ArithmeticError, LookupError) as error:
        raise CalotypeError(f"what {path} says of its making is damaged: {error}") from error


def _of_another_program(key: str, text: str) -> Provenance:
    from calotype.dialects import a1111, comfy  # torch comes with them: not before a picture has a text for them

    recipe_of, model_of = {
        PARAMETERS_KEY: (a1111.recipe_of, a1111.model_of),
        _GRAPH_KEY: (comfy.recipe_of, comfy.model_of),
    }[key]
    recipe, missed = recipe_of(text)
    return Provenance(recipe, *model_of(text), tuple(missed))
