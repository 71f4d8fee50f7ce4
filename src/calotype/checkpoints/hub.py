"""The model hub: names like ``owner/name``. Its cache is read without it; only `pull` asks the network."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from calotype.errors import CalotypeError
from calotype.files import place_in, user_cache

_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_INDEX = "model_index.json"
_COMPONENTS = ("scheduler", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "unet", "vae")
_WEIGHTS = re.compile(
    r"(?P<stem>model|pytorch_model|diffusion_pytorch_model)(?P<rest>[.\w-]*)\.(?P<kind>safetensors|bin)"
)


def hub_cache() -> Path:
    """Where huggingface_hub keeps what it fetched.

    ``HF_HUB_CACHE``, by its old name ``HUGGINGFACE_HUB_CACHE``, ``HF_HOME`` and ``XDG_CACHE_HOME`` are heeded.
    """
    cache = place_in("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE")
    return cache or (place_in("HF_HOME") or user_cache() / "huggingface") / "hub"


def located(place: str | Path, download: bool = False) -> Path:
    """Where a model lies: a path as it is; of a name on the hub, the copy in the local cache.

    Only with ``download`` is a name fetched that is not there. Raises CalotypeError if there is neither, and for a path
    that may not be looked at.
    """
    path = Path(place)
    try:
        there = path.exists()
    except OSError as error:
        raise CalotypeError(f"cannot read {path}: {error.strerror}. Check the path and its rights.") from error
    if there or not _NAME.fullmatch(str(place)):
        return path
    folder = _cached(str(place))
    if folder is None and download:
        folder = pull(str(place))
    if folder is None:
        raise CalotypeError(
            f"{place} is neither a path nor in the hub's cache: check its spelling, or run `calotype pull {place}`."
        )
    if (folder / _INDEX).is_file():
        return folder
    singles = [file for file in folder.iterdir() if file.suffix in (".safetensors", ".ckpt")]
    if len(singles) == 1:
        return singles[0]
    raise CalotypeError(f"the cached copy of {place} holds {len(singles)} models: give the path of one in {folder}.")


def pull(name: str, files: Sequence[str] = (), variant: str | None = None) -> Path:
    """Fetch a model of the hub into its local cache, and say in which folder it lies.

    ``files`` are those to fetch; without any, what a model needs: of each network one set of weights, safetensors
    where there are any, of the ``variant`` asked for (such as fp16). What is there already is not fetched again, and a
    broken transfer goes on where it stopped. ``HF_ENDPOINT``, ``HF_TOKEN``, ``HF_HUB_CACHE`` and ``HF_HUB_OFFLINE``
    are heeded. Raises CalotypeError naming what is wrong.
    """
    unknown = (
        f"{name!r} is no name on the hub: names are owner/name, as in stable-diffusion-v1-5/stable-diffusion-v1-5."
    )
    if not _NAME.fullmatch(name):
        raise CalotypeError(unknown)
    if files and variant:
        raise CalotypeError(f"fetch {files[0]}, or what there is of the variant {variant!r}: one or the other.")
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise CalotypeError(f"cannot fetch {name}: HF_HUB_OFFLINE forbids the network. Unset it to fetch.")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError, RepositoryNotFoundError

    # Of its HTTP client, which is another one from version to version.
    from huggingface_hub.errors import HTTPError as TransportError  # type: ignore[attr-defined]

    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    try:
        listed = [file.rfilename for file in api.model_info(name).siblings or ()]
        wanted = list(files) or needed(name, listed, variant)
        paths = [Path(api.hf_hub_download(name, file, cache_dir=hub_cache())) for file in wanted]
    except HFValidationError as error:
        raise CalotypeError(unknown) from error
    except GatedRepoError as error:
        raise CalotypeError(f"{name} asks you to accept its licence on its page; then set HF_TOKEN.") from error
    except RepositoryNotFoundError as error:
        raise CalotypeError(f"the hub knows no {name}, or not for you: check the spelling, or set HF_TOKEN.") from error
    except HfHubHTTPError as error:
        raise CalotypeError(f"the hub refused {name}: {_first_line(error)}. Check the names of the files.") from error
    except (OSError, TransportError) as error:
        raise CalotypeError(f"fetching {name} failed: {_first_line(error)}. Run it again to go on.") from error
    return paths[0].parents[wanted[0].count("/")]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


def needed(name: str, listed: Sequence[str], variant: str | None = None) -> list[str]:
    """Which of a repository's files make the model. Raises CalotypeError if they do not say, or if no weights are of
    the ``variant``; where some networks' are, the others' plain ones are needed.
    """
    if _INDEX not in listed:
        singles = [file for file in listed if file.endswith(".safetensors") and "/" not in file]
        wanted = [file for file in singles if not variant or f".{variant}." in file]
        if len(wanted) == 1:
            return wanted
        kind = f" of the variant {variant!r}" if variant else ""
        raise CalotypeError(
            f"{name} holds {len(wanted)} models{kind}: choose with --file from {', '.join(singles[:5]) or 'its page'}."
        )
    variants = {_variant(file) for file in listed if file.rpartition("/")[0] in _COMPONENTS}
    if variant and variant not in variants:
        others = ", ".join(sorted(other for other in variants if other))
        raise CalotypeError(
            f"{name} has no weights of the variant {variant!r}: choose {others or 'none, for it has no variants'}."
        )
    wanted = [_INDEX]
    for component in _COMPONENTS:
        inside = [file for file in listed if file.rpartition("/")[0] == component]
        wanted += [file for file in inside if file.endswith((".json", ".txt")) and ".index." not in file]
        wanted += _one_set(inside, variant)
    return wanted


def _one_set(files: Sequence[str], variant: str | None) -> list[str]:
    """Of a network's weights those of one kind and variant, with all their shards and the index of these."""
    sets: dict[tuple[bool, str], list[str]] = {}
    for file in files:
        if (marked := _variant(file)) is not None:
            sets.setdefault((file.endswith(".bin"), marked), []).append(file)
    if not sets:
        return []
    kind, marked = min(sets, key=lambda each: (each[1] != (variant or ""), each[0], "non_ema" in each[1], each[1]))
    shards = sets[kind, marked]
    indices = [
        file for file in files if ".index." in file and (".bin" in file) == kind and (marked or ".index.json") in file
    ]
    return [*shards, *(indices if len(shards) > 1 else [])]


def _variant(file: str) -> str | None:
    """What a network's weights are marked with, as fp16; empty for plain ones, None for other files."""
    match = _WEIGHTS.fullmatch(file.rpartition("/")[2])
    return re.sub(r"-\d{5}-of-\d{5}", "", match["rest"]).strip(".") if match else None


def _cached(name: str) -> Path | None:
    """The folder of the newest fetched version of ``name``, in the layout of huggingface_hub's cache."""
    repository = hub_cache() / f"models--{name.replace('/', '--')}"
    try:
        version = (repository / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    folder = repository / "snapshots" / version
    return folder if _NAME.fullmatch(f"x/{version}") and folder.is_dir() else None
