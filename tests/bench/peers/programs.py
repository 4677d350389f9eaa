"""Starts the measured programs, each with a limit, and reads their JSON."""
import json
import os
import select
import subprocess
import sys

from networks import NETWORKS

HERE = os.path.dirname(os.path.abspath(__file__))
DEFAULT_BUILD = os.path.normpath(os.path.join(HERE, "..", "..", "..", "build", "release"))
LIMIT_S = 300


class ProgramError(Exception):
    """A program did not run or did not answer; the text says which, and how to mend it."""


def environment():
    e = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    if os.geteuid() == 0:
        e.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    return e


def run_json(words, limit_s=LIMIT_S):
    """The object that a program prints. Ends the program's whole group at the limit."""
    try:
        child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(), start_new_session=True)
    except OSError as error:
        raise ProgramError(f"{words[0]}: {error.strerror}; build it: cmake --build build/release --target bench_programs chorale_program")
    try:
        out, messages = child.communicate(timeout=limit_s)
    except BaseException as error:
        os.killpg(child.pid, 9)
        child.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            raise ProgramError(f"{' '.join(words)}: no answer in {limit_s} s")
        raise
    if child.returncode != 0 or "{" not in out:
        raise ProgramError(f"{' '.join(words)}: ended with {child.returncode}: {messages.strip()[-400:]}")
    return json.loads(out[out.index("{"):])


def widths(network):
    return [str(w) for w in NETWORKS[network]["widths"]]


class Built:
    """The programs of a build folder."""

    def __init__(self, folder, extra=()):
        self.folder, self.extra = folder, list(extra)

    def path(self, name):
        return os.path.join(self.folder, name)

    def chorale(self, network, ranks):
        steps = str(NETWORKS[network]["steps"])
        return run_json([self.path("chorale"), "bench", "step", "--preset", network, "-n", str(ranks), "--steps", steps, "--json"] + self.extra)

    def all_reduce(self, size_bytes, ranks):
        return run_json([self.path("chorale"), "bench", "comm", "--op", "all_reduce", "--sizes", str(size_bytes), "-n", str(ranks), "--json"])

    def floor(self, network, ranks, form, gemm):
        n = NETWORKS[network]
        return run_json([self.path("tests/mlp_floor"), "--ranks", str(ranks), "--batch", str(n["batch"]), "--steps", str(n["steps"]),
                         "--form", form, "--gemm", gemm] + widths(network))

    def openmpi(self, network, ranks, gemm):
        n = NETWORKS[network]
        crowded = ranks > len(os.sched_getaffinity(0))
        placing = ["--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1"] if crowded else ["--map-by", "core", "--bind-to", "core"]
        return run_json(["mpirun", "-q", "-np", str(ranks)] + placing + [self.path("tests/mlp_mpi"), "--batch", str(n["batch"]),
                        "--steps", str(n["steps"]), "--gemm", gemm] + widths(network))

    def peak(self):
        return run_json([self.path("tests/machine_peak")])


class Asked:
    """Processes that stay and measure what a line asks for: one order goes to all, one answer comes from the first."""

    def __init__(self, commands, limit_s=LIMIT_S):
        self.limit_s = limit_s
        self.children = []
        for i, words in enumerate(commands):
            self.children.append(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE if i == 0 else None, text=True,
                                                  start_new_session=True))

    def measure(self, **order):
        for child in self.children:
            child.stdin.write(json.dumps(order) + "\n")
            child.stdin.flush()
        ready, _, _ = select.select([self.children[0].stdout], [], [], self.limit_s)
        line = self.children[0].stdout.readline() if ready else ""
        if not line:
            raise ProgramError(f"{' '.join(self.children[0].args)}: no answer to {order} in {self.limit_s} s")
        return json.loads(line)

    def end(self):
        for child in self.children:
            child.stdin.close()
        for child in self.children:
            try:
                child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, 9)
                child.wait()


def torch_ranks(ranks):
    return Asked([[sys.executable, os.path.join(HERE, "ddp.py"), "--ranks", str(ranks), "--serve"]])


def has_torch():
    return subprocess.run([sys.executable, "-c", "import torch"], capture_output=True).returncode == 0
