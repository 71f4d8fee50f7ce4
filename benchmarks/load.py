"""How fast a checkpoint of 2 GB in half precision becomes networks in float32, and in how much memory.

Against what cannot be avoided: safetensors' own ``load_file`` and a cast, each in a process of its own, in turn. The
seconds of the processor count where the machine is busy with other things.

    python benchmarks/load.py [--config sd15] [--rounds 3]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from calotype.checkpoints import ldm
from calotype.checkpoints.convert import irregular
from calotype.checkpoints.keys import to_theirs
from calotype.checkpoints.networks import blank, load_networks
from calotype.checkpoints.opening import open_checkpoint
from calotype.configs import PRESETS
from calotype.nn.clip import TextEncoder
from calotype.nn.unet import UNet
from calotype.nn.vae import Autoencoder


def write(path: Path, name: str) -> None:
    """A random single file of the preset's whole size, in float16."""
    from safetensors.torch import save_file

    config, tensors = PRESETS[name], {}
    kinds = [*((TextEncoder, text) for text in config.text), (Autoencoder, config.vae), (UNet, config.unet)]
    for (kind, part), names in zip(kinds, ldm.model_names(config), strict=True):
        for key, tensor in blank(kind, part).state_dict().items():
            tensors[to_theirs(key, names)] = torch.empty(tensor.shape, dtype=torch.float16).normal_(std=0.02)
    save_file(irregular(tensors), path)


def private_bytes() -> int:
    """What this process alone holds in memory, its peak being now."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def measure(how: str, path: Path) -> None:
    """Load in this process and print seconds, and bytes per byte of the weights in float32."""
    before, start, start_cpu = private_bytes(), time.perf_counter(), time.process_time()
    if how == "calotype":
        networks = load_networks(open_checkpoint(path))
        parts = (*networks.text, networks.vae, networks.unet)
        weights = [tensor for part in parts for tensor in part.state_dict().values()]
    else:
        from safetensors.torch import load_file

        weights = [tensor.float() for tensor in load_file(path).values()]
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    size = sum(tensor.numel() * 4 for tensor in weights)
    print(json.dumps({"seconds": seconds, "cpu": cpu, "memory": (private_bytes() - before) / size}))


def main() -> None:
    """Print the medians of both ways and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="sd15", choices=[name for name in PRESETS if name != "embedded"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", nargs=2, metavar=("HOW", "PATH"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure[0], Path(arguments.measure[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        write(path, arguments.config)
        runs: dict[str, list[dict[str, float]]] = {"load_file": [], "calotype": []}
        for _ in range(arguments.rounds):
            for how, found in runs.items():
                command = [sys.executable, __file__, "--measure", how, str(path)]
                found.append(json.loads(subprocess.check_output(command)))
    medians = {
        how: {key: sorted(run[key] for run in found)[len(found) // 2] for key in found[0]}
        for how, found in runs.items()
    }
    for how, median in medians.items():
        times = f"{median['seconds']:.2f} s ({median['cpu']:.2f} s of the processor)"
        print(f"{how}: {times}, {median['memory']:.2f} x the weights in float32")
    for kind in ("seconds", "cpu"):
        print(f"ratio of {kind}: {medians['calotype'][kind] / medians['load_file'][kind]:.2f}")


if __name__ == "__main__":
    main()
