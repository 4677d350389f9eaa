"""Memory of training the 25 million parameter network with Adam: Chorale's ranks beside PyTorch DDP's. Needs Linux.

  python3 tests/bench/peers/memory.py                     both, 2 ranks, three alternating rounds
  options: --network wide  --ranks 2  --repeat 3  --settle 15 --watch 6 (seconds)  --build build/release  --mappings  --no-torch
           -- OPTIONS OF BENCH STEP

Memory is Pss, which counts a shared page once, over all processes that a command starts, launchers too. A program trains for --settle seconds, then
the greatest sum of --watch seconds counts. PyTorch's own is taken off: the same processes with a model of one weight and one bias. Chorale's data are
one batch, as DDP's are. --mappings lists what Chorale's memory is mapped from.
"""
import argparse
import collections
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time

from networks import NETWORKS
from programs import DEFAULT_BUILD, HERE, ProgramError, environment, has_torch

FOR_EVER = 10 ** 6
SAMPLE_S = 0.2


def descendants(root):
    """The process and all that it and they have started."""
    children = collections.defaultdict(list)
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:
                children[int(file.read().rpartition(")")[2].split()[1])].append(int(name))
        except OSError:
            pass  # it has ended
    found = [root]
    for pid in found:
        found += children[pid]
    return found


def pss_mib(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            return int(re.search(r"^Pss: +(\d+) kB", file.read(), re.MULTILINE).group(1)) / 1024
    except (OSError, AttributeError):
        return 0  # ended, or a zombie


def mappings_mib(pids):
    """Pss of every mapped file, or kind of memory, over all processes."""
    sums = collections.Counter()
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as file:
                name = ""
                for line in file:
                    head = re.match(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ *(.*)", line)
                    name = (head.group(1) or "anonymous") if head else name
                    if line.startswith("Pss:"):
                        sums[name] += int(line.split()[1]) / 1024
        except OSError:
            pass
    return sums


class Watched:
    """A program that trains until it is ended."""

    def __init__(self, words, order=None):
        self.words = words
        self.child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                      env=environment(), start_new_session=True)
        if order:
            self.child.stdin.write(json.dumps(order) + "\n")
            self.child.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pids = descendants(self.child.pid)
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            pass
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.child.wait()

    def peak_mib(self, settle_s, watch_s):
        """The greatest sum in the steady phase, and the smallest, which tells whether it was steady."""
        time.sleep(settle_s)
        sums, end = [], time.monotonic() + watch_s
        while time.monotonic() < end:
            sums.append(sum(map(pss_mib, descendants(self.child.pid))))
            time.sleep(SAMPLE_S)
        if self.child.poll() is not None:
            raise ProgramError(f"{' '.join(self.words)}: ended with {self.child.returncode}: {self.child.stderr.read().strip()[-400:]}")
        return max(sums), min(sums)


def chorale(words):
    rows = NETWORKS[words.network]["batch"] * words.ranks
    return Watched([os.path.join(words.build, "chorale"), "bench", "step", "--preset", words.network, "-n", str(words.ranks), "--rows", str(rows),
                    "--steps", str(FOR_EVER)] + words.extra)


def ddp(words, **order):
    return Watched([sys.executable, os.path.join(HERE, "ddp.py"), "--ranks", str(words.ranks), "--serve"],
                   {"network": words.network, "steps": FOR_EVER} | order)


def programs(words):
    """Name and how to start it."""
    out = {"Chorale": lambda: chorale(words)}
    if not words.no_torch and has_torch():
        out["PyTorch DDP"] = lambda: ddp(words)
        out["PyTorch DDP, one weight and one bias"] = lambda: ddp(words, widths=[1, 1], batch=1)
    else:
        print("memory.py: without PyTorch: its rows are left out", file=sys.stderr)
    return out


def measure(words):
    starts = programs(words)
    peaks = {name: [] for name in starts}
    found = collections.Counter()
    for repeat in range(words.repeat):
        for name, start in starts.items():
            with start() as program:
                most, least = program.peak_mib(words.settle, words.watch)
                peaks[name].append(most)
                print(f"{name}: {least:.0f} to {most:.0f} MiB", file=sys.stderr)
                if words.mappings and name == "Chorale":
                    found = mappings_mib(descendants(program.child.pid))
    return peaks, found


def report(words, peaks, found):
    ours, theirs, empty = (statistics.median(peaks.get(name, [0])) for name in ("Chorale", "PyTorch DDP", "PyTorch DDP, one weight and one bias"))
    print(f"{words.network}, {words.ranks} ranks, Adam, {words.repeat} rounds, alternating; MiB over all processes\n")
    print("| program | median | rounds |\n|---|---|---|")
    for name, values in peaks.items():
        print(f"| {name} | {statistics.median(values):.0f} | {', '.join(f'{v:.0f}' for v in values)} |")
    if theirs:
        print(f"\nChorale {ours:.0f} over PyTorch DDP {theirs:.0f} less its own {empty:.0f}: {ours / (theirs - empty):.2f}")
    for name, mib in found.most_common(12):
        print(f"  {mib:7.1f} MiB  {name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="wide", choices=NETWORKS)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--settle", type=float, default=15)
    parser.add_argument("--watch", type=float, default=6)
    parser.add_argument("--build", default=DEFAULT_BUILD)
    parser.add_argument("--mappings", action="store_true")
    parser.add_argument("--no-torch", action="store_true")
    parser.add_argument("extra", nargs="*", help="options for chorale bench step, after --")
    words = parser.parse_args()
    try:
        report(words, *measure(words))
    except ProgramError as error:
        print(f"memory.py: {error}", file=sys.stderr)
        return 70
    return 0


if __name__ == "__main__":
    sys.exit(main())
