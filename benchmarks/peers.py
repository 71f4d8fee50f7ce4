"""How fast Calotype runs a whole Stable Diffusion beside diffusers and OpenVINO, and how near they come to the machine.

The same checkpoint of random weights, made once in the cache folder, and the same inputs for all. In every round each
peer has a process of its own, one after the other, so that what else the machine does hits all. OpenVINO takes part
where it is installed (pip install openvino).

    python benchmarks/peers.py [--config sd15] [--size 512] [--rounds 3] [--minutes 11] [--write docs/performance.md]
    python benchmarks/peers.py --config embedded --rounds 1    (to try it out)
"""

import argparse
import importlib
import json
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from calotype.api import EMBEDDED, load
from calotype.checkpoints.folder import write_folder
from calotype.checkpoints.networks import Networks
from calotype.configs import PRESETS, ModelConfig
from calotype.files import cache_dir
from calotype.nn.clip import TextEncoder
from calotype.nn.unet import UNet
from calotype.nn.vae import Autoencoder

Peer = dict[str, Callable[..., Tensor]]
"""What is timed: "text", tokens to context; "unet", a step of (x, t, context); "vae", latents to pictures."""
Inputs = dict[str, tuple[Tensor, ...]]
PARTS = ("text", "unet", "vae")
BASELINE = "diffusers float32"
RIVAL = "diffusers bfloat16, channels last"
"""What Calotype in half precision is held against."""
COMPILED = "diffusers bfloat16, U-Net compiled"
"""Measured in the first round only: compiling takes as long as a round."""
LIBRARIES = {"diffusers": "diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion", "OpenVINO": "openvino"}
"""What is imported before the clock starts, by the first word of a peer's name."""
ENOUGH = 9
"""Seconds after which a process calls a part no more."""


def inputs(config: ModelConfig, size: int) -> Inputs:
    """The arguments of each part: a prompt and the empty one, in one batch; one picture to decode."""
    generator = torch.Generator().manual_seed(0)
    side, text = size // config.vae.downscale, config.text[0]
    x = torch.randn(2, config.unet.in_channels, side, side, generator=generator)
    context = torch.randn(2, text.max_positions, config.unet.context_dim, generator=generator)
    tokens = torch.randint(text.vocab_size, (2, text.max_positions), generator=generator)
    return {"text": (tokens,), "unet": (x, torch.tensor([500.0, 500.0]), context), "vae": (x[:1],)}


def calotype(path: Path, dtype: torch.dtype) -> Peer:
    model = load(path / "model", dtype=dtype)
    return {
        "text": lambda tokens: model.text_encoders[0](tokens).context,
        "unet": lambda x, t, context: model.unet(x.to(dtype), t, context.to(dtype)),
        "vae": lambda latents: model.vae.decode(latents.to(dtype)),
    }


class Function(nn.Module):
    """A network's answer alone, not wrapped in anything; and a module, as tracing wants it."""

    def __init__(self, network: nn.Module, call: Callable[..., Tensor]) -> None:
        super().__init__()
        self.network, self.call = network, call

    def forward(self, *arguments: Tensor) -> Tensor:
        return self.call(*arguments)


def diffusers(path: Path, dtype: torch.dtype, layout: torch.memory_format = torch.contiguous_format) -> Peer:
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(path / "model", torch_dtype=dtype)
    text, unet, vae = pipe.text_encoder, pipe.unet.to(memory_format=layout), pipe.vae.to(memory_format=layout)
    return {
        "text": Function(text, lambda tokens: text(tokens)[0]),
        "unet": Function(unet, lambda x, t, c: unet(x.to(dtype), t, c.to(dtype), return_dict=False)[0]),
        "vae": Function(vae, lambda latents: vae.decode(latents.to(dtype), return_dict=False)[0]),
    }


def compiled(path: Path) -> Peer:
    """Its weights will be frozen into the program, which the first call compiles."""
    import torch._inductor.config as inductor

    inductor.freezing = True
    peer = diffusers(path, torch.bfloat16)
    return peer | {"unet": torch.compile(peer["unet"])}


