"""Devices and dtypes: which can be used here, and which are fast. And what memory a process keeps."""

import ctypes
import sys

import torch

from calotype.errors import CalotypeError

SMALL = 100_000_000
"""U-Nets of fewer parameters gain little from half precision, and stay in float32: the same picture everywhere."""

KEPT = 2**30
"""Bytes of freed memory that the process keeps for its next step."""
MAPPED = 2**25
"""Bytes from which on a piece of memory is the system's again once freed: the largest that every glibc takes."""


def usable(name: str | None) -> torch.device:
    """The device of that name; without one, a GPU where there is one. Raises CalotypeError if it cannot be used."""
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise CalotypeError(
            f"the device {name!r} cannot be used here: choose cpu, or cuda or mps if there is one."
        ) from error
    return torch.device(name)


def fast_dtype(device: torch.device) -> torch.dtype:
    """The fastest type that ``device`` computes networks in.

    bfloat16 on CPUs with AMX or AVX512-BF16 instructions and on GPUs that have it, float16 on older ones of NVIDIA's;
    float32 elsewhere. Apple's GPUs are fast in float16, too, but attention overflows there.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    able = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return torch.bfloat16 if able.get("amx_bf16") or able.get("avx512_bf16") else torch.float32


def half_precision(device: torch.device) -> torch.autocast:
    """bfloat16 where the device is fast at it."""
    return torch.autocast(device.type, torch.bfloat16, enabled=fast_dtype(device) == torch.bfloat16)


def usual_dtype(device: torch.device, parameters: int) -> torch.dtype:
    """What a model whose U-Net has so many ``parameters`` is loaded in, unless it is asked for otherwise."""
    return torch.float32 if parameters < SMALL else fast_dtype(device)


def keep_freed_memory() -> None:
    """Have the C library keep what it frees, up to `KEPT` bytes, where it is glibc's.

    Else it gives the memory of one step back to the system, which hands it out again in the next, zeroed page by page:
    6 % of the time of a U-Net of Stable Diffusion's size (docs/performance.md).
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        trim_threshold, mmap_threshold = -1, -3  # malloc.h's M_TRIM_THRESHOLD and M_MMAP_THRESHOLD
        library.mallopt(trim_threshold, KEPT)
        library.mallopt(mmap_threshold, MAPPED)
