"""How long a person waits for a picture: ``calotype txt2img`` with the embedded model, each time in a fresh process.

Printed are the medians of the whole time, from the command to the picture on disk, and of sampling in it, from the
prompt to the last latent. The first process, which finds nothing in the system's memory, warms up and does not count.

    python benchmarks/cold_start.py [--runs 10] [--steps 20] [--threads 2]
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROMPT = "a red apple to the left of a cat on a blue background"


def once(words: list[str]) -> float:
    """Run the command in this process, and return the seconds that it spends sampling."""
    from calotype import cli
    from calotype.api import Studio

    spent, states = 0.0, Studio.states

    def timed(*args: Any) -> Iterator[Any]:
        nonlocal spent
        began = time.perf_counter()
        for state in states(*args):
            spent += time.perf_counter() - began
            yield state
            began = time.perf_counter()

    Studio.states = timed  # type: ignore[method-assign]
    if status := cli.main(words):
        sys.exit(status)
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--once", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        counts = ["--steps", str(arguments.steps), "--threads", str(arguments.threads)]
        print(once(["txt2img", PROMPT, "--seed", "7", *counts, "-o", arguments.once]))
        return
    found: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.runs + 1):
            picture = Path(folder, f"{number}.png")
            command = [sys.executable, __file__, *sys.argv[1:], "--once", str(picture)]
            began = time.perf_counter()
            said = subprocess.check_output(command, text=True)
            found += [(time.perf_counter() - began, float(said.splitlines()[-1]))] if number else []
    whole, sampling = map(statistics.median, zip(*found, strict=True))
    print(
        f"{arguments.steps} steps, {arguments.threads} threads, median of {arguments.runs} processes: "
        f"{whole:.2f} s, of which sampling {sampling:.2f} s; at most {max(found)[0]:.2f} s"
    )


if __name__ == "__main__":
    main()
