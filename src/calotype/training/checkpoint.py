"""The checkpoint of a run: one safetensors file that holds all that the rest of the run depends on."""

import hashlib
import json
from collections.abc import Sequence
from itertools import chain

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from calotype.checkpoints.hashes import file_hash
from calotype.errors import CalotypeError
from calotype.files import written_whole
from calotype.training import product
from calotype.training.ema import Ema
from calotype.training.loop import adamw, parameters_of
from calotype.training.run_file import Run, run_dir


class RunCheckpoint:
    """All that the rest of a run depends on: weights, their average, the optimizer's moments, the earlier stages."""

    def __init__(
        self, run: Run, module: nn.Module, frozen: Sequence[nn.Module] = (), measured: Sequence[Tensor] = ()
    ) -> None:
        """Of a run that has not begun. ``module`` and ``measured`` stay the caller's, and ``restore`` fills them."""
        self.run, self.module, self.measured = run, module, measured
        self.ema = Ema(module, run.ema)
        self.optimizer = adamw(module, run.optimizer)
        self._earlier = {stage: file_hash(product.path(stage, name)) for stage, name in run.earlier.items()}
        self._frozen = weights_hash(*frozen)

    def save(self, step: int) -> None:
        """Write the checkpoint; the one before stays until this one is whole."""
        tensors = {f"model.{name}": value for name, value in self.module.state_dict().items()}
        tensors |= {f"ema.{name}": value for name, value in self.ema.weights.items()}
        tensors |= {f"measured.{index}": value for index, value in enumerate(self.measured)}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in moments.items()}
        metadata = {"step": str(step), "run": self.run.model_dump_json(), "earlier": json.dumps(self._earlier)}
        metadata["frozen"] = self._frozen
        with written_whole(run_dir(self.run.name) / "state.safetensors") as path:
            save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, path, metadata)

    def untaught(self) -> int:
        """How many of the tensors that are trained no gradient has reached yet: 0, if the whole network learns."""
        tensors = parameters_of(self.optimizer)
        moments = (self.optimizer.state.get(tensor, {}).get("exp_avg_sq") for tensor in tensors)
        return sum(moment is None or not moment.any() for moment in moments)

    def restore(self) -> int:
        """Take over the run's checkpoint and return its step; 0, and nothing changed, where there is none.

        Raises CalotypeError when the checkpoint is damaged, belongs to a run with other settings, or an earlier stage
        or the base is another by now: its latents or contexts would no longer be those that this network learned.
        """
        path = run_dir(self.run.name) / "state.safetensors"
        if not path.exists():
            return 0
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata()
                tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            step, earlier = int(metadata["step"]), json.loads(metadata.get("earlier", "{}"))
            self.run.check_continues(Run.model_validate_json(metadata["run"]), step)
            self._fill(tensors)
        except CalotypeError:
            raise
        except (OSError, SafetensorError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise CalotypeError(
                f"checkpoint {path} is damaged or of another network: remove it to start afresh."
            ) from error
        if other := [stage for stage, digest in earlier.items() if digest != self._earlier[stage]]:
            raise CalotypeError(
                f"run {self.run.name!r} was trained on another {', '.join(other)} than {self.run.earlier[other[0]]!r} "
                "holds now: start it afresh (with --fresh)."
            )
        if metadata.get("frozen", self._frozen) != self._frozen:
            raise CalotypeError(
                f"run {self.run.name!r} was trained beside another text encoder or autoencoder than its base "
                f"{self.run.base!r} holds now: start it afresh (with --fresh)."
            )
        return step

    def _fill(self, tensors: dict[str, Tensor]) -> None:
        self.module.load_state_dict(_below(tensors, "model."))
        for name, value in self.ema.weights.items():
            value.copy_(tensors[f"ema.{name}"])
        for number, value in enumerate(self.measured):
            value.copy_(tensors.get(f"measured.{number}", value))  # older checkpoints do not tell
        moments: dict[int, dict[str, Tensor]] = {}
        parameters = parameters_of(self.optimizer)
        for name, value in _below(tensors, "optimizer.").items():
            index, _, moment = name.partition(".")
            # The fused step walks weights and moments side by side: they must lie in memory in the same order.
            like = parameters[int(index)]
            laid = torch.empty_like(like, dtype=value.dtype).copy_(value) if value.shape == like.shape else value
            moments.setdefault(int(index), {})[moment] = laid
        self.optimizer.load_state_dict({"state": moments, "param_groups": self.optimizer.state_dict()["param_groups"]})


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def weights_hash(*networks: nn.Module) -> str:
    """The SHA-256 of the networks' numbers, in hexadecimal."""
    total = hashlib.sha256()
    for value in chain.from_iterable(network.state_dict().values() for network in networks):
        total.update(value.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()
