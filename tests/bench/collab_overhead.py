"""What sharing costs two tasks of one rank each, the slower slowed three times by work: against the same two trained alone at the same time.

  python3 tests/bench/collab_overhead.py --rounds 5 --build build/release

Each round runs both ways, one right after the other, in an order that alternates; numbers are medians of the rounds' ratios. Step times of
the tasks alone pin the steps a tick, as a start without collab.steps_per_tick does. Overhead is the time of a step with sharing (the fused
step and its share of the ticks, without the sweep) over that of the plain model; waiting is the share of a task's time until what was
posted at the tick before is there. Steps are tenth percentiles, ticks are means: a busy machine shows in them. The floor is what the fused
step must cost: operations of its extra products over the peak that machine_peak measures, and its extra parameters' part of an update as
long as that of the model alone. Build first: cmake --build build/release --target chorale_program machine_peak. Run it on an idle machine.
"""
import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

FEATURES = 32
WIDTH, HIDDEN = 8, 32  # of vectors, and of the fusion: from 1,000 training rows on


def write_table(path, rows, seed):
    draw = random.Random(seed)
    with open(path, "w") as out:
        out.write("person," + ",".join(f"x{i}" for i in range(FEATURES)) + ",label\n")
        for person in range(rows):
            x = [draw.gauss(0, 1) for _ in range(FEATURES)]
            out.write(f"{person}," + ",".join(f"{v:.4f}" for v in x) + f",{int(sum(x[:4]) + draw.gauss(0, 1) > 0)}\n")


def floor_of(units, batch, gflops, alone):
    """The fused step's floor as a part of a step alone: exporter, its head, and the fusion of one peer."""
    inner = WIDTH * units + WIDTH + HIDDEN * units + HIDDEN  # with a gradient of the input: three products
    outer = WIDTH * FEATURES + HIDDEN * WIDTH  # two
    own = FEATURES * units + 2 * units * units + 5 * units + 1
    products_ms = batch * (6 * inner + 4 * outer) / gflops / 1e6
    return (products_ms + alone["update_ms"] * (inner + outer) / own) / alone["step_ms"]


class Bench:
    def __init__(self, words, folder):
        self.words, self.folder = words, Path(folder)
        self.chorale = str(Path(words.build).resolve() / "chorale")
        peak = subprocess.run([str(Path(words.build) / "tests" / "machine_peak")], capture_output=True, text=True, check=True)
        self.gflops = json.loads(peak.stdout)["gflops"]
        self.environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        layers = " ".join([f"linear({words.units}) relu"] * 3) + " linear(1)"
        self.batch = {"fast": words.batch, "slow": words.batch * words.slower}
        for seed, task in enumerate(self.batch):
            write_table(self.folder / f"{task}.csv", words.rows, seed)
            (self.folder / f"{task}.ini").write_text(
                f"[data]\nfile = {task}.csv\ntarget = label\nid = person\nsplit = random 0.8 0.1 0.1\n[model]\nlayers = {layers}\n"
                f"[train]\nbatch = {self.batch[task]}\nevaluate_every = 1000000\n")

    def command(self, *arguments):
        return [self.chorale, *arguments, "--quiet"]

    def wait(self, processes):
        for process in processes:
            said, _ = process.communicate(timeout=600)
            if process.returncode != 0:
                sys.exit(f"chorale ended with {process.returncode}:\n{said}")

    def start(self, words):
        return subprocess.Popen(words, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def alone(self, steps):
        """A step in ms of each task, while the other trains too: the tenth percentile, which other work on the machine disturbs least."""
        cores = sorted(os.sched_getaffinity(0))
        pin = lambda i: ["taskset", "-c", str(cores[i % len(cores)])]
        runs = {task: f"alone_{task}" for task in self.batch}
        self.wait([self.start(pin(i) + self.command("train", f"{task}.ini", "--run-dir", run, "--overwrite", "--launch", "threads", "-n", "1",
                                                    "--train.steps", str(steps[task]), "--checkpoint.every_epochs", "0"))
                   for i, (task, run) in enumerate(runs.items())])
        return {task: {"step_ms": self.summary(run)["step_ms"]["p10"], "update_ms": self.summary(run)["phases_ms"]["update"]}
                for task, run in runs.items()}

    def together(self, per_tick):
        words = self.words
        tasks = "".join(
            f"[task.{task}]\nrecipe = {task}.ini\nentity = person : person\ntrain.steps = {per_tick[task] * words.ticks}\n" for task in self.batch)
        (self.folder / "both.ini").write_text(
            f"[collab]\nevery = {words.every}\nburn_in = 0.05\nguard = off\nfinalise = 0\ncheckpoint_every = 0\nstore = {words.store}\n"
            f"steps_per_tick = {' '.join(f'{t}:{k}' for t, k in per_tick.items())}\n" + tasks)
        self.wait([self.start(self.command("collab", "train", "both.ini", "--run-dir", "both", "--overwrite", "--launch", "mpirun"))])
        return self.summary("both")["tasks"]

    def summary(self, run):
        return json.loads((self.folder / run / "summary.json").read_text())

    def round(self, per_tick, alone_first):
        steps = {task: k * self.words.ticks for task, k in per_tick.items()}
        alone = self.alone(steps) if alone_first else None
        both = self.together(per_tick)
        alone = alone or self.alone(steps)
        out = {}
        for task, it in both.items():
            step_ms = alone[task]["step_ms"]
            ticks_ms = 1000 * it["sharing_seconds"] / it["steps"]
            out[task] = {
                "alone_ms": step_ms,
                "fused": it["step_ms"]["p10"] / step_ms - 1,
                "floor": floor_of(self.words.units, self.batch[task], self.gflops, alone[task]),
                "ticks": (ticks_ms - 1000 * it["waiting_seconds"] / it["steps"]) / step_ms,
                "waiting": it["waiting_seconds"] / (it["training_seconds"]),
                "overhead": (it["step_ms"]["p10"] + ticks_ms) / step_ms - 1,
                "sweep": it["sweep_seconds"] / it["training_seconds"],
            }
        return out


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ticks", type=int, default=30)
    parser.add_argument("--every", type=int, default=50)
    parser.add_argument("--slower", type=int, default=3, help="how many times the rows of a batch of the slower task")
    parser.add_argument("--units", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rows", type=int, default=6000)
    parser.add_argument("--store", default="replicated", choices=["replicated", "sharded"])
    parser.add_argument("--build", default="build/release")
    return parser.parse_args()


def main():
    words = options()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(words, folder)
        tried = [bench.alone({"fast": words.every * 6, "slow": words.every * 2}) for _ in range(3)]
        least = {task: min(each[task]["step_ms"] for each in tried) for task in bench.batch}
        per_tick = {"fast": words.every, "slow": max(1, round(words.every * least["fast"] / least["slow"]))}
        rounds = [bench.round(per_tick, i % 2 == 0) for i in range(words.rounds)]
    print("steps a tick: " + ", ".join(f"{t} {k}" for t, k in per_tick.items()))
    print(f"{bench.gflops:.0f} GFLOP/s a core")
    print("| task | alone, ms a step | fused step | its floor | ticks | waiting | overhead | sweep |\n|---|---:|---:|---:|---:|---:|---:|---:|")
    for task in per_tick:
        median = {key: statistics.median(r[task][key] for r in rounds) for key in rounds[0][task]}
        parts = " | ".join(f"{100 * median[key]:.1f} %" for key in ("fused", "floor", "ticks", "waiting", "overhead", "sweep"))
        print(f"| {task} | {median['alone_ms']:.2f} | {parts} |")


main()
