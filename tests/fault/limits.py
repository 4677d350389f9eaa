"""Runs without memory, descriptors or threads: refused at the start with both numbers, or named for what they were.

  python3 tests/fault/limits.py build/release/chorale [ROW ...]

As an unprivileged user: for root limits of threads do not count, and as root they prove nothing. Without control groups their rows are
skipped, with the reason.
"""
import os
import re
import shutil
import subprocess
import sys
import time

from group import Group
from rows import Mpirun, Row, main, time_of

STEPS = ["--train.steps", "600", "--train.evaluate_every", "300"]
USER = 54321  # nobody else's: limits of processes count all of a user's


def as_user(row, words, **limits):
    """Runs a command in a new folder of that user under such limits of prlimit; its code, words, seconds and the run directory."""
    home = f"{row.folder}/home-{row.name}-{time.monotonic_ns()}"
    os.mkdir(home)
    os.chmod(row.folder, 0o755)
    os.chown(home, USER, USER)
    prefix = ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups", "prlimit"] + [f"--{key}={value}" for key, value in limits.items()]
    environment = dict(os.environ, HOME=home, TMPDIR=home)
    begun = time.time()
    try:
        done = subprocess.run(prefix + words + ["--run-dir", home + "/run"], cwd=home, env=environment, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired as error:
        return 124, str(error.stderr), 60, home + "/run"
    left = [name for name in os.listdir(home) if name != "run"]
    row.check(not left, "nothing is left in TMPDIR", left)
    return done.returncode, done.stderr, time.time() - begun, home + "/run"


def why_not(row):
    if os.geteuid() != 0:
        return "only root may become another user"
    if not shutil.which("setpriv") or not shutil.which("prlimit"):
        return "there is no setpriv or prlimit"
    os.chmod(row.folder, 0o755)
    tried = subprocess.run(["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups", row.chorale, "--version"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "an unprivileged user cannot reach the program"


def skip(row, why):
    print("CHORALE_SKIP", f"{row.name.replace('_', ' ')}:", why, flush=True)


def train(row, *options, ranks=2):
    return [row.chorale, "train", row.folder + "/recipe.ini", "-n", str(ranks), "--quiet", *STEPS, *options]


def refused(row, what, answer, code, *says):
    got, said, took, run = answer
    row.check(got == code and all(text in said for text in says), f"{what}: ends with {code} and says {says}", got, said)
    row.check(took < 5, f"{what}: at once, not after {took:.1f} s")
    row.check("restart" not in said, f"{what}: not tried again", said)
    row.check(not os.path.isdir(run) or code == 74, f"{what}: a run that was refused leaves no folder", run)


def address_space(row, expected):
    del expected
    if why_not(row):
        return skip(row, why_not(row))
    # OpenBLAS tries for ever to get its memory; the middle one lets it come so far.
    for size in (270_000_000, 400_000_000, 560_000_000):
        refused(row, f"{size} bytes, mpirun", as_user(row, train(row), **{"as": size}), 64, "MB of address space", f"limit of address space is {size / 1e6:.1f} MB")
    for size in (270_000_000, 400_000_000):
        refused(row, f"{size} bytes, threads", as_user(row, train(row, "--launch", "threads"), **{"as": size}), 64, "MB of address space",
                f"limit of address space is {size / 1e6:.1f} MB")
    # A model that is too big for what is left: the number asked for, and the limit.
    for launch in ("threads", "mpirun"):
        refused(row, f"a great model, {launch}",
                as_user(row, train(row, "--model.layers", "linear(40000) relu linear(10000) relu linear(1)", "--launch", launch), **{"as": 1_500_000_000}), 74,
                "bytes", "limit of address space is 1500.0 MB")
    code, said, _, run = as_user(row, train(row), **{"as": 1_000_000_000})
    row.check(code == 0 and os.path.exists(run + "/summary.json"), "with 1 GB of address space it trains", code, said)
    return None


def descriptors(row, expected):
    del expected
    if why_not(row):
        return skip(row, why_not(row))
    for number in (20, 39):
        refused(row, f"{number} descriptors", as_user(row, train(row), nofile=f"{number}:{number}"), 64, "40 file descriptors are needed",
                f"the limit is {number} (ulimit -n)")
    code, said, _, run = as_user(row, train(row), nofile="20:40")
    row.check(code == 0 and os.path.exists(run + "/summary.json"), "a limit that it may raise is raised, and 40 are enough", code, said)
    return None


def threads(row, expected):
    del expected
    if why_not(row):
        return skip(row, why_not(row))
    for number in (4, 10):
        refused(row, f"{number} threads", as_user(row, train(row), nproc=number), 64, "17 threads and processes are needed", f"{number} of this user (ulimit -u)")
    code, said, _, _ = as_user(row, train(row), nproc=20)
    row.check(code == 0, "20 are enough", code, said)
    with Group("pids") as group:
        if group.why:
            return skip(row, group.why)
        group.limit_processes(10)
        done = subprocess.run(group.inside(train(row, "--run-dir", row.run)), capture_output=True, text=True, timeout=60, check=False)
        row.check(done.returncode == 64 and "10 in its control group (pids.max)" in done.stderr, "a control group's limit is named", done.returncode, done.stderr)
    return None


def need_above_the_limit(row, expected):
    """More than the control group or Slurm gives: refused before the first step, with both numbers."""
    del expected
    great = train(row, "--model.layers", "linear(20000) relu linear(4000) relu linear(1)", "--run-dir", row.run)
    said = subprocess.run(great, capture_output=True, text=True, timeout=60, check=False, env=dict(os.environ, SLURM_MEM_PER_NODE="600"))
    row.check(said.returncode == 64 and "needs at least 1." in said.stderr and "Slurm (--mem) allows 629.1 MB" in said.stderr, "Slurm's limit: both numbers",
              said.returncode, said.stderr)
    with Group("memory") as group:
        if group.why:
            return skip(row, group.why)
        group.limit_memory(1 << 30)
        begun = time.time()
        said = subprocess.run(group.inside(great), capture_output=True, text=True, timeout=60, check=False)
        row.check(said.returncode == 64 and "needs at least 1." in said.stderr and "allows 1.1 GB" in said.stderr, "the control group's limit: both numbers",
                  said.returncode, said.stderr)
        row.check(time.time() - begun < 10, "refused at the start", time.time() - begun)
    return None


def killed_for_memory(row, expected):
    """By a supervisor that is outside, and by the survivors alone."""
    for kind in (Row, Mpirun):
        run, shm = kind(row.chorale, row.folder, f"{row.name}-{kind.__name__}"), set(os.listdir("/dev/shm"))
        kill_for_memory(run, expected)
        run.check_clean(shm)
        row.wrong += run.wrong


# The kernel may count a victim twice that runs out of memory again on its way out.
COUNTED = re.compile(r"has ended: SIGKILL, its memory cgroup counted (an oom_kill|\d oom_kills);")


def kill_for_memory(row, expected):
    """The kernel kills a rank whose control group is full. The ranks are in it, who watches them is not."""
    bin_folder = f"{row.folder}/bin-{row.name}"
    os.mkdir(bin_folder)
    with Group("memory") as group:
        if group.why:
            return skip(row, group.why)
        with open(bin_folder + "/mpirun", "w", encoding="ascii") as file:
            file.write(f'#!/bin/sh\necho $$ >"{group.folder}/cgroup.procs" && exec {shutil.which("mpirun")} "$@"\n')
        os.chmod(bin_folder + "/mpirun", 0o755)
        row.environment = {"PATH": bin_folder + ":" + os.environ["PATH"]}
        row.start()
        row.check(row.until(row.has_checkpoint), "trains")
        with open(f"/proc/{row.pid(1)}/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")
        victim, room = row.pid(1), 64 << 20
        group.limit_memory(group.used() + room)
        eater = group.eat(room + (4 << 20))
        row.check(row.until(lambda: not os.path.exists(f"/proc/{victim}"), 20), "the kernel kills it")
        died = time.time()
        group.limit_memory(0)
        code, said = row.end()
        eater.kill()
        eater.wait()
        ends = row.events("end")
        if isinstance(row, Mpirun):
            row.check(code == 137, "mpirun says SIGKILL", code)
            row.start("--resume")
            code, more = row.end()
            said, ends = said + more, row.events("end")
        row.check(code == 0 and [e["code"] for e in ends] == [75, 0], "one verdict of 75, then done", code, ends, said)
        row.check(ends[0]["rank"] == 1 and COUNTED.search(ends[0]["cause"]) and "oom_kill" in said, "named for what it was", ends, said)
        row.check(time_of(ends[0]) - died <= 3, "verdict within 3 s", time_of(ends[0]) - died)
        row.check(row.hash() == expected, "the bits of an undisturbed run", row.hash())
        row.check_resumed()
    return None


def killed_by_nobody_knows(row, expected):
    row.start("--inject", "kill9@1:500")
    code, said = row.end()
    ends = row.events("end")
    row.check(code == 0 and "SIGKILL, cause unknown" in ends[0]["cause"], "a SIGKILL that no control group has counted: cause unknown", code, ends, said)
    row.check(row.hash() == expected, "the bits of an undisturbed run", row.hash())
    row.check_resumed()


ROWS = {f.__name__: f for f in (address_space, descriptors, threads, need_above_the_limit, killed_for_memory, killed_by_nobody_knows)}

if __name__ == "__main__":
    sys.exit(main(ROWS))
