"""Every exchange gives the same bits on one node and on two, evenly and unevenly filled, also with ranks placed round robin.

  python3 tests/cluster/same_bits.py build/release/chorale
"""
import json
import os
import subprocess
import sys

from nodes import TwoNodes, why_not

STEP = ["bench", "step", "--layers", "linear(300) relu linear(200) relu linear(10)", "--loss", "cross_entropy", "--input", "100", "--batch", "64",
        "--steps", "60", "--virtual-workers", "8", "--json"]


def hash_of(words):
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)}\nended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)["parameters_hash"]


def main():
    chorale = os.path.abspath(sys.argv[1])
    if reason := why_not():
        print("CHORALE_SKIP two nodes: " + reason)
        return 4
    expected = hash_of([chorale] + STEP)
    wrong = 0
    with TwoNodes("") as nodes:
        for exchange in ("shared", "replicated", "sharded", "auto"):
            for name, ranks, options in (("1+1", [1, 1], ()), ("1+3", [1, 3], ()), ("2+2", [2, 2], ()), ("4+4", [4, 4], ()),
                                         ("2+2 round robin", [2, 2], ("--map-by", "node"))):
                found = hash_of(nodes.mpirun(ranks, [chorale] + STEP + ["--exchange", exchange], options))
                print("ok" if found == expected else "DIFFERS", exchange, name, found, flush=True)
                wrong += found != expected
        narrow = [hash_of(nodes.mpirun([1, 3], [chorale] + STEP + ["--exchange", e, "--wire", "bf16"])) for e in ("shared", "shared", "sharded", "sharded")]
        repeats = narrow[0] == narrow[1] and narrow[2] == narrow[3] and expected not in narrow
        print("ok" if repeats else "DIFFERS", "bf16 repeats its bits", *narrow)
    return 1 if wrong or not repeats else 0


if __name__ == "__main__":
    sys.exit(main())
