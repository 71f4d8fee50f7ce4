"""The models that commands work with: the one that is asked for, and the one that a picture was made with."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from calotype.cli.asking import Ask
from calotype.errors import CalotypeError
from calotype.files import EMBEDDED
from calotype.recipe import Record

if TYPE_CHECKING:
    import torch

    from calotype.api import Studio
    from calotype.imaging.provenance import Provenance

DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
"""The types of numbers by the names that people know, and by torch's."""
VAE = "The file that its autoencoder came from, where that was not the model's own."
"""What ``--vae`` takes where a picture is made again."""


def loaded(ask: Ask) -> "Studio":
    """The model that is asked for."""
    import torch

    from calotype import api

    if ask.threads is not None:
        torch.set_num_threads(ask.threads)
    return api.load(ask.model, ask.device, torch_dtype(ask.dtype), vae=ask.vae)


class Reader:
    """Reads the models that pictures were made with. One that made the next picture, too, is not read again."""

    def __init__(self, model: Path | None, parts: Sequence[Path], threads: int | None) -> None:
        """Without a ``model`` each picture's must be the embedded one. ``parts`` take the places of its own networks.

        ``threads`` None are as many as a picture's record tells, and as there are now where it has none.
        """
        import torch

        self.model, self.parts, self.threads = model, parts, threads
        self._usual_threads = torch.get_num_threads()
        self._read: dict[object, Studio] = {}

    def studio(self, made: "Record | Provenance") -> "Studio":
        """The model to make a picture again with, read as its record tells: with the dtype, device and threads there.

        It is on the CPU where there is no such device. Raises CalotypeError.
        """
        import torch

        record = made if isinstance(made, Record) else made.record
        model = self.model or find_embedded(made.model, made.model_hash, self.parts)
        torch.set_num_threads(self.threads or (record.threads if record else self._usual_threads))
        asked = (model, *((record.device, record.dtype, record.choices) if record else ()))
        if asked not in self._read:
            self._read.clear()  # first: two large models may be more than fits
            self._read[asked] = self._opened(model, record)
        return self._read[asked]

    def _opened(self, model: Path, record: Record | None) -> "Studio":
        from calotype import api

        if record:
            studio = api.load(model, _there(record.device), torch_dtype(record.dtype), **asdict(record.choices))
        else:
            studio = api.load(model, None)
        for part in self.parts:
            studio = studio.with_part(part)
        return studio


def find_embedded(name: str, sha256: str, parts: Sequence[Path]) -> Path:
    """Where the embedded model is, if a picture's model of this ``name`` was that one, with ``parts`` put in.

    Of ``sha256`` the first digits are enough. Raises CalotypeError for any other: it has to be named.
    """
    from calotype.checkpoints.hashes import files_hash

    if sha256 and files_hash([EMBEDDED, *parts]).startswith(sha256):
        return EMBEDDED
    model = f"{name or 'a model it does not name'}{f' (sha256 {sha256[:10]})' if sha256 else ''}"
    raise CalotypeError(
        f"the picture was made with {model}: say where it is with --model, "
        "and where its autoencoder is with --vae if it had another."
    )


def torch_dtype(name: str | None) -> "torch.dtype | None":
    """The type of numbers that is called so. Raises CalotypeError for another name."""
    import torch

    if name is None:
        return None
    spelled = DTYPES.get(name, name)
    if spelled not in DTYPES.values():
        raise CalotypeError(f"unknown dtype {name!r}: choose {', '.join(DTYPES)}.")
    dtype: torch.dtype = getattr(torch, spelled)
    return dtype


def _there(device: str) -> str:
    from calotype.hardware import usable

    try:
        return str(usable(device))
    except CalotypeError:
        return "cpu"
