"""Files made to do harm end in one line and do none; each has a twin that differs in the trick alone, and loads."""

import argparse
import collections
import io
import json
import os
import pickle
import struct
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from calotype.checkpoints.ckpt import LEGACY_MAGIC
from calotype.checkpoints.sniff import open_file
from calotype.checkpoints.stored import TensorFile
from calotype.errors import CalotypeError

WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2).half()}


class Calling:
    """Pickled, it is a call; unpickled by Python, the call is made."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def refused(path: Path, message: str) -> None:
    with pytest.raises(CalotypeError, match=message) as caught:
        open_file(path)
    assert "\n" not in str(caught.value)


def opened(path: Path) -> TensorFile:
    file = open_file(path)
    assert {key: stored.shape for key, stored in file.weights.items()} == {"a.weight": (2, 3), "a.bias": (2,)}
    return file


def touching(witness: Path) -> dict[str, tuple[Any, str]]:
    """Objects that make the file ``witness`` when Python unpickles them, and what each must import for it."""
    code = f"open({str(witness)!r}, 'w').close()"
    return {
        "reduce": (Calling(os.system, f"touch {witness}"), "posix.system"),
        "eval": (Calling(eval, code), "__builtin__.eval"),
        "nested": ({"x": [({"y": collections.OrderedDict(z=Calling(exec, code))},)]}, "__builtin__.exec"),
    }


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("trick", ["reduce", "eval", "nested"])
def test_what_would_run_is_named_and_not_run(tmp_path: Path, trick: str, zipped: bool) -> None:
    witness, path = tmp_path / "ran", tmp_path / "model.ckpt"
    program, name = touching(witness)[trick]
    torch.save({"state_dict": WEIGHTS, "callbacks": program}, path, _use_new_zipfile_serialization=zipped)
    refused(path, f"model.ckpt holds a program.*would import '{name}'")
    assert not witness.exists()
    torch.load(path, weights_only=False)
    assert witness.exists(), "the test must be able to fail"
    torch.save({"state_dict": WEIGHTS, "callbacks": {}}, path, _use_new_zipfile_serialization=zipped)
    assert opened(path).metadata == {}


@pytest.mark.parametrize(
    "program",
    [
        b"cos\nsystem\n(S'touch ran'\ntR.",
        b"(S'touch ran'\nios\nsystem\n.",
        b"(cos\nsystem\nS'touch ran'\no.",
        b"\x80\x04\x8c\x02os\x94\x8c\x06system\x93\x8c\x09touch ran\x85R.",
        b"\x80\x02cposix\nsystem\nU\x09touch ran\x85\x81.",
        b"c__builtin__\ngetattr\n(c__builtin__\nlist\nS'sort'\ntR.",
    ],
    ids=["global", "inst", "obj", "stack global", "newobj", "getattr"],
)
def test_every_way_to_name_a_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.ckpt"
    write_zip(path, {"data.pkl": program})
    refused(path, "holds a program")
    write_zip(path, {"data.pkl": b"\x80\x02}."})
    assert open_file(path).weights == {}
    assert not (tmp_path / "ran").exists()


def test_extension_codes_and_outside_buffers_are_refused(tmp_path: Path) -> None:
    for program in (b"\x80\x02\x82\x01.", b"\x80\x05\x97.", b"Pname\n."):
        write_zip(tmp_path / "model.ckpt", {"data.pkl": program})
        refused(tmp_path / "model.ckpt", "no file of weights needs")


def test_what_training_leaves_behind_becomes_inert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("pytorch_lightning.callbacks.model_checkpoint")
    callback = type("ModelCheckpoint", (), {"__module__": module.__name__})
    module.ModelCheckpoint = callback  # type: ignore[attr-defined]
    for name in ("pytorch_lightning", "pytorch_lightning.callbacks", module.__name__):
        monkeypatch.setitem(sys.modules, name, module)
    left = {
        "callbacks": {callback: {"best": np.float64(0.5), "array": np.arange(3)}},
        "hyper_parameters": argparse.Namespace(path=Path("x"), dims={1, 2}, frozen=frozenset({3})),
        "optimizer_states": [{"state": {0: {"step": 1, "average": torch.ones(7)}}, "param_groups": [{"lr": 1e-4}]}],
        "loops": collections.defaultdict(dict, a=callback()),
        "global_step": 470000,
        "dtype": torch.float16,
    }
    for zipped in (True, False):
        torch.save(
            {"state_dict": collections.OrderedDict(WEIGHTS)} | left,
            tmp_path / "m",
            _use_new_zipfile_serialization=zipped,
        )
        assert opened(tmp_path / "m").metadata == {"global_step": "470000"}


def write_zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(f"archive/{name}", content)


def torch_zip(path: Path) -> dict[str, bytes]:
    """The members of a benign file, by name."""
    torch.save(WEIGHTS, path)
    with zipfile.ZipFile(path) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def test_zip_tricks(tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    members = torch_zip(path)
    write_zip(path, members)
    opened(path)
    whole = path.read_bytes()

    write_zip(path, members, zipfile.ZIP_DEFLATED)
    refused(path, "compressed")
    write_zip(path, members | {"data/0": members["data/0"][:-1]})
    refused(path, "storage '0' is missing or cut short")
    write_zip(path, {name: content for name, content in members.items() if name != "data/1"})
    refused(path, "storage '1' is missing")
    write_zip(path, members | {"other/data.pkl": members["data.pkl"]})
    refused(path, "not one of weights")
    write_zip(path, members | {"code/run.py": b"print()"})
    refused(path, "TorchScript")
    write_zip(path, members | {"byteorder": b"big"})
    refused(path, "big-endian")
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        for name in (*members, "data/0"):
            archive.writestr(f"archive/{name}", members[name])
    refused(path, "'archive/data/0' is there twice")

    renamed = whole.replace(b"archive/data/0", b"archive/data/9", 1)  # where it lies, not in the directory
    path.write_bytes(renamed)
    refused(path, "another name where it lies")
    for size in (len(whole) - 1, len(whole) // 2, 40):
        path.write_bytes(whole[:size])
        refused(path, "cut short")


def test_members_cannot_share_bytes(tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    write_zip(path, torch_zip(path))
    whole = bytearray(path.read_bytes())
    entries = [i for i in range(len(whole)) if whole[i : i + 4] == b"PK\x01\x02"]
    whole[entries[1] + 42 : entries[1] + 46] = whole[entries[0] + 42 : entries[0] + 46]
    path.write_bytes(whole)
    refused(path, "overlaps|another name")


def test_a_directory_of_100_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    end64 = b"PK\x06\x06" + struct.pack("<Q2H2I4Q", 44, 45, 45, 0, 0, 1, 1, 10**11, 0)
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, 4, 1)
    end = b"PK\x05\x06" + struct.pack("<4H2IH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    path.write_bytes(b"PK\x03\x04" + end64 + locator + end)
    refused(path, "its directory claims 100,000,000,000 bytes")


class Storage:
    """Pickled, the reference to a storage that torch writes."""


def rebuilt(numel: int, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: Any) -> Any:
            return ("storage", torch.FloatStorage, "0", "cpu", numel) if isinstance(obj, Storage) else None

    stream = io.BytesIO()
    call = Calling(torch._utils._rebuild_tensor_v2, Storage(), offset, shape, strides, False, collections.OrderedDict())
    Pickler(stream, 2).dump({"a": call})
    return stream.getvalue()


@pytest.mark.parametrize(
    ("numel", "offset", "shape", "strides"),
    [
        (6, 0, (10**6, 10**6), (0, 0)),
        (6, 1, (2, 3), (3, 1)),
        (6, -1, (2,), (1,)),
        (6, 0, (2, 3), (-3, 1)),
        (6, 0, (2, 3), (3, 2)),
        (6, 0, (2, 3), (1,)),
        (7, 0, (2, 3), (3, 1)),
        (6, 0, (2.0, 3), (3, 1)),
    ],
    ids=["bomb", "beyond", "before", "backwards", "reach", "dimensions", "storage", "fraction"],
)
def test_tensors_stay_within_their_storage(
    tmp_path: Path, numel: int, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    path = tmp_path / "model.ckpt"
    write_zip(path, {"data.pkl": rebuilt(numel, offset, shape, strides), "data/0": bytes(24)})
    refused(path, "damaged")
    write_zip(path, {"data.pkl": rebuilt(6, 0, (2, 3), (3, 1)), "data/0": bytes(24)})
    assert open_file(path).weights["a"].shape == (2, 3)


def test_a_weight_is_there_once(tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    for keys, message in ((b"U\x01aK\x01U\x01aK\x02", "'a' is there twice"), (b"U\x01aK\x01U\x01bK\x02", None)):
        write_zip(path, {"data.pkl": b"\x80\x02}(" + keys + b"u."})
        if message:
            refused(path, message)
        else:
            assert open_file(path).metadata == {"a": "1", "b": "2"}


def test_a_nest_of_tuples_takes_no_time(tmp_path: Path) -> None:
    """As a dictionary's key it would be hashed, in two to the power of ninety steps."""
    nest = b"\x80\x02}(K\x01" + b"".join(b"2\x86" for _ in range(90)) + b"K\x01u."
    write_zip(tmp_path / "model.ckpt", {"data.pkl": nest})
    assert open_file(tmp_path / "model.ckpt").weights == {}