def openvino(path: Path) -> Peer:
    """Computes in bfloat16 what `convert` has written, on as many threads as torch."""
    import openvino as ov

    hints = {"INFERENCE_PRECISION_HINT": "bf16", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    core = ov.Core()
    models = {part: core.compile_model(path / "openvino" / f"{part}.xml", "CPU", hints) for part in PARTS}

    def run(part: str, *arguments: Tensor) -> Tensor:
        return torch.from_numpy(models[part]([argument.numpy() for argument in arguments])[0])

    return {part: partial(run, part) for part in PARTS}


PEERS: dict[str, Callable[[Path], Peer]] = {
    BASELINE: partial(diffusers, dtype=torch.float32),
    "Calotype float32": partial(calotype, dtype=torch.float32),
    "diffusers bfloat16": partial(diffusers, dtype=torch.bfloat16),
    RIVAL: partial(diffusers, dtype=torch.bfloat16, layout=torch.channels_last),
    "Calotype bfloat16": partial(calotype, dtype=torch.bfloat16),
    "OpenVINO bfloat16": openvino,
    COMPILED: compiled,
}


@torch.no_grad()
def prepare(path: Path, config: ModelConfig, examples: Inputs) -> None:
    """Write what is not there yet: a model of random weights in float16, and OpenVINO's own form of it."""
    if not (path / "model" / "model_index.json").is_file():
        torch.manual_seed(0)
        words = {name: (EMBEDDED / "tokenizer" / name).read_text("utf-8") for name in ("vocab.json", "merges.txt")}
        networks = (tuple(map(TextEncoder, config.text)), Autoencoder(config.vae), UNet(config.unet))
        write_folder(path / "model", config, Networks(*networks), words)
        del networks  # gigabytes
    if find_spec("openvino") and not (path / "openvino" / "vae.xml").is_file():
        import openvino as ov

        for part, function in diffusers(path, torch.float32).items():
            model = ov.convert_model(function, example_input=inputs(config, 128)[part])
            model.reshape({port: list(x.shape) for port, x in zip(model.inputs, examples[part], strict=True)})
            ov.save_model(model, path / "openvino" / f"{part}.xml", compress_to_fp16=True)


def repeated(call: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """The median time of up to five calls after one that warms up; of the first one if there was no time for more."""
    found: list[float] = []
    while len(found) < 6 and sum(found) < ENOUGH:
        start = time.perf_counter()
        answer = call()
        found.append(time.perf_counter() - start)
    return statistics.median(found[1:] or found), answer


def matmul_rates(side: int = 4096) -> dict[str, float]:
    """Operations a second in the product of two large matrices: what a network could reach at most."""
    products = {"float32": torch.randn(side, side), "bfloat16": torch.randn(side, side).bfloat16()}
    return {dtype: 2 * side**3 / repeated(partial(torch.matmul, a, a))[0] for dtype, a in products.items()}


@torch.inference_mode()
def measure(name: str, config: ModelConfig, size: int, answers: Path) -> Iterator[tuple[str, float | str]]:
    """What one child finds out, figure by figure, so that a time limit leaves what was found."""
    path, examples = cache_dir("peers", f"{config.name}-{size}"), inputs(config, size)
    if name == "prepare":
        prepare(path, config, examples)
    elif name == "matmul":
        yield from matmul_rates().items()
    elif not find_spec(name.split()[0].lower()):
        yield "ended", "not installed"
    else:
        importlib.import_module(LIBRARIES.get(name.split()[0], "calotype"))
        start = time.perf_counter()
        peer = PEERS[name](path)
        if name == COMPILED:
            peer["unet"](*examples["unet"])
        yield "load", time.perf_counter() - start
        for part in PARTS:
            seconds, answer = repeated(partial(peer[part], *examples[part]))
            np.save(answers / f"{name} {part}.npy", answer.float().numpy())
            yield part, seconds
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS counts bytes, Linux KiB
        yield "memory", peak / 2 ** (30 if sys.platform == "darwin" else 20)


@torch.no_grad()
def operations(config: ModelConfig, size: int) -> dict[str, int]:
    """Multiplications and additions in the matrix products and convolutions of each part."""
    found = {}
    with FakeTensorMode(), sdpa_kernel(SDPBackend.MATH):  # shapes alone; attention as the products it consists of
        calls: Peer = {
            "text": TextEncoder(config.text[0]),
            "unet": UNet(config.unet),
            "vae": Autoencoder(config.vae).decode,
        }
        for part, arguments in inputs(config, size).items():
            with FlopCounterMode(display=False) as counter:
                calls[part](*arguments)
            found[part] = counter.get_total_flops()
    return found


def child(options: argparse.Namespace, what: str, answers: str) -> dict[str, Any]:
    """The figures that a process of its own prints; under "ended" why it did not get to the end, if so."""
    command = [sys.executable, __file__, "--config", options.config, "--size", str(options.size)]
    try:
        done = subprocess.run([*command, "--child", what, answers], capture_output=True, timeout=options.limit)
        output, ended = done.stdout, {"ended": "failed"} if done.returncode else {}
        if ended:
            print(f"{what}: {done.stderr.decode(errors='replace').strip()[-1000:]}", file=sys.stderr)
    except subprocess.TimeoutExpired as error:
        output, ended = error.stdout or b"", {"ended": f"over {options.limit} s"}
    found = dict(json.loads(line) for line in output.splitlines() if line.startswith(b'["')) | ended
    print(f"{what}: {found}", file=sys.stderr)
    return found


def play(options: argparse.Namespace, answers: str) -> dict[str, list[dict[str, Any]]]:
    """The figures of each round, by name. A round that would not end in time is not begun."""
    end, longest = time.monotonic() + 60 * options.minutes, 0.0
    child(options, "prepare", answers)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in ("matmul", *PEERS)}
    for number in range(options.rounds):
        began = time.monotonic()
        if began + longest > end:
            break
        for name in (name for name in runs if name != COMPILED):
            runs[name].append(child(options, name, answers))
        longest = max(longest, time.monotonic() - began)
        if number == 0:
            runs[COMPILED].append(child(options, COMPILED, answers))
    return runs


def table(runs: dict[str, list[dict[str, Any]]], least: dict[str, int], answers: str) -> str:
    """Markdown: medians over the rounds, in brackets their ratios to the baseline's."""

    def median(name: str, figure: str) -> float:
        return float(statistics.median([run[figure] for run in runs[name] if figure in run] or [np.nan]))

    def cell(name: str, figure: str) -> str:
        value, ratio = median(name, figure), median(name, figure) / median(BASELINE, figure)
        if value != value:
            return str(runs[name][0].get("ended"))
        return f"{value:.3g} {'GiB' if figure == 'memory' else 's'} ({ratio:.2f})"

    def error(name: str, part: str) -> str:
        files = [Path(answers, f"{who} {part}.npy") for who in (name, BASELINE)]
        if not all(file.is_file() for file in files):
            return ""
        own, exact = map(np.load, files)
        return f"{np.linalg.norm(own - exact) / np.linalg.norm(exact):.1e}"

    head = ["", "load", "peak memory", "text encoder", "U-Net step", "VAE decode", "U-Net's error", "VAE's error"]
    rows = [head, ["---"] * len(head)]
    for name in PEERS:
        figures = [cell(name, figure) for figure in ("load", "memory", *PARTS)]
        rows.append([name, *figures, error(name, "unet"), error(name, "vae")])
    for dtype in ("float32", "bfloat16"):
        rate = median("matmul", dtype)
        floor = [f"{least[part] / rate:.3g} s" for part in PARTS]
        rows.append([f"floor at {rate / 1e9:.0f} GFLOP/s in {dtype}", "", "", *floor, "", ""])
    ratios = [f"{median('Calotype bfloat16', part) / median(RIVAL, part):.2f}" for part in ("unet", "vae")]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, "", f"Calotype bfloat16 by {RIVAL}: U-Net step {ratios[0]}, VAE decode {ratios[1]}."])


