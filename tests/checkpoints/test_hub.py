"""The hub, played by a server on this machine that speaks its protocol and hangs up in mid-transfer."""

import json
import os
import re
import runpy
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from calotype.checkpoints.hub import hub_cache, located, needed, pull
from calotype.errors import CalotypeError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    url: str
    files: dict[str, bytes]
    ranges: list[str] = field(default_factory=list)
    break_after: int | None = None
    """Bytes of the next transfer after which the server hangs up, once."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    state = Hub("", {"model.safetensors": os.urandom(200_000), "README.md": b"the card"})

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            if self.path.startswith("/api/models/owner/name"):
                siblings = [{"rfilename": name} for name in state.files]
                return self.send(
                    200, json.dumps({"id": "owner/name", "sha": COMMIT, "siblings": siblings}).encode(), body
                )
            match = re.fullmatch(rf"/owner/name/resolve/(main|{COMMIT})/([\w.]+)", self.path)
            content = state.files.get(match[2]) if match else None
            if content is None:
                self.send_response(404)
                self.send_header("X-Error-Code", "EntryNotFound" if match else "RepoNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return None
            if wanted := self.headers.get("Range"):
                state.ranges.append(wanted)
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
                span = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
                return self.send(206, content[start:], body, **span)
            return self.send(200, content, body)

        def send(self, status: int, content: bytes, body: bool, **headers: str) -> None:
            self.send_response(status)
            head = {"Content-Length": str(len(content)), "ETag": f'"{len(content)}"', "X-Repo-Commit": COMMIT}
            for name, value in {**head, "Accept-Ranges": "bytes", **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if body and state.break_after is not None and len(content) > state.break_after:
                self.wfile.write(content[: state.break_after])
                self.wfile.flush()
                state.break_after = None
                self.connection.shutdown(socket.SHUT_RDWR)
            elif body:
                self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", state.url)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    yield state
    server.shutdown()
    server.server_close()


def test_a_broken_transfer_goes_on_where_it_stopped(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 10_000)  # it counts in whole chunks of 10 MB
    hub.break_after = 150_000
    folder = pull("owner/name")
    assert hub.ranges == ["bytes=150000-"]
    assert (folder / "model.safetensors").read_bytes() == hub.files["model.safetensors"]
    assert not (folder / "README.md").exists()
    assert located("owner/name") == folder / "model.safetensors"


def test_what_is_wrong_is_one_line(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    for call, message in (
        (lambda: pull("owner/other"), "the hub knows no owner/other"),
        (lambda: pull("owner/name", ["nothing.bin"]), "the hub refused owner/name"),
        (lambda: pull("owner/na--me"), "'owner/na--me' is no name on the hub"),
        (lambda: pull("name"), "is no name on the hub"),
        (lambda: pull("owner/name", ["a.bin"], "fp16"), "fetch a.bin, or what there is of the variant 'fp16'"),
        (lambda: located("owner/name"), "run `calotype pull owner/name`"),
    ):
        with pytest.raises(CalotypeError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(CalotypeError, match="HF_HUB_OFFLINE"):
        pull("owner/name")


@pytest.mark.parametrize(
    "names",
    [
        {}, {"HF_HOME": "~/hf"}, {"HF_HOME": "$HOME/hf"}, {"HF_HUB_CACHE": "~/c"}, {"HUGGINGFACE_HUB_CACHE": "$HOME/c"},
        {"HF_HUB_CACHE": "/new", "HUGGINGFACE_HUB_CACHE": "/old", "HF_HOME": "/home"}, {"XDG_CACHE_HOME": "~/x"},
    ],
    ids=str,
)  # fmt: skip
def test_the_cache_is_where_huggingface_hub_has_it(names: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    theirs = runpy.run_path(constants.__file__)["HF_HUB_CACHE"]  # read anew: they are settled at the import
    assert hub_cache() == Path(theirs)


def test_a_path_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner/name").mkdir(parents=True)
    assert located("owner/name") == Path("owner/name")
    assert located("not there.safetensors") == Path("not there.safetensors")


def test_of_a_repository_one_set_of_weights() -> None:
    shards = [f"unet/diffusion_pytorch_model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    listed = [
        "model_index.json", "v1.ckpt", "v1.safetensors", "vae/config.json", "vae/diffusion_pytorch_model.bin",
        "vae/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.fp16.safetensors",
        "safety_checker/model.safetensors", "tokenizer/merges.txt", "text_encoder/pytorch_model.bin", *shards,
        "unet/diffusion_pytorch_model.safetensors.index.json", "unet/diffusion_pytorch_model.non_ema.safetensors",
    ]  # fmt: skip
    plain = ["model_index.json", "text_encoder/pytorch_model.bin", "tokenizer/merges.txt", *shards,
             "unet/diffusion_pytorch_model.safetensors.index.json", "vae/config.json"]  # fmt: skip
    assert needed("x", listed) == [*plain, "vae/diffusion_pytorch_model.safetensors"]
    assert needed("x", listed, "fp16") == [*plain, "vae/diffusion_pytorch_model.fp16.safetensors"]
    with pytest.raises(CalotypeError, match=r"holds 2 models: choose with --file from a\.safetensors, b\.safetensors"):
        needed("x", ["a.safetensors", "b.safetensors", "c/d.safetensors"])


def test_a_variant_that_is_not_there_is_no_reason_to_fetch_another() -> None:
    vae = "vae/diffusion_pytorch_model"
    listed = ["model_index.json", f"{vae}.safetensors", f"{vae}.fp16-00001-of-00002.safetensors", f"{vae}.non_ema.bin"]
    assert f"{vae}.fp16-00001-of-00002.safetensors" in needed("x", listed, "fp16")
    with pytest.raises(CalotypeError, match="x has no weights of the variant 'bf16': choose fp16, non_ema"):
        needed("x", listed, "bf16")
    with pytest.raises(CalotypeError, match="'fp16': choose none, for it has no variants"):
        needed("x", ["model_index.json", f"{vae}.safetensors", "safety_checker/model.fp16.safetensors"], "fp16")


def test_a_single_file_of_a_variant() -> None:
    assert needed("x", ["a.safetensors", "a.fp16.safetensors"], "fp16") == ["a.fp16.safetensors"]
    with pytest.raises(CalotypeError, match=r"0 models of the variant 'fp16': choose with --file from a\.safetensors"):
        needed("x", ["a.safetensors"], "fp16")