def test_a_dictionary_is_made_of_pairs(tmp_path: Path) -> None:
    """A hundred thousand times the same list of a hundred thousand would be unpacked to ten billion items."""
    for pair, message in (((b"U\x01aK\x01U\x01bK\x02"), "no pairs"), (b"U\x01aK\x01", None)):
        program = b"\x80\x02ccollections\nOrderedDict\n](](" + pair + b"ee\x85R."
        write_zip(tmp_path / "model.ckpt", {"data.pkl": program})
        if message:
            refused(tmp_path / "model.ckpt", message)
        else:
            assert open_file(tmp_path / "model.ckpt").metadata == {"a": "1"}


def test_a_number_too_long_to_write_is_left_out(tmp_path: Path) -> None:
    """Python refuses to make a text of more than 4,300 digits."""
    torch.save({"state_dict": WEIGHTS, "epoch": 3, "global_step": 10**5000}, tmp_path / "model.ckpt")
    assert opened(tmp_path / "model.ckpt").metadata == {"epoch": "3"}


def test_among_many_names_one_twice_takes_no_time(tmp_path: Path) -> None:
    """Counting each of them would take ten billion comparisons."""
    names = [*(f"k{number}" for number in range(100_000)), "k99999"]
    (tmp_path / "file").write_bytes(header("{" + ",".join(f'"{name}":0' for name in names) + "}", 0))
    refused(tmp_path / "file", "'k99999' is there twice")


