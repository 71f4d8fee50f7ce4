"""Which numbers a device is given: what it is fast at, if the model is large. And what memory a process keeps."""

import ctypes
import subprocess
import sys

import pytest
import torch

from calotype.errors import CalotypeError
from calotype.hardware import SMALL, fast_dtype, usable, usual_dtype

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("able", "dtype"),
    [
        ({"amx_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": True, "amx_bf16": False}, torch.bfloat16),
        ({"avx2": True, "amx_bf16": False}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_a_cpu_s_instructions_decide(
    able: dict[str, bool], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert fast_dtype(CPU) == dtype
    assert usual_dtype(CPU, SMALL) == dtype
    assert usual_dtype(CPU, SMALL - 1) == torch.float32


@pytest.mark.parametrize(("able", "dtype"), [(True, torch.bfloat16), (False, torch.float16)])
def test_a_gpu_of_nvidia_s_is_always_fast_at_half(
    able: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: able)
    assert fast_dtype(torch.device("cuda")) == dtype
    assert fast_dtype(torch.device("mps")) == torch.float32


def test_without_a_name_a_gpu_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "empty", lambda *_, **__: None)
    for cuda, mps, name in ((True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=cuda: there)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda there=mps: there)
        assert usable(None) == torch.device(name)
    assert usable("cuda:1") == torch.device("cuda:1")


@pytest.mark.parametrize("name", ["gpu", "cpu:no", "xla"])
def test_a_device_that_is_not_there_is_told(name: str) -> None:
    with pytest.raises(CalotypeError, match=f"the device '{name}' cannot be used here"):
        usable(name)


FETCHED = """
import ctypes, resource, sys
from calotype.hardware import keep_freed_memory
if sys.argv[1] == "True":
    keep_freed_memory()
library, size = ctypes.CDLL(None), 2**23
library.malloc.restype, library.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
for turn in range(5):
    if turn == 1:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    held = [library.malloc(size) for _ in range(8)]
    for piece in held:
        ctypes.memset(piece, 1, size)
    for piece in held:
        library.free(piece)
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * resource.getpagesize())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="only glibc has to be told")
@pytest.mark.parametrize("kept", [False, True])
def test_freed_memory_is_not_fetched_from_the_system_again(kept: bool) -> None:
    done = subprocess.run([sys.executable, "-c", FETCHED, str(kept)], capture_output=True, check=True)
    assert (int(done.stdout) < 2**23) == kept  # of four times 2**26 bytes
