"""What a narrow wire and local steps cost in accuracy, and give in speed: Fashion-MNIST between two nodes joined by a slow link. Needs root.

  CHORALE_DATA=FOLDER python3 tests/bench/peers/two_nodes_training.py --rate 1gbit --seeds 1,2,3
  options: --variants NAME,NAME (see VARIANTS)  --build build/release  -- OPTIONS OF TRAIN FOR ALL, such as --epochs 5

The recipe is ../fashion_mnist.ini, a rank on each node. Variants take turns for each seed; the first one is what the others are compared with.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

from programs import DEFAULT_BUILD, HERE, LIMIT_S, ProgramError, environment
from two_nodes import SKIPPED, TwoNodes, cannot
sys.path.insert(0, os.path.join(HERE, ".."))
try:
    import fashion_csv
except ModuleNotFoundError as missing:  # numpy makes its table
    print(f"CHORALE_SKIP training between two nodes: {missing}")
    sys.exit(4)

LOCAL = ["--parallel.exchange", "local_sgd", "--parallel.local_steps", "8"]
VARIANTS = {
    "sharded": ["--parallel.exchange", "sharded"],
    "shared": ["--parallel.exchange", "shared"],
    "sharded-bf16": ["--parallel.exchange", "sharded", "--parallel.wire", "bf16"],
    "shared-bf16": ["--parallel.exchange", "shared", "--parallel.wire", "bf16"],
    "local": LOCAL,
    "local-outer": LOCAL + ["--parallel.outer_lr", "0.7", "--parallel.outer_momentum", "0.9"],
    "local-mild-outer": LOCAL + ["--parallel.outer_lr", "0.9", "--parallel.outer_momentum", "0.3"],
    "local-bf16": LOCAL + ["--parallel.wire", "bf16"],
}


def train(nodes, words, table, variant, seed):
    """The summary of one run."""
    with tempfile.TemporaryDirectory() as folder:
        run = os.path.join(folder, "run")
        command = [os.path.join(words.build, "chorale"), "train", os.path.join(HERE, "..", "fashion_mnist.ini"), "--data.file", table, "--quiet",
                   "--run-dir", run, "--seed", str(seed)] + VARIANTS[variant] + words.extra
        done = subprocess.run(nodes.mpirun(1, command), capture_output=True, text=True, env=environment(), timeout=LIMIT_S)
        if done.returncode != 0:
            raise ProgramError(f"{' '.join(command)}: ended with {done.returncode}: {done.stderr.strip()[-400:]}")
        with open(os.path.join(run, "summary.json"), encoding="utf-8") as file:
            return json.load(file)


def rows(runs):
    first = next(iter(runs.values()))
    points = lambda summary: 100 * summary["metrics"]["test"]["accuracy"]
    mean = statistics.mean(points(s) for s in first)
    for variant, summaries in runs.items():
        accuracy = [points(s) for s in summaries]
        speed = statistics.median(s["samples_per_second"] for s in summaries)
        quotient = statistics.median(s["samples_per_second"] / f["samples_per_second"] for s, f in zip(summaries, first))
        yield (f"| {variant} | {', '.join(f'{a:.2f}' for a in accuracy)} | {statistics.mean(accuracy):.2f} | "
               f"{statistics.mean(accuracy) - mean:+.2f} | {speed:.0f} | {quotient:.2f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", default="1gbit", help="as tc writes it; empty: no limit")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--variants", default="sharded,shared-bf16,sharded-bf16,local,local-outer")
    parser.add_argument("--build", default=DEFAULT_BUILD)
    parser.add_argument("extra", nargs="*", help="options for chorale train, after --")
    words = parser.parse_args()
    variants = words.variants.split(",")
    if any(v not in VARIANTS for v in variants):
        parser.error(f"--variants takes {', '.join(VARIANTS)}")
    reason = cannot() or fashion_csv.missing()
    if reason:
        print(f"two_nodes_training.py: {reason}", file=sys.stderr)
        return SKIPPED
    words.build = os.path.abspath(words.build)
    runs = {variant: [] for variant in variants}
    try:
        with tempfile.TemporaryDirectory() as folder, TwoNodes(words.rate) as nodes:
            table = fashion_csv.write(folder)
            for seed in words.seeds.split(","):
                for variant in variants:
                    runs[variant].append(train(nodes, words, table, variant, seed))
                    print(f"{variant}, seed {seed}: {runs[variant][-1]['metrics']}", file=sys.stderr)
    except ProgramError as error:
        print(f"two_nodes_training.py: {error}", file=sys.stderr)
        return 70
    print(f"test accuracy in %, 2 nodes of 1 rank, link {words.rate or 'without limit'}, seeds {words.seeds}, alternating\n")
    print("| variant | accuracy | mean | points beside the first | samples/s | over the first |\n|---|---|---|---|---|---|")
    print("\n".join(rows(runs)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