def test_legacy_tricks(tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    torch.save(WEIGHTS, path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    assert whole.startswith(LEGACY_MAGIC)
    opened(path)
    for damaged, message in (
        (whole[:-1], "storage .* is cut short"),
        (whole[:100], "damaged"),
        (whole[: len(LEGACY_MAGIC)], "damaged"),
        (whole.replace(b"little_endianq\x02\x88", b"little_endianq\x02\x89"), "big-endian"),
        (b"\x80\x02\x8a\x0a" + bytes(10) + whole[14:], "holds no named weights|damaged"),
    ):
        assert damaged != whole
        path.write_bytes(damaged)
        refused(path, message)


def header(entries: dict[str, Any] | str, data: int) -> bytes:
    text = (entries if isinstance(entries, str) else json.dumps(entries)).encode()
    return len(text).to_bytes(8, "little") + text + bytes(data)


A = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
B = {"dtype": "F16", "shape": [2], "data_offsets": [24, 28]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ((10**11).to_bytes(8, "little") + b'{"a":', "its header claims 100,000,000,000 bytes"),
        (header({"a.weight": A, "a.bias": B}, 27), "is cut short: 1"),
        (header({"a.weight": A, "a.bias": B}, 29), "1 bytes after its last tensor"),
        (header({"a.weight": A, "a.bias": {**B, "data_offsets": [20, 24]}}, 24), "overlaps"),
        (header({"a.weight": A, "a.bias": {**B, "data_offsets": [26, 30]}}, 30), "leaves a gap"),
        (header({"a.weight": A, "a.bias": {**B, "data_offsets": [28, 24]}}, 28), "another size"),
        (header({"a.weight": A, "a.bias": {**B, "data_offsets": [-4, 0]}}, 24), "another size|place"),
        (header({"a.weight": A, "a.bias": {**B, "shape": [3]}}, 28), "another size than its shape"),
        (header({"a.weight": A, "a.bias": {**B, "shape": [-1, -2]}}, 28), "the shape of 'a.bias'"),
        (header({"a.weight": A, "a.bias": {**B, "shape": [2, True]}}, 28), "the shape of 'a.bias'"),
        (header({"a.weight": A, "a.bias": {**B, "dtype": "F4"}}, 28), "of a type that Calotype does not read"),
        (header({"a.weight": A, "a.bias": {**B, "more": 1}}, 28), "not one of a tensor"),
        (header({"a.weight": A, "a.bias": [1, 2]}, 28), "not one of a tensor"),
        (header({"a.weight": A, "a.bias": B, "__metadata__": {"a": 1}}, 28), "its metadata are not texts"),
        (header(f'{{"a":{json.dumps(A)},"a":{json.dumps(A)}}}', 24), "'a' is there twice"),
        (header('{"a":' + "[" * 100_000 + "}", 0), "not what the format allows"),
        (header('{"a"', 0), "not what the format allows"),
        (b"\x05" + bytes(7) + b'{"\xff"}', "not what the format allows"),
    ],
)  # fmt: skip
def test_headers_that_lie(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    refused(path, message)
    path.write_bytes(header({"a.weight": A, "a.bias": B, "__metadata__": {"format": "pt"}}, 28))
    assert opened(path).metadata == {"format": "pt"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"GGUF\x03\x00\x00\x00", "GGUF"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<!doctype html><html>", "web page"),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "picture"),
        (b"MZ" + bytes(100), "not a file of weights"),
    ],
)
def test_other_files_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    refused(tmp_path / "model.safetensors", message)


def test_links_are_followed_to_files_only(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "endless").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "waits")
    for name in ("endless", "waits"):
        refused(tmp_path / name, "is not a file: name one that holds weights")
    refused(tmp_path / "loop", "cannot read .*loop': Too many levels of symbolic links")
    refused(tmp_path / "nothing", "there is no file .*nothing': check the name")
    (tmp_path / "blob").write_bytes(save(WEIGHTS))
    (tmp_path / "link").symlink_to(tmp_path / "blob")  # as the hub's cache does
    opened(tmp_path / "link")