def machine() -> str:
    """What the figures hold for."""
    cpuinfo = Path("/proc/cpuinfo")
    models = re.findall(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.is_file() else []
    fast = [name for name in ("amx_bf16", "avx512_bf16") if torch.cpu.get_capabilities().get(name)]
    packages = [f"{name} {version(name)}" for name in ("torch", "diffusers", "openvino") if find_spec(name)]
    return ", ".join([*models[:1], *fast, f"{torch.get_num_threads()} threads", *packages])


def main() -> None:
    """Measure in rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="sd15", choices=[name for name in PRESETS if len(PRESETS[name].text) == 1])
    parser.add_argument("--size", type=int, help="side of the picture in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=11, help="no round is begun that would end later")
    parser.add_argument("--limit", type=int, default=200, help="seconds that one process may take")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into PAGE, between its two marks")
    parser.add_argument("--child", nargs=2, metavar=("WHAT", "ANSWERS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    config = PRESETS[options.config]
    options.size = options.size or config.side
    if options.child:
        what, answers = options.child
        for figure in measure(what, config, options.size, Path(answers)):
            print(json.dumps(figure), flush=True)
        return
    with tempfile.TemporaryDirectory() as answers:
        runs = play(options, answers)
        found = table(runs, operations(config, options.size), answers)
    report = f"{found}\n\n{config.name} at {options.size} pixels, rounds: {len(runs['matmul'])}; {machine()}."
    print(report)
    if options.write:
        marks = re.compile(r"(?<=<!-- peers -->\n).*?(?=\n<!-- /peers -->)", re.DOTALL)
        options.write.write_text(marks.sub(lambda _: report, options.write.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
