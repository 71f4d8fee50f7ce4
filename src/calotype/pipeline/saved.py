"""A run on disk: a small file between two steps, from which any process goes on to the same bytes."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from calotype.diffusion.samplers import SamplerState
from calotype.errors import CalotypeError
from calotype.files import unreadable, written_whole
from calotype.imaging.comparison import differences
from calotype.imaging.inputs import Inputs
from calotype.model import Model
from calotype.pipeline.passes import settle
from calotype.pipeline.run import RunState, record
from calotype.recipe import Recipe, Record

VERSION = 4
"""Of the file's form, and of sampling: it goes up, too, where a run that was begun would go on otherwise."""
_KEY = "calotype_run"
_MEMORY = "memory."


@dataclass(frozen=True, eq=False)
class SavedRun:
    """A run that was cut: its record as far as it came, its state, and where its model and its picture belong."""

    record: Record
    state: RunState
    files: tuple[Path, ...]
    """The model's folder or file, and those of the networks put in since (`Model.files`)."""
    output: str
    """The picture it was to become."""

    def check(self, model: Model) -> list[str]:
        """What is different here and may change the rest's last bits, as lines for a person.

        Raises CalotypeError for another model, refiner or picture to begin with: the rest would belong to none.
        """
        now = record(model, self.record.recipe, self.state)
        if now.model_hash != self.record.model_hash:
            raise CalotypeError(
                f"the run was begun with another model: {self.record.model}, sha256 {self.record.model_hash[:10]}, "
                f"not {now.model_hash[:10]}. Give that one with --model, and its autoencoder with --vae if it had one."
            )
        if now.choices != self.record.choices:
            raise CalotypeError(
                f"the run's model was read otherwise: {self.record.choices}, not {now.choices}. Load it so again."
            )
        if now.refiner_hash != self.record.refiner_hash:
            raise CalotypeError(f"the run was begun with another refiner, sha256 {self.record.refiner_hash[:10]}.")
        changed = [name for name in self.record.inputs if now.inputs.get(name) != self.record.inputs[name]]
        if changed:
            raise CalotypeError(f"the {changed[0]} of the run has other pixels by now: put the earlier one back.")
        return differences(self.record, now)


def save_run(path: Path, model: Model, recipe: Recipe, state: RunState, output: Path) -> None:
    """Write the run of ``recipe`` at ``state``. Raises CalotypeError when it cannot be written."""
    sampler = state.state
    tensors = {"x": sampler.x, "x0": sampler.x0}
    tensors |= {_MEMORY + name: tensor for name, tensor in sampler.memory.items()}
    tensors = {name: tensor.cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    values: dict[str, Any] = {
        "version": VERSION,
        "record": record(model, settle(model, recipe, state.inputs), state).model_dump(mode="json"),
        "passage": state.pass_index,
        "counters": [sampler.index, sampler.calls, sampler.draws],
        "files": [str(file.absolute()) for file in model.files],
        "output": str(output.absolute()),
    }
    values["sha256"] = _sha256(values, tensors)
    with written_whole(path) as temporary:
        save_file(tensors, temporary, {_KEY: json.dumps(values)})


def read_run(path: Path, device: str = "cpu") -> SavedRun:
    """The run in a file, its state on ``device``.

    Raises CalotypeError for a file that is missing, cut short, damaged or of another version.
    """
    try:
        with path.open("rb") as stored:
            start = stored.read(9)
    except OSError as error:
        raise unreadable(error, path, "kept run") from error
    if start[8:] not in (b"{", b""):  # safetensors' header is JSON behind eight bytes of its length
        raise CalotypeError(f"{path} is no kept run: those end in .run.safetensors.")
    try:
        with safe_open(path, "pt", device) as file:
            text = (file.metadata() or {}).get(_KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
    except (SafetensorError, OSError, ValueError) as error:
        raise CalotypeError(
            f"cannot read the run {path}: it is cut short or damaged. Begin the picture anew."
        ) from error
    if text is None:
        raise CalotypeError(f"{path} is no run of Calotype's: give a file that --save-state-every wrote.")
    try:
        return _unpacked(json.loads(text), tensors, path)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        if isinstance(error, CalotypeError):
            raise
        raise CalotypeError(f"the run {path} is damaged: begin the picture anew.") from error


def _unpacked(values: dict[str, Any], tensors: dict[str, Tensor], path: Path) -> SavedRun:
    if values["version"] != VERSION:
        raise CalotypeError(
            f"the run {path} is of version {values['version']}, this Calotype reads version {VERSION}: "
            "go on with the Calotype that wrote it, or begin the picture anew."
        )
    if values.pop("sha256") != _sha256(values, tensors):
        raise CalotypeError(f"the run {path} is damaged: its numbers are not those it was saved with.")
    memory = {name.removeprefix(_MEMORY): tensor for name, tensor in tensors.items() if name.startswith(_MEMORY)}
    done = Record(**values["record"])
    index, calls, draws = values["counters"]
    state = SamplerState(tensors["x"], tensors["x0"], index, calls, draws, memory)
    files = tuple(Path(file) for file in values["files"])
    return SavedRun(
        done, RunState(values["passage"], state, Inputs(done.recipe), done.digests), files, values["output"]
    )


def _sha256(values: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    """Of all that is kept."""
    total = hashlib.sha256(json.dumps(values).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        total.update(tensor.cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