tensors = st.dictionaries(
    st.text(min_size=1, max_size=8).filter(lambda key: key != "__metadata__" and "\0" not in key),
    st.builds(
        lambda shape, dtype: torch.zeros(shape, dtype=dtype),
        st.lists(st.integers(0, 3), max_size=4),
        st.sampled_from([torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.int64, torch.bool]),
    ),
    max_size=4,
)


def sound(file: TensorFile, size: int) -> bool:
    return all(each.start >= 0 and each.start + each.span <= size for each in file.weights.values())


@given(tensors)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_safetensors_headers_are_read(tmp_path: Path, content: dict[str, torch.Tensor]) -> None:
    data = save(content)
    (tmp_path / "file").write_bytes(data)
    file = open_file(tmp_path / "file")
    assert {key: stored.shape for key, stored in file.weights.items()} == {
        k: tuple(t.shape) for k, t in content.items()
    }
    assert sound(file, len(data))


SAMPLES: dict[str, bytes] = {"safetensors": save(WEIGHTS)}
for _name, _zipped in (("zip", True), ("legacy", False)):
    _stream = io.BytesIO()
    torch.save({"state_dict": WEIGHTS, "epoch": 3}, _stream, _use_new_zipfile_serialization=_zipped)
    SAMPLES[_name] = _stream.getvalue()


@pytest.mark.parametrize("sample", SAMPLES)
@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_is_told_or_harmless(tmp_path: Path, sample: str, data: st.DataObject) -> None:
    """Whatever bytes are changed or lost, the answer is one line, or tensors that lie within the file."""
    content = bytearray(SAMPLES[sample])
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.sampled_from([len(content), len(content) - 1, len(content) // 2, 30]))]
    (tmp_path / "file").write_bytes(content)
    try:
        file = open_file(tmp_path / "file")
    except CalotypeError as error:
        assert len(str(error)) < 600
    else:
        assert sound(file, len(content))
